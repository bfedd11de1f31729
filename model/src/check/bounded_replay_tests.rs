use super::BoundedReplay;
use crate::check::scene::{A, B, BILLING, C, SEARCH, Scene, grounds, id, subject, value};
use crate::check::{Ground, Judgement, Verdict};
use crate::history::Event;
use crate::plan::{Act, PreparedFrom};
use crate::record::{NodeId, Queue, TopicPartition};

fn judged(scene: &Scene) -> Judgement {
    scene.judged(BoundedReplay::new)
}

fn grant(scene: &mut Scene, node: NodeId, queue: Queue) {
    let (group, partitions) = (scene.group, vec![scene.partition]);
    scene.event(node, Event::Granted { group, queue, partitions });
}

#[test]
fn without_a_replay_it_is_not_exercised() {
    let mut scene = Scene::new();
    scene.sends(3).reads(A, &[0, 1, 2]).drained();
    let judgement = judged(&scene);
    assert_eq!((judgement.verdict, judgement.exercised), (Verdict::Unknown, false));
}

#[test]
fn a_replay_that_goes_on_is_held() {
    let mut scene = Scene::new();
    scene.sends(6).reads(A, &[0, 1, 2, 3]).reads(B, &[1, 2, 3, 4, 5]).drained();
    let judgement = judged(&scene);
    assert_eq!(judgement.verdict, Verdict::Held);
    assert_eq!(value(&judgement, "duplicates_by_consumer_records"), 3);
    assert_eq!(value(&judgement, "duplicates_in_a_group_records"), 3);
}

#[test]
fn a_replay_that_leaps_is_skipped() {
    let mut scene = Scene::new();
    scene.sends(6).reads(A, &[0, 1, 2, 3]).reads(B, &[1, 4, 5]).drained();
    let judgement = judged(&scene);
    assert_eq!(grounds(&judgement), [(Ground::Skipped, id((0, 2)))]);
    assert_eq!(judgement.findings[0].records, [id((0, 2)), id((0, 4)), id((0, 3))]);
    assert_eq!(judgement.findings_total, 2);
    assert!(judgement.findings[0].summary.contains("went on to p0#4 of orders/0"));
}

#[test]
fn a_hole_in_the_middle_of_a_replay_is_skipped() {
    let mut scene = Scene::new();
    scene.sends(6).reads(A, &[0, 1, 2, 3, 4, 5]).reads(B, &[1, 2, 4, 5]).drained();
    assert_eq!(grounds(&judged(&scene)), [(Ground::Skipped, id((0, 3)))]);
}

#[test]
fn a_second_jump_back_is_as_good_as_the_first() {
    let mut scene = Scene::new();
    scene.sends(6).reads(A, &[0, 1, 2, 3]).reads(B, &[2, 3]).reads(C, &[1, 2, 3, 4]).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
}

#[test]
fn a_hand_over_within_a_replay_that_leaps_is_skipped() {
    let mut scene = Scene::new();
    scene.sends(6).reads(A, &[0, 1, 2, 3, 4]).reads(B, &[1]);
    grant(&mut scene, C, Queue::Corgi);
    scene.reads(C, &[4, 5]).drained();
    assert_eq!(grounds(&judged(&scene)), [(Ground::Skipped, id((0, 2)))]);
}

#[test]
fn an_instance_that_comes_back_to_its_old_position_leaps() {
    let mut scene = Scene::new();
    scene.sends(6).reads(A, &[0, 1, 2, 3]).reads(B, &[1]);
    grant(&mut scene, A, Queue::Corgi);
    scene.reads(A, &[4]).drained();
    assert_eq!(grounds(&judged(&scene)), [(Ground::Skipped, id((0, 2)))]);
}

