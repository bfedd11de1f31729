use super::super::Verdict;
use super::super::scene::{A, B, BILLING, OPERATOR, SEARCH, Scene, grounds, id, subject, value};
use super::*;
use crate::plan::{Confirm, RewindTo};
use crate::rewind::Refusal;

const PARTITION: TopicPartition = TopicPartition::new(0, 0);

fn life(node: NodeId) -> InstanceId {
    InstanceId { node, incarnation: 1 }
}

/// Ten records that A has read from Kafka, and the operator asks for offset 4.
fn asked(instance: Option<NodeId>) -> Scene {
    let mut scene = Scene::new();
    for node in [A, B] {
        scene.event(node, Event::Started { incarnation: 1 });
    }
    scene.sends(10).phase(1);
    granted(&mut scene, A);
    scene.reads_copies(A, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let offsets = vec![(PARTITION, 4)];
    scene.event(OPERATOR, Event::RewindAsked { rewind: 1, group: BILLING, offsets, instance });
    scene
}

fn granted(scene: &mut Scene, node: NodeId) {
    let partitions = vec![PARTITION];
    scene.event(node, Event::Granted { group: BILLING, queue: Queue::Kafka, partitions });
}

fn sought(scene: &mut Scene, node: NodeId, meant: InstanceId) {
    let (group, partition) = (BILLING, PARTITION);
    scene.event(node, Event::Sought { rewind: 1, group, meant, partition, from: 10, to: 4 });
}

fn told(scene: &mut Scene, by: InstanceId) {
    let (group, partition) = (BILLING, PARTITION);
    scene.event(OPERATOR, Event::Rewound { rewind: 1, group, partition, by });
    acted(scene, Confirm::Partitions);
}

/// The operator takes the rewind to offset 4 for done.
fn acted(scene: &mut Scene, confirm: Confirm) {
    scene.act(Act::Rewind {
        group: "billing".to_owned(),
        topics: vec![],
        partitions: vec![],
        instance: None,
        to: RewindTo::Offset(4),
        confirm,
    });
}

fn judged(scene: &Scene) -> Judgement {
    scene.judged_of(Rewind::new, Subject { rewinds: true, ..subject() })
}

#[test]
fn a_rewind_whose_records_all_come_again_is_held() {
    let mut scene = asked(None);
    sought(&mut scene, A, life(A));
    told(&mut scene, life(A));
    scene.reads_copies(A, &[4, 5, 6]);
    // The partition moves in the middle of it, and the new owner goes on where the old one had committed.
    granted(&mut scene, B);
    scene.reads_copies(B, &[6, 7, 8, 9]).drained();
    let judgement = judged(&scene);
    assert_eq!((judgement.verdict, judgement.findings_total), (Verdict::Held, 0));
    assert_eq!(value(&judgement, "to_be_delivered_again_records"), 6);
    let reached: Vec<_> = judgement.conditions.iter().filter(|it| it.reached).map(|it| &it.name).collect();
    assert_eq!(reached, ["partition-moved-during-its-replay"]);
}

#[test]
fn a_confirmed_rewind_that_a_rebalance_undoes_is_found() {
    let mut scene = asked(None);
    sought(&mut scene, A, life(A));
    told(&mut scene, life(A));
    scene.reads_copies(A, &[4, 5]);
    granted(&mut scene, B);
    scene.send((0, 10), 10).reads_copies(B, &[10]).drained();
    let judgement = judged(&scene);
    assert_eq!(judgement.verdict, Verdict::Violated);
    assert_eq!(grounds(&judgement), [(Ground::NotRewound, id((0, 6)))]);
    assert_eq!(judgement.findings_total, 4);
    assert!(judgement.findings[0].summary.contains("p0#6 and 3 more"), "{}", judgement.findings[0].summary);
}

#[test]
fn one_that_is_undone_when_nothing_more_comes_is_found_at_the_end() {
    let mut scene = asked(None);
    sought(&mut scene, A, life(A));
    told(&mut scene, life(A));
    granted(&mut scene, B);
    scene.drained();
    assert_eq!(judged(&scene).findings_total, 6);
}

#[test]
fn one_that_was_never_confirmed_promises_nothing() {
    let mut scene = asked(None);
    sought(&mut scene, A, life(A));
    granted(&mut scene, B);
    scene.drained();
    let judgement = judged(&scene);
    assert_eq!((judgement.verdict, judgement.findings_total), (Verdict::Unknown, 0));
}

#[test]
fn one_that_the_operator_only_takes_for_done_is_found() {
    let mut scene = asked(None);
    acted(&mut scene, Confirm::Instances);
    scene.send((0, 10), 10).reads_copies(A, &[10]).drained();
    let judgement = judged(&scene);
    assert_eq!(grounds(&judgement), [(Ground::NotRewound, id((0, 4)))]);
    assert_eq!(judgement.findings_total, 6);
}

#[test]
fn the_confirmed_pass_counts_and_not_the_one_that_was_given_up() {
    let mut scene = asked(None);
    sought(&mut scene, A, life(A));
    scene.reads_copies(A, &[4, 5]);
    granted(&mut scene, B);
    sought(&mut scene, B, life(B));
    told(&mut scene, life(B));
    scene.reads_copies(B, &[4, 5, 6, 7, 8, 9]).drained();
    let judgement = judged(&scene);
    assert_eq!((judgement.verdict, judgement.findings_total), (Verdict::Held, 0));
    assert!(judgement.conditions.iter().any(|it| it.reached && it.name.contains("went-back-again")));
}

#[test]
fn a_record_that_comes_behind_later_ones_is_skipped() {
    let mut scene = asked(None);
    sought(&mut scene, A, life(A));
    told(&mut scene, life(A));
    scene.reads_copies(A, &[4, 6, 7, 8, 9]);
    granted(&mut scene, B);
    scene.reads_copies(B, &[5, 6]).drained();
    assert_eq!(grounds(&judged(&scene)), [(Ground::Skipped, id((0, 5)))]);
}

#[test]
fn an_instance_that_goes_on_from_its_own_position_passes_over_nothing() {
    let mut scene = asked(None);
    granted(&mut scene, B);
    sought(&mut scene, B, life(B));
    told(&mut scene, life(B));
    // A thaws, and does not know yet that it has lost the partition.
    scene.send((0, 10), 10).reads_copies(A, &[10]).reads_copies(B, &[4, 5, 6, 7, 8, 9, 10]).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
}

#[test]
fn a_seek_of_an_instance_that_was_not_meant_is_misdirected() {
    for (node, meant) in [(B, life(B)), (A, InstanceId { node: A, incarnation: 9 })] {
        let mut scene = asked(Some(A));
        sought(&mut scene, node, meant);
        scene.reads_copies(node, &[4, 5, 6, 7, 8, 9]).drained();
        assert_eq!(grounds(&judged(&scene)), [(Ground::Misdirected, id((0, 4)))]);
    }
    let mut scene = asked(Some(A));
    sought(&mut scene, A, life(A));
    told(&mut scene, life(A));
    scene.reads_copies(A, &[4, 5, 6, 7, 8, 9]).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
}

/// B has the address that Redis names for A, and reads for another group.
#[test]
fn an_instance_of_another_group_that_goes_back_in_its_own_is_misdirected() {
    let of_billing = asked(None);
    let mut scene = of_billing.clone();
    let (group, partition, meant) = (SEARCH, PARTITION, life(A));
    scene.group = SEARCH;
    scene.reads_copies(B, &[4, 5, 6]);
    scene.event(B, Event::Sought { rewind: 1, group, meant, partition, from: 10, to: 4 });
    scene.drained();
    let judgement = judged(&scene);
    assert_eq!(
        grounds(&judgement).iter().map(|(ground, _)| *ground).collect::<Vec<_>>(),
        [Ground::Misdirected]
    );
    let reached = |judgement: &Judgement| {
        judgement.conditions.iter().any(|it| it.reached && it.name == "command-came-to-another-instance")
    };
    assert!(reached(&judgement));
    let mut scene = of_billing;
    let because = Refusal::OtherInstance;
    scene.event(B, Event::RewindRefused { rewind: 1, group: SEARCH, meant: life(A), because });
    sought(&mut scene, A, life(A));
    told(&mut scene, life(A));
    scene.reads_copies(A, &[4, 5, 6, 7, 8, 9]).drained();
    let judgement = judged(&scene);
    assert_eq!((judgement.verdict, reached(&judgement)), (Verdict::Held, true));
}

#[test]
fn what_the_log_lost_cannot_come_again() {
    let mut scene = asked(None);
    sought(&mut scene, A, life(A));
    told(&mut scene, life(A));
    let (queue, partition) = (Queue::Kafka, PARTITION);
    scene.event(OPERATOR, Event::Truncated { queue, partition, from: 10, to: 8 });
    scene.reads_copies(A, &[4, 5, 6, 7]).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
}
