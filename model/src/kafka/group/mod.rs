//! The group coordinator (the classic protocol): it lives on the leader of the internal partition that a group's
//! id decides, and keeps groups and offsets as records of that partition.
//!
//! After Kafka 3.9's `GroupCoordinator`; recorded rows "Groups" 1 to 15. Left out: the new consumer protocol
//! (KIP-848), and the time that loading takes.

mod admin;
mod commit;
mod join;
mod leave;
mod rebalance;
mod session;
mod store;
mod sync;
#[cfg(test)]
mod tests;

pub(super) use store::Continuation;

use super::broker::{Broker, Context};
use super::protocol::{
    Assignment, AssignmentProtocol, ErrorCode, GroupInstanceId, MemberId, ProducerId, ProtocolType, Request,
    Response, Subscription,
};
use super::version::Version;
use crate::machine::RequestId;
use crate::record::{GroupId, NodeId, Offset, TopicId, TopicPartition};
use crate::units::{Span, Time};
use litemap::LiteMap;
use serde::Serialize;
use std::collections::BTreeSet;

/// A request that is answered later: who asked, and its id.
pub(super) type Caller = (NodeId, RequestId);

/// The groups that a broker coordinates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Groups {
    by_id: LiteMap<GroupId, Group>,
    /// The internal partitions that are led and loaded.
    loaded: BTreeSet<u16>,
    last_member: u64,
}

/// How a group stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
enum State {
    /// It has no members.
    #[default]
    Empty,
    /// It waits for its members to join.
    PreparingRebalance,
    /// It waits for the leader's assignments.
    CompletingRebalance,
    /// Everybody has an assignment.
    Stable,
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Group {
    state: State,
    generation: i32,
    /// What its first member took it for.
    protocol_type: ProtocolType,
    protocol: Option<AssignmentProtocol>,
    /// What the members subscribed to when this generation began.
    subscribed: BTreeSet<TopicId>,
    leader: Option<MemberId>,
    members: LiteMap<MemberId, Member>,
    /// Ids that were handed out and have not joined.
    promised: BTreeSet<MemberId>,
    instances: LiteMap<GroupInstanceId, MemberId>,
    /// Members of this generation that have not synced.
    unsynced: BTreeSet<MemberId>,
    /// The first rebalance of an empty group waits for more members: what is left of the longest wait.
    first_wait: Option<Span>,
    /// Whether a member came during that wait.
    grew: bool,
    offsets: LiteMap<TopicPartition, Committed>,
    /// Offsets of transactions that are not decided yet.
    undecided: LiteMap<ProducerId, LiteMap<TopicPartition, Committed>>,
    emptied_at: Time,
}

/// A committed offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Committed {
    offset: Offset,
    leader_epoch: i32,
    at: Time,
    /// Where the commit stands in the coordinator's log: the later one counts.
    place: Offset,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Member {
    instance: Option<GroupInstanceId>,
    session: Span,
    rebalance: Span,
    protocols: Vec<(AssignmentProtocol, Subscription)>,
    assignment: Assignment,
    /// Its join that waits for the others.
    join: Option<Caller>,
    /// Its sync that waits for the leader.
    sync: Option<Caller>,
    /// It has joined and got no answer yet.
    is_new: bool,
}

impl Group {
    /// How long a rebalance waits: the longest that any member asked for.
    fn rebalance_timeout(&self) -> Span {
        self.members.values().map(|member| member.rebalance).max().unwrap_or_default()
    }

    fn all_joined(&self) -> bool {
        self.promised.is_empty() && self.members.values().all(|member| member.join.is_some())
    }

    /// Whether somebody with these protocols may join: one of them is known to every member.
    fn supports(&self, kind: ProtocolType, protocols: &[(AssignmentProtocol, Subscription)]) -> bool {
        if self.state == State::Empty {
            return kind != ProtocolType::Unnamed && !protocols.is_empty();
        }
        kind == self.protocol_type
            && protocols
                .iter()
                .any(|(wanted, _)| self.members.values().all(|member| member.subscription(*wanted).is_some()))
    }

    /// The protocol that most members like best among those that all know.
    fn choose_protocol(&self, version: Version) -> Option<AssignmentProtocol> {
        let mut votes: LiteMap<AssignmentProtocol, usize> = LiteMap::new();
        for member in self.members.values() {
            let vote =
                member.protocols.iter().map(|(protocol, _)| *protocol).find(|protocol| {
                    self.members.values().all(|other| other.subscription(*protocol).is_some())
                });
            if let Some(vote) = vote {
                *votes.entry(vote).or_default() += 1;
            }
        }
        let better = |one: (AssignmentProtocol, usize), other: (AssignmentProtocol, usize)| {
            let wins = other.1 > one.1 || other.1 == one.1 && version.wins_tie(other.0, one.0);
            if wins { other } else { one }
        };
        votes.into_iter().reduce(better).map(|(protocol, _)| protocol)
    }

