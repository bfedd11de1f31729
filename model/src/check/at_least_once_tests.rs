use super::AtLeastOnce;
use crate::check::scene::{A, B, BILLING, C, MIRROR, OPERATOR, SEARCH, Scene, grounds, id, subject, value};
use crate::check::{Ground, Judgement, SubjectGroup, Verdict};
use crate::history::{EndReason, Event};
use crate::plan::Act;
use crate::record::{Offset, Queue, TopicId, TopicPartition};

pub(super) fn judged(scene: &Scene) -> Judgement {
    scene.judged(AtLeastOnce::new)
}

/// The one loss of a history: its figure, and its sentence.
pub(super) fn lost(scene: &Scene) -> (Vec<String>, String) {
    let judgement = judged(scene);
    assert_eq!(judgement.verdict, Verdict::Violated, "{judgement:?}");
    assert_eq!(judgement.findings.len(), 1, "{:?}", judgement.findings);
    assert_eq!(judgement.findings[0].ground, Ground::Lost);
    let losses =
        judgement.figures.iter().filter(|figure| figure.value > 0 && figure.name.starts_with("lost_"));
    let names = losses.map(|figure| figure.name.clone()).filter(|name| name != "lost_records");
    (names.collect(), judgement.findings[0].summary.clone())
}

#[test]
fn what_is_processed_is_held() {
    let mut scene = Scene::new();
    scene.sends(3).reads(A, &[0, 1, 2]).drained();
    let judgement = judged(&scene);
    assert_eq!(judgement.verdict, Verdict::Held);
    assert_eq!((value(&judgement, "delivered_records"), value(&judgement, "lost_records")), (3, 0));
}

#[test]
fn a_run_that_acknowledged_nothing_is_unknown() {
    let mut scene = Scene::new();
    scene.invoke((0, 0)).event(A, Event::Refused { record: id((0, 0)) }).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Unknown);
}

#[test]
fn what_is_left_in_corgi_is_lost() {
    let mut scene = Scene::new();
    scene.sends(3).reads(A, &[0, 1]).drained();
    let (place, summary) = lost(&scene);
    assert_eq!(place, ["lost_left_in_corgi_records"]);
    assert!(summary.contains("billing never processed p0#2 of orders/0"), "{summary}");
    assert!(summary.contains("left in Corgi (orders/0 at offset 2)"), "{summary}");
}

#[test]
fn every_group_of_the_topic_must_process() {
    let mut scene = Scene::new();
    scene.sends(2).reads(A, &[0, 1]).drained();
    let mut subject = subject();
    subject.groups.push(SubjectGroup {
        name: "audit".to_owned(),
        topics: vec![TopicId(0)],
        ..SubjectGroup::default()
    });
    let judgement = scene.judged_of(AtLeastOnce::new, subject);
    assert_eq!(judgement.findings_total, 2);
    assert_eq!(value(&judgement, "lost_records"), 2);
    assert_eq!(judgement.findings[0].weight, 2);
}

#[test]
fn what_the_mirror_skipped_is_lost_there() {
    let mut scene = Scene::new();
    scene.sends(2).copy((0, 1), 1, 0);
    let source = scene.partition;
    scene.event(MIRROR, Event::Skipped { record: id((0, 0)), source, source_offset: 0 });
    scene.read_copy(A, (0, 1), 0, 1).drained();
    assert_eq!(lost(&scene).0, ["lost_skipped_by_the_mirror_records"]);
}

#[test]
fn what_the_mirror_committed_beyond_is_lost_there() {
    let mut scene = Scene::new();
    scene.sends(2).copy((0, 1), 1, 0);
    let source = scene.partition;
    scene.event(MIRROR, Event::MirrorCommitted { source, offset: 2 });
    scene.read_copy(A, (0, 1), 0, 1).drained();
    assert_eq!(lost(&scene).0, ["lost_passed_by_the_mirror_records"]);
}

