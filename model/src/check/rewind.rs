//! Rewind: where the operator was told that a partition is rewound, each record from there on is delivered to the group
//! again, in order, none passed over; and nothing goes back that was not meant.
//!
//! What was promised is what the operator was told, and, once he goes on, all that he had asked for. A rewind that he
//! still waits for promises nothing: progress tells of a plan that waits. "From there on" are the
//! positions, at the moment of the seek, that the group had been delivered from Kafka, or that a producer was told of by Kafka:
//! what a mirror wrote and the group never read may belong to a transaction that was aborted. Records that come later
//! are at-least-once's. A redelivery after the pass is no anomaly, nor is an instance that goes on from its own
//! position beside the one that went back (that is exclusive's).

use super::tables::ByPartition;
use super::tally::{Gathered, Kind, Tally, figure, judgement};
use super::{Checker, Condition, Course, Ground, Guarantee, Judgement, Subject};
use crate::history::{EndReason, Entry, Event};
use crate::plan::Act;
use crate::record::{GroupId, NodeId, Offset, Queue, RecordId, TopicPartition};
use crate::rewind::InstanceId;
use crate::units::Time;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The checker of rewinds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rewind {
    subject: Arc<Subject>,
    course: Course,
    groups: Vec<Group>,
    /// What producers were told of by Kafka.
    acknowledged: ByPartition<BTreeMap<Offset, RecordId>>,
    asked: BTreeMap<u64, Asked>,
    /// The present life of each node.
    lives: BTreeMap<NodeId, u32>,
    /// Seeks that were not meant.
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
    done: bool,
}

/// A group's reading of Kafka.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Group {
    ordered: bool,
    logs: ByPartition<Log>,
}

/// What a group was delivered of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Log {
    read: BTreeMap<Offset, RecordId>,
    /// The last position of each instance that has read without a break.
    readers: Vec<(NodeId, Offset)>,
    passes: Vec<Pass>,
    /// The rewinds of which the operator was told that they are done here.
    told: Vec<u64>,
}

/// One going back in a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Pass {
    rewind: u64,
    /// Who went back; nobody where the operator only took it for done.
    node: Option<NodeId>,
    meant: InstanceId,
    /// How many positions were to come again.
    required: u64,
    /// Those that have not.
    missing: BTreeMap<Offset, RecordId>,
    /// Those that were passed over: when, in which phase, and by which record.
    passed_over: BTreeMap<Offset, (Time, u32, RecordId)>,
    /// Those that came, but behind later ones.
    late: Vec<(RecordId, (Time, u32, RecordId))>,
    /// When the operator was told, and in which phase.
    confirmed: Option<(Time, u32)>,
    /// Whether nobody had told him: he went on all the same.
    untold: bool,
}

impl Rewind {
    /// A checker of a run that has not begun.
    pub fn new(subject: Arc<Subject>) -> Rewind {
        let groups = subject.groups.iter().map(|group| Group { ordered: group.ordered, ..Group::default() });
        Rewind {
            groups: groups.collect(),
            subject,
            course: Course::default(),
            acknowledged: ByPartition::default(),
            asked: BTreeMap::new(),
            lives: BTreeMap::new(),
            misdirected: Tally::default(),
            confirmed_partitions: 0,
            slowest_confirmation_ms: 0,
            reached: Reached::default(),
        }
    }

    fn log(&mut self, group: GroupId, partition: TopicPartition) -> Option<&mut Log> {
        Some(self.groups.get_mut(usize::from(group.0))?.logs.at(partition))
    }

    fn is_under_way(&self) -> bool {
        self.asked.values().any(|asked| !asked.done)
    }

    fn sought(&mut self, entry: &Entry, sought: Sought) {
        let Sought { rewind, group, meant, partition, to } = sought;
        let known = self.acknowledged.get(partition).map(|known| known.range(to..)).into_iter().flatten();
        let mut missing: BTreeMap<Offset, RecordId> = known.map(|(at, record)| (*at, *record)).collect();
        let own =
            InstanceId { node: entry.node, incarnation: self.lives.get(&entry.node).copied().unwrap_or(0) };
        let is_meant = self.asked.get(&rewind).is_some_and(|asked| {
            let is_instance = asked.instance.is_none_or(|node| node == entry.node && meant == own);
            asked.group == group && asked.offsets.contains_key(&partition) && is_instance
        });
        let node = entry.node;
        self.reached.address_reused |= meant.node != node;
        let Some(log) = self.log(group, partition) else { return };
        missing.extend(log.read_from(to));
        log.readers.retain(|(reader, _)| *reader != node);
        log.readers.push((node, to - 1));
        let wronged: Vec<RecordId> = missing.values().copied().take(2).collect();
        let again = log.passes.iter().any(|pass| pass.rewind == rewind);
        log.passes.push(Pass { node: Some(node), ..Pass::of(rewind, meant, missing) });
        self.reached.sought_again |= again;
        if !is_meant {
            let (ground, phase) = (Ground::Misdirected, self.course.phase);
            let kind = Kind { ground, phase, group: Some(group), partition: Some(partition), detail: 0 };
            self.misdirected.add(kind, entry.at, &wronged);
        }
    }

