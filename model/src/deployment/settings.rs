//! The settings of the deployment, as a case file gives them.

use crate::units::Span;
use serde::{Deserialize, Serialize};

/// The deployment's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// How long it rests between one instance and the next (Kubernetes: `minReadySeconds`, assumed).
    pub roll_interval: Span,
    /// How long a process that was asked to stop may take before it is killed (Kubernetes:
    /// `terminationGracePeriodSeconds`).
    pub grace: Span,
    /// How often it looks again at a process that is not yet as it should be (Kubernetes: `periodSeconds` of a probe).
    pub probe_interval: Span,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { roll_interval: Span::secs(5), grace: Span::secs(30), probe_interval: Span::secs(2) }
    }
}
