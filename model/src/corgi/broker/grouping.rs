//! What a master does for consumer groups: members, leases, offsets.

use super::{
    Ask, Broker, FLUSH_OFFSETS, GroupId, NodeId, Offset, Refusal, Request, Response, Time, TopicPartition,
};
use crate::corgi::protocol::{Instance, OffsetTable, ResetTo};
use crate::machine::Effects;
use crate::record::TopicId;

impl Ask {
    fn instance(self) -> Instance {
        Instance { node: self.from, incarnation: self.id.incarnation() }
    }
}

impl Broker {
    /// A member is heard; the others are told at once if it is a new one (e6: 0.4 s).
    pub(super) fn hear_member(&mut self, now: Time, ask: Ask, group: GroupId, effects: &mut Effects) {
        if !self.is_master() {
            return ask.refuse(Refusal::NotMaster, effects);
        }
        let changed = self.volatile.master.groups.heartbeat(now, group, ask.instance());
        let members = self.known_members(now, group);
        let settled = members.is_some();
        ask.answer(Response::Heartbeat { members }, effects);
        if changed && settled {
            self.tell_members(group, Some(ask.from), effects);
        }
    }

    /// The members of a group, unless this master has served for so short a time that its list cannot be complete.
    fn known_members(&self, now: Time, group: GroupId) -> Option<Vec<Instance>> {
        let groups = &self.volatile.master.groups;
        (now >= groups.settled_at()).then(|| groups.members(group))
    }

    /// Tells the members of a group, but for one of them, who they are.
    pub(super) fn tell_members(&mut self, group: GroupId, but: Option<NodeId>, effects: &mut Effects) {
        let members = self.volatile.master.groups.members(group);
        self.tell_group(group, but, Some(members), effects);
    }

    fn tell_group(
        &mut self,
        group: GroupId,
        but: Option<NodeId>,
        members: Option<Vec<Instance>>,
        effects: &mut Effects,
    ) {
        for instance in self.volatile.master.groups.members(group) {
            if Some(instance.node) != but {
                self.ask(instance.node, Request::Members { group, members: members.clone() }, effects);
            }
        }
    }

    /// From now on the list of members is complete.
    pub(super) fn settle(&mut self, effects: &mut Effects) {
        for group in self.volatile.master.groups.groups() {
            self.tell_members(group, None, effects);
        }
    }

    pub(super) fn expire_members(&mut self, now: Time, effects: &mut Effects) {
        if !self.is_master() {
            return;
        }
        for group in self.volatile.master.groups.expire(now, self.settings.member_silence) {
            self.tell_members(group, None, effects);
        }
    }

    /// Leases partitions, or renews their leases.
    pub(super) fn lock(
        &mut self,
        now: Time,
        ask: Ask,
        group: GroupId,
        partitions: &[(TopicPartition, bool)],
        effects: &mut Effects,
    ) {
        if !self.is_master() {
            return ask.refuse(Refusal::NotMaster, effects);
        }
        let (holder, span) = ((ask.instance(), ask.id.number()), self.settings.lease);
        let groups = &mut self.volatile.master.groups;
        let wanted = partitions.iter().copied();
        let granted = wanted
            .filter(|(partition, claimed)| groups.lock(now, (group, *partition), holder, *claimed, span));
        let granted = granted.map(|(partition, _)| partition).collect();
        ask.answer(Response::Lock { granted }, effects);
    }

    /// Takes leases back, and with them the last offsets of their holder.
    pub(super) fn unlock(
        &mut self,
        ask: Ask,
        group: GroupId,
        partitions: &[(TopicPartition, Option<Offset>)],
        effects: &mut Effects,
    ) {
        if !self.is_master() {
            return ask.refuse(Refusal::NotMaster, effects);
        }
        let mut freed = false;
        for (partition, offset) in partitions {
            let groups = &mut self.volatile.master.groups;
            if groups.unlock(group, *partition, ask.instance(), ask.id.number()) {
                freed = true;
                if let Some(offset) = offset {
                    self.set_offset(group, *partition, *offset, effects);
                }
            }
        }
        ask.answer(Response::Unlock, effects);
        if freed && self.settings.notify_unlock {
            self.tell_group(group, Some(ask.from), None, effects);
        }
    }

