use crate::check::scene::{A, B, MIRROR, OPERATOR, SEARCH, Scene, id, subject};
use crate::check::{AtLeastOnce, Exclusive, Ground, Judgement, Subject, ZeroDowntime, story};
use crate::history::{EndReason, Event};
use crate::plan::Act;
use crate::record::{NodeId, Queue, TopicPartition};
use crate::switch::WriteTo;
use crate::units::Span;

/// The switch centre of these histories.
const CENTRE: NodeId = NodeId(3);

fn subject_with_centre() -> Subject {
    Subject { switch_centre: Some(CENTRE), ..subject() }
}

fn told(scene: &Scene, judgement: &Judgement) -> Vec<String> {
    let lines = story(&scene.entries, &subject_with_centre(), &judgement.findings[0], 20);
    lines.into_iter().map(|line| line.text).collect()
}

fn pause(group: &str) -> Act {
    Act::Pause { group: group.to_owned() }
}

fn resume(group: &str) -> Act {
    Act::Resume { group: group.to_owned() }
}

fn count(texts: &[String], part: &str) -> usize {
    texts.iter().filter(|text| text.contains(part)).count()
}

#[test]
fn a_record_that_waits_is_told_with_the_pause_in_which_it_did_and_with_no_other() {
    let mut scene = Scene::new();
    scene.phase(1).act(pause("billing")).wait(Span::secs(9)).act(resume("billing")).wait(Span::secs(60));
    scene.act(pause("billing")).act(pause("search")).wait(Span::secs(90));
    scene.send((0, 0), 0).wait(Span::secs(400)).act(resume("billing")).reads(A, &[0]);
    scene.wait(Span::secs(60)).act(pause("billing")).drained();
    let judgement = scene.judged(ZeroDowntime::new);
    assert_eq!(judgement.findings[0].ground, Ground::ReadUnavailable);
    let texts = told(&scene, &judgement);
    assert_eq!(count(&texts, "pauses billing"), 1, "{texts:#?}");
    assert_eq!(count(&texts, "lets billing go on"), 1, "{texts:#?}");
    assert_eq!(count(&texts, "pauses search"), 0, "{texts:#?}");
}

/// Two instances at work, the second on a record from that queue, while the switch centre was down just before.
fn overlapped(queue: Queue) -> Vec<String> {
    let mut scene = Scene::new();
    let kind = || ("crash".to_owned(), "switch-centre".to_owned());
    let ((begun, target), (ended, of)) = (kind(), kind());
    let (struck, figure) = (vec![CENTRE], String::new());
    scene.phase(1).send((0, 0), 0).send((0, 1), 1).wait(Span::secs(60));
    scene.act(Act::SwitchRead { group: "billing".to_owned(), to: Queue::Kafka });
    scene.event(CENTRE, Event::FaultBegun { fault: 0, kind: begun, target, struck, figure });
    scene.wait(Span::secs(40)).event(CENTRE, Event::FaultEnded { fault: 0, kind: ended, target: of });
    scene.deliver_copy(A, (0, 0), Queue::Kafka, 0, 0).deliver(B, (0, 1), queue, 1);
    scene.process(A, (0, 0)).process(B, (0, 1)).drained();
    let judgement = scene.judged(Exclusive::new);
    assert_eq!(judgement.findings[0].ground, Ground::Overlapped);
    told(&scene, &judgement)
}

#[test]
fn two_who_read_from_two_queues_are_told_with_what_struck_the_switch_centre() {
    let texts = overlapped(Queue::Corgi);
    for part in ["fault 0 begins", "fault 0 ends", "switches billing to read from Kafka"] {
        assert_eq!(count(&texts, part), 1, "{part}: {texts:#?}");
    }
    let texts = overlapped(Queue::Kafka);
    assert_eq!(count(&texts, "fault 0"), 0, "who reads the same queue obeyed the same switch: {texts:#?}");
}

/// A record that nobody copies from Corgi, sent after what the operator did last; the group reads from Kafka.
fn left_behind(acts: &[Act]) -> Vec<String> {
    let mut scene = Scene::new();
    scene
        .phase(1)
        .act(Act::StartMirror)
        .act(Act::SwitchRead { group: "billing".to_owned(), to: Queue::Kafka });
    scene.event(OPERATOR, Event::PlanCompleted);
    for act in acts {
        scene.wait(Span::secs(60)).act(act.clone());
    }
    scene.wait(Span::secs(60)).send((0, 0), 0).act(pause("search"));
    scene.invoke((0, 1)).acknowledge((0, 1), Queue::Kafka, 0).read_copy(A, (0, 1), 0, -1);
    scene.quiet().wait(Span::secs(400)).end(EndReason::TimeBudget);
    let judgement = scene.judged(AtLeastOnce::new);
    assert_eq!(
        (judgement.findings[0].ground, &judgement.findings[0].records[..]),
        (Ground::Lost, &[id((0, 0))][..])
    );
    told(&scene, &judgement)
}

#[test]
fn a_record_left_in_corgi_is_told_with_the_stop_of_the_mirror_and_with_who_was_told_to_write_there() {
    let back = Act::SwitchWrite { to: WriteTo::Corgi };
    let forth = Act::SwitchWrite { to: WriteTo::Kafka };
    let texts = left_behind(&[forth, Act::StopMirror, pause("search"), back]);
    for part in ["stops the mirror", "to write to Corgi", "switches billing to read from Kafka"] {
        assert_eq!(count(&texts, part), 1, "{part}: {texts:#?}");
    }
    for part in ["to write to Kafka", "starts the mirror", "search"] {
        assert_eq!(count(&texts, part), 0, "{part}: {texts:#?}");
    }
}

#[test]
fn a_record_that_the_mirror_passed_is_not_told_with_what_the_mirror_was_told_before() {
    let mut scene = Scene::new();
    scene.phase(1).act(Act::StopMirror).act(Act::StartMirror).wait(Span::secs(60)).send((0, 0), 0);
    let source = scene.partition;
    scene.event(MIRROR, Event::MirrorCommitted { source, offset: 1 }).wait(Span::secs(60));
    scene.act(Act::StopMirror).drained();
    let judgement = scene.judged(AtLeastOnce::new);
    let texts = told(&scene, &judgement);
    assert_eq!(count(&texts, "the mirror") - count(&texts, "for the mirror"), 0, "{texts:#?}");
}

#[test]
fn another_groups_steps_are_none_of_a_single_records() {
    let mut scene = Scene::new();
    scene.with(SEARCH, TopicPartition::new(1, 0)).phase(1).act(pause("billing")).act(pause("search"));
    scene.send((0, 0), 0).act(resume("billing")).drained();
    let texts = told(&scene, &scene.judged(AtLeastOnce::new));
    assert_eq!((count(&texts, "billing"), count(&texts, "pauses search")), (0, 1), "{texts:#?}");
}
