//! Corgi's consumer library. Each master tells a group's members; each instance computes its share of the partitions
//! by itself. An ordered group leases a partition before it reads; an unordered one reads at once, so that two
//! instances may overlap at a rebalance (e6). Commits are not tied to a lease (e6).
//!
//! Left out: reads from slaves (e2kill), retry topics (e7).

mod asking;
mod assignment;
#[cfg(test)]
mod tests;

use super::corgi_consumer_settings::Settings;
use super::corgi_route::{Errand, Route};
use super::{Assigned, Consumer, Received};
use crate::corgi::protocol::{Epoch, Instance, Request, Response};
use crate::machine::{Effects, Input, Now, RequestId, RequestIds, Timer};
use crate::message::Message;
use crate::partition_map::PartitionMap;
use crate::record::{GroupId, NodeId, Offset, TopicId, TopicPartition};
use crate::units::Time;
use litemap::LiteMap;
use serde::Serialize;
use std::collections::VecDeque;

const WAKE: &str = "corgi-consumer/wake";

/// Who a consumer is and what it reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Membership {
    /// The node that it runs on.
    pub node: NodeId,
    /// Tells its requests and timers from those of the process's other libraries.
    pub lane: u16,
    /// Its group.
    pub group: GroupId,
    /// The topics.
    pub topics: Vec<TopicId>,
    /// Whether the group is ordered and leases its partitions.
    pub ordered: bool,
}

/// The library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CorgiConsumer {
    settings: Settings,
    name_service: NodeId,
    membership: Membership,
    volatile: Volatile,
}

/// All that it holds, which ends with its process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Volatile {
    running: bool,
    paused: bool,
    incarnation: u32,
    ids: RequestIds,
    route: Route,
    /// All partitions of the group's topics in order, each with its set.
    partitions: Vec<(TopicPartition, u16)>,
    links: LiteMap<u16, Link>,
    shares: PartitionMap<Share>,
    notices: VecDeque<Assigned>,
    /// The partition that was received from last: the next one is served first.
    last_received: Option<TopicPartition>,
    /// When the timer runs out, if it is set.
    wake_at: Option<Time>,
    /// Commits that were acknowledged, if the owner wants to know of them.
    acknowledged: Option<VecDeque<(TopicPartition, Offset)>>,
}

/// The dealings with one broker set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Link {
    master: Option<(NodeId, Epoch)>,
    /// The group's members, as the master last told.
    members: Vec<Instance>,
    heartbeat: Errand,
    lock: Errand,
    /// What the lock request that is out asks for.
    locking: Vec<TopicPartition>,
    offsets: Errand,
    commit: Errand,
    /// To be committed with the next request.
    commits: LiteMap<TopicPartition, Offset>,
    /// In the commit request that is out.
    committing: Vec<(TopicPartition, Offset)>,
    committed_at: Time,
    unlock: Errand,
    /// Given back, and not confirmed yet: not to be locked again before.
    unlocking: Vec<(TopicPartition, Option<Offset>)>,
    /// How many of them, the first ones, are in the request that is out.
    unlocks_asked: usize,
}

/// A partition that is this instance's, or is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Share {
    set: u16,
    state: State,
    /// Until when the lease is believed in.
    lease_until: Time,
    /// The next offset to pull.
    next: Offset,
    pull: Errand,
    buffer: VecDeque<Received>,
    /// The last offset that was handed over to be committed.
    committed: Option<Offset>,
}

/// How far a share has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum State {
    /// Its lease is sought.
    Locking,
    /// Its offset is sought.
    Finding,
    /// It is read.
    Reading,
    /// It is to be given back as soon as the owner has released it.
    Revoking {
        /// Whether the owner has taken the notice.
        told: bool,
    },
}

impl CorgiConsumer {
    /// A consumer that asks that name service.
    pub fn new(settings: Settings, name_service: NodeId, membership: Membership) -> CorgiConsumer {
        CorgiConsumer { settings, name_service, membership, volatile: Volatile::default() }
    }

    fn timer(&self) -> Timer {
        Timer::new(WAKE, u64::from(self.membership.lane))
    }

    fn myself(&self) -> Instance {
        Instance { node: self.membership.node, incarnation: self.volatile.incarnation }
    }

    /// Does whatever is due. Commits go before leases are looked at: an instance that was frozen for long sends its
    /// old commits at its thaw (e6).
    fn drive(&mut self, now: Time, effects: &mut Effects) {
        if !self.volatile.running {
            return;
        }
        let volatile = &mut self.volatile;
        volatile.route.drive(now, self.name_service, &mut volatile.ids, effects);
        // Most inputs leave nothing to do. What there is, is gone through by its place and without a list: none of it adds a
        // link or a share, or takes one away.
        if !self.is_idle(now) {
            for place in 0..self.volatile.links.len() {
                if let Some(set) = self.set_where(place, |link| link.commit.is_due(now)) {
                    self.drive_commits(now, set, effects);
                }
            }
            self.expire_leases(now);
            for place in 0..self.volatile.links.len() {
                if let Some(set) = self.set_where(place, |link| link.earliest() <= now) {
                    self.drive_link(now, set, effects);
                }
            }
            for place in 0..self.volatile.shares.len() {
                let share = self.volatile.shares.at_place(place);
                if let Some((partition, _)) = share.filter(|(_, share)| share.pull.due() <= now) {
                    self.drive_pull(now, partition, effects);
                }
            }
        }
        self.rearm(now, effects);
    }