#[test]
fn what_two_masters_gave_one_offset_is_lost_by_that_and_not_by_its_reader() {
    // p1#0 has the offset of p0#1 in another master's log, and is what the mirror finds there.
    let mut mirrored = Scene::new();
    mirrored.sends(2).copy((0, 0), 0, 0).invoke((1, 0)).copy((1, 0), 1, 1);
    let source = mirrored.partition;
    mirrored.event(MIRROR, Event::MirrorCommitted { source, offset: 2 });
    mirrored.read_copy(A, (0, 0), 0, 0).read_copy(A, (1, 0), 1, 1).drained();
    let mut read = Scene::new();
    read.sends(3).invoke((1, 0)).reads(A, &[0]).read(A, (1, 0), 1).reads(A, &[2]).drained();
    for scene in [mirrored, read] {
        let (place, summary) = lost(&scene);
        assert_eq!(place, ["lost_replaced_in_corgi_records"]);
        let words = "Corgi gave orders/0 at offset 1 out twice, in the logs of two masters, and p1#0 is what was found there";
        assert!(summary.contains(words), "{summary}");
    }
    // What the group read there says nothing of the mirror, which never came by.
    let mut other = Scene::new();
    other.sends(2).copy((0, 0), 0, 0).invoke((1, 0)).read(A, (1, 0), 1);
    other.event(MIRROR, Event::MirrorCommitted { source, offset: 2 });
    other.read_copy(A, (0, 0), 0, 0).drained();
    assert_eq!(lost(&other).0, ["lost_passed_by_the_mirror_records"]);
}

#[test]
fn what_nobody_read_was_left_in_one_of_two_logs_where_two_masters_gave_its_offset_out() {
    let left = |led_between: bool| {
        let mut scene = Scene::new();
        scene.sends(1).reads(A, &[0]).send((1, 0), 1).copy((1, 0), 1, 0).read_copy(A, (1, 0), 0, 1);
        if led_between {
            scene.leads(B, Queue::Corgi, 1);
        }
        scene.send((0, 1), 1).drained();
        lost(&scene).0
    };
    assert_eq!(left(false), ["lost_replaced_in_corgi_records"]);
    assert_eq!(
        left(true),
        ["lost_left_in_corgi_records"],
        "the next master gave it out after the one before"
    );
}

#[test]
fn what_is_before_the_prepared_offset_is_lost_there() {
    let mut scene = Scene::new();
    scene.sends(4).copies(4).reads_copies(A, &[2, 3]);
    scene.reads(A, &[0]).drained();
    let (place, summary) = lost(&scene);
    assert_eq!(place, ["lost_before_the_prepared_offset_records"]);
    assert!(summary.contains("before the offset at which the group began to read, which is 2"), "{summary}");
}

#[test]
fn what_was_jumped_over_in_kafka_is_lost_there() {
    let mut scene = Scene::new();
    scene.sends(3).copies(3).reads_copies(A, &[0, 2]).drained();
    assert_eq!(lost(&scene).0, ["lost_passed_in_kafka_records"]);
}

#[test]
fn what_was_committed_before_it_was_processed_is_lost_in_the_application() {
    let mut scene = Scene::new();
    scene.sends(2).reads(A, &[0]).deliver(A, (0, 1), Queue::Corgi, 1);
    scene.event(A, Event::Stopped { orderly: false }).drained();
    assert_eq!(lost(&scene).0, ["lost_in_the_application_records"]);
}

#[test]
fn a_truncated_tail_is_lost_where_it_was_truncated() {
    for (queue, name) in [
        (Queue::Corgi, "lost_truncated_from_corgi_records"),
        (Queue::Kafka, "lost_truncated_from_kafka_records"),
    ] {
        let mut scene = Scene::new();
        scene.sends(1).reads(A, &[0]).phase(2).invoke((0, 1)).acknowledge((0, 1), queue, 1);
        scene.leads(B, queue, 1).drained();
        assert_eq!(lost(&scene).0, [name]);
        assert_eq!(judged(&scene).findings[0].phase, 2);
    }
}

