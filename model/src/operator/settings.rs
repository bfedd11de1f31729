//! The settings of the operator, as a case file gives them. No system stands behind the figures: they are a careful
//! human's with a dashboard (assumed), the request time-out apart.

use crate::units::Span;
use serde::{Deserialize, Serialize};

/// How the operator works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// How often he asks for reports while he waits at a gate; he asks for none at other times.
    pub report_interval: Span,
    /// How long he takes from one step to the next: at least, and at most.
    pub act_delay: [Span; 2],
    /// How long he waits for an answer of Kafka's before he asks another broker (`request.timeout.ms` of Kafka's
    /// admin client: 30 s).
    pub request_timeout: Span,
    /// How often he repeats an order or a change that was not confirmed, and tries again what Kafka refused.
    pub retry: Span,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            report_interval: Span::secs(5),
            act_delay: [Span::secs(1), Span::secs(5)],
            request_timeout: Span::secs(30),
            retry: Span::secs(3),
        }
    }
}
