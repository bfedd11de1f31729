//! What a run and a sweep conclude: plain data, the same for people and for machines.

use crate::monitor::{Coverage, Measures};
use crate::world::Dispatched;
use cutover_model::check::{Condition, Figure, Finding, Guarantee, Judgement, Verdict};
use cutover_model::history::Entry;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What one run concluded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunResult {
    /// The case's name.
    pub case: String,
    /// The seed.
    pub seed: u64,
    /// The worst of the judgements; *unknown* where the run did not come to its end.
    pub verdict: Verdict,
    /// The digest of everything that happened, as 16 hexadecimal digits; empty where the run broke off.
    pub digest: String,
    /// How much time was simulated.
    pub simulated_ms: u64,
    /// How many records were sent.
    pub records: u64,
    /// How many events the world dispatched.
    pub events: u64,
    /// How many faults struck.
    pub faults: u64,
    /// A judgement a guarantee, in the guarantees' order.
    pub judgements: Vec<Judgement>,
    /// How often each fault struck each kind of node in each phase.
    pub coverage: Coverage,
    /// Whether each fault that the case lists struck.
    pub listed_struck: Vec<bool>,
    /// Latency, success and cost by phase; empty where the run broke off.
    pub measures: Measures,
    /// Why the run did not come to its end: a panic's message, or a budget.
    pub failure: Option<String>,
    /// The history, where it was asked for.
    #[serde(skip)]
    pub history: Vec<Entry>,
    /// Every dispatched input, where it was asked for.
    #[serde(skip)]
    pub messages: Vec<Dispatched>,
}

/// What many runs of one case concluded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SweepResult {
    /// The case's name.
    pub case: String,
    /// The worst verdict.
    pub verdict: Verdict,
    /// How many seeds were run.
    pub seeds: u64,
    /// The first seed.
    pub first: u64,
    /// The digest of all runs' digests, in the order of their seeds.
    pub digest: String,
    /// A line a guarantee.
    pub guarantees: Vec<GuaranteeResult>,
    /// How often each fault struck each kind of node in each phase, over all seeds.
    pub coverage: Coverage,
    /// In how many seeds each fault that the case lists struck.
    pub listed_struck: Vec<u64>,
    /// Latency, success and cost by phase, over the seeds that came to their end.
    pub measures: Measures,
    /// How many seeds reached each condition.
    pub conditions: BTreeMap<String, u64>,
    /// Those of them that no run of the case's plan can reach.
    pub impossible: BTreeSet<String>,
    /// Runs that did not come to their end: the seed, and why; the first ten.
    pub failures: Vec<(u64, String)>,
}

/// What many runs concluded of one guarantee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GuaranteeResult {
    /// Which.
    pub name: Guarantee,
    /// What.
    pub verdict: Verdict,
    /// How many seeds exercised it.
    pub exercised: u64,
    /// How many seeds exercised it and could not decide.
    pub undecided: u64,
    /// How many seeds violated it.
    pub violated: u64,
    /// How many findings there were over all seeds.
    pub findings: u64,
    /// The lowest seed that violated it.
    pub first_seed: Option<u64>,
    /// The greatest of each figure, and its seed.
    pub worst: Vec<(Figure, u64)>,
    /// The worst finding and its seed.
    pub worst_finding: Option<(Finding, u64)>,
    /// How many seeds reached each of its conditions.
    pub conditions: Vec<(Condition, u64)>,
}

impl SweepResult {
    /// The conditions and how many seeds reached each: those that none did first, and last what none could have.
    pub fn conditions_zeroes_first(&self) -> Vec<(&str, u64)> {
        let mut conditions: Vec<(&str, u64)> =
            self.conditions.iter().map(|(name, seeds)| (name.as_str(), *seeds)).collect();
        conditions.sort_by_key(|(name, seeds)| (self.impossible.contains(*name), *seeds));
        conditions
    }
}
