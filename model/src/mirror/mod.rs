//! MirrorMaker: workers that share Corgi's partitions by lease and copy their records into Kafka.
//!
//! Left out: the copying of topic settings, of partition counts and of consumer groups' offsets, several streams in
//! one process, compression and headers.

#[cfg(test)]
mod fakes;
mod ledger;
pub mod partition_map;
pub mod settings;
mod transaction;
pub mod worker;

pub use partition_map::PartitionMap;
pub use settings::Settings;
pub use worker::{MirroredTopic, Wiring, Worker};
