//! The same case and seed give the same run: again, on other threads, beside other runs, and in a world that was
//! cloned in the middle. What only another build could show (debug or release, another folder) is compared from outside.

mod common;

use common::shipped;
use cutover_model::machine::Machine;
use cutover_sim::build::{self, Setup};
use cutover_sim::case::Case;
use cutover_sim::results::RunResult;
use cutover_sim::run::{self, Keep};
use cutover_sim::world::World;
use std::collections::BTreeSet;

const EVERYTHING: Keep = Keep { history: true, messages: true };
const CASES: [&str; 4] = ["baseline", "article", "article-guarded", "orders"];

/// The world of a seed under the faults that it draws.
fn built(case: &Case, seed: u64) -> Setup {
    build::build(case, seed, &build::faults(case, seed))
}

#[test]
fn a_run_repeats_itself_down_to_the_last_message() {
    for name in CASES {
        let case = shipped(name);
        let first = run::replay(&case, 11, EVERYTHING);
        assert_eq!(first.failure, None);
        assert_eq!(first.digest.len(), 16, "{name}");
        assert!(!first.history.is_empty() && !first.messages.is_empty());
        let second = run::replay(&case, 11, EVERYTHING);
        // Not `assert_eq`: what differs would be told in a hundred thousand lines.
        assert!(first == second, "{name}: {} and {}", first.digest, second.digest);
    }
}

#[test]
fn what_is_kept_does_not_change_what_happens() {
    let case = shipped("article");
    let kept = run::alone(&case, 4, EVERYTHING);
    let bare = run::alone(&case, 4, Keep::default());
    assert!(bare.history.is_empty() && bare.messages.is_empty());
    assert!(bare == RunResult { history: Vec::new(), messages: Vec::new(), ..kept });
}

#[test]
fn a_case_that_was_saved_runs_as_the_one_that_was_not() {
    for name in CASES {
        let case = shipped(name);
        let saved = case.to_toml().unwrap();
        let again = Case::from_text("saved.toml", &saved).unwrap_or_else(|error| panic!("{name}: {error}"));
        let digest = |case| run::alone(case, 9, Keep::default()).digest;
        assert_eq!(digest(&case), digest(&again), "{name}");
    }
}

#[test]
fn another_seed_is_another_run() {
    let case = shipped("article-guarded");
    let digests: BTreeSet<String> =
        (0..12).map(|seed| run::alone(&case, seed, Keep::default()).digest).collect();
    assert_eq!(digests.len(), 12);
}

/// Each thread goes through the same runs from another place on, so that at any moment different ones are under way.
#[test]
fn runs_on_several_threads_at_once_are_those_that_run_alone() {
    let keep = Keep { history: true, messages: false };
    let cases = CASES.map(shipped);
    let runs: Vec<(&Case, u64)> =
        cases.iter().flat_map(|case| (20..23).map(move |seed| (case, seed))).collect();
    let alone: Vec<RunResult> = runs.iter().map(|(case, seed)| run::alone(case, *seed, keep)).collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (runs, alone) = (&runs, &alone);
            scope.spawn(move || {
                for place in (0..runs.len()).map(|place| (place + thread * 3) % runs.len()) {
                    let (case, seed) = runs[place];
                    let result = run::alone(case, seed, keep);
                    assert!(result == alone[place], "{} {seed} on thread {thread}", case.name);
                }
            });
        }
    });
}

#[test]
fn a_sweep_does_not_depend_on_the_number_of_jobs() {
    let case = shipped("article");
    let with = |jobs| {
        let mut digests = Vec::new();
        let result = run::check(&case, 30..38, jobs, |run, _| digests.push(run.digest.clone()));
        (result, digests)
    };
    let one = with(1);
    assert_eq!(one, with(3));
    assert_eq!(one, with(8));
}

fn steps<M: Machine>(world: &mut World<M>, count: u64) {
    for _ in 0..count {
        if !world.step() {
            return;
        }
        world.forget_history();
    }
}

/// A machine, a queue or a stream that kept anything outside of the world would part the two.
#[test]
fn a_world_that_is_cloned_in_the_middle_goes_on_as_the_original() {
    for (name, seed) in [("article-guarded", 5), ("naive", 6), ("dual-write-client", 7)] {
        let mut world = built(&shipped(name), seed).world;
        for stretch in 0..8 {
            let mut cloned = world.clone();
            assert!(cloned == world, "{name}, stretch {stretch}: the clone is the same");
            steps(&mut world, 12_000);
            // The original has gone on meanwhile, and that must not be felt.
            assert!(cloned != world, "{name}, stretch {stretch}: time has passed");
            steps(&mut cloned, 12_000);
            assert!(cloned == world, "{name}, stretch {stretch}, at {}", world.now());
        }
        assert!(world.events() > 80_000, "{name}: {} events", world.events());
    }
}

#[test]
fn two_worlds_of_one_seed_are_equal_before_they_start_and_those_of_two_seeds_are_not() {
    let case = shipped("article-guarded");
    assert!(built(&case, 3) == built(&case, 3));
    assert!(built(&case, 3).world != built(&case, 4).world);
}
