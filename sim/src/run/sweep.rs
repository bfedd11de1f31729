//! Many seeds of one case: run on several threads, folded in the order of their seeds, so that the number of threads
//! does not show. What is kept does not grow with the number of seeds.

use crate::monitor::{Coverage, Measures};
use crate::results::{GuaranteeResult, RunResult, SweepResult};
use cutover_model::check::{Condition, Figure, Finding, Guarantee, Judgement, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::sync_channel;
use strum::IntoEnumIterator;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How many broken runs are kept with their reasons.
const FAILURES_KEPT: usize = 10;

/// Run every seed of a range, and tell of each run in the order of the seeds.
pub fn sweep(
    seeds: Range<u64>,
    jobs: usize,
    run: impl Fn(u64) -> RunResult + Sync,
    mut told: impl FnMut(&RunResult, &Folded),
    case: &str,
) -> SweepResult {
    let mut folded = Folded::new(case, seeds.start);
    let next = AtomicU64::new(seeds.start);
    // A bounded channel: a slow reader holds the runners back, so that results do not pile up.
    let (sender, receiver) = sync_channel::<RunResult>(jobs.max(1) * 2);
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            let (sender, next, run, end) = (sender.clone(), &next, &run, seeds.end);
            // A number and no lock: what guards the next seed must not be held while a seed is run. It stops at the end: beyond
            // the greatest number it would begin anew at 0.
            let behind = move |seed: u64| (seed < end).then(|| seed + 1);
            let take = move || next.fetch_update(Relaxed, Relaxed, behind).ok();
            scope.spawn(move || {
                while let Some(seed) = take() {
                    if sender.send(run(seed)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut awaited = seeds.start;
        for result in receiver {
            early.insert(result.seed, result);
            while let Some(result) = early.remove(&awaited) {
                folded.fold(&result);
                told(&result, &folded);
                awaited += 1;
            }
        }
    });
    folded.finish()
}

/// What the runs so far add up to.
#[derive(Clone, Debug)]
pub struct Folded {
    case: String,
    first: u64,
    digest: u64,
    seeds: u64,
    guarantees: BTreeMap<Guarantee, Line>,
    coverage: Coverage,
    listed_struck: Vec<u64>,
    measures: Measures,
    failed: u64,
    failures: Vec<(u64, String)>,
}

#[derive(Clone, Debug, Default)]
struct Line {
    exercised: u64,
    violated: u64,
    /// Runs that exercised it and could not decide: records were still on their way when the time was over.
    undecided: u64,
    findings: u64,
    first_seed: Option<u64>,
    /// In the checker's order, the most telling first.
    worst: Vec<(Figure, u64)>,
    worst_finding: Option<(Finding, u64)>,
    /// How many seeds reached each, and whether any could have.
    conditions: BTreeMap<String, (u64, bool)>,
}

impl Folded {
    fn new(case: &str, first: u64) -> Folded {
        Folded {
            case: case.to_owned(),
            first,
            digest: 0,
            seeds: 0,
            // Rewinds are judged only where the plan has one: their line is there when a run has judged them.
            guarantees: Guarantee::iter()
                .filter(|guarantee| *guarantee != Guarantee::Rewind)
                .map(|guarantee| (guarantee, Line::default()))
                .collect(),
            coverage: Coverage::default(),
            listed_struck: Vec::new(),
            measures: Measures::default(),
            failed: 0,
            failures: Vec::new(),
        }
    }

    /// How many runs have found an anomaly so far.
    pub fn violated_seeds(&self) -> u64 {
        self.guarantees.values().map(|line| line.violated).max().unwrap_or(0)
    }

    /// How many runs there were so far.
    pub fn seeds(&self) -> u64 {
        self.seeds
    }

    fn fold(&mut self, result: &RunResult) {
        self.seeds += 1;
        self.digest = xxh3_64_with_seed(result.digest.as_bytes(), self.digest);
        for judgement in &result.judgements {
            self.guarantees.entry(judgement.guarantee).or_default().fold(judgement, result.seed);
        }
        self.coverage.add(&result.coverage);
        self.listed_struck.resize(self.listed_struck.len().max(result.listed_struck.len()), 0);
        for (seeds, struck) in self.listed_struck.iter_mut().zip(&result.listed_struck) {
            *seeds += u64::from(*struck);
        }
        match &result.failure {
            // What a run that broke off did not come to would be missing among its slowest.
            None => self.measures.add(&result.measures),
            Some(failure) => {
                self.failed += 1;
                if self.failures.len() < FAILURES_KEPT {
                    self.failures.push((result.seed, failure.clone()));
                }
            }
        }
    }

    fn finish(self) -> SweepResult {
        let failed = self.failed;
        let guarantees: Vec<GuaranteeResult> =
            self.guarantees.into_iter().map(|(name, line)| line.finish(name, failed)).collect();
        let mut conditions = BTreeMap::new();
        let mut impossible = BTreeSet::new();
        for (condition, seeds) in guarantees.iter().flat_map(|line| &line.conditions) {
            conditions.insert(condition.name.clone(), *seeds);
            if !condition.possible {
                impossible.insert(condition.name.clone());
            }
        }
        SweepResult {
            case: self.case,
            verdict: guarantees.iter().map(|line| line.verdict).max().unwrap_or(Verdict::Unknown),
            seeds: self.seeds,
            first: self.first,
            digest: format!("{:016x}", self.digest),
            guarantees,
            coverage: self.coverage,
            listed_struck: self.listed_struck,
            measures: self.measures,
            conditions,
            impossible,
            failures: self.failures,
        }
    }
}

impl Line {
    fn fold(&mut self, judgement: &Judgement, seed: u64) {
        self.exercised += u64::from(judgement.exercised);
        self.undecided += u64::from(judgement.exercised && judgement.verdict == Verdict::Unknown);
        self.findings += judgement.findings_total;
        if judgement.verdict == Verdict::Violated {
            self.violated += 1;
            self.first_seed.get_or_insert(seed);
        }
        for figure in &judgement.figures {
            match self.worst.iter_mut().find(|(worst, _)| worst.name == figure.name) {
                None => self.worst.push((figure.clone(), seed)),
                Some(worst) if figure.value > worst.0.value => *worst = (figure.clone(), seed),
                Some(_) => {}
            }
        }
        for finding in &judgement.findings {
            if self.worst_finding.as_ref().is_none_or(|(worst, _)| finding.weight > worst.weight) {
                self.worst_finding = Some((finding.clone(), seed));
            }
        }
        for condition in &judgement.conditions {
            let (seeds, possible) = self.conditions.entry(condition.name.clone()).or_default();
            *seeds += u64::from(condition.reached);
            *possible |= condition.possible;
        }
    }

    fn finish(self, name: Guarantee, failed: u64) -> GuaranteeResult {
        // A run that broke off might have shown anything: without a violation elsewhere nothing is known.
        let verdict = match self {
            Line { violated: 1.., .. } => Verdict::Violated,
            Line { exercised: 1.., undecided: 0, .. } if failed == 0 => Verdict::Held,
            _ => Verdict::Unknown,
        };
        let conditions = self.conditions.into_iter();
        GuaranteeResult {
            name,
            verdict,
            exercised: self.exercised,
            undecided: self.undecided,
            violated: self.violated,
            findings: self.findings,
            first_seed: self.first_seed,
            worst: self.worst,
            worst_finding: self.worst_finding,
            conditions: conditions
                .map(|(name, (seeds, possible))| (Condition { name, reached: seeds > 0, possible }, seeds))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(seed: u64) -> RunResult {
        let violated = seed % 5 == 3;
        let judgement = Judgement {
            guarantee: Guarantee::Order,
            verdict: if violated { Verdict::Violated } else { Verdict::Held },
            exercised: true,
            figures: vec![Figure { name: "reordered_records".into(), value: seed % 7, place: String::new() }],
            conditions: vec![Condition {
                name: "reached-on-even".into(),
                reached: seed.is_multiple_of(2),
                possible: true,
            }],
            findings: Vec::new(),
            findings_total: u64::from(violated),
            longest: Vec::new(),
        };
        RunResult {
            case: "case".into(),
            seed,
            verdict: judgement.verdict,
            digest: String::new(),
            simulated_ms: 0,
            records: 0,
            events: 0,
            faults: 0,
            judgements: vec![judgement],
            coverage: Coverage::default(),
            listed_struck: vec![seed.is_multiple_of(2)],
            measures: Measures::default(),
            failure: None,
            history: Vec::new(),
            messages: Vec::new(),
        }
    }

    #[test]
    fn the_number_of_jobs_does_not_show() {
        let with = |jobs| {
            let mut order = Vec::new();
            let result = sweep(10..60, jobs, result, |run, _| order.push(run.seed), "case");
            (result, order)
        };
        assert_eq!(with(1), with(4));
        let (result, order) = with(3);
        assert!(order.is_sorted() && order.len() == 50);
        let line = result.guarantees.iter().find(|line| line.name == Guarantee::Order).expect("a line");
        assert_eq!((line.violated, line.first_seed, line.verdict), (10, Some(13), Verdict::Violated));
        assert_eq!(
            line.worst[0],
            (Figure { name: "reordered_records".into(), value: 6, place: String::new() }, 13)
        );
        assert_eq!((result.conditions["reached-on-even"], &result.listed_struck[..]), (25, &[25][..]));
    }

    #[test]
    fn a_sweep_up_to_the_greatest_seed_comes_to_its_end() {
        for jobs in [1, 3] {
            let mut order = Vec::new();
            let told = |run: &RunResult, _: &Folded| order.push(run.seed);
            assert_eq!(sweep(u64::MAX - 2..u64::MAX, jobs, result, told, "case").seeds, 2);
            assert_eq!(order, [u64::MAX - 2, u64::MAX - 1]);
        }
    }

    #[test]
    fn as_many_runs_as_there_are_jobs_go_on_at_once() {
        let (started, starts) = sync_channel::<()>(1);
        let starts = std::sync::Mutex::new(starts);
        // The first run ends when the second one has begun, which one job would never come to.
        let run = |seed| {
            if seed == 0 {
                let patience = std::time::Duration::from_secs(60);
                starts.lock().expect("no panic").recv_timeout(patience).expect("another run beside this one");
            } else {
                started.send(()).expect("somebody waits");
            }
            result(seed)
        };
        assert_eq!(sweep(0..2, 2, run, |_, _| {}, "case").seeds, 2);
    }

    #[test]
    fn what_no_run_exercised_is_unknown_and_so_is_what_a_broken_run_might_have_shown() {
        let swept = sweep(0..3, 1, result, |_, _| {}, "case");
        let lost = swept.guarantees.iter().find(|line| line.name == Guarantee::AtLeastOnce).expect("a line");
        assert_eq!(lost.verdict, Verdict::Unknown);
        let broken = |seed| RunResult { failure: Some("panicked".into()), ..result(seed) };
        let swept = sweep(0..3, 1, broken, |_, _| {}, "case");
        assert!(swept.guarantees.iter().all(|line| line.verdict == Verdict::Unknown));
        assert_eq!(swept.failures.len(), 3);
    }

    #[test]
    fn one_run_that_could_not_decide_leaves_the_sweep_undecided() {
        let undecided = |seed| {
            let mut run = result(seed);
            if seed == 1 {
                run.judgements[0].verdict = Verdict::Unknown;
            }
            run
        };
        let swept = sweep(0..3, 1, undecided, |_, _| {}, "case");
        let line = swept.guarantees.iter().find(|line| line.name == Guarantee::Order).expect("a line");
        assert_eq!((line.verdict, line.undecided), (Verdict::Unknown, 1));
    }
}
