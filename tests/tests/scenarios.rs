//! The shipped cases do what they are shipped for: those that hold hold, and those that are there to fail fail in the
//! way that they expect, with a story that names a record and a phase. A few seeds each; a sweep takes more.

mod common;

use common::{findings, shipped, violated};
use cutover_model::check::{Guarantee, Verdict};
use cutover_model::corgi::settings::{Promote, Replication};
use cutover_model::units::Span;
use cutover_sim::case::Case;
use cutover_sim::faults::settings::Kind;
use cutover_sim::results::{RunResult, SweepResult};
use cutover_sim::run::{self, Keep};
use std::collections::BTreeSet;
use std::ops::Range;

/// A story longer than this is no story.
const STORY_LINES: usize = 24;

/// Sweep a case, and show what each run found to `look`.
fn swept(case: &Case, seeds: Range<u64>, look: impl FnMut(&RunResult)) -> SweepResult {
    let mut look = look;
    run::check(case, seeds, 2, |result, _| look(result))
}

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

/// The seeds find each of these guarantees violated; and what each run finds has a story.
fn fails(name: &str, seeds: Range<u64>, guarantees: &[Guarantee]) {
    let case = shipped(name);
    assert_eq!(case.expect.verdict, Verdict::Violated, "{name} is shipped to fail");
    let mut told = BTreeSet::new();
    let result = swept(&case, seeds, |run| {
        assert_eq!(run.failure, None, "{name}, seed {}", run.seed);
        if violated(run).iter().any(|guarantee| told.insert(*guarantee)) {
            every_story_is_told(&case, run.seed);
        }
    });
    let found: Vec<Guarantee> = result
        .guarantees
        .iter()
        .filter(|line| line.verdict == Verdict::Violated)
        .map(|line| line.name)
        .collect();
    assert!(case.expect.is_met_by(&result), "{name} expects {}: {found:?}", case.expect);
    for guarantee in guarantees {
        assert!(found.contains(guarantee), "{name}: {guarantee} is not among {found:?}");
        assert!(case.expect.guarantees.contains(guarantee), "{name} does not expect {guarantee}");
    }
}

/// Of every finding of a run: the summary names record and phase as the story does, and the story reaches the phase in
/// which it happened.
fn every_story_is_told(case: &Case, seed: u64) {
    let result = run::alone(case, seed, Keep { history: true, messages: false });
    let subject = case.subject();
    // The worst of each guarantee: that is what people are told.
    for judgement in &result.judgements {
        let Some(finding) = judgement.findings.first() else { continue };
        let story = run::story_in(&result.history, case, finding, STORY_LINES);
        let text: String = story.iter().map(|line| format!("{}  {}\n", line.phase, line.text)).collect();
        let whole = format!("{}, seed {seed}: {}\n{text}", case.name, finding.summary);
        assert!(story.len() >= 3 && story.len() <= STORY_LINES, "{whole}");
        assert!(story.is_sorted_by_key(|line| line.at), "{whole}");
        if finding.guarantee == Guarantee::Progress {
            continue;
        }
        let phase = subject.phase_name(finding.phase);
        let record = finding.records.first().expect("a finding names the wronged record").to_string();
        assert!(finding.summary.contains(&record), "{record}: {whole}");
        assert!(finding.summary.contains(&phase), "{phase}: {whole}");
        assert!(text.contains(&record), "{record}: {whole}");
        assert!(story.iter().any(|line| line.phase == phase), "{phase}: {whole}");
    }
}

