//! `cutover lint`: is the file well-formed, and the plan executable?

use crate::arguments::Lint;
use crate::{EXIT_BAD_INPUT, EXIT_HELD};
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
                    anstream::println!("{}: warning: {warning}\n  help: {}", path.display(), warning.help);
                }
                let steps: usize = case.plan.phases.iter().map(|phase| phase.steps.len()).sum();
                anstream::println!(
                    "{}: well-formed; the plan has {} phases and {steps} steps and is executable ({} warnings)",
                    path.display(),
                    case.plan.phases.len(),
                    warnings.len()
                );
            }
        }
    }
    Ok(status)
}
