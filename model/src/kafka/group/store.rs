//! Groups and offsets as records of the internal topic: written, read anew by the next coordinator, forgotten.

use super::commit::CommitResults;
use super::join::refused;
use super::{Caller, Committed, Group, Member, State};
use crate::kafka::broker::{Broker, Context, Task};
use crate::kafka::log::{Entry, Payload};
use crate::kafka::protocol::{
    Assignment, CommitPartition, ErrorCode, MemberId, ProducerId, Response, TransactionalId,
};
use crate::kafka::stored::{Stored, StoredGroup, StoredMember, StoredTransaction};
use crate::kafka::transaction::{Changed, Marker};
use crate::kafka::wiring::OFFSETS_TOPIC;
use crate::record::{GroupId, NodeId, Offset, TopicId, TopicPartition};
use crate::units::Time;
use serde::Serialize;
use std::collections::BTreeMap;

/// How a coordinator goes on when the replicas have what it wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Continuation {
    /// Answer a commit.
    Commit {
        /// Who committed.
        caller: Caller,
        /// For which group.
        group: GroupId,
        /// What.
        offsets: Vec<CommitPartition>,
        /// What is decided already, a partition each.
        results: CommitResults,
        /// When.
        at: Time,
        /// The producer, for a commit inside a transaction.
        producer: Option<ProducerId>,
    },
    /// Hand the assignments out.
    Assignments {
        /// The group.
        group: GroupId,
        /// The generation that they are for.
        generation: i32,
        /// Each member's.
        assignments: BTreeMap<MemberId, Assignment>,
    },
    /// Answer a static member's join.
    Replaced {
        /// The group.
        group: GroupId,
        /// Its new id.
        id: MemberId,
        /// The leader that it is told.
        leader: MemberId,
    },
    /// A transaction's next state.
    Transaction {
        /// The state.
        next: Box<StoredTransaction>,
        /// Who waits for it.
        then: Changed,
    },
    /// Forget a transactional id.
    TransactionGone {
        /// Which.
        transaction: TransactionalId,
    },
    /// Tell a transaction's coordinator of its marker.
    Marker {
        /// The coordinator.
        from: NodeId,
        /// The marker.
        marker: Marker,
        /// Where it was written.
        partition: TopicPartition,
    },
    /// Nothing more.
    Done,
}

impl Group {
    /// A commit counts unless a later one does already; in a transaction it waits for the end.
    pub(super) fn take_commit(
        &mut self,
        producer: Option<ProducerId>,
        partition: TopicPartition,
        committed: Committed,
    ) {
        let offsets = match producer {
            None => &mut self.offsets,
            Some(producer) => self.undecided.entry(producer).or_default(),
        };
        let later = offsets.get(&partition).is_none_or(|before| before.place <= committed.place);
        if later {
            offsets.insert(partition, committed);
        }
    }

    /// A transaction ended: its offsets count, or never will.
    pub(super) fn decide(&mut self, producer: ProducerId, commit: bool) {
        let offsets = self.undecided.remove(&producer).unwrap_or_default();
        if commit {
            for (partition, committed) in offsets {
                self.take_commit(None, partition, committed);
            }
        }
    }

    fn stored(&self, group: GroupId, assignments: Option<&BTreeMap<MemberId, Assignment>>) -> StoredGroup {
        let protocol = self.protocol.unwrap_or_default();
        let members = self
            .members
            .iter()
            .map(|(id, member)| StoredMember {
                member: *id,
                instance: member.instance,
                session: member.session,
                rebalance: member.rebalance,
                subscription: member.subscription(protocol).cloned().unwrap_or_default(),
                assignment: match assignments {
                    Some(assignments) => assignments.get(id).cloned().unwrap_or_default(),
                    None => member.assignment.clone(),
                },
            })
            .collect();
        StoredGroup {
            group,
            generation: self.generation,
            protocol_type: self.protocol_type,
            protocol: self.protocol,
            leader: self.leader,
            members,
        }
    }

    /// Become what is kept. The members' other protocols are forgotten, as in Kafka.
    fn restore(&mut self, stored: &StoredGroup) {
        self.generation = stored.generation;
        self.protocol_type = stored.protocol_type;
        self.protocol = stored.protocol;
        self.leader = stored.leader;
        self.members.clear();
        self.instances.clear();
        for kept in &stored.members {
            let member = Member {
                instance: kept.instance,
                session: kept.session,
                rebalance: kept.rebalance,
                protocols: vec![(stored.protocol.unwrap_or_default(), kept.subscription.clone())],
                assignment: kept.assignment.clone(),
                join: None,
                sync: None,
                is_new: false,
            };
            if let Some(instance) = kept.instance {
                self.instances.insert(instance, kept.member);
            }
            self.members.insert(kept.member, member);
        }
        self.note_subscriptions();
        self.state = if self.members.is_empty() { State::Empty } else { State::Stable };
    }
}

/// Errors of the log as the coordinator's callers are told them.
fn coordinators_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::NotEnoughReplicas
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::RequestTimedOut => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower => ErrorCode::NotCoordinator,
        other => other,
    }
}

