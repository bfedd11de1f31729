//! Has a topic of Corgi widened: each broker is told, master and slave, since a slave learns it from its master late (e17), and the
//! step is done when all of them have confirmed it. Who has not is told again.

use crate::corgi::protocol::{Request, Response};
use crate::corgi::wiring::Topic;
use crate::machine::{Effects, RequestId};
use crate::message::Message;
use crate::operator::acts::{Errand, errand};
use crate::operator::{Busy, Operator};
use crate::record::NodeId;

impl Operator {
    /// Tell the brokers that have not confirmed it.
    pub(super) fn widen(&mut self, topic: &Topic, effects: &mut Effects) {
        for broker in &self.wiring.corgi_brokers {
            if !self.volatile.widened.contains(broker) {
                let id = self.volatile.ids.next_id();
                let request = Request::Widen { topic: topic.clone() };
                effects.send(*broker, Message::CorgiRequest(id, Box::new(request)));
            }
        }
    }

    /// A broker answered. A late answer to an earlier telling says the same.
    pub(super) fn broker_told(
        &mut self,
        from: NodeId,
        id: RequestId,
        response: &Response,
        effects: &mut Effects,
    ) {
        let Response::Widened { topic, partitions } = response else { return };
        if self.volatile.busy != Busy::Acting || !self.volatile.ids.issued(id) {
            return;
        }
        let Some(Errand::Widen(wanted)) = self.act_here().map(|act| errand(act, &self.wiring)) else {
            return;
        };
        if wanted.topic != *topic || usize::from(*partitions) < wanted.sets.len() {
            return;
        }
        self.volatile.widened.insert(from);
        if self.wiring.corgi_brokers.iter().all(|broker| self.volatile.widened.contains(broker)) {
            self.act_done(effects);
        }
    }

    /// What a widening that is under way waits for.
    pub(super) fn widening_trouble(&self) -> Option<String> {
        let Some(Errand::Widen(_)) = self.act_here().map(|act| errand(act, &self.wiring)) else {
            return None;
        };
        let missing = self.wiring.corgi_brokers.len().saturating_sub(self.volatile.widened.len());
        Some(format!("{missing} brokers of Corgi have not confirmed it"))
    }
}
