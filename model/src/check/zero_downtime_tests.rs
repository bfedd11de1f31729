use super::{ZeroDowntime, compare};
use crate::check::scene::{A, B, BILLING, Scene, grounds, id, subject, value};
use crate::check::{Ground, Judgement, Objectives, Verdict};
use crate::history::Event;
use crate::plan::Act;
use crate::record::{Queue, TopicPartition};
use crate::units::Span;

fn judged(scene: &Scene) -> Judgement {
    scene.judged(ZeroDowntime::new)
}

/// A send that takes that long.
fn slow(seconds: u64) -> Scene {
    let mut scene = Scene::new();
    scene.send((0, 0), 0).reads(A, &[0]).phase(3).invoke((0, 1)).wait(Span::secs(seconds));
    scene.acknowledge((0, 1), Queue::Corgi, 1).reads(A, &[1]).drained();
    scene
}

fn pause(scene: &mut Scene, seconds: u64) {
    let group = "billing".to_owned();
    scene.act(Act::Pause { group: group.clone() }).wait(Span::secs(seconds)).act(Act::Resume { group });
}

#[test]
fn quick_answers_are_held() {
    let judgement = judged(&slow(1));
    assert_eq!(judgement.verdict, Verdict::Held);
    assert_eq!(value(&judgement, "longest_write_gap_ms"), 1_001);
    assert_eq!(value(&judgement, "cut-write/longest_write_gap_ms"), 1_001);
    assert_eq!(value(&judgement, "before-the-plan/longest_write_gap_ms"), 1);
}

#[test]
fn a_long_wait_for_an_acknowledgement_is_found() {
    let judgement = judged(&slow(121));
    assert_eq!(grounds(&judgement), [(Ground::WriteUnavailable, id((0, 1)))]);
    assert_eq!((judgement.findings[0].phase, judgement.findings[0].weight), (3, 121_001));
}

#[test]
fn acknowledgements_of_others_end_the_stretch() {
    let mut scene = Scene::new();
    scene.invoke((0, 0));
    for sequence in 0..5 {
        scene.wait(Span::secs(60)).send((1, sequence), i64::from(sequence));
    }
    scene.acknowledge((0, 0), Queue::Corgi, 9).drained();
    let judgement = judged(&scene);
    assert!(judgement.findings.iter().all(|finding| finding.ground != Ground::WriteUnavailable));
    assert_eq!(value(&judgement, "longest_write_gap_ms"), 60_002);
}

#[test]
fn refusals_are_no_acknowledgements() {
    let mut scene = Scene::new();
    scene.invoke((0, 0));
    for sequence in 1..5 {
        let refused = id((0, sequence - 1));
        scene.invoke((0, sequence)).wait(Span::secs(60)).event(B, Event::Refused { record: refused });
    }
    scene.drained();
    assert_eq!(grounds(&judged(&scene)), [(Ground::WriteUnavailable, id((0, 0)))]);
}

#[test]
fn idle_time_is_no_gap() {
    let mut scene = Scene::new();
    scene.send((0, 0), 0).wait(Span::secs(600)).send((0, 1), 1).reads(A, &[0, 1]);
    assert_eq!(value(&judged(&scene), "longest_write_gap_ms"), 1);
}

#[test]
fn what_is_outstanding_at_the_end_counts() {
    let mut scene = Scene::new();
    scene.send((0, 0), 0).reads(A, &[0]).invoke((0, 1)).wait(Span::secs(200)).drained();
    assert_eq!(grounds(&judged(&scene)), [(Ground::WriteUnavailable, id((0, 1)))]);
}

#[test]
fn a_record_that_waits_too_long_for_its_processing_is_found() {
    let mut scene = Scene::new();
    scene.sends(2).reads(A, &[0]).wait(Span::secs(181)).reads(A, &[1]).drained();
    let judgement = judged(&scene);
    assert_eq!(grounds(&judgement), [(Ground::ReadUnavailable, id((0, 1)))]);
    assert_eq!(judgement.findings[0].group, Some(BILLING));
}

#[test]
fn an_unprocessed_record_ages_to_the_end() {
    let mut scene = Scene::new();
    scene.sends(2).reads(A, &[0]).wait(Span::secs(181)).drained();
    assert_eq!(grounds(&judged(&scene)), [(Ground::ReadUnavailable, id((0, 1)))]);
}

