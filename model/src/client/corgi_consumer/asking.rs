//! What the library asks of the masters, and what becomes of the answers.

use super::{
    CorgiConsumer, Effects, Link, Message, NodeId, Received, Request, RequestId, Response, State, Time,
    TopicPartition,
};
use crate::corgi::protocol::Refusal;

impl CorgiConsumer {
    /// Everything that a link has to ask beside commits and pulls.
    pub(super) fn drive_link(&mut self, now: Time, set: u16, effects: &mut Effects) {
        self.fail_overdue(now, set);
        let Some(link) = self.volatile.links.get_mut(&set) else { return };
        let Some((master, _)) = link.master else { return };
        let (group, wait) = (self.membership.group, self.settings.request_timeout);
        let ids = &mut self.volatile.ids;
        let mut ask = |request: Request| {
            let id = ids.next_id();
            effects.send(master, Message::CorgiRequest(id, Box::new(request)));
            id
        };
        if link.heartbeat.is_due(now) {
            link.heartbeat.put(ask(Request::Heartbeat { group }), now, wait);
        }
        if link.unlock.is_due(now) {
            if link.unlocking.is_empty() {
                link.unlock.again_at(Time::NEVER);
            } else {
                let partitions = link.unlocking.clone();
                link.unlocks_asked = partitions.len();
                link.unlock.put(ask(Request::Unlock { group, partitions }), now, wait);
            }
        }
        if link.lock.is_due(now) {
            let shares = self.volatile.shares.iter().filter(|(_, share)| share.set == set);
            let wanted: Vec<(TopicPartition, bool)> = shares
                .filter(|_| self.membership.ordered)
                .map(|(partition, share)| (partition, share.is_held() && now < share.lease_until))
                .collect();
            if wanted.is_empty() {
                link.lock.again_at(Time::NEVER);
            } else {
                link.locking = wanted.iter().map(|(partition, _)| *partition).collect();
                link.lock.put(ask(Request::Lock { group, partitions: wanted }), now, wait);
            }
        }
        if link.offsets.is_due(now) {
            let shares = self.volatile.shares.iter();
            let sought = shares.filter(|(_, share)| share.set == set && share.state == State::Finding);
            let partitions: Vec<TopicPartition> = sought.map(|(partition, _)| partition).collect();
            if partitions.is_empty() {
                link.offsets.again_at(Time::NEVER);
            } else {
                link.offsets.put(ask(Request::Offsets { group, partitions }), now, wait);
            }
        }
    }

    pub(super) fn drive_commits(&mut self, now: Time, set: u16, effects: &mut Effects) {
        let Some(link) = self.volatile.links.get_mut(&set) else { return };
        let Some((master, _)) = link.master else { return };
        if !link.commit.is_due(now) {
            return;
        }
        if link.commits.is_empty() {
            link.commit.again_at(Time::NEVER);
            return;
        }
        link.committing = std::mem::take(&mut link.commits).into_iter().collect();
        link.committed_at = now;
        let request = Request::Commit { group: self.membership.group, offsets: link.committing.clone() };
        let id = self.volatile.ids.next_id();
        link.commit.put(id, now, self.settings.request_timeout);
        effects.send(master, Message::CorgiRequest(id, Box::new(request)));
    }

    /// Pulls more of a partition if it is read, time to, and there is room.
    pub(super) fn drive_pull(&mut self, now: Time, partition: TopicPartition, effects: &mut Effects) {
        let Some(share) = self.volatile.shares.get_mut(partition) else { return };
        if share.pull.is_overdue(now) {
            share.pull.again_at(now + self.settings.retry_backoff);
            self.volatile.route.suspect(now);
        }
        if !share.pull.is_due(now) {
            return;
        }
        let Some((master, _)) = self.volatile.links.get(&share.set).and_then(|link| link.master) else {
            return;
        };
        if share.state != State::Reading || share.buffer.len() > self.settings.prefetch_records as usize / 2 {
            share.pull.again_at(Time::NEVER);
            return;
        }
        let id = self.volatile.ids.next_id();
        share.pull.put(id, now, self.settings.pull_timeout);
        let (group, offset) = (self.membership.group, share.next);
        let request = Request::Pull { group, partition, offset, max_records: self.settings.pull_records };
        effects.send(master, Message::CorgiRequest(id, Box::new(request)));
    }

    /// Takes the answer to a pull. Returns whether it was one.
    pub(super) fn take_pulled(&mut self, now: Time, id: RequestId, response: &Response) -> bool {
        let mut shares = self.volatile.shares.iter_mut();
        let found =
            shares.find_map(|(partition, share)| share.pull.take(id, now).map(|_| (partition, share)));
        let Some((partition, share)) = found else { return false };
        match response {
            Response::Pull { offset, records } => {
                let numbered = (*offset..).zip(records);
                let received =
                    numbered.map(|(offset, record)| Received { partition, offset, record: *record });
                share.buffer.extend(received);
                share.next = offset + records.len() as i64;
            }
            // A position that the log does not have: read on where the master says (e3, e5).
            Response::Moved { offset } => share.next = *offset,
            _ => {
                share.pull.again_at(now + self.settings.retry_backoff);
                self.volatile.route.suspect(now);
            }
        }
        true
    }