#[test]
fn a_zombie_that_works_on_leaves_the_group_behind_what_its_successor_has_done() {
    // A lost the partition, is delivered 1 all the same when B was delivered 3, and B goes on.
    let mut scene = Scene::new();
    scene.sends(5).reads(A, &[0]).reads(B, &[1, 2, 3]).reads(A, &[1]).reads(B, &[4]).drained();
    assert_eq!(grounds(&judged(&scene)), [(Ground::Skipped, id((0, 2)))]);
    let mut scene = Scene::new();
    scene.sends(5).reads(A, &[0]).reads(B, &[1, 2, 3]).reads(A, &[3]).reads(B, &[4]).drained();
    assert_eq!(grounds(&judged(&scene)), [], "there is nothing between");
}

#[test]
fn the_same_record_delivered_twice_in_place_is_no_hole() {
    let mut scene = Scene::new();
    scene.sends(3).reads(A, &[0, 0, 1, 1, 1, 2]).drained();
    let judgement = judged(&scene);
    assert_eq!((judgement.verdict, value(&judgement, "duplicates_by_consumer_records")), (Verdict::Held, 3));
}

#[test]
fn a_duplicate_behind_newer_records_in_the_log_is_no_hole() {
    // The log is 0 1 2 1' 3: a producer stored record 1 again.
    let mut scene = Scene::new();
    scene.sends(3).reads(A, &[0, 1, 2]).read(A, (0, 1), 3);
    scene.send((0, 3), 4).read(A, (0, 3), 4);
    scene.read(B, (0, 1), 3).read(B, (0, 3), 4).drained();
    let judgement = judged(&scene);
    assert_eq!(judgement.verdict, Verdict::Held);
    assert_eq!(value(&judgement, "duplicates_by_producer_records"), 1);
    assert_eq!(value(&judgement, "duplicates_by_consumer_records"), 2);
}

#[test]
fn a_log_that_is_itself_out_of_order_is_replayed_without_a_hole() {
    let mut scene = Scene::new();
    scene.send((0, 0), 0).send((0, 2), 1).send((0, 1), 2).send((0, 3), 3);
    for node in [A, B] {
        scene.read(node, (0, 0), 0).read(node, (0, 2), 1).read(node, (0, 1), 2).read(node, (0, 3), 3);
    }
    assert_eq!(judged(scene.drained()).verdict, Verdict::Held);
}

#[test]
fn an_early_offset_that_goes_on_is_held() {
    let mut scene = Scene::new();
    scene.sends(6).copies(6).reads(A, &[0, 1, 2, 3]).reads_copies(B, &[1, 2, 3, 4, 5]).drained();
    let judgement = judged(&scene);
    assert_eq!(judgement.verdict, Verdict::Held);
    assert_eq!(value(&judgement, "duplicates_by_crossing_records"), 3);
}

#[test]
fn an_early_offset_that_leaps_is_skipped() {
    let mut scene = Scene::new();
    scene.sends(6).copies(6).reads(A, &[0, 1, 2, 3]).reads_copies(B, &[1, 3, 4, 5]).drained();
    assert_eq!(grounds(&judged(&scene)), [(Ground::Skipped, id((0, 2)))]);
}

#[test]
fn an_early_offset_at_a_record_stored_once_more_begins_behind_those_between() {
    // The log is 0 1 2 1' 3, and the group goes on in Kafka from 1'.
    let mut scene = Scene::new();
    scene.sends(3).reads(A, &[0, 1, 2]).read(A, (0, 1), 3);
    scene.send((0, 3), 4).read(A, (0, 3), 4).copies(3).copy((0, 1), 3, 3).copy((0, 3), 4, 4);
    scene.read_copy(B, (0, 1), 3, 3).read_copy(B, (0, 3), 4, 4).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
}