#[test]
fn only_the_first_processing_counts() {
    let mut scene = Scene::new();
    scene.sends(1).reads(A, &[0]).wait(Span::secs(500)).reads(A, &[0]).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
}

#[test]
fn the_planned_pause_is_taken_off_but_no_more_than_allowed() {
    let mut scene = Scene::new();
    scene.sends(1).wait(Span::secs(100));
    pause(&mut scene, 100);
    scene.wait(Span::secs(60)).reads(A, &[0]).drained();
    let judgement = judged(&scene);
    assert_eq!(
        (judgement.verdict, value(&judgement, "greatest_record_age_ms") / 1_000),
        (Verdict::Held, 160)
    );
    let mut scene = Scene::new();
    scene.sends(1);
    pause(&mut scene, 301);
    scene.reads(A, &[0]).drained();
    let judgement = judged(&scene);
    assert_eq!(
        (judgement.verdict, value(&judgement, "greatest_record_age_ms") / 1_000),
        (Verdict::Violated, 181)
    );
}

#[test]
fn another_groups_pause_is_not_taken_off() {
    let mut scene = Scene::new();
    scene
        .sends(1)
        .act(Act::Pause { group: "search".to_owned() })
        .wait(Span::secs(181))
        .reads(A, &[0])
        .drained();
    assert_eq!(judged(&scene).verdict, Verdict::Violated);
}

#[test]
fn nothing_processed_is_not_exercised() {
    let mut scene = Scene::new();
    scene.sends(1).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Unknown);
}

#[test]
fn the_plans_own_share_is_the_difference() {
    let objectives = Objectives::default();
    let held = compare(&judged(&slow(70)), &judged(&slow(20)), &objectives);
    assert_eq!((held.verdict, value(&held, "plan_added_write_gap_ms")), (Verdict::Held, 50_000));
    let over = compare(&judged(&slow(90)), &judged(&slow(20)), &objectives);
    assert_eq!((over.verdict, over.findings[0].ground), (Verdict::Violated, Ground::PlanAdded));
    assert_eq!(over.findings[0].weight, 70_000);
    let better = compare(&judged(&slow(20)), &judged(&slow(90)), &objectives);
    assert_eq!((better.verdict, value(&better, "plan_added_write_gap_ms")), (Verdict::Held, 0));
}

/// A record that a group has only after that time.
fn late(seconds: u64) -> Scene {
    let mut scene = Scene::new();
    scene.send((0, 0), 0).reads(A, &[0]).phase(2).send((0, 1), 1).wait(Span::secs(seconds));
    scene.phase(3).reads(A, &[1]).drained();
    scene
}

#[test]
fn what_the_plan_added_is_found_where_and_when_it_was() {
    let objectives = Objectives::default();
    let gap = compare(&judged(&slow(90)), &judged(&slow(20)), &objectives).findings.remove(0);
    assert_eq!((gap.phase, gap.at.as_millis(), gap.group), (3, 6, None));
    assert_eq!((gap.partition, &gap.records[..]), (Some(TopicPartition::new(0, 0)), &[id((0, 1))][..]));
    let age = compare(&judged(&late(150)), &judged(&late(1)), &objectives).findings.remove(0);
    assert_eq!((age.phase, age.at.as_millis(), age.group), (2, 7, Some(BILLING)));
    assert_eq!((age.partition, &age.records[..]), (Some(TopicPartition::new(0, 0)), &[id((0, 1))][..]));
    assert!(age.summary.contains("billing, p0#1 acknowledged at"), "{}", age.summary);
    assert!(compare(&judged(&late(20)), &judged(&late(1)), &objectives).findings.is_empty());
}

#[test]
fn a_stretch_that_begins_with_anothers_acknowledgement_is_of_the_record_that_waits() {
    let mut scene = Scene::new();
    scene.invoke((0, 0)).wait(Span::secs(1)).send((1, 0), 0).wait(Span::secs(121));
    scene.acknowledge((0, 0), Queue::Corgi, 1).drained();
    assert_eq!(grounds(&judged(&scene)), [(Ground::WriteUnavailable, id((0, 0)))]);
}

#[test]
fn a_stricter_objective_finds_more() {
    let mut subject = subject();
    subject.objectives.write_gap = Span::millis(500);
    assert_eq!(slow(1).judged_of(ZeroDowntime::new, subject).verdict, Verdict::Violated);
}
