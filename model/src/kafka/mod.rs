//! Kafka: brokers, the controller, replication, groups; see `protocol` for what clients may ask.

pub mod settings;
pub use settings::Settings;

pub mod version;
pub use version::Version;

pub mod admin;
pub mod assignor;
pub mod broker;
pub mod cluster;
pub mod controller;
mod deadlines;
mod group;
pub mod internal;
pub mod log;
mod producer_state;
pub mod protocol;
mod replica;
pub mod stored;
mod transaction;
pub mod wiring;

#[cfg(test)]
mod harness;

pub use broker::Broker;
pub use controller::Controller;
pub use wiring::{WiredTopic, Wiring};
