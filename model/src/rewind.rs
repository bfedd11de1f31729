//! Online rewind: what a NewClient says of itself in Redis, how the operator's tool speaks to it, and what it answers.
//!
//! That a consumer reports group, address and instance id, and that a rewind calls Kafka's `seek()`, is the published
//! account's; what is checked, committed and answered is assumed, and a setting where there is a choice.

use crate::record::{GroupId, NodeId, Offset, TopicPartition};
use crate::units::Time;
use serde::{Deserialize, Serialize};

/// The id of one life of an instance. It stands for the UUID that a process draws when it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceId {
    /// The instance's node.
    pub node: NodeId,
    /// Its life.
    pub incarnation: u32,
}

/// A host on which instances run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct HostId(pub u32);

impl HostId {
    /// The host that an instance has to itself.
    pub fn own(node: NodeId) -> HostId {
        HostId(node.0)
    }
}

/// The first port that a host gives out.
pub const FIRST_PORT: u16 = 9_000;

/// Where a process can be reached: its host and its port. A later process on the same host may have the same port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Address {
    /// The host.
    pub host: HostId,
    /// The port.
    pub port: u16,
}

impl Address {
    /// The address of an instance that has its host to itself.
    pub fn own(node: NodeId) -> Address {
        Address { host: HostId::own(node), port: FIRST_PORT }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "host-{}:{}", self.host.0, self.port)
    }
}

/// What a consumer says of itself in Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Registration {
    /// Its group.
    pub group: GroupId,
    /// Where it can be reached.
    pub address: Address,
    /// Which life of which instance it is.
    pub instance: InstanceId,
}

/// A message between the operator's tool and a consumer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Message {
    /// Go back in those of these partitions that are yours.
    Command(Command),
    /// What came of it.
    Answer(Answer),
}

/// The order to go back.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Command {
    /// The operator's number of the rewind: a repetition has the same.
    pub rewind: u64,
    /// Which of his repetitions it is, from 1: a copy that comes late is told by it from a command that is new.
    pub attempt: u32,
    /// By when it is to be taken, on the clock of whoever takes it; none where it is good for ever.
    pub valid_until: Option<Time>,
    /// For whom it is, as Redis had it.
    pub to: Registration,
    /// The next offset to read of each partition.
    pub offsets: Vec<(TopicPartition, Offset)>,
}

/// What a consumer answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Answer {
    /// The number of the rewind.
    pub rewind: u64,
    /// Which of the repetitions is answered.
    pub attempt: u32,
    /// For whom the command was.
    pub to: Registration,
    /// The partitions of the command in which it has gone back, or why it did nothing.
    pub outcome: Result<Vec<TopicPartition>, Refusal>,
}

/// Why a consumer did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Refusal {
    /// The command is for another instance, or another life of this one.
    OtherInstance,
    /// It does not read from Kafka, and what it reads from cannot go back.
    NotReading,
    /// It has none of the partitions, or has lost those in which it went back before that was sure to last.
    NothingAssigned,
    /// It was told this already, or something later.
    Outdated,
    /// It came when it was good no more.
    Expired,
}

impl Message {
    /// What kind of message it is, for traces.
    pub fn name(&self) -> &'static str {
        match self {
            Message::Command(_) => "rewind-command",
            Message::Answer(_) => "rewind-answer",
        }
    }
}
