//! What a master knows of consumer groups: their members and the leases of their partitions. In memory only, and so
//! lost when the master changes or starts again (assumed, after RocketMQ). Committed offsets are kept elsewhere.

use crate::corgi::protocol::Instance;
use crate::record::{GroupId, NodeId, TopicPartition};
use crate::units::{Span, Time};
use litemap::LiteMap;
use serde::Serialize;

/// The groups of one master.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Groups {
    /// When each member was last heard.
    members: LiteMap<(GroupId, Instance), Time>,
    leases: LiteMap<(GroupId, TopicPartition), Lease>,
    /// From when on this master knows all members and leases that matter.
    settled_at: Time,
}

/// Who holds a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Lease {
    holder: Option<Instance>,
    until: Time,
    /// The holder's number of the last request that renewed it, against an older unlock that comes late.
    number: u32,
}

impl Groups {
    /// Nothing is known, and until `settled_at` others may hold what a predecessor granted.
    pub fn new(settled_at: Time) -> Groups {
        Groups { settled_at, ..Groups::default() }
    }

    /// From when on this master knows all members and leases that matter.
    pub fn settled_at(&self) -> Time {
        self.settled_at
    }

    /// The groups that have members, each once.
    pub fn groups(&self) -> Vec<GroupId> {
        let mut groups: Vec<GroupId> = self.members.keys().map(|(group, _)| *group).collect();
        groups.dedup();
        groups
    }

    /// The members of a group, in order.
    pub fn members(&self, group: GroupId) -> Vec<Instance> {
        self.members.keys().filter(|(of, _)| *of == group).map(|(_, instance)| *instance).collect()
    }

    /// A member was heard. Returns whether that changed who the members are.
    pub fn heartbeat(&mut self, now: Time, group: GroupId, instance: Instance) -> bool {
        if let Some(heard) = self.members.get_mut(&(group, instance)) {
            *heard = now;
            return false;
        }
        // A node's earlier process is gone when the node has a new one.
        let is_earlier =
            |of: &(GroupId, Instance)| of.0 == group && of.1.node == instance.node && of.1 < instance;
        self.members.retain(|member, _| !is_earlier(member));
        self.members.insert((group, instance), now);
        true
    }

    /// A member leaves and gives its leases back. Returns whether it was one.
    pub fn leave(&mut self, group: GroupId, instance: Instance) -> bool {
        for ((of, _), lease) in &mut self.leases {
            if *of == group && lease.holder == Some(instance) {
                lease.holder = None;
            }
        }
        self.members.remove(&(group, instance)).is_some()
    }

    /// A node's process is gone: it is a member no more, but its leases run on (e13: 69 s). Returns the groups that
    /// changed.
    pub fn drop_node(&mut self, node: NodeId) -> Vec<GroupId> {
        self.retain(|instance, _| instance.node != node)
    }

    /// Members that were silent for too long are dropped. Returns the groups that changed.
    pub fn expire(&mut self, now: Time, silence: Span) -> Vec<GroupId> {
        self.retain(|_, heard| now.since(heard) < silence)
    }

    fn retain(&mut self, keep: impl Fn(Instance, Time) -> bool) -> Vec<GroupId> {
        let mut changed = Vec::new();
        self.members.retain(|(group, instance), heard| {
            let kept = keep(*instance, *heard);
            if !kept && changed.last() != Some(group) {
                changed.push(*group);
            }
            kept
        });
        changed
    }

    /// Leases a partition, or renews its lease. Returns whether the caller holds it now.
    pub fn lock(
        &mut self,
        now: Time,
        (group, partition): (GroupId, TopicPartition),
        (instance, number): (Instance, u32),
        claimed: bool,
        span: Span,
    ) -> bool {
        let free = match self.leases.get(&(group, partition)) {
            Some(lease) => lease.holder.is_none_or(|holder| holder == instance) || lease.until <= now,
            // A predecessor may have granted it to somebody who does not know yet that there is a new master.
            None => claimed || now >= self.settled_at,
        };
        if free {
            let lease = Lease { holder: Some(instance), until: now + span, number };
            self.leases.insert((group, partition), lease);
        }
        free
    }

