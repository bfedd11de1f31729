//! Rebalances: the group waits for its members to join, gets a generation, and waits for the leader's assignments.

use super::{Group, State};
use crate::history::Event;
use crate::kafka::broker::{Broker, Context, Task};
use crate::kafka::protocol::{ErrorCode, MemberId, Response};
use crate::record::GroupId;
use crate::units::Span;

impl Group {
    /// The leader joined, or another that has joined takes its place. False where nobody has.
    fn elect_joined_leader(&mut self) -> bool {
        let Some(leader) = self.leader else { return false };
        if self.members.get(&leader).is_some_and(|member| member.join.is_some()) {
            return true;
        }
        let joined = self.members.iter().find(|(_, member)| member.join.is_some()).map(|(id, _)| *id);
        if joined.is_some() {
            self.leader = joined;
        }
        joined.is_some()
    }
}

impl Broker {
    pub(super) fn prepare_rebalance_if_possible(&mut self, cx: &mut Context<'_>, at: GroupId) {
        if self.group(at).is_some_and(|group| group.state != State::PreparingRebalance) {
            self.prepare_rebalance(cx, at);
        }
    }

    /// Begin to wait for joins. An empty group waits a little for more members; any other as long as the most patient
    /// member allows.
    pub(super) fn prepare_rebalance(&mut self, cx: &mut Context<'_>, at: GroupId) {
        self.fail_syncs(cx, at, ErrorCode::RebalanceInProgress);
        self.volatile.deadlines.cancel(Task::EndSync(at));
        let first = self.settings.group_initial_rebalance_delay;
        let Some(group) = self.group_mut(at) else { return };
        let patience = group.rebalance_timeout();
        let was_empty = group.state == State::Empty;
        group.state = State::PreparingRebalance;
        group.grew = false;
        group.first_wait = was_empty.then(|| patience.saturating_sub(first));
        let wait = if was_empty { first } else { patience };
        if wait == Span::ZERO {
            self.end_join(cx, at);
            return;
        }
        self.volatile.deadlines.set(Task::EndJoin(at), cx.time() + wait);
        self.complete_join_if_ready(cx, at);
    }

    /// Everybody who is waited for has joined: no need to wait longer. The first rebalance waits all the same.
    pub(super) fn complete_join_if_ready(&mut self, cx: &mut Context<'_>, at: GroupId) {
        let ready = self.group(at).is_some_and(|group| {
            group.state == State::PreparingRebalance && group.first_wait.is_none() && group.all_joined()
        });
        if ready {
            self.complete_join(cx, at);
        }
    }

    /// The wait for joins is over.
    pub(crate) fn end_join(&mut self, cx: &mut Context<'_>, at: GroupId) {
        let delay = self.settings.group_initial_rebalance_delay;
        let Some(group) = self.group_mut(at) else { return };
        if group.state != State::PreparingRebalance {
            return;
        }
        if let Some(left) = group.first_wait.filter(|left| group.grew && *left != Span::ZERO) {
            let wait = delay.min(left);
            group.grew = false;
            group.first_wait = Some(left.saturating_sub(wait));
            self.volatile.deadlines.set(Task::EndJoin(at), cx.time() + wait);
            return;
        }
        self.complete_join(cx, at);
    }

    fn complete_join(&mut self, cx: &mut Context<'_>, at: GroupId) {
        self.volatile.deadlines.cancel(Task::EndJoin(at));
        self.drop_absent(at);
        let version = self.settings.version;
        let Some(group) = self.group_mut(at) else { return };
        group.first_wait = None;
        if !group.elect_joined_leader() && !group.members.is_empty() {
            // Only static members are left, and none of them is back: they are waited for once more.
            let wait = group.rebalance_timeout();
            self.volatile.deadlines.set(Task::EndJoin(at), cx.time() + wait);
            return;
        }
        group.generation += 1;
        group.unsynced.clear();
        if group.members.is_empty() {
            group.protocol = None;
            group.note_subscriptions();
            group.state = State::Empty;
            group.emptied_at = cx.now.elapsed;
            self.store_emptied(cx, at);
            return;
        }
        group.protocol = group.choose_protocol(version);
        group.note_subscriptions();
        group.state = State::CompletingRebalance;
        let members = group.members.len() as u32;
        let generation = group.generation;
        cx.effects.record(Event::Rebalanced { group: at, generation, members });
        self.answer_joins(cx, at);
    }

    /// Dynamic members that have not joined in time are out.
    fn drop_absent(&mut self, at: GroupId) {
        let Some(group) = self.group_mut(at) else { return };
        let absent: Vec<MemberId> = group
            .members
            .iter()
            .filter(|(_, member)| member.join.is_none() && member.instance.is_none())
            .map(|(id, _)| *id)
            .collect();
        for id in &absent {
            group.remove(*id);
        }
        for id in absent {
            self.volatile.deadlines.cancel(Task::EndSession(at, id));
        }
    }

    fn answer_joins(&mut self, cx: &mut Context<'_>, at: GroupId) {
        let Some(group) = self.volatile.groups.by_id.get_mut(&at) else { return };
        let ids: Vec<MemberId> = group.members.keys().copied().collect();
        for id in &ids {
            let answer = group.joined(*id);
            let Some(member) = group.members.get_mut(id) else { continue };
            member.is_new = false;
            if let Some((from, request)) = member.join.take() {
                cx.answer(from, request, answer);
            }
            group.unsynced.insert(*id);
        }
        let patience = group.rebalance_timeout();
        for id in ids {
            self.renew_session(cx, at, id);
        }
        self.volatile.deadlines.set(Task::EndSync(at), cx.time() + patience);
    }

    /// The wait for syncs is over: members that have not synced are out, also where they send heartbeats.
    pub(crate) fn end_sync(&mut self, cx: &mut Context<'_>, at: GroupId) {
        let Some(group) = self.group_mut(at) else { return };
        let waits = matches!(group.state, State::CompletingRebalance | State::Stable);
        if !waits || group.unsynced.is_empty() {
            return;
        }
        for id in std::mem::take(&mut group.unsynced) {
            if let Some(group) = self.group_mut(at) {
                group.remove(id);
            }
            self.volatile.deadlines.cancel(Task::EndSession(at, id));
        }
        self.prepare_rebalance(cx, at);
    }

    /// Syncs that wait are told why they wait in vain, and the assignments are void.
    pub(super) fn fail_syncs(&mut self, cx: &mut Context<'_>, at: GroupId, error: ErrorCode) {
        let Some(group) = self.group_mut(at) else { return };
        if group.state != State::CompletingRebalance {
            return;
        }
        let mut told = Vec::new();
        for (id, member) in &mut group.members {
            member.assignment = Default::default();
            if let Some((from, request)) = member.sync.take() {
                cx.answer(from, request, Response::SyncGroup { error, assignment: Default::default() });
                told.push(*id);
            }
        }
        for id in told {
            self.renew_session(cx, at, id);
        }
    }
}
