//! Checks of the systems' settings against each other.

use crate::case::Case;
use crate::case::error::Problem;
use crate::case::tree::Node;

pub(super) fn check(_case: &Case, _tree: &Node) -> Result<(), Problem> {
    Ok(())
}
