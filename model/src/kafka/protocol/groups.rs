//! What the members of a group tell each other through their coordinator. Metadata that is not a consumer's is a number here.

use super::{GroupInstanceId, MemberId};
use crate::record::{TopicId, TopicPartition};
use serde::Serialize;

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
