//! What Kafka's brokers and its controller tell each other. Clients never see these.
//!
//! The controller pushes the metadata log to the brokers, where the real ones fetch it: the order, the lag and the
//! catching up after a pause are the same, and an idle cluster is silent.

use super::admin::AdminRequest;
use super::cluster::MetadataRecord;
use super::log::Entry;
use super::protocol::{BrokerId, ErrorCode, ProducerId, TransactionalId};
use crate::record::{Offset, TopicPartition};
use crate::units::Span;
use serde::Serialize;

/// A message between Kafka's own nodes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Internal {
    /// A broker's process has started.
    Register {
        /// Which.
        broker: BrokerId,
        /// Which start of its process.
        incarnation: u32,
        /// How many metadata records it has.
        next: u64,
    },
    /// It is registered.
    Registered {
        /// Which start of its process.
        incarnation: u32,
        /// Its epoch: the place of its registration in the metadata log.
        epoch: u64,
    },
    /// A broker is alive.
    BrokerHeartbeat {
        /// Which.
        broker: BrokerId,
        /// Its epoch.
        epoch: u64,
        /// How many metadata records it has applied.
        next: u64,
        /// Whether it wants to stop.
        stopping: bool,
    },
    /// The answer to it.
    HeartbeatAnswer {
        /// The broker's epoch.
        epoch: u64,
        /// Whether that epoch is not the broker's current one: it must register again.
        stale: bool,
        /// Whether the broker is fenced.
        fenced: bool,
        /// Whether it may stop now.
        may_stop: bool,
    },
    /// The controller tells a broker what was agreed on.
    Metadata {
        /// The place of the first record in the log.
        from: u64,
        /// The records.
        records: Vec<MetadataRecord>,
    },
    /// A leader asks for other replicas in sync.
    AlterPartition {
        /// The leader.
        broker: BrokerId,
        /// Its epoch.
        epoch: u64,
        /// The leader's count of these requests.
        number: u64,
        /// What it asks for.
        changes: Vec<IsrChange>,
    },
    /// The answer to it.
    AlterPartitionAnswer {
        /// The request's number.
        number: u64,
        /// How each went.
        results: Vec<(TopicPartition, ErrorCode)>,
    },
    /// A follower fetches from a leader.
    ReplicaFetch(ReplicaFetch),
    /// The leader's answer.
    ReplicaFetchAnswer(ReplicaFetchAnswer),
    /// A broker needs producer ids to hand out.
    AllocateProducerIds {
        /// Which broker.
        broker: BrokerId,
    },
    /// These ids are the broker's.
    ProducerIds {
        /// The first.
        first: u64,
        /// How many.
        count: u64,
    },
    /// A broker passes an administrator's request on to the controller.
    Forwarded {
        /// The broker's count of these requests.
        number: u64,
        /// The request.
        request: AdminRequest,
    },
    /// The controller's answer.
    ForwardedAnswer {
        /// The request's number.
        number: u64,
        /// How it went.
        error: ErrorCode,
    },
    /// A leader asks a transaction's coordinator whether partitions were added to the transaction.
    VerifyPartitions {
        /// The leader's count of these questions.
        number: u64,
        /// The transaction.
        transaction: TransactionalId,
        /// The producer.
        producer: ProducerId,
        /// Its epoch.
        epoch: i16,
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// The coordinator's word.
    Verified {
        /// The question's number.
        number: u64,
        /// A partition each.
        results: Vec<(TopicPartition, ErrorCode)>,
    },
    /// A transaction's coordinator has its markers written.
    WriteMarkers {
        /// The transaction.
        transaction: TransactionalId,
        /// The producer.
        producer: ProducerId,
        /// Its epoch.
        epoch: i16,
        /// The coordinator's epoch.
        coordinator_epoch: i32,
        /// Commit, or abort.
        commit: bool,
        /// Where.
        partitions: Vec<TopicPartition>,
    },
    /// How the writing went.
    MarkersWritten {
        /// The transaction.
        transaction: TransactionalId,
        /// The producer.
        producer: ProducerId,
        /// Its epoch.
        epoch: i16,
        /// A partition each.
        partitions: Vec<(TopicPartition, ErrorCode)>,
    },
}

