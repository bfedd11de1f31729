//! `cutover lint`: is the file well-formed, and the plan executable?

use crate::arguments::{Format, Lint};
use crate::{EXIT_BAD_INPUT, EXIT_HELD, json, output};
use cutover_sim::case::{CaseError, Loaded};
use miette::IntoDiagnostic;
use std::fmt::Write as _;
use std::path::Path;

/// Lint each file, and go on after a bad one.
pub fn run(arguments: &Lint) -> miette::Result<u8> {
    let mut status = EXIT_HELD;
    for path in &arguments.cases {
        let read = Loaded::load(path);
        if read.is_err() {
            status = EXIT_BAD_INPUT;
        }
        match arguments.format {
            Format::Json => {
                let object = json::linted(path, read.as_ref());
                output::print(&(serde_json::to_string(&object).into_diagnostic()? + "\n"))?;
            }
            Format::Human => tell(path, read)?,
        }
    }
    Ok(status)
}

fn tell(path: &Path, read: Result<Loaded, CaseError>) -> miette::Result<()> {
    let loaded = match read {
        Ok(loaded) => loaded,
        Err(error) => {
            eprintln!("{:?}", miette::Report::new(error));
            return Ok(());
        }
    };
    let (warnings, plan) = (loaded.warnings(), &loaded.case.plan);
    let mut text = String::new();
    for warning in &warnings {
        let (place, problem) = (format!("{}, line {}", warning.file, warning.line), &warning.problem);
        let _ = writeln!(text, "{place}: warning: {problem}\n  help: {}", problem.help);
    }
    let plan = match plan.phases.len() {
        0 => "there is no plan".to_owned(),
        phases => format!("the plan is executable (phases: {phases}, steps: {})", plan.steps()),
    };
    let _ = writeln!(text, "{}: well-formed; {plan}; warnings: {}", path.display(), warnings.len());
    output::print(&text)
}
