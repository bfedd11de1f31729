//! Syncing: the leader hands in the assignments, everybody gets his own.

use super::{Caller, State};
use crate::kafka::broker::{Broker, Context, Task};
use crate::kafka::protocol::{
    Assignment, AssignmentProtocol, ErrorCode, GroupInstanceId, MemberId, ProtocolType, Request, Response,
};
use crate::record::GroupId;
use std::collections::BTreeMap;

/// What a caller asks with.
struct Sync {
    group: GroupId,
    generation: i32,
    member: MemberId,
    instance: Option<GroupInstanceId>,
    protocol: Option<(ProtocolType, AssignmentProtocol)>,
    assignments: Vec<(MemberId, Assignment)>,
}

impl Broker {
    pub(super) fn serve_sync(&mut self, cx: &mut Context<'_>, caller: Caller, request: Request) {
        let Request::SyncGroup { group, generation, member, instance, protocol, assignments } = request
        else {
            return;
        };
        let sync = Sync { group, generation, member, instance, protocol, assignments };
        match self.sync(cx, caller, sync) {
            Ok(None) => {}
            Ok(Some(assignment)) => {
                cx.answer(caller.0, caller.1, Response::SyncGroup { error: ErrorCode::None, assignment });
            }
            Err(error) => {
                let assignment = Assignment::default();
                cx.answer(caller.0, caller.1, Response::SyncGroup { error, assignment });
            }
        }
    }

    /// The caller's assignment, or none where it is answered later.
    fn sync(
        &mut self,
        cx: &mut Context<'_>,
        caller: Caller,
        sync: Sync,
    ) -> Result<Option<Assignment>, ErrorCode> {
        let Sync { group: at, generation, member: id, instance, protocol, assignments } = sync;
        self.check_coordinator(at)?;
        let group = self.group_mut(at).ok_or(ErrorCode::UnknownMemberId)?;
        group.check_member(id, instance)?;
        if generation != group.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        let agrees = |(kind, chosen)| kind == group.protocol_type && group.protocol == Some(chosen);
        if !protocol.is_none_or(agrees) {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        match group.state {
            State::Empty => Err(ErrorCode::UnknownMemberId),
            State::PreparingRebalance => Err(ErrorCode::RebalanceInProgress),
            State::CompletingRebalance => {
                if let Some(member) = group.members.get_mut(&id) {
                    member.sync = Some(caller);
                }
                let is_leader = group.leader == Some(id);
                self.note_synced(at, id);
                if is_leader {
                    self.store_assignments(cx, at, generation, assignments.into_iter().collect());
                }
                Ok(None)
            }
            State::Stable => {
                let assignment = group.members.get(&id).map(|member| member.assignment.clone());
                self.note_synced(at, id);
                self.renew_session(cx, at, id);
                Ok(assignment)
            }
        }
    }

    fn note_synced(&mut self, at: GroupId, id: MemberId) {
        let Some(group) = self.group_mut(at) else { return };
        group.unsynced.remove(&id);
        if group.unsynced.is_empty() {
            self.volatile.deadlines.cancel(Task::EndSync(at));
        }
    }

    /// The leader's assignments are kept, or could not be kept: go on, unless another rebalance began meanwhile.
    pub(super) fn assignments_stored(
        &mut self,
        cx: &mut Context<'_>,
        at: GroupId,
        generation: i32,
        mut assignments: BTreeMap<MemberId, Assignment>,
        error: ErrorCode,
    ) {
        let Some(group) = self.group_mut(at) else { return };
        if group.state != State::CompletingRebalance || group.generation != generation {
            return;
        }
        if error != ErrorCode::None {
            self.fail_syncs(cx, at, error);
            self.prepare_rebalance_if_possible(cx, at);
            return;
        }
        group.state = State::Stable;
        let mut told = Vec::new();
        for (id, member) in &mut group.members {
            member.assignment = assignments.remove(id).unwrap_or_default();
            if let Some((from, request)) = member.sync.take() {
                let assignment = member.assignment.clone();
                cx.answer(from, request, Response::SyncGroup { error: ErrorCode::None, assignment });
                told.push(*id);
            }
        }
        for id in told {
            self.renew_session(cx, at, id);
        }
    }
}
