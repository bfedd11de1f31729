//! How many partitions the topics have, as a client knows it.

use serde::{Deserialize, Serialize};

/// How many partitions a topic has in either queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicShape {
    /// In Corgi: source partitions.
    pub corgi_partitions: u16,
    /// In Kafka: target partitions.
    pub kafka_partitions: u16,
}