#[test]
fn a_record_that_is_acknowledged_after_its_truncation_is_lost_with_the_tail_unless_somebody_reads_its_place()
{
    let acknowledged_late = || {
        let mut scene = Scene::new();
        scene.leads(B, Queue::Kafka, 0).sends(1).reads(A, &[0]).phase(2).invoke((0, 1));
        let partition = scene.partition;
        scene.leads(C, Queue::Kafka, 1);
        scene.event(B, Event::Truncated { queue: Queue::Kafka, partition, from: 2, to: 1 });
        scene.acknowledge((0, 1), Queue::Kafka, 1);
        scene
    };
    let mut scene = acknowledged_late();
    scene.drained();
    assert_eq!(lost(&scene).0, ["lost_truncated_from_kafka_records"]);
    let mut sent_again = acknowledged_late();
    sent_again.deliver(B, (0, 1), Queue::Kafka, 1).drained();
    assert_ne!(lost(&sent_again).0, ["lost_truncated_from_kafka_records"]);
}

#[test]
fn a_record_that_was_there_before_the_truncation_and_is_not_in_the_tail_is_not_blamed_on_it() {
    let mut scene = Scene::new();
    let partition = scene.partition;
    scene.event(B, Event::Truncated { queue: Queue::Corgi, partition, from: 2, to: 1 });
    scene.sends(2).reads(A, &[0]).drained();
    assert_eq!(lost(&scene).0, ["lost_left_in_corgi_records"]);
}

#[test]
fn a_refused_record_that_appears_is_a_phantom_whenever_it_appears() {
    let refused = Event::Refused { record: id((0, 0)) };
    let mut before = Scene::new();
    before.invoke((0, 0)).event(B, refused.clone()).read(A, (0, 0), 0).drained();
    let mut after = Scene::new();
    after.invoke((0, 0)).read(A, (0, 0), 0).event(B, refused).drained();
    for scene in [before, after] {
        let judgement = judged(&scene);
        assert_eq!(grounds(&judgement), [(Ground::Phantom, id((0, 0)))]);
        assert_eq!(value(&judgement, "phantom_records"), 1);
    }
}

#[test]
fn a_record_that_nobody_sent_is_a_phantom() {
    let mut scene = Scene::new();
    scene.sends(1).reads(A, &[0, 1]).drained();
    assert_eq!(grounds(&judged(&scene)), [(Ground::Phantom, id((0, 1)))]);
}

#[test]
fn a_record_that_one_queue_has_and_the_other_refused_is_no_phantom() {
    let mut scene = Scene::new();
    scene.sends(1).event(B, Event::Refused { record: id((0, 0)) }).reads(A, &[0]).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
}

#[test]
fn an_indeterminate_record_may_appear_or_not() {
    let mut scene = Scene::new();
    for sequence in [1, 2] {
        scene.invoke((0, sequence)).event(B, Event::Indeterminate { record: id((0, sequence)) });
    }
    scene.send((0, 0), 0).reads(A, &[0, 1]).drained();
    let judgement = judged(&scene);
    assert_eq!(judgement.verdict, Verdict::Held);
    assert_eq!((value(&judgement, "vanished_records"), value(&judgement, "delivered_records")), (1, 2));
}

#[test]
fn a_run_whose_time_ran_out_is_unknown_while_records_are_on_their_way() {
    let mut scene = Scene::new();
    scene.sends(2).reads(A, &[0]).quiet().end(EndReason::TimeBudget);
    let judgement = judged(&scene);
    assert_eq!((judgement.verdict, value(&judgement, "pending_records")), (Verdict::Unknown, 1));
}