/// A leader asks for this ISR.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct IsrChange {
    /// The partition.
    pub partition: TopicPartition,
    /// The leader's epoch.
    pub leader_epoch: i32,
    /// The partition epoch that the leader knows.
    pub partition_epoch: i32,
    /// The replicas in sync, with the epoch of each one's broker.
    pub isr: Vec<(BrokerId, u64)>,
}

/// A follower's fetch. Only what changed since the last one is said (KIP-227: incremental fetch sessions).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ReplicaFetch {
    /// The follower.
    pub replica: BrokerId,
    /// The epoch of its broker.
    pub replica_epoch: u64,
    /// The follower's number for this row of fetches.
    pub session: u64,
    /// The place in the row, from 0: the first names all partitions.
    pub number: u32,
    /// How long the leader may wait for records.
    pub wait: Span,
    /// From where, for the partitions that are new or have moved.
    pub partitions: Vec<ReplicaFetchPartition>,
    /// Partitions that are not fetched any more.
    pub forgotten: Vec<TopicPartition>,
}

/// From where a follower fetches a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ReplicaFetchPartition {
    /// The partition.
    pub partition: TopicPartition,
    /// The leader epoch that the follower knows.
    pub leader_epoch: i32,
    /// The end of the follower's log.
    pub offset: Offset,
    /// The epoch of the follower's last record; -1 for none.
    pub last_epoch: i32,
    /// The start of the follower's log.
    pub log_start: Offset,
}

/// A leader's answer to a follower's fetch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ReplicaFetchAnswer {
    /// The follower's number for the row.
    pub session: u64,
    /// The place in the row.
    pub number: u32,
    /// Whether the leader does not know the row: the follower begins another.
    pub unknown_session: bool,
    /// The partitions that have something to say.
    pub partitions: Vec<CopiedPartition>,
}

/// What a leader gives a follower of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct CopiedPartition {
    /// The partition.
    pub partition: TopicPartition,
    /// What is wrong.
    pub error: ErrorCode,
    /// The leader's epoch.
    pub leader_epoch: i32,
    /// The high watermark.
    pub high_watermark: Offset,
    /// The log's start.
    pub log_start: Offset,
    /// Where the follower's log diverges: the epoch and its end.
    pub diverging: Option<(i32, Offset)>,
    /// The offset of the first entry.
    pub from: Offset,
    /// The entries.
    pub entries: Vec<Entry>,
}

impl Internal {
    /// What kind of message it is, for traces.
    pub fn name(&self) -> &'static str {
        match self {
            Internal::Register { .. } => "kafka-register",
            Internal::Registered { .. } => "kafka-registered",
            Internal::BrokerHeartbeat { .. } => "kafka-broker-heartbeat",
            Internal::HeartbeatAnswer { .. } => "kafka-broker-heartbeat-answer",
            Internal::Metadata { .. } => "kafka-metadata-records",
            Internal::AlterPartition { .. } => "kafka-alter-partition",
            Internal::AlterPartitionAnswer { .. } => "kafka-alter-partition-answer",
            Internal::ReplicaFetch(_) => "kafka-replica-fetch",
            Internal::ReplicaFetchAnswer(_) => "kafka-replica-fetch-answer",
            Internal::AllocateProducerIds { .. } => "kafka-allocate-producer-ids",
            Internal::ProducerIds { .. } => "kafka-producer-ids",
            Internal::Forwarded { .. } => "kafka-forwarded",
            Internal::ForwardedAnswer { .. } => "kafka-forwarded-answer",
            Internal::VerifyPartitions { .. } => "kafka-verify-partitions",
            Internal::Verified { .. } => "kafka-verified",
            Internal::WriteMarkers { .. } => "kafka-write-markers",
            Internal::MarkersWritten { .. } => "kafka-markers-written",
        }
    }
}

impl From<Internal> for crate::message::Message {
    fn from(internal: Internal) -> Self {
        crate::message::Message::KafkaInternal(Box::new(internal))
    }
}
