//! What running the systems took: process time of brokers and mirror workers, bytes kept and bytes moved.
//!
//! Bytes are those of the records, as the producers counted them: requests, batch headers, indexes and compression are
//! left out, and so is what the history does not tell (a Corgi client's tries in vain).

use cutover_model::units::Span;
use serde::Serialize;

/// What running the systems took for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// How much time was simulated.
    pub simulated: Span,
    /// The bytes of the records that were acknowledged for the first time: what the rest is held against.
    pub acknowledged_bytes: u64,
    /// Corgi's part.
    pub corgi: QueueCost,
    /// Kafka's part.
    pub kafka: QueueCost,
    /// The process time of all mirror workers together.
    pub mirror_up: Span,
}

/// What running one queue took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueCost {
    /// The process time of all brokers together.
    pub brokers_up: Span,
    /// Bytes that its brokers wrote: each record that it was known to have, times its replicas.
    pub stored_bytes: u64,
    /// Bytes that producers sent to it, those included that a Kafka producer library took back to send again.
    pub produced_bytes: u64,
    /// Bytes that the mirror moved: out of Corgi, into Kafka.
    pub mirrored_bytes: u64,
    /// Bytes that its brokers sent to each other.
    pub replicated_bytes: u64,
    /// Bytes that consumers were delivered.
    pub consumed_bytes: u64,
}

impl Cost {
    pub(super) fn add(&mut self, other: &Cost) {
        self.simulated = self.simulated + other.simulated;
        self.acknowledged_bytes += other.acknowledged_bytes;
        self.corgi.add(&other.corgi);
        self.kafka.add(&other.kafka);
        self.mirror_up = self.mirror_up + other.mirror_up;
    }
}

impl QueueCost {
    fn add(&mut self, other: &QueueCost) {
        self.brokers_up = self.brokers_up + other.brokers_up;
        self.stored_bytes += other.stored_bytes;
        self.produced_bytes += other.produced_bytes;
        self.mirrored_bytes += other.mirrored_bytes;
        self.replicated_bytes += other.replicated_bytes;
        self.consumed_bytes += other.consumed_bytes;
    }

    /// A record is kept on so many replicas, all but the first of which were sent it by another one.
    pub(super) fn store(&mut self, bytes: u64, replicas: u64) {
        self.stored_bytes += bytes * replicas;
        self.replicated_bytes += bytes * replicas.saturating_sub(1);
    }

    /// Bytes that went over the network to, between and from the queue's brokers.
    pub fn sent_bytes(&self) -> u64 {
        self.produced_bytes + self.mirrored_bytes + self.replicated_bytes + self.consumed_bytes
    }
}
