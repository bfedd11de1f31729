//! MirrorMaker: workers that share Corgi's partitions by lease and copy their records into Kafka.

pub mod settings;
pub use settings::Settings;
