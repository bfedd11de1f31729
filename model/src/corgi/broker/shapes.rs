//! Topics that are widened by hand: the operator tells each broker, which keeps it in a file of its own and tells the name
//! service. A slave copies what its master knows whenever it copies the groups' offsets, apart from the log (e17), so that
//! one whose disk was replaced learns it again; a slave that is promoted before does not serve the new partitions.
//! A narrowed topic has fewer partitions for writing, or for reading as well: what it still has in those that nobody can read is
//! hidden (e9). Left out: to make a topic wider that was narrowed.

use super::{Ask, Broker, Effects, NodeId, Request, Response, Role, Topic, TopicPartition};
use crate::corgi::wiring::{Limits, set_of, take_wider};
use crate::record::TopicId;

impl Broker {
    /// The set that a partition lies on, as far as this broker knows of it.
    pub(super) fn set_of(&self, partition: TopicPartition) -> Option<u16> {
        let set = self.wiring.set_of(partition).or_else(|| set_of(&self.durable.widened, partition));
        // A producer that has not heard of it writes on as long as the partition is read (RocketMQ's check of the queue's number).
        set.filter(|_| {
            let limits = self.limits(partition.topic);
            limits.reads(partition.partition) || limits.writes(partition.partition)
        })
    }

    /// What the topic was narrowed to.
    fn limits(&self, topic: TopicId) -> Limits {
        let known = self.durable.widened.iter().find(|known| known.topic == topic);
        known.map(|known| known.limits).unwrap_or_default()
    }

    /// Whether a partition can be read: if not, its number is illegal (e9).
    pub(super) fn reads(&self, partition: TopicPartition) -> bool {
        self.limits(partition.topic).reads(partition.partition)
    }

    /// The partitions of this set that are in use.
    pub(super) fn partitions_in_use(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        let all = self.wiring.partitions(self.set).chain(self.widened_partitions());
        all.filter(|partition| self.reads(*partition))
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
