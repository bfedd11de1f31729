//! The operator: executes the plan from what he is told.

pub mod settings;
pub use settings::Settings;
