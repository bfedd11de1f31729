//! What befalls Corgi's nodes from outside: disks that are replaced, hosts that die, disks that are full, a switch-over
//! that somebody orders.

use super::broker::Broker;
use super::harness::*;
use super::protocol::Request;
use super::settings::AfterDiskLoss;
use super::wiring::Topic;
use super::{Settings, Wiring};
use crate::incident::{DiskLoss, Incident};
use crate::machine::{Effects, Input, Machine, Now, RequestId};
use crate::message::Message;
use crate::record::{Record, TopicId, TopicPartition};
use crate::units::Span;

fn assert_sound(world: &World) {
    assert_eq!(world.lost(), [], "lost");
    assert_eq!(world.reordered(), [], "reordered");
    assert_eq!(world.seen.overlaps, [], "held by two");
    assert_eq!(world.seen.acknowledged.len(), world.seen.sent.len());
}

fn careless() -> Setup {
    let mut setup = Setup::default();
    setup.settings.after_disk_loss = AfterDiskLoss::Serve;
    setup
}

/// A broker's host dies after half a minute, loses that of its disk, and is back ten seconds later: before the on-call
/// has decided anything.
fn with_loss(setup: &Setup, node: crate::record::NodeId, loss: DiskLoss) -> World {
    let mut world = World::new(setup);
    world.run(at(30) + Span::millis(100));
    world.lose(node, loss);
    world.run(at(40));
    world.start(node);
    world.run(at(300));
    world
}

#[test]
fn an_emptied_master_does_not_serve_and_is_filled_from_its_successor() {
    let world = with_loss(&Setup::default(), BROKERS[0], DiskLoss::Everything);
    assert_sound(&world);
    assert_eq!(world.seen.masters.len(), 1, "the on-call does not wait for a master that is none any more");
    assert!(world.seen.masters[0].0 < at(55), "{}", world.seen.masters[0].0);
    assert!(!world.broker(BROKERS[0]).is_master());
    assert_eq!(world.broker(BROKERS[0]).log(), world.broker(world.seen.masters[0].1).log());
    let (node, _, from, to) = world.seen.disk_lost[0];
    assert!(node == BROKERS[0] && from > 50 && to == 0);
    assert_eq!(world.seen.disk_lost.len(), 4);
}

#[test]
fn an_emptied_slave_is_filled_from_its_master() {
    let world = with_loss(&Setup::default(), BROKERS[1], DiskLoss::Everything);
    assert_sound(&world);
    assert_eq!(world.seen.masters, []);
    assert_eq!(world.broker(BROKERS[1]).log(), world.broker(BROKERS[0]).log());
}

#[test]
fn an_emptied_master_that_serves_loses_everything_and_uses_offsets_again() {
    let world = with_loss(&careless(), BROKERS[0], DiskLoss::Everything);
    assert!(world.broker(BROKERS[0]).is_master());
    let kept = world.broker(BROKERS[0]).log().end();
    assert!(kept + 200 < world.seen.acknowledged.len() as u64, "{kept} of {}", world.seen.acknowledged.len());
    let others: Vec<_> = BROKERS[1..].iter().map(|node| world.broker(*node).log()).collect();
    assert_eq!(
        others,
        [world.broker(BROKERS[0]).log(); 2],
        "the slaves cut their logs to what the master has"
    );
    let (mut offsets, mut again) = (std::collections::BTreeSet::new(), 0);
    for (_, _, partition, offset, _) in &world.seen.delivered {
        again += usize::from(!offsets.insert((*partition, *offset)));
    }
    assert!(again > 100, "offsets that were given to two records: {again}");
}

/// The master's host dies 100 ms after it has stored records, which are on its slaves.
#[test]
fn a_masters_unwritten_tail_is_on_its_slaves_and_one_of_them_is_promoted() {
    let world = with_loss(&Setup::default(), BROKERS[0], DiskLoss::UnsyncedTail);
    assert_sound(&world);
    assert_eq!(world.seen.masters.len(), 1);
    assert!(world.seen.disk_lost.iter().any(|(node, ..)| *node == BROKERS[0]), "{:?}", world.seen.disk_lost);
    assert_eq!(world.broker(BROKERS[0]).log(), world.broker(world.seen.masters[0].1).log());
}

/// e14: the same epoch, another history; nothing tells the slaves.
#[test]
fn a_master_that_goes_on_without_its_unwritten_tail_loses_it() {
    let mut world = World::new(&careless());
    world.run(at(30) + Span::millis(100));
    let before = world.broker(BROKERS[1]).log().end();
    world.lose(BROKERS[0], DiskLoss::UnsyncedTail);
    let after = world.broker(BROKERS[0]).log().end();
    assert!(after < before && after + 8 >= before, "{after} of {before}");
    world.start(BROKERS[0]);
    world.run(at(300));
    assert_eq!(world.seen.masters, []);
    let stored = world.broker(BROKERS[0]).log().from(0, usize::MAX);
    let kept = |id| stored.iter().any(|entry| entry.record.id == id);
    let gone = world.seen.acknowledged.keys().filter(|id| !kept(**id)).count() as u64;
    assert_eq!(gone, before - after, "acknowledged, and not in the master's log");
}

