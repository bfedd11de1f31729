//! Kafka: brokers, the controller, replication, groups; see `protocol` for what clients may ask.

pub mod settings;
pub use settings::Settings;

pub mod assignor;
pub mod internal;
pub mod protocol;
