use super::super::Verdict;
use super::super::scene::{A, B, BILLING, OPERATOR, SEARCH, Scene, grounds, id, subject, value};
use super::*;
use crate::plan::{Confirm, RewindTo};
use crate::rewind::Refusal;
use crate::units::Span;

const PARTITION: TopicPartition = TopicPartition::new(0, 0);

/// One of Kafka's.
const BROKER: NodeId = NodeId(90);

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
    asks(&mut scene, offsets, instance, None);
    scene
}

fn asks(
    scene: &mut Scene,
    offsets: Vec<(TopicPartition, Offset)>,
    instance: Option<NodeId>,
    moment: Option<Time>,
) {
    let (rewind, group) = (1, BILLING);
    scene.event(OPERATOR, Event::RewindAsked { rewind, group, offsets, instance, moment });
}

/// Ten records that were sent a second apart, of which A has read all from Kafka; the operator asks for what was sent since a
/// moment, and Kafka leads him to an offset.
fn asked_since(moment: Span, offset: Offset) -> Scene {
    let mut scene = Scene::new();
    scene.event(A, Event::Started { incarnation: 1 });
    for sequence in 0..10 {
        scene.send((0, sequence), i64::from(sequence)).wait(Span::millis(998));
    }
    scene.phase(1);
    granted(&mut scene, A);
    scene.reads_copies(A, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    asks(&mut scene, vec![(PARTITION, offset)], None, Some(Time::ZERO + moment));
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
    let mut of_a_follower = scene.clone();
    scene.event(BROKER, Event::LeadershipTaken { partition, epoch: 2, end: 8 });
    scene.reads_copies(A, &[4, 5, 6, 7]).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
    of_a_follower.event(BROKER, Event::Truncated { queue, partition, from: 10, to: 8 });
    of_a_follower.reads_copies(A, &[4, 5, 6, 7]).drained();
    let judgement = judged(&of_a_follower);
    assert_eq!(grounds(&judgement), [(Ground::NotRewound, id((0, 8)))], "the leader has it");
}

/// A clock that is behind has stamped what was sent after the moment as older: Kafka leads to a place behind it.
#[test]
fn what_was_sent_after_the_moment_is_owed_wherever_the_clocks_lead() {
    // Sent at 0, 1, .. 9 s, and owed from 2 s on, with 5 s of tolerance.
    let mut scene = asked_since(Span::millis(1_500), 9);
    let (group, partition, meant) = (BILLING, PARTITION, life(A));
    scene.event(A, Event::Sought { rewind: 1, group, meant, partition, from: 10, to: 9 });
    told(&mut scene, life(A));
    scene.reads_copies(A, &[9]).drained();
    let judgement = judged(&scene);
    assert_eq!(grounds(&judgement), [(Ground::NotRewound, id((0, 7)))]);
    assert_eq!(judgement.findings_total, 2);
    assert_eq!(value(&judgement, "to_be_delivered_again_records"), 3);
    let summary = &judgement.findings[0].summary;
    assert!(summary.contains("p0#7 and 1 more, sent after the moment that he asked for"), "{summary}");
}

#[test]
fn what_the_clocks_may_differ_by_is_not_owed() {
    let mut scene = asked_since(Span::millis(1_500), 7);
    let (group, partition, meant) = (BILLING, PARTITION, life(A));
    scene.event(A, Event::Sought { rewind: 1, group, meant, partition, from: 10, to: 7 });
    told(&mut scene, life(A));
    scene.reads_copies(A, &[7, 8, 9]).drained();
    assert_eq!((judged(&scene).verdict, judged(&scene).findings_total), (Verdict::Held, 0));
    // Kafka finds nothing so late, and nobody goes back: all the same.
    let mut scene = asked_since(Span::millis(1_500), 10);
    told(&mut scene, life(A));
    scene.drained();
    assert_eq!(grounds(&judged(&scene)), [(Ground::NotRewound, id((0, 7)))]);
}

fn revoked(scene: &mut Scene, node: NodeId) {
    let (group, queue, partitions) = (BILLING, Queue::Kafka, vec![PARTITION]);
    scene.event(node, Event::Revoked { group, queue, partitions, orderly: true });
}

/// The group rebalances: the instance has nothing for a moment, says that it has done all that it could, and gets back what it had.
#[test]
fn an_instance_that_had_nothing_when_it_was_told_has_not_been_rewound() {
    let mut scene = asked(None);
    scene.entries.pop();
    revoked(&mut scene, A);
    asks(&mut scene, vec![(PARTITION, 4)], Some(A), None);
    let mut content = scene.clone();
    acted(&mut content, Confirm::Partitions);
    granted(&mut content, A);
    content.send((0, 10), 10).reads_copies(A, &[10]).drained();
    assert_eq!(grounds(&judged(&content)), [(Ground::NotRewound, id((0, 4)))]);
    assert_eq!(judged(&content).findings_total, 6);
    // Who asks again until it has something is told of it.
    granted(&mut scene, A);
    sought(&mut scene, A, life(A));
    told(&mut scene, life(A));
    scene.reads_copies(A, &[4, 5, 6, 7, 8, 9]).drained();
    assert_eq!((judged(&scene).verdict, judged(&scene).findings_total), (Verdict::Held, 0));
}

/// What the instance had is somebody else's by the time that it is told: nobody meant that.
#[test]
fn what_an_instance_has_no_more_is_not_its_rewinds() {
    let other = TopicPartition::new(0, 1);
    let mut scene = asked(Some(A));
    revoked(&mut scene, A);
    granted(&mut scene, B);
    let (group, queue) = (BILLING, Queue::Kafka);
    scene.event(A, Event::Granted { group, queue, partitions: vec![other] });
    acted(&mut scene, Confirm::Instances);
    scene.drained();
    assert_eq!(judged(&scene).findings_total, 0);
    // It is dead, and the operator goes on: nobody has what it had in its place yet.
    let mut scene = asked(Some(A));
    scene.event(A, Event::Stopped { orderly: false });
    acted(&mut scene, Confirm::Instances);
    granted(&mut scene, B);
    scene.send((0, 10), 10).reads_copies(B, &[10]).drained();
    assert_eq!(judged(&scene).findings_total, 6);
}

/// A late copy of the command: the rewind is done, and its records have come again.
#[test]
fn a_seek_for_a_rewind_that_is_over_is_misdirected() {
    let mut scene = asked(None);
    sought(&mut scene, A, life(A));
    told(&mut scene, life(A));
    scene.reads_copies(A, &[4, 5, 6, 7, 8, 9]);
    let mut late = scene.clone();
    sought(&mut late, A, life(A));
    late.reads_copies(A, &[4, 5, 6, 7, 8, 9]).drained();
    let judgement = judged(&late);
    assert_eq!(grounds(&judgement), [(Ground::Misdirected, id((0, 4)))]);
    assert!(judgement.findings[0].summary.contains("a rewind that was over"), "{:?}", judgement.findings);
    assert_eq!(judged(scene.drained()).findings_total, 0);
}

#[test]
fn a_later_life_that_takes_the_command_of_the_one_before_is_named_so() {
    let mut scene = asked(Some(A));
    sought(&mut scene, A, InstanceId { node: A, incarnation: 9 });
    let judgement = judged(scene.reads_copies(A, &[4, 5, 6, 7, 8, 9]).drained());
    assert!(
        judgement.findings[0].summary.contains("a later life of the instance"),
        "{:?}",
        judgement.findings
    );
}

/// A goes back and dies before it is heard; B begins just there, and confirms that it need not go back.
#[test]
fn a_pass_whose_answer_was_lost_is_judged_when_its_heir_confirms_it() {
    for (read, findings) in [(&[4, 5, 6, 7, 8, 9][..], 0), (&[6, 7, 8, 9], 2)] {
        let mut scene = asked(None);
        sought(&mut scene, A, life(A));
        scene.event(A, Event::Stopped { orderly: false });
        granted(&mut scene, B);
        told(&mut scene, life(B));
        scene.reads_copies(B, read).drained();
        assert_eq!(judged(&scene).findings_total, findings, "{read:?}");
    }
}

/// Nobody told it to: neither a seek nor a new assignment explains that it reads again what it has read.
#[test]
fn an_instance_that_steps_back_of_itself_is_misdirected() {
    let rewound = |elsewhere: &[u32], is_granted: bool| {
        let mut scene = asked(None);
        sought(&mut scene, A, life(A));
        told(&mut scene, life(A));
        scene.reads_copies(A, &[4, 5, 6, 7, 8, 9]);
        scene.with(BILLING, TopicPartition::new(0, 1));
        for sequence in 20..24 {
            scene.read_copy(B, (0, sequence), i64::from(sequence), i64::from(sequence));
        }
        if is_granted {
            let (group, queue, partitions) = (BILLING, Queue::Kafka, vec![TopicPartition::new(0, 1)]);
            scene.event(B, Event::Granted { group, queue, partitions });
        }
        scene.reads_copies(B, elsewhere).drained();
        judged(&scene)
    };
    let judgement = rewound(&[22, 23], false);
    assert_eq!(grounds(&judgement), [(Ground::Misdirected, id((0, 22)))]);
    assert_eq!(judgement.findings_total, 1);
    assert_eq!(rewound(&[22, 23], true).findings_total, 0);
    assert_eq!(rewound(&[24, 25], false).findings_total, 0);
}

/// A pool processes in any order, and is handed the records of a partition in theirs.
#[test]
fn a_pool_too_is_delivered_in_order_again() {
    let again = |sequences: &[u32]| {
        let partition = TopicPartition::new(1, 0);
        let mut scene = Scene::new();
        scene.with(SEARCH, partition).sends(4).phase(1).reads_copies(A, &[0, 1, 2, 3]);
        let (rewind, group, meant) = (1, SEARCH, InstanceId { node: A, incarnation: 0 });
        let offsets = vec![(partition, 1)];
        scene.event(OPERATOR, Event::RewindAsked { rewind, group, offsets, instance: None, moment: None });
        scene.event(A, Event::Sought { rewind, group, meant, partition, from: 4, to: 1 });
        scene.event(OPERATOR, Event::Rewound { rewind, group, partition, by: meant });
        judged(scene.reads_copies(A, sequences).drained())
    };
    assert_eq!(again(&[1, 2, 3]).findings_total, 0);
    let behind = again(&[2, 3, 1]);
    assert!(grounds(&behind).contains(&(Ground::Skipped, id((0, 1)))), "{:?}", behind.findings);
}

#[test]
fn what_kafka_had_deleted_is_said_to_be() {
    let mut scene = asked(None);
    let (queue, partition) = (Queue::Kafka, PARTITION);
    scene.event(OPERATOR, Event::StartMoved { queue, partition, from: 0, to: 6 });
    sought(&mut scene, A, life(A));
    told(&mut scene, life(A));
    scene.reads_copies(A, &[6, 7, 8, 9]).drained();
    let judgement = judged(&scene);
    assert_eq!(judgement.findings_total, 2);
    assert!(judgement.findings[0].summary.contains("Kafka had deleted it"), "{:?}", judgement.findings);
}
