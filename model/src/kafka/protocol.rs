//! Kafka's requests and answers, as far as clients, mirror, applications and operators use them.
//!
//! Names follow the protocol guide <https://kafka.apache.org/protocol>; texts (client ids, transactional ids,
//! metadata) are numbers here. A request that asks about several partitions is answered for each of them.

mod groups;
mod names;
mod partitions;

pub use groups::{Assignment, AssignmentProtocol, JoinedMember, ProtocolType, Subscription};
pub use names::{
    Acks, BrokerId, ErrorCode, GroupInstanceId, Isolation, MemberId, ProducerId, TransactionalId,
};
pub use partitions::{
    Body, CommitPartition, FetchPartition, FetchedPartition, FetchedRecord, OffsetAt, PartitionMetadata,
    ProduceBatch, ProducerStamp,
};

use crate::record::{GroupId, NodeId, Offset, TopicId, TopicPartition};
use crate::units::{Span, Time};
use serde::Serialize;

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