#[test]
fn a_run_whose_time_ran_out_has_lost_what_was_passed_for_good() {
    let mut scene = Scene::new();
    scene.sends(3).reads(A, &[0, 2]).quiet().end(EndReason::TimeBudget);
    assert_eq!(lost(&scene).0, ["lost_passed_in_corgi_records"]);
    let mut scene = Scene::new();
    scene.sends(2).copies(1).reads_copies(A, &[0]).act(Act::StopMirror).quiet().end(EndReason::TimeBudget);
    assert_eq!(lost(&scene).0, ["lost_left_in_corgi_records"]);
}

#[test]
fn a_run_that_broke_off_has_lost_nothing_yet() {
    let mut scene = Scene::new();
    scene.sends(3).reads(A, &[0, 2]).quiet().end(EndReason::StepBudget);
    assert_eq!(judged(&scene).verdict, Verdict::Unknown);
}

#[test]
fn each_record_has_one_fate() {
    let mut scene = Scene::new();
    scene.sends(6).copies(6).copy((0, 3), 3, 7);
    scene.reads(A, &[0, 1, 1, 2]).reads_copies(B, &[2, 3]).read_copy(B, (0, 3), 7, 3);
    scene.read(A, (0, 4), 4).read(A, (0, 4), 9);
    scene.invoke((1, 0)).event(B, Event::Refused { record: id((1, 0)) });
    scene.drained();
    let judgement = judged(&scene);
    let value = |name| value(&judgement, name);
    assert_eq!((value("delivered_records"), value("duplicated_records")), (1, 4));
    assert_eq!((value("duplicated_by_consumer_records"), value("duplicated_by_crossing_records")), (1, 1));
    assert_eq!((value("duplicated_by_mirror_records"), value("duplicated_by_producer_records")), (1, 1));
    assert_eq!((value("lost_records"), value("refused_records"), value("pending_records")), (1, 1, 0));
    assert_eq!(value("acknowledged_records"), 6);
}

#[test]
fn a_lost_tail_is_one_finding_with_its_number() {
    let mut scene = Scene::new();
    scene.with(SEARCH, TopicPartition::new(1, 2)).sends(100).reads(A, &[0]).drained();
    let judgement = judged(&scene);
    assert_eq!((judgement.findings.len(), judgement.findings_total), (1, 99));
    assert_eq!(judgement.findings[0].records.len(), 20);
    assert!(judgement.findings[0].summary.contains("and 98 more"));
}

#[test]
fn a_commit_beyond_an_unread_record_shows_where_it_was_passed() {
    let mut scene = Scene::new();
    scene.sends(2).copies(2).reads(A, &[0]);
    let (group, queue, partition) = (BILLING, Queue::Kafka, scene.partition);
    scene.event(OPERATOR, Event::Committed { group, queue, partition, offset: 2 });
    let mut crossed = scene.clone();
    crossed.with(BILLING, TopicPartition::new(0, 1)).send((0, 2), 0).read_copy(A, (0, 2), 0, 0);
    crossed.quiet().end(EndReason::TimeBudget);
    assert_eq!(lost(&crossed).0, ["lost_before_the_prepared_offset_records"]);
    // While the group still reads Corgi, an offset in Kafka has passed nothing over.
    scene.quiet().end(EndReason::TimeBudget);
    assert_eq!(judged(&scene).verdict, Verdict::Unknown);
}

#[test]
fn a_delivery_that_was_not_committed_is_pending_when_the_time_runs_out() {
    for (committed, expected) in [(1, Verdict::Unknown), (2, Verdict::Violated)] {
        let mut scene = Scene::new();
        scene.sends(2).reads(A, &[0]).deliver(A, (0, 1), Queue::Corgi, 1);
        let (group, queue, partition) = (BILLING, Queue::Corgi, scene.partition);
        scene.event(A, Event::Committed { group, queue, partition, offset: committed });
        scene.quiet().end(EndReason::TimeBudget);
        assert_eq!(judged(&scene).verdict, expected);
    }
}

