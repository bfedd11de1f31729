//! `cutover lint`: is the file well-formed, and the plan executable?

use crate::arguments::Lint;
use crate::{EXIT_BAD_INPUT, EXIT_HELD, output};
use cutover_model::plan::Severity;
use cutover_sim::case::Case;

/// Lint each file, and go on after a bad one.
pub fn run(arguments: &Lint) -> miette::Result<u8> {
    let mut status = EXIT_HELD;
    for path in &arguments.cases {
        match Case::load(path) {
            Err(error) => {
                eprintln!("{:?}", miette::Report::new(error));
                status = EXIT_BAD_INPUT;
            }
            Ok(case) => {
                let warnings: Vec<_> = case
                    .plan_problems()
                    .into_iter()
                    .filter(|found| found.severity == Severity::Warning)
                    .collect();
                for warning in &warnings {
                    output::print(&format!(
                        "{}: warning: {warning}\n  help: {}\n",
                        path.display(),
                        warning.help
                    ))?;
                }
                let steps: usize = case.plan.phases.iter().map(|phase| phase.steps.len()).sum();
                let plan = match case.plan.phases.len() {
                    0 => "there is no plan".to_owned(),
                    phases => format!("the plan is executable (phases: {phases}, steps: {steps})"),
                };
                let warnings = warnings.len();
                output::print(&format!("{}: well-formed; {plan}; warnings: {warnings}\n", path.display()))?;
            }
        }
    }
    Ok(status)
}