#[test]
fn what_is_flushed_before_it_is_acknowledged_is_never_lost() {
    let mut setup = careless();
    setup.settings.flush_interval = Span::ZERO;
    let world = with_loss(&setup, BROKERS[0], DiskLoss::UnsyncedTail);
    assert_sound(&world);
    assert_eq!((world.seen.masters, world.seen.disk_lost), (vec![], vec![]));
}

#[test]
fn a_tail_is_on_the_platter_after_the_flush_interval() {
    let mut world = World::new(&Setup { until: at(20), ..Setup::default() });
    world.run(at(40));
    let before = world.broker(BROKERS[0]).log().end();
    world.lose(BROKERS[0], DiskLoss::UnsyncedTail);
    assert_eq!(world.broker(BROKERS[0]).log().end(), before);
}

/// Nobody asks the broker for anything, and no timer of its own runs out in between.
#[test]
fn a_tail_is_on_the_platter_also_where_nothing_came_since() {
    for (after, kept) in [(Span::millis(499), 0), (Span::millis(500), 1)] {
        let wiring = Wiring { sets: vec![BROKERS.to_vec()], ..Wiring::default() };
        let wiring = Wiring { topics: vec![Topic::spread(TopicId(0), 1, 1)], ..wiring };
        let mut broker = Broker::new(Settings::default(), wiring, 0, 0);
        let mut effects = Effects::default();
        broker.step(Now::exact(at(0)), Input::Start { incarnation: 1 }, &mut effects);
        let send = Request::Send { partition: TopicPartition::new(0, 0), records: vec![Record::default()] };
        let message = Message::CorgiRequest(RequestId::default(), Box::new(send));
        broker.step(Now::exact(at(1)), Input::Message { from: PRODUCER, message }, &mut effects);
        broker.crash();
        broker.lose(Now::exact(at(1) + after), DiskLoss::UnsyncedTail);
        assert_eq!(broker.log().end(), kept, "{after} after the record came");
    }
}

#[test]
fn a_full_disk_at_the_master_refuses_sends_and_serves_readers() {
    let mut world = World::new(&Setup::default());
    world.run(at(30));
    world.befall(BROKERS[0], Incident::DiskFilled);
    world.run(at(60));
    let stored = world.broker(BROKERS[0]).log().end();
    world.run(at(70));
    assert_eq!(world.broker(BROKERS[0]).log().end(), stored);
    world.befall(BROKERS[0], Incident::DiskFreed);
    world.run(at(300));
    assert_sound(&world);
    assert_eq!(world.seen.delivered.len(), world.seen.sent.len(), "a refused send is not stored");
    assert!(world.longest_write_gap() > Span::secs(35), "{}", world.longest_write_gap());
}

#[test]
fn a_full_disk_at_a_slave_stops_its_acknowledgements_and_is_caught_up() {
    let mut setup = Setup::default();
    setup.settings.replication = super::settings::Replication::Both;
    let mut world = World::new(&setup);
    world.run(at(30));
    world.befall(BROKERS[1], Incident::DiskFilled);
    world.run(at(60));
    assert!(world.broker(BROKERS[1]).log().end() + 8 < world.broker(BROKERS[0]).log().end());
    world.befall(BROKERS[1], Incident::DiskFreed);
    world.run(at(300));
    assert_sound(&world);
    assert!(world.longest_write_gap() > Span::secs(25), "{}", world.longest_write_gap());
    assert_eq!(world.broker(BROKERS[1]).log(), world.broker(BROKERS[0]).log());
}

#[test]
fn an_ordered_switch_over_moves_a_healthy_set_without_loss() {
    for fence in [true, false] {
        let mut setup = Setup::default();
        setup.settings.on_call.fence = fence;
        let mut world = World::new(&setup);
        world.run(at(30));
        world.befall(ON_CALL, Incident::FailOver { set: 0 });
        world.befall(ON_CALL, Incident::FailOver { set: 7 });
        world.run(at(300));
        assert_eq!(world.seen.masters.len(), 1);
        assert!(world.seen.masters[0].0 < at(31));
        assert!(!world.broker(BROKERS[0]).is_master());
        if fence {
            assert_sound(&world);
        }
    }
}

#[test]
fn an_ordered_switch_over_waits_for_both_slaves() {
    let mut world = World::new(&Setup::default());
    world.run(at(30));
    world.crash(BROKERS[2]);
    world.befall(ON_CALL, Incident::FailOver { set: 0 });
    world.run(at(90));
    assert_eq!(world.seen.masters, []);
    world.start(BROKERS[2]);
    world.run(at(300));
    assert_eq!(world.seen.masters.len(), 1);
    assert_sound(&world);
}
