//! The business applications, around the OldClient or the NewClient: producers with a schedule and a retry policy,
//! consumers that process, take time and commit.
//!
//! An application owns its client libraries, hands them its inputs and takes what they hand out. They are told apart
//! by type, so that any library that keeps the contracts in [`crate::client`] fits.

pub mod consumer;
pub mod consumer_settings;
pub mod producer;
pub mod producer_settings;
#[cfg(test)]
mod scripted;
mod subscription;
pub mod topic_shape;
pub use consumer::{ConsumerApplication, ConsumerSetup, Registry};
pub use consumer_settings::Settings as ConsumerSettings;
pub use producer::{ProducerApplication, ProducerSetup, Scheduled};
pub use producer_settings::Settings as ProducerSettings;
pub use topic_shape::TopicShape;

use crate::client::{Consumer, Producer};
use crate::record::TopicPartition;
use serde::Serialize;
use std::fmt::Debug;

/// A consumer library that a machine can own: plain data besides its contract.
pub trait ConsumerLibrary: Consumer + Clone + Debug + Eq + Serialize {}
impl<L: Consumer + Clone + Debug + Eq + Serialize> ConsumerLibrary for L {}

/// A producer library that a machine can own: plain data besides its contract.
pub trait ProducerLibrary: Producer + Clone + Debug + Eq + Serialize {}
impl<L: Producer + Clone + Debug + Eq + Serialize> ProducerLibrary for L {}

/// The index of a timer that a partition has.
fn timer_index(partition: TopicPartition) -> u64 {
    u64::from(partition.topic.0) << 16 | u64::from(partition.partition)
}
