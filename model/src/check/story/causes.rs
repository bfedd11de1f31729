//! What leads up to a story: what is told although it happened before the followed records were sent, or long after, since
//! without it nobody would understand why. And what is noise until then.

use super::{MARGIN, Teller};
use crate::check::{Ground, Guarantee};
use crate::history::{Entry, Event};
use crate::plan::Act;
use crate::record::{NodeId, Offset, Queue, RecordId, TopicPartition};
use crate::switch::WriteTo;
use crate::units::{Span, Time};
use std::collections::{BTreeMap, BTreeSet};

/// So long before a change of leadership a fault may have ended that led to it: the on-call takes that long to act.
const SHORTLY: Span = Span::secs(60);

/// A fault of a history.
pub(super) struct Past<'a> {
    begun: usize,
    ended: Option<usize>,
    struck: &'a [NodeId],
}

impl Teller<'_> {
    /// Look for what led up to the story, and for when Kafka begins to have to do with it.
    pub(super) fn note_causes(&mut self, history: &[Entry]) {
        self.note_held_sends(history);
        self.note_shrinking(history);
        self.note_lost_disk(history);
        self.note_reader_beyond(history);
        self.note_replaced(history);
        self.note_late_way_back(history);
        self.note_what_was_told(history);
        self.note_jump_back(history);
        let cut_off = history.iter().any(|entry| self.is_cut_off(entry));
        if self.is_lost_in_corgi() || cut_off {
            self.note_last_leadership(history);
        }
        if self.is_lost_in_corgi() {
            self.note_early_commit(history);
        }
        self.note_kafka(history, cut_off);
    }

    pub(super) fn note_cause(&mut self, place: usize, weight: u32) {
        let told = self.causes.entry(place).or_default();
        *told = weight.max(*told);
    }

    /// What the operator told the producers while a followed record waited for its acknowledgement is why it waited.
    fn note_held_sends(&mut self, history: &[Entry]) {
        let mut waiting = BTreeSet::new();
        let mut asked = Vec::new();
        for (place, entry) in history.iter().enumerate() {
            match &entry.event {
                Event::Invoked { record } if self.records.contains(&record.id) => {
                    waiting.insert(record.id);
                }
                Event::Acknowledged { record, .. } => drop(waiting.remove(record)),
                Event::StepDone {
                    act: Act::Hold { .. } | Act::Release | Act::SwitchWrite { .. }, ..
                } if !waiting.is_empty() => {
                    asked.push(place);
                }
                _ => {}
            }
        }
        asked.into_iter().for_each(|place| self.note_cause(place, 94));
    }

    /// A topic of which fewer partitions are told than before: with it goes the change of leadership after which it was so.
    fn note_shrinking(&mut self, history: &[Entry]) {
        let mut told = BTreeMap::new();
        let mut changed = None;
        let mut causes = Vec::new();
        for (place, entry) in history.iter().enumerate() {
            match &entry.event {
                Event::LeaderChanged { queue: Queue::Corgi, leader: Some(_), .. } => changed = Some(place),
                Event::Widened { queue, topic, partitions } => {
                    let before = told.insert((*queue, *topic), *partitions);
                    let Some(before) = before.filter(|before| before > partitions) else { continue };
                    self.told_before.insert(place, before);
                    let just_now = |change: &usize| history[*change].at + MARGIN >= entry.at;
                    causes.extend(changed.filter(just_now).filter(|_| self.is_of_topic(*topic)));
                }
                _ => {}
            }
        }
        causes.into_iter().for_each(|change| self.note_change(history, change));
    }

    /// Who was master when a lost record was sent, and why, is told by the last change of leadership before.
    fn note_last_leadership(&mut self, history: &[Entry]) {
        let sets: BTreeSet<usize> = self.in_corgi().filter_map(|at| self.corgi_set(at)).collect();
        for set in sets {
            let changes = |entry: &Entry| match &entry.event {
                Event::LeaderChanged { queue: Queue::Corgi, partition, leader: Some(_), .. } => {
                    entry.at < self.from && self.corgi_set(*partition) == Some(set)
                }
                _ => false,
            };
            if let Some(change) = history.iter().rposition(changes) {
                self.note_change(history, change);
            }
        }
    }

    /// A change of leadership in Corgi, and the faults that struck that broker set's brokers shortly before or lasted into it.
    pub(super) fn note_change(&mut self, history: &[Entry], change: usize) {
        let Event::LeaderChanged { partition, leader, .. } = &history[change].event else { return };
        let set = self.corgi_set(*partition).and_then(|set| self.subject.corgi_sets.get(set));
        let brokers = set.cloned().unwrap_or_default();
        self.note_cause(change, 87);
        for past in self.note_faults(history, change, &brokers) {
            let Some(ended) = past.ended.filter(|ended| *ended > change) else { continue };
            if let Some(leader) = leader.filter(|leader| !past.struck.contains(leader)) {
                self.successors.insert(ended, leader);
            }
        }
    }

    /// The faults that struck one of those nodes and led to what is at that place.
    pub(super) fn note_faults<'h>(
        &mut self,
        history: &'h [Entry],
        place: usize,
        nodes: &[NodeId],
    ) -> Vec<Past<'h>> {
        let at = history[place].at;
        let lasted = |past: &Past| {
            past.ended.is_none_or(|ended| history[ended].at + SHORTLY >= at) && past.begun < place
        };
        let of_nodes = |past: &Past| past.struck.iter().any(|node| nodes.contains(node));
        let mut faults: Vec<_> = faults(history).into_values().collect();
        faults.retain(|past| lasted(past) && of_nodes(past));
        for past in &faults {
            self.note_cause(past.begun, 86);
            if let Some(ended) = past.ended.filter(|ended| history[*ended].at <= self.to + MARGIN) {
                self.note_cause(ended, 76);
            }
        }
        faults
    }

    /// Why a disk lost what stood where a lost record came to stand, and who followed it in that.
    fn note_lost_disk(&mut self, history: &[Entry]) {
        if self.finding.ground != Ground::Lost {
            return;
        }
        let of_records = |queue: Queue, partition: TopicPartition| self.stands_in(queue, partition);
        let loses = |entry: &Entry| match &entry.event {
            Event::DiskLost { queue, partitions } => {
                let before = entry.at < self.from
                    && partitions.iter().any(|(partition, ..)| of_records(*queue, *partition));
                before || self.taken_by(entry).next().is_some()
            }
            _ => false,
        };
        let Some(place) = history.iter().rposition(loses) else { return };
        let Entry { at, node, .. } = history[place];
        let follows = |(_, entry): &(usize, &Entry)| match &entry.event {
            Event::Truncated { queue, partition, .. } => {
                entry.at <= at + MARGIN && of_records(*queue, *partition)
            }
            _ => false,
        };
        let followers: Vec<usize> =
            history.iter().enumerate().skip(place).filter(follows).map(|(place, _)| place).collect();
        followers.into_iter().for_each(|place| self.note_cause(place, 80));
        self.note_faults(history, place, &[node]);
    }

    /// The delivery with which a group jumped back before it passed a followed record over, and what struck whoever had it.
    fn note_jump_back(&mut self, history: &[Entry]) {
        let is_meant =
            (self.finding.guarantee, self.finding.ground) == (Guarantee::BoundedReplay, Ground::Skipped);
        let (true, Some(next)) = (is_meant, self.finding.records.get(1)) else { return };
        let passing = |entry: &Entry| entry.at == self.finding.at && self.read(entry, Some(*next)).is_some();
        let Some(passing) = history.iter().position(passing) else { return };
        let Some((log, _)) = self.read(&history[passing], None) else { return };
        let (mut last, mut jump) = (None, None);
        for (place, entry) in history[..passing].iter().enumerate() {
            let Some((_, offset)) = self.read(entry, None).filter(|(of, _)| *of == log) else { continue };
            let before: Option<Offset> = last.replace(offset);
            jump = before.filter(|before| offset < *before).map(|before| (place, before)).or(jump);
        }
        let Some((place, before)) = jump.filter(|(place, _)| {
            // What it passed over it had had there before it jumped; where it had it from the other queue, no jump is to blame.
            let had = |entry: &Entry| self.read(entry, self.records.first().copied());
            history[..*place].iter().filter_map(had).any(|(of, _)| of == log)
        }) else {
            return;
        };
        let node = history[place].node;
        self.nodes.insert(node);
        self.note_cause(place, 96);
        self.meanings.insert(place, format!(": back from offset {before}"));
        self.note_faults(history, place, &[node]);
        self.note_grants(history, place, log);
    }

    /// By which grants whoever jumped back came to have the log, and whoever had gone on in it meanwhile.
    fn note_grants(&mut self, history: &[Entry], jump: usize, log: (Queue, TopicPartition)) {
        let node = history[jump].node;
        let grants = |entry: &Entry| match &entry.event {
            Event::Granted { group, queue, partitions } => {
                self.finding.group == Some(*group) && *queue == log.0 && partitions.contains(&log.1)
            }
            _ => false,
        };
        let last = |is_own: bool| {
            history[..jump].iter().rposition(|entry| (entry.node == node) == is_own && grants(entry))
        };
        let (own, others) = (last(true), last(false));
        own.into_iter().for_each(|place| self.note_cause(place, 80));
        others.into_iter().for_each(|place| self.note_cause(place, 92));
    }

    /// Where the wronged group is delivered something, of that record if one is meant.
    fn read(&self, entry: &Entry, meant: Option<RecordId>) -> Option<((Queue, TopicPartition), Offset)> {
        let Event::Delivered { group, record, queue, partition, offset, .. } = &entry.event else {
            return None;
        };
        let is_meant = self.finding.group == Some(*group) && meant.is_none_or(|meant| meant == *record);
        is_meant.then_some(((*queue, *partition), *offset))
    }

    /// A mirror that had committed beyond where a lost record came to stand: the last such commit, the death of the worker
    /// that knew better, and who then went on from that commit.
    fn note_early_commit(&mut self, history: &[Entry]) {
        let stand: Vec<TopicPartition> = self.in_corgi().collect();
        for source in stand {
            let passes = |entry: &Entry| match &entry.event {
                Event::MirrorCommitted { source: of, offset } if *of == source && entry.at < self.from => {
                    self.standing((Queue::Corgi, source), Offset::MIN..*offset).next().is_some()
                }
                _ => false,
            };
            let Some(commit) = history.iter().rposition(passes) else { continue };
            let node = history[commit].node;
            self.note_cause(commit, 92);
            let behind = |matches: &dyn Fn(&Entry) -> bool, from: usize| {
                history.iter().skip(from).position(matches).map(|place| from + place)
            };
            let dies = |entry: &Entry| entry.node == node && matches!(entry.event, Event::Stopped { .. });
            let Some(death) = behind(&dies, commit) else { continue };
            self.note_cause(death, 82);
            self.note_faults_that_killed(history, death);
            let goes_on = |entry: &Entry| match &entry.event {
                Event::Granted { group, queue: Queue::Corgi, partitions } => {
                    self.is_mirrors(*group) && partitions.contains(&source)
                }
                _ => false,
            };
            if let Some(granted) = behind(&goes_on, death) {
                self.note_cause(granted, 82);
            }
        }
    }

    /// The fault of a death says it, where there is one.
    fn note_faults_that_killed(&mut self, history: &[Entry], death: usize) {
        let Entry { at, node, .. } = history[death];
        let kills = |entry: &Entry| {
            entry.at == at && entry.node == node && matches!(entry.event, Event::FaultBegun { .. })
        };
        if let Some(fault) = history[..death].iter().rposition(kills) {
            self.causes.remove(&death);
            self.note_cause(fault, 86);
        }
    }

    /// Kafka has nothing to do with what Corgi alone was asked for, and what it lost.
    fn note_kafka(&mut self, history: &[Entry], cut_off: bool) {
        self.kafka_from = match self.finding.ground {
            Ground::Lost if cut_off && self.is_lost_in_corgi() => Time::NEVER,
            _ if self.is_of_writing() => self.written_to_kafka_from(history),
            _ => return,
        };
        for entry in history {
            match &entry.event {
                Event::LeaderChanged { queue: Queue::Kafka, leader, .. } => self.kafka_brokers.extend(leader),
                Event::LeadershipTaken { .. } => drop(self.kafka_brokers.insert(entry.node)),
                Event::InSyncChanged { in_sync, .. } => self.kafka_brokers.extend(in_sync),
                _ => {}
            }
        }
        for (fault, past) in faults(history) {
            let over = past.ended.is_some_and(|ended| history[ended].at < self.kafka_from);
            let of_kafka = past.struck.iter().all(|node| self.kafka_brokers.contains(node));
            if over && of_kafka && !past.struck.is_empty() {
                self.kafka_faults.insert(fault);
            }
        }
    }

    /// When a followed record's producer began to write to Kafka, or the record stood there without that.
    fn written_to_kafka_from(&self, history: &[Entry]) -> Time {
        let producer = |node: NodeId| {
            let of = |record: &RecordId| self.subject.producers.get(record.producer as usize);
            self.records.iter().any(|record| of(record) == Some(&node))
        };
        let writes = |entry: &&Entry| match &entry.event {
            Event::Writing { to, .. } => *to != WriteTo::Corgi && producer(entry.node),
            _ => false,
        };
        let switched = history.iter().find(writes).map(|entry| entry.at);
        let in_kafka = self.positions.iter().filter(|((queue, ..), _)| *queue == Queue::Kafka);
        let stood = in_kafka.map(|(_, (_, since))| *since).min();
        switched.or(stood.map(|_| Time::ZERO)).unwrap_or(Time::NEVER)
    }

    /// Whether an entry is of Kafka, and of the time in which it has nothing to do with the story.
    pub(super) fn is_before_kafka(&self, entry: &Entry) -> bool {
        entry.at < self.kafka_from
            && match &entry.event {
                Event::LeaderChanged { queue, .. } => *queue == Queue::Kafka,
                Event::LeadershipTaken { .. } | Event::InSyncChanged { .. } => true,
                Event::Started { .. } | Event::Stopped { .. } => self.kafka_brokers.contains(&entry.node),
                Event::FaultBegun { fault, .. } | Event::FaultEnded { fault, .. } => {
                    self.kafka_faults.contains(fault)
                }
                _ => false,
            }
    }
}

/// The faults of a history, by their numbers.
fn faults(history: &[Entry]) -> BTreeMap<u32, Past<'_>> {
    let mut faults = BTreeMap::new();
    for (place, entry) in history.iter().enumerate() {
        match &entry.event {
            Event::FaultBegun { fault, struck, .. } => {
                faults.insert(*fault, Past { begun: place, ended: None, struck });
            }
            Event::FaultEnded { fault, .. } => {
                if let Some(past) = faults.get_mut(fault) {
                    past.ended = Some(place);
                }
            }
            _ => {}
        }
    }
    faults
}

#[cfg(test)]
#[path = "causes_tests.rs"]
mod tests;
