//! When the mirror commits decides what its crashes cost: records where it commits before the acknowledgement, copies
//! that come twice where it commits after it. The same case and seeds under both settings.

mod common;

use common::{fault, figure, findings, shipped};
use cutover_model::check::{Guarantee, Verdict};
use cutover_model::history::{Entry, Event};
use cutover_model::mirror::settings::Commit;
use cutover_model::record::{NodeId, RecordId};
use cutover_model::units::{Span, Time};
use cutover_sim::build::Layout;
use cutover_sim::case::Case;
use cutover_sim::faults::settings::{Aim, Kind};
use cutover_sim::results::RunResult;
use cutover_sim::run::{self, Keep};
use std::collections::BTreeMap;
use std::ops::Range;

const SEEDS: Range<u64> = 0..6;

/// Often enough for what is in flight to be committed now and then, seldom enough for what is copied not to be.
const NOW_AND_THEN: Span = Span::secs(10);

/// When a worker dies, in seconds: at uneven distances, so that a commit may be just over or just due.
const DEATHS: [u64; 10] = [95, 122, 149, 171, 199, 226, 247, 274, 303, 331];

/// The guarded plan under nothing but bad luck of the mirror, from the dual write to the end of the reads' move: its
/// workers die in turns, and are cut off from Kafka for some seconds before, so that each has
/// something in flight when it dies.
fn crashing(commit: Commit, commit_interval: Span) -> Case {
    let mut case = shipped("article-guarded");
    case.mirror.commit = commit;
    case.mirror.commit_interval = commit_interval;
    // What a worker commits waits in its Corgi client for the client's own turn: the shorter interval is in vain.
    case.mirror.corgi.commit_interval = Span::secs(1);
    let faults = DEATHS.iter().enumerate().flat_map(|(turn, second)| {
        let worker = if turn % 2 == 0 { "mirror-0" } else { "mirror-1" };
        let mut cut = fault(Kind::Cut, worker, Span::secs(second - 5), Span::secs(6));
        cut.to = Some(Aim::from("kafka-broker".to_owned()));
        [cut, fault(Kind::Crash, worker, Span::secs(*second), Span::secs(5))]
    });
    case.faults.draw = None;
    // An acknowledgement that is given up is a cause of its own to copy a record twice.
    case.faults.rare = None;
    case.faults.list = faults.collect();
    case
}

fn runs(case: &Case) -> Vec<RunResult> {
    SEEDS.map(|seed| run::alone(case, seed, Keep { history: true, messages: false })).collect()
}

fn sum(runs: &[RunResult], name: &str) -> u64 {
    runs.iter().map(|run| figure(run, name)).sum()
}

fn at_least_once(run: &RunResult) -> Verdict {
    let mut judgements = run.judgements.iter();
    judgements.find(|judgement| judgement.guarantee == Guarantee::AtLeastOnce).expect("it is judged").verdict
}

/// Every copy that a worker knows of: when and by whom, by record.
fn copies(history: &[Entry]) -> BTreeMap<RecordId, Vec<(Time, NodeId)>> {
    let mut copies: BTreeMap<RecordId, Vec<(Time, NodeId)>> = BTreeMap::new();
    for entry in history {
        if let Event::Copied { record, .. } = entry.event {
            copies.entry(record).or_default().push((entry.at, entry.node));
        }
    }
    copies
}

#[test]
fn commits_after_the_acknowledgement_cost_duplicates_and_no_record() {
    let runs = runs(&crashing(Commit::AfterAcknowledgement, NOW_AND_THEN));
    for run in &runs {
        assert_eq!(run.failure, None);
        assert_eq!(at_least_once(run), Verdict::Held, "seed {}:\n{}", run.seed, findings(run));
        assert_eq!(figure(run, "lost_records"), 0);
        assert!(figure(run, "duplicated_by_mirror_records") > 0, "seed {}", run.seed);
        assert!(figure(run, "duplicates_by_mirror_records") > 0, "seed {}", run.seed);
    }
}

#[test]
fn commits_before_the_acknowledgement_cost_records_and_no_more_duplicates() {
    let before = runs(&crashing(Commit::BeforeAcknowledgement, NOW_AND_THEN));
    let after = runs(&crashing(Commit::AfterAcknowledgement, NOW_AND_THEN));
    let losing: Vec<&RunResult> = before.iter().filter(|run| figure(run, "lost_records") > 0).collect();
    assert!(!losing.is_empty(), "no seed lost anything");
    for run in losing {
        assert_eq!(at_least_once(run), Verdict::Violated, "seed {}", run.seed);
        // Between Corgi and Kafka, and nowhere else: what was lost has no copy, and the mirror committed beyond it.
        let copies = copies(&run.history);
        let lost = run.judgements.iter().flat_map(|judgement| &judgement.findings);
        let lost = lost.filter(|finding| finding.guarantee == Guarantee::AtLeastOnce);
        for record in lost.flat_map(|finding| &finding.records) {
            assert!(!copies.contains_key(record), "seed {}: {record} was copied", run.seed);
        }
        assert_eq!(figure(run, "lost_passed_by_the_mirror_records"), figure(run, "lost_records"));
    }
    // What was acknowledged and not committed yet comes twice either way.
    let mirrored = |runs: &[RunResult]| sum(runs, "duplicated_by_mirror_records");
    assert!(mirrored(&before) <= mirrored(&after), "{} and {}", mirrored(&before), mirrored(&after));
}

/// What a crash finds uncommitted is copied again: the longer the interval, the more.
#[test]
fn the_commit_interval_bounds_what_is_copied_twice() {
    let mut numbers = Vec::new();
    for seconds in [1, 8, 30] {
        let interval = Span::secs(seconds);
        let case = crashing(Commit::AfterAcknowledgement, interval);
        let workers = Layout::of(&case).mirror;
        let runs = runs(&case);
        for run in &runs {
            every_second_copy_was_uncommitted(run, &workers, interval);
        }
        let twice = runs.iter().flat_map(|run| copies(&run.history).into_values());
        numbers.push(twice.filter(|copies| copies.len() > 1).count());
    }
    assert!(numbers[0] < numbers[1] && numbers[1] < numbers[2], "{numbers:?}");
}

/// Between both copies of a record the first one's worker died, and not longer after the first than the interval and
/// what is in flight.
fn every_second_copy_was_uncommitted(run: &RunResult, workers: &[NodeId], interval: Span) {
    let deaths: Vec<(Time, NodeId)> = run
        .history
        .iter()
        .filter(|entry| workers.contains(&entry.node))
        .filter(|entry| matches!(entry.event, Event::Stopped { orderly: false }))
        .map(|entry| (entry.at, entry.node))
        .collect();
    assert!(deaths.len() >= 8, "seed {}: {} deaths", run.seed, deaths.len());
    let slack = Span::secs(3);
    for (record, copies) in copies(&run.history) {
        for pair in copies.windows(2) {
            let [(first, worker), (second, _)] = pair else { continue };
            let died = deaths.iter().find(|(at, who)| who == worker && first <= at && at <= second);
            let Some((died, _)) = died else {
                panic!(
                    "seed {}: {record} was copied at {first} and {second}, and nobody died between",
                    run.seed
                )
            };
            let age = died.since(*first);
            assert!(
                age <= interval + slack,
                "seed {}: {record}, copied at {first}, was not committed {age} later, at {died}",
                run.seed
            );
        }
    }
}
