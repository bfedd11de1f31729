//! The switch centre: one set of switches, pushed to each instance with its own delay.

pub mod centre;
pub mod settings;
pub use centre::SwitchCentre;
pub use settings::Settings;

use crate::record::{GroupId, Queue, TopicId, TopicPartition};
use serde::{Deserialize, Serialize};

/// Where producers write.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum WriteTo {
    /// Corgi alone.
    #[default]
    Corgi,
    /// Kafka alone.
    Kafka,
    /// Both: the approach that the published account rejected.
    Both,
}

/// What producers hold back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// Nothing.
    #[default]
    Nothing,
    /// Every send.
    Everything,
    /// Sends to these topics.
    Topics(Vec<TopicId>),
    /// Sends to these source partitions.
    Partitions(Vec<TopicPartition>),
}

impl Hold {
    /// Whether a send to that source partition is held.
    pub fn covers(&self, partition: TopicPartition) -> bool {
        match self {
            Hold::Nothing => false,
            Hold::Everything => true,
            Hold::Topics(topics) => topics.contains(&partition.topic),
            Hold::Partitions(partitions) => partitions.contains(&partition),
        }
    }
}

/// All switches, as one snapshot. An instance applies a snapshot if its version is greater than its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Switches {
    /// Counts the changes, from 1; 0 is what an instance has before it heard of any.
    pub version: u64,
    /// From which queue each group reads; Corgi where it is not listed. Only the NewClient obeys.
    pub read: Vec<(GroupId, Queue)>,
    /// The groups that are paused. Only the NewClient obeys.
    pub paused: Vec<GroupId>,
    /// Where producers write.
    pub write: WriteTo,
    /// What producers hold back.
    pub hold: Hold,
}

impl Switches {
    /// From which queue that group reads.
    pub fn reads_from(&self, group: GroupId) -> Queue {
        self.read.iter().find(|(listed, _)| *listed == group).map_or(Queue::Corgi, |(_, queue)| *queue)
    }

    /// Whether that group is paused.
    pub fn pauses(&self, group: GroupId) -> bool {
        self.paused.contains(&group)
    }
}

/// One change of the switches.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Change {
    /// A group reads from that queue from now on.
    Read(GroupId, Queue),
    /// A group pauses.
    Pause(GroupId),
    /// A group goes on.
    Resume(GroupId),
    /// Producers write there from now on.
    Write(WriteTo),
    /// Producers hold these sends back from now on.
    Hold(Hold),
}

/// A message to or from the switch centre.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Message {
    /// The operator changes switches. Numbered by the operator, so that a repetition changes nothing.
    Change {
        /// The operator's number of this change.
        number: u64,
        /// What to change.
        changes: Vec<Change>,
    },
    /// The centre has taken the change with that number.
    Changed {
        /// The operator's number of the change.
        number: u64,
        /// The version that has it.
        version: u64,
    },
    /// An instance asks for the switches, and to be told of changes.
    Subscribe,
    /// The centre tells an instance the switches.
    Push(Switches),
    /// An instance has that version.
    Applied {
        /// The version.
        version: u64,
    },
}

impl Message {
    /// What kind of message it is, for traces.
    pub fn name(&self) -> &'static str {
        match self {
            Message::Change { .. } => "switch-change",
            Message::Changed { .. } => "switch-changed",
            Message::Subscribe => "switch-subscribe",
            Message::Push(_) => "switch-push",
            Message::Applied { .. } => "switch-applied",
        }
    }
}
