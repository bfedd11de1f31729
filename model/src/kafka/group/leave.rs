//! Leaving a group, in good order or not.

use super::State;
use super::join::refused;
use crate::kafka::broker::{Broker, Context, Task};
use crate::kafka::protocol::{ErrorCode, GroupInstanceId, MemberId};
use crate::record::GroupId;

impl Broker {
    pub(super) fn serve_leave(
        &mut self,
        cx: &mut Context<'_>,
        at: GroupId,
        id: MemberId,
        instance: Option<GroupInstanceId>,
    ) -> ErrorCode {
        if let Err(error) = self.check_coordinator(at) {
            return error;
        }
        let Some(group) = self.group_mut(at) else { return ErrorCode::UnknownMemberId };
        // An operator may remove a static member by its instance alone.
        if let (MemberId::NONE, Some(instance)) = (id, instance) {
            let Some(current) = group.instances.get(&instance).copied() else {
                return ErrorCode::UnknownMemberId;
            };
            self.remove_member(cx, at, current);
            return ErrorCode::None;
        }
        if group.promised.remove(&id) {
            self.volatile.deadlines.cancel(Task::EndSession(at, id));
            self.complete_join_if_ready(cx, at);
            return ErrorCode::None;
        }
        if let Err(error) = group.check_member(id, instance) {
            return error;
        }
        self.remove_member(cx, at, id);
        ErrorCode::None
    }

    /// Take a member out; the others rebalance. Its own join that waits is told, with no id.
    pub(super) fn remove_member(&mut self, cx: &mut Context<'_>, at: GroupId, id: MemberId) {
        self.volatile.deadlines.cancel(Task::EndSession(at, id));
        let Some(group) = self.group_mut(at) else { return };
        if let Some((from, request)) = group.members.get_mut(&id).and_then(|member| member.join.take()) {
            cx.answer(from, request, refused(MemberId::NONE, ErrorCode::UnknownMemberId));
        }
        group.remove(id);
        match group.state {
            State::Empty => {}
            State::PreparingRebalance => self.complete_join_if_ready(cx, at),
            State::CompletingRebalance | State::Stable => self.prepare_rebalance(cx, at),
        }
    }
}
