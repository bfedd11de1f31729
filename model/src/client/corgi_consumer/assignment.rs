//! Which partitions are this instance's: computed from the members, leased, believed in, given back and lost.

use super::{
    Assigned, CorgiConsumer, Errand, Link, NodeId, Offset, Share, State, Time, TopicPartition, VecDeque,
};
use crate::corgi::protocol::{Epoch, Instance};
use litemap::LiteMap;

impl Share {
    fn new(set: u16, state: State) -> Share {
        Share {
            set,
            state,
            lease_until: Time::ZERO,
            next: 0,
            pull: Errand::IDLE,
            buffer: VecDeque::new(),
            committed: None,
        }
    }

    /// Whether, in an ordered group, it rests on a lease.
    pub(super) fn is_held(&self) -> bool {
        self.state != State::Locking
    }
}

impl Link {
    pub(super) fn new() -> Link {
        Link {
            master: None,
            members: Vec::new(),
            heartbeat: Errand::IDLE,
            lock: Errand::IDLE,
            locking: Vec::new(),
            offsets: Errand::IDLE,
            commit: Errand::IDLE,
            commits: LiteMap::new(),
            committing: Vec::new(),
            committed_at: Time::ZERO,
            unlock: Errand::IDLE,
            unlocking: Vec::new(),
            unlocks_asked: 0,
        }
    }

    /// When the first of its errands is to be looked at.
    pub(super) fn earliest(&self) -> Time {
        let errands = [&self.heartbeat, &self.lock, &self.offsets, &self.commit, &self.unlock];
        errands.into_iter().fold(Time::NEVER, |earliest, errand| earliest.min(errand.due()))
    }
}

/// The member that gets the partition at that place: consecutive stretches of equal length, the first ones longer by
/// one (assumed, after RocketMQ's averaging strategy, over all of a group's topics together).
fn owner(place: usize, partitions: usize, members: &[Instance]) -> Option<Instance> {
    let (each, longer) = (partitions / members.len().max(1), partitions % members.len().max(1));
    let within_longer = longer * (each + 1);
    let index = if place < within_longer {
        place / (each + 1)
    } else {
        longer + (place - within_longer) / each.max(1)
    };
    members.get(index).copied()
}

impl CorgiConsumer {
    /// The route was told anew: the partitions may be others, and so may the masters.
    pub(super) fn follow_route(&mut self, now: Time) {
        let route = &self.volatile.route;
        let topics = route.topics().iter().filter(|topic| self.membership.topics.contains(&topic.topic));
        let mut partitions: Vec<(TopicPartition, u16)> = topics
            .flat_map(|topic| {
                (0u16..)
                    .zip(&topic.sets)
                    .map(move |(partition, set)| (TopicPartition { topic: topic.topic, partition }, *set))
            })
            .collect();
        partitions.sort_unstable();
        let mut sets: Vec<u16> = partitions.iter().map(|(_, set)| *set).collect();
        sets.sort_unstable();
        sets.dedup();
        let changed = self.volatile.partitions != partitions;
        self.volatile.partitions = partitions;
        if changed {
            self.drop_vanished();
        }
        for set in sets {
            let master = self.volatile.route.master(set);
            let link = self.volatile.links.entry(set).or_insert_with(Link::new);
            if link.master != master {
                self.change_master(now, set, master);
            }
            if changed {
                self.rebalance(now, set);
            }
        }
    }

    /// Partitions that a set's new master does not know (e17) are nobody's.
    fn drop_vanished(&mut self) {
        let known = &self.volatile.partitions;
        let vanished = |partition: &TopicPartition| known.iter().all(|(known, _)| known != partition);
        let shares = self.volatile.shares.iter().filter(|(partition, _)| vanished(partition));
        let gone: Vec<(TopicPartition, State)> =
            shares.map(|(partition, share)| (partition, share.state)).collect();
        let mut revoked = Vec::new();
        for (partition, state) in gone {
            match state {
                State::Locking | State::Finding => {
                    self.volatile.shares.remove(partition);
                }
                State::Reading => revoked.push(partition),
                State::Revoking { .. } => {}
            }
        }
        self.revoke(revoked);
    }