/// A group that reads from Corgi, and one record that Corgi has and one that was sent to Kafka.
fn one_in_each_queue() -> Scene {
    let mut scene = Scene::new();
    scene.sends(1).reads(A, &[0]).invoke((0, 1)).acknowledge((0, 1), Queue::Kafka, 0);
    scene
}

fn copy_back(scene: &mut Scene, record: (u32, u32), from: Offset, to: Offset) {
    let (source, target) = (scene.partition, scene.partition);
    let record = id(record);
    scene.event(MIRROR, Event::CopiedBack { record, source, source_offset: from, target, target_offset: to });
}

#[test]
fn what_nothing_brings_back_to_a_group_on_corgi_is_lost_when_the_plan_is_through() {
    let mut scene = one_in_each_queue();
    scene.event(A, Event::PlanCompleted).quiet().end(EndReason::TimeBudget);
    let (place, summary) = lost(&scene);
    assert_eq!(place, ["lost_only_in_kafka_records"]);
    assert!(summary.contains("no reverse mirror brings it back"), "{summary}");
    // The plan may still switch the group.
    let mut scene = one_in_each_queue();
    scene.quiet().end(EndReason::TimeBudget);
    assert_eq!(judged(&scene).verdict, Verdict::Unknown);
    // It has a partition of Kafka's already.
    let mut scene = one_in_each_queue();
    let (group, queue, partitions) = (scene.group, Queue::Kafka, vec![scene.partition]);
    scene.event(A, Event::Granted { group, queue, partitions });
    scene.event(A, Event::PlanCompleted).quiet().end(EndReason::TimeBudget);
    assert_eq!(judged(&scene).verdict, Verdict::Unknown);
    // It is a member of the group there, and has nothing to begin with.
    let mut scene = one_in_each_queue();
    let group = scene.group;
    scene.event(C, Event::Rebalanced { group, generation: 1, members: 1 });
    scene.event(A, Event::PlanCompleted).quiet().end(EndReason::TimeBudget);
    assert_eq!(judged(&scene).verdict, Verdict::Unknown);
}

#[test]
fn a_reverse_mirror_that_runs_may_still_bring_it_unless_it_went_beyond() {
    let running = || {
        let mut scene = one_in_each_queue();
        scene.act(Act::StartReverseMirror).event(A, Event::PlanCompleted);
        scene
    };
    let mut scene = running();
    scene.quiet().end(EndReason::TimeBudget);
    assert_eq!(judged(&scene).verdict, Verdict::Unknown);
    let mut scene = running();
    let source = scene.partition;
    scene.event(MIRROR, Event::CommittedBack { source, offset: 1 }).quiet().end(EndReason::TimeBudget);
    assert!(lost(&scene).1.contains("committed beyond it"));
    let mut scene = running();
    scene.invoke((0, 2)).acknowledge((0, 2), Queue::Kafka, 1);
    copy_back(&mut scene, (0, 2), 1, 1);
    scene.event(MIRROR, Event::CommittedBack { source, offset: 2 }).quiet().end(EndReason::TimeBudget);
    assert!(lost(&scene).1.contains("began behind it, at offset 1"), "{}", lost(&scene).1);
    let mut scene = running();
    scene.event(MIRROR, Event::SkippedBack { record: id((0, 1)), source, source_offset: 0 });
    scene.quiet().end(EndReason::TimeBudget);
    assert!(lost(&scene).1.contains("gave it up"));
}

#[test]
fn what_was_brought_back_is_found_in_corgi() {
    let mut scene = one_in_each_queue();
    scene.act(Act::StartReverseMirror).event(A, Event::PlanCompleted);
    copy_back(&mut scene, (0, 1), 0, 1);
    scene.deliver_copy(A, (0, 1), Queue::Corgi, 1, 0).process(A, (0, 1)).drained();
    assert_eq!(judged(&scene).verdict, Verdict::Held);
    let mut scene = one_in_each_queue();
    scene.act(Act::StartReverseMirror).event(A, Event::PlanCompleted);
    copy_back(&mut scene, (0, 1), 0, 1);
    scene.leads(B, Queue::Corgi, 1).quiet().end(EndReason::TimeBudget);
    assert_eq!(lost(&scene).0, ["lost_truncated_from_corgi_records"]);
}

