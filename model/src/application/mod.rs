//! The business applications, around the OldClient or the NewClient.

pub mod consumer_settings;
pub mod producer_settings;
pub use consumer_settings::Settings as ConsumerSettings;
pub use producer_settings::Settings as ProducerSettings;
