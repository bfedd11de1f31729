//! Membership in the group: joining, synchronising, heartbeats, leaving. Heartbeats go on while the owner is busy, as
//! from Java's heartbeat thread.

use super::{Failure, HEARTBEAT, KafkaConsumer, Purpose, REJOIN};
use crate::client::kafka_network::backoff;
use crate::kafka::assignor;
use crate::kafka::protocol::{
    Assignment, AssignmentProtocol, ErrorCode, JoinedMember, MemberId, ProtocolType, Request, Response,
    Subscription,
};
use crate::machine::{Effects, Now};
use crate::record::{TopicId, TopicPartition};
use crate::units::{Span, Time};
use serde::Serialize;
use std::collections::BTreeMap;

/// How a member stands to its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Stage {
    /// Not started.
    Idle,
    /// It is to join as soon as the coordinator can be reached and no commit is unanswered.
    Unjoined,
    /// The back-off before the next join runs.
    Resting,
    /// Partitions are to be revoked: the owner has not released them. Then it joins.
    Revoking,
    /// Partitions were lost: the owner has not been told. Then it joins.
    Losing,
    /// The join is unanswered.
    Joining,
    /// As leader it waits for metadata before it can assign.
    Assigning,
    /// The sync is unanswered.
    Syncing,
    /// It is a member.
    Stable,
    /// A fatal error: it stands still for ever.
    Failed,
    /// Closed by the owner.
    Closed,
}

/// The member, and what it knows of its group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Membership {
    pub(super) stage: Stage,
    pub(super) member: MemberId,
    /// -1 where it is not a member.
    pub(super) generation: i32,
    pub(super) heartbeat_unanswered: bool,
    /// When the coordinator was last heard.
    pub(super) heard_at: Time,
    failures: u32,
    /// The protocol that the join chose.
    protocol: AssignmentProtocol,
    /// As leader: the members that wait for their assignment, and by which protocol.
    waiting: Option<(AssignmentProtocol, Vec<JoinedMember>)>,
    /// As leader: the partition counts that the assignment was computed from.
    pub(super) counts: Option<BTreeMap<TopicId, u16>>,
    /// What the last sync gave, for assignors that stick to it, and in which generation.
    last: (i32, Vec<TopicPartition>),
}

impl Membership {
    pub(super) fn new() -> Membership {
        Membership {
            stage: Stage::Idle,
            member: MemberId::NONE,
            generation: -1,
            heartbeat_unanswered: false,
            heard_at: Time::ZERO,
            failures: 0,
            protocol: AssignmentProtocol::default(),
            waiting: None,
            counts: None,
            last: (-1, Vec::new()),
        }
    }

    /// The back-off before the next join is over.
    pub(super) fn rejoin_due(&mut self) {
        if self.stage == Stage::Resting {
            self.stage = Stage::Unjoined;
        }
    }

    /// Whether a commit may name this member and generation (Java: `generationIfStable`).
    pub(super) fn may_commit(&self) -> bool {
        self.generation >= 0 && matches!(self.stage, Stage::Stable | Stage::Revoking)
    }
}

impl KafkaConsumer {
    /// Join if it is time. In Java a commit of the owner's blocks the poll that would join.
    pub(super) fn join_if_due(&mut self, now: Now, effects: &mut Effects) {
        if self.volatile.membership.stage != Stage::Unjoined
            || self.volatile.commits.unanswered()
            || self.in_poll()
        {
            return;
        }
        let Some(node) = self.reachable_coordinator(now, effects) else { return };
        let protocols = self
            .settings
            .assignors
            .iter()
            .map(|assignor| (*assignor, self.subscription(*assignor)))
            .collect();
        let own = &mut self.volatile;
        own.membership.stage = Stage::Joining;
        own.membership.counts = None;
        let request = Request::JoinGroup {
            group: self.group,
            member: own.membership.member,
            instance: self.instance,
            session_timeout: self.settings.session_timeout,
            rebalance_timeout: self.settings.max_poll_interval,
            protocol_type: ProtocolType::Consumer,
            may_skip_assignment: true,
            protocols,
        };
        // Java waits for a join as long as the rebalance may take.
        let timeout = self.settings.request_timeout.max(self.settings.max_poll_interval + Span::secs(5));
        own.network.ask_within(now, node, Some(Purpose::Join), request, timeout, effects);
    }

    fn subscription(&self, assignor: AssignmentProtocol) -> Subscription {
        let membership = &self.volatile.membership;
        let (generation, owned) = match assignor {
            AssignmentProtocol::Sticky => membership.last.clone(),
            _ => (membership.last.0, self.volatile.held.keys().collect()),
        };
        Subscription { topics: self.topics.clone(), owned, generation, opaque: 0 }
    }