fn disk_lost(scene: &mut Scene, queue: Queue, from: Offset, to: Offset) {
    let partitions = vec![(scene.partition, from, to)];
    scene.event(B, Event::DiskLost { queue, partitions });
}

#[test]
fn what_the_only_copys_disk_lost_is_lost_for_good_unless_the_next_leader_has_it() {
    for (queue, name) in [
        (Queue::Corgi, "lost_truncated_from_corgi_records"),
        (Queue::Kafka, "lost_truncated_from_kafka_records"),
    ] {
        let begun = || {
            let mut scene = Scene::new();
            scene.leads(B, queue, 0).invoke((0, 0)).acknowledge((0, 0), queue, 0);
            scene.deliver(A, (0, 0), queue, 0).process(A, (0, 0));
            scene.invoke((0, 1)).acknowledge((0, 1), queue, 1);
            disk_lost(&mut scene, queue, 2, 0);
            scene
        };
        let mut scene = begun();
        scene.leads(B, queue, 0).quiet().end(EndReason::TimeBudget);
        let (place, summary) = lost(&scene);
        assert_eq!(place, [name]);
        assert!(summary.contains("the disk of billing-2 had lost it"), "{summary}");
        let mut scene = begun();
        scene.leads(C, queue, 2).quiet().end(EndReason::TimeBudget);
        assert_eq!(judged(&scene).verdict, Verdict::Unknown, "a follower has it");
    }
}

/// The group has read three records of one master when another takes over that has one of them, and takes a new record at an
/// offset that the group has read beyond; it goes on from where it was.
fn a_reader_beyond_the_end() -> Scene {
    let mut scene = Scene::new();
    scene.leads(B, Queue::Corgi, 0).sends(3).reads(A, &[0, 1, 2]).leads(C, Queue::Corgi, 1);
    scene.send((1, 0), 1);
    let (queue, partition) = (Queue::Corgi, scene.partition);
    scene.event(B, Event::Truncated { queue, partition, from: 3, to: 1 });
    scene
}

#[test]
fn a_record_at_an_offset_that_is_given_out_again_is_not_what_the_old_master_cut_off() {
    let mut scene = a_reader_beyond_the_end();
    scene.send((1, 1), 3).read(A, (1, 1), 3).quiet().end(EndReason::TimeBudget);
    let (place, summary) = lost(&scene);
    assert_eq!(place, ["lost_behind_the_reader_in_corgi_records"]);
    assert!(summary.contains("while the group stood at offset 3 already"), "{summary}");
    // It comes back to the end of the new log: then it is only late.
    let mut scene = a_reader_beyond_the_end();
    scene.read(A, (1, 0), 1).send((1, 1), 3).read(A, (1, 1), 3).quiet().end(EndReason::TimeBudget);
    assert_eq!(judged(&scene).verdict, Verdict::Held);
    // Nobody has read anything of the new master's: it may still come.
    let mut scene = a_reader_beyond_the_end();
    scene.quiet().end(EndReason::TimeBudget);
    assert_eq!(judged(&scene).verdict, Verdict::Unknown);
}

#[test]
fn what_a_group_passed_in_corgi_is_lost_there_whatever_became_of_its_copy() {
    let mut scene = a_reader_beyond_the_end();
    scene.send((1, 1), 3).read(A, (1, 1), 3).copy((1, 0), 1, 0).copy((1, 1), 3, 1);
    scene.read_copy(A, (1, 1), 1, 3).quiet().end(EndReason::TimeBudget);
    assert_eq!(lost(&scene).0, ["lost_behind_the_reader_in_corgi_records"]);
}
