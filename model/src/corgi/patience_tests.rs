//! Failovers in which somebody does not answer, or nobody has anything left: what the human on call does then.

use super::harness::*;
use super::settings::Promote;
use crate::incident::DiskLoss;
use crate::units::Span;

fn assert_sound(world: &World) {
    assert_eq!(world.lost(), [], "lost");
    assert_eq!(world.reordered(), [], "reordered");
    assert_eq!(world.seen.overlaps, [], "held by two");
}

/// A set whose master and one slave die, the other slave being what is left.
fn left_over(setup: &Setup) -> World {
    let mut world = World::new(setup);
    world.run(at(30));
    world.crash(BROKERS[0]);
    world.crash(BROKERS[1]);
    world.run(at(200));
    world
}

fn patient(secs: u64) -> Setup {
    let mut setup = Setup::default();
    setup.settings.on_call.patience = Some(Span::secs(secs));
    setup
}

#[test]
fn without_an_end_of_his_patience_he_waits_for_both_slaves() {
    assert_eq!(left_over(&Setup::default()).seen.masters, []);
}

#[test]
fn when_his_patience_is_over_he_promotes_what_is_left() {
    let mut world = left_over(&patient(20));
    let (promoted_at, master) = world.seen.masters[0];
    assert_eq!((world.seen.masters.len(), master), (1, BROKERS[2]));
    assert!(promoted_at > at(80) && promoted_at < at(100), "{promoted_at}");
    world.start(BROKERS[0]);
    world.start(BROKERS[1]);
    world.run(at(400));
    assert_sound(&world);
    assert_eq!(world.seen.masters.len(), 1);
    for node in BROKERS {
        assert_eq!(world.broker(node).log(), world.broker(BROKERS[2]).log());
    }
}

#[test]
fn when_his_patience_is_over_he_does_without_the_name_service() {
    for (setup, failovers) in [(Setup::default(), 0), (patient(20), 1)] {
        let mut world = World::new(&setup);
        world.run(at(30));
        world.crash(NAME_SERVICE);
        world.crash(BROKERS[0]);
        world.run(at(150));
        assert_eq!(world.seen.masters.len(), failovers);
        world.start(NAME_SERVICE);
        world.start(BROKERS[0]);
        world.run(at(400));
        assert_sound(&world);
    }
}

#[test]
fn his_patience_makes_no_failover_of_a_master_that_somebody_hears() {
    let mut world = World::new(&patient(5));
    world.run(at(30));
    world.cut(ON_CALL, BROKERS[0]);
    world.cut(ON_CALL, BROKERS[1]);
    world.cut(ON_CALL, NAME_SERVICE);
    world.run(at(150));
    assert_eq!(world.seen.masters, []);
}

/// The slave that he has chosen dies before it has heard of it.
#[test]
fn when_his_patience_is_over_he_chooses_another() {
    let mut world = World::new(&patient(20));
    world.run(at(30));
    world.crash(BROKERS[0]);
    while world.seen.masters.is_empty() {
        world.run(world.now + Span::micros(100));
        if world.broker(BROKERS[1]).epoch() > 1 && !world.broker(BROKERS[1]).is_master() {
            // It is fenced, and the order to be master is on its way.
            world.crash(BROKERS[1]);
        }
    }
    assert_eq!(world.seen.masters[0].1, BROKERS[2]);
    world.start(BROKERS[0]);
    world.start(BROKERS[1]);
    world.run(at(400));
    assert_sound(&world);
    assert_eq!(world.seen.masters.len(), 1);
}

/// Both slaves have new disks when the master's process dies, before they are filled.
fn with_empty_slaves(setup: &Setup) -> World {
    let mut world = World::new(setup);
    world.run(at(30));
    world.lose(BROKERS[1], DiskLoss::Everything);
    world.lose(BROKERS[2], DiskLoss::Everything);
    world.crash(BROKERS[0]);
    world.start(BROKERS[1]);
    world.start(BROKERS[2]);
    world.run(at(150));
    world
}

#[test]
fn an_empty_slave_is_not_promoted_while_he_knows_of_a_log_that_is_not() {
    let mut world = with_empty_slaves(&Setup::default());
    assert_eq!(world.seen.masters, []);
    world.start(BROKERS[0]);
    world.run(at(400));
    assert_sound(&world);
    assert_eq!(world.seen.masters.iter().map(|(_, node)| *node).collect::<Vec<_>>(), [BROKERS[0]]);
    for node in BROKERS {
        assert_eq!(world.broker(node).log(), world.broker(BROKERS[0]).log());
    }
}

#[test]
fn an_empty_slave_is_promoted_by_who_has_lost_his_patience_or_does_not_look() {
    let mut careless = Setup::default();
    careless.settings.on_call.promote = Promote::First;
    for setup in [patient(20), careless] {
        let world = with_empty_slaves(&setup);
        assert_eq!(world.seen.masters.len(), 1);
        assert_ne!(world.seen.masters[0].1, BROKERS[0]);
    }
}

/// A master that lost its disk says so at once, before its slaves were asked for anything.
#[test]
fn who_does_not_fence_tells_nobody_to_stop() {
    let mut setup = Setup::default();
    setup.settings.on_call.fence = false;
    let mut world = World::new(&setup);
    world.run(at(30));
    world.lose(BROKERS[0], DiskLoss::Everything);
    world.start(BROKERS[0]);
    world.pause(BROKERS[2]);
    world.run(at(45));
    assert_eq!(world.broker(BROKERS[1]).epoch(), 1, "asked for its length, and not told of another epoch");
    world.resume(BROKERS[2]);
    world.run(at(300));
    assert_eq!(world.seen.masters.len(), 1);
    assert_sound(&world);
}
