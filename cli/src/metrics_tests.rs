//! The text is held to the format by a parser of its own, which takes nothing that the format does not name.

use super::*;
use cutover_model::check::{SubjectGroup, SubjectTopic};
use cutover_model::record::{GroupId, TopicId};
use cutover_sim::monitor::{Processing, Production};
use std::collections::BTreeSet;
