//! What the owner is told of its partitions: granted, revoked, lost.

use super::membership::Stage;
use super::positions::Held;
use super::{Buffers, KafkaConsumer, Time};
use crate::client::Assigned;
use crate::machine::{Effects, Now};
use crate::record::TopicPartition;
use std::collections::BTreeSet;

impl KafkaConsumer {
    /// The group rebalances. Eager: everything is revoked first, and the join waits for the owner; cooperative: it
    /// joins with what it holds.
    pub(super) fn rebalance(&mut self) {
        if self.volatile.membership.stage != Stage::Stable {
            return;
        }
        if self.settings.cooperative() {
            self.volatile.membership.stage = Stage::Unjoined;
        } else {
            self.revoke(self.volatile.held.keys().collect());
        }
    }

    /// Take partitions back in good order, then join. Those that the owner was never told of it need not release.
    fn revoke(&mut self, partitions: Vec<TopicPartition>) {
        let own = &mut self.volatile;
        let (told, untold): (Vec<TopicPartition>, Vec<TopicPartition>) = partitions
            .into_iter()
            .partition(|partition| own.held.get(*partition).is_some_and(|held| held.granted));
        for partition in untold {
            own.held.remove(partition);
        }
        if told.is_empty() {
            own.membership.stage = Stage::Unjoined;
        } else {
            own.membership.stage = Stage::Revoking;
            own.changes.push_back(Assigned::Revoked(told));
        }
    }

    /// The member is no longer one: all partitions may be somebody else's already. An owner that is busy with the
    /// records of its poll hears of it when it polls next, and only then the member joins anew (observed rows 11, 12).
    pub(super) fn lose_all(&mut self) {
        let own = &mut self.volatile;
        let released = own.membership.stage == Stage::Revoking && !own.changes.iter().any(is_revoked);
        self.not_a_member();
        // After the owner took the revocation, it has nothing left to lose; its release is still awaited.
        if !released {
            let losing = !self.volatile.held.is_empty();
            self.volatile.membership.stage = if losing { Stage::Losing } else { Stage::Unjoined };
        }
    }

    /// Forget the generation, and tell the owner that what it holds is lost; a revocation that it has not taken
    /// turns into the loss.
    pub(super) fn not_a_member(&mut self) {
        let own = &mut self.volatile;
        own.membership.generation = -1;
        own.commits.drop_all();
        own.held.retain(|_, held| held.granted);
        own.changes.retain(|change| !is_revoked(change) && !is_lost(change));
        if own.held.is_empty() {
            return;
        }
        own.changes.push_back(Assigned::Lost(own.held.keys().collect()));
        if own.paused || own.busy_since.is_none() {
            own.held.clear();
            own.buffers = Buffers::default();
        }
    }

    /// The owner takes the oldest change, once it has all records of its poll.
    pub(super) fn take_change(&mut self) -> Option<Assigned> {
        if self.in_poll() {
            return None;
        }
        let own = &mut self.volatile;
        let change = own.changes.pop_front()?;
        own.settled = false;
        own.busy_since = None;
        if let Assigned::Revoked(partitions) = &change {
            for partition in partitions {
                own.held.remove(*partition);
                own.buffers.drop_partition(*partition);
            }
        }
        if is_lost(&change) && own.membership.stage == Stage::Losing {
            own.held.clear();
            own.buffers = Buffers::default();
            own.membership.stage = Stage::Unjoined;
        }
        Some(change)
    }

    /// The owner is through with revoked partitions.
    pub(super) fn released(&mut self, now: Now, effects: &mut Effects) {
        let own = &mut self.volatile;
        if own.membership.stage == Stage::Revoking && !own.changes.iter().any(is_revoked) {
            own.membership.stage = Stage::Unjoined;
        }
        self.changed(now, effects);
    }

    /// The sync gave an assignment. Cooperative: what is no longer ours is revoked now, and a second round follows
    /// (observed row 11).
    pub(super) fn take_assignment(&mut self, partitions: &[TopicPartition]) {
        let given: BTreeSet<TopicPartition> = partitions.iter().copied().collect();
        let own = &mut self.volatile;
        own.assignments += 1;
        own.commits.forget_epochs(|partition| own.held.contains(*partition));
        let gone: Vec<TopicPartition> =
            own.held.keys().filter(|partition| !given.contains(partition)).collect();
        for partition in given {
            own.held.or_insert_with(partition, Held::new);
        }
        if !gone.is_empty() {
            self.revoke(gone);
        }
    }

    /// Tell the owner of the partitions whose position is known.
    pub(super) fn grant(&mut self) {
        let own = &mut self.volatile;
        if !matches!(own.membership.stage, Stage::Stable | Stage::Revoking) {
            return;
        }
        let mut granted = Vec::new();
        for (partition, held) in own.held.iter_mut() {
            if let (false, Some(position)) = (held.granted, held.known_position()) {
                held.granted = true;
                granted.push((partition, position));
            }
        }
        if !granted.is_empty() {
            own.changes.push_back(Assigned::Granted(granted));
        }
    }

    /// The owner is within the records of a poll: it hears of nothing else.
    pub(super) fn in_poll(&self) -> bool {
        let own = &self.volatile;
        !own.paused && own.buffers.in_poll()
    }

    /// A leader whose topics changed their partition counts asks for a rebalance (observed row 16).
    pub(super) fn check_counts(&mut self) {
        let own = &self.volatile;
        let Some(counts) = &own.membership.counts else { return };
        let changed = counts
            .iter()
            .any(|(topic, count)| own.metadata.partition_count(*topic).is_some_and(|known| known != *count))
            || self
                .topics
                .iter()
                .any(|topic| !counts.contains_key(topic) && own.metadata.partition_count(*topic).is_some());
        if changed {
            self.rebalance();
        }
    }

    /// New metadata came.
    pub(super) fn metadata_came(&mut self, now: Now, effects: &mut Effects) {
        for (_, held) in self.volatile.held.iter_mut() {
            held.awaits_metadata = false;
        }
        self.validate_after_elections();
        self.assign_if_possible(now, true, effects);
        self.check_counts();
    }

    /// The owner polls: the time that it may be busy starts anew.
    pub(super) fn polled(&mut self, now: Now, busy: bool, effects: &mut Effects) {
        self.volatile.busy_since = busy.then_some(now.elapsed);
        if busy {
            let until: Time = now.elapsed + self.settings.max_poll_interval;
            self.volatile.poll.wake_by(now, until, effects);
        }
    }
}

fn is_lost(change: &Assigned) -> bool {
    matches!(change, Assigned::Lost(_))
}

fn is_revoked(change: &Assigned) -> bool {
    matches!(change, Assigned::Revoked(_))
}
