//! The story of a finding: of all entries of a history the few that tell how it came about, in plain sentences.
//!
//! Entries are ranked by what they have to do with the wronged records, their partition and their group; the best are
//! told in the order of time, each with what it means for those records. What is left out is only less telling: the
//! story decides nothing.

mod weights;

use super::describe::{RECORDS_NAMED, describe};
use super::{Finding, Ground, Guarantee, Subject};
use crate::history::{Entry, Event};
use crate::kafka::protocol::Acks;
use crate::record::{NodeId, Offset, Queue, RecordId, TopicPartition};
use crate::units::{Span, Time};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// What tells less than this is told only where a story would be too short otherwise.
const TELLING: u32 = 30;

/// A story has so many lines, if there are so many.
const LINES_AT_LEAST: usize = 8;

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
        match entry.event {
            Event::PhaseBegun { phase: begun, .. } => phase = begun,
            Event::PlanCompleted => phase = subject.after_the_plan(),
            _ => {}
        }
        let weight = teller.weight(entry);
        if weight > 0 {
            ranked.push((std::cmp::Reverse(weight), distance(entry.at, finding.at), place, phase));
        }
    }
    ranked.sort_unstable();
    let telling = ranked.iter().filter(|(weight, ..)| weight.0 >= TELLING).count();
    ranked.truncate(at_most.min(telling.max(LINES_AT_LEAST)));
    ranked.sort_unstable_by_key(|(_, _, place, _)| *place);
    let line = |(_, _, place, phase): (_, _, usize, u32)| StoryLine {
        at: history[place].at,
        node: subject.node_name(history[place].node),
        phase: subject.phase_name(phase),
        text: describe(&history[place], subject) + &teller.aside(&history[place]),
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
    /// Where they stand, and since when that was known.
    positions: BTreeMap<(Queue, TopicPartition, Offset), (RecordId, Time)>,
    /// When they were sent.
    sent: BTreeMap<RecordId, Time>,
    /// Those of them that Corgi was to keep back.
    delayed: BTreeSet<RecordId>,
    /// The faults that struck who had to do with them, or may have.
    faults: BTreeSet<u32>,
    /// The faults that began before the story does and last into it.
    lasting: BTreeSet<u32>,
    /// Since when those replicas are in sync that are so when the story begins, by partition of Kafka.
    in_sync_since: BTreeMap<TopicPartition, Time>,
    /// The rewinds in which the wronged partition went back.
    rewinds: BTreeSet<u64>,
    /// The last process that died, which the fault that killed it has told.
    killed: Option<(Time, NodeId)>,
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
            positions: BTreeMap::new(),
            sent: BTreeMap::new(),
            delayed: BTreeSet::new(),
            faults: BTreeSet::new(),
            lasting: BTreeSet::new(),
            in_sync_since: BTreeMap::new(),
            rewinds: BTreeSet::new(),
            killed: None,
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
                teller.note_positions(entry);
            }
            teller.note_seek(entry);
            if matches!(entry.event, Event::GateWaiting { .. }) {
                teller.last_wait = Some(entry.at);
            }
        }
        let gone_at = teller.gone_at(history);
        if let Some(sealed_at) = gone_at.or_else(|| teller.passed_over_at(history)) {
            teller.to = teller.to.max(sealed_at);
        }
        let sets: BTreeSet<usize> = teller.in_corgi().filter_map(|at| teller.corgi_set(at)).collect();
        teller.nodes.extend(sets.iter().flat_map(|set| &subject.corgi_sets[*set]));
        if finding.ground == Ground::Lost && gone_at.is_none() {
            teller.note_careless_mirror(history);
        }
        let mut leading = BTreeMap::new();
        for entry in history {
            teller.note_keepers(entry, &mut leading);
            teller.note_what_lasts(entry);
        }
        teller.nodes.extend(leading.into_values());
        teller
    }

    /// Who went back in the wronged partition has to do with it, and so has whoever was meant to.
    fn note_seek(&mut self, entry: &Entry) {
        let Event::Sought { rewind, group, meant, partition, .. } = &entry.event else { return };
        let wronged = (self.finding.group, self.finding.partition) == (Some(*group), Some(*partition));
        if wronged && self.finding.guarantee == Guarantee::Rewind {
            self.rewinds.insert(*rewind);
            self.nodes.extend([entry.node, meant.node]);
        }
    }

    /// When the last log of Corgi's that held a lost record cut it off: nobody could bring it from then on, and what comes
    /// later has nothing to do with it.
    fn gone_at(&self, history: &[Entry]) -> Option<Time> {
        if !self.is_lost_in_corgi() {
            return None;
        }
        let took = |entry: &&Entry| match &entry.event {
            Event::Truncated { queue: Queue::Corgi, partition, from, to } => {
                let mut lost = self.standing((Queue::Corgi, *partition), *to..*from);
                lost.any(|(_, (_, since))| since <= entry.at)
            }
            _ => false,
        };
        history.iter().rfind(took).map(|entry| entry.at)
    }

    /// Whether the story is of a loss before anything came to Kafka.
    fn is_lost_in_corgi(&self) -> bool {
        self.finding.ground == Ground::Lost
            && !self.positions.keys().any(|(queue, ..)| *queue == Queue::Kafka)
    }

    /// When the mirror first went beyond a lost record that it never copied: until then it could have come.
    fn passed_over_at(&self, history: &[Entry]) -> Option<Time> {
        if !self.is_lost_in_corgi() {
            return None;
        }
        let passes = |entry: &&Entry| match &entry.event {
            Event::MirrorCommitted { source, offset } => {
                let mut before = self.standing((Queue::Corgi, *source), Offset::MIN..*offset);
                before.any(|(_, (_, since))| since <= entry.at)
            }
            _ => false,
        };
        history.iter().find(passes).map(|entry| entry.at)
    }

    /// Whether an event is one of a followed record, in the wronged group.
    fn follows(&self, event: &Event) -> bool {
        match event {
            Event::Invoked { record } => self.records.contains(&record.id),
            Event::Acknowledged { record, .. }
            | Event::Refused { record }
            | Event::Indeterminate { record }
            | Event::Copied { record, .. }
            | Event::CopiedBack { record, .. }
            | Event::Due { record, .. }
            | Event::Skipped { record, .. }
            | Event::SkippedBack { record, .. }
            | Event::StoppedAt { record, .. }
            | Event::StoppedBackAt { record, .. } => self.records.contains(record),
            Event::Delivered { group, record, .. } | Event::Processed { group, record, .. } => {
                self.records.contains(record) && self.finding.group.is_none_or(|wronged| wronged == *group)
            }
            Event::PutBack { records, .. } => records.iter().any(|record| self.records.contains(record)),
            _ => false,
        }
    }

    fn note_positions(&mut self, entry: &Entry) {
        let mut stands = |queue: Queue, partition: TopicPartition, offset: Offset, record: RecordId| {
            self.positions.entry((queue, partition, offset)).or_insert((record, entry.at));
        };
        match &entry.event {
            Event::Invoked { record } => {
                self.sent.insert(record.id, entry.at);
                if record.is_delayed() {
                    self.delayed.insert(record.id);
                }
            }
            // The acknowledgement of a delayed record names a place among those that wait.
            Event::Acknowledged { record, queue: Queue::Corgi, .. } if self.delayed.contains(record) => {}
            Event::Due { record, partition, offset } => stands(Queue::Corgi, *partition, *offset, *record),
            Event::Acknowledged { record, queue, partition, offset }
            | Event::Delivered { record, queue, partition, offset, .. } => {
                stands(*queue, *partition, *offset, *record);
            }
            Event::Copied { record, source, source_offset, target, target_offset } => {
                stands(Queue::Corgi, *source, *source_offset, *record);
                stands(Queue::Kafka, *target, *target_offset, *record);
            }
            Event::CopiedBack { record, source, source_offset, target, target_offset } => {
                stands(Queue::Kafka, *source, *source_offset, *record);
                stands(Queue::Corgi, *target, *target_offset, *record);
            }
            _ => {}
        }
    }

    /// A worker that committed beyond a followed record has to do with it, and so has what becomes of that worker before anybody
    /// has copied it.
    fn note_careless_mirror(&mut self, history: &[Entry]) {
        let passes = |entry: &&Entry| match &entry.event {
            Event::MirrorCommitted { source, offset } => {
                self.standing((Queue::Corgi, *source), Offset::MIN..*offset).next().is_some()
            }
            _ => false,
        };
        let copied =
            |entry: &Entry| matches!(&entry.event, Event::Copied { .. }) && self.follows(&entry.event);
        if history.iter().any(copied) {
            return;
        }
        let Some(commit) = history.iter().find(passes) else { return };
        let died = |entry: &&Entry| {
            entry.at >= commit.at && entry.node == commit.node && matches!(entry.event, Event::Stopped { .. })
        };
        let end = history.iter().find(died).map_or(commit.at, |death| death.at);
        let node = commit.node;
        self.to = self.to.max(end);
        self.nodes.insert(node);
    }

    /// Who keeps the logs in which the followed records stand, and who reads them, has to do with them. Those who led
    /// them before the story begins are kept in `leading`.
    fn note_keepers(&mut self, entry: &Entry, leading: &mut BTreeMap<(Queue, TopicPartition), NodeId>) {
        if !self.is_near(entry.at) {
            match &entry.event {
                Event::LeaderChanged { queue, partition, leader: Some(leader), .. }
                    if entry.at <= self.to && self.concerns(*queue, *partition) =>
                {
                    leading.insert((*queue, *partition), *leader);
                }
                Event::LeadershipTaken { partition, .. }
                    if entry.at <= self.to && self.stands_in(Queue::Kafka, *partition) =>
                {
                    leading.insert((Queue::Kafka, *partition), entry.node);
                }
                _ => {}
            }
            return;
        }
        match &entry.event {
            Event::LeaderChanged { queue, partition, leader, .. } if self.concerns(*queue, *partition) => {
                self.nodes.extend(leader);
            }
            Event::LeadershipTaken { partition, .. } if self.stands_in(Queue::Kafka, *partition) => {
                self.nodes.insert(entry.node);
            }
            Event::InSyncChanged { partition, in_sync, .. } if self.stands_in(Queue::Kafka, *partition) => {
                self.nodes.extend(in_sync);
            }
            Event::Truncated { queue, partition, .. } if self.stands_in(*queue, *partition) => {
                self.nodes.insert(entry.node);
            }
            Event::Granted { group, queue, partitions } | Event::Revoked { group, queue, partitions, .. }
                if self.finding.group == Some(*group)
                    && partitions.iter().any(|partition| self.stands_in(*queue, *partition)) =>
            {
                self.nodes.insert(entry.node);
            }
            _ => {}
        }
    }

    /// What began long before may still be so when the story begins.
    fn note_what_lasts(&mut self, entry: &Entry) {
        match &entry.event {
            Event::FaultBegun { fault, .. } if entry.at < self.from => {
                self.lasting.insert(*fault);
            }
            Event::FaultEnded { fault, .. } if entry.at < self.from => {
                self.lasting.remove(fault);
            }
            Event::InSyncChanged { partition, .. } if entry.at < self.from => {
                self.in_sync_since.insert(*partition, entry.at);
            }
            _ => {}
        }
    }

    /// Whether an entry is of the time that the story tells of, or of what lasts into it.
    fn is_told(&self, entry: &Entry) -> bool {
        self.is_near(entry.at)
            || match &entry.event {
                Event::FaultBegun { fault, .. } => self.lasting.contains(fault),
                // What a disk lost may be missed much later.
                Event::DiskLost { .. } => self.finding.ground == Ground::Lost && entry.at < self.from,
                Event::InSyncChanged { partition, .. } => {
                    self.in_sync_since.get(partition) == Some(&entry.at)
                }
                _ => false,
            }
    }

    fn is_near(&self, at: Time) -> bool {
        at + MARGIN >= self.from && at <= self.to + MARGIN
    }

    /// Whether a change of leadership concerns a followed record: a Corgi broker set is named by its first partition.
    fn concerns(&self, queue: Queue, partition: TopicPartition) -> bool {
        let Some(set) = self.corgi_set(partition).filter(|_| queue == Queue::Corgi) else {
            return self.stands_in(queue, partition);
        };
        let of_set = |other: TopicPartition| self.corgi_set(other) == Some(set);
        self.in_corgi().any(of_set) || self.finding.partition.is_some_and(of_set)
    }

    /// The place of the Corgi broker set that a partition lies on.
    fn corgi_set(&self, partition: TopicPartition) -> Option<usize> {
        self.subject.corgi_set(partition)
    }

    /// The partitions of Corgi in which followed records stand.
    fn in_corgi(&self) -> impl Iterator<Item = TopicPartition> {
        let stand = self.positions.keys().filter(|(queue, ..)| *queue == Queue::Corgi);
        stand.map(|(_, partition, _)| *partition)
    }

    /// What an entry means for the followed records; empty where it says all by itself.
    fn aside(&self, entry: &Entry) -> String {
        match &entry.event {
            Event::Truncated { queue, partition, from, to } => {
                let lost = self.standing((*queue, *partition), *to..*from);
                let lost =
                    lost.filter(|(record, _)| self.sent.get(record).is_none_or(|sent| *sent <= entry.at));
                named(lost, ", and with them ", "stood")
            }
            Event::LeadershipTaken { partition, end, .. } => {
                let beyond = self.standing((Queue::Kafka, *partition), *end..Offset::MAX);
                let known = beyond.filter(|(_, (_, since))| *since <= entry.at);
                named(known, ": without ", "was acknowledged")
            }
            Event::Acknowledged { queue: Queue::Kafka, .. } => alone(self.subject.producer.acks).to_owned(),
            Event::Copied { .. } => alone(self.subject.mirror.acks).to_owned(),
            Event::PutBack { records, .. } => {
                // The sentence names the first of them.
                let unnamed = records.iter().skip(RECORDS_NAMED).find(|record| self.records.contains(record));
                let unnamed = unnamed.map_or_else(String::new, |record| format!(" ({record} is among them)"));
                let of_producer = self.subject.producers.contains(&entry.node);
                let sender = if of_producer { &self.subject.producer } else { &self.subject.mirror };
                let numbered =
                    if sender.idempotent { "" } else { "; not idempotent, so nothing keeps their order" };
                unnamed + numbered
            }
            _ => String::new(),
        }
    }

    /// The followed records that stand at those offsets: offset, and since when that is known.
    fn standing(
        &self,
        (queue, partition): (Queue, TopicPartition),
        offsets: Range<Offset>,
    ) -> impl Iterator<Item = (RecordId, (Offset, Time))> {
        let range = (queue, partition, offsets.start)..(queue, partition, offsets.end);
        self.positions.range(range).map(|((_, _, offset), (record, since))| (*record, (*offset, *since)))
    }

    /// Whether a followed record stands in that partition, or the wronged partition is meant and nobody knows where its
    /// records stand.
    fn stands_in(&self, queue: Queue, partition: TopicPartition) -> bool {
        self.standing((queue, partition), Offset::MIN..Offset::MAX).next().is_some()
            || (self.positions.is_empty() && self.finding.partition == Some(partition))
    }
}

/// Some records with their offsets, behind the beginning of a sentence: `: without p0#7, which was acknowledged at offset 41`.
fn named(records: impl Iterator<Item = (RecordId, (Offset, Time))>, before: &str, verb: &str) -> String {
    let name = |(record, (offset, _)): (RecordId, (Offset, Time))| {
        format!("{record}, which {verb} at offset {offset}")
    };
    let names: Vec<String> = records.map(name).collect();
    if names.is_empty() { String::new() } else { format!("{before}{}", names.join(", and ")) }
}

/// What an acknowledgement of Kafka's is worth, where it is not worth the most.
fn alone(acks: Acks) -> &'static str {
    match acks {
        Acks::None => " (acks = none: nobody said so)",
        Acks::Leader => " (acks = leader: one broker's word alone)",
        Acks::All | Acks::Other(_) => "",
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
