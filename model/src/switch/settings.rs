//! The settings of the switch centre, as a case file gives them. Its real system is not public: the defaults are
//! assumed, after configuration centres that push over a long connection (Apollo, Nacos).

use crate::units::Span;
use serde::{Deserialize, Serialize};

/// The switch centre's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// How long a change takes until it is pushed to an instance: between the two, drawn for each instance and change.
    pub push_delay: [Span; 2],
    /// After so long without `Applied` from an instance the switches are pushed to it again.
    pub repeat_interval: Span,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { push_delay: [Span::millis(50), Span::secs(3)], repeat_interval: Span::secs(5) }
    }
}