    /// Takes an answer to anything else.
    pub(super) fn take_answer(
        &mut self,
        now: Time,
        from: NodeId,
        id: RequestId,
        response: &Response,
        _effects: &mut Effects,
    ) {
        let links = self.volatile.links.iter();
        let of = links.filter(|(_, link)| link.master.is_some_and(|(node, _)| node == from));
        let sets: Vec<u16> = of.map(|(set, _)| *set).collect();
        for set in sets {
            let Some(link) = self.volatile.links.get_mut(&set) else { continue };
            if let Response::Refused(refusal) = response {
                let fenced = *refusal == Refusal::Fenced;
                if fenced && link.commit.take(id, Time::NEVER).is_some() {
                    link.committing.clear();
                } else if self.refused(now, set, id) {
                    return;
                }
                continue;
            }
            if self.take_result(now, set, id, response) {
                return;
            }
        }
    }

    /// Returns whether it was an answer to one of this link's questions.
    fn take_result(&mut self, now: Time, set: u16, id: RequestId, response: &Response) -> bool {
        let settings = &self.settings;
        let Some(link) = self.volatile.links.get_mut(&set) else { return false };
        match response {
            Response::Heartbeat { members } => {
                let taken = link.heartbeat.take(id, now + settings.rebalance_interval).is_some();
                if let Some(members) = members.as_ref().filter(|_| taken) {
                    link.members.clone_from(members);
                    self.rebalance(now, set);
                }
                taken
            }
            Response::Lock { granted } => {
                let Some(asked_at) = link.lock.take(id, Time::NEVER) else { return false };
                link.lock.again_at((asked_at + settings.lease_renewal).max(now));
                self.take_leases(now, set, asked_at, granted);
                true
            }
            Response::Offsets { offsets } => {
                let taken = link.offsets.take(id, Time::NEVER).is_some();
                if taken {
                    self.take_starts(now, set, offsets);
                }
                taken
            }
            Response::Commit => {
                // What was given back is committed at once.
                let shares = &self.volatile.shares;
                let released = link.commits.keys().any(|partition| !shares.contains(*partition));
                let next = if released { now } else { now + settings.commit_interval };
                let taken = link.commit.take(id, next).is_some();
                if taken {
                    let committed = std::mem::take(&mut link.committing);
                    if let Some(acknowledged) = &mut self.volatile.acknowledged {
                        acknowledged.extend(committed);
                    }
                }
                taken
            }
            Response::Unlock => {
                let taken = link.unlock.take(id, Time::NEVER).is_some();
                if taken {
                    // What was given back meanwhile has still to be said.
                    let given_back = link.unlocking.drain(..link.unlocks_asked.min(link.unlocking.len()));
                    let committed = given_back.filter_map(|(partition, offset)| Some((partition, offset?)));
                    match &mut self.volatile.acknowledged {
                        Some(acknowledged) => acknowledged.extend(committed),
                        None => drop(committed),
                    }
                    link.unlock.hurry(now);
                    self.rebalance(now, set);
                }
                taken
            }
            _ => false,
        }
    }

    fn fail_overdue(&mut self, now: Time, set: u16) {
        self.fail(now, set, |errand| errand.is_overdue(now));
    }

    fn refused(&mut self, now: Time, set: u16, id: RequestId) -> bool {
        self.fail(now, set, |errand| errand.question() == Some(id))
    }

    /// Requests that failed are made again a little later, if still there is a reason. Returns whether any failed.
    fn fail(&mut self, now: Time, set: u16, which: impl Fn(&super::Errand) -> bool) -> bool {
        let Some(link) = self.volatile.links.get_mut(&set) else { return false };
        let again = now + self.settings.retry_backoff;
        let commit_failed = which(&link.commit);
        let mut any = false;
        let Link { heartbeat, lock, offsets, commit, unlock, .. } = link;
        for errand in [heartbeat, lock, offsets, commit, unlock] {
            if which(errand) {
                errand.again_at(again);
                any = true;
            }
        }
        if commit_failed {
            // What somebody else may read by now is not committed again.
            for (partition, offset) in std::mem::take(&mut link.committing) {
                if self.volatile.shares.contains(partition) {
                    link.commits.entry(partition).or_insert(offset);
                }
            }
        }
        if any {
            self.volatile.route.suspect(now);
        }
        any
    }

    /// A process died: what was asked of it is lost. A master that is started again has forgotten members and leases.
    pub(super) fn disconnected(&mut self, now: Time, node: NodeId) {
        self.volatile.route.disconnected(now, node == self.name_service);
        let links = self.volatile.links.iter();
        let of = links.filter(|(_, link)| link.master.is_some_and(|(master, _)| master == node));
        let sets: Vec<u16> = of.map(|(set, _)| *set).collect();
        let again = now + self.settings.retry_backoff;
        for set in sets {
            self.fail(now, set, super::Errand::is_out);
            if let Some(link) = self.volatile.links.get_mut(&set) {
                link.heartbeat.hurry(again);
                link.lock.hurry(again);
            }
            for (_, share) in self.volatile.shares.iter_mut().filter(|(_, share)| share.set == set) {
                if share.pull.is_out() {
                    share.pull.again_at(again);
                }
            }
            self.volatile.route.suspect(now);
        }
    }
}
