//! Corgi: the self-built master-slave queue that the service moves away from. Broker sets of one master and two
//! slaves, a name service, and a human who does the failover.
//!
//! Deliberately left out: reads from slaves, retry topics, a byte-exact log (positions count records), and to make a topic wider
//! that was narrowed.

pub mod settings;
pub use settings::Settings;
pub mod wiring;
pub use wiring::Wiring;

pub mod broker;
pub mod groups;
pub mod log;
pub mod name_service;
pub mod on_call;
pub mod protocol;

#[cfg(test)]
mod delay_tests;
#[cfg(test)]
mod failover_tests;
#[cfg(test)]
pub(crate) mod harness;
#[cfg(test)]
mod incident_tests;
#[cfg(test)]
mod one_fault_tests;
#[cfg(test)]
mod patience_tests;
#[cfg(test)]
mod retention_tests;
#[cfg(test)]
mod widening_tests;
