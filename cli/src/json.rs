//! What machines get: one object a command, with names instead of numbers.

use crate::measured::{Buckets, Measured, measured};
use cutover_model::check::{Finding, Guarantee, Subject, Verdict};
use cutover_sim::case::{Case, CaseError, Loaded, Warning};
use cutover_sim::monitor::Cell;
use cutover_sim::results::{RunResult, SweepResult};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The object that `check --format json` prints.
#[derive(Debug, Serialize)]
pub struct Checked<'a> {
    case: &'a str,
    verdict: Verdict,
    /// Whether the verdict is the one that the case expects.
    expected: bool,
    /// Whether the faults went beyond what the systems tolerate: what broke then is not held against the plan.
    beyond: bool,
    seeds: u64,
    first_seed: u64,
    /// The digest of all runs' digests.
    digest: &'a str,
    guarantees: Vec<CheckedGuarantee<'a>>,
    measures: Measured,
    /// How often each fault struck each kind of node in each phase, zeroes first.
    coverage: Vec<Cell<'a>>,
    /// In how many seeds each fault of the case's list struck, in the order of the list.
    listed_faults: Vec<ListedFault>,
    /// How many seeds reached each condition, zeroes first.
    conditions: Vec<Reached<'a>>,
    failures: Vec<Failure<'a>>,
}

#[derive(Debug, Serialize)]
struct CheckedGuarantee<'a> {
    name: Guarantee,
    verdict: Verdict,
    exercised: u64,
    violated: u64,
    findings: u64,
    first_seed: Option<u64>,
    figures: Vec<WorstFigure<'a>>,
    worst: Option<WorstFinding>,
}

#[derive(Debug, Serialize)]
struct WorstFigure<'a> {
    name: &'a str,
    worst: u64,
    seed: u64,
    place: &'a str,
}

#[derive(Debug, Serialize)]
struct WorstFinding {
    seed: u64,
    #[serde(flatten)]
    finding: FoundHere,
}

#[derive(Debug, Serialize)]
struct Reached<'a> {
    condition: &'a str,
    seeds: u64,
    possible: bool,
}

#[derive(Debug, Serialize)]
struct ListedFault {
    fault: String,
    target: String,
    beyond: bool,
    seeds: u64,
}

#[derive(Debug, Serialize)]
struct Failure<'a> {
    seed: u64,
    failure: &'a str,
}

/// The object that `lint --format json` prints.
#[derive(Debug, Serialize)]
pub struct Linted<'a> {
    file: String,
    case: Option<&'a str>,
    /// Whether the file can be used: its plan can be executed.
    well_formed: bool,
    phases: usize,
    steps: usize,
    problems: Vec<LintedProblem>,
}

#[derive(Debug, Serialize)]
struct LintedProblem {
    severity: &'static str,
    /// The file in which it stands: the one that was linted, or one that it extends.
    file: String,
    /// Of that file, from 1; none where it could not be read.
    line: Option<usize>,
    /// Of the plan, from 1.
    phase: Option<usize>,
    step: Option<usize>,
    message: String,
    help: Option<String>,
}

/// The object that `replay --format json` prints.
#[derive(Debug, Serialize)]
pub struct Replayed<'a> {
    case: &'a str,
    seed: u64,
    verdict: Verdict,
    /// Whether the faults went beyond what the systems tolerate.
    beyond: bool,
    digest: &'a str,
    simulated_ms: u64,
    records: u64,
    events: u64,
    faults: u64,
    guarantees: Vec<ReplayedGuarantee<'a>>,
    findings: Vec<FoundHere>,
    measures: Measured,
    failure: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct ReplayedGuarantee<'a> {
    name: Guarantee,
    verdict: Verdict,
    exercised: bool,
    findings: u64,
    figures: BTreeMap<&'a str, u64>,
}

#[derive(Debug, Serialize)]
struct FoundHere {
    guarantee: Guarantee,
    ground: String,
    phase: String,
    at_ms: u64,
    group: Option<String>,
    partition: Option<String>,
    records: Vec<String>,
    summary: String,
}

fn found(finding: &Finding, subject: &Subject) -> FoundHere {
    FoundHere {
        guarantee: finding.guarantee,
        ground: finding.ground.to_string(),
        phase: subject.phase_key(finding.phase),
        at_ms: finding.at.as_millis(),
        group: finding.group.map(|group| subject.group_name(group)),
        partition: finding.partition.map(|partition| subject.partition_name(partition)),
        records: finding.records.iter().map(ToString::to_string).collect(),
        summary: finding.summary.clone(),
    }
}

