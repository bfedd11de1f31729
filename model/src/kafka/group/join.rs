//! Joining: a new member gets an id first and joins with it (KIP-394); a known one joins again.

use super::{Caller, Group, Member, State};
use crate::kafka::broker::{Broker, Context, Task};
use crate::kafka::protocol::{
    AssignmentProtocol, ErrorCode, GroupInstanceId, JoinedMember, MemberId, ProtocolType, Request, Response,
    Subscription,
};
use crate::record::GroupId;
use crate::units::Span;

/// A new member that joined is dropped when no rebalance ends for so long (Kafka: `NewMemberJoinTimeoutMs`).
const NEW_MEMBER_PATIENCE: Span = Span::secs(300);

/// What a caller asks with.
struct Join {
    group: GroupId,
    member: MemberId,
    instance: Option<GroupInstanceId>,
    session: Span,
    rebalance: Span,
    protocol_type: ProtocolType,
    may_skip_assignment: bool,
    protocols: Vec<(AssignmentProtocol, Subscription)>,
}

/// The answer to a join that failed.
pub(super) fn refused(member: MemberId, error: ErrorCode) -> Response {
    Response::JoinGroup {
        error,
        generation: -1,
        protocol: None,
        leader: MemberId::NONE,
        member,
        members: Vec::new(),
        skip_assignment: false,
    }
}

impl Group {
    /// The answer to a join when the generation stands; the leader is told of all members.
    pub(super) fn joined(&self, member: MemberId) -> Response {
        let protocol = self.protocol.unwrap_or_default();
        let members = if self.leader == Some(member) {
            self.members
                .iter()
                .map(|(id, member)| JoinedMember {
                    member: *id,
                    instance: member.instance,
                    subscription: member.subscription(protocol).cloned().unwrap_or_default(),
                })
                .collect()
        } else {
            Vec::new()
        };
        Response::JoinGroup {
            error: ErrorCode::None,
            generation: self.generation,
            protocol: self.protocol,
            leader: self.leader.unwrap_or(MemberId::NONE),
            member,
            members,
            skip_assignment: false,
        }
    }
}

impl Broker {
    pub(super) fn serve_join(&mut self, cx: &mut Context<'_>, caller: Caller, request: Request) {
        let Request::JoinGroup {
            group,
            member,
            instance,
            session_timeout: session,
            rebalance_timeout: rebalance,
            protocol_type,
            may_skip_assignment,
            protocols,
        } = request
        else {
            return;
        };
        let join = Join {
            group,
            member,
            instance,
            session,
            rebalance,
            protocol_type,
            may_skip_assignment,
            protocols,
        };
        if let Err((error, member)) = self.join(cx, caller, join) {
            cx.answer(caller.0, caller.1, refused(member, error));
        }
        self.complete_join_if_ready(cx, group);
    }

    fn join(
        &mut self,
        cx: &mut Context<'_>,
        caller: Caller,
        join: Join,
    ) -> Result<(), (ErrorCode, MemberId)> {
        let member = join.member;
        self.check_coordinator(join.group).map_err(|error| (error, member))?;
        if join.session < self.settings.group_min_session || join.session > self.settings.group_max_session {
            return Err((ErrorCode::InvalidSessionTimeout, member));
        }
        if member == MemberId::NONE {
            self.volatile.groups.by_id.entry(join.group).or_default();
        }
        let Some(group) = self.group(join.group) else { return Err((ErrorCode::UnknownMemberId, member)) };
        if !group.supports(join.protocol_type, &join.protocols) {
            return Err((ErrorCode::InconsistentGroupProtocol, member));
        }
        if member == MemberId::NONE {
            self.join_new(cx, caller, join)
        } else {
            self.join_known(cx, caller, join)
        }
    }

    fn join_new(
        &mut self,
        cx: &mut Context<'_>,
        caller: Caller,
        join: Join,
    ) -> Result<(), (ErrorCode, MemberId)> {
        let id = self.new_member_id();
        let at = join.group;
        let (session, instance) = (join.session, join.instance);
        let Some(group) = self.group_mut(at) else { return Ok(()) };
        match instance.map(|instance| group.instances.get(&instance).copied()) {
            Some(Some(old)) => self.replace_static(cx, caller, join, old, id),
            Some(None) => self.add_member(cx, caller, join, id),
            None => {
                group.promised.insert(id);
                self.volatile.deadlines.set(Task::EndSession(at, id), cx.time() + session);
                return Err((ErrorCode::MemberIdRequired, id));
            }
        }
        Ok(())
    }