    /// Gives a lease back. Returns whether the caller held it.
    pub fn unlock(
        &mut self,
        group: GroupId,
        partition: TopicPartition,
        instance: Instance,
        number: u32,
    ) -> bool {
        match self.leases.get_mut(&(group, partition)) {
            Some(lease) if lease.holder == Some(instance) && lease.number < number => {
                lease.holder = None;
                true
            }
            _ => false,
        }
    }

    /// Whether somebody else holds that partition.
    pub fn held_by_another(
        &self,
        now: Time,
        group: GroupId,
        partition: TopicPartition,
        instance: Instance,
    ) -> bool {
        let lease = self.leases.get(&(group, partition));
        lease.is_some_and(|lease| lease.until > now && lease.holder.is_some_and(|holder| holder != instance))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId(1);
    const PLACE: (GroupId, TopicPartition) = (GROUP, TopicPartition::new(0, 0));
    const LEASE: Span = Span::secs(60);

    fn instance(node: u32) -> Instance {
        Instance { node: NodeId(node), incarnation: 1 }
    }

    fn at(secs: u64) -> Time {
        Time::ZERO + Span::secs(secs)
    }

    #[test]
    fn a_lease_is_exclusive_until_it_runs_out() {
        let mut groups = Groups::default();
        assert!(groups.lock(at(0), PLACE, (instance(1), 1), false, LEASE));
        assert!(!groups.lock(at(59), PLACE, (instance(2), 1), true, LEASE));
        assert!(groups.lock(at(60), PLACE, (instance(2), 2), false, LEASE));
        assert!(!groups.lock(at(61), PLACE, (instance(1), 2), true, LEASE));
    }

    #[test]
    fn a_dead_members_lease_runs_on_but_one_that_leaves_gives_it_back() {
        let mut groups = Groups::default();
        assert!(groups.heartbeat(at(0), GROUP, instance(1)));
        assert!(groups.lock(at(0), PLACE, (instance(1), 1), false, LEASE));
        assert_eq!(groups.drop_node(NodeId(1)), [GROUP]);
        assert!(!groups.lock(at(1), PLACE, (instance(2), 1), false, LEASE));
        groups.leave(GROUP, instance(1));
        assert!(groups.lock(at(2), PLACE, (instance(2), 2), false, LEASE));
    }

    #[test]
    fn a_late_unlock_does_not_free_a_renewed_lease() {
        let mut groups = Groups::default();
        assert!(groups.lock(at(0), PLACE, (instance(1), 1), false, LEASE));
        assert!(groups.lock(at(1), PLACE, (instance(1), 5), false, LEASE));
        assert!(!groups.unlock(GROUP, PLACE.1, instance(1), 4));
        assert!(groups.unlock(GROUP, PLACE.1, instance(1), 6));
    }

    #[test]
    fn a_new_master_believes_who_claims_until_it_has_settled() {
        let mut groups = Groups::new(at(60));
        assert!(!groups.lock(at(10), PLACE, (instance(2), 1), false, LEASE));
        assert!(groups.lock(at(11), PLACE, (instance(1), 1), true, LEASE));
        assert!(groups.unlock(GROUP, PLACE.1, instance(1), 2));
        assert!(groups.lock(at(12), PLACE, (instance(2), 2), false, LEASE), "given back in good order");
        let other = (GROUP, TopicPartition::new(0, 1));
        assert!(groups.lock(at(60), other, (instance(2), 3), false, LEASE));
    }

    #[test]
    fn a_new_process_of_a_node_replaces_the_earlier_member() {
        let mut groups = Groups::default();
        groups.heartbeat(at(0), GROUP, instance(1));
        let later = Instance { node: NodeId(1), incarnation: 2 };
        assert!(groups.heartbeat(at(1), GROUP, later));
        assert_eq!(groups.members(GROUP), [later]);
        assert_eq!(groups.expire(at(121), Span::secs(120)), [GROUP]);
        assert!(groups.members(GROUP).is_empty());
    }
}
