//! The *sometimes* conditions: what a sweep should have reached at least once for its verdicts to mean something.
//! Every run of a case has the same list, by the names of the plan's phases, so that what was never reached shows.

mod possible;

pub use possible::Outline;

use super::tables::{ByPartition, ByRecord, Hop, grown};
use super::{Condition, Course, Guarantee, Subject};
use crate::history::{Entry, Event};
use crate::record::{GroupId, NodeId, Queue, RecordId, TopicPartition};
use crate::switch::Hold;
use crate::units::{Span, Time};
use serde::Serialize;
use std::sync::Arc;
use strum::IntoEnumIterator;

/// A copy that is acknowledged so much later than its record is a lag of the mirror.
const MIRROR_LAG: Span = Span::secs(1);

/// What may be reached in each phase.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, strum::Display, strum::EnumIter,
)]
#[strum(serialize_all = "kebab-case")]
enum InPhase {
    FaultStruck,
    MasterFailed,
    LeaderChanged,
    LogTruncated,
    MirrorLagged,
    MirrorCrashed,
    ProducerCrashed,
    SendIndeterminate,
    InstanceCrashedWhileProcessing,
    InstanceTookOver,
    RecordRedelivered,
    ProducerHeld,
    OperatorCrashed,
    GateWaited,
}

/// What may be reached at any time.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, strum::Display, strum::EnumIter,
)]
#[strum(serialize_all = "kebab-case")]
enum Anytime {
    RecordStoredTwiceByAProducer,
    RecordCopiedTwice,
    MirrorWroteAfterAnotherWasGranted,
    MirrorWorkerWasFenced,
    RecordReadFromBothQueues,
    RedeliveryHappened,
    GroupRebalancedWhilePaused,
    GroupCrossedToKafka,
    WrittenToKafkaWhileTheMirrorLagged,
    ProducerHeldWhileAMirrorWasDown,
    PartitionSharedByProducers,
    GateTimedOut,
}

impl InPhase {
    fn guarantee(self) -> Guarantee {
        match self {
            InPhase::MasterFailed
            | InPhase::LogTruncated
            | InPhase::MirrorCrashed
            | InPhase::ProducerCrashed
            | InPhase::InstanceCrashedWhileProcessing
            | InPhase::SendIndeterminate => Guarantee::AtLeastOnce,
            InPhase::MirrorLagged | InPhase::LeaderChanged => Guarantee::Order,
            InPhase::RecordRedelivered => Guarantee::BoundedReplay,
            InPhase::InstanceTookOver => Guarantee::Exclusive,
            InPhase::FaultStruck | InPhase::ProducerHeld => Guarantee::ZeroDowntime,
            InPhase::OperatorCrashed | InPhase::GateWaited => Guarantee::Progress,
        }
    }
}

impl Anytime {
    fn guarantee(self) -> Guarantee {
        match self {
            Anytime::RecordStoredTwiceByAProducer
            | Anytime::RecordCopiedTwice
            | Anytime::MirrorWroteAfterAnotherWasGranted
            | Anytime::MirrorWorkerWasFenced
            | Anytime::RecordReadFromBothQueues
            | Anytime::RedeliveryHappened => Guarantee::BoundedReplay,
            Anytime::GroupRebalancedWhilePaused => Guarantee::Exclusive,
            Anytime::GroupCrossedToKafka => Guarantee::AtLeastOnce,
            Anytime::WrittenToKafkaWhileTheMirrorLagged | Anytime::PartitionSharedByProducers => {
                Guarantee::Order
            }
            Anytime::ProducerHeldWhileAMirrorWasDown => Guarantee::ZeroDowntime,
            Anytime::GateTimedOut => Guarantee::Progress,
        }
    }
}

/// What a node was seen to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Role {
    mirrors: bool,
    operates: bool,
    produces: bool,
    leads_corgi: bool,
    holds: bool,
    /// Its group, while it is paused.
    paused: Option<GroupId>,
    down: bool,
    /// How many records it was delivered and has not processed.
    processing: u32,
}

