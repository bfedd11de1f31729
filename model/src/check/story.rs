//! The story of a finding: of all entries of a history the few that tell how it came about, in plain sentences.
//!
//! Entries are ranked by what they have to do with the wronged records, their partition and their group; the best are
//! told in the order of time, each with what it means for those records. What is left out is only less telling: the
//! story decides nothing.

mod causes;
mod losses;
mod obeyed;
mod teller;
mod weights;

use super::cuts::Cuts;
use super::describe::{RECORDS_NAMED, describe, offsets};
use super::{Finding, Ground, Subject};
use crate::client::corgi_producer_settings::Accept;
use crate::corgi::settings::Replication;
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
        let weight = teller.weight(place, entry);
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
        text: describe(&history[place], subject) + &teller.aside(place, &history[place]),
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
    /// Where the logs that they stand in were cut down.
    cuts: BTreeMap<(Queue, TopicPartition), Cuts>,
    /// Until when it is known of a place that its record stands there, and whether another had it before that one was sent.
    tenures: BTreeMap<(Queue, TopicPartition, Offset), Tenure>,
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
    /// What led up to the story, by its place in the history, and how much it tells.
    causes: BTreeMap<usize, u32>,
    /// What those mean for the followed records, where they do not say it.
    meanings: BTreeMap<usize, String>,
    /// Who became master while a fault kept the one before away, by the place of the fault's end.
    successors: BTreeMap<usize, NodeId>,
    /// How many partitions of a topic were told of before fewer were, by the place of the latter.
    told_before: BTreeMap<usize, u16>,
    /// Kafka's brokers, as far as they lead or follow anything.
    kafka_brokers: BTreeSet<NodeId>,
    /// Before this Kafka has nothing to do with the story.
    kafka_from: Time,
    /// The faults that struck Kafka alone and were over by then.
    kafka_faults: BTreeSet<u32>,
}

/// What is known of the place of a followed record in a log.
#[derive(Clone, Copy, Debug, Default)]
struct Tenure {
    /// The last moment at which the record is known to have stood there.
    known_until: Time,
    /// Whether another record stood there before this one was sent: a leader gave the offset out again.
    taken_over: bool,
}

impl Teller<'_> {
    /// Whether an entry is of the time that the story tells of, or of what lasts into it.
    fn is_told(&self, entry: &Entry) -> bool {
        self.is_near(entry.at)
            || match &entry.event {
                Event::FaultBegun { fault, .. } => self.lasting.contains(fault),
                // What a disk lost may be missed much later.
                Event::DiskLost { .. } => {
                    self.finding.ground == Ground::Lost
                        && (entry.at < self.from || self.taken_by(entry).next().is_some())
                }
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
    fn aside(&self, place: usize, entry: &Entry) -> String {
        if let Some(meaning) = self.meanings.get(&place) {
            return meaning.clone();
        }
        match &entry.event {
            Event::FaultEnded { .. } => self.successors.get(&place).map_or_else(String::new, |master| {
                format!("; {} has become master meanwhile", self.subject.node_name(*master))
            }),
            Event::Widened { .. } => self
                .told_before
                .get(&place)
                .map_or_else(String::new, |before| format!(", which had {before} until then")),
            Event::MirrorCommitted { source, offset } if entry.at < self.from => {
                let passed = self.standing((Queue::Corgi, *source), Offset::MIN..*offset);
                named(passed, ": beyond ", "will stand")
            }
            Event::DiskLost { queue, partitions } => {
                let unnamed = partitions.iter().skip(RECORDS_NAMED);
                let mut lost = unnamed.filter(|(partition, ..)| self.stands_in(*queue, *partition));
                let among = lost.next().map_or_else(String::new, |(partition, from, to)| {
                    format!(
                        " ({} of {} among them)",
                        offsets(*to, *from),
                        self.subject.partition_name(*partition)
                    )
                });
                among + &named(self.taken_by(entry), ", and with them ", "stood")
            }
            Event::Truncated { .. } => named(self.taken_by(entry), ", and with them ", "stood"),
            Event::LeadershipTaken { .. } | Event::MastershipTaken { .. } => {
                named(self.taken_by(entry), ": without ", "was acknowledged")
            }
            Event::Acknowledged { queue: Queue::Kafka, .. } => alone(self.subject.producer.acks).to_owned(),
            Event::Acknowledged { queue: Queue::Corgi, .. } => {
                alone_in_corgi(self.subject.corgi.replication, self.subject.corgi.accept).to_owned()
            }
            Event::Copied { .. } => alone(self.subject.mirror.acks).to_owned(),
            Event::DelayedLost { records } => self.unnamed(records),
            Event::CopiedBack { .. } => {
                alone_in_corgi(self.subject.corgi.replication, self.subject.corgi.accept_back).to_owned()
            }
            Event::PutBack { records, .. } => {
                let unnamed = self.unnamed(records);
                let of_producer = self.subject.producers.contains(&entry.node);
                let sender = if of_producer { &self.subject.producer } else { &self.subject.mirror };
                let numbered =
                    if sender.idempotent { "" } else { "; not idempotent, so nothing keeps their order" };
                unnamed + numbered
            }
            _ => String::new(),
        }
    }

    /// A followed record among those that a sentence does not name: it names the first.
    fn unnamed(&self, records: &[RecordId]) -> String {
        let unnamed = records.iter().skip(RECORDS_NAMED).find(|record| self.records.contains(record));
        unnamed.map_or_else(String::new, |record| format!(" ({record} is among them)"))
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

/// What an acknowledgement of Corgi's is worth, where not even one slave need have the record.
fn alone_in_corgi(replication: Replication, accept: Accept) -> &'static str {
    match (replication, accept) {
        (Replication::None, _) => " (replication = none: the master's word alone)",
        (_, Accept::AnyStatus) => " (accept = any-status: maybe the master's word alone)",
        (Replication::One | Replication::Both, Accept::OkOnly) => "",
    }
}

#[cfg(test)]
#[path = "story_tests.rs"]
mod tests;
