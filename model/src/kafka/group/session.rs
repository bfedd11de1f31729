//! Sessions: heartbeats and accepted commits keep a member alive, silence ends its membership.

use super::State;
use crate::kafka::broker::{Broker, Context, Task};
use crate::kafka::protocol::{ErrorCode, GroupInstanceId, MemberId};
use crate::record::GroupId;

impl Broker {
    /// The member gave a sign of life: its session begins anew.
    pub(super) fn renew_session(&mut self, cx: &mut Context<'_>, at: GroupId, id: MemberId) {
        let Some(member) = self.group(at).and_then(|group| group.members.get(&id)) else { return };
        let end = cx.time() + member.session;
        self.volatile.deadlines.set(Task::EndSession(at, id), end);
    }

    pub(super) fn serve_heartbeat(
        &mut self,
        cx: &mut Context<'_>,
        at: GroupId,
        generation: i32,
        id: MemberId,
        instance: Option<GroupInstanceId>,
    ) -> ErrorCode {
        if let Err(error) = self.check_coordinator(at) {
            return error;
        }
        let Some(group) = self.group(at) else { return ErrorCode::UnknownMemberId };
        if let Err(error) = group.check_member(id, instance) {
            return error;
        }
        if generation != group.generation {
            return ErrorCode::IllegalGeneration;
        }
        let answer = match group.state {
            State::Empty => return ErrorCode::UnknownMemberId,
            State::PreparingRebalance => ErrorCode::RebalanceInProgress,
            State::CompletingRebalance | State::Stable => ErrorCode::None,
        };
        self.renew_session(cx, at, id);
        answer
    }

    /// A session ran out. A member whose join or sync waits does not expire (recorded: "Groups", 7), except a new one
    /// that no rebalance has let in.
    pub(crate) fn end_session(&mut self, cx: &mut Context<'_>, at: GroupId, id: MemberId) {
        let Some(group) = self.group_mut(at) else { return };
        if group.promised.remove(&id) {
            self.complete_join_if_ready(cx, at);
            return;
        }
        let Some(member) = group.members.get(&id) else { return };
        let waits = member.join.is_some() || member.sync.is_some();
        if member.is_new || !waits {
            self.remove_member(cx, at, id);
        }
    }
}
