//! What coordinators keep in the internal topics: groups, committed offsets and transactions.

use super::protocol::{
    Assignment, AssignmentProtocol, CommitPartition, GroupInstanceId, MemberId, ProducerId, ProtocolType,
    Subscription, TransactionalId,
};
use crate::record::{GroupId, TopicPartition};
use crate::units::{Span, Time};
use serde::Serialize;

/// A record of a coordinator's.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Stored {
    /// A group as it stands at its leader's sync, or when it becomes empty.
    Group(StoredGroup),
    /// A group is gone.
    GroupGone(GroupId),
    /// Offsets that were committed together; of a transaction where the entry has a transactional stamp.
    Offsets {
        /// The group.
        group: GroupId,
        /// The offsets.
        offsets: Vec<CommitPartition>,
        /// When.
        at: Time,
    },
    /// Committed offsets that are gone.
    OffsetsGone {
        /// The group.
        group: GroupId,
        /// Of these partitions.
        partitions: Vec<TopicPartition>,
    },
    /// A transactional id's state.
    Transaction(StoredTransaction),
    /// A transactional id is gone.
    TransactionGone(TransactionalId),
}

impl Stored {
    /// About the size that it takes in a log.
    pub fn bytes(&self) -> u64 {
        match self {
            Stored::Group(group) => 60 + 100 * group.members.len() as u64,
            Stored::GroupGone(_) | Stored::TransactionGone(_) => 20,
            Stored::Offsets { offsets, .. } => 60 * offsets.len() as u64,
            Stored::OffsetsGone { partitions, .. } => 30 * partitions.len() as u64,
            Stored::Transaction(transaction) => 60 + 20 * transaction.partitions.len() as u64,
        }
    }
}

/// A group as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct StoredGroup {
    /// Which.
    pub group: GroupId,
    /// Its generation.
    pub generation: i32,
    /// What its members take it for.
    pub protocol_type: ProtocolType,
    /// The protocol chosen.
    pub protocol: Option<AssignmentProtocol>,
    /// Its leader.
    pub leader: Option<MemberId>,
    /// Its members.
    pub members: Vec<StoredMember>,
}

/// A member as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct StoredMember {
    /// Its id.
    pub member: MemberId,
    /// Its static instance.
    pub instance: Option<GroupInstanceId>,
    /// After which silence it is dropped.
    pub session: Span,
    /// How long a rebalance waits for it.
    pub rebalance: Span,
    /// What it said for the protocol chosen.
    pub subscription: Subscription,
    /// What it was assigned.
    pub assignment: Assignment,
}

/// The states of a transaction, as in Kafka's coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum TransactionPhase {
    /// Nothing added.
    Empty,
    /// Partitions were added.
    Ongoing,
    /// To be committed: markers are being written.
    PrepareCommit,
    /// To be aborted: markers are being written.
    PrepareAbort,
    /// Committed.
    CompleteCommit,
    /// Aborted.
    CompleteAbort,
}

/// A transactional id's state, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct StoredTransaction {
    /// Which.
    pub transaction: TransactionalId,
    /// Its producer.
    pub producer: ProducerId,
    /// The producer's epoch.
    pub epoch: i16,
    /// The epoch before the last bump; -1 for none.
    pub last_epoch: i16,
    /// After which it is aborted.
    pub timeout: Span,
    /// How far it is.
    pub phase: TransactionPhase,
    /// What was added and has no marker yet.
    pub partitions: Vec<TopicPartition>,
    /// When its first partition was added.
    pub started: Option<Time>,
    /// When it changed last.
    pub updated: Time,
}
