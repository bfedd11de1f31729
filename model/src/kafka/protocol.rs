//! Kafka's requests and answers, as far as clients, mirror, applications and operators use them.
//!
//! Names follow the protocol guide <https://kafka.apache.org/protocol>; texts (client ids, transactional ids,
//! metadata) are numbers here. A request that asks about several partitions is answered for each of them.

use crate::record::{GroupId, NodeId, Offset, Record, TopicId, TopicPartition};
use crate::units::{Span, Time};
use serde::Serialize;

/// A broker's id in the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct BrokerId(pub u32);

/// A producer id as `InitProducerId` hands it out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ProducerId(pub u64);

/// A transactional id, interned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TransactionalId(pub u32);

/// A member id as the group coordinator hands it out; 0 stands for the empty id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct MemberId(pub u64);

impl MemberId {
    /// The empty member id.
    pub const NONE: MemberId = MemberId(0);
}

/// A static member's `group.instance.id`, interned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct GroupInstanceId(pub u32);

/// Kafka's error names.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    strum::Display,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are Kafka's own, described in its protocol guide")]
pub enum ErrorCode {
    #[default]
    None,
    BrokerNotAvailable,
    ConcurrentTransactions,
    CoordinatorLoadInProgress,
    CoordinatorNotAvailable,
    DuplicateSequenceNumber,
    ElectionNotNeeded,
    EligibleLeadersNotAvailable,
    FencedInstanceId,
    FencedLeaderEpoch,
    GroupIdNotFound,
    GroupSubscribedToTopic,
    IllegalGeneration,
    InconsistentGroupProtocol,
    InvalidConfig,
    InvalidPartitions,
    InvalidProducerEpoch,
    InvalidProducerIdMapping,
    InvalidRecord,
    InvalidReplicaAssignment,
    InvalidReplicationFactor,
    InvalidRequest,
    InvalidRequiredAcks,
    InvalidSessionTimeout,
    InvalidTimestamp,
    InvalidTopicException,
    InvalidTransactionTimeout,
    InvalidTxnState,
    LeaderNotAvailable,
    MemberIdRequired,
    MessageTooLarge,
    NonEmptyGroup,
    NotController,
    NotCoordinator,
    NotEnoughReplicas,
    NotEnoughReplicasAfterAppend,
    NotLeaderOrFollower,
    NoReassignmentInProgress,
    OffsetMetadataTooLarge,
    OffsetNotAvailable,
    OffsetOutOfRange,
    OperationNotAttempted,
    OutOfOrderSequenceNumber,
    PreferredLeaderNotAvailable,
    ProducerFenced,
    RebalanceInProgress,
    ReplicaNotAvailable,
    RequestTimedOut,
    TopicAlreadyExists,
    TransactionCoordinatorFenced,
    TransactionalIdNotFound,
    UnknownLeaderEpoch,
    UnknownMemberId,
    UnknownProducerId,
    UnknownServerError,
    UnknownTopicOrPartition,
    UnstableOffsetCommit,
    ReassignmentInProgress,
}

/// How many replicas must have a batch before it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acks {
    /// No answer at all (`acks=0`).
    None,
    /// The leader alone (`acks=1`).
    Leader,
    /// All in-sync replicas, at least `min.insync.replicas` (`acks=all`).
    #[default]
    All,
    /// Any other number, which a broker refuses.
    #[serde(skip_deserializing)]
    Other(i16),
}

/// Which records a reader is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// Everything below the high watermark.
    #[default]
    ReadUncommitted,
    /// Everything below the last stable offset, aborted records left out by the reader.
    ReadCommitted,
}

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

/// What a member says of itself for one assignment protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Subscription {
    /// The topics it wants.
    pub topics: Vec<TopicId>,
    /// The partitions it holds already (for cooperative and sticky assignors).
    pub owned: Vec<TopicPartition>,
    /// In which generation it got them.
    pub generation: i32,
    /// Metadata that is not a consumer's (an opaque text, interned); 0 for none.
    pub opaque: u64,
}

/// What the leader gives a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Assignment {
    /// The partitions.
    pub partitions: Vec<TopicPartition>,
    /// An assignment that is not a consumer's (an opaque text, interned); 0 for none.
    pub opaque: u64,
}

