//! Runs: one seed of a case, its twin without the migration, and many seeds.

pub mod drive;
pub mod host;
pub mod ledger;
pub mod sweep;
mod tell;

pub use drive::Keep;
pub use tell::{story, story_in, trace};

use crate::build;
use crate::case::Case;
use crate::faults::Fault;
use crate::results::{RunResult, SweepResult};
use cutover_model::check::{Guarantee, Verdict, zero_downtime};
use std::ops::Range;
use sweep::Folded;

/// Run one seed, and beside it the same seed and faults without the migration, against which the plan's own share of
/// the downtime is measured.
pub fn replay(case: &Case, seed: u64, keep: Keep) -> RunResult {
    let (mut result, struck) = hosted(case, seed, || build::faults(case, seed), keep, true);
    if case.plan.phases.is_empty() || result.failure.is_some() {
        return result;
    }
    let (twin, _) = hosted(&case.without_migration(), seed, || struck, Keep::default(), false);
    let without = twin.judgements.iter().find(|judgement| judgement.guarantee == Guarantee::ZeroDowntime);
    let with = result.judgements.iter_mut().find(|judgement| judgement.guarantee == Guarantee::ZeroDowntime);
    if let (Some(without), Some(with), None) = (without, with, &twin.failure) {
        *with = zero_downtime::compare(with, without, &case.objectives);
        result.verdict = worst(&result);
    }
    result
}

/// Run one seed without its twin.
pub fn alone(case: &Case, seed: u64, keep: Keep) -> RunResult {
    hosted(case, seed, || build::faults(case, seed), keep, true).0
}

/// A run under these faults; they are drawn where a panic is caught. The twin is there for its downtime alone: nobody reads its
/// measures.
fn hosted(
    case: &Case,
    seed: u64,
    faults: impl FnOnce() -> Vec<Fault> + Send,
    keep: Keep,
    monitored: bool,
) -> (RunResult, Vec<Fault>) {
    let run = || async move { drive::drive(case, seed, &faults(), keep, monitored).await };
    match host::host(seed, run) {
        Ok(run) => run,
        Err(error) => (broken_off(case, seed, error.to_string()), Vec::new()),
    }
}

/// Run many seeds on so many threads. What is told of each run comes in the order of the seeds.
pub fn check(
    case: &Case,
    seeds: Range<u64>,
    jobs: usize,
    told: impl FnMut(&RunResult, &Folded),
) -> SweepResult {
    sweep::sweep(seeds, jobs, |seed| replay(case, seed, Keep::default()), told, &case.name)
}

/// What `seeds` runs that reached a hazard without failing are worth: an upper bound of the probability that a run
/// fails, at 95 %.
pub fn confidence(seeds: u64) -> String {
    if seeds == 0 {
        return "no run exercised all of them".to_owned();
    }
    let bound = 1.0 - libm::pow(0.05, 1.0 / seeds as f64);
    let runs = if seeds == 1 { "run" } else { "runs" };
    format!(
        "with {seeds} {runs} that exercised each guarantee, a run fails with a probability of at most {:.2} % (at \
         95 %, under the faults that this case draws)",
        bound * 100.0
    )
}

fn worst(result: &RunResult) -> Verdict {
    result.judgements.iter().map(|judgement| judgement.verdict).max().unwrap_or(Verdict::Unknown)
}

fn broken_off(case: &Case, seed: u64, failure: String) -> RunResult {
    RunResult {
        case: case.name.clone(),
        seed,
        verdict: Verdict::Unknown,
        digest: String::new(),
        simulated_ms: 0,
        records: 0,
        events: 0,
        faults: 0,
        judgements: Vec::new(),
        coverage: Default::default(),
        listed_struck: Vec::new(),
        measures: Default::default(),
        failure: Some(failure),
        history: Vec::new(),
        messages: Vec::new(),
    }
}