#[test]
fn a_guarded_rewind_holds_under_rebalances_stale_registrations_and_restarts_of_redis() {
    let result = holds("rewind", 0..10);
    let rewind = result.guarantees.iter().find(|line| line.name == Guarantee::Rewind);
    assert_eq!(rewind.expect("rewinds are judged").exercised, result.seeds);
    for condition in [
        "group-rebalanced-during-a-rewind",
        "instance-crashed-during-a-rewind",
        "redis-crashed-during-a-rewind",
        "partition-moved-during-its-replay",
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
fn a_case_without_a_rewind_has_no_redis_and_no_line_for_it() {
    let case = shipped("article-guarded");
    assert!(!case.subject().rewinds && case.subject().nodes.iter().all(|name| name != "redis"));
    let result = swept(&case, 0..1, |_| {});
    assert!(result.guarantees.iter().all(|line| line.name != Guarantee::Rewind));
}

#[test]
fn the_published_plan_reorders() {
    fails("article", 0..5, &[Guarantee::Order]);
}

#[test]
fn producers_that_write_to_both_queues_reorder() {
    fails("dual-write-client", 0..15, &[Guarantee::Order]);
}

#[test]
fn the_naive_switch_loses_and_reorders() {
    fails("naive", 0..20, &[Guarantee::AtLeastOnce, Guarantee::Order]);
}

/// A hazard's case breaks the guarantee, in each of these seeds' worst story these words are said, and what one setting alone did
/// the same case without it does not do: under the same seeds, faults and plan everything holds.
fn fails_by_one_setting(
    name: &str,
    seeds: Range<u64>,
    guarantee: Guarantee,
    words: &[&str],
    mend: impl Fn(&mut Case),
) {
    fails(name, seeds.clone(), &[guarantee]);
    let case = shipped(name);
    let mut told = 0;
    swept(&case, seeds.clone(), |run| {
        if !violated(run).contains(&guarantee) || told == 3 {
            return;
        }
        told += 1;
        let result = run::alone(&case, run.seed, Keep { history: true, messages: false });
        let judgement = result.judgements.iter().find(|judgement| judgement.guarantee == guarantee);
        let finding = judgement.and_then(|judgement| judgement.findings.first()).expect("it is violated");
        let story = run::story_in(&result.history, &case, finding, STORY_LINES);
        let text: String = story.iter().map(|line| format!("{}\n", line.text)).collect();
        for word in words {
            assert!(text.contains(word), "{name}, seed {}: {word}\n{}\n{text}", run.seed, finding.summary);
        }
    });
    assert!(told > 0, "{name}: no story");
    let mut mended = case;
    mend(&mut mended);
    let mut wrong = String::new();
    swept(&mended, seeds, |run| {
        if !violated(run).is_empty() || run.failure.is_some() {
            wrong += &format!("{name} mended, seed {}: {:?}\n{}", run.seed, run.failure, findings(run));
        }
    });
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn one_brokers_word_loses_what_a_frozen_leader_acknowledges() {
    let words = ["stands still", "one broker's word alone", "begins to lead", ", which stood at offset"];
    fails_by_one_setting("acks-one", 0..12, Guarantee::AtLeastOnce, &words, |case| {
        case.producers.kafka.acks = cutover_model::kafka::protocol::Acks::All;
    });
}

#[test]
fn an_unclean_election_loses_what_the_others_acknowledged() {
    let words = ["crashes", "in sync for", "an unclean election makes kafka-", ": without p"];
    fails_by_one_setting("unclean-election", 0..12, Guarantee::AtLeastOnce, &words, |case| {
        case.kafka.unclean_leader_election = false;
    });
}

#[test]
fn a_mirror_that_numbers_nothing_puts_batches_back_behind_later_ones() {
    let words = ["again: ", "not idempotent", "has copied"];
    fails_by_one_setting("mirror-not-idempotent", 0..30, Guarantee::Order, &words, |case| {
        case.mirror.kafka.idempotence = Some(true);
    });
}

#[test]
fn a_corgi_that_answers_before_a_slave_has_the_record_loses_it_with_the_master() {
    let words =
        ["nothing passes between the master of", "crashes", "Corgi acknowledges", "is led by corgi-0-1"];
    fails_by_one_setting("corgi-asynchronous", 40..52, Guarantee::AtLeastOnce, &words, |case| {
        case.corgi.replication = Replication::One;
    });
}

#[test]
fn the_wrong_slave_lacks_what_the_other_acknowledged() {
    let words =
        ["nothing passes between a slave of", "Corgi acknowledges", "is led by corgi-0-1", "loses offset"];
    fails_by_one_setting("corgi-wrong-slave", 30..42, Guarantee::AtLeastOnce, &words, |case| {
        case.corgi.on_call.promote = Promote::Freshest;
    });
}

#[test]
fn a_returning_master_that_keeps_its_tail_acknowledges_what_it_lacks() {
    let words =
        ["corgi-0-0 crashes", "Corgi acknowledges", "is led by corgi-0-0 (epoch 3)", "for the mirror"];
    fails_by_one_setting("corgi-no-truncation", 0..12, Guarantee::AtLeastOnce, &words, |case| {
        case.corgi.truncate_on_return = true;
    });
}

/// Epochs alone, or a fence alone, would do.
#[test]
fn two_masters_cut_what_the_other_took() {
    fails_by_one_setting("corgi-two-masters", 2..14, Guarantee::AtLeastOnce, &["loses offset"], |case| {
        case.corgi.epochs = true;
    });
    fails_by_one_setting("corgi-two-masters", 2..14, Guarantee::Order, &["loses offset"], |case| {
        case.corgi.on_call.fence = true;
    });
}

#[test]
fn a_master_that_forgot_its_leases_grants_what_is_held() {
    let words = ["nothing passes between fulfilment-old-0", "the master of corgi-0 crashes"];
    fails_by_one_setting("corgi-no-lease-grace", 60..72, Guarantee::Exclusive, &words, |case| {
        case.corgi.lease_grace = Span::secs(60);
    });
}

#[test]
fn a_promoted_slave_without_the_offsets_has_the_mirror_begin_again() {
    fails_by_one_setting("corgi-offsets-back", 58..70, Guarantee::BoundedReplay, &["is led by"], |case| {
        case.corgi.offset_copy_interval = Span::secs(10);
    });
}

/// A sweep that never struck in a phase, or never with a kind, says nothing of them.
#[test]
fn a_sweep_of_the_guarded_plan_strikes_in_every_phase_and_with_every_kind() {
    let case = shipped("article-guarded");
    let result = swept(&case, 100..130, |_| {});
    for phase in &case.plan.phases {
        let struck = result.coverage.cells().any(|cell| cell.phase == phase.name && cell.times > 0);
        assert!(struck, "no fault in {}", phase.name);
    }
    let struck: BTreeSet<&str> =
        result.coverage.cells().filter(|cell| cell.times > 0).map(|cell| cell.fault).collect();
    let drawn: BTreeSet<Kind> =
        case.faults.draw.iter().flat_map(|draw| &draw.kinds).map(|drawn| drawn.kind).collect();
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