#[test]
fn an_early_offset_at_a_record_stored_once_more_that_leaps_from_there_is_skipped() {
    let mut scene = Scene::new();
    scene.sends(3).reads(A, &[0, 1, 2]).read(A, (0, 1), 3);
    scene.send((0, 3), 4).send((0, 4), 5).read(A, (0, 3), 4).read(A, (0, 4), 5);
    scene.copies(3).copy((0, 1), 3, 3).copy((0, 3), 4, 4).copy((0, 4), 5, 5);
    scene.read_copy(B, (0, 1), 3, 3).read_copy(B, (0, 4), 5, 5).drained();
    assert_eq!(grounds(&judged(&scene)), [(Ground::Skipped, id((0, 3)))]);
}

#[test]
fn a_crossing_may_lack_what_the_other_queue_never_had() {
    let mut scene = Scene::new();
    scene.sends(4);
    for sequence in [0, 1, 3] {
        scene.copy((0, sequence), i64::from(sequence), i64::from(sequence));
    }
    scene.reads(A, &[0, 1, 2, 3]).reads_copies(B, &[0, 1, 3]).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
}

#[test]
fn a_mirror_that_copies_a_stretch_again_makes_duplicates_and_no_hole() {
    let mut scene = Scene::new();
    scene.sends(4).copies(3).reads(A, &[0, 1]).reads_copies(B, &[0, 1, 2]);
    scene.copy((0, 1), 1, 3).copy((0, 2), 2, 4).copy((0, 3), 3, 5);
    scene.read_copy(B, (0, 1), 3, 1).read_copy(B, (0, 2), 4, 2).read_copy(B, (0, 3), 5, 3).drained();
    let judgement = judged(&scene);
    assert_eq!(judgement.verdict, Verdict::Held);
    assert_eq!(value(&judgement, "duplicates_by_mirror_records"), 2);
    assert_eq!(value(&judgement, "duplicates_by_crossing_records"), 2);
}

#[test]
fn what_a_truncation_took_is_no_hole_in_the_next_replay() {
    let mut scene = Scene::new();
    scene.sends(4).reads(A, &[0, 1, 2, 3]);
    let partition = scene.partition;
    let mut led = scene.clone();
    led.leads(A, Queue::Corgi, 2).reads(B, &[1]).send((0, 4), 4).read(B, (0, 4), 4).drained();
    assert_eq!(judged(&led).verdict, Verdict::Held);
    // What a follower loses is read all the same.
    scene.event(A, Event::Truncated { queue: Queue::Corgi, partition, from: 4, to: 2 });
    scene.reads(B, &[1]).send((0, 4), 4).read(B, (0, 4), 4).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Violated);
}

#[test]
fn a_pool_has_no_hole_but_has_duplicates() {
    let mut scene = Scene::new();
    scene
        .with(SEARCH, TopicPartition::new(1, 0))
        .sends(5)
        .reads(A, &[0, 1, 2, 3])
        .reads(B, &[1, 4])
        .drained();
    let judgement = judged(&scene);
    assert_eq!((judgement.verdict, value(&judgement, "duplicates_in_a_group_records")), (Verdict::Held, 1));
}

#[test]
fn more_duplicates_than_declared_are_over_replayed() {
    let mut subject = subject();
    subject.objectives.duplicates_per_group = 2;
    let mut scene = Scene::new();
    scene.sends(3).reads(A, &[0, 1, 2]).phase(2).reads(B, &[1, 2]).drained();
    assert_eq!(scene.judged_of(BoundedReplay::new, subject.clone()).verdict, Verdict::Held);
    let mut scene = Scene::new();
    scene.sends(3).reads(A, &[0, 1, 2]).phase(2).reads(B, &[0, 1, 2]).drained();
    let judgement = scene.judged_of(BoundedReplay::new, subject);
    assert_eq!(grounds(&judgement), [(Ground::OverReplayed, id((0, 2)))]);
    let finding = &judgement.findings[0];
    assert_eq!((finding.weight, finding.phase, finding.group), (3, 2, Some(BILLING)));
}

