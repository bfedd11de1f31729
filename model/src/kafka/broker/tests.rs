//! Dialogues with a small cluster: replication, failover, idempotence, reading.

use crate::kafka::harness::{World, fetch_request};
use crate::kafka::protocol::{Acks, ErrorCode, ProducerId, ProducerStamp, Request, Response};
use crate::record::{Offset, TopicPartition};
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
fn what_a_disk_lost_is_told_at_the_next_start_and_once() {
    use crate::history::Event;
    use crate::incident::DiskLoss;
    use crate::record::Queue;
    let losses = |events: &[Event]| -> Vec<usize> {
        let lost = |event: &Event| matches!(event, Event::DiskLost { .. });
        (0..events.len()).filter(|place| lost(&events[*place])).collect()
    };
    let mut world = World::new(World::quick(), 1);
    world.produce(1, 0, Acks::Leader);
    world.kill(1);
    world.lose(1, DiskLoss::Everything);
    world.start(1);
    world.run_for(Span::secs(4));
    let partitions = vec![(TopicPartition::new(0, 0), 1, 0)];
    let [place] = losses(&world.events)[..] else { panic!("{:?}", world.events) };
    assert_eq!(world.events[place], Event::DiskLost { queue: Queue::Kafka, partitions });
    // A process that dies leaves the disk alone, and what was told is not told again.
    world.kill(1);
    world.start(1);
    world.run_for(Span::secs(4));
    assert_eq!(losses(&world.events).len(), 1);
}

