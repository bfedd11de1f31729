use super::Exclusive;
use crate::check::scene::{A, B, BILLING, C, SEARCH, Scene, grounds, id, value};
use crate::check::{Ground, Judgement, Verdict};
use crate::history::{Entry, Event};
use crate::record::{NodeId, Queue, RecordId, TopicPartition};
use crate::units::Span;
use proptest::prelude::*;

fn judged(scene: &Scene) -> Judgement {
    scene.judged(Exclusive::new)
}

#[test]
fn one_instance_alone_does_not_exercise_it() {
    let mut scene = Scene::new();
    scene.sends(2).reads(A, &[0, 1]).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Unknown);
}

#[test]
fn one_instance_after_the_other_is_held() {
    let mut scene = Scene::new();
    scene.sends(4).reads(A, &[0, 1]).reads(B, &[2, 3]).reads(A, &[3]).drained();
    let judgement = judged(&scene);
    assert_eq!((judgement.verdict, value(&judgement, "hand_overs")), (Verdict::Held, 2));
}

#[test]
fn two_instances_at_the_same_time_overlap() {
    let mut scene = Scene::new();
    scene.sends(2).phase(2).deliver(A, (0, 0), Queue::Corgi, 0).wait(Span::millis(20));
    scene.deliver(B, (0, 1), Queue::Corgi, 1).wait(Span::millis(49));
    scene.process(A, (0, 0)).process(B, (0, 1)).drained();
    let judgement = judged(&scene);
    assert_eq!(grounds(&judgement), [(Ground::Overlapped, id((0, 1)))]);
    assert_eq!(judgement.findings[0].records, [id((0, 1)), id((0, 0))]);
    assert_eq!((judgement.findings[0].phase, judgement.findings[0].group), (2, Some(BILLING)));
    assert_eq!(value(&judgement, "longest_overlap_ms"), 50);
}

#[test]
fn a_replay_of_the_same_record_by_another_instance_overlaps() {
    let mut scene = Scene::new();
    scene.sends(1).deliver(A, (0, 0), Queue::Corgi, 0).deliver(B, (0, 0), Queue::Corgi, 0);
    scene.process(A, (0, 0)).process(B, (0, 0)).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Violated);
}

#[test]
fn a_frozen_instance_goes_on_processing() {
    let mut scene = Scene::new();
    scene.sends(2).deliver(A, (0, 0), Queue::Corgi, 0);
    scene.event(
        A,
        Event::FaultBegun {
            fault: 0,
            kind: "freeze".to_owned(),
            target: "billing-1".to_owned(),
            struck: vec![A],
            figure: String::new(),
        },
    );
    scene
        .wait(Span::secs(60))
        .reads(B, &[0, 1])
        .event(A, Event::FaultEnded { fault: 0, kind: "freeze".to_owned(), target: "billing-1".to_owned() });
    scene.process(A, (0, 0)).drained();
    assert_eq!(judged(&scene).findings_total, 2);
}

#[test]
fn a_dead_instance_processes_no_more() {
    for orderly in [false, true] {
        let mut scene = Scene::new();
        scene.sends(2).deliver(A, (0, 0), Queue::Corgi, 0).event(A, Event::Stopped { orderly });
        scene.reads(B, &[0, 1]).drained();
        assert_eq!(judged(&scene).verdict, Verdict::Held);
    }
}

#[test]
fn a_revocation_does_not_end_the_processing() {
    let mut scene = Scene::new();
    let (group, queue, partitions) = (BILLING, Queue::Corgi, vec![scene.partition]);
    scene.sends(1).deliver(A, (0, 0), Queue::Corgi, 0);
    scene.event(A, Event::Revoked { group, queue, partitions, orderly: false });
    scene.reads(B, &[0]).process(A, (0, 0)).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Violated);
}

#[test]
fn other_partitions_and_pools_are_free() {
    let mut scene = Scene::new();
    scene.sends(1).deliver(A, (0, 0), Queue::Corgi, 0);
    scene.with(BILLING, TopicPartition::new(0, 1)).send((0, 1), 0).deliver(B, (0, 1), Queue::Corgi, 0);
    scene.with(SEARCH, TopicPartition::new(1, 0)).send((0, 2), 0).send((0, 3), 1);
    scene.deliver(A, (0, 2), Queue::Corgi, 0).deliver(B, (0, 3), Queue::Corgi, 1).drained();
    assert_eq!(judged(&scene).findings_total, 0);
}

/// The definition, word by word: how many deliveries begin within an interval of another instance.
fn reference(entries: &[Entry]) -> u64 {
    let ends = |from: usize, node: NodeId, delivered: RecordId| {
        let end = entries[from..].iter().position(|entry| match &entry.event {
            Event::Processed { record, .. } => entry.node == node && *record == delivered,
            Event::Stopped { .. } => entry.node == node,
            _ => false,
        });
        end.map_or(usize::MAX, |end| from + end)
    };
    let mut intervals: Vec<(usize, usize, NodeId)> = Vec::new();
    for (start, entry) in entries.iter().enumerate() {
        if let Event::Delivered { record, .. } = &entry.event {
            intervals.push((start, ends(start, entry.node, *record), entry.node));
        }
    }
    let overlapped = |(start, _, node): &(usize, usize, NodeId)| {
        intervals.iter().any(|(from, to, other)| other != node && from < start && start < to)
    };
    intervals.iter().filter(|interval| overlapped(interval)).count() as u64
}

proptest! {
    #[test]
    fn the_online_checker_agrees_with_the_definition(
        acts in proptest::collection::vec((0_u8..5, 0_usize..3, 0_u32..4), 1..60)
    ) {
        let mut scene = Scene::new();
        for (kind, node, sequence) in acts {
            let node = [A, B, C][node];
            match kind {
                0 | 1 => scene.deliver(node, (0, sequence), Queue::Corgi, i64::from(sequence)),
                2 | 3 => scene.process(node, (0, sequence)),
                _ => scene.event(node, Event::Stopped { orderly: false }),
            };
        }
        prop_assert_eq!(judged(&scene).findings_total, reference(&scene.entries));
    }
}