impl Broker {
    /// The replicas have what a coordinator wrote, or it could not be written.
    pub(crate) fn stored(
        &mut self,
        cx: &mut Context<'_>,
        then: Continuation,
        error: ErrorCode,
        place: Offset,
    ) {
        match then {
            Continuation::Commit { .. } => self.commit_stored(cx, then, error, place),
            Continuation::Assignments { group, generation, assignments } => {
                self.assignments_stored(cx, group, generation, assignments, coordinators_error(error));
            }
            Continuation::Replaced { group, id, leader } => {
                self.replaced_stored(cx, group, id, leader, coordinators_error(error));
            }
            Continuation::Transaction { next, then } => {
                self.transaction_changed(cx, *next, then, coordinators_error(error));
            }
            Continuation::TransactionGone { transaction } => self.transaction_gone(transaction, error),
            Continuation::Marker { from, marker, partition } => {
                self.marker_written(cx, from, marker, partition, error);
            }
            Continuation::Done => {}
        }
    }

    pub(super) fn store_assignments(
        &mut self,
        cx: &mut Context<'_>,
        at: GroupId,
        generation: i32,
        assignments: BTreeMap<MemberId, Assignment>,
    ) {
        let Some(group) = self.group(at) else { return };
        let stored = Stored::Group(group.stored(at, Some(&assignments)));
        let then = Continuation::Assignments { group: at, generation, assignments };
        self.store(cx, self.group_partition(at), None, vec![stored], then);
    }

    pub(super) fn store_emptied(&mut self, cx: &mut Context<'_>, at: GroupId) {
        let Some(group) = self.group(at) else { return };
        let stored = Stored::Group(group.stored(at, None));
        self.store(cx, self.group_partition(at), None, vec![stored], Continuation::Done);
    }

    pub(super) fn store_replaced(
        &mut self,
        cx: &mut Context<'_>,
        at: GroupId,
        id: MemberId,
        leader: MemberId,
    ) {
        let Some(group) = self.group(at) else { return };
        let stored = Stored::Group(group.stored(at, None));
        let then = Continuation::Replaced { group: at, id, leader };
        self.store(cx, self.group_partition(at), None, vec![stored], then);
    }

    /// A static member's new id is kept: whoever leads, it assigns nothing.
    fn replaced_stored(
        &mut self,
        cx: &mut Context<'_>,
        at: GroupId,
        id: MemberId,
        leader: MemberId,
        error: ErrorCode,
    ) {
        let Some(group) = self.group_mut(at) else { return };
        let (skip_assignment, mut answer) = (leader == id, group.joined(id));
        let Some(join) = group.members.get_mut(&id).and_then(|member| member.join.take()) else { return };
        if error != ErrorCode::None {
            answer = refused(MemberId::NONE, error);
        } else if let Response::JoinGroup { leader: told, members, skip_assignment: skip, .. } = &mut answer {
            (*told, *skip) = (leader, skip_assignment);
            if !skip_assignment {
                members.clear();
            }
        }
        cx.answer(join.0, join.1, answer);
    }

    /// This broker leads an internal partition now: read its groups. Sessions begin anew.
    pub(crate) fn load_groups(&mut self, cx: &mut Context<'_>, partition: u16) {
        self.volatile.groups.loaded.insert(partition);
        let at = TopicPartition { topic: OFFSETS_TOPIC, partition };
        let Some(replica) = self.durable.replicas.get(at) else { return };
        let mut groups: BTreeMap<GroupId, Group> = BTreeMap::new();
        let log = &replica.log;
        for (entry, place) in log.range(log.start(), log.end()).iter().zip(log.start()..) {
            replay(&mut groups, entry, place);
        }
        let mut members = Vec::new();
        for (at, group) in &mut groups {
            group.emptied_at = cx.now.elapsed;
            members.extend(group.members.keys().map(|id| (*at, *id)));
        }
        self.volatile.groups.by_id.extend(groups);
        for (group, id) in members {
            self.renew_session(cx, group, id);
        }
    }

    /// Another broker leads an internal partition now: whoever waits here is sent there.
    pub(crate) fn unload_groups(&mut self, cx: &mut Context<'_>, partition: u16) {
        self.volatile.groups.loaded.remove(&partition);
        let gone: Vec<GroupId> = self
            .volatile
            .groups
            .by_id
            .keys()
            .copied()
            .filter(|group| self.group_partition(*group).partition == partition)
            .collect();
        for at in gone {
            let Some(group) = self.volatile.groups.by_id.remove(&at) else { continue };
            let error = ErrorCode::NotCoordinator;
            for id in group.promised {
                self.volatile.deadlines.cancel(Task::EndSession(at, id));
            }
            for (id, member) in group.members {
                self.volatile.deadlines.cancel(Task::EndSession(at, id));
                if let Some((from, request)) = member.join {
                    cx.answer(from, request, refused(id, error));
                }
                if let Some((from, request)) = member.sync {
                    let assignment = Assignment::default();
                    cx.answer(from, request, Response::SyncGroup { error, assignment });
                }
            }
            self.volatile.deadlines.cancel(Task::EndJoin(at));
            self.volatile.deadlines.cancel(Task::EndSync(at));
        }
    }

