//! What administrators ask of a cluster: topics, elections, deletions, and how things stand.

use super::protocol::{
    Assignment, AssignmentProtocol, BrokerId, ErrorCode, GroupInstanceId, MemberId, ProducerId,
};
use crate::record::{GroupId, Offset, TopicId, TopicPartition};
use crate::units::Span;
use serde::Serialize;
use std::sync::Arc;

/// An administrator's request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum AdminRequest {
    /// Create a topic. Any broker takes it and passes it on to the controller.
    CreateTopic {
        /// The topic.
        topic: TopicId,
        /// Its name; empty where nobody asked for one.
        name: Arc<str>,
        /// Where its partitions are to stand.
        layout: Layout,
        /// Its own settings, as Kafka writes them.
        config: Vec<Setting>,
    },
    /// Delete a topic.
    DeleteTopic {
        /// The topic.
        topic: TopicId,
    },
    /// Give a topic more partitions.
    CreatePartitions {
        /// The topic.
        topic: TopicId,
        /// How many it is to have.
        count: u16,
        /// The replicas of the new ones, if they are chosen.
        replicas: Option<Vec<Vec<BrokerId>>>,
    },
    /// Change a topic's settings.
    AlterConfig {
        /// The topic.
        topic: TopicId,
        /// What is to change, as Kafka writes it.
        config: Vec<Setting>,
    },
    /// Move a partition to other brokers, or (without replicas) stop moving it.
    Reassign {
        /// The partition.
        partition: TopicPartition,
        /// Where to.
        replicas: Option<Vec<BrokerId>>,
    },
    /// Elect a leader.
    ElectLeader {
        /// The partition.
        partition: TopicPartition,
        /// Take any replica that lives, where nobody leads; otherwise the preferred one.
        unclean: bool,
    },
    /// Delete the records before an offset (-1: up to the high watermark). The leader takes it.
    DeleteRecords {
        /// The partition.
        partition: TopicPartition,
        /// The offset.
        before: Offset,
        /// How long to wait for the replicas.
        timeout: Span,
    },
    /// What a replica knows of the producers.
    DescribeProducers {
        /// The partition.
        partition: TopicPartition,
    },
    /// How a group stands. The coordinator takes this and the next two.
    DescribeGroup {
        /// The group.
        group: GroupId,
    },
    /// Delete an empty group.
    DeleteGroup {
        /// The group.
        group: GroupId,
    },
    /// Delete a committed offset.
    DeleteOffset {
        /// The group.
        group: GroupId,
        /// The partition.
        partition: TopicPartition,
    },
}

/// A setting's name and its value, as texts.
pub type Setting = (String, String);

/// Where a topic's partitions are to stand.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Layout {
    /// On these brokers, a list for each partition.
    Chosen(Vec<Vec<BrokerId>>),
    /// So many partitions on so many brokers each, or as many as the cluster's defaults say.
    Spread {
        /// Partitions.
        partitions: Option<i32>,
        /// Replicas of each.
        replication: Option<i32>,
    },
}

/// The answer to an administrator.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum AdminResponse {
    /// How it went, for what the controller does.
    Done {
        /// What went wrong.
        error: ErrorCode,
    },
    /// To `DeleteRecords`.
    DeleteRecords {
        /// What went wrong.
        error: ErrorCode,
        /// The least log start of all live replicas.
        low_watermark: Offset,
    },
    /// To `DescribeProducers`.
    DescribeProducers {
        /// What went wrong.
        error: ErrorCode,
        /// Each producer's id, epoch, last sequence and transaction's start (-1 none).
        producers: Vec<(ProducerId, i16, i32, Offset)>,
    },
    /// To `DescribeGroup`.
    DescribeGroup {
        /// What went wrong.
        error: ErrorCode,
        /// Its state: Dead, Empty, PreparingRebalance, CompletingRebalance, Stable.
        state: GroupState,
        /// The protocol, in a stable group.
        protocol: Option<AssignmentProtocol>,
        /// The members, with their assignments in a stable group.
        members: Vec<(MemberId, Option<GroupInstanceId>, Assignment)>,
    },
    /// To `DeleteOffset`.
    DeleteOffset {
        /// What went wrong with the group.
        error: ErrorCode,
        /// What went wrong with the partition, if the group is there.
        partition: Option<ErrorCode>,
    },
}

/// How a group stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, strum::Display)]
pub enum GroupState {
    /// There is no such group.
    #[default]
    Dead,
    /// It has no members.
    Empty,
    /// It waits for its members to join.
    PreparingRebalance,
    /// It waits for the leader's assignments.
    CompletingRebalance,
    /// Everybody has an assignment.
    Stable,
}
