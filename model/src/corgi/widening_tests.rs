//! A topic that is widened by hand in a small world: who learns it when, and what a failover hides.

use super::harness::*;
use crate::corgi::wiring::Topic;
use crate::incident::DiskLoss;
use crate::plan::Purpose;
use crate::record::{NodeId, TopicId, TopicPartition};
use crate::units::Time;

const NEW: TopicPartition = TopicPartition::new(0, 5);

/// When the first record of a partition was delivered.
fn first_delivery(world: &World, partition: TopicPartition) -> Option<Time> {
    world.seen.delivered.iter().find(|(_, _, of, ..)| *of == partition).map(|(at, ..)| *at)
}

fn acknowledged_in(world: &World, partition: TopicPartition) -> usize {
    world.seen.acknowledged.values().filter(|(of, _)| *of == partition).count()
}

fn others(than: NodeId) -> Vec<NodeId> {
    BROKERS.into_iter().filter(|broker| *broker != than).collect()
}

#[test]
fn clients_learn_of_new_partitions_when_they_ask_for_the_route_again_and_read_them_from_the_start() {
    let mut world = World::new(&Setup::default());
    world.run(at(40));
    world.widen(&BROKERS, 6);
    world.run(at(200));
    assert_eq!(world.lost(), []);
    assert_eq!(world.reordered(), []);
    assert_eq!(world.seen.overlaps, []);
    let acknowledged = acknowledged_in(&world, NEW);
    let delivered = world.seen.delivered.iter().filter(|(_, _, of, ..)| *of == NEW).count();
    assert!(
        acknowledged > 50 && delivered == acknowledged,
        "{acknowledged} acknowledged, {delivered} delivered"
    );
    let first = first_delivery(&world, NEW).unwrap();
    assert!(first > at(41) && first < at(40 + 50), "{first}");
    assert_eq!(CONSUMERS[..2].iter().map(|node| world.consumer_holds(*node)).collect::<Vec<_>>(), [3, 3]);
}

#[test]
fn a_widening_outlives_a_failover_and_a_restart_of_the_name_service() {
    let mut world = World::new(&Setup::default());
    world.run(at(20));
    world.widen(&BROKERS, 6);
    world.run(at(70));
    world.crash(BROKERS[0]);
    world.run(at(80));
    world.crash(NAME_SERVICE);
    world.run(at(85));
    world.start(NAME_SERVICE);
    world.run(at(300));
    assert_eq!(world.seen.masters.len(), 1);
    assert_eq!(world.lost(), []);
    assert_eq!(world.reordered(), []);
    assert_eq!(world.seen.overlaps, []);
    assert_eq!(world.seen.acknowledged.len(), world.seen.sent.len());
    assert_eq!(CONSUMERS[..2].iter().map(|node| world.consumer_holds(*node)).collect::<Vec<_>>(), [3, 3]);
}

#[test]
fn a_slave_that_is_promoted_without_the_shape_hides_the_new_partitions_until_they_are_made_again() {
    let settings = super::Settings {
        offset_copy_interval: crate::units::Span::secs(3_600),
        ..super::Settings::default()
    };
    let mut world = World::new(&Setup { settings, ..Setup::default() });
    world.run(at(20));
    world.widen(&BROKERS[..1], 6);
    world.run(at(80));
    let hidden = acknowledged_in(&world, NEW);
    assert!(hidden > 20, "{hidden}");
    world.crash(BROKERS[0]);
    world.run(at(200));
    let (_, master) = world.seen.masters[0];
    assert_eq!(acknowledged_in(&world, NEW), hidden);
    assert_eq!(CONSUMERS[..2].iter().map(|node| world.consumer_holds(*node)).collect::<Vec<_>>(), [2, 2]);
    let delivered = |world: &World| world.seen.delivered.iter().filter(|(_, _, of, ..)| *of == NEW).count();
    assert!(delivered(&world) <= hidden);
    world.widen(&others(BROKERS[0]), 6);
    world.run(at(300));
    assert!(world.broker(master).is_master());
    assert_eq!(CONSUMERS[..2].iter().map(|node| world.consumer_holds(*node)).collect::<Vec<_>>(), [3, 3]);
    assert_eq!(world.lost(), []);
    assert!(world.broker(master).log().partition_end(NEW) >= hidden as i64);
}

#[test]
fn a_slave_copies_the_shape_with_the_offsets() {
    let mut world = World::new(&Setup::default());
    world.run(at(20));
    // The master alone is told; within ten seconds the slaves have it too.
    world.widen(&BROKERS[..1], 6);
    world.run(at(60));
    world.crash(BROKERS[0]);
    world.run(at(300));
    assert_eq!(world.lost(), []);
    assert_eq!(world.seen.acknowledged.len(), world.seen.sent.len());
    assert!(acknowledged_in(&world, NEW) > 60);
}

