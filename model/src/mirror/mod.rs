//! MirrorMaker: workers that share Corgi's partitions by lease and copy their records into Kafka. The reverse mirror is the
//! same the other way round, for what producers have written to Kafka alone: its workers are a consumer group of Kafka's and
//! copy into Corgi.
//!
//! Left out: the copying of topic settings, of partition counts and of consumer groups' offsets, several streams in
//! one process, compression and headers.

#[cfg(test)]
mod fakes;
mod ledger;
pub mod partition_map;
pub mod reverse_settings;
pub mod settings;
mod transaction;
pub mod worker;

pub use partition_map::PartitionMap;
pub use reverse_settings::ReverseSettings;
pub use settings::Settings;
pub use transaction::positions::positions_topic;
pub use worker::{Direction, MirroredTopic, Wiring, Worker};