    fn rewound(&mut self, at: Time, rewind: u64, group: GroupId, partition: TopicPartition, by: InstanceId) {
        self.confirmed_partitions += 1;
        if let Some(asked) = self.asked.get(&rewind) {
            self.slowest_confirmation_ms = self.slowest_confirmation_ms.max(at.since(asked.at).as_millis());
        }
        let phase = self.course.phase;
        let Some(log) = self.log(group, partition) else { return };
        log.told.push(rewind);
        let mut passes = log.passes.iter_mut().rev();
        if let Some(pass) = passes.find(|pass| pass.rewind == rewind && pass.meant == by) {
            pass.confirmed.get_or_insert((at, phase));
        }
    }

    /// The operator goes on: he takes a rewind of partitions for done in each of them, whoever told him so.
    fn taken_for_done(&mut self, at: Time) {
        let phase = self.course.phase;
        for (rewind, asked) in &mut self.asked {
            if std::mem::replace(&mut asked.done, true) || asked.instance.is_some() {
                continue;
            }
            let Some(group) = self.groups.get_mut(usize::from(asked.group.0)) else { continue };
            for (partition, to) in &asked.offsets {
                let log = group.logs.at(*partition);
                if log.told.contains(rewind) {
                    continue;
                }
                if !log.passes.iter().any(|pass| pass.rewind == *rewind) {
                    // Nobody went back, so that nothing of it comes again.
                    log.passes.push(Pass::of(*rewind, InstanceId::default(), log.read_from(*to)));
                }
                let last = log.passes.iter_mut().rfind(|pass| pass.rewind == *rewind);
                if let Some(pass) = last.filter(|pass| pass.confirmed.is_none()) {
                    (pass.confirmed, pass.untold) = (Some((at, phase)), true);
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
        let phase = self.course.phase;
        let Some(log) = self.log(group, partition) else { return };
        let own = log.readers.iter().find(|(reader, _)| *reader == entry.node).map(|(_, own)| *own);
        for pass in &mut log.passes {
            pass.take(entry, offset, record, own, phase);
        }
        log.read.insert(offset, record);
        match log.readers.iter_mut().find(|(reader, _)| *reader == entry.node) {
            Some((_, own)) => *own = offset,
            None => log.readers.push((entry.node, offset)),
        }
    }

    /// What an instance reads from now on it reads anew.
    fn begun_anew(&mut self, node: NodeId, of: Option<(GroupId, &[TopicPartition])>) {
        match of {
            Some((group, partitions)) => {
                for partition in partitions {
                    let Some(log) = self.log(group, *partition) else { continue };
                    log.readers.retain(|(reader, _)| *reader != node);
                    let moved = log.passes.iter().any(|pass| !pass.missing.is_empty());
                    self.reached.moved_during_replay |= moved;
                }
            }
            None => {
                let logs = self.groups.iter_mut().flat_map(|group| group.logs.values_mut());
                logs.for_each(|log| log.readers.retain(|(reader, _)| *reader != node));
            }
        }
    }

    fn truncated(&mut self, partition: TopicPartition, to: Offset) {
        self.acknowledged.at(partition).split_off(&to);
        for group in &mut self.groups {
            let log = group.logs.at(partition);
            log.read.split_off(&to);
            for pass in &mut log.passes {
                pass.missing.split_off(&to);
            }
        }
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
                let logs = self.groups.iter().flat_map(|group| group.logs.iter());
                let reads =
                    logs.into_iter().any(|(_, log)| log.readers.iter().any(|(node, _)| *node == entry.node));
                self.reached.instance_crashed |= reads;
            }
            _ => {}
        }
    }

    /// The passes that were confirmed.
    fn confirmed(&self) -> impl Iterator<Item = (GroupId, bool, TopicPartition, &Pass, (Time, u32))> {
        self.groups.iter().zip(0..).flat_map(|(group, id)| {
            group.logs.iter().flat_map(move |(partition, log)| {
                let confirmed = log.passes.iter().filter_map(|pass| Some((pass, pass.confirmed?)));
                confirmed.map(move |(pass, when)| (GroupId(id), group.ordered, partition, pass, when))
            })
        })
    }

    /// The anomalies, those included that only the end of the run can tell.
    fn concluded(&self) -> Tally {
        let mut tally = self.misdirected.clone();
        let came_to_its_end = matches!(self.course.ended, Some(EndReason::Drained | EndReason::TimeBudget));
        for (group, ordered, partition, pass, (told_at, told_in)) in self.confirmed() {
            let (group, partition, detail) = (Some(group), Some(partition), u8::from(pass.untold));
            let kind = |ground, phase| Kind { ground, phase, group, partition, detail };
            for (offset, record) in pass.missing.iter().filter(|_| came_to_its_end) {
                match pass.passed_over.get(offset) {
                    Some((at, phase, by)) => {
                        tally.add(kind(Ground::NotRewound, *phase), *at, &[*record, *by]);
                    }
                    None => tally.add(kind(Ground::NotRewound, told_in), told_at, &[*record]),
                }
            }
            for (record, (at, phase, by)) in pass.late.iter().filter(|_| ordered) {
                tally.add(kind(Ground::Skipped, *phase), *at, &[*record, *by]);
            }
        }
        tally
    }

    fn summary(&self, kind: &Kind, gathered: &Gathered) -> String {
        let group = self.subject.group_name(kind.group.unwrap_or_default());
        let partition = self.subject.partition_name(kind.partition.unwrap_or_default());
        let phase = self.subject.phase_name(kind.phase);
        let (first, at, more) = (gathered.first(), gathered.at, gathered.and_more());
        match kind.ground {
            Ground::Misdirected => format!(
                "an instance of {group} that was not meant went back in {partition} at {at} during {phase}, \
                 to {first} or before"
            ),
            Ground::Skipped => format!(
                "{group} was rewound in {partition} and went on to {} at {at} during {phase} before it was \
                 delivered {first} again{more}",
                gathered.second()
            ),
            _ if kind.detail == 0 => format!(
                "the operator was told that {group} is rewound in {partition}, and {first}{more} was not \
                 delivered again: by {at}, during {phase}, it was passed over"
            ),
            _ => format!(
                "the operator went on as if {group} were rewound in {partition}, which nobody had told him, and \
                 {first}{more} was not delivered again: by {at}, during {phase}, it was passed over"
            ),
        }
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

impl Log {
    /// What the group was delivered from that offset on.
    fn read_from(&self, to: Offset) -> BTreeMap<Offset, RecordId> {
        self.read.range(to..).map(|(at, record)| (*at, *record)).collect()
    }
}

impl Pass {
    fn of(rewind: u64, meant: InstanceId, missing: BTreeMap<Offset, RecordId>) -> Pass {
        Pass {
            rewind,
            node: None,
            meant,
            required: missing.len() as u64,
            missing,
            passed_over: BTreeMap::new(),
            late: Vec::new(),
            confirmed: None,
            untold: false,
        }
    }

    /// The group was delivered something of the partition, by an instance that had read up to `own`.
    fn take(&mut self, entry: &Entry, offset: Offset, record: RecordId, own: Option<Offset>, phase: u32) {
        let Some((&first, _)) = self.missing.first_key_value() else { return };
        if offset < first {
            return;
        }
        let goes_on = |own: Offset| own >= first && self.missing.range(own + 1..offset).next().is_none();
        if offset > first && Some(entry.node) != self.node && own.is_some_and(goes_on) {
            return;
        }
        let by = (entry.at, phase, record);
        for passed in self.missing.range(first..offset).map(|(passed, _)| *passed) {
            self.passed_over.entry(passed).or_insert(by);
        }
        if let Some(record) = self.missing.remove(&offset)
            && let Some(over) = self.passed_over.remove(&offset)
        {
            self.late.push((record, over));
        }
    }
}

impl Checker for Rewind {
    fn observe(&mut self, entry: &Entry) {
        self.course.observe(entry);
        match &entry.event {
            Event::Acknowledged { record, queue: Queue::Kafka, partition, offset } => {
                self.acknowledged.at(*partition).insert(*offset, *record);
            }
            Event::Delivered { group, record, queue: Queue::Kafka, partition, offset, .. } => {
                self.delivered(entry, *group, *record, (*partition, *offset));
            }
            Event::RewindAsked { rewind, group, offsets, instance } => {
                let offsets = offsets.iter().copied().collect();
                let (at, group, instance) = (entry.at, *group, *instance);
                self.asked.insert(*rewind, Asked { at, group, offsets, instance, done: false });
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
                self.begun_anew(entry.node, Some((*group, partitions)));
            }
            Event::Started { incarnation } => {
                self.lives.insert(entry.node, *incarnation);
                self.begun_anew(entry.node, None);
            }
            Event::Truncated { queue: Queue::Kafka, partition, to, .. } => self.truncated(*partition, *to),
            _ => self.note_surroundings(entry),
        }
    }

    fn judge(&self) -> Judgement {
        let guarantee = Guarantee::Rewind;
        let tally = self.concluded();
        let findings = tally.findings(guarantee, |kind, gathered| self.summary(kind, gathered));
        let required: u64 = self.confirmed().map(|(_, _, _, pass, _)| pass.required).sum();
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
