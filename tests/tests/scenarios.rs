//! The shipped cases do what they are shipped for: those that hold hold, and those that are there to fail fail in the
//! way that they expect, with a story that names a record and a phase. A few seeds each; a sweep takes more.

mod common;

use common::sweeps::{fails, swept};
use common::{findings, shipped, violated};
use cutover_model::check::{Guarantee, Verdict};
use cutover_sim::faults::settings::Kind;
use cutover_sim::results::SweepResult;
use std::collections::BTreeSet;
use std::ops::Range;

/// Nothing is violated and nothing breaks off; and the runs were hard enough for that to mean something.
fn holds(name: &str, seeds: Range<u64>) -> SweepResult {
    let case = shipped(name);
    assert_eq!(case.expect.verdict, Verdict::Held, "{name} is shipped to hold");
    let mut wrong = String::new();
    let count = seeds.end - seeds.start;
    let result = swept(&case, seeds, |run| {
        if !violated(run).is_empty() || run.failure.is_some() {
            wrong += &format!("{name}, seed {}: {:?}\n{}", run.seed, run.failure, findings(run));
        }
        assert!(run.records >= 2_000, "{name}, seed {}: {} records", run.seed, run.records);
        assert!(run.faults > 0, "{name}, seed {}: no fault struck", run.seed);
    });
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!((result.seeds, result.failures.len()), (count, 0));
    assert!(case.expect.is_met_by(&result), "{name} is {}", result.verdict);
    result
}

#[test]
fn the_baseline_holds() {
    holds("baseline", 0..20);
}

#[test]
fn the_guarded_plan_holds_and_each_run_exercises_every_guarantee() {
    let result = holds("article-guarded", 0..10);
    for line in &result.guarantees {
        assert_eq!(line.exercised, result.seeds, "{}", line.name);
    }
}

#[test]
fn the_guarded_plan_holds_under_the_order_log() {
    let result = holds("orders", 0..10);
    for line in &result.guarantees {
        assert_eq!(line.exercised, result.seeds, "{}", line.name);
    }
}

/// The new partitions are used and copied, and each source partition keeps its order.
#[test]
fn the_guarded_plan_holds_on_a_topic_that_was_widened_before_the_mirror_starts() {
    let result = holds("corgi-widened", 0..10);
    for line in &result.guarantees {
        assert_eq!(line.exercised, result.seeds, "{}", line.name);
    }
}

/// The new set's brokers fail and are failed over as the others are.
#[test]
fn the_guarded_plan_holds_on_a_broker_set_that_was_added() {
    let result = holds("corgi-added-set", 0..10);
    for line in &result.guarantees {
        assert_eq!(line.exercised, result.seeds, "{}", line.name);
    }
}

#[test]
fn a_topic_that_every_broker_was_told_of_outlives_a_failover() {
    holds("corgi-widened-failover", 0..10);
}

#[test]
fn a_topic_that_the_masters_alone_were_told_of_is_hidden_by_a_failover() {
    fails("corgi-widened-lost", 0..20, &[Guarantee::AtLeastOnce]);
}

#[test]
fn a_topic_that_is_written_drained_and_then_read_narrower_loses_nothing() {
    holds("corgi-narrowed", 0..10);
}

#[test]
fn a_topic_that_is_read_narrower_before_it_is_drained_hides_what_is_left() {
    fails("corgi-narrowed-unread", 0..20, &[Guarantee::AtLeastOnce]);
}

/// Whoever writes to Kafka learns twelve partitions from the first.
#[test]
fn the_guarded_plan_holds_on_a_topic_that_was_widened_in_both_queues() {
    holds("expanded", 0..10);
}

#[test]
fn kafka_widened_behind_the_mirrors_start_reorders() {
    fails("expanded-late", 0..10, &[Guarantee::Order]);
}

#[test]
fn a_group_reads_partitions_that_it_discovers_from_their_beginning() {
    holds("expanded-reading", 0..10);
}

#[test]
fn a_group_that_begins_at_the_end_skips_what_came_before_it_discovered_a_partition() {
    fails("expanded-unread", 0..10, &[Guarantee::AtLeastOnce]);
}

/// What is sent to a key's new partition overtakes what lies in its old one: told, and not judged.
#[test]
fn keys_that_move_while_a_group_has_a_backlog_overtake_without_a_finding() {
    let overtaken = |name: &str| {
        let result = holds(name, 0..4);
        let order = result.guarantees.iter().find(|line| line.name == Guarantee::Order);
        let mut figures = order.expect("order is judged").worst.iter();
        let figure = figures.find(|(figure, _)| figure.name == "overtaken_by_a_moved_key_records");
        figure.expect("a plan that widens has the figure").0.value
    };
    assert!(overtaken("corgi-widened-backlog") > 0);
    assert!(overtaken("corgi-added-set-backlog") > 0);
}

/// Nothing fences it, and nothing but duplicates comes of it.
#[test]
fn a_worker_that_thaws_when_another_has_its_partitions_copies_twice_and_does_no_other_harm() {
    let result = holds("mirror-zombie", 0..10);
    let reached = result.conditions["mirror-wrote-after-another-was-granted"];
    assert_eq!(reached, result.seeds, "a worker wrote in so many runs when another had its partitions");
}

