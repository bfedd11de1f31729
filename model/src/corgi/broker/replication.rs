//! The log's way from a master to its slaves.
//!
//! A slave follows with its epoch and position; the master pushes to both slaves at once; a slave that misses
//! something asks again from its own end. Nothing is pushed to a slave that is too far behind with its answers.

use super::{
    Ask, Broker, COPY_OFFSETS, Epoch, FOLLOW, Follower, NodeId, PROBE, PROBE_INTERVAL, Refusal, Request,
    RequestId, Response, Role, Time,
};
use crate::corgi::log::{Entry, Log};
use crate::corgi::protocol::OffsetTable;
use crate::corgi::settings::{Replication, Visible};
use crate::history::Event;
use crate::machine::{Effects, Process};
use crate::record::Queue;

/// At most so many entries travel in one message, and at most so many to one slave before it answers.
const WINDOW_ENTRIES: u64 = 1_000;

impl Broker {
    // The master's side.

    /// A slave asks to follow. Where a returning broker is to be cut, it follows from where both logs part; where it
    /// is not, from its own end, whatever lies before it (e3, e4).
    pub(super) fn admit(
        &mut self,
        now: Time,
        ask: Ask,
        epoch: Epoch,
        (end, history): (u64, &[(Epoch, u64)]),
        effects: &mut Effects,
    ) {
        if self.settings.epochs && epoch > self.durable.epoch && self.is_master() {
            self.step_down(now, epoch, effects);
        }
        if !self.is_master() {
            return ask.refuse(Refusal::NotMaster, effects);
        }
        let log = &self.durable.log;
        let shared = if self.settings.truncate_on_return { log.common_prefix(history, end) } else { end };
        let position = shared.max(self.filled_from(end));
        let follower = Follower { sent: position, received: position, acknowledged: 0, heard_at: now };
        self.volatile.master.followers.insert(ask.from, follower);
        let (epoch, epoch_start) = (self.durable.epoch, self.durable.epoch_start);
        if position > shared {
            let beginning = log.beginning_at(position);
            ask.answer(Response::FollowFrom { epoch, epoch_start, beginning }, effects);
        } else {
            ask.answer(Response::Follow { epoch, position, epoch_start }, effects);
        }
        // The first append is sent even when it is empty: its answer says that the slave has what it is counted for.
        self.push_to(ask.from, true, effects);
    }

    pub(super) fn push(&mut self, effects: &mut Effects) {
        for place in 0..self.volatile.master.followers.len() {
            let follower = self.volatile.master.followers.get_indexed(place).map(|(node, _)| *node);
            if let Some(follower) = follower {
                self.push_to(follower, false, effects);
            }
        }
    }

    fn push_to(&mut self, node: NodeId, even_empty: bool, effects: &mut Effects) {
        let Some(follower) = self.volatile.master.followers.get_mut(&node) else { return };
        let room = (follower.received + WINDOW_ENTRIES).saturating_sub(follower.sent);
        let entries = self.durable.log.from(follower.sent, room as usize).to_vec();
        if entries.is_empty() && !even_empty {
            return;
        }
        let (epoch, position) = (self.durable.epoch, follower.sent);
        follower.sent += entries.len() as u64;
        self.ask(node, Request::Append { epoch, position, entries }, effects);
        self.arm_probe(effects);
    }

    fn arm_probe(&mut self, effects: &mut Effects) {
        if !self.volatile.master.probing {
            self.volatile.master.probing = true;
            effects.set_timer(PROBE, PROBE_INTERVAL);
        }
    }

    /// Closes the connections with slaves that were silent for too long (RocketMQ's `haHousekeepingInterval`, e1): what is
    /// written from now on is not sent to them, and they have to follow anew.
    pub(super) fn drop_silent(&mut self, now: Time, effects: &mut Effects) {
        let silence = self.settings.slave_silence;
        self.volatile.master.followers.retain(|node, follower| {
            let is_heard = now.since(follower.heard_at) < silence;
            if !is_heard {
                effects.processes.push(Process::Disconnect(*node));
            }
            is_heard
        });
    }

    /// Asks slaves that have not answered how far they are.
    pub(super) fn probe(&mut self, now: Time, effects: &mut Effects) {
        self.volatile.master.probing = false;
        if !self.is_master() {
            return;
        }
        self.drop_silent(now, effects);
        let followers = self.volatile.master.followers.iter();
        let behind = followers.filter(|(_, follower)| follower.acknowledged < follower.sent);
        let behind: Vec<(NodeId, u64)> = behind.map(|(node, follower)| (*node, follower.sent)).collect();
        for (node, position) in &behind {
            let request =
                Request::Append { epoch: self.durable.epoch, position: *position, entries: Vec::new() };
            self.ask(*node, request, effects);
        }
        if !behind.is_empty() {
            self.arm_probe(effects);
        }
    }

