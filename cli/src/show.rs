//! `cutover show`: the case as it is run, a file by itself. It is the reference of all settings, their names and their defaults.

use crate::arguments::Show;
use crate::{EXIT_HELD, output};
use cutover_sim::case::Case;
use miette::IntoDiagnostic;

/// Print the case.
pub fn run(arguments: &Show) -> miette::Result<u8> {
    let case = Case::load(&arguments.case)?;
    output::print(&case.to_toml().into_diagnostic()?)?;
    Ok(EXIT_HELD)
}