#[test]
fn a_worker_that_copies_exactly_once_is_fenced_where_its_id_is_the_partitions_and_not_where_it_is_its_own() {
    let fenced = holds("mirror-zombie-atomic", 0..10);
    assert_eq!(fenced.conditions["mirror-wrote-after-another-was-granted"], 0);
    assert!(fenced.conditions["mirror-worker-was-fenced"] > 0, "nobody was fenced");
    let free = holds("mirror-zombie-own-ids", 0..10);
    assert!(free.conditions["mirror-worker-was-fenced"] < free.seeds, "ids of the workers' own fence nobody");
    assert!(free.conditions["mirror-wrote-after-another-was-granted"] > 0, "nobody committed late");
    assert!(free.conditions["record-copied-twice"] > 0, "no seed saw a copy twice");
}

#[test]
fn a_guarded_rewind_holds_under_rebalances_stale_registrations_and_restarts_of_redis() {
    let result = holds("rewind", 20..35);
    let rewind = result.guarantees.iter().find(|line| line.name == Guarantee::Rewind);
    assert_eq!(rewind.expect("rewinds are judged").exercised, result.seeds);
    for condition in [
        "group-rebalanced-during-a-rewind",
        "instance-crashed-during-a-rewind",
        "redis-crashed-during-a-rewind",
        "partition-moved-during-its-replay",
        "command-came-to-another-instance",
    ] {
        assert!(result.conditions[condition] > 0, "no seed reached {condition}");
    }
}

#[test]
fn a_rewind_by_seek_alone_is_lost() {
    fails("rewind-unguarded", 0..5, &[Guarantee::Rewind]);
}

/// Nobody asks whether a rewind held where none was asked for.
#[test]
fn a_case_without_a_rewind_has_no_line_for_it() {
    let case = shipped("article-guarded");
    assert!(!case.subject().rewinds);
    let result = swept(&case, 0..1, |_| {});
    assert!(result.guarantees.iter().all(|line| line.name != Guarantee::Rewind));
}

#[test]
fn the_published_plan_reorders() {
    fails("article", 8..16, &[Guarantee::Order]);
}

#[test]
fn producers_that_write_to_both_queues_reorder() {
    fails("dual-write-client", 0..15, &[Guarantee::Order]);
}

#[test]
fn the_naive_switch_loses_and_reorders() {
    fails("naive", 0..20, &[Guarantee::AtLeastOnce, Guarantee::Order]);
}

#[test]
fn a_reverse_mirror_brings_back_what_the_producers_wrote_to_kafka_before_they_went_back() {
    holds("rolled-back", 0..10);
}

#[test]
fn writers_and_readers_go_the_whole_way_back_behind_a_drained_reverse_mirror() {
    let result = holds("rolled-back-whole", 0..10);
    for line in &result.guarantees {
        assert_eq!(line.exercised, result.seeds, "{}", line.name);
    }
}

#[test]
fn a_reverse_mirror_that_is_started_late_begins_at_the_beginning_or_loses_what_was_there() {
    holds("rolled-back-started-late", 0..5);
    fails("rolled-back-from-latest", 0..3, &[Guarantee::AtLeastOnce]);
}

#[test]
fn a_rollback_without_a_reverse_mirror_loses_what_kafka_alone_has() {
    fails("rolled-back-one-way", 0..3, &[Guarantee::AtLeastOnce]);
}

/// It has no end: the budget of events cuts it off, and what was not decided by then is unknown.
#[test]
fn two_mirrors_that_know_nothing_of_each_other_copy_round_and_round() {
    let case = shipped("mirrors-loop");
    let result = swept(&case, 0..2, |run| {
        assert!(run.failure.is_some(), "seed {} came to its end", run.seed);
        assert_eq!(violated(run), [Guarantee::BoundedReplay], "seed {}", run.seed);
    });
    assert!(case.expect.is_met_by(&result), "mirrors-loop is {}", result.verdict);
}

/// A sweep that never struck in a phase, or never with a kind, says nothing of them.
#[test]
fn a_sweep_of_the_guarded_plan_strikes_in_every_phase_and_with_every_kind() {
    let case = shipped("article-guarded");
    let result = swept(&case, 100..160, |_| {});
    for phase in &case.plan.phases {
        let struck = result.coverage.cells().any(|cell| cell.phase == phase.name && cell.times > 0);
        assert!(struck, "no fault in {}", phase.name);
    }
    let struck: BTreeSet<&str> =
        result.coverage.cells().filter(|cell| cell.times > 0).map(|cell| cell.fault).collect();
    let drawn = case.faults.draw.iter().flat_map(|draw| draw.drawn(false));
    let drawn: BTreeSet<Kind> = drawn.map(|drawn| drawn.kind).collect();
    for kind in drawn {
        assert!(struck.contains(<&str>::from(kind)), "{kind} never struck");
    }
    for condition in [
        "record-copied-twice",
        "record-read-from-both-queues",
        "redelivery-happened",
        "group-rebalanced-while-paused",
        "instance-took-over-during-cut-read",
        "mirror-lagged-during-cut-read",
        "producer-held-during-cut-write",
    ] {
        assert!(result.conditions[condition] > 0, "no seed reached {condition}");
    }
}