    /// Another master: it knows nothing of this instance but what is copied to it. Positions are kept; offsets are
    /// committed again, since the copy of them is old (e5).
    fn change_master(&mut self, now: Time, set: u16, master: Option<(NodeId, Epoch)>) {
        let Some(link) = self.volatile.links.get_mut(&set) else { return };
        link.master = master;
        link.locking.clear();
        link.unlocking.clear();
        link.unlock = Errand::IDLE;
        for errand in [&mut link.heartbeat, &mut link.lock, &mut link.offsets, &mut link.commit] {
            errand.again_at(now);
        }
        for (partition, offset) in std::mem::take(&mut link.committing) {
            if self.volatile.shares.contains(partition) {
                link.commits.entry(partition).or_insert(offset);
            }
        }
        for (partition, share) in self.volatile.shares.iter_mut().filter(|(_, share)| share.set == set) {
            if share.state == State::Reading {
                share.pull.again_at(now);
            }
            if let Some(offset) = share.committed {
                link.commits.entry(partition).or_insert(offset);
            }
        }
    }

    /// A master tells who the members are, or only that a lease was given back.
    pub(super) fn hear_members(&mut self, now: Time, from: NodeId, members: Option<&[Instance]>) {
        let myself = self.myself();
        let links = self.volatile.links.iter_mut();
        let set =
            links.filter(|(_, link)| link.master.is_some_and(|(node, _)| node == from)).map(|(set, _)| *set);
        let sets: Vec<u16> = set.collect();
        for set in sets {
            let Some(link) = self.volatile.links.get_mut(&set) else { continue };
            if let Some(members) = members {
                link.members = members.to_vec();
                if !members.contains(&myself) {
                    // Forgotten, after a long silence: nothing is this instance's until it has been heard again.
                    link.heartbeat.hurry(now);
                }
                self.rebalance(now, set);
            }
            self.try_locks(now, set);
        }
    }

    fn try_locks(&mut self, now: Time, set: u16) {
        let mut shares = self.volatile.shares.values();
        let wants = shares.any(|share| share.set == set && share.state == State::Locking);
        if let Some(link) = self.volatile.links.get_mut(&set)
            && wants
        {
            link.lock.hurry(now);
        }
    }

    /// Computes this instance's share of a set's partitions, takes what is new and gives back what is not its own.
    pub(super) fn rebalance(&mut self, now: Time, set: u16) {
        let myself = self.myself();
        let Some(link) = self.volatile.links.get_mut(&set) else { return };
        // Before a master has told, everything stays as it is.
        if link.members.is_empty() {
            return;
        }
        let count = self.volatile.partitions.len();
        let mut revoked = Vec::new();
        for (place, (partition, of)) in self.volatile.partitions.iter().enumerate() {
            if *of != set {
                continue;
            }
            let mine = owner(place, count, &link.members) == Some(myself);
            let state = self.volatile.shares.get(*partition).map(|share| share.state);
            match (mine, state) {
                (true, None) if link.unlocking.iter().all(|(unlocking, _)| unlocking != partition) => {
                    let first = if self.membership.ordered { State::Locking } else { State::Finding };
                    self.volatile.shares.insert(*partition, Share::new(set, first));
                    let errand = if self.membership.ordered { &mut link.lock } else { &mut link.offsets };
                    errand.hurry(now);
                }
                (false, Some(State::Locking)) => {
                    self.volatile.shares.remove(*partition);
                }
                (false, Some(State::Finding)) => {
                    self.volatile.shares.remove(*partition);
                    if self.membership.ordered {
                        link.unlocking.push((*partition, None));
                        link.unlock.hurry(now);
                    }
                }
                (false, Some(State::Reading)) => revoked.push(*partition),
                _ => {}
            }
        }
        self.revoke(revoked);
    }

    fn revoke(&mut self, partitions: Vec<TopicPartition>) {
        for partition in &partitions {
            if let Some(share) = self.volatile.shares.get_mut(*partition) {
                share.state = State::Revoking { told: false };
                share.pull = Errand::IDLE;
                share.buffer.clear();
            }
        }
        if !partitions.is_empty() {
            self.volatile.notices.push_back(Assigned::Revoked(partitions));
        }
    }