    /// Whether nothing is due, and no lease is over.
    fn is_idle(&self, now: Time) -> bool {
        let Volatile { links, shares, .. } = &self.volatile;
        let is_over = |share: &Share| share.is_held() && share.lease_until <= now;
        links.values().all(|link| link.earliest() > now)
            && shares
                .values()
                .all(|share| share.pull.due() > now && !(self.membership.ordered && is_over(share)))
    }

    fn set_where(&self, place: usize, is_due: impl Fn(&Link) -> bool) -> Option<u16> {
        self.volatile.links.get_indexed(place).filter(|(_, link)| is_due(link)).map(|(set, _)| *set)
    }

    fn rearm(&mut self, now: Time, effects: &mut Effects) {
        let volatile = &self.volatile;
        let mut due = volatile.route.due();
        for link in volatile.links.values().filter(|link| link.master.is_some()) {
            due = due.min(link.earliest());
        }
        for share in volatile.shares.values() {
            // Without a master there is nobody to pull from: only what comes earlier is looked at further.
            if share.pull.due() < due
                && volatile.links.get(&share.set).is_some_and(|link| link.master.is_some())
            {
                due = share.pull.due();
            }
            if self.membership.ordered && share.is_held() {
                due = due.min(share.lease_until);
            }
        }
        // Waking too early is harmless, and costs more than to put the timer off.
        if due < Time::NEVER && volatile.wake_at != Some(due) {
            self.volatile.wake_at = Some(due);
            effects.set_timer(self.timer(), due.since(now));
        }
    }

    /// Whether records of a share may be handed out: not beyond the time that its lease is believed in.
    fn may_hand_out(&self, now: Time, share: &Share) -> bool {
        let leased = !self.membership.ordered || now < share.lease_until;
        self.volatile.running && !self.volatile.paused && share.state == State::Reading && leased
    }

    fn take_response(
        &mut self,
        now: Time,
        from: NodeId,
        id: RequestId,
        response: &Response,
        effects: &mut Effects,
    ) {
        if self.volatile.route.take(now, id, response, self.settings.route_refresh) {
            self.follow_route(now);
            return;
        }
        if !self.take_pulled(now, id, response) {
            self.take_answer(now, from, id, response, effects);
        }
    }

    fn hand_out(&mut self, now: Time, partition: TopicPartition, effects: &mut Effects) -> Option<Received> {
        // Most look for something in vain.
        let share = self.volatile.shares.get(partition).filter(|share| !share.buffer.is_empty())?;
        if !self.may_hand_out(now, share) {
            return None;
        }
        let prefetch = self.settings.prefetch_records as usize;
        let share = self.volatile.shares.get_mut(partition)?;
        let received = share.buffer.pop_front()?;
        self.volatile.last_received = Some(partition);
        if share.buffer.len() == prefetch / 2 {
            share.pull.hurry(now);
            self.drive_pull(now, partition, effects);
            self.rearm(now, effects);
        }
        Some(received)
    }
}

impl Consumer for CorgiConsumer {
    fn start(&mut self, now: Now, incarnation: u32, effects: &mut Effects) {
        let ids = RequestIds::new(incarnation, self.membership.lane);
        self.volatile = Volatile { running: true, incarnation, ids, ..Volatile::default() };
        self.drive(now.elapsed, effects);
    }

    fn step(&mut self, now: Now, input: &Input, effects: &mut Effects) -> bool {
        let now = now.elapsed;
        match input {
            Input::Timer(timer) if *timer == self.timer() => self.volatile.wake_at = None,
            Input::Message { from, message } => match message {
                Message::CorgiResponse(id, response) if self.volatile.ids.issued(*id) => {
                    self.take_response(now, *from, *id, response, effects);
                }
                Message::CorgiRequest(_, request) => match &**request {
                    Request::Members { group, members } if *group == self.membership.group => {
                        self.hear_members(now, *from, members.as_deref());
                    }
                    _ => return false,
                },
                _ => return false,
            },
            Input::Disconnected(node) => {
                self.disconnected(now, *node);
                self.drive(now, effects);
                // Others may want to know as well.
                return false;
            }
            _ => return false,
        }
        self.drive(now, effects);
        true
    }

    fn assigned(&mut self) -> Option<Assigned> {
        let notice = self.volatile.notices.pop_front()?;
        if let Assigned::Revoked(partitions) = &notice {
            for partition in partitions {
                if let Some(share) = self.volatile.shares.get_mut(*partition)
                    && matches!(share.state, State::Revoking { .. })
                {
                    share.state = State::Revoking { told: true };
                }
            }
        }
        Some(notice)
    }

