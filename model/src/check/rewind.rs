//! Rewind: where the operator was told that a partition is rewound, each record from there on is delivered to the group
//! again, in order, none passed over; and nothing goes back that was not meant.
//!
//! What was promised is what the operator was told, and, once he goes on, all that he had asked for. A rewind that he
//! still waits for promises nothing: progress tells of a plan that waits. "From there on" are the
//! positions that the group had been delivered from Kafka, or that a producer was told of by Kafka:
//! what a mirror wrote and the group never read may belong to a transaction that was aborted. They are reckoned twice: when
//! it was asked for, of whoever reads, and at the seek of whom the operator was told. Where a moment was asked for, a record
//! that was sent after it is owed wherever it lies: whose clock led him elsewhere is no excuse. Records that come later
//! are at-least-once's. A redelivery after the pass is no anomaly, nor is an instance that goes on from its own
//! position beside the one that went back (that is exclusive's).

mod holdings;
mod passes;
mod sentences;

use super::tables::{ByPartition, ByRecord};
use super::tally::{Kind, Tally, figure, judgement};
use super::{Checker, Condition, Course, Ground, Guarantee, Judgement, Subject};
use crate::history::{EndReason, Entry, Event};
use crate::plan::Act;
use crate::record::{GroupId, NodeId, Offset, Queue, RecordId, TopicPartition};
use crate::rewind::InstanceId;
use crate::units::Time;
use holdings::Holdings;
use passes::{Log, Owed, Pass, Told};
use sentences::{DELETED, EARLY, Misdirection, UNTOLD, summary};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The checker of rewinds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rewind {
    subject: Arc<Subject>,
    course: Course,
    /// By group: its reading of Kafka.
    groups: Vec<ByPartition<Log>>,
    /// What producers were told of by Kafka.
    acknowledged: ByPartition<BTreeMap<Offset, RecordId>>,
    /// When each record was sent first.
    invoked: ByRecord<Time>,
    /// Where Kafka's logs begin.
    starts: ByPartition<Offset>,
    asked: BTreeMap<u64, Asked>,
    /// The present life of each node.
    lives: BTreeMap<NodeId, u32>,
    holdings: Holdings,
    /// What went back and was not meant to.
    misdirected: Tally,
    confirmed_partitions: u64,
    slowest_confirmation_ms: u64,
    reached: Reached,
}

/// What a sweep of rewinds should reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Reached {
    rebalanced: bool,
    instance_crashed: bool,
    redis_crashed: bool,
    sought_again: bool,
    moved_during_replay: bool,
    address_reused: bool,
}

/// A rewind that was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Asked {
    at: Time,
    group: GroupId,
    offsets: BTreeMap<TopicPartition, Offset>,
    /// The node whose partitions alone are meant.
    instance: Option<NodeId>,
    /// What that node had then, or had had last.
    held: BTreeSet<TopicPartition>,
    done: bool,
}

impl Rewind {
    /// A checker of a run that has not begun.
    pub fn new(subject: Arc<Subject>) -> Rewind {
        Rewind {
            groups: subject.groups.iter().map(|_| ByPartition::default()).collect(),
            subject,
            course: Course::default(),
            acknowledged: ByPartition::default(),
            invoked: ByRecord::default(),
            starts: ByPartition::default(),
            asked: BTreeMap::new(),
            lives: BTreeMap::new(),
            holdings: Holdings::default(),
            misdirected: Tally::default(),
            confirmed_partitions: 0,
            slowest_confirmation_ms: 0,
            reached: Reached::default(),
        }
    }

    fn log(&mut self, group: GroupId, partition: TopicPartition) -> Option<&mut Log> {
        Some(self.groups.get_mut(usize::from(group.0))?.at(partition))
    }

    fn logs_of(&mut self, partition: TopicPartition) -> impl Iterator<Item = &mut Log> {
        self.groups.iter_mut().map(move |logs| logs.at(partition))
    }

    fn is_under_way(&self) -> bool {
        self.asked.values().any(|asked| !asked.done)
    }

