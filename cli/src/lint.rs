//! `cutover lint`: is the file well-formed, and the plan executable?

use crate::arguments::{Format, Lint};
use crate::{EXIT_BAD_INPUT, EXIT_HELD, json, output};
use cutover_model::plan::{PlanProblem, Severity};
use cutover_sim::case::{Case, CaseError};
use miette::IntoDiagnostic;
use std::fmt::Write as _;
use std::path::Path;

/// Lint each file, and go on after a bad one.
pub fn run(arguments: &Lint) -> miette::Result<u8> {
    let mut status = EXIT_HELD;
    for path in &arguments.cases {
        let read = Case::load(path);
        if read.is_err() {
            status = EXIT_BAD_INPUT;
        }
        match arguments.format {
            Format::Json => {
                let object = json::linted(path, read.as_ref().map(|case| (case, warnings(case))));
                output::print(&(serde_json::to_string(&object).into_diagnostic()? + "\n"))?;
            }
            Format::Human => tell(path, read)?,
        }
    }
    Ok(status)
}

fn warnings(case: &Case) -> Vec<PlanProblem> {
    let problems = case.plan_problems().into_iter();
    problems.filter(|found| found.severity == Severity::Warning).collect()
}

fn tell(path: &Path, read: Result<Case, CaseError>) -> miette::Result<()> {
    let case = match read {
        Ok(case) => case,
        Err(error) => {
            eprintln!("{:?}", miette::Report::new(error));
            return Ok(());
        }
    };
    let warnings = warnings(&case);
    let mut text = String::new();
    for warning in &warnings {
        let _ = writeln!(text, "{}: warning: {warning}\n  help: {}", path.display(), warning.help);
    }
    let plan = match case.plan.phases.len() {
        0 => "there is no plan".to_owned(),
        phases => format!("the plan is executable (phases: {phases}, steps: {})", case.plan.steps()),
    };
    let _ = writeln!(text, "{}: well-formed; {plan}; warnings: {}", path.display(), warnings.len());
    output::print(&text)
}