/// An assignment protocol's name.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    serde::Deserialize,
    strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum AssignmentProtocol {
    /// Java's `RangeAssignor`.
    #[default]
    Range,
    /// Java's `RoundRobinAssignor`.
    #[serde(rename = "roundrobin")]
    #[strum(serialize = "roundrobin")]
    RoundRobin,
    /// Java's `StickyAssignor`.
    Sticky,
    /// Java's `CooperativeStickyAssignor`.
    CooperativeSticky,
    /// Some other name, interned.
    #[serde(skip_deserializing)]
    #[strum(to_string = "other-{0}")]
    Other(u32),
}

/// What the members of a group are to each other: the name of their kind of protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum ProtocolType {
    /// Consumers that share partitions out.
    #[default]
    Consumer,
    /// The empty name.
    Unnamed,
    /// Some other name, interned.
    Other(u32),
}

/// A member as the leader sees it in the answer to its join.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct JoinedMember {
    /// Its id.
    pub member: MemberId,
    /// Its static instance.
    pub instance: Option<GroupInstanceId>,
    /// What it subscribes to.
    pub subscription: Subscription,
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

/// What a client may ask a broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Request {
    /// Which brokers live, and who leads these topics' partitions (all topics where none is named).
    Metadata {
        #[doc = "The topics."]
        topics: Vec<TopicId>,
    },
    /// Append batches.
    Produce {
        /// When to answer.
        acks: Acks,
        /// How long the leader may wait for the replicas.
        timeout: Span,
        /// The transaction that the batches belong to.
        transaction: Option<TransactionalId>,
        /// The batches, one a partition.
        batches: Vec<ProduceBatch>,
    },
    /// Read.
    Fetch {
        /// Which records are shown.
        isolation: Isolation,
        /// How long to wait for `min_bytes`.
        max_wait: Span,
        /// Answer at once when there are so many bytes.
        min_bytes: u32,
        /// At most so many bytes over all.
        max_bytes: u32,
        /// From where, a partition.
        partitions: Vec<FetchPartition>,
    },
    /// Look up offsets: (partition, the caller's current leader epoch or -1, where to look).
    ListOffsets {
        /// Which records count.
        isolation: Isolation,
        #[doc = "The questions."]
        partitions: Vec<(TopicPartition, i32, OffsetAt)>,
    },
    /// Where an epoch ends: (partition, the caller's current leader epoch or -1, the epoch asked for).
    OffsetForLeaderEpoch {
        #[doc = "The questions."]
        partitions: Vec<(TopicPartition, i32, i32)>,
    },
    /// Get a producer id.
    InitProducerId {
        /// The transaction, for a transactional producer.
        transaction: Option<TransactionalId>,
        /// After which an open transaction is aborted.
        transaction_timeout: Span,
        /// The id and epoch that the caller has already.
        current: Option<(ProducerId, i16)>,
    },
    /// Who coordinates the group.
    FindCoordinator {
        #[doc = "Of what."]
        key: CoordinatorKey,
    },
    /// Join a group, or join it again.
    JoinGroup {
        /// The group.
        group: GroupId,
        /// The caller's member id, or none yet.
        member: MemberId,
        /// The caller's static instance.
        instance: Option<GroupInstanceId>,
        /// After which silence ends the membership.
        session_timeout: Span,
        /// How long a rebalance waits for this member.
        rebalance_timeout: Span,
        /// What kind of group it takes it for.
        protocol_type: ProtocolType,
        /// Whether it understands the order to skip the assignment (version 9; KIP-814).
        may_skip_assignment: bool,
        /// The protocols that it can do, the best first.
        protocols: Vec<(AssignmentProtocol, Subscription)>,
    },
    /// Give (as leader) and get the assignment.
    SyncGroup {
        /// The group.
        group: GroupId,
        /// The generation that was joined.
        generation: i32,
        /// The caller.
        member: MemberId,
        /// The caller's static instance.
        instance: Option<GroupInstanceId>,
        /// What the caller knows to be the group's kind and its chosen protocol (version 5; KIP-559).
        protocol: Option<(ProtocolType, AssignmentProtocol)>,
        /// From the leader: what each member gets.
        assignments: Vec<(MemberId, Assignment)>,
    },
    /// Still here.
    Heartbeat {
        /// The group.
        group: GroupId,
        /// The caller's generation.
        generation: i32,
        /// The caller.
        member: MemberId,
        /// The caller's static instance.
        instance: Option<GroupInstanceId>,
    },
    /// Leave a group.
    LeaveGroup {
        /// The group.
        group: GroupId,
        /// Who leaves.
        member: MemberId,
        /// The leaver's static instance.
        instance: Option<GroupInstanceId>,
    },
    /// Commit offsets.
    OffsetCommit {
        /// The group.
        group: GroupId,
        /// The caller's generation; -1 for a commit without a member.
        generation: i32,
        /// The caller; none for a commit without a member.
        member: MemberId,
        /// The caller's static instance.
        instance: Option<GroupInstanceId>,
        /// The offsets.
        offsets: Vec<CommitPartition>,
    },
    /// Read committed offsets (of all partitions where none is named).
    OffsetFetch {
        /// The group.
        group: GroupId,
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// Refuse where a transaction's offsets are pending.
        require_stable: bool,
    },
    /// Put partitions into a transaction.
    AddPartitionsToTxn {
        /// The transaction.
        transaction: TransactionalId,
        /// The producer's id and epoch.
        producer: (ProducerId, i16),
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// Put a group's offsets into a transaction.
    AddOffsetsToTxn {
        /// The transaction.
        transaction: TransactionalId,
        /// The producer's id and epoch.
        producer: (ProducerId, i16),
        /// The group.
        group: GroupId,
    },
    /// Commit offsets that appear with the transaction.
    TxnOffsetCommit {
        /// The transaction.
        transaction: TransactionalId,
        /// The producer's id and epoch.
        producer: (ProducerId, i16),
        /// The group.
        group: GroupId,
        /// The group's generation, or -1.
        generation: i32,
        /// The member, or none.
        member: MemberId,
        /// The offsets.
        offsets: Vec<CommitPartition>,
    },
    /// End a transaction.
    EndTxn {
        /// The transaction.
        transaction: TransactionalId,
        /// The producer's id and epoch.
        producer: (ProducerId, i16),
        /// Commit it, or abort it.
        commit: bool,
    },
    /// What an administrator asks for.
    Admin(super::admin::AdminRequest),
}

