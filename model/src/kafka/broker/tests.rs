//! Dialogues with a small cluster: replication, failover, idempotence, reading.

use crate::kafka::harness::{World, fetch_request};
use crate::kafka::protocol::{Acks, ErrorCode, ProducerId, ProducerStamp, Response};
use crate::units::Span;

fn world() -> World {
    World::new(World::quick(), 3)
}

fn stamp(base_sequence: i32) -> Option<ProducerStamp> {
    Some(ProducerStamp { id: ProducerId(7), epoch: 0, base_sequence, transactional: false })
}

#[test]
fn a_batch_is_acknowledged_when_all_have_it_and_can_be_read_from_each() {
    let mut world = world();
    assert_eq!(world.leader(1, 0), (Some(1), 0, vec![1, 2, 3]));
    assert_eq!(world.produce(1, 0, Acks::All), (ErrorCode::None, 0));
    assert_eq!(world.produce(1, 0, Acks::Leader), (ErrorCode::None, 1));
    assert_eq!(world.produce(2, 0, Acks::All), (ErrorCode::NotLeaderOrFollower, -1));
    world.run_for(Span::secs(1));
    for node in [1, 2, 3] {
        assert_eq!(world.fetch(node, 0, 0), (ErrorCode::None, 2, vec![1, 2]), "from broker {node}");
    }
}

#[test]
fn a_killed_leader_is_replaced_after_the_session_and_comes_back_as_a_follower() {
    let mut world = world();
    world.produce(1, 0, Acks::All);
    world.kill(1);
    world.run_for(Span::millis(2_000));
    assert_eq!(world.leader(2, 0).0, Some(1), "the session still lasts");
    world.run_for(Span::millis(1_000));
    assert_eq!(world.leader(2, 0), (Some(2), 1, vec![2, 3]));
    assert_eq!(world.produce(2, 0, Acks::All), (ErrorCode::None, 1));
    world.start(1);
    world.run_for(Span::secs(3));
    assert_eq!(world.leader(2, 0), (Some(2), 1, vec![1, 2, 3]));
    assert_eq!(world.fetch(1, 0, 0).2.len(), 2);
}

#[test]
fn what_only_a_killed_leader_had_is_cut_off_and_its_offsets_are_used_again() {
    let mut world = world();
    world.produce(1, 0, Acks::All);
    world.freeze(2);
    world.freeze(3);
    world.run_for(Span::millis(300));
    assert_eq!(world.produce(1, 0, Acks::Leader), (ErrorCode::None, 1));
    assert_eq!(world.produce(1, 0, Acks::Leader), (ErrorCode::None, 2));
    world.kill(1);
    world.thaw(2);
    world.thaw(3);
    world.run_for(Span::secs(4));
    assert_eq!(world.leader(2, 0), (Some(2), 1, vec![2, 3]));
    assert_eq!(world.produce(2, 0, Acks::All), (ErrorCode::None, 1));
    world.start(1);
    world.run_for(Span::secs(3));
    let (error, high_watermark, records) = world.fetch(1, 0, 0);
    assert_eq!((error, high_watermark, records), (ErrorCode::None, 2, vec![1, 4]));
    assert!(
        world
            .events
            .iter()
            .any(|event| matches!(event, crate::history::Event::Truncated { from: 3, to: 1, .. }))
    );
}

#[test]
fn a_thawed_leader_answers_what_waited_before_it_learns_of_its_successor() {
    let mut world = world();
    world.produce(1, 0, Acks::All);
    world.freeze(1);
    let batches = vec![world.batch(0, 1, None)];
    let one = world.send(
        1,
        crate::kafka::protocol::Request::Produce {
            acks: Acks::Leader,
            timeout: Span::secs(30),
            transaction: None,
            batches,
        },
    );
    let batches = vec![world.batch(0, 1, None)];
    let all = world.send(
        1,
        crate::kafka::protocol::Request::Produce {
            acks: Acks::All,
            timeout: Span::secs(30),
            transaction: None,
            batches,
        },
    );
    world.run_for(Span::secs(4));
    assert_eq!(world.produce(2, 0, Acks::All), (ErrorCode::None, 1));
    world.thaw(1);
    world.run_for(Span::secs(2));
    let Some(Response::Produce { partitions }) = world.answer(one) else { panic!("no answer") };
    assert_eq!((partitions[0].1, partitions[0].2), (ErrorCode::None, 1));
    let Some(Response::Produce { partitions }) = world.answer(all) else { panic!("no answer") };
    assert_eq!((partitions[0].1, partitions[0].2), (ErrorCode::NotLeaderOrFollower, 2));
    assert_eq!(world.fetch(1, 0, 0).2, vec![1, 4], "what it accepted is gone");
}