/// The observer of conditions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conditions {
    subject: Arc<Subject>,
    course: Course,
    in_phase: Vec<u32>,
    anytime: u32,
    roles: Vec<Role>,
    copies: ByRecord<Copies>,
    uncopied: ByPartition<u32>,
    producer_of: ByPartition<Option<u32>>,
    /// By source partition: the mirror's worker to which it was granted last.
    mirror_of: ByPartition<Option<NodeId>>,
    groups: Vec<Group>,
    holds: u32,
    mirrors_down: u32,
}

/// What the mirror did with a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Copies {
    in_corgi_since: Option<Time>,
    copied: bool,
}

/// What a group read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Group {
    last: ByPartition<Option<NodeId>>,
    read_corgi: bool,
    paused: u32,
}

impl Conditions {
    /// An observer of a run that has not begun.
    pub fn new(subject: Arc<Subject>) -> Conditions {
        let mut roles = Vec::new();
        for first in subject.corgi_sets.iter().filter_map(|set| set.first()) {
            grown::<Role>(&mut roles, first.0 as usize).leads_corgi = true;
        }
        Conditions {
            subject,
            course: Course::default(),
            in_phase: Vec::new(),
            anytime: 0,
            roles,
            copies: ByRecord::default(),
            uncopied: ByPartition::default(),
            producer_of: ByPartition::default(),
            mirror_of: ByPartition::default(),
            groups: Vec::new(),
            holds: 0,
            mirrors_down: 0,
        }
    }

    /// The conditions of a guarantee, in a fixed order.
    pub fn of(&self, guarantee: Guarantee) -> Vec<Condition> {
        let mut conditions = Vec::new();
        let outline = self.subject.outline.as_ref();
        for condition in InPhase::iter().filter(|condition| condition.guarantee() == guarantee) {
            for (name, phase) in self.subject.phases.iter().zip(1..) {
                let reached = self.in_phase.get(phase).is_some_and(|set| set & 1 << condition as u32 != 0);
                let possible = reached || outline.is_none_or(|plan| plan.allows_in(condition, phase));
                let name = format!("{condition}-during-{name}");
                conditions.push(Condition { name, reached, possible });
            }
        }
        for condition in Anytime::iter().filter(|condition| condition.guarantee() == guarantee) {
            let reached = self.anytime & 1 << condition as u32 != 0;
            let possible = reached || outline.is_none_or(|plan| plan.allows(condition));
            conditions.push(Condition { name: condition.to_string(), reached, possible });
        }
        conditions
    }

    /// All conditions.
    pub fn all(&self) -> Vec<Condition> {
        Guarantee::iter().flat_map(|guarantee| self.of(guarantee)).collect()
    }

    fn during(&mut self, condition: InPhase) {
        *grown(&mut self.in_phase, self.course.phase as usize) |= 1 << condition as u32;
    }

    fn reach(&mut self, condition: Anytime) {
        self.anytime |= 1 << condition as u32;
    }

    fn role(&mut self, node: NodeId) -> &mut Role {
        grown(&mut self.roles, node.0 as usize)
    }

    /// Take the next entry of the history; of a delivery also the hop that made it a duplicate, if one did.
    pub fn observe(&mut self, entry: &Entry, hop: Option<Hop>) {
        self.course.observe(entry);
        match &entry.event {
            Event::Invoked { record } => {
                self.role(entry.node).produces = true;
                let known = self.producer_of.at(record.source_partition());
                if known.get_or_insert(record.id.producer) != &record.id.producer {
                    self.reach(Anytime::PartitionSharedByProducers);
                }
            }
            Event::Acknowledged { record, queue, partition, .. } => {
                self.acknowledged(entry.at, *record, *queue, *partition);
            }
            Event::Indeterminate { .. } => self.during(InPhase::SendIndeterminate),
            Event::Copied { record, source, .. } => self.copied(entry, *record, *source),
            Event::MirrorCommitted { .. } | Event::Skipped { .. } => self.role(entry.node).mirrors = true,
            Event::Delivered { group, source, queue, .. } => {
                self.delivered(entry.node, *group, *source, *queue);
                self.duplicated(hop);
            }
            Event::Processed { .. } => {
                let role = self.role(entry.node);
                role.processing = role.processing.saturating_sub(1);
            }
            _ => self.observe_systems(entry),
        }
    }