    /// The join was answered.
    pub(super) fn joined(&mut self, now: Now, response: Response, effects: &mut Effects) {
        let Response::JoinGroup { error, generation, protocol, leader, member, members, skip_assignment } =
            response
        else {
            return;
        };
        let membership = &mut self.volatile.membership;
        if membership.stage != Stage::Joining {
            return;
        }
        match error {
            ErrorCode::None => {
                membership.failures = 0;
                membership.member = member;
                membership.generation = generation;
                membership.heard_at = now.elapsed;
                membership.protocol = protocol.unwrap_or_default();
                if leader == member && skip_assignment {
                    self.watch_topics(&members);
                    self.sync(now, Vec::new(), effects);
                } else if leader == member {
                    membership.stage = Stage::Assigning;
                    membership.waiting = Some((membership.protocol, members));
                    self.assign_if_possible(now, false, effects);
                } else {
                    self.sync(now, Vec::new(), effects);
                }
            }
            ErrorCode::MemberIdRequired => {
                membership.member = member;
                membership.stage = Stage::Unjoined;
            }
            _ => self.join_failed(error, effects),
        }
    }

    fn join_failed(&mut self, error: ErrorCode, effects: &mut Effects) {
        let membership = &mut self.volatile.membership;
        match error {
            ErrorCode::UnknownMemberId => {
                membership.member = MemberId::NONE;
                self.lose_all();
            }
            ErrorCode::IllegalGeneration => self.lose_all(),
            ErrorCode::RebalanceInProgress => membership.stage = Stage::Unjoined,
            ErrorCode::FencedInstanceId => self.fail(Failure::FencedInstance),
            ErrorCode::InconsistentGroupProtocol => self.fail(Failure::InconsistentProtocol),
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
                self.forget_coordinator();
                self.rejoin_later(effects);
            }
            _ => self.rejoin_later(effects),
        }
    }

    /// Join again after a back-off.
    pub(super) fn rejoin_later(&mut self, effects: &mut Effects) {
        let membership = &mut self.volatile.membership;
        if !matches!(membership.stage, Stage::Joining | Stage::Syncing | Stage::Assigning) {
            return;
        }
        membership.stage = Stage::Resting;
        let settings = &self.settings;
        let (least, most) = backoff(settings.retry_backoff, settings.retry_backoff_max, membership.failures);
        membership.failures += 1;
        effects.set_timer_between(REJOIN, least, most);
    }

    /// The leader shares the partitions out. A topic that it knows nothing of is asked for first; `anyway` goes on
    /// without it.
    pub(super) fn assign_if_possible(&mut self, now: Now, anyway: bool, effects: &mut Effects) {
        let own = &mut self.volatile;
        if own.membership.stage != Stage::Assigning {
            return;
        }
        let Some((protocol, members)) = own.membership.waiting.take() else { return };
        let mut counts = BTreeMap::new();
        let mut unknown = false;
        for topic in members.iter().flat_map(|member| &member.subscription.topics) {
            own.metadata.add_topic(*topic);
            match own.metadata.partition_count(*topic) {
                Some(count) => drop(counts.insert(*topic, count)),
                None => unknown = true,
            }
        }
        if unknown && !anyway {
            own.metadata.want();
            own.membership.waiting = Some((protocol, members));
            return;
        }
        let assignment = assignor::assign(protocol, &counts, &members);
        own.membership.counts = Some(counts);
        let assignments = assignment
            .into_iter()
            .map(|(member, partitions)| (member, Assignment { partitions, opaque: 0 }))
            .collect();
        self.sync(now, assignments, effects);
    }

    /// A static leader that is back assigns nothing; it goes on to watch the partition counts (KIP-814).
    fn watch_topics(&mut self, members: &[JoinedMember]) {
        let own = &mut self.volatile;
        let mut counts = BTreeMap::new();
        for topic in members.iter().flat_map(|member| &member.subscription.topics) {
            own.metadata.add_topic(*topic);
            if let Some(count) = own.metadata.partition_count(*topic) {
                counts.insert(*topic, count);
            }
        }
        own.membership.counts = Some(counts);
    }

    fn sync(&mut self, now: Now, assignments: Vec<(MemberId, Assignment)>, effects: &mut Effects) {
        let Some(node) = self.reachable_coordinator(now, effects) else { return self.rejoin_later(effects) };
        let own = &mut self.volatile;
        own.membership.stage = Stage::Syncing;
        let request = Request::SyncGroup {
            group: self.group,
            generation: own.membership.generation,
            member: own.membership.member,
            instance: self.instance,
            protocol: Some((ProtocolType::Consumer, own.membership.protocol)),
            assignments,
        };
        own.network.ask(now, node, Purpose::Sync, request, effects);
    }

    /// The sync was answered.
    pub(super) fn synced(
        &mut self,
        now: Now,
        error: ErrorCode,
        partitions: &[TopicPartition],
        effects: &mut Effects,
    ) {
        let membership = &mut self.volatile.membership;
        if membership.stage != Stage::Syncing {
            return;
        }
        if error != ErrorCode::None {
            return self.join_failed(error, effects);
        }
        membership.failures = 0;
        membership.heard_at = now.elapsed;
        membership.stage = Stage::Stable;
        membership.last = (membership.generation, partitions.to_vec());
        self.take_assignment(partitions);
        self.check_counts();
    }

    /// The heartbeat timer ran out: beat, unless the last beat is unanswered.
    pub(super) fn heartbeat_due(&mut self, now: Now, effects: &mut Effects) {
        effects.set_timer(HEARTBEAT, self.settings.heartbeat_interval);
        let membership = &self.volatile.membership;
        let beating = matches!(membership.stage, Stage::Stable | Stage::Revoking | Stage::Syncing);
        if !beating || membership.generation < 0 {
            return;
        }
        // Java's client does not stop by itself: it only looks for another coordinator (observed row 20).
        if now.elapsed.since(membership.heard_at) > self.settings.session_timeout {
            self.forget_coordinator();
            return;
        }
        if membership.heartbeat_unanswered {
            return;
        }
        let Some(node) = self.reachable_coordinator(now, effects) else { return };
        let own = &mut self.volatile;
        own.membership.heartbeat_unanswered = true;
        let (member, generation) = (own.membership.member, own.membership.generation);
        let request = Request::Heartbeat { group: self.group, generation, member, instance: self.instance };
        own.network.ask(now, node, Purpose::Heartbeat(member, generation), request, effects);
    }

    pub(super) fn heartbeat_answered(&mut self, now: Now, sent: (MemberId, i32), error: ErrorCode) {
        let membership = &mut self.volatile.membership;
        membership.heartbeat_unanswered = false;
        if sent != (membership.member, membership.generation) {
            return;
        }
        match error {
            ErrorCode::None => membership.heard_at = now.elapsed,
            ErrorCode::RebalanceInProgress => {
                membership.heard_at = now.elapsed;
                self.rebalance();
            }
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => self.forget_coordinator(),
            _ => self.membership_ended(error),
        }
    }

    /// An error that may end the membership: everything is lost, and it joins anew (or never, when fenced).
    pub(super) fn membership_ended(&mut self, error: ErrorCode) {
        match error {
            ErrorCode::UnknownMemberId => {
                self.volatile.membership.member = MemberId::NONE;
                self.lose_all();
            }
            ErrorCode::IllegalGeneration => self.lose_all(),
            ErrorCode::FencedInstanceId => self.fail(Failure::FencedInstance),
            _ => {}
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.lose_all();
        self.volatile.membership.stage = Stage::Failed;
        self.volatile.failure = Some(failure);
    }

    /// The owner was busy for longer than it may: leave, as Java's heartbeat thread does (observed row 12).
    pub(super) fn poll_due(&mut self, now: Now, effects: &mut Effects) {
        let Some(busy_since) = self.volatile.busy_since else { return };
        let until = busy_since + self.settings.max_poll_interval;
        if now.elapsed < until {
            return self.volatile.poll.wake_by(now, until, effects);
        }
        // An owner that reads no more of its poll is told of the loss when it asks.
        self.volatile.buffers.end_poll();
        if matches!(self.volatile.membership.stage, Stage::Stable | Stage::Revoking) {
            self.send_leave(effects);
            self.volatile.membership.member = MemberId::NONE;
            self.lose_all();
        }
    }

    /// Static members do not leave (observed row 17).
    fn send_leave(&mut self, effects: &mut Effects) {
        let own = &mut self.volatile;
        let member = own.membership.member;
        if let (Some(node), None, true) = (own.coordinator, self.instance, member != MemberId::NONE) {
            let request = Request::LeaveGroup { group: self.group, member, instance: None };
            own.network.tell(node, request, effects);
        }
    }

    /// Commit what is left, leave, and be silent.
    pub(super) fn leave_for_good(&mut self, effects: &mut Effects) {
        if matches!(self.volatile.membership.stage, Stage::Closed | Stage::Idle) {
            return;
        }
        self.tell_commits(effects);
        self.send_leave(effects);
        effects.cancel_timer(HEARTBEAT);
        let stage = &mut self.volatile.membership.stage;
        *stage = Stage::Closed;
        self.volatile.held.clear();
        self.volatile.changes.clear();
        self.volatile.buffers = super::Buffers::default();
    }
}