    fn join_known(
        &mut self,
        cx: &mut Context<'_>,
        caller: Caller,
        join: Join,
    ) -> Result<(), (ErrorCode, MemberId)> {
        let id = join.member;
        let Some(group) = self.group(join.group) else { return Err((ErrorCode::UnknownMemberId, id)) };
        if group.promised.contains(&id) {
            self.add_member(cx, caller, join, id);
            return Ok(());
        }
        group.check_member(id, join.instance).map_err(|error| (error, id))?;
        let same = group.members.get(&id).is_some_and(|member| member.protocols == join.protocols);
        let repeats = match group.state {
            State::CompletingRebalance => same,
            State::Stable => same && group.leader != Some(id),
            State::PreparingRebalance => false,
            State::Empty => return Err((ErrorCode::UnknownMemberId, id)),
        };
        if repeats {
            let answer = group.joined(id);
            cx.answer(caller.0, caller.1, answer);
        } else {
            let at = join.group;
            self.update_member(caller, join, id);
            self.prepare_rebalance_if_possible(cx, at);
        }
        Ok(())
    }

    fn add_member(&mut self, cx: &mut Context<'_>, caller: Caller, join: Join, id: MemberId) {
        let at = join.group;
        let Some(group) = self.group_mut(at) else { return };
        if group.state == State::PreparingRebalance && group.first_wait.is_some() {
            group.grew = true;
        }
        if group.members.is_empty() {
            group.protocol_type = join.protocol_type;
        }
        let member = Member {
            instance: join.instance,
            session: join.session,
            rebalance: join.rebalance,
            protocols: join.protocols,
            assignment: Default::default(),
            join: Some(caller),
            sync: None,
            is_new: true,
        };
        group.add(id, member);
        self.volatile.deadlines.set(Task::EndSession(at, id), cx.time() + NEW_MEMBER_PATIENCE);
        self.prepare_rebalance_if_possible(cx, at);
    }

    fn update_member(&mut self, caller: Caller, join: Join, id: MemberId) {
        let Some(group) = self.group_mut(join.group) else { return };
        let Some(member) = group.members.get_mut(&id) else { return };
        member.session = join.session;
        member.rebalance = join.rebalance;
        member.protocols = join.protocols;
        member.join = Some(caller);
    }

    /// A static member is back with a new process: it takes the old one's place and assignment, without a rebalance
    /// where the protocol stays (recorded: "Groups", 12).
    fn replace_static(
        &mut self,
        cx: &mut Context<'_>,
        caller: Caller,
        join: Join,
        old: MemberId,
        id: MemberId,
    ) {
        let at = join.group;
        let Some(group) = self.group_mut(at) else { return };
        let was_leader = group.leader == Some(old);
        // A leader that can skip the assignment is told that it leads; another is told its old id, and takes itself
        // for a follower: a stable group hands nothing out that it would assign.
        let skips = was_leader && join.may_skip_assignment;
        let leader = if skips { id } else { group.leader.unwrap_or(MemberId::NONE) };
        let Some(mut member) = group.members.remove(&old) else { return };
        if let Some((from, request)) = member.join.take() {
            cx.answer(from, request, refused(old, ErrorCode::FencedInstanceId));
        }
        if let Some((from, request)) = member.sync.take() {
            let error = ErrorCode::FencedInstanceId;
            cx.answer(from, request, Response::SyncGroup { error, assignment: Default::default() });
        }
        if group.unsynced.remove(&old) {
            group.unsynced.insert(id);
        }
        if let Some(instance) = join.instance {
            group.instances.insert(instance, id);
        }
        group.members.insert(id, member);
        if was_leader {
            group.leader = Some(id);
        }
        self.volatile.deadlines.cancel(Task::EndSession(at, old));
        self.update_member(caller, join, id);
        self.renew_session(cx, at, id);
        let version = self.settings.version;
        let Some(group) = self.group(at) else { return };
        match group.state {
            State::Stable if group.choose_protocol(version) == group.protocol => {
                self.store_replaced(cx, at, id, leader);
            }
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(cx, at),
            State::PreparingRebalance | State::Empty => {}
        }
    }
}
