//! What is asked and answered of one partition: batches that are appended, records that are read, offsets, replicas. Left out:
//! compression, headers, and the bytes of a record.

use super::{BrokerId, ErrorCode, ProducerId};
use crate::record::{Offset, Record, TopicPartition};
use crate::units::Time;
use serde::Serialize;

/// The idempotent or transactional producer of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ProducerStamp {
    /// Its id.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: i16,
    /// The sequence of the batch's first record.
    pub base_sequence: i32,
    /// Whether the batch belongs to a transaction.
    pub transactional: bool,
}

/// What a producer appends to one partition: one batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ProduceBatch {
    /// The partition.
    pub partition: TopicPartition,
    /// The idempotent producer's stamp, if it is one.
    pub stamp: Option<ProducerStamp>,
    /// The records, in order.
    pub records: Vec<Record>,
}

/// What a fetch asks of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct FetchPartition {
    /// The partition.
    pub partition: TopicPartition,
    /// From where.
    pub offset: Offset,
    /// The leader epoch that the reader knows; -1 for none.
    pub leader_epoch: i32,
    /// The epoch of the last record that the reader fetched; -1 for none.
    pub last_fetched_epoch: i32,
    /// At most so many bytes of this partition.
    pub max_bytes: u32,
}

/// A record as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct FetchedRecord {
    /// Its offset.
    pub offset: Offset,
    /// The leader epoch that it was appended in.
    pub leader_epoch: i32,
    /// Its timestamp: creation time, or append time where the topic says so.
    pub timestamp: Time,
    /// Its producer's id, epoch and own sequence.
    pub stamp: Option<ProducerStamp>,
    /// What it says: a record of the application's, or a transaction's end.
    pub body: Body,
}

/// What stands at an offset of a partition that clients read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Body {
    /// A record of the application's.
    Record(Record),
    /// The marker of a transaction's end.
    Marker {
        /// Commit, or abort.
        commit: bool,
    },
}

/// A fetch's answer for one partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct FetchedPartition {
    /// The partition.
    pub partition: TopicPartition,
    /// What went wrong; the offsets are -1 then, as Kafka sends them.
    pub error: ErrorCode,
    /// The high watermark.
    pub high_watermark: Offset,
    /// The last stable offset.
    pub last_stable: Offset,
    /// The log's start.
    pub log_start: Offset,
    /// The aborted transactions among the records: producer and first offset.
    pub aborted: Vec<(ProducerId, Offset)>,
    /// Where the reader's log diverges: the epoch and its end offset.
    pub diverging: Option<(i32, Offset)>,
    /// The records.
    pub records: Vec<FetchedRecord>,
}

/// Where `ListOffsets` looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum OffsetAt {
    /// The log's start (-2).
    Earliest,
    /// The high watermark, or the last stable offset for committed readers (-1).
    Latest,
    /// The record with the greatest timestamp (-3).
    MaxTimestamp,
    /// The first record whose timestamp is at or after this one.
    Time(Time),
}

/// An offset to commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct CommitPartition {
    /// The partition.
    pub partition: TopicPartition,
    /// The next offset to read.
    pub offset: Offset,
    /// The leader epoch of the last record read; -1 where it is not known, as an operator's tool writes it.
    pub leader_epoch: i32,
    /// The length of the metadata text.
    pub metadata_bytes: u32,
}

/// A partition as `Metadata` tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct PartitionMetadata {
    /// The partition.
    pub partition: TopicPartition,
    /// What is wrong with it (`LEADER_NOT_AVAILABLE`), if anything.
    pub error: ErrorCode,
    /// Its leader.
    pub leader: Option<BrokerId>,
    /// Its leader epoch.
    pub leader_epoch: i32,
    /// Its replicas, the preferred one first.
    pub replicas: Vec<BrokerId>,
    /// Those in sync.
    pub isr: Vec<BrokerId>,
    /// Those on brokers that are down.
    pub offline: Vec<BrokerId>,
}
