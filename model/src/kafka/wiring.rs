//! Which nodes make up a Kafka cluster, and what it holds from the start.

use super::cluster::{PartitionState, TopicState};
use super::protocol::BrokerId;
use super::settings::Settings;
use crate::record::{NodeId, TopicId, TopicPartition};
use serde::Serialize;

/// The internal topic where groups and their offsets are kept (`__consumer_offsets`).
pub const OFFSETS_TOPIC: TopicId = TopicId(u16::MAX - 1);
/// The internal topic where transactions are kept (`__transaction_state`).
pub const TRANSACTIONS_TOPIC: TopicId = TopicId(u16::MAX);

/// From here on a topic is a program's own, as a mirror's for its positions, or Kafka's: no case names it, and no history tells of it.
pub const FIRST_OF_PROGRAMS: TopicId = TopicId(1 << 15);

/// Whether a topic is one of the case's.
pub fn is_of_the_case(topic: TopicId) -> bool {
    topic < FIRST_OF_PROGRAMS
}

/// Whether a topic belongs to Kafka itself.
pub fn is_internal(topic: TopicId) -> bool {
    topic == OFFSETS_TOPIC || topic == TRANSACTIONS_TOPIC
}

/// A topic that the cluster has from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WiredTopic {
    /// Which.
    pub topic: TopicId,
    /// How many partitions it has.
    pub partitions: u16,
}

/// Who is who in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Wiring {
    /// The controller's node.
    pub controller: NodeId,
    /// The brokers and their nodes.
    pub brokers: Vec<(BrokerId, NodeId)>,
    /// The topics that there are from the start, the internal ones not counted.
    pub topics: Vec<WiredTopic>,
}

impl Wiring {
    /// The node of a broker.
    pub fn node(&self, broker: BrokerId) -> Option<NodeId> {
        self.brokers.iter().find(|(id, _)| *id == broker).map(|(_, node)| *node)
    }

    /// The broker on a node.
    pub fn broker(&self, node: NodeId) -> Option<BrokerId> {
        self.brokers.iter().find(|(_, on)| *on == node).map(|(id, _)| *id)
    }

    /// The topics that there are from the start, the internal ones last.
    pub(super) fn topics_with_internal(&self, settings: &Settings) -> Vec<WiredTopic> {
        let mut topics = self.topics.clone();
        topics.push(WiredTopic { topic: OFFSETS_TOPIC, partitions: settings.offsets_partitions });
        topics.push(WiredTopic { topic: TRANSACTIONS_TOPIC, partitions: settings.transaction_partitions });
        topics
    }

    /// The replicas of a partition, the preferred leader first: brokers in turn, each partition beginning one
    /// further, so that leaderships are spread.
    pub(super) fn placed(&self, settings: &Settings, topic: usize, partition: u16) -> Vec<BrokerId> {
        let count = self.brokers.len();
        let replicas = (settings.replication_factor as usize).clamp(1, count);
        let first = topic + usize::from(partition);
        (0..replicas).map(|next| self.brokers[(first + next) % count].0).collect()
    }

    /// A topic's first state and its partitions', for the place of the topic among all.
    pub(super) fn created(
        &self,
        settings: &Settings,
        place: usize,
        topic: WiredTopic,
    ) -> (TopicState, Vec<(TopicPartition, PartitionState)>) {
        let partitions = (0..topic.partitions)
            .map(|partition| {
                let at = TopicPartition { topic: topic.topic, partition };
                (at, PartitionState::new(self.placed(settings, place, partition)))
            })
            .collect();
        (TopicState { partitions: topic.partitions, ..TopicState::default() }, partitions)
    }
}
