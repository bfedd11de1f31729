use super::{StoryLine, story};
use crate::check::scene::{A, BILLING, MIRROR, OPERATOR, Scene, subject};
use crate::check::{AtLeastOnce, Ground, Judgement, Order, Progress, describe, samples};
use crate::history::{EndReason, Entry, Event};
use crate::plan::Act;
use crate::record::{NodeId, Queue};
use crate::units::{Span, Time};

fn told(scene: &Scene, judgement: &Judgement, at_most: usize) -> Vec<StoryLine> {
    story(&scene.entries, &subject(), &judgement.findings[0], at_most)
}

fn texts(lines: &[StoryLine]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

#[test]
fn an_overtaking_is_told_by_the_two_records_and_the_switch_between_them() {
    let mut scene = Scene::new();
    scene.sends(1).reads(A, &[0]).wait(Span::secs(60)).phase(3).send((0, 1), 1);
    scene.act(Act::SwitchWrite { to: crate::switch::WriteTo::Kafka });
    scene.invoke((0, 2)).acknowledge((0, 2), Queue::Kafka, 0).copy((0, 1), 1, 1);
    scene.deliver(A, (0, 2), Queue::Kafka, 0).process(A, (0, 2));
    scene.deliver_copy(A, (0, 1), Queue::Kafka, 1, 1).process(A, (0, 1)).drained();
    let lines = told(&scene, &scene.judged(Order::new), 20);
    let texts = texts(&lines);
    for expected in [
        "the operator begins cut-write",
        "producer-0 sends p0#1 (key 0) to orders/0",
        "Corgi acknowledges p0#1 to producer-0: orders/0 offset 1",
        "the operator switches the producers to write to Kafka",
        "producer-0 sends p0#2 (key 0) to orders/0",
        "mirror-1 has copied p0#1 from Corgi orders/0 offset 1 to Kafka orders/0 offset 1",
        "billing-1 (billing) is delivered p0#2 of orders/0 from Kafka orders/0 offset 0",
        "billing-1 (billing) is delivered p0#1 of orders/0 from Kafka orders/0 offset 1, a copy of Corgi offset 1",
    ] {
        assert!(texts.contains(&expected), "{expected}\n{texts:#?}");
    }
    assert!(!texts.iter().any(|text| text.contains("p0#0")));
    assert!(lines.is_sorted_by_key(|line| line.at));
    assert!(lines[1..].iter().all(|line| line.phase == "cut-write"));
}

#[test]
fn a_loss_is_told_with_the_commit_that_passed_it() {
    let mut scene = Scene::new();
    scene.phase(1).sends(3).copy((0, 0), 0, 0).copy((0, 2), 2, 1);
    let source = scene.partition;
    for offset in 1..4 {
        scene.event(MIRROR, Event::MirrorCommitted { source, offset });
    }
    scene.read_copy(A, (0, 0), 0, 0).read_copy(A, (0, 2), 1, 2).drained();
    let lines = told(&scene, &scene.judged(AtLeastOnce::new), 20);
    let commits: Vec<_> = texts(&lines).into_iter().filter(|text| text.contains("commits")).collect();
    assert_eq!(commits, ["mirror-1 commits Corgi orders/0 offset 2 for the mirror"]);
    assert!(texts(&lines).contains(&"the run ends: drained"));
}

#[test]
fn a_stuck_plan_is_told_by_its_last_wait() {
    let mut scene = Scene::new();
    scene.sends(1).reads(A, &[0]).phase(2).act(Act::StartMirror);
    for because in ["no report yet", "the report is too old"] {
        let (gate, because) = ("mirror-drained".to_owned(), because.to_owned());
        scene.event(OPERATOR, Event::GateWaiting { phase: 2, step: 1, gate, because }).wait(Span::secs(60));
    }
    scene.quiet().wait(Span::secs(400)).end(EndReason::TimeBudget);
    let lines = told(&scene, &scene.judged(Progress::new), 1);
    assert_eq!(
        texts(&lines),
        ["the operator waits at line 1 of cut-read for mirror-drained: the report is too old"]
    );
}

#[test]
fn a_story_is_cut_to_the_most_telling_lines() {
    let mut scene = Scene::new();
    scene.sends(3).reads(A, &[0, 2]);
    for fault in 0..30 {
        scene.event(
            A,
            Event::FaultBegun {
                fault,
                kind: "delay".to_owned(),
                target: "billing-1".to_owned(),
                struck: vec![A],
            },
        );
    }
    scene.reads(A, &[1]).drained();
    let judgement = scene.judged(Order::new);
    assert_eq!((judgement.findings[0].ground, judgement.findings[0].group), (Ground::Session, Some(BILLING)));
    let lines = told(&scene, &judgement, 12);
    assert_eq!(lines.len(), 12);
    let own = texts(&lines).iter().filter(|text| text.contains("p0#")).count();
    assert_eq!(own, 8);
}

#[test]
fn every_event_has_a_line_of_its_own() {
    for event in samples::events() {
        samples::known(&event);
        let entry = Entry { at: Time::ZERO, node: NodeId(1), event };
        let line = describe(&entry, &subject());
        assert!(!line.contains("did something") && !line.contains('{') && !line.contains('\n'), "{line}");
    }
}