    fn observe_systems(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Granted { group, queue, partitions } => {
                // The mirror's group comes behind the groups of the case.
                if usize::from(group.0) == self.subject.groups.len() && *queue == Queue::Corgi {
                    for partition in partitions {
                        *self.mirror_of.at(*partition) = Some(entry.node);
                    }
                }
                self.rebalanced(*group);
            }
            Event::Revoked { group, .. } => self.rebalanced(*group),
            Event::Rebalanced { group, .. } => self.rebalanced(*group),
            Event::Paused { group, paused } => self.paused(entry.node, *group, *paused),
            Event::Writing { hold, .. } => self.writing(entry.node, *hold != Hold::Nothing),
            Event::LeaderChanged { queue, partition, leader, .. } => {
                self.leader_changed(*queue, *partition, *leader);
            }
            Event::Truncated { .. } => self.during(InPhase::LogTruncated),
            Event::WorkerFenced { .. } => self.reach(Anytime::MirrorWorkerWasFenced),
            Event::FaultBegun { .. } => self.during(InPhase::FaultStruck),
            Event::PhaseBegun { .. } | Event::StepDone { .. } | Event::GateOpened { .. } => {
                self.role(entry.node).operates = true;
            }
            Event::GateWaiting { .. } => {
                self.role(entry.node).operates = true;
                self.during(InPhase::GateWaited);
            }
            Event::GateTimedOut { .. } => self.reach(Anytime::GateTimedOut),
            Event::Stopped { orderly } => self.stopped(entry.node, *orderly),
            Event::Started { .. } => self.started(entry.node),
            _ => {}
        }
    }

    fn acknowledged(&mut self, at: Time, record: RecordId, queue: Queue, partition: TopicPartition) {
        match queue {
            Queue::Corgi => {
                let copies = self.copies.at(record);
                if copies.in_corgi_since.is_none() {
                    copies.in_corgi_since = Some(at);
                    if !copies.copied {
                        *self.uncopied.at(partition) += 1;
                    }
                }
            }
            Queue::Kafka => {
                if self.uncopied.get(partition).is_some_and(|records| *records > 0) {
                    self.reach(Anytime::WrittenToKafkaWhileTheMirrorLagged);
                }
            }
        }
    }

    fn copied(&mut self, entry: &Entry, record: RecordId, source: TopicPartition) {
        self.role(entry.node).mirrors = true;
        if self.mirror_of.get(source).copied().flatten().is_some_and(|owner| owner != entry.node) {
            self.reach(Anytime::MirrorWroteAfterAnotherWasGranted);
        }
        let copies = self.copies.at(record);
        let again = std::mem::replace(&mut copies.copied, true);
        let since = copies.in_corgi_since;
        if again {
            self.reach(Anytime::RecordCopiedTwice);
            return;
        }
        let Some(since) = since else { return };
        let uncopied = self.uncopied.at(source);
        *uncopied = uncopied.saturating_sub(1);
        if entry.at.since(since) > MIRROR_LAG {
            self.during(InPhase::MirrorLagged);
        }
    }

    fn delivered(&mut self, node: NodeId, group: GroupId, source: TopicPartition, queue: Queue) {
        self.role(node).processing += 1;
        let state = grown(&mut self.groups, usize::from(group.0));
        let before = state.last.at(source).replace(node);
        let crossed = state.read_corgi && queue == Queue::Kafka;
        state.read_corgi |= queue == Queue::Corgi;
        if before.is_some_and(|before| before != node) {
            self.during(InPhase::InstanceTookOver);
        }
        if crossed {
            self.reach(Anytime::GroupCrossedToKafka);
        }
    }

    fn duplicated(&mut self, hop: Option<Hop>) {
        match hop {
            Some(Hop::Producer) => self.reach(Anytime::RecordStoredTwiceByAProducer),
            Some(Hop::Mirror) => self.reach(Anytime::RecordCopiedTwice),
            Some(Hop::Crossing) => self.reach(Anytime::RecordReadFromBothQueues),
            Some(Hop::Consumer) => {
                self.reach(Anytime::RedeliveryHappened);
                self.during(InPhase::RecordRedelivered);
            }
            None => {}
        }
    }

    fn rebalanced(&mut self, group: GroupId) {
        if self.groups.get(usize::from(group.0)).is_some_and(|group| group.paused > 0) {
            self.reach(Anytime::GroupRebalancedWhilePaused);
        }
    }

    fn paused(&mut self, node: NodeId, group: GroupId, paused: bool) {
        let before = std::mem::replace(&mut self.role(node).paused, paused.then_some(group));
        if before.is_some() != paused {
            let group = grown(&mut self.groups, usize::from(group.0));
            group.paused = if paused { group.paused + 1 } else { group.paused.saturating_sub(1) };
        }
    }

    fn writing(&mut self, node: NodeId, holds: bool) {
        self.role(node).produces = true;
        if std::mem::replace(&mut self.role(node).holds, holds) != holds {
            self.holds = if holds { self.holds + 1 } else { self.holds.saturating_sub(1) };
        }
        if holds {
            self.during(InPhase::ProducerHeld);
        }
        self.held_and_down();
    }

    fn held_and_down(&mut self) {
        if self.holds > 0 && self.mirrors_down > 0 {
            self.reach(Anytime::ProducerHeldWhileAMirrorWasDown);
        }
    }

    fn leader_changed(&mut self, queue: Queue, partition: TopicPartition, leader: Option<NodeId>) {
        self.during(InPhase::LeaderChanged);
        if queue == Queue::Corgi {
            // The first masters are there before the plan begins: a change during a phase follows a failure.
            self.during(InPhase::MasterFailed);
            let subject = self.subject.clone();
            let set = subject.corgi_set(partition).and_then(|set| subject.corgi_sets.get(set));
            for broker in set.into_iter().flatten() {
                self.role(*broker).leads_corgi = false;
            }
            if let Some(leader) = leader {
                self.role(leader).leads_corgi = true;
            }
        }
    }

    fn stopped(&mut self, node: NodeId, orderly: bool) {
        let role = *self.role(node);
        *self.role(node) = Role { processing: 0, down: true, paused: None, holds: false, ..role };
        self.holds = self.holds.saturating_sub(u32::from(role.holds));
        if let Some(group) = role.paused {
            let group = grown(&mut self.groups, usize::from(group.0));
            group.paused = group.paused.saturating_sub(1);
        }
        if role.mirrors && !role.down {
            self.mirrors_down += 1;
            self.held_and_down();
        }
        if orderly {
            return;
        }
        let struck = [
            (role.mirrors, InPhase::MirrorCrashed),
            (role.operates, InPhase::OperatorCrashed),
            (role.produces, InPhase::ProducerCrashed),
            (role.leads_corgi, InPhase::MasterFailed),
            (role.processing > 0, InPhase::InstanceCrashedWhileProcessing),
        ];
        struck.into_iter().filter(|(reached, _)| *reached).for_each(|(_, condition)| self.during(condition));
    }

    fn started(&mut self, node: NodeId) {
        let role = self.role(node);
        role.processing = 0;
        let was_down = std::mem::replace(&mut role.down, false);
        if role.mirrors && was_down {
            self.mirrors_down = self.mirrors_down.saturating_sub(1);
        }
    }
}
