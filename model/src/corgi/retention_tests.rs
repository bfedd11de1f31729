//! What is deleted from Corgi's logs, and who notices.

use super::harness::*;
use super::settings::{Fill, Hours};
use crate::incident::{DiskLoss, Incident};
use crate::record::{Offset, TopicPartition};
use crate::units::Span;

const PLACE: TopicPartition = TopicPartition::new(0, 0);

/// A file of forty entries takes five seconds to fill.
fn short_lived() -> Setup {
    let mut setup = Setup { consumers: 1, ..Setup::default() };
    setup.settings.retention.age = Some(Span::secs(20));
    setup.settings.retention.file_entries = 40;
    setup
}

fn starts(world: &World) -> Vec<Offset> {
    BROKERS.iter().map(|node| world.broker(*node).log().partition_start(PLACE)).collect()
}

#[test]
fn nothing_is_deleted_unless_it_is_asked_for() {
    let mut world = World::new(&Setup::default());
    world.run(at(200));
    assert_eq!(starts(&world), [0, 0, 0]);
}

#[test]
fn old_files_are_deleted_whole_but_for_the_last_and_nobody_is_asked() {
    let mut world = World::new(&short_lived());
    world.run(at(60));
    let start = starts(&world)[0];
    assert!(start > 40 && start % 10 == 0 && start < 90, "{start}");
    world.run(at(300));
    let end = world.broker(BROKERS[0]).log().partition_end(PLACE);
    assert!(
        starts(&world).iter().all(|start| *start < end && *start + 10 >= end),
        "{:?} {end}",
        starts(&world)
    );
    assert_eq!(world.lost(), [], "who keeps up loses nothing");
}

#[test]
fn a_reader_below_the_start_is_sent_to_it_without_a_word() {
    let mut world = World::new(&short_lived());
    world.run(at(20));
    world.crash(CONSUMERS[0]);
    world.run(at(100));
    world.start(CONSUMERS[0]);
    world.run(at(300));
    assert!(world.lost().len() > 100, "{}", world.lost().len());
    assert_eq!(world.reordered(), []);
}

#[test]
fn files_are_deleted_in_their_hours_only() {
    let mut setup = short_lived();
    setup.settings.retention.hours = Some(Hours { start: Span::secs(100), end: Span::secs(105) });
    let mut world = World::new(&setup);
    world.run(at(99));
    assert_eq!(starts(&world), [0, 0, 0]);
    world.run(at(110));
    let deleted = starts(&world);
    assert!(deleted.iter().all(|start| *start > 100), "{deleted:?}");
    world.run(at(200));
    assert_eq!(starts(&world), deleted);
}

#[test]
fn a_full_disk_is_relieved_of_its_oldest_file_where_that_is_allowed() {
    let mut setup = short_lived();
    setup.settings.retention.age = None;
    setup.settings.retention.when_full = true;
    let mut world = World::new(&setup);
    world.run(at(31));
    world.befall(BROKERS[0], Incident::DiskFilled);
    world.run(at(300));
    assert_eq!(starts(&world), [10, 0, 0]);
    assert!(world.longest_write_gap() < Span::secs(12), "{}", world.longest_write_gap());
    assert_eq!(world.lost(), []);
}

#[test]
fn an_emptied_slave_is_filled_from_where_its_master_begins() {
    let mut setup = Setup { until: at(400), ..short_lived() };
    setup.settings.retention.age = Some(Span::secs(150));
    let mut world = World::new(&setup);
    world.run(at(300));
    world.lose(BROKERS[1], DiskLoss::Everything);
    world.run(at(305));
    world.start(BROKERS[1]);
    world.run(at(306));
    assert!(starts(&world)[0] > 0);
    assert_eq!(starts(&world)[0], starts(&world)[1]);
    assert_eq!(world.broker(BROKERS[0]).log(), world.broker(BROKERS[1]).log());
    world.crash(BROKERS[0]);
    world.run(at(360));
    world.start(BROKERS[0]);
    world.run(at(600));
    assert_eq!((world.lost().len(), world.reordered().len()), (0, 0));
}

/// e16: it acknowledges, and it is no full copy.
#[test]
fn a_slave_that_is_filled_with_the_last_file_is_promoted_without_the_others() {
    let mut setup = Setup::default();
    setup.settings.fill = Fill::LastFile;
    setup.settings.retention.file_entries = 40;
    let mut world = World::new(&setup);
    world.run(at(100));
    world.lose(BROKERS[1], DiskLoss::Everything);
    world.run(at(105));
    world.start(BROKERS[1]);
    world.run(at(110));
    let start = starts(&world)[1];
    assert!(start > 180 && starts(&world)[0] == 0, "{start}");
    assert_eq!(world.broker(BROKERS[0]).log().end(), world.broker(BROKERS[1]).log().end());
    world.crash(BROKERS[0]);
    world.run(at(200));
    assert_eq!(world.seen.masters[0].1, BROKERS[1], "as fresh as the other by its length");
}