    /// A slave says how far it is.
    pub(super) fn replicated(
        &mut self,
        now: Time,
        ask: Ask,
        epoch: Epoch,
        (end, heartbeat): (u64, bool),
        effects: &mut Effects,
    ) {
        if self.settings.epochs && epoch > self.durable.epoch && self.is_master() {
            self.step_down(now, epoch, effects);
        }
        if !self.is_master() {
            return ask.refuse(Refusal::NotMaster, effects);
        }
        let own_end = self.durable.log.end();
        let same_epoch = epoch == self.durable.epoch;
        let follower = self.volatile.master.followers.get_mut(&ask.from).filter(|_| same_epoch);
        let Some(follower) = follower else { return ask.refuse(Refusal::NotFollowing, effects) };
        follower.heard_at = now;
        follower.acknowledged = follower.acknowledged.max(end.min(own_end));
        follower.received = follower.received.max(end);
        follower.sent = follower.sent.max(follower.received);
        let behind = follower.acknowledged < follower.sent;
        if heartbeat {
            ask.answer(Response::Replicated, effects);
            if behind {
                self.arm_probe(effects);
            }
        }
        self.advance(effects);
        self.push_to(ask.from, false, effects);
    }

    /// Moves the acknowledged position as far as the slaves' answers allow, and answers what waited for it.
    pub(super) fn advance(&mut self, effects: &mut Effects) {
        let end = self.durable.log.end();
        let said = self.volatile.master.followers.values().map(|follower| follower.acknowledged);
        let by_as_many = |position: &u64, wanted: Replication| {
            said.clone().filter(|other| other >= position).count() >= wanted.slaves()
        };
        let reached = match self.settings.replication {
            Replication::None => end,
            wanted => said.clone().filter(|position| by_as_many(position, wanted)).max().unwrap_or(0),
        };
        let before = self.volatile.master.acknowledged;
        if reached <= before {
            return;
        }
        self.volatile.master.acknowledged = reached;
        self.answer_sends(effects);
        self.confirm_delays(reached, effects);
        if self.settings.visible == Visible::Acknowledged {
            self.show(before, reached, effects);
        }
    }

    // The slave's side.

    pub(super) fn ask_to_follow(&mut self, now: Time, effects: &mut Effects) {
        let Role::Slave(Some(master)) = self.durable.role else { return };
        let recently = |(_, at): &(RequestId, Time)| now.since(*at) < PROBE_INTERVAL;
        if self.volatile.slave.asked.as_ref().is_some_and(recently) {
            return;
        }
        let (epoch, end) = (self.durable.epoch, self.durable.log.end());
        let history = self.durable.log.history().to_vec();
        let id = self.ask(master, Request::Follow { epoch, end, history }, effects);
        self.volatile.slave.asked = Some((id, now));
    }

    /// Periodically: a sign of life to the master, or another attempt to follow it.
    pub(super) fn keep_following(&mut self, now: Time, effects: &mut Effects) {
        match self.durable.role {
            Role::Slave(Some(master)) if self.volatile.slave.attached => {
                let (epoch, end) = (self.durable.epoch, self.durable.log.end());
                self.ask(master, Request::Replicated { epoch, end, heartbeat: true }, effects);
            }
            Role::Slave(_) => self.ask_to_follow(now, effects),
            Role::Master => return,
        }
        effects.set_timer(FOLLOW, self.settings.follow_interval);
    }

    pub(super) fn hear_master(&mut self, now: Time, from: NodeId) {
        if self.durable.role == Role::Slave(Some(from)) {
            self.volatile.slave.heard_at = now;
            self.volatile.slave.master_gone = false;
        }
    }

    pub(super) fn obeys(&self, epoch: Epoch) -> bool {
        !self.settings.epochs || epoch >= self.durable.epoch
    }