    /// A topic is gone, and with it the offsets that were committed for it, also in a transaction that is still open.
    pub(crate) fn forget_offsets_of(&mut self, cx: &mut Context<'_>, topic: TopicId) {
        let groups: Vec<GroupId> = self.volatile.groups.by_id.keys().copied().collect();
        for at in groups {
            let Some(group) = self.group_mut(at) else { continue };
            for (_, offsets) in group.undecided.iter_mut() {
                offsets.retain(|partition, _| partition.topic != topic);
            }
            let partitions: Vec<TopicPartition> =
                group.offsets.keys().copied().filter(|partition| partition.topic == topic).collect();
            if !partitions.is_empty() {
                self.forget_offsets(cx, at, partitions);
            }
        }
    }

    /// Delete committed offsets, and the group with them if it is empty and has no others.
    pub(super) fn forget_offsets(
        &mut self,
        cx: &mut Context<'_>,
        at: GroupId,
        partitions: Vec<TopicPartition>,
    ) {
        let Some(group) = self.group_mut(at) else { return };
        for partition in &partitions {
            group.offsets.remove(partition);
        }
        let is_gone = group.state == State::Empty && !group.has_offsets();
        let mut stored = Vec::new();
        if !partitions.is_empty() {
            stored.push(Stored::OffsetsGone { group: at, partitions });
        }
        if is_gone {
            stored.push(Stored::GroupGone(at));
            for id in group.promised.clone() {
                self.volatile.deadlines.cancel(Task::EndSession(at, id));
            }
            self.volatile.groups.by_id.remove(&at);
        }
        if !stored.is_empty() {
            self.store(cx, self.group_partition(at), None, stored, Continuation::Done);
        }
    }

    /// Write down that a committed offset is gone; the group itself stays until the next look at empty groups.
    pub(super) fn store_forgotten(&mut self, cx: &mut Context<'_>, at: GroupId, partition: TopicPartition) {
        let stored = Stored::OffsetsGone { group: at, partitions: vec![partition] };
        self.store(cx, self.group_partition(at), None, vec![stored], Continuation::Done);
    }

    /// A transaction ended: its offsets in the groups of an internal partition are decided.
    pub(crate) fn decide_offsets(&mut self, partition: u16, producer: ProducerId, commit: bool) {
        let partitions = self.settings.offsets_partitions;
        for (at, group) in &mut self.volatile.groups.by_id {
            if at.0 % partitions == partition {
                group.decide(producer, commit);
            }
        }
    }

    /// Look for offsets that have been kept long enough, and for empty groups without offsets.
    pub(crate) fn expire_groups(&mut self, cx: &mut Context<'_>) {
        let again = cx.time() + self.settings.offsets_retention_check;
        self.volatile.deadlines.set(Task::ExpireGroups, again);
        let kept = self.settings.offsets_retention;
        let empty: Vec<GroupId> = self
            .volatile
            .groups
            .by_id
            .iter()
            .filter(|(_, group)| group.state == State::Empty)
            .map(|(at, _)| *at)
            .collect();
        for at in empty {
            let Some(group) = self.group(at) else { continue };
            let expired = group
                .offsets
                .iter()
                .filter(|(_, committed)| cx.time().since(committed.at.max(group.emptied_at)) >= kept)
                .map(|(partition, _)| *partition)
                .collect();
            self.forget_offsets(cx, at, expired);
        }
    }
}

/// Take one record of the internal topic in.
fn replay(groups: &mut BTreeMap<GroupId, Group>, entry: &Entry, place: Offset) {
    let stored = match &entry.payload {
        Payload::Stored(stored) => stored,
        Payload::Marker { commit, .. } => {
            if let Some(stamp) = entry.stamp {
                groups.values_mut().for_each(|group| group.decide(stamp.id, *commit));
            }
            return;
        }
        Payload::Record(_) => return,
    };
    match &**stored {
        Stored::Group(kept) => groups.entry(kept.group).or_default().restore(kept),
        Stored::GroupGone(group) => {
            groups.remove(group);
        }
        Stored::Offsets { group, offsets, at } => {
            let producer = entry.stamp.filter(|stamp| stamp.transactional).map(|stamp| stamp.id);
            let group = groups.entry(*group).or_default();
            for commit in offsets {
                let committed =
                    Committed { offset: commit.offset, leader_epoch: commit.leader_epoch, at: *at, place };
                group.take_commit(producer, commit.partition, committed);
            }
        }
        Stored::OffsetsGone { group, partitions } => {
            if let Some(group) = groups.get_mut(group) {
                partitions.iter().for_each(|partition| {
                    group.offsets.remove(partition);
                });
            }
        }
        Stored::Transaction(_) | Stored::TransactionGone(_) => {}
    }
}
