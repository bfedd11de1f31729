//! Brokers come, live, fall silent and go: registration, heartbeats, fencing and controlled shutdown.

use super::{Controller, SESSION_TIMER};
use crate::kafka::cluster::{BrokerState, MetadataRecord};
use crate::kafka::internal::Internal;
use crate::kafka::protocol::BrokerId;
use crate::machine::{Effects, Now};
use crate::units::Time;

impl Controller {
    /// A broker's process started. While the session of its former life lasts the new one is refused (Kafka:
    /// `DuplicateBrokerRegistrationException`), so a broker that is killed and started at once is fenced in between.
    pub(super) fn register(
        &mut self,
        now: Now,
        broker: BrokerId,
        incarnation: u32,
        next: u64,
        effects: &mut Effects,
    ) {
        let Some(known) = self.durable.image.brokers.get(&broker) else { return };
        let session = self.volatile.sessions.entry(broker).or_default();
        session.reachable = true;
        session.sent = next;
        if incarnation < known.incarnation {
            return;
        }
        if incarnation == known.incarnation {
            let epoch = known.epoch;
            self.answer_registration(broker, incarnation, epoch, effects);
        } else if known.fenced || known.incarnation == 0 {
            self.admit(now, broker, incarnation, next, effects);
        } else {
            session.waiting = Some((incarnation, next));
        }
    }

    fn admit(&mut self, now: Now, broker: BrokerId, incarnation: u32, next: u64, effects: &mut Effects) {
        let Some(known) = self.durable.image.brokers.get(&broker) else { return };
        let epoch = self.durable.image.next + 1;
        let state = BrokerState { epoch, incarnation, stopping: false, ..known.clone() };
        self.write(MetadataRecord::Broker(broker, state));
        let session = self.volatile.sessions.entry(broker).or_default();
        session.heard_at = now.elapsed;
        session.applied = next;
        session.sent = next;
        session.waiting = None;
        session.stopping_at = None;
        self.answer_registration(broker, incarnation, epoch, effects);
    }

    fn answer_registration(&self, broker: BrokerId, incarnation: u32, epoch: u64, effects: &mut Effects) {
        if let Some(node) = self.wiring.node(broker) {
            effects.send(node, Internal::Registered { incarnation, epoch });
        }
    }

    pub(super) fn heartbeat(
        &mut self,
        now: Now,
        broker: BrokerId,
        epoch: u64,
        next: u64,
        stopping: bool,
        effects: &mut Effects,
    ) {
        let Some(known) = self.durable.image.brokers.get(&broker).cloned() else { return };
        let Some(node) = self.wiring.node(broker) else { return };
        if known.epoch != epoch {
            effects
                .send(node, Internal::HeartbeatAnswer { epoch, stale: true, fenced: true, may_stop: false });
            return;
        }
        let session = self.volatile.sessions.entry(broker).or_default();
        session.heard_at = now.elapsed;
        session.applied = next;
        session.reachable = true;
        if session.sent < next || now.elapsed.since(session.sent_at) >= self.settings.broker_heartbeat {
            session.sent = next;
        }
        if known.fenced && !stopping && next >= epoch {
            self.unfence(broker, effects);
        }
        let may_stop = stopping && self.prepare_stop(broker, effects);
        if may_stop {
            self.fence(broker, effects);
        }
        let fenced = !self.durable.image.is_alive(broker);
        effects.send(node, Internal::HeartbeatAnswer { epoch, stale: false, fenced, may_stop });
    }

    /// A broker wants to stop: its leaderships move first, and it may go when every other broker has seen that.
    fn prepare_stop(&mut self, broker: BrokerId, effects: &mut Effects) -> bool {
        let Some(known) = self.durable.image.brokers.get(&broker) else { return true };
        if !known.stopping {
            let state = BrokerState { stopping: true, ..known.clone() };
            self.write(MetadataRecord::Broker(broker, state));
            self.leave_isrs(broker, effects);
            let end = self.durable.image.next;
            self.volatile.sessions.entry(broker).or_default().stopping_at = Some(end);
        }
        let leads = self.durable.image.partitions.values().any(|state| state.leader == Some(broker));
        let since = self.volatile.sessions.get(&broker).and_then(|session| session.stopping_at).unwrap_or(0);
        let seen = self.volatile.sessions.iter().all(|(other, session)| {
            *other == broker || !self.durable.image.is_active(*other) || session.applied >= since
        });
        !leads && seen
    }

    pub(super) fn fence(&mut self, broker: BrokerId, effects: &mut Effects) {
        let Some(known) = self.durable.image.brokers.get(&broker).filter(|known| !known.fenced) else {
            return;
        };
        let state = BrokerState { fenced: true, ..known.clone() };
        self.write(MetadataRecord::Broker(broker, state));
        self.leave_isrs(broker, effects);
    }

    fn unfence(&mut self, broker: BrokerId, effects: &mut Effects) {
        let Some(known) = self.durable.image.brokers.get(&broker) else { return };
        let state = BrokerState { fenced: false, stopping: false, ..known.clone() };
        self.write(MetadataRecord::Broker(broker, state));
        self.elect_where_none_leads(effects);
    }

    fn session_end(&self, broker: BrokerId) -> Option<Time> {
        let session = self.volatile.sessions.get(&broker)?;
        let alive = self.durable.image.is_alive(broker) || session.waiting.is_some();
        alive.then(|| session.heard_at + self.settings.broker_session)
    }

    /// A timer that runs out late means that this process stood still: the brokers' silence is its own. A real quorum
    /// would have elected another controller meanwhile, which begins the sessions anew.
    pub(super) fn forgive_own_pause(&mut self, now: Now) {
        let late =
            self.volatile.timer.is_some_and(|armed| now.elapsed > armed + self.settings.broker_heartbeat);
        if late {
            for session in self.volatile.sessions.values_mut() {
                session.heard_at = now.elapsed;
            }
        }
    }

    pub(super) fn expire_sessions(&mut self, now: Now, effects: &mut Effects) {
        let due: Vec<BrokerId> = self
            .wiring
            .brokers
            .iter()
            .map(|(broker, _)| *broker)
            .filter(|broker| self.session_end(*broker).is_some_and(|end| end <= now.elapsed))
            .collect();
        for broker in due {
            self.fence(broker, effects);
            let waiting = self.volatile.sessions.get(&broker).and_then(|session| session.waiting);
            if let Some((incarnation, next)) = waiting {
                self.admit(now, broker, incarnation, next, effects);
            }
        }
    }

    /// One timer, for the session that ends first; heartbeats leave it as it is.
    pub(super) fn arm(&mut self, now: Now, effects: &mut Effects) {
        let ends = self.wiring.brokers.iter().filter_map(|(broker, _)| self.session_end(*broker));
        let Some(first) = ends.min() else { return };
        if self.volatile.timer.is_none_or(|armed| first < armed) {
            self.volatile.timer = Some(first);
            effects.set_timer(SESSION_TIMER, first.since(now.elapsed));
        }
    }
}