    /// The operator begins: what is owed is owed from now on.
    fn asked_for(&mut self, rewind: u64, asked: Asked, moment: Option<Time>) {
        // Clocks differ: of what was sent just after the moment nobody can say by its time that it was.
        let since = moment.map(|moment| moment + self.subject.objectives.rewind_clock_tolerance);
        for (partition, to) in &asked.offsets {
            let known = self.acknowledged.get(*partition);
            let acknowledged = known.into_iter().flatten().map(|(at, record)| (*at, *record));
            let Some(logs) = self.groups.get_mut(usize::from(asked.group.0)) else { return };
            let log = logs.at(*partition);
            let read = log.read.iter().map(|(at, record)| (*at, *record));
            let invoked = |record: RecordId| self.invoked.get(record).copied().unwrap_or_default();
            let is_owed = |record: RecordId| since.is_some_and(|since| invoked(record) >= since);
            let missing: BTreeMap<Offset, RecordId> =
                acknowledged.chain(read).filter(|(at, record)| at >= to || is_owed(*record)).collect();
            let early = missing.range(..to).count() as u64;
            let required = missing.len() as u64 - early;
            log.owed.push(Owed { rewind, to: *to, required, early, missing });
        }
        self.asked.insert(rewind, asked);
    }

    fn sought(&mut self, entry: &Entry, sought: Sought) {
        let Sought { rewind, group, meant, partition, to } = sought;
        let known = self.acknowledged.get(partition).map(|known| known.range(to..)).into_iter().flatten();
        let mut missing: BTreeMap<Offset, RecordId> = known.map(|(at, record)| (*at, *record)).collect();
        let misdirection = self.misdirection(entry.node, &sought);
        let node = entry.node;
        self.reached.address_reused |= meant.node != node;
        let Some(log) = self.log(group, partition) else { return };
        missing.extend(log.read_from(to));
        log.goes_on(node, to - 1);
        let wronged: Vec<RecordId> = missing.values().copied().take(2).collect();
        let again = log.passes.iter().any(|pass| pass.rewind == rewind);
        log.passes.push(Pass::new(rewind, node, meant, missing));
        self.reached.sought_again |= again;
        if let Some(misdirection) = misdirection {
            self.misdirect(misdirection, entry.at, (group, partition), &wronged);
        }
    }

    /// Why a seek was not meant, if it was not.
    fn misdirection(&self, node: NodeId, sought: &Sought) -> Option<Misdirection> {
        let own = InstanceId { node, incarnation: self.lives.get(&node).copied().unwrap_or(0) };
        let Some(asked) = self.asked.get(&sought.rewind) else { return Some(Misdirection::Elsewhere) };
        let is_place = asked.group == sought.group && asked.offsets.contains_key(&sought.partition);
        if !is_place || asked.instance.is_some_and(|instance| instance != node) {
            return Some(Misdirection::Elsewhere);
        }
        if asked.done {
            return Some(Misdirection::Over);
        }
        // A command to a group is for whoever has its partitions.
        match asked.instance {
            Some(_) if sought.meant.node != node => Some(Misdirection::Elsewhere),
            Some(_) if sought.meant != own => Some(Misdirection::AnotherLife),
            _ => None,
        }
    }

    fn misdirect(
        &mut self,
        why: Misdirection,
        at: Time,
        (group, partition): (GroupId, TopicPartition),
        wronged: &[RecordId],
    ) {
        let (ground, phase, detail) = (Ground::Misdirected, self.course.phase, why as u8);
        let kind = Kind { ground, phase, group: Some(group), partition: Some(partition), detail };
        self.misdirected.add(kind, at, wronged);
    }

    fn rewound(&mut self, at: Time, rewind: u64, group: GroupId, partition: TopicPartition, by: InstanceId) {
        self.confirmed_partitions += 1;
        if let Some(asked) = self.asked.get(&rewind) {
            self.slowest_confirmation_ms = self.slowest_confirmation_ms.max(at.since(asked.at).as_millis());
        }
        let told = Told { rewind, when: (at, self.course.phase), untold: false };
        if let Some(log) = self.log(group, partition) {
            log.take_for_done(told, Some(by));
        }
    }

    /// The operator goes on: he takes a rewind for done in each partition that he meant, whoever told him so. Of one
    /// instance those are meant that it had when he asked and has now: what was moved away from it or came to it
    /// meanwhile is not.
    fn taken_for_done(&mut self, at: Time) {
        let when = (at, self.course.phase);
        for (rewind, asked) in &mut self.asked {
            if std::mem::replace(&mut asked.done, true) {
                continue;
            }
            let held_now = asked.instance.map(|instance| self.holdings.of(instance));
            let Some(logs) = self.groups.get_mut(usize::from(asked.group.0)) else { continue };
            for partition in asked.offsets.keys() {
                let is_held = |now: &BTreeSet<_>| now.contains(partition) && asked.held.contains(partition);
                let log = logs.at(*partition);
                let is_told = log.told.iter().any(|told| told.rewind == *rewind);
                if !is_told && held_now.as_ref().is_none_or(is_held) {
                    log.take_for_done(Told { rewind: *rewind, when, untold: true }, None);
                }
            }
        }
    }