#[test]
fn a_thawed_leader_answers_what_waited_before_it_learns_of_its_successor() {
    let mut world = world();
    world.produce(1, 0, Acks::All);
    world.freeze(1);
    let batches = vec![world.batch(0, 1, None)];
    let one = world.send(
        1,
        Request::Produce { acks: Acks::Leader, timeout: Span::secs(30), transaction: None, batches },
    );
    let batches = vec![world.batch(0, 1, None)];
    let all = world
        .send(1, Request::Produce { acks: Acks::All, timeout: Span::secs(30), transaction: None, batches });
    world.run_for(Span::secs(4));
    assert_eq!(world.produce(2, 0, Acks::All), (ErrorCode::None, 1));
    world.thaw(1);
    world.run_for(Span::secs(2));
    let Some(Response::Produce { partitions, .. }) = world.answer(one) else { panic!("no answer") };
    assert_eq!((partitions[0].1, partitions[0].2), (ErrorCode::None, 1));
    let Some(Response::Produce { partitions, .. }) = world.answer(all) else { panic!("no answer") };
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
    let Some(Response::Fetch { partitions, .. }) = world.answer(id) else { panic!("no answer") };
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
/// One run under noise: messages are lost and delivered twice, brokers are killed and frozen one at a time. What was
/// acknowledged must be where it was said to be, on every replica.
fn storm(seed: u64) {
    let mut world = World::new(World::quick(), 3);
    world.noise = Some(seed);
    let mut waiting = Vec::new();
    let mut acknowledged = Vec::new();
    let mut down: Option<(u32, bool)> = None;
    for round in 0..120u32 {
        let partition = (round % 3) as u16;
        for node in 1..=3 {
            let batches = vec![world.batch(partition, 1, None)];
            let sequence = batches[0].records[0].id.sequence;
            let request =
                Request::Produce { acks: Acks::All, timeout: Span::secs(5), transaction: None, batches };
            waiting.push((world.send(node, request), partition, sequence));
        }
        world.run_for(Span::millis(400));
        let draw = world.draw(10);
        match down {
            None if draw == 0 => {
                let node = 1 + world.draw(3) as u32;
                world.kill(node);
                down = Some((node, true));
            }
            None if draw == 1 => {
                let node = 1 + world.draw(3) as u32;
                world.freeze(node);
                down = Some((node, false));
            }
            Some((node, killed)) if draw == 2 => {
                if killed {
                    world.start(node)
                } else {
                    world.thaw(node)
                }
                down = None;
            }
            _ => {}
        }
        waiting.retain(|(id, partition, sequence)| match world.answer(*id) {
            Some(Response::Produce { partitions, .. }) => {
                if partitions[0].1 == ErrorCode::None {
                    acknowledged.push((*partition, partitions[0].2, *sequence));
                }
                false
            }
            _ => true,
        });
    }
    world.noise = None;
    match down {
        Some((node, true)) => world.start(node),
        Some((node, false)) => world.thaw(node),
        None => {}
    }
    world.run_for(Span::secs(60));
    assert!(acknowledged.len() > 5, "seed {seed}: only {} acknowledged", acknowledged.len());
    for partition in 0..3 {
        let (_, _, isr) = world.leader(1, partition);
        assert_eq!(isr, vec![1, 2, 3], "seed {seed}: partition {partition}");
        let logs: Vec<_> = (1..=3).map(|node| world.fetch(node, partition, 0)).collect();
        assert_eq!(logs[0], logs[1], "seed {seed}: partition {partition}");
        assert_eq!(logs[0], logs[2], "seed {seed}: partition {partition}");
        for (_, offset, sequence) in acknowledged.iter().filter(|found| found.0 == partition) {
            let found = logs[0].2.get(*offset as usize);
            assert_eq!(found, Some(sequence), "seed {seed}: partition {partition} offset {offset}");
        }
    }
}

#[test]
fn what_was_acknowledged_by_all_survives_storms() {
    for seed in 1..=60 {
        storm(seed);
    }
}

#[test]
fn a_controller_that_stood_still_does_not_take_the_brokers_for_dead() {
    let mut world = world();
    world.freeze(0);
    world.run_for(Span::secs(10));
    world.thaw(0);
    world.run_for(Span::secs(5));
    assert_eq!(world.leader(2, 0), (Some(1), 0, vec![1, 2, 3]));
}

#[test]
fn an_error_closes_the_connection_of_a_producer_that_waits_for_no_answer() {
    let mut world = world();
    for (node, closed) in [(1, 0), (2, 1)] {
        let batches = vec![world.batch(0, 1, None)];
        let request =
            Request::Produce { acks: Acks::None, timeout: Span::secs(1), transaction: None, batches };
        let id = world.send(node, request);
        world.run_for(Span::secs(1));
        assert_eq!((world.answer(id), world.closed), (None, closed));
    }
}

#[test]
fn a_batch_is_sent_whole_to_a_reader_in_its_middle() {
    let mut world = world();
    let batches = vec![world.batch(0, 3, None)];
    assert_eq!(world.produce_batches(1, Acks::All, batches), (ErrorCode::None, 0));
    assert_eq!(world.fetch(1, 0, 2).2.len(), 3);
}

/// KIP-207: a new leader does not say where the log ends before it knows how far its predecessor was acknowledged.
#[test]
fn a_new_leader_that_lags_behind_its_own_log_says_so() {
    let mut world = World::new(World::quick(), 1);
    world.run_for(Span::secs(1));
    assert_eq!(world.leader(2, 0).0, Some(1));
    world.freeze(3);
    assert_eq!(world.produce(1, 0, Acks::Leader), (ErrorCode::None, 0));
    world.run_for(Span::millis(10));
    world.kill(1);
    let mut errors = std::collections::BTreeSet::new();
    for _ in 0..40 {
        world.run_for(Span::millis(200));
        if world.leader(2, 0).0 == Some(2) {
            errors.insert(latest(&mut world, 2));
        }
    }
    assert_eq!(errors.into_iter().collect::<Vec<_>>(), [(ErrorCode::OffsetNotAvailable, -1)]);
    world.thaw(3);
    world.run_for(Span::secs(5));
    assert_eq!(latest(&mut world, 2), (ErrorCode::None, 1));
}

fn latest(world: &mut World, node: u32) -> (ErrorCode, Offset) {
    let asked = (TopicPartition::new(0, 0), -1, crate::kafka::protocol::OffsetAt::Latest);
    let request = Request::ListOffsets {
        isolation: crate::kafka::protocol::Isolation::ReadUncommitted,
        partitions: vec![asked],
    };
    match world.ask(node, request) {
        Response::ListOffsets { partitions } => (partitions[0].1, partitions[0].2),
        other => panic!("{other:?}"),
    }
}