/// Of what a coordinator is sought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum CoordinatorKey {
    /// Of a group.
    Group(GroupId),
    /// Of a transaction.
    Transaction(TransactionalId),
}

/// What a broker answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Response {
    /// To `Metadata`.
    Metadata {
        /// The brokers alive, and where they are reached.
        brokers: Vec<(BrokerId, NodeId)>,
        /// Topics that do not exist.
        unknown: Vec<TopicId>,
        /// The partitions.
        partitions: Vec<PartitionMetadata>,
    },
    /// To `Produce` (never to `acks=0`): error, base offset, log start.
    Produce {
        #[doc = "A partition each."]
        partitions: Vec<(TopicPartition, ErrorCode, Offset, Offset)>,
        /// For so long the client is to send nothing on this connection (`throttle_time_ms`).
        throttle: Span,
    },
    /// To `Fetch`.
    Fetch {
        /// A partition each; none where the client is over its quota.
        partitions: Vec<FetchedPartition>,
        /// For so long the client is to send nothing on this connection (`throttle_time_ms`).
        throttle: Span,
    },
    /// To `ListOffsets`: error, offset (-1 none), timestamp of that record, its leader epoch.
    ListOffsets {
        /// A partition each.
        partitions: Vec<(TopicPartition, ErrorCode, Offset, Option<Time>, i32)>,
    },
    /// To `OffsetForLeaderEpoch`: error, epoch, end offset.
    OffsetForLeaderEpoch {
        #[doc = "A partition each."]
        partitions: Vec<(TopicPartition, ErrorCode, i32, Offset)>,
    },
    /// To `InitProducerId`.
    InitProducerId {
        /// What went wrong.
        error: ErrorCode,
        /// The id and epoch.
        producer: Option<(ProducerId, i16)>,
    },
    /// To `FindCoordinator`.
    FindCoordinator {
        /// What went wrong.
        error: ErrorCode,
        /// The broker, and where it is reached.
        coordinator: Option<(BrokerId, NodeId)>,
    },
    /// To `JoinGroup`.
    JoinGroup {
        /// What went wrong.
        error: ErrorCode,
        /// The generation; -1 with an error.
        generation: i32,
        /// The protocol chosen.
        protocol: Option<AssignmentProtocol>,
        /// The group's leader.
        leader: MemberId,
        /// The caller's id.
        member: MemberId,
        /// To the leader alone: all members.
        members: Vec<JoinedMember>,
        /// To a static leader that is back in a stable group: it leads, and assigns nothing.
        skip_assignment: bool,
    },
    /// To `SyncGroup`.
    SyncGroup {
        /// What went wrong.
        error: ErrorCode,
        /// What the caller got.
        assignment: Assignment,
    },
    /// To `Heartbeat`.
    Heartbeat {
        #[doc = "What went wrong."]
        error: ErrorCode,
    },
    /// To `LeaveGroup`.
    LeaveGroup {
        #[doc = "What went wrong."]
        error: ErrorCode,
    },
    /// To `OffsetCommit`.
    OffsetCommit {
        #[doc = "A partition each."]
        partitions: Vec<(TopicPartition, ErrorCode)>,
    },
    /// To `OffsetFetch`.
    OffsetFetch {
        /// What went wrong with the whole.
        error: ErrorCode,
        /// A partition each: error, offset (-1 none), leader epoch (-1 none).
        partitions: Vec<(TopicPartition, ErrorCode, Offset, i32)>,
    },
    /// To `AddPartitionsToTxn`.
    AddPartitionsToTxn {
        #[doc = "A partition each."]
        partitions: Vec<(TopicPartition, ErrorCode)>,
    },
    /// To `AddOffsetsToTxn`.
    AddOffsetsToTxn {
        #[doc = "What went wrong."]
        error: ErrorCode,
    },
    /// To `TxnOffsetCommit`.
    TxnOffsetCommit {
        #[doc = "A partition each."]
        partitions: Vec<(TopicPartition, ErrorCode)>,
    },
    /// To `EndTxn`.
    EndTxn {
        #[doc = "What went wrong."]
        error: ErrorCode,
    },
    /// To `Admin`.
    Admin(super::admin::AdminResponse),
}

