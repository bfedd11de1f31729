//! Has a topic of Corgi widened. Each broker is told, master and slave, since a slave learns it from its master late (e17); or, as
//! RocketMQ's own tool does it, the masters alone, whom the name service knows. The step is done when all who are meant have
//! confirmed it. Who has not is told again. A topic is narrowed in the same way.

use crate::corgi::protocol::{Request, Response};
use crate::corgi::wiring::Topic;
use crate::machine::{Effects, RequestId};
use crate::message::Message;
use crate::operator::acts::{Errand, errand};
use crate::operator::{Busy, Operator};
use crate::plan::Tell;
use crate::record::NodeId;

impl Operator {
    /// Tell the brokers that have not confirmed it, or ask who the masters are.
    pub(super) fn widen(&mut self, topic: &Topic, tell: Tell, effects: &mut Effects) {
        match tell {
            Tell::All => {
                let brokers: Vec<NodeId> = self.durable.notes.corgi_brokers(&self.wiring).collect();
                for broker in brokers {
                    self.tell_of(topic, broker, effects);
                }
            }
            Tell::Masters => {
                for set in self.durable.notes.sets(&self.wiring) {
                    self.ask_corgi(self.wiring.name_service, Request::Seen { set }, effects);
                }
            }
        }
    }

    fn tell_of(&mut self, topic: &Topic, broker: NodeId, effects: &mut Effects) {
        if !self.volatile.widened.contains(&broker) {
            self.ask_corgi(broker, Request::Widen { topic: topic.clone() }, effects);
        }
    }

    fn ask_corgi(&mut self, node: NodeId, request: Request, effects: &mut Effects) {
        let id = self.volatile.ids.next_id();
        self.volatile.asked.insert(id);
        effects.send(node, Message::CorgiRequest(id, Box::new(request)));
    }

    /// A broker or the name service answered. A late answer to an earlier question of the same act says the same.
    pub(super) fn corgi_told(
        &mut self,
        from: NodeId,
        id: RequestId,
        response: &Response,
        effects: &mut Effects,
    ) {
        if self.volatile.busy != Busy::Acting || !self.volatile.asked.contains(&id) {
            return;
        }
        let Some((wanted, tell)) = self.widening_here() else { return };
        match response {
            Response::Seen { set, master } if tell == Tell::Masters => {
                let master = master.map(|(node, _)| node);
                self.volatile.masters.insert(*set, master);
                if let Some(master) = master {
                    self.tell_of(&wanted, master, effects);
                }
            }
            Response::Widened { topic, partitions }
                if wanted.topic == *topic && usize::from(*partitions) >= wanted.sets.len() =>
            {
                self.volatile.widened.insert(from);
            }
            _ => return,
        }
        if self.unconfirmed(tell) == 0 {
            self.act_done(effects);
        }
    }

    /// The widening that he is at, if he is at one.
    fn widening_here(&self) -> Option<(Topic, Tell)> {
        match self.act_here().map(|act| errand(act, &self.wiring, &self.durable.notes)) {
            Some(Errand::Widen(topic, tell)) => Some((topic, tell)),
            _ => None,
        }
    }

    /// How many of those who are meant have not confirmed it, as far as he knows who they are.
    fn unconfirmed(&self, tell: Tell) -> usize {
        let has_confirmed = |node: &NodeId| self.volatile.widened.contains(node);
        match tell {
            Tell::All => {
                self.durable.notes.corgi_brokers(&self.wiring).filter(|node| !has_confirmed(node)).count()
            }
            Tell::Masters => {
                let master = |set: &u16| self.volatile.masters.get(set).copied().flatten();
                let sets = self.durable.notes.sets(&self.wiring);
                sets.iter().filter(|set| !master(set).is_some_and(|node| has_confirmed(&node))).count()
            }
        }
    }

    /// What a widening that is under way waits for.
    pub(super) fn widening_trouble(&self) -> Option<String> {
        let (_, tell) = self.widening_here()?;
        let missing = self.unconfirmed(tell);
        let whom = match tell {
            Tell::All => "brokers",
            Tell::Masters => "masters",
        };
        Some(format!("{missing} {whom} of Corgi have not confirmed it"))
    }
}
