//! The story of a finding: of all entries of a history the few that tell how it came about, in plain sentences.
//!
//! Entries are ranked by what they have to do with the wronged records, their partition and their group; the best are
//! told in the order of time. What is left out is only less telling: the story decides nothing.

use super::describe::describe;
use super::{Finding, Ground, Subject};
use crate::history::{Entry, Event};
use crate::plan::Act;
use crate::record::{NodeId, Offset, Queue, RecordId, TopicPartition};
use crate::units::{Span, Time};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// How far around the wronged records' own entries others may belong to the story.
const MARGIN: Span = Span::secs(5);

/// One line of a story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoryLine {
    /// When.
    pub at: Time,
    /// The node whose step it was.
    pub node: String,
    /// The phase of the plan.
    pub phase: String,
    /// What happened, in a sentence.
    pub text: String,
}

/// The story of `finding`, in at most `at_most` lines.
pub fn story(history: &[Entry], subject: &Subject, finding: &Finding, at_most: usize) -> Vec<StoryLine> {
    let mut teller = Teller::new(history, subject, finding);
    let mut phase = 0;
    let mut ranked = Vec::new();
    for (place, entry) in history.iter().enumerate() {
        if let Event::PhaseBegun { phase: begun, .. } = entry.event {
            phase = begun;
        }
        let weight = teller.weight(entry);
        if weight > 0 {
            ranked.push((std::cmp::Reverse(weight), distance(entry.at, finding.at), place, phase));
        }
    }
    ranked.sort_unstable();
    ranked.truncate(at_most);
    ranked.sort_unstable_by_key(|(_, _, place, _)| *place);
    let line = |(_, _, place, phase): (_, _, usize, u32)| StoryLine {
        at: history[place].at,
        node: subject.node_name(history[place].node),
        phase: subject.phase_name(phase),
        text: describe(&history[place], subject),
    };
    ranked.into_iter().map(line).collect()
}

fn distance(one: Time, other: Time) -> u64 {
    one.0.abs_diff(other.0)
}

/// What a story is about.
struct Teller<'a> {
    subject: &'a Subject,
    finding: &'a Finding,
    /// The records that the story follows.
    records: Vec<RecordId>,
    /// The nodes that had to do with them.
    nodes: BTreeSet<NodeId>,
    /// Where they stand.
    positions: BTreeSet<(Queue, TopicPartition, Offset)>,
    from: Time,
    to: Time,
    /// How often something was told already.
    told: BTreeMap<(u8, RecordId), u32>,
    /// The last line at which the operator waited.
    last_wait: Option<Time>,
}

/// How many of a finding's records the story follows.
fn followed(ground: Ground) -> usize {
    match ground {
        Ground::Session | Ground::RealTime | Ground::Skipped | Ground::Overlapped => 2,
        _ => 1,
    }
}

