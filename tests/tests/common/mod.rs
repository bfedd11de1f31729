//! What the tests share: the shipped cases, and what is read off a result.

#![allow(dead_code, reason = "no test file needs all of it")]

pub mod sweeps;

use cutover_model::check::{Guarantee, Verdict};
use cutover_model::units::Span;
use cutover_sim::case::Case;
use cutover_sim::faults::settings::{Aim, Kind, Listed};
use cutover_sim::results::RunResult;
use std::path::Path;

/// The shipped case of that name.
pub fn shipped(name: &str) -> Case {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    Case::load(&folder.join(format!("{name}.toml"))).unwrap_or_else(|error| panic!("{error}"))
}

/// A fault of the list, without any figures.
pub fn fault(kind: Kind, target: &str, at: Span, duration: Span) -> Listed {
    Listed {
        at: Some(at),
        phase: None,
        step: None,
        after: Span::ZERO,
        duration,
        kind,
        target: Aim::from(target.to_owned()),
        to: None,
        one_way: false,
        latency: None,
        per_million: None,
        skew: None,
        behind: false,
        ahead: None,
        bytes: None,
        beyond: false,
    }
}

/// The guarantees that a run violated.
pub fn violated(result: &RunResult) -> Vec<Guarantee> {
    let judgements = result.judgements.iter().filter(|judgement| judgement.verdict == Verdict::Violated);
    judgements.map(|judgement| judgement.guarantee).collect()
}

/// What a run found, a sentence each.
pub fn findings(result: &RunResult) -> String {
    let all = result.judgements.iter().flat_map(|judgement| &judgement.findings);
    all.map(|finding| format!("  {}: {}\n", finding.guarantee, finding.summary)).collect()
}

/// A figure of a run.
pub fn figure(result: &RunResult, name: &str) -> u64 {
    let figures = result.judgements.iter().flat_map(|judgement| &judgement.figures);
    let found: Vec<u64> = figures.filter(|figure| figure.name == name).map(|figure| figure.value).collect();
    assert_eq!(found.len(), 1, "{name} is a figure of one guarantee");
    found[0]
}