    /// The owner has finished with what it was told of: unlock it, or, where nothing is leased, just commit.
    pub(super) fn give_back(&mut self, now: Time) {
        let shares = self.volatile.shares.iter();
        let released = shares.filter(|(_, share)| share.state == State::Revoking { told: true });
        let released: Vec<(TopicPartition, u16)> =
            released.map(|(partition, share)| (partition, share.set)).collect();
        for (partition, set) in &released {
            self.volatile.shares.remove(*partition);
            let Some(link) = self.volatile.links.get_mut(set) else { continue };
            if self.membership.ordered {
                let offset = link.commits.remove(partition);
                link.unlocking.push((*partition, offset));
                link.unlock.hurry(now);
            } else if link.commits.contains_key(partition) {
                link.committed_at = Time::ZERO;
                link.commit.hurry(now);
            }
        }
        for (_, set) in released {
            self.rebalance(now, set);
        }
    }

    /// Leases that are not believed in any more are lost: somebody else may have them.
    pub(super) fn expire_leases(&mut self, now: Time) {
        if !self.membership.ordered {
            return;
        }
        let shares = self.volatile.shares.iter();
        let over = shares.filter(|(_, share)| share.is_held() && now >= share.lease_until);
        let over: Vec<TopicPartition> = over.map(|(partition, _)| partition).collect();
        self.lose(now, over);
    }

    /// A lease was refused or ran out.
    pub(super) fn lose(&mut self, now: Time, partitions: Vec<TopicPartition>) {
        let mut lost = Vec::new();
        for partition in partitions {
            let Some(share) = self.volatile.shares.get(partition) else { continue };
            let (set, state) = (share.set, share.state);
            if matches!(state, State::Reading | State::Revoking { .. }) {
                lost.push(partition);
            }
            if let Some(link) = self.volatile.links.get_mut(&set) {
                link.commits.remove(&partition);
                link.lock.hurry(now);
            }
            if matches!(state, State::Revoking { .. }) {
                self.volatile.shares.remove(partition);
            } else {
                self.volatile.shares.insert(partition, Share::new(set, State::Locking));
            }
        }
        if !lost.is_empty() {
            self.volatile.notices.push_back(Assigned::Lost(lost));
        }
    }

    /// What the master leased to this instance. The belief runs from when it was asked for, so that an answer that
    /// comes late is worth nothing.
    pub(super) fn take_leases(&mut self, now: Time, set: u16, asked_at: Time, granted: &[TopicPartition]) {
        let Some(link) = self.volatile.links.get_mut(&set) else { return };
        let asked = std::mem::take(&mut link.locking);
        let mut refused = Vec::new();
        for partition in &asked {
            let is_granted = granted.contains(partition);
            let Some(share) = self.volatile.shares.get_mut(*partition) else {
                // It became somebody else's while the question was out. RocketMQ's client locks and balances in one thread: its
                // next rebalance finds the queue that it does not want any more, and unlocks it.
                let gives_back_already = link.unlocking.iter().any(|(unlocking, _)| unlocking == partition);
                if is_granted && !gives_back_already {
                    link.unlocking.push((*partition, None));
                    link.unlock.hurry(now);
                }
                continue;
            };
            if is_granted {
                share.lease_until = asked_at + self.settings.lease_belief;
                if share.state == State::Locking {
                    share.state = State::Finding;
                    link.offsets.hurry(now);
                }
            } else if share.is_held() {
                refused.push(*partition);
            }
        }
        let shares = self.volatile.shares.iter().filter(|(_, share)| share.set == set && !share.is_held());
        if shares.map(|(partition, _)| partition).any(|partition| !asked.contains(&partition)) {
            link.lock.hurry(now);
        }
        self.lose(now, refused);
    }

    /// The offsets from which to read on: a share without one starts at the beginning (e5).
    pub(super) fn take_starts(&mut self, now: Time, set: u16, offsets: &[(TopicPartition, Option<Offset>)]) {
        let mut granted = Vec::new();
        for (partition, offset) in offsets {
            let Some(share) = self.volatile.shares.get_mut(*partition) else { continue };
            if share.state == State::Finding {
                share.state = State::Reading;
                share.next = offset.unwrap_or(0);
                share.committed = *offset;
                share.pull.hurry(now);
                granted.push((*partition, share.next));
            }
        }
        if !granted.is_empty() {
            self.volatile.notices.push_back(Assigned::Granted(granted));
        }
        let mut shares = self.volatile.shares.values();
        if shares.any(|share| share.set == set && share.state == State::Finding)
            && let Some(link) = self.volatile.links.get_mut(&set)
        {
            link.offsets.hurry(now);
        }
    }
}