impl<'a> Teller<'a> {
    fn new(history: &[Entry], subject: &'a Subject, finding: &'a Finding) -> Teller<'a> {
        let mut teller = Teller {
            subject,
            finding,
            records: finding.records.iter().take(followed(finding.ground)).copied().collect(),
            nodes: BTreeSet::new(),
            positions: BTreeSet::new(),
            from: finding.at,
            to: teller_end(history, finding),
            told: BTreeMap::new(),
            last_wait: None,
        };
        for entry in history {
            if teller.follows(&entry.event) {
                teller.from = teller.from.min(entry.at);
                if matches!(finding.ground, Ground::Lost) {
                    teller.to = teller.to.max(entry.at);
                }
                teller.nodes.insert(entry.node);
                teller.note_positions(&entry.event);
            }
            if matches!(entry.event, Event::GateWaiting { .. }) {
                teller.last_wait = Some(entry.at);
            }
        }
        teller
    }

    /// Whether an event is one of a followed record, in the wronged group.
    fn follows(&self, event: &Event) -> bool {
        match event {
            Event::Invoked { record } => self.records.contains(&record.id),
            Event::Acknowledged { record, .. }
            | Event::Refused { record }
            | Event::Indeterminate { record }
            | Event::Copied { record, .. }
            | Event::Skipped { record, .. } => self.records.contains(record),
            Event::Delivered { group, record, .. } | Event::Processed { group, record, .. } => {
                self.records.contains(record) && self.finding.group.is_none_or(|wronged| wronged == *group)
            }
            _ => false,
        }
    }

    fn note_positions(&mut self, event: &Event) {
        match event {
            Event::Acknowledged { queue, partition, offset, .. }
            | Event::Delivered { queue, partition, offset, .. } => {
                self.positions.insert((*queue, *partition, *offset));
            }
            Event::Copied { source, source_offset, target, target_offset, .. } => {
                self.positions.insert((Queue::Corgi, *source, *source_offset));
                self.positions.insert((Queue::Kafka, *target, *target_offset));
            }
            _ => {}
        }
    }

    /// How much an entry tells; nothing at 0.
    fn weight(&mut self, entry: &Entry) -> u32 {
        if self.follows(&entry.event) {
            return self.weight_of_record(&entry.event);
        }
        let near = entry.at + MARGIN >= self.from && entry.at <= self.to + MARGIN;
        let weight = match &entry.event {
            Event::StepDone { act, .. } => return self.weight_of_act(act, near),
            Event::PhaseBegun { phase, .. } if *phase == self.finding.phase => return 78,
            Event::GateWaiting { .. } => return self.weight_of_wait(entry.at),
            Event::Ended { .. } => return if self.finding.ground == Ground::Lost { 60 } else { 10 },
            event => self.weight_of_surroundings(entry.node, event),
        };
        if near { weight } else { 0 }
    }

    fn weight_of_record(&mut self, event: &Event) -> u32 {
        let (kind, record) = match event {
            Event::Delivered { record, .. } => (1, *record),
            Event::Processed { record, .. } => (2, *record),
            Event::Copied { record, .. } => (3, *record),
            _ => return 100,
        };
        let told = self.told.entry((kind, record)).or_default();
        *told += 1;
        // Where a record comes again and again, its first comings tell the story.
        if *told <= 2 { 100 } else { 55 }
    }

    fn weight_of_act(&self, act: &Act, near: bool) -> u32 {
        let wronged = self.finding.group.map(|group| self.subject.group_name(group));
        let weight = match act {
            Act::RollOut { group, .. }
            | Act::RollBack { group, .. }
            | Act::PrepareOffsets { group, .. }
            | Act::SwitchRead { group, .. }
            | Act::Pause { group }
            | Act::Resume { group }
            | Act::Rewind { group, .. } => {
                let concerned = wronged.as_deref() == Some(group.as_str());
                // A group's own steps tell of it whenever they were done.
                return if concerned { 62 + 14 * u32::from(near) } else { 20 * u32::from(near) };
            }
            Act::SwitchWrite { .. } | Act::Hold { .. } | Act::Release => 72,
            Act::StartMirror | Act::StopMirror | Act::StopCorgi => 66,
        };
        if near { weight } else { 0 }
    }

    fn weight_of_wait(&self, at: Time) -> u32 {
        match (self.finding.ground, self.last_wait == Some(at)) {
            (Ground::Stuck, true) => 100,
            (Ground::Stuck, false) => 30,
            _ => 5,
        }
    }

    fn weight_of_surroundings(&mut self, node: NodeId, event: &Event) -> u32 {
        let own = self.nodes.contains(&node);
        let by = |near: u32, far: u32| if own { near } else { far };
        match event {
            Event::Truncated { queue, partition, .. } => {
                if self.stands_in(*queue, *partition) {
                    95
                } else {
                    20
                }
            }
            Event::LeaderChanged { queue, partition, .. } => {
                if self.stands_in(*queue, *partition) {
                    85
                } else {
                    35
                }
            }
            Event::MirrorCommitted { source, offset } => {
                self.first_passing(4, Queue::Corgi, *source, *offset)
            }
            Event::Committed { group, queue, partition, offset } if self.finding.group == Some(*group) => {
                self.first_passing(5, *queue, *partition, *offset)
            }
            Event::Granted { group, queue, partitions } | Event::Revoked { group, queue, partitions, .. } => {
                let concerned = self.finding.group == Some(*group)
                    && partitions.iter().any(|partition| self.stands_in(*queue, *partition));
                if concerned { 75 } else { 0 }
            }
            Event::Sought { group, partition, .. } | Event::Rewound { group, partition, .. }
                if self.finding.group == Some(*group) =>
            {
                if self.finding.partition == Some(*partition) {
                    98
                } else {
                    10
                }
            }
            Event::RewindAsked { group, .. } if self.finding.group == Some(*group) => 92,
            Event::FaultBegun { .. } => by(82, 70),
            Event::FaultEnded { .. } => by(68, 48),
            Event::Stopped { .. } => by(80, 40),
            Event::Started { .. } => by(64, 25),
            Event::Writing { .. } => by(74, 12),
            Event::Paused { group, .. } if self.finding.group == Some(*group) => by(60, 15),
            Event::Rebalanced { group, .. } if self.finding.group == Some(*group) => 50,
            Event::PhaseBegun { .. } => 50,
            Event::GateTimedOut { .. } => 55,
            Event::GateOpened { .. } => 40,
            Event::Healed | Event::WorkloadEnded | Event::PlanCompleted => 30,
            _ => 0,
        }
    }

    /// Whether a followed record stands in that partition, or the wronged partition is meant.
    fn stands_in(&self, queue: Queue, partition: TopicPartition) -> bool {
        self.positions
            .range((queue, partition, Offset::MIN)..=(queue, partition, Offset::MAX))
            .next()
            .is_some()
            || self.finding.partition == Some(partition)
    }

    /// The first commit beyond a followed record tells where it was passed over.
    fn first_passing(&mut self, kind: u8, queue: Queue, partition: TopicPartition, offset: Offset) -> u32 {
        let passed = self
            .positions
            .range((queue, partition, Offset::MIN)..(queue, partition, offset))
            .next()
            .is_some();
        if !passed {
            return 0;
        }
        let told = self.told.entry((kind, RecordId::default())).or_default();
        *told += 1;
        if *told == 1 { 90 } else { 0 }
    }
}

/// When the story of a finding is over.
fn teller_end(history: &[Entry], finding: &Finding) -> Time {
    match finding.ground {
        Ground::WriteUnavailable | Ground::ReadUnavailable => finding.at + Span::millis(finding.weight),
        Ground::Stuck | Ground::PlanAdded => history.last().map_or(finding.at, |entry| entry.at),
        _ => finding.at,
    }
}

#[cfg(test)]
#[path = "story_tests.rs"]
mod tests;
