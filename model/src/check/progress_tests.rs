use super::Progress;
use crate::check::scene::{A, BILLING, OPERATOR, Scene, subject, value};
use crate::check::{Checker, Ground, Judgement, Verdict};
use crate::history::{EndReason, Event};
use crate::record::TopicPartition;
use crate::units::Span;

fn judged(scene: &Scene) -> Judgement {
    scene.judged(Progress::new)
}

fn waiting() -> Event {
    Event::GateWaiting {
        phase: 2,
        step: 3,
        gate: "the mirror is drained".to_owned(),
        because: "orders/1 is 7 records behind".to_owned(),
    }
}

#[test]
fn a_run_that_drains_with_its_plan_complete_is_held() {
    let mut scene = Scene::new();
    scene.sends(2).reads(A, &[0, 1]).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
}

#[test]
fn a_plan_that_waits_for_ever_is_stuck_at_its_gate() {
    let mut scene = Scene::new();
    scene.sends(1).reads(A, &[0]).phase(2).event(OPERATOR, waiting()).quiet();
    scene.wait(Span::secs(100)).event(OPERATOR, waiting()).wait(Span::secs(201)).end(EndReason::TimeBudget);
    let judgement = judged(&scene);
    assert_eq!(judgement.verdict, Verdict::Violated);
    let finding = &judgement.findings[0];
    assert_eq!((finding.ground, finding.phase), (Ground::Stuck, 2));
    assert!(finding.summary.contains("line 3 of cut-read"), "{}", finding.summary);
    assert!(finding.summary.contains("because orders/1 is 7 records behind"), "{}", finding.summary);
    assert_eq!(finding.weight / 1_000, 301);
}

#[test]
fn a_plan_that_waits_for_nothing_but_time_is_not_stuck_and_not_over() {
    let mut scene = Scene::new();
    scene.sends(1).reads(A, &[0]).phase(2).event(OPERATOR, waiting()).quiet();
    scene.wait(Span::secs(301)).end(EndReason::TimeBudget);
    let subject = crate::check::Subject { waits_for_time: vec![(2, 3)], ..subject() };
    let judgement = scene.judged_of(Progress::new, subject);
    assert_eq!((judgement.verdict, judgement.findings.len()), (Verdict::Unknown, 0));
    assert!(value(&judgement, "longest_gate_wait_ms") >= 301_000, "a gate that is still shut counts");
}

#[test]
fn a_gate_that_opened_is_not_blamed() {
    let mut scene = Scene::new();
    scene.sends(1).reads(A, &[0]).phase(2).event(OPERATOR, waiting());
    scene.event(OPERATOR, Event::GateOpened { phase: 2, step: 3, waited: Span::secs(9) });
    scene.quiet().wait(Span::secs(301)).end(EndReason::TimeBudget);
    let judgement = judged(&scene);
    assert!(judgement.findings[0].summary.contains("had reached line 3 of cut-read"));
    assert_eq!(value(&judgement, "longest_gate_wait_ms"), 9_000);
}

#[test]
fn a_lag_that_does_not_drain_is_named() {
    let mut scene = Scene::new();
    scene.sends(1).reads(A, &[0]).with(BILLING, TopicPartition::new(0, 3));
    for sequence in 1..4 {
        scene.send((0, sequence), 0);
    }
    scene.event(OPERATOR, Event::PlanCompleted).quiet().wait(Span::secs(301)).end(EndReason::TimeBudget);
    let judgement = judged(&scene);
    assert_eq!(judgement.findings.len(), 1);
    let finding = &judgement.findings[0];
    assert_eq!((finding.partition, finding.weight), (Some(TopicPartition::new(0, 3)), 3));
    assert!(finding.summary.contains("billing has 3 acknowledged records of orders/3"));
}

#[test]
fn a_record_processed_before_its_acknowledgement_is_no_lag() {
    let mut scene = Scene::new();
    scene.invoke((0, 0)).reads(A, &[0]).acknowledge((0, 0), crate::record::Queue::Corgi, 0).drained();
    assert_eq!(value(&judged(&scene), "undrained_records"), 0);
}