    /// A member leaves in good order.
    pub(super) fn leave(
        &mut self,
        now: Time,
        ask: Ask,
        group: GroupId,
        offsets: &[(TopicPartition, Offset)],
        effects: &mut Effects,
    ) {
        if !self.is_master() {
            return;
        }
        self.take_commits(now, ask, group, offsets, effects);
        if self.volatile.master.groups.leave(group, ask.instance()) {
            let members = self.known_members(now, group);
            self.tell_group(group, None, members, effects);
        }
    }

    pub(super) fn tell_offsets(
        &self,
        ask: Ask,
        group: GroupId,
        partitions: Vec<TopicPartition>,
        effects: &mut Effects,
    ) {
        if !self.is_master() {
            return ask.refuse(Refusal::NotMaster, effects);
        }
        let committed = |partition| self.volatile.offsets.get(&(group, partition)).copied();
        let offsets = partitions.into_iter().map(|partition| (partition, committed(partition))).collect();
        ask.answer(Response::Offsets { offsets }, effects);
    }

    /// Takes whatever is committed, forwards or backwards, from whomever (e6), unless commits are fenced.
    pub(super) fn commit(
        &mut self,
        now: Time,
        ask: Ask,
        group: GroupId,
        offsets: &[(TopicPartition, Offset)],
        effects: &mut Effects,
    ) {
        if !self.is_master() {
            return ask.refuse(Refusal::NotMaster, effects);
        }
        if self.take_commits(now, ask, group, offsets, effects) {
            ask.answer(Response::Commit, effects);
        } else {
            ask.refuse(Refusal::Fenced, effects);
        }
    }

    /// Sets what a group has committed of those partitions of its topics that lie here, whoever reads them.
    pub(super) fn reset_offsets(
        &mut self,
        ask: Ask,
        group: GroupId,
        topics: &[TopicId],
        to: ResetTo,
        effects: &mut Effects,
    ) {
        if !self.is_master() {
            return ask.refuse(Refusal::NotMaster, effects);
        }
        let all = topics.iter().flat_map(|topic| {
            let numbered = (0u16..).map(|partition| TopicPartition { topic: *topic, partition });
            numbered.map_while(|partition| Some((partition, self.set_of(partition)?)))
        });
        let here = all.filter(|(_, set)| *set == self.set).map(|(partition, _)| partition);
        let log = &self.durable.log;
        let offset = |partition: TopicPartition| match to {
            ResetTo::Earliest => log.partition_start(partition),
            ResetTo::Latest => log.partition_end(partition),
            ResetTo::CreatedAt(moment) => log.created_at(partition, moment),
        };
        let offsets: Vec<(TopicPartition, Offset)> =
            here.map(|partition| (partition, offset(partition))).collect();
        for (partition, offset) in &offsets {
            self.set_offset(group, *partition, *offset, effects);
        }
        ask.answer(Response::OffsetsReset { offsets }, effects);
    }

    /// Returns whether all were taken.
    fn take_commits(
        &mut self,
        now: Time,
        ask: Ask,
        group: GroupId,
        offsets: &[(TopicPartition, Offset)],
        effects: &mut Effects,
    ) -> bool {
        let mut all = true;
        for (partition, offset) in offsets {
            let groups = &self.volatile.master.groups;
            let fenced =
                self.settings.fence_commits && groups.held_by_another(now, group, *partition, ask.instance());
            if fenced {
                all = false;
            } else {
                self.set_offset(group, *partition, *offset, effects);
            }
        }
        all
    }

    pub(super) fn set_offset(
        &mut self,
        group: GroupId,
        partition: TopicPartition,
        offset: Offset,
        effects: &mut Effects,
    ) {
        if self.volatile.offsets.insert((group, partition), offset) == Some(offset) {
            return;
        }
        self.volatile.offsets_version += 1;
        if !self.volatile.flush_is_due {
            self.volatile.flush_is_due = true;
            effects.set_timer(FLUSH_OFFSETS, self.settings.offset_flush_interval);
        }
    }

    pub(super) fn flush_offsets(&mut self) {
        self.volatile.flush_is_due = false;
        self.durable.offsets.clone_from(&self.volatile.offsets);
    }

    pub(super) fn offset_table(&self) -> OffsetTable {
        let offsets = self.volatile.offsets.iter();
        offsets.map(|((group, partition), offset)| (*group, *partition, *offset)).collect()
    }
}
