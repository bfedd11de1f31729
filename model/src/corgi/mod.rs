//! Corgi: the self-built master-slave queue that the service moves away from.

pub mod settings;
pub use settings::Settings;

pub mod protocol;
