//! Kafka's ids, error names and the words of its settings that stand in requests. Texts (client ids, transactional ids) are
//! numbers here.

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
