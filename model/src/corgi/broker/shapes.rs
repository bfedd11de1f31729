//! Topics that are widened by hand: the operator tells each broker, which keeps it in a file of its own and tells the name
//! service. A slave copies what its master knows whenever it copies the groups' offsets, apart from the log (e17), so that
//! one whose disk was replaced learns it again; a slave that is promoted before does not serve the new partitions.
//! Left out: narrowing, and queues for writing and for reading apart (e9).

use super::{Ask, Broker, Effects, NodeId, Request, Response, Role, Topic, TopicPartition};
use crate::corgi::wiring::{set_of, take_wider};

impl Broker {
    /// The set that a partition lies on, as far as this broker knows of it.
    pub(super) fn set_of(&self, partition: TopicPartition) -> Option<u16> {
        self.wiring.set_of(partition).or_else(|| set_of(&self.durable.widened, partition))
    }

    /// The partitions of this set that came by a widening.
    pub(super) fn widened_partitions(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        self.durable.widened.iter().flat_map(|topic| {
            let numbered = (0u16..).zip(&topic.sets).filter(|(_, set)| **set == self.set);
            let all = numbered.map(|(partition, _)| TopicPartition { topic: topic.topic, partition });
            all.filter(|partition| self.wiring.set_of(*partition).is_none())
        })
    }

    /// The partition that stands for the set in the history. A set that was added and has no topic yet has none.
    pub(super) fn first_partition(&self) -> Option<TopicPartition> {
        self.wiring.first_partition(self.set).or_else(|| self.widened_partitions().next())
    }

    /// The operator: that topic has more partitions from now on. He may say so again.
    pub(super) fn widen(&mut self, ask: Ask, topic: Topic, effects: &mut Effects) {
        let id = topic.topic;
        if take_wider(&mut self.durable.widened, &[topic]) {
            self.tell_shapes(self.wiring.name_service, effects);
        }
        let known = self.durable.widened.iter().find(|known| known.topic == id);
        let partitions = known.map_or(0, |known| known.sets.len() as u16);
        ask.answer(Response::Widened { topic: id, partitions }, effects);
    }

    /// Tells what it knows of widened topics. Most brokers know of none and say nothing.
    pub(super) fn tell_shapes(&mut self, to: NodeId, effects: &mut Effects) {
        if !self.durable.widened.is_empty() {
            let topics = self.durable.widened.clone();
            self.ask(to, Request::Shapes { topics }, effects);
        }
    }

    /// What the master knows of widened topics.
    pub(super) fn copy_shapes(&mut self, ask: Ask, topics: &[Topic], effects: &mut Effects) {
        if self.durable.role == Role::Slave(Some(ask.from)) && take_wider(&mut self.durable.widened, topics) {
            self.tell_shapes(self.wiring.name_service, effects);
        }
    }
}