#[test]
fn a_broker_with_an_empty_disk_learns_the_shape_from_its_master() {
    let mut world = World::new(&Setup::default());
    world.run(at(20));
    world.widen(&BROKERS, 6);
    world.run(at(30));
    world.lose(BROKERS[1], DiskLoss::Everything);
    world.run(at(32));
    world.start(BROKERS[1]);
    world.run(at(90));
    world.crash(BROKERS[2]);
    world.crash(BROKERS[0]);
    world.run(at(400));
    assert_eq!(acknowledged_in(&world, NEW), acknowledged_in(&world, TopicPartition::new(0, 4)));
}

/// Four partitions on the first set, and two more on the one that was added.
fn on_the_added_set() -> Topic {
    Topic::spread(TopicId(0), 4, 1).widened(6, &[1])
}

fn with_a_set_that_stands_by() -> World {
    let until = at(240);
    World::new(&Setup { standby: true, until, ..Setup::default() })
}

#[test]
fn a_set_that_joins_has_no_topic_until_one_is_made_on_it_and_is_failed_over_like_the_others() {
    let mut world = with_a_set_that_stands_by();
    world.run(at(40));
    assert_eq!(world.seen.masters, [], "nobody fails a set over that does not run");
    STANDBY.into_iter().for_each(|node| world.start(node));
    world.run(at(60));
    assert!(world.broker(STANDBY[0]).is_master());
    assert_eq!(world.broker(STANDBY[0]).log().end(), 0);
    let all: Vec<NodeId> = BROKERS.into_iter().chain(STANDBY).collect();
    world.tell_of(&all, &on_the_added_set());
    world.run(at(110));
    let before = acknowledged_in(&world, NEW);
    assert!(before > 0, "producers use it by now");
    assert!(world.broker(STANDBY[0]).log().partition_end(NEW) >= before as i64);
    assert_eq!(world.broker(BROKERS[0]).log().partition_end(NEW), 0);
    world.crash(STANDBY[0]);
    world.run(at(420));
    assert_eq!(world.seen.masters.len(), 1);
    assert!(STANDBY[1..].contains(&world.seen.masters[0].1));
    assert!(acknowledged_in(&world, NEW) > before);
    assert_eq!(world.lost(), []);
    assert_eq!(world.reordered(), []);
    assert_eq!(world.seen.overlaps, []);
    assert_eq!(world.seen.acknowledged.len(), world.seen.sent.len());
}

#[test]
fn a_topic_that_is_made_on_a_set_that_does_not_run_is_not_told_of() {
    let mut world = with_a_set_that_stands_by();
    world.run(at(20));
    world.tell_of(&BROKERS, &on_the_added_set());
    world.run(at(100));
    assert_eq!(acknowledged_in(&world, NEW), 0);
    STANDBY.into_iter().for_each(|node| world.start(node));
    world.run(at(110));
    world.tell_of(&STANDBY, &on_the_added_set());
    world.run(at(420));
    assert!(acknowledged_in(&world, NEW) > 0);
    assert_eq!(world.lost(), []);
}

fn narrowed(purposes: &[Purpose]) -> Topic {
    let topic = Topic::spread(TopicId(0), 4, 1);
    purposes.iter().fold(topic, |topic, purpose| topic.narrowed(2, *purpose))
}

const LAST: TopicPartition = TopicPartition::new(0, 3);

#[test]
fn a_topic_that_is_narrowed_for_writing_is_read_to_its_end_and_loses_nothing_when_it_is_narrowed_for_reading()
{
    let mut world = World::new(&Setup::default());
    world.run(at(30));
    world.tell_of(&BROKERS, &narrowed(&[Purpose::Writing]));
    world.run(at(62));
    let before = acknowledged_in(&world, LAST);
    world.run(at(100));
    assert_eq!(acknowledged_in(&world, LAST), before, "each producer knows it by now");
    assert_eq!(CONSUMERS[..2].iter().map(|node| world.consumer_holds(*node)).collect::<Vec<_>>(), [2, 2]);
    world.tell_of(&BROKERS, &narrowed(&[Purpose::Writing, Purpose::Reading]));
    world.run(at(300));
    assert_eq!(CONSUMERS[..2].iter().map(|node| world.consumer_holds(*node)).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(world.lost(), []);
    assert_eq!(world.seen.overlaps, []);
    assert_eq!(world.seen.acknowledged.len(), world.seen.sent.len());
}

/// "queueId[5] is illegal" (e9).
#[test]
fn what_is_left_in_partitions_that_are_not_read_any_more_is_hidden() {
    let mut world = World::new(&Setup::default());
    world.run(at(30));
    CONSUMERS[..2].iter().for_each(|node| world.crash(*node));
    world.run(at(40));
    let both = narrowed(&[Purpose::Writing, Purpose::Reading]);
    world.tell_of(&BROKERS, &both);
    CONSUMERS[..2].iter().for_each(|node| world.start(*node));
    world.run(at(300));
    let lost = world.lost();
    assert!(!lost.is_empty());
    assert!(world.broker(BROKERS[0]).log().partition_end(LAST) > 0, "it is in the log");
}