#[test]
fn a_run_that_was_not_given_its_time_to_drain_is_unknown() {
    let mut scene = Scene::new();
    scene.sends(1).quiet().wait(Span::secs(299)).end(EndReason::TimeBudget);
    assert_eq!(judged(&scene).verdict, Verdict::Unknown);
}

/// A run whose workload ended with the faults, and whose time was up before it was whole. The group read the first of two
/// records, and the second is lost to it, or is not.
fn cut_short(is_lost: bool, ends: impl Fn(&mut Scene)) -> Verdict {
    let mut scene = Scene::new();
    scene.sends(2).reads(A, &[0]);
    ends(&mut scene);
    scene.wait(Span::secs(100)).end(EndReason::TimeBudget);
    let mut progress = Progress::new(std::sync::Arc::new(subject()));
    scene.entries.iter().for_each(|entry| progress.observe(entry));
    if is_lost {
        progress.give_up(BILLING, crate::check::scene::id((0, 1)));
    }
    progress.judge().verdict
}

#[test]
fn a_run_in_which_nothing_is_left_but_what_is_lost_is_held_before_its_time_is_up() {
    let whole = |scene: &mut Scene| {
        scene.quiet().event(OPERATOR, Event::PlanCompleted);
    };
    let open = |scene: &mut Scene| {
        scene.quiet();
    };
    assert_eq!(cut_short(true, whole), Verdict::Held);
    assert_eq!(cut_short(false, whole), Verdict::Unknown, "it may be on its way");
    assert_eq!(cut_short(true, open), Verdict::Unknown, "the plan is open");
    let sends = |scene: &mut Scene| {
        scene.event(OPERATOR, Event::Healed).event(OPERATOR, Event::PlanCompleted);
    };
    assert_eq!(cut_short(true, sends), Verdict::Unknown, "producers still have records to send");
}

#[test]
fn a_plan_is_said_to_wait_since_its_line_was_reached_and_not_since_the_first_word_of_it() {
    // He rests for five seconds, and says after a minute why he waits; or he is refused something, and says so at once.
    for (seconds, since_its_phase) in [(65, 5), (2, 0)] {
        let mut scene = Scene::new();
        scene.sends(1).reads(A, &[0]).phase(2);
        let begun = scene.now;
        scene
            .wait(Span::secs(seconds))
            .event(OPERATOR, waiting())
            .wait(Span::secs(60))
            .event(OPERATOR, waiting());
        scene.quiet().wait(Span::secs(301)).end(EndReason::TimeBudget);
        let judgement = judged(&scene);
        assert_eq!(judgement.findings[0].at.since(begun).as_millis() / 1_000, since_its_phase);
        let waited = seconds - since_its_phase + 361;
        assert_eq!(value(&judgement, "longest_gate_wait_ms") / 1_000, waited);
    }
}

#[test]
fn a_run_that_never_healed_or_broke_off_is_unknown() {
    let mut scene = Scene::new();
    scene.sends(1).wait(Span::secs(999)).end(EndReason::TimeBudget);
    assert_eq!(judged(&scene).verdict, Verdict::Unknown);
    let mut scene = Scene::new();
    scene.sends(1).quiet().wait(Span::secs(999)).end(EndReason::StepBudget);
    assert_eq!(judged(&scene).verdict, Verdict::Unknown);
    let mut scene = Scene::new();
    scene.sends(1).quiet().wait(Span::secs(999));
    assert_eq!(judged(&scene).verdict, Verdict::Unknown);
}

#[test]
fn a_drained_run_whose_plan_is_not_complete_is_stuck() {
    let mut scene = Scene::new();
    scene.sends(1).reads(A, &[0]).quiet().end(EndReason::Drained);
    assert_eq!(judged(&scene).verdict, Verdict::Violated);
    let mut without = subject();
    without.phases.clear();
    assert_eq!(scene.judged_of(Progress::new, without).verdict, Verdict::Held);
}
