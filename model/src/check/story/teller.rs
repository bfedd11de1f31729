//! Which records, nodes and faults a story follows, and from when to when.

use super::Teller;
use crate::check::{Finding, Ground, Guarantee, Subject};
use crate::history::{Entry, Event};
use crate::record::{NodeId, Offset, Queue, RecordId, TopicPartition};
use crate::units::{Span, Time};
use std::collections::{BTreeMap, BTreeSet};

/// How many of a finding's records the story follows.
fn followed(ground: Ground) -> usize {
    match ground {
        Ground::Session | Ground::RealTime | Ground::Skipped | Ground::Overlapped => 2,
        _ => 1,
    }
}

impl<'a> Teller<'a> {
    pub(super) fn new(history: &[Entry], subject: &'a Subject, finding: &'a Finding) -> Teller<'a> {
        let mut teller = Teller {
            subject,
            finding,
            records: finding.records.iter().take(followed(finding.ground)).copied().collect(),
            nodes: BTreeSet::new(),
            positions: BTreeMap::new(),
            cuts: BTreeMap::new(),
            tenures: BTreeMap::new(),
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
            causes: BTreeMap::new(),
            meanings: BTreeMap::new(),
            successors: BTreeMap::new(),
            told_before: BTreeMap::new(),
            kafka_brokers: BTreeSet::new(),
            kafka_from: Time::ZERO,
            kafka_faults: BTreeSet::new(),
        };
        for entry in history {
            if teller.follows(&entry.event) {
                teller.from = teller.from.min(entry.at);
                if finding.ground == Ground::Lost {
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
        teller.to = teller.to.max(teller.over_at(history).unwrap_or_default());
        teller.note_cuts(history);
        teller.note_tenures(history);
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
        teller.note_causes(history);
        teller
    }

    /// Who went back in the wronged partition has to do with it, and so has whoever was meant to, and for whom it was confirmed.
    fn note_seek(&mut self, entry: &Entry) {
        let (rewind, group, meant, partition) = match &entry.event {
            Event::Sought { rewind, group, meant, partition, .. } => (rewind, group, meant, partition),
            Event::Rewound { rewind, group, partition, by } => (rewind, group, by, partition),
            _ => return,
        };
        let wronged = (self.finding.group, self.finding.partition) == (Some(*group), Some(*partition));
        if wronged && self.finding.guarantee == Guarantee::Rewind {
            self.rewinds.insert(*rewind);
            self.nodes.insert(meant.node);
            if let Event::Sought { .. } = &entry.event {
                self.nodes.insert(entry.node);
            }
        }
    }

    /// Whether the story is of a stretch in which nobody could write.
    pub(super) fn is_of_writing(&self) -> bool {
        match self.finding.ground {
            Ground::WriteUnavailable => true,
            Ground::PlanAdded => self.finding.group.is_none(),
            _ => false,
        }
    }

    /// Whether the story is of a record that waited for a group.
    pub(super) fn is_of_reading(&self) -> bool {
        match self.finding.ground {
            Ground::ReadUnavailable => true,
            Ground::PlanAdded => self.finding.group.is_some(),
            _ => false,
        }
    }

    /// When a stretch is over whose weight does not say it: what the plan added to it is less than how long it was, and an age is
    /// without the planned pause. It was over at the latest with the first word of its record.
    fn over_at(&self, history: &[Entry]) -> Option<Time> {
        if self.finding.ground != Ground::PlanAdded && !self.is_of_reading() {
            return None;
        }
        let is_over = |entry: &&Entry| match &entry.event {
            Event::Acknowledged { .. } | Event::Refused { .. } | Event::Indeterminate { .. } => {
                self.is_of_writing() && self.follows(&entry.event)
            }
            Event::Processed { .. } => self.is_of_reading() && self.follows(&entry.event),
            _ => false,
        };
        history.iter().find(is_over).map(|entry| entry.at)
    }

    /// Whether the story is of a loss before anything came to Kafka.
    pub(super) fn is_lost_in_corgi(&self) -> bool {
        self.finding.ground == Ground::Lost
            && !self.positions.keys().any(|(queue, ..)| *queue == Queue::Kafka)
    }

    /// When the mirror first went beyond a lost record that it never copied: until then it could have come.
    pub(super) fn passed_over_at(&self, history: &[Entry]) -> Option<Time> {
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
    pub(super) fn follows(&self, event: &Event) -> bool {
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
            | Event::CopyFailed { record, .. }
            | Event::StoppedAt { record, .. }
            | Event::StoppedBackAt { record, .. } => self.records.contains(record),
            Event::Delivered { group, record, .. } | Event::Processed { group, record, .. } => {
                self.records.contains(record) && self.finding.group.is_none_or(|wronged| wronged == *group)
            }
            Event::PutBack { records, .. } | Event::DelayedLost { records } => {
                records.iter().any(|record| self.records.contains(record))
            }
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
            Event::Truncated { queue, partition, .. }
                if self.stands_in(*queue, *partition) && self.matters(entry) =>
            {
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
}

/// When the story of a finding is over.
fn teller_end(history: &[Entry], finding: &Finding) -> Time {
    match finding.ground {
        Ground::WriteUnavailable | Ground::ReadUnavailable | Ground::PlanAdded => {
            finding.at + Span::millis(finding.weight)
        }
        Ground::Stuck => history.last().map_or(finding.at, |entry| entry.at),
        _ => finding.at,
    }
}