    fn is_quiet(&self) -> bool {
        let Volatile { notices, shares, .. } = &self.volatile;
        notices.is_empty() && shares.values().all(|share| share.buffer.is_empty())
    }

    fn release(&mut self, now: Now, effects: &mut Effects) {
        self.give_back(now.elapsed);
        self.drive(now.elapsed, effects);
    }

    fn receive(&mut self, now: Now, effects: &mut Effects) -> Option<Received> {
        let now = now.elapsed;
        let filled = |(partition, share): (TopicPartition, &Share)| {
            (!share.buffer.is_empty() && self.may_hand_out(now, share)).then_some(partition)
        };
        let shares = &self.volatile.shares;
        let last = self.volatile.last_received;
        let next = shares.iter().filter(|(at, _)| Some(*at) > last).find_map(filled);
        let partition = next.or_else(|| shares.iter().find_map(filled))?;
        self.hand_out(now, partition, effects)
    }

    fn receive_from(
        &mut self,
        now: Now,
        partition: TopicPartition,
        effects: &mut Effects,
    ) -> Option<Received> {
        self.hand_out(now.elapsed, partition, effects)
    }

    fn commit(&mut self, now: Now, offsets: &[(TopicPartition, Offset)], effects: &mut Effects) {
        for (partition, offset) in offsets {
            let Some(share) = self.volatile.shares.get_mut(*partition) else { continue };
            share.committed = Some(*offset);
            if let Some(link) = self.volatile.links.get_mut(&share.set) {
                link.commits.insert(*partition, *offset);
                let next = (link.committed_at + self.settings.commit_interval).max(now.elapsed);
                link.commit.hurry(next);
            }
        }
        self.rearm(now.elapsed, effects);
    }

    fn committing(&self) -> bool {
        let pending = |link: &Link| {
            !link.commits.is_empty() || !link.committing.is_empty() || !link.unlocking.is_empty()
        };
        self.volatile.links.values().any(pending)
    }

    fn assignment(&self) -> Vec<TopicPartition> {
        let assigned = |share: &Share| matches!(share.state, State::Reading | State::Revoking { .. });
        let shares = self.volatile.shares.iter().filter(|(_, share)| assigned(share));
        shares.map(|(partition, _)| partition).collect()
    }

    fn pause(&mut self, _now: Now, _effects: &mut Effects) {
        self.volatile.paused = true;
    }

    fn resume(&mut self, _now: Now, _effects: &mut Effects) {
        self.volatile.paused = false;
    }

    /// Reading begins anew there, with nothing of what was read ahead; the answer to a pull that is out is nobody's.
    fn seek(&mut self, now: Now, partition: TopicPartition, offset: Offset, effects: &mut Effects) -> bool {
        let now = now.elapsed;
        let shares = &mut self.volatile.shares;
        let Some(share) = shares.get_mut(partition).filter(|share| share.state == State::Reading) else {
            return false;
        };
        if share.buffer.front().map_or(share.next, |received| received.offset) == offset {
            return true;
        }
        share.buffer.clear();
        share.next = offset;
        share.pull.again_at(now);
        self.drive_pull(now, partition, effects);
        self.rearm(now, effects);
        true
    }

    fn report_commits(&mut self) {
        self.volatile.acknowledged.get_or_insert_default();
    }

    fn acknowledged_commit(&mut self) -> Option<(TopicPartition, Offset)> {
        self.volatile.acknowledged.as_mut()?.pop_front()
    }

    fn close(&mut self, _now: Now, effects: &mut Effects) {
        if !self.volatile.running {
            return;
        }
        let group = self.membership.group;
        let links = std::mem::take(&mut self.volatile.links);
        for (_, link) in links {
            let Some((master, _)) = link.master else { continue };
            let mut offsets: LiteMap<TopicPartition, Offset> = link.committing.into_iter().collect();
            offsets.extend(
                link.unlocking.into_iter().filter_map(|(partition, offset)| Some((partition, offset?))),
            );
            offsets.extend(link.commits);
            let request = Request::Leave { group, offsets: offsets.into_iter().collect() };
            let id = self.volatile.ids.next_id();
            effects.send(master, Message::CorgiRequest(id, Box::new(request)));
        }
        self.volatile.running = false;
        self.volatile.shares.clear();
        self.volatile.notices.clear();
        effects.cancel_timer(self.timer());
    }
}

#[cfg(test)]
impl CorgiConsumer {
    /// Whether it takes itself for the holder of a leased partition.
    pub(crate) fn believes(&self, now: Time, partition: TopicPartition) -> bool {
        let share = self.volatile.shares.get(partition);
        self.membership.ordered
            && self.volatile.running
            && share.is_some_and(|share| share.is_held() && now < share.lease_until)
    }
}