    /// The master has agreed: cut off what it does not have, and get the rest.
    pub(super) fn attach(
        &mut self,
        now: Time,
        (from, id): (NodeId, RequestId),
        epoch: Epoch,
        (position, epoch_start): (u64, u64),
        effects: &mut Effects,
    ) {
        let asked = self.volatile.slave.asked.is_some_and(|(asked, _)| asked == id);
        if !asked || self.durable.role != Role::Slave(Some(from)) || !self.obeys(epoch) {
            return;
        }
        self.volatile.slave.asked = None;
        self.hear_master(now, from);
        // A slave that follows already and only missed something has nothing to cut: what came since it asked may even
        // be acknowledged by now.
        if !self.volatile.slave.attached || epoch != self.durable.epoch {
            if position < self.durable.log.start() {
                // What it would keep it has deleted: it begins anew, and asks from the beginning.
                self.durable.log = Log::default();
                return self.ask_to_follow(now, effects);
            }
            let records = self.durable.log.undue(position);
            if !records.is_empty() {
                effects.record(Event::DelayedLost { records });
            }
            for (partition, from, to) in self.durable.log.truncate(position) {
                effects.record(Event::Truncated { queue: Queue::Corgi, partition, from, to });
            }
        }
        self.durable.epoch = epoch;
        self.volatile.slave.attached = true;
        self.volatile.slave.epoch_start = epoch_start;
        self.note_log_epoch();
    }

    /// From the moment that the log contains all that the master had when its epoch began, it is worth that epoch.
    fn note_log_epoch(&mut self) {
        if self.durable.log.end() >= self.volatile.slave.epoch_start {
            self.durable.log_epoch = self.durable.epoch;
        }
    }

    /// Entries from the master.
    pub(super) fn append(
        &mut self,
        now: Time,
        ask: Ask,
        (epoch, position): (Epoch, u64),
        entries: &[Entry],
        effects: &mut Effects,
    ) {
        if !self.obeys(epoch) {
            return ask.refuse(Refusal::Stale(self.durable.epoch), effects);
        }
        if self.durable.role != Role::Slave(Some(ask.from)) {
            // Somebody else's appends; whose slave this is, the name service may know better.
            if self.settings.epochs && epoch > self.durable.epoch {
                self.register(effects);
            }
            return;
        }
        self.hear_master(now, ask.from);
        let end = self.durable.log.end();
        if !self.volatile.slave.attached || epoch != self.durable.epoch || position > end {
            return self.ask_to_follow(now, effects);
        }
        if self.volatile.disk_is_full && !entries.is_empty() {
            // What it cannot keep it does not acknowledge; its heartbeats go on.
            return;
        }
        for entry in entries.iter().skip((end - position) as usize) {
            self.durable.log.append(*entry);
        }
        if !entries.is_empty() {
            self.note_files(now);
        }
        self.note_log_epoch();
        let end = self.durable.log.end();
        self.ask(ask.from, Request::Replicated { epoch, end, heartbeat: false }, effects);
    }

    /// Another broker refused a request of this one.
    pub(super) fn refused(&mut self, now: Time, from: NodeId, refusal: Refusal, effects: &mut Effects) {
        if let Refusal::Stale(epoch) = refusal {
            if self.settings.epochs && epoch > self.durable.epoch {
                self.step_down(now, epoch, effects);
            }
            return;
        }
        if self.durable.role != Role::Slave(Some(from)) {
            return;
        }
        self.volatile.slave.attached = false;
        match refusal {
            Refusal::NotFollowing => self.ask_to_follow(now, effects),
            Refusal::NotMaster => self.register(effects),
            _ => {}
        }
    }

    // Offsets travel apart from the log.

    pub(super) fn copy_offsets(&mut self, effects: &mut Effects) {
        if let Role::Slave(master) = self.durable.role {
            if let Some(master) = master {
                let version = self.volatile.slave.copied_version;
                self.ask(master, Request::CopyOffsets { version }, effects);
                self.copy_delays(master, effects);
            }
            effects.set_timer(COPY_OFFSETS, self.settings.offset_copy_interval);
        }
    }

    pub(super) fn tell_offset_table(&mut self, ask: Ask, version: u64, effects: &mut Effects) {
        if !self.is_master() {
            return ask.refuse(Refusal::NotMaster, effects);
        }
        let current = self.volatile.offsets_version;
        let offsets = (version != current).then(|| self.offset_table());
        ask.answer(Response::CopyOffsets { version: current, offsets }, effects);
        self.tell_shapes(ask.from, effects);
    }

    pub(super) fn take_offsets(
        &mut self,
        from: NodeId,
        version: u64,
        offsets: Option<OffsetTable>,
        effects: &mut Effects,
    ) {
        if self.durable.role != Role::Slave(Some(from)) {
            return;
        }
        self.volatile.slave.copied_version = version;
        for (group, partition, offset) in offsets.into_iter().flatten() {
            self.set_offset(group, partition, offset, effects);
        }
    }
}