#[test]
fn an_application_that_is_not_idempotent_is_harmed_by_its_first_duplicate() {
    let judged = |harmed_by_duplicates| {
        let mut subject = subject();
        subject.groups.iter_mut().for_each(|group| group.harmed_by_duplicates = harmed_by_duplicates);
        let mut scene = Scene::new();
        scene.sends(2).reads(A, &[0, 1, 1]).drained();
        scene.judged_of(BoundedReplay::new, subject)
    };
    assert_eq!(judged(false).verdict, Verdict::Held);
    let judgement = judged(true);
    assert_eq!(grounds(&judgement), [(Ground::OverReplayed, id((0, 1)))]);
    assert!(judgement.findings[0].summary.contains("1 duplicates, and 0 are allowed: p0#1 was the first"));
}

/// A goes back from offset 6 to 2 of Kafka, because it was told to.
fn rewound(scene: &mut Scene) {
    let (group, partition) = (BILLING, scene.partition);
    let meant = crate::rewind::InstanceId { node: A, incarnation: 1 };
    scene.event(A, Event::Sought { rewind: 1, group, meant, partition, from: 6, to: 2 });
}

#[test]
fn what_a_rewind_asks_for_is_no_duplicate_once_and_what_comes_again_is() {
    let mut scene = Scene::new();
    scene.sends(6).reads_copies(A, &[0, 1, 2, 3, 4, 5]);
    rewound(&mut scene);
    scene.reads_copies(A, &[2, 3, 4]);
    grant(&mut scene, B, Queue::Kafka);
    scene.reads_copies(B, &[3, 4, 5]).drained();
    let judgement = scene.judged_of(BoundedReplay::new, crate::check::Subject { rewinds: true, ..subject() });
    assert_eq!(judgement.findings_total, 0);
    assert_eq!(value(&judgement, "duplicates_in_a_group_records"), 2);
    assert_eq!(value(&judgement, "asked_for_by_rewinds_records"), 4);
}

/// An instance that is told again, after it lost the partition, goes back once more: what it had delivered for that rewind
/// is a duplicate the second time.
#[test]
fn a_rewind_asks_for_a_position_once_however_often_somebody_goes_back_for_it() {
    let mut scene = Scene::new();
    scene.sends(6).reads_copies(A, &[0, 1, 2, 3, 4, 5]);
    rewound(&mut scene);
    scene.reads_copies(A, &[2, 3]);
    rewound(&mut scene);
    scene.reads_copies(A, &[2, 3, 4, 5]).drained();
    let judgement = scene.judged_of(BoundedReplay::new, crate::check::Subject { rewinds: true, ..subject() });
    assert_eq!(value(&judgement, "duplicates_in_a_group_records"), 2);
    assert_eq!(value(&judgement, "asked_for_by_rewinds_records"), 4);
}

#[test]
fn a_rewind_that_is_undone_is_no_hole_of_a_replay() {
    let mut scene = Scene::new();
    scene.sends(8).reads_copies(A, &[0, 1, 2, 3, 4, 5]);
    rewound(&mut scene);
    scene.reads_copies(A, &[2, 3]);
    grant(&mut scene, B, Queue::Kafka);
    scene.reads_copies(B, &[6, 7]);
    assert_eq!(judged(scene.drained()).findings_total, 0);
}

/// Read from Corgi up to 2, from Kafka up to 5, and then from Corgi again, where it goes on at 4: what lies between was read from
/// Kafka, and passed over only where nobody has set where the group is to begin.
#[test]
fn a_group_that_comes_back_begins_where_its_offsets_were_set() {
    for set in [true, false] {
        let mut scene = Scene::new();
        scene.sends(8).reads(A, &[0, 1, 2]).reads_copies(A, &[3, 4, 5]);
        if set {
            scene.act(Act::ResetOffsets { group: "billing".to_owned(), from: PreparedFrom::Latest });
        }
        scene.reads(B, &[5, 6, 7]).drained();
        let judgement = scene.judged(BoundedReplay::new);
        assert_eq!(judgement.findings_total, if set { 0 } else { 2 }, "{set}");
    }
}