/// What `check` prints of a sweep.
pub fn checked<'a>(result: &'a SweepResult, case: &Case, expected: bool, buckets: Buckets) -> Checked<'a> {
    let subject = &case.subject();
    let guarantee = |line: &'a cutover_sim::results::GuaranteeResult| CheckedGuarantee {
        name: line.name,
        verdict: line.verdict,
        exercised: line.exercised,
        violated: line.violated,
        findings: line.findings,
        first_seed: line.first_seed,
        figures: line
            .worst
            .iter()
            .map(|(figure, seed)| WorstFigure {
                name: &figure.name,
                worst: figure.value,
                seed: *seed,
                place: &figure.place,
            })
            .collect(),
        worst: line
            .worst_finding
            .as_ref()
            .map(|(finding, seed)| WorstFinding { seed: *seed, finding: found(finding, subject) }),
    };
    Checked {
        case: &result.case,
        verdict: result.verdict,
        expected,
        beyond: case.is_beyond_tolerance(),
        seeds: result.seeds,
        first_seed: result.first,
        digest: &result.digest,
        guarantees: result.guarantees.iter().map(guarantee).collect(),
        measures: measured(&result.measures, subject, buckets),
        coverage: result.coverage.zeroes_first(),
        listed_faults: listed_faults(result, case),
        conditions: result
            .conditions_zeroes_first()
            .into_iter()
            .map(|(condition, seeds)| {
                let possible = !result.impossible.contains(condition);
                Reached { condition, seeds, possible }
            })
            .collect(),
        failures: result.failures.iter().map(|(seed, failure)| Failure { seed: *seed, failure }).collect(),
    }
}

fn listed_faults(result: &SweepResult, case: &Case) -> Vec<ListedFault> {
    let listed = case.faults.list.iter().zip(&result.listed_struck);
    let told = listed.map(|(fault, seeds)| ListedFault {
        fault: fault.kind.to_string(),
        target: fault.target.clone().into(),
        beyond: fault.beyond,
        seeds: *seeds,
    });
    told.collect()
}

/// What `lint` prints of a file.
pub fn linted<'a>(path: &Path, read: Result<&'a Loaded, &'a CaseError>) -> Linted<'a> {
    let file = path.display().to_string();
    match read {
        Err(error) => Linted {
            file,
            well_formed: false,
            phases: 0,
            steps: 0,
            problems: vec![LintedProblem {
                severity: "error",
                file: error.file.clone(),
                line: Some(error.line).filter(|line| *line > 0),
                phase: None,
                step: None,
                message: error.message.clone(),
                help: error.help.clone(),
            }],
            case: None,
        },
        Ok(loaded) => Linted {
            file,
            well_formed: true,
            phases: loaded.case.plan.phases.len(),
            steps: loaded.case.plan.steps(),
            problems: loaded.warnings().into_iter().map(warned).collect(),
            case: Some(&loaded.case.name),
        },
    }
}

fn warned(warning: Warning) -> LintedProblem {
    let problem = warning.problem;
    LintedProblem {
        severity: "warning",
        file: warning.file,
        line: Some(warning.line),
        phase: Some(problem.phase),
        step: problem.step,
        message: problem.message,
        help: Some(problem.help),
    }
}

/// What `replay` prints of a run.
pub fn replayed<'a>(result: &'a RunResult, case: &Case) -> Replayed<'a> {
    let subject = &case.subject();
    Replayed {
        case: &result.case,
        seed: result.seed,
        verdict: result.verdict,
        beyond: case.is_beyond_tolerance(),
        digest: &result.digest,
        simulated_ms: result.simulated_ms,
        records: result.records,
        events: result.events,
        faults: result.faults,
        guarantees: result
            .judgements
            .iter()
            .map(|judgement| ReplayedGuarantee {
                name: judgement.guarantee,
                verdict: judgement.verdict,
                exercised: judgement.exercised,
                findings: judgement.findings_total,
                figures: judgement
                    .figures
                    .iter()
                    .map(|figure| (figure.name.as_str(), figure.value))
                    .collect(),
            })
            .collect(),
        findings: result
            .judgements
            .iter()
            .flat_map(|judgement| &judgement.findings)
            .map(|finding| found(finding, subject))
            .collect(),
        measures: measured(&result.measures, subject, Buckets::Left),
        failure: result.failure.as_deref(),
    }
}