impl Request {
    /// What kind of request it is, for traces.
    pub fn name(&self) -> &'static str {
        match self {
            Request::Metadata { .. } => "kafka-metadata",
            Request::Produce { .. } => "kafka-produce",
            Request::Fetch { .. } => "kafka-fetch",
            Request::ListOffsets { .. } => "kafka-list-offsets",
            Request::OffsetForLeaderEpoch { .. } => "kafka-offset-for-leader-epoch",
            Request::InitProducerId { .. } => "kafka-init-producer-id",
            Request::FindCoordinator { .. } => "kafka-find-coordinator",
            Request::JoinGroup { .. } => "kafka-join-group",
            Request::SyncGroup { .. } => "kafka-sync-group",
            Request::Heartbeat { .. } => "kafka-heartbeat",
            Request::LeaveGroup { .. } => "kafka-leave-group",
            Request::OffsetCommit { .. } => "kafka-offset-commit",
            Request::OffsetFetch { .. } => "kafka-offset-fetch",
            Request::AddPartitionsToTxn { .. } => "kafka-add-partitions-to-txn",
            Request::AddOffsetsToTxn { .. } => "kafka-add-offsets-to-txn",
            Request::TxnOffsetCommit { .. } => "kafka-txn-offset-commit",
            Request::EndTxn { .. } => "kafka-end-txn",
            Request::Admin(_) => "kafka-admin",
        }
    }
}

impl Response {
    /// For so long the client is to send nothing on the connection of this answer.
    pub fn throttle(&self) -> Span {
        match self {
            Response::Produce { throttle, .. } | Response::Fetch { throttle, .. } => *throttle,
            _ => Span::ZERO,
        }
    }

    /// What kind of answer it is, for traces.
    pub fn name(&self) -> &'static str {
        match self {
            Response::Metadata { .. } => "kafka-metadata-answer",
            Response::Produce { .. } => "kafka-produce-answer",
            Response::Fetch { .. } => "kafka-fetch-answer",
            Response::ListOffsets { .. } => "kafka-list-offsets-answer",
            Response::OffsetForLeaderEpoch { .. } => "kafka-offset-for-leader-epoch-answer",
            Response::InitProducerId { .. } => "kafka-init-producer-id-answer",
            Response::FindCoordinator { .. } => "kafka-find-coordinator-answer",
            Response::JoinGroup { .. } => "kafka-join-group-answer",
            Response::SyncGroup { .. } => "kafka-sync-group-answer",
            Response::Heartbeat { .. } => "kafka-heartbeat-answer",
            Response::LeaveGroup { .. } => "kafka-leave-group-answer",
            Response::OffsetCommit { .. } => "kafka-offset-commit-answer",
            Response::OffsetFetch { .. } => "kafka-offset-fetch-answer",
            Response::AddPartitionsToTxn { .. } => "kafka-add-partitions-to-txn-answer",
            Response::AddOffsetsToTxn { .. } => "kafka-add-offsets-to-txn-answer",
            Response::TxnOffsetCommit { .. } => "kafka-txn-offset-commit-answer",
            Response::EndTxn { .. } => "kafka-end-txn-answer",
            Response::Admin(_) => "kafka-admin-answer",
        }
    }
}
