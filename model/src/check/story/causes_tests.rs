use crate::check::scene::{A, B, BILLING, C, Scene, subject};
use crate::check::{BoundedReplay, story};
use crate::history::Event;
use crate::record::{Queue, TopicPartition};
use crate::units::Span;

/// A group jumps back, and then passes over what it had before; an earlier jump is not what it was about.
#[test]
fn what_is_passed_over_is_told_with_the_jump_back_before_it_and_the_thaw_of_who_jumped() {
    let mut scene = Scene::new();
    let (kind, target) = ("pause".to_owned(), "billing-2".to_owned());
    let ended = Event::FaultEnded { fault: 0, kind: kind.clone(), target: target.clone() };
    let begun = Event::FaultBegun { fault: 0, kind, target, struck: vec![B], figure: String::new() };
    let granted = || Event::Granted {
        group: BILLING,
        queue: Queue::Kafka,
        partitions: vec![TopicPartition::new(0, 0)],
    };
    scene.phase(1).event(C, granted()).event(B, granted()).wait(Span::secs(20)).event(A, granted());
    scene.copies(5).reads_copies(A, &[0, 1]).event(B, begun);
    scene.reads_copies(A, &[0, 1, 2, 3]).wait(Span::secs(60)).event(B, ended);
    scene.reads_copies(B, &[1]).wait(Span::secs(20));
    scene.event(A, Event::Started { incarnation: 2 }).reads_copies(A, &[4]).drained();
    let judgement = scene.judged(BoundedReplay::new);
    let lines = story(&scene.entries, &subject(), &judgement.findings[0], 20);
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let jumps = texts.iter().filter(|text| text.contains(": back from offset")).collect::<Vec<_>>();
    let jump = "billing-2 (billing) is delivered p0#1 of orders/0 from Kafka orders/0 offset 1, a copy of Corgi \
                offset 1: back from offset 3";
    assert_eq!(jumps, [&jump], "{texts:#?}");
    assert!(texts.contains(&"fault 0 ends: billing-2 goes on"), "{texts:#?}");
    for (instance, told) in [("billing-1", true), ("billing-2", true), ("billing-3", false)] {
        let grant = format!("{instance} (billing) is granted orders/0 in Kafka");
        assert_eq!(texts.contains(&grant.as_str()), told, "{instance}: {texts:#?}");
    }
}