    fn add(&mut self, id: MemberId, member: Member) {
        self.leader.get_or_insert(id);
        if let Some(instance) = member.instance {
            self.instances.insert(instance, id);
        }
        self.promised.remove(&id);
        self.members.insert(id, member);
    }

    fn remove(&mut self, id: MemberId) {
        self.promised.remove(&id);
        self.unsynced.remove(&id);
        let Some(member) = self.members.remove(&id) else { return };
        if let Some(instance) = member.instance
            && self.instances.get(&instance) == Some(&id)
        {
            self.instances.remove(&instance);
        }
        if self.leader == Some(id) {
            self.leader = self.members.keys().next().copied();
        }
    }

    /// Whether a caller is the member that it says.
    fn check_member(&self, id: MemberId, instance: Option<GroupInstanceId>) -> Result<(), ErrorCode> {
        match instance.map(|instance| self.instances.get(&instance)) {
            Some(None) => Err(ErrorCode::UnknownMemberId),
            Some(Some(current)) if *current != id => Err(ErrorCode::FencedInstanceId),
            Some(Some(_)) => Ok(()),
            None if self.members.contains_key(&id) => Ok(()),
            None => Err(ErrorCode::UnknownMemberId),
        }
    }

    /// Note what the members subscribe to under the chosen protocol: a generation keeps it, whoever joins or leaves.
    fn note_subscriptions(&mut self) {
        let chosen = self.protocol;
        let wanted = self.members.values().filter_map(|member| member.subscription(chosen?));
        self.subscribed = wanted.flat_map(|wanted| wanted.topics.iter().copied()).collect();
    }

    fn has_offsets(&self) -> bool {
        !self.offsets.is_empty() || !self.undecided.is_empty()
    }
}

impl Member {
    fn subscription(&self, protocol: AssignmentProtocol) -> Option<&Subscription> {
        self.protocols.iter().find(|(known, _)| *known == protocol).map(|(_, subscription)| subscription)
    }
}

impl Broker {
    /// A request that concerns groups.
    pub(super) fn group_request(&mut self, cx: &mut Context<'_>, caller: Caller, request: Request) {
        let (from, id) = caller;
        match request {
            Request::JoinGroup { .. } => self.serve_join(cx, caller, request),
            Request::SyncGroup { .. } => self.serve_sync(cx, caller, request),
            Request::Heartbeat { group, generation, member, instance } => {
                let error = self.serve_heartbeat(cx, group, generation, member, instance);
                cx.answer(from, id, Response::Heartbeat { error });
            }
            Request::LeaveGroup { group, member, instance } => {
                let error = self.serve_leave(cx, group, member, instance);
                cx.answer(from, id, Response::LeaveGroup { error });
            }
            Request::OffsetCommit { group, generation, member, instance, offsets } => {
                self.serve_commit(cx, caller, group, (generation, member, instance), offsets);
            }
            Request::TxnOffsetCommit { transaction, producer, group, generation, member, offsets } => {
                self.serve_transactional_commit(
                    cx,
                    caller,
                    (transaction, producer),
                    group,
                    (generation, member),
                    offsets,
                );
            }
            Request::OffsetFetch { group, partitions, require_stable } => {
                let answer = self.committed_offsets(group, &partitions, require_stable);
                cx.answer(from, id, answer);
            }
            _ => {}
        }
    }

    /// Whether this broker coordinates a group.
    fn check_coordinator(&self, group: GroupId) -> Result<(), ErrorCode> {
        let partition = self.group_partition(group).partition;
        if self.volatile.groups.loaded.contains(&partition) { Ok(()) } else { Err(ErrorCode::NotCoordinator) }
    }

    fn group(&self, group: GroupId) -> Option<&Group> {
        self.volatile.groups.by_id.get(&group)
    }

    fn group_mut(&mut self, group: GroupId) -> Option<&mut Group> {
        self.volatile.groups.by_id.get_mut(&group)
    }

    fn new_member_id(&mut self) -> MemberId {
        let groups = &mut self.volatile.groups;
        groups.last_member += 1;
        let broker = u64::from(self.id.0) + 1;
        MemberId(broker << 48 | u64::from(self.volatile.incarnation) << 28 | groups.last_member)
    }
}