    fn delivered(
        &mut self,
        entry: &Entry,
        group: GroupId,
        record: RecordId,
        (partition, offset): (TopicPartition, Offset),
    ) {
        let (phase, any) = (self.course.phase, !self.asked.is_empty());
        let Some(log) = self.log(group, partition) else { return };
        let stepped_back = log.deliver(entry, offset, record, phase);
        if stepped_back && any {
            self.misdirect(Misdirection::Untold, entry.at, (group, partition), &[record]);
        }
    }

    /// What an instance reads from now on it reads anew.
    fn begun_anew(&mut self, node: NodeId, of: Option<(GroupId, &[TopicPartition])>) {
        match of {
            Some((group, partitions)) => {
                for partition in partitions {
                    let Some(log) = self.log(group, *partition) else { continue };
                    log.readers.retain(|reader| reader.node != node);
                    let moved = log.passes.iter().any(|pass| !pass.missing.is_empty());
                    self.reached.moved_during_replay |= moved;
                }
            }
            None => {
                let logs = self.groups.iter_mut().flat_map(ByPartition::values_mut);
                logs.for_each(|log| log.readers.retain(|reader| reader.node != node));
            }
        }
    }

    /// A log has a new leader, and is without what that one lacks. What a follower loses is its own affair.
    fn led_without(&mut self, partition: TopicPartition, end: Offset) {
        self.acknowledged.at(partition).split_off(&end);
        self.logs_of(partition).for_each(|log| log.end_at(end));
    }

    fn note_surroundings(&mut self, entry: &Entry) {
        if !self.is_under_way() {
            return;
        }
        match &entry.event {
            Event::Granted { group, .. } | Event::Revoked { group, .. } | Event::Rebalanced { group, .. } => {
                let concerned = self.asked.values().any(|asked| !asked.done && asked.group == *group);
                self.reached.rebalanced |= concerned;
            }
            Event::Stopped { orderly: false } => {
                let redis = self.subject.node_name(entry.node) == "redis";
                self.reached.redis_crashed |= redis;
                let mut logs = self.groups.iter().flat_map(ByPartition::iter);
                let reads = logs.any(|(_, log)| log.readers.iter().any(|reader| reader.node == entry.node));
                self.reached.instance_crashed |= reads;
            }
            _ => {}
        }
    }

    /// The anomalies, those included that only the end of the run can tell.
    fn concluded(&self) -> Tally {
        let mut tally = self.misdirected.clone();
        let came_to_its_end = matches!(self.course.ended, Some(EndReason::Drained | EndReason::TimeBudget));
        let logs = self.groups.iter().zip(0..).flat_map(|(logs, group)| {
            logs.iter().map(move |(partition, log)| (GroupId(group), partition, log))
        });
        for (group, partition, log) in logs {
            let start = self.starts.get(partition).copied().unwrap_or_default();
            let kind = |ground, phase, detail| Kind {
                ground,
                phase,
                group: Some(group),
                partition: Some(partition),
                detail,
            };
            let not_rewound = |phase, told: Told, offset: Offset, is_early: bool| {
                let flags = [(told.untold, UNTOLD), (is_early, EARLY), (offset < start, DELETED)];
                let detail = flags.iter().filter(|(is, _)| *is).map(|(_, flag)| flag).sum();
                kind(Ground::NotRewound, phase, detail)
            };
            for (pass, told) in log.confirmed() {
                let (told_at, told_in) = told.when;
                for (offset, record) in pass.missing.iter().filter(|_| came_to_its_end) {
                    match pass.passed_over.get(offset) {
                        Some((at, phase, by)) => {
                            tally.add(not_rewound(*phase, told, *offset, false), *at, &[*record, *by]);
                        }
                        None => tally.add(not_rewound(told_in, told, *offset, false), told_at, &[*record]),
                    }
                }
                for (record, (at, phase, by)) in &pass.late {
                    tally.add(kind(Ground::Skipped, *phase, 0), *at, &[*record, *by]);
                }
            }
            for (owed, told, offset, record) in log.outstanding().filter(|_| came_to_its_end) {
                let (at, phase) = told.when;
                tally.add(not_rewound(phase, told, offset, offset < owed.to), at, &[record]);
            }
        }
        tally
    }

