//! How a broker becomes a master or a slave: by the on-call's word, or by what it learns of epochs.

use super::{
    Ask, Broker, COPY_OFFSETS, DEADLINE, FOLLOW, Mastership, PROBE, Role, SETTLE, Slavery, Span, Time,
};
use crate::corgi::groups::Groups;
use crate::corgi::protocol::{Epoch, Refusal, Response, SendStatus, Status};
use crate::corgi::settings::Replication;
use crate::history::Event;
use crate::machine::Effects;
use crate::record::NodeId;

impl Broker {
    /// Serve as master: nothing is known of slaves and of the groups' members; of leases only if there can be none.
    pub(super) fn begin_to_serve(&mut self, now: Time, grace: bool, effects: &mut Effects) {
        let span = if grace { self.settings.lease_grace } else { Span::ZERO };
        self.volatile.master = Mastership { groups: Groups::new(now + span), ..Mastership::default() };
        if self.settings.replication == Replication::None {
            self.volatile.master.acknowledged = self.durable.log.end();
        }
        self.begin_delays(now, effects);
        effects.cancel_timer(FOLLOW);
        effects.cancel_timer(COPY_OFFSETS);
        if span > Span::ZERO {
            effects.set_timer(SETTLE, span);
            self.volatile.master.leases_untold = true;
        }
    }

    /// Tells the history how long this master grants no partition. A broker that only takes itself for the master, since nobody
    /// could tell it of its successor yet, has nothing to grant.
    fn tell_of_leases(&mut self, now: Time, effects: &mut Effects) {
        let master = &mut self.volatile.master;
        let span = master.groups.settled_at().since(now);
        if std::mem::take(&mut master.leases_untold)
            && span > Span::ZERO
            && let Some(partition) = self.first_partition()
        {
            effects.record(Event::LeasesAwaited { partition, span });
        }
    }

    /// Follow the master that the durable role names, or wait to be told of one.
    pub(super) fn begin_to_follow(&mut self, now: Time, effects: &mut Effects) {
        self.volatile.slave = Slavery { heard_at: now, ..Slavery::default() };
        self.ask_to_follow(now, effects);
        effects.set_timer(FOLLOW, self.settings.follow_interval);
        // Each slave copies in its own phase (e5).
        effects.set_timer_between(COPY_OFFSETS, Span::millis(100), self.settings.offset_copy_interval);
    }

    /// Stops being a master: what waits is answered as what it is, stored without knowing on how many.
    fn stop_serving(&mut self, effects: &mut Effects) {
        if !self.is_master() {
            return;
        }
        let master = std::mem::take(&mut self.volatile.master);
        for send in master.waiting {
            let status = SendStatus::FlushSlaveTimeout;
            send.ask.answer(Response::Send { status, offset: send.offset }, effects);
        }
        for pull in master.parked.values().flatten() {
            pull.ask.refuse(Refusal::NotMaster, effects);
        }
        for timer in [DEADLINE, PROBE, SETTLE] {
            effects.cancel_timer(timer);
        }
    }

    /// Heard of a higher epoch: whatever this broker was, it is a slave now and asks whose.
    pub(super) fn step_down(&mut self, now: Time, epoch: Epoch, effects: &mut Effects) {
        self.stop_serving(effects);
        self.durable.role = Role::Slave(None);
        self.durable.epoch = epoch;
        self.begin_to_follow(now, effects);
        self.register(effects);
    }

    fn follow(&mut self, now: Time, master: NodeId, epoch: Epoch, effects: &mut Effects) {
        self.stop_serving(effects);
        self.durable.role = Role::Slave(Some(master));
        self.durable.epoch = epoch;
        self.durable.fenced = false;
        self.begin_to_follow(now, effects);
        self.register(effects);
    }

    /// The name service's answer: who the set's master is, as far as it knows.
    pub(super) fn learn(&mut self, now: Time, master: Option<(NodeId, Epoch)>, effects: &mut Effects) {
        let Some((master, epoch)) = master else { return };
        if master == self.node && self.is_master() {
            self.tell_of_leases(now, effects);
        }
        if master == self.node || self.durable.role == Role::Slave(Some(master)) {
            return;
        }
        let believes = if self.settings.epochs {
            let newer = epoch > self.durable.epoch;
            newer || (epoch == self.durable.epoch && self.durable.role == Role::Slave(None))
        } else {
            // A master never asks, and a slave runs after the one that was last heard of (e3).
            !self.is_master() && !self.durable.fenced
        };
        if believes {
            self.follow(now, master, epoch, effects);
        }
    }

    /// The on-call: obey nobody of an earlier epoch any more.
    pub(super) fn fence(&mut self, ask: Ask, epoch: Epoch, effects: &mut Effects) {
        if epoch < self.durable.epoch || (epoch == self.durable.epoch && self.is_master()) {
            return ask.refuse(Refusal::Stale(self.durable.epoch), effects);
        }
        if epoch > self.durable.epoch {
            self.stop_serving(effects);
            self.durable.role = Role::Slave(None);
            self.durable.epoch = epoch;
            self.durable.fenced = true;
            self.volatile.slave.attached = false;
            effects.set_timer(FOLLOW, self.settings.follow_interval);
            self.register(effects);
        }
        ask.answer(Response::Done { epoch, length: self.length() }, effects);
    }

    /// The on-call: be the master of that epoch.
    pub(super) fn promote(&mut self, now: Time, ask: Ask, epoch: Epoch, effects: &mut Effects) {
        let own = self.durable.epoch;
        if epoch > own || (epoch == own && self.durable.fenced && !self.is_master()) {
            self.stop_serving(effects);
            self.durable.role = Role::Master;
            self.durable.epoch = epoch;
            self.durable.fenced = false;
            self.durable.log_epoch = epoch;
            self.durable.epoch_start = self.durable.log.end();
            self.volatile.slave = Slavery::default();
            self.begin_to_serve(now, true, effects);
            self.tell_of_leases(now, effects);
            self.register(effects);
            self.record_leadership(effects);
        } else if epoch < own || !self.is_master() {
            return ask.refuse(Refusal::Stale(own), effects);
        }
        ask.answer(Response::Done { epoch, length: self.length() }, effects);
    }

    /// The on-call: be that master's slave.
    pub(super) fn obey(
        &mut self,
        now: Time,
        ask: Ask,
        (master, epoch): (NodeId, Epoch),
        effects: &mut Effects,
    ) {
        let own = self.durable.epoch;
        if epoch < own || (epoch == own && self.is_master()) || master == self.node {
            return ask.refuse(Refusal::Stale(own), effects);
        }
        if self.durable.role != Role::Slave(Some(master)) || epoch > own {
            self.follow(now, master, epoch, effects);
        }
        ask.answer(Response::Done { epoch, length: self.length() }, effects);
    }

    /// The on-call asks how this broker stands.
    pub(super) fn tell_status(&self, now: Time, ask: Ask, effects: &mut Effects) {
        let slave = &self.volatile.slave;
        let followed = matches!(self.durable.role, Role::Slave(Some(_)));
        let silent = if slave.master_gone || !followed { Span(u64::MAX) } else { now.since(slave.heard_at) };
        let status = Status {
            master: self.is_master(),
            epoch: self.durable.epoch,
            length: self.length(),
            master_silent_for: if self.is_master() { Span::ZERO } else { silent },
        };
        ask.answer(Response::Status(status), effects);
    }
}
