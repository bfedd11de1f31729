//! What is sent, and where it stands: records, keys, topics, partitions, groups and nodes.
//! Payloads are left out: only their size matters to a queue.

use crate::units::{Span, Time};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A node of the simulated world: one process on one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u32);

/// A topic, by its place in the case (internal topics come after them).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopicId(pub u16);

/// A consumer group, by its place in the case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GroupId(pub u16);

/// A partition of a topic, in Corgi (a source partition) or in Kafka (a target partition).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicId,
    /// The partition's number, from 0.
    pub partition: u16,
}

impl TopicPartition {
    /// The partition of that topic with that number.
    pub const fn new(topic: u16, partition: u16) -> TopicPartition {
        TopicPartition { topic: TopicId(topic), partition }
    }

    /// Both numbers as one, in their order.
    const fn packed(self) -> u32 {
        (self.topic.0 as u32) << 16 | self.partition as u32
    }
}

impl Hash for TopicPartition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.packed().hash(state);
    }
}

/// By topic, then by number. Maps of partitions are searched all the time: one comparison does for two.
impl Ord for TopicPartition {
    fn cmp(&self, other: &TopicPartition) -> Ordering {
        self.packed().cmp(&other.packed())
    }
}

impl PartialOrd for TopicPartition {
    fn partial_cmp(&self, other: &TopicPartition) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.topic.0, self.partition)
    }
}

/// A place in a partition's log, from 0; -1 where a system answers "none".
pub type Offset = i64;

/// The one identity of a record, wherever it is copied to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RecordId {
    /// The producer, by its place in the case.
    pub producer: u32,
    /// The producer's count of its own records, from 0, over all topics.
    pub sequence: u32,
}

impl Hash for RecordId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (u64::from(self.producer) << 32 | u64::from(self.sequence)).hash(state);
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "p{}#{}", self.producer, self.sequence)
    }
}

/// A record's key, with the hashes that partitioners take of its text, computed once when the workload is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The key's place in the workload's table of keys.
    pub id: u32,
    /// Kafka's murmur2 of the text's bytes.
    pub murmur2: i32,
    /// Java's `String.hashCode` of the text.
    pub java_hash: i32,
    /// CRC-32 (IEEE) of the text's bytes.
    pub crc32: u32,
}

impl Key {
    /// What a record without a key has.
    pub const NONE: Key = Key { id: u32::MAX, murmur2: 0, java_hash: 0, crc32: 0 };
}

/// What a producer sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Record {
    /// Who sent it, and as which of his records.
    pub id: RecordId,
    /// The topic.
    pub topic: TopicId,
    /// The source partition's number in that topic: the unit of order, decided by the key. A client writes it
    /// into the record's header, so that it is known in Kafka as well.
    pub source: u16,
    /// The key.
    pub key: Key,
    /// The record's size in bytes.
    pub bytes: u32,
    /// When the application created it, on the producer's own clock.
    pub created_at: Time,
    /// The Corgi offset that the mirror copied it from; -1 for a record that no mirror copied.
    pub copied_from: Offset,
    /// How long Corgi is to keep it back before anybody may read it. Kafka knows nothing of the kind.
    #[serde(default, skip_serializing_if = "Span::is_zero")]
    pub delay: Span,
}

/// Records are hashed wherever they travel. All that a producer puts into one hangs together with who sent it and when;
/// what happens to it on its way is where it was copied from.
impl Hash for Record {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
        self.created_at.hash(state);
        self.copied_from.hash(state);
    }
}

impl Record {
    /// Whether Corgi is to keep it back for a while.
    pub fn is_delayed(&self) -> bool {
        self.delay > Span::ZERO
    }

    /// The source partition of the record.
    pub fn source_partition(&self) -> TopicPartition {
        TopicPartition { topic: self.topic, partition: self.source }
    }
}

/// One of the two queues.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Queue {
    /// The source of the migration.
    #[default]
    Corgi,
    /// Its target.
    Kafka,
}

impl Queue {
    /// As a sentence has it; a case file has it without the capital.
    pub fn name(self) -> &'static str {
        match self {
            Queue::Corgi => "Corgi",
            Queue::Kafka => "Kafka",
        }
    }
}

/// How a partition is chosen for a key.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Partitioner {
    /// Java's `String.hashCode`, absolute, modulo the count: what Corgi's client does (assumed, after RocketMQ's
    /// `SelectMessageQueueByHash`).
    #[default]
    JavaHash,
    /// Kafka's default for keyed records: murmur2, sign bit masked, modulo the count.
    Murmur2,
    /// CRC-32 modulo the count: librdkafka's `consistent`.
    Crc32,
}

impl Partitioner {
    /// The partition of `key` in a topic of `count` partitions.
    ///
    /// # Panics
    /// If `count` is 0: a topic has at least one partition.
    pub fn partition(self, key: &Key, count: u16) -> u16 {
        assert!(count > 0, "a topic has at least one partition");
        let hash = match self {
            Partitioner::JavaHash => key.java_hash.unsigned_abs() & 0x7fff_ffff,
            Partitioner::Murmur2 => (key.murmur2 & 0x7fff_ffff) as u32,
            Partitioner::Crc32 => key.crc32,
        };
        (hash % u32::from(count)) as u16
    }
}
