//! The deployment: starts and stops application processes as the operator asks, one instance after the other.

pub mod rolling;
pub mod settings;
pub use rolling::Rolling;
pub use settings::Settings;

use crate::record::GroupId;
use serde::{Deserialize, Serialize};

/// In which order a rolling deployment replaces an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum RollOrder {
    /// The new one starts first, then the old one is asked to stop (a surge deployment).
    #[default]
    StartFirst,
    /// The old one is asked to stop, and has stopped, before the new one starts.
    StopFirst,
}

/// What the deployment rolls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Target {
    /// A consumer group's instances, from OldClient to NewClient.
    Group(GroupId),
    /// The mirror's workers.
    Mirror,
    /// Corgi's brokers, name service and on-call: stopping only, at the end.
    Corgi,
    /// The reverse mirror's workers.
    ReverseMirror,
    /// A broker set of Corgi's that stands by: starting only. It is stopped with the rest of Corgi.
    BrokerSet(u16),
}

/// What the deployment is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Order {
    /// Replace old processes by new ones (or start the new ones, where there are no old ones).
    Roll(RollOrder),
    /// Stop all processes, old and new.
    Stop,
    /// Go back: start the old ones, stop the new ones.
    RollBack(RollOrder),
}

/// A message to or from the deployment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Message {
    /// The operator orders. Numbered by the operator, so that a repetition changes nothing.
    Order {
        /// The operator's number of this order.
        number: u64,
        /// Of what.
        target: Target,
        /// What to do.
        order: Order,
    },
    /// The deployment has taken the order with that number.
    Accepted {
        /// The operator's number of the order.
        number: u64,
    },
    /// A process that started tells its deployment so (its readiness probe).
    Ready,
    /// A process that is about to exit tells its deployment so.
    Exiting,
}

impl Message {
    /// What kind of message it is, for traces.
    pub fn name(&self) -> &'static str {
        match self {
            Message::Order { .. } => "deployment-order",
            Message::Accepted { .. } => "deployment-accepted",
            Message::Ready => "deployment-ready",
            Message::Exiting => "deployment-exiting",
        }
    }
}
