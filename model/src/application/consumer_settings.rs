//! The settings of this part, as a case file gives them.

use serde::{Deserialize, Serialize};

/// The settings, each with the default of the real system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {}