    fn conditions(&self) -> Vec<Condition> {
        let Reached { rebalanced, instance_crashed, redis_crashed, .. } = self.reached;
        let Reached { sought_again, moved_during_replay, address_reused, .. } = self.reached;
        let conditions = [
            ("group-rebalanced-during-a-rewind", rebalanced),
            ("instance-crashed-during-a-rewind", instance_crashed),
            ("redis-crashed-during-a-rewind", redis_crashed),
            ("partition-went-back-again-for-a-rewind", sought_again),
            ("partition-moved-during-its-replay", moved_during_replay),
            ("command-came-to-another-instance", address_reused),
        ];
        let condition =
            |(name, reached): (&str, bool)| Condition { name: name.to_owned(), reached, possible: true };
        conditions.into_iter().map(condition).collect()
    }
}

/// What a seek says.
struct Sought {
    rewind: u64,
    group: GroupId,
    meant: InstanceId,
    partition: TopicPartition,
    to: Offset,
}

impl Checker for Rewind {
    fn observe(&mut self, entry: &Entry) {
        self.course.observe(entry);
        match &entry.event {
            Event::Invoked { record } => *self.invoked.at(record.id) = entry.at,
            Event::Acknowledged { record, queue: Queue::Kafka, partition, offset } => {
                self.acknowledged.at(*partition).insert(*offset, *record);
            }
            Event::Delivered { group, record, queue: Queue::Kafka, partition, offset, .. } => {
                self.delivered(entry, *group, *record, (*partition, *offset));
            }
            Event::RewindAsked { rewind, group, offsets, instance, moment } => {
                let offsets = offsets.iter().copied().collect();
                let (at, group, instance) = (entry.at, *group, *instance);
                let held = instance.map(|instance| self.holdings.of(instance)).unwrap_or_default();
                let asked = Asked { at, group, offsets, instance, held, done: false };
                self.asked_for(*rewind, asked, *moment);
            }
            Event::Sought { rewind, group, meant, partition, to, .. } => {
                let (rewind, group, meant) = (*rewind, *group, *meant);
                self.sought(entry, Sought { rewind, group, meant, partition: *partition, to: *to });
            }
            Event::RewindRefused { meant, .. } => {
                self.reached.address_reused |= meant.node != entry.node;
            }
            Event::Rewound { rewind, group, partition, by } => {
                self.rewound(entry.at, *rewind, *group, *partition, *by);
            }
            Event::StepDone { act: Act::Rewind { .. }, .. } => {
                self.taken_for_done(entry.at);
            }
            Event::Granted { group, queue: Queue::Kafka, partitions } => {
                self.note_surroundings(entry);
                self.holdings.granted(entry.node, partitions);
                self.begun_anew(entry.node, Some((*group, partitions)));
            }
            Event::Revoked { queue: Queue::Kafka, partitions, .. } => {
                self.note_surroundings(entry);
                self.holdings.revoked(entry.node, partitions);
            }
            Event::Started { incarnation } => {
                self.lives.insert(entry.node, *incarnation);
                self.begun_anew(entry.node, None);
            }
            Event::Stopped { .. } => {
                self.note_surroundings(entry);
                self.holdings.stopped(entry.node);
            }
            Event::LeadershipTaken { partition, end, .. } => self.led_without(*partition, *end),
            Event::StartMoved { queue: Queue::Kafka, partition, to, .. } => {
                let start = self.starts.at(*partition);
                *start = (*start).max(*to);
            }
            _ => self.note_surroundings(entry),
        }
    }

    fn judge(&self) -> Judgement {
        let guarantee = Guarantee::Rewind;
        let tally = self.concluded();
        let findings = tally.findings(guarantee, |kind, gathered| summary(&self.subject, kind, gathered));
        let required: u64 =
            self.groups.iter().flat_map(ByPartition::iter).map(|(_, log)| log.required()).sum();
        let missing = tally.on(Ground::NotRewound);
        let figures = vec![
            figure("rewound_partitions", self.confirmed_partitions, ""),
            figure("to_be_delivered_again_records", required, ""),
            figure("not_delivered_again_records", missing, ""),
            figure("slowest_rewind_confirmation_ms", self.slowest_confirmation_ms, ""),
        ];
        let exercised = required > 0;
        let judged = judgement(guarantee, &self.course, exercised, figures, (findings, tally.total));
        Judgement { conditions: self.conditions(), ..judged }
    }
}

#[cfg(test)]
#[path = "rewind_tests.rs"]
mod tests;