#[test]
fn a_lagging_follower_leaves_the_isr_and_comes_back() {
    let mut world = world();
    world.freeze(3);
    world.run_for(Span::secs(4));
    assert_eq!(world.leader(1, 0), (Some(1), 0, vec![1, 2]));
    world.freeze(2);
    world.run_for(Span::secs(4));
    assert_eq!(world.produce(1, 0, Acks::All), (ErrorCode::NotEnoughReplicas, -1));
    assert_eq!(world.produce(1, 0, Acks::Leader), (ErrorCode::None, 0));
    assert_eq!(world.fetch(1, 0, 0).1, 0, "below the minimum the high watermark stands still");
    world.thaw(2);
    world.thaw(3);
    world.run_for(Span::secs(3));
    assert_eq!(world.leader(1, 0), (Some(1), 0, vec![1, 2, 3]));
    assert_eq!(world.fetch(1, 0, 0).1, 1);
}

#[test]
fn a_batch_sent_again_is_not_appended_again_also_after_a_failover() {
    let mut world = world();
    for sequence in [0, 1, 1, 0] {
        let batches = vec![world.batch(0, 1, stamp(sequence))];
        let answer = world.produce_batches(1, Acks::All, batches);
        assert_eq!(answer, (ErrorCode::None, i64::from(sequence)));
    }
    let batches = vec![world.batch(0, 1, stamp(5))];
    assert_eq!(world.produce_batches(1, Acks::All, batches).0, ErrorCode::OutOfOrderSequenceNumber);
    world.kill(1);
    world.run_for(Span::secs(4));
    let batches = vec![world.batch(0, 1, stamp(1))];
    assert_eq!(world.produce_batches(2, Acks::All, batches), (ErrorCode::None, 1));
}

#[test]
fn a_fetch_waits_for_records_until_its_time_is_over() {
    let mut world = world();
    let id = world.send(1, fetch_request(0, 0, Span::secs(20)));
    world.run_for(Span::secs(1));
    assert_eq!(world.answer(id), None);
    world.produce(1, 0, Acks::All);
    world.run_for(Span::millis(10));
    assert!(world.answer(id).is_some());
    let id = world.send(1, fetch_request(0, 1, Span::secs(2)));
    world.run_for(Span::millis(2_100));
    let Some(Response::Fetch { partitions }) = world.answer(id) else { panic!("no answer") };
    assert_eq!((partitions[0].error, partitions[0].records.len()), (ErrorCode::None, 0));
}

#[test]
fn a_leader_that_is_stopped_hands_over_before_it_goes() {
    let mut world = world();
    world.produce(1, 0, Acks::All);
    world.terminate(1);
    world.run_for(Span::millis(1_000));
    assert!(!world.is_up(1));
    assert_eq!(world.leader(2, 0), (Some(2), 1, vec![2, 3]));
    assert_eq!(world.produce(2, 0, Acks::All), (ErrorCode::None, 1));
}

#[test]
fn the_cluster_outlives_its_controllers_restart() {
    let mut world = world();
    world.kill(0);
    world.run_for(Span::secs(5));
    assert_eq!(world.produce(1, 0, Acks::All), (ErrorCode::None, 0));
    world.start(0);
    world.run_for(Span::secs(5));
    assert_eq!(world.leader(2, 0), (Some(1), 0, vec![1, 2, 3]));
    world.kill(1);
    world.run_for(Span::secs(4));
    assert_eq!(world.leader(2, 0), (Some(2), 1, vec![2, 3]));
}

#[test]
fn an_idle_cluster_is_nearly_silent() {
    let mut world = World::new(Default::default(), 8);
    let before = world.steps;
    world.run_for(Span::secs(600));
    let steps = world.steps - before;
    assert!(steps < 25_000, "{steps} steps in ten minutes");
}
