//! Whole failovers in a small world: what is lost, kept, shown and held by whom.

use super::harness::*;
use super::settings::{Promote, Replication, Visible};
use crate::client::Consumer;
use crate::client::corgi_producer_settings::Accept;
use crate::record::{Offset, TopicPartition};
use crate::units::Span;

/// Everything that a prudently run Corgi promises.
fn assert_sound(world: &World) {
    assert_eq!(world.lost(), [], "lost");
    assert_eq!(world.reordered(), [], "reordered");
    assert_eq!(world.seen.overlaps, [], "held by two");
}

#[test]
fn a_quiet_run_delivers_everything_once_and_in_order() {
    let mut world = World::new(&Setup::default());
    world.run(at(200));
    assert_eq!(world.seen.acknowledged.len(), world.seen.sent.len());
    assert_eq!(world.seen.delivered.len(), world.seen.sent.len());
    assert_eq!(world.seen.sent.len(), 4 * 239);
    assert_sound(&world);
    assert_eq!(CONSUMERS[..2].iter().map(|node| world.consumer_holds(*node)).collect::<Vec<_>>(), [2, 2]);
    for node in BROKERS {
        assert_eq!(world.broker(node).log(), world.broker(BROKERS[0]).log());
    }
}

#[test]
fn an_idle_corgi_is_cheap() {
    let mut world = World::new(&Setup { until: at(0), ..Setup::default() });
    world.run(at(600));
    assert!(world.steps < 6_000, "{} steps in ten idle minutes", world.steps);
}

#[test]
fn a_dead_master_is_replaced_by_hand_without_loss() {
    let mut world = World::new(&Setup::default());
    world.run(at(30));
    world.crash(BROKERS[0]);
    world.run(at(90));
    world.start(BROKERS[0]);
    world.run(at(300));
    assert_sound(&world);
    assert_eq!(world.seen.masters.len(), 1);
    assert!(!world.broker(BROKERS[0]).is_master());
    assert_eq!(world.broker(BROKERS[0]).log(), world.broker(world.seen.masters[0].1).log());
    assert_eq!(world.seen.acknowledged.len(), world.seen.sent.len());
    let gap = world.longest_write_gap();
    assert!(gap > Span::secs(30) && gap < Span::secs(50), "{gap}");
}

#[test]
fn a_master_that_is_back_before_the_decision_stays_master() {
    let mut world = World::new(&Setup::default());
    world.run(at(30));
    world.crash(BROKERS[0]);
    world.run(at(50));
    world.start(BROKERS[0]);
    world.run(at(300));
    assert_sound(&world);
    assert_eq!(world.seen.masters, []);
    assert_eq!(world.seen.acknowledged.len(), world.seen.sent.len());
}

#[test]
fn a_frozen_masters_late_stores_are_cut_off_at_its_return() {
    let mut world = World::new(&Setup::default());
    world.run(at(30));
    world.pause(BROKERS[0]);
    world.run(at(90));
    world.resume(BROKERS[0]);
    world.run(at(300));
    assert_sound(&world);
    assert_eq!(world.seen.masters.len(), 1);
    assert_eq!(world.broker(BROKERS[0]).log(), world.broker(world.seen.masters[0].1).log());
}

#[test]
fn the_on_calls_own_broken_link_makes_no_failover() {
    let mut world = World::new(&Setup::default());
    world.run(at(30));
    world.cut(ON_CALL, BROKERS[0]);
    world.run(at(150));
    assert_eq!(world.seen.masters, []);
}

/// One slave is cut off while records are sent, then the master dies.
fn with_a_lagging_slave(setup: &Setup) -> World {
    let mut world = World::new(setup);
    world.run(at(30));
    world.cut(BROKERS[0], BROKERS[1]);
    world.run(at(45));
    world.crash(BROKERS[0]);
    world.heal(BROKERS[0], BROKERS[1]);
    world.run(at(120));
    world.start(BROKERS[0]);
    world.run(at(300));
    world
}

#[test]
fn the_freshest_slave_keeps_what_any_one_acknowledged() {
    let world = with_a_lagging_slave(&Setup::default());
    assert_eq!(world.seen.masters[0].1, BROKERS[2]);
    assert_sound(&world);
}

#[test]
fn the_stalest_slave_loses_what_only_the_other_acknowledged() {
    let mut setup = Setup::default();
    setup.settings.on_call.promote = Promote::Stalest;
    setup.settings.visible = Visible::Stored;
    let world = with_a_lagging_slave(&setup);
    assert_eq!(world.seen.masters[0].1, BROKERS[1]);
    let stored = world.broker(BROKERS[1]).log().from(0, usize::MAX);
    let kept = |id| stored.iter().any(|entry| entry.record.id == id);
    let gone = world.seen.acknowledged.keys().filter(|id| !kept(**id)).count();
    assert!(gone > 50, "acknowledged, and on no broker: {gone}");
    assert!(world.seen.truncated.iter().any(|(node, ..)| *node == BROKERS[2]));
}

#[test]
fn with_both_slaves_wanted_even_the_stalest_has_everything_acknowledged() {
    let mut setup = Setup::default();
    setup.settings.on_call.promote = Promote::Stalest;
    setup.settings.replication = Replication::Both;
    let world = with_a_lagging_slave(&setup);
    assert_sound(&world);
}

#[test]
fn without_replication_the_tail_of_a_dead_master_is_lost() {
    let mut setup = Setup::default();
    setup.settings.replication = Replication::None;
    let mut world = World::new(&setup);
    world.run(at(30));
    world.cut(BROKERS[0], BROKERS[1]);
    world.cut(BROKERS[0], BROKERS[2]);
    // The readers lag as well: without that they would have had the records.
    for node in &CONSUMERS[..2] {
        world.pause(*node);
    }
    world.run(at(40));
    world.crash(BROKERS[0]);
    for node in &CONSUMERS[..2] {
        world.resume(*node);
    }
    world.run(at(120));
    world.start(BROKERS[0]);
    world.run(at(300));
    assert!(world.lost().len() > 50, "{}", world.lost().len());
}

#[test]
fn a_returning_node_that_is_not_cut_keeps_what_nobody_else_has() {
    let mut setup = Setup::default();
    setup.settings.truncate_on_return = false;
    setup.settings.replication = Replication::None;
    let mut world = World::new(&setup);
    world.run(at(30));
    world.cut(BROKERS[0], BROKERS[1]);
    world.cut(BROKERS[0], BROKERS[2]);
    world.run(at(40));
    world.crash(BROKERS[0]);
    world.heal(BROKERS[0], BROKERS[1]);
    world.heal(BROKERS[0], BROKERS[2]);
    world.run(at(120));
    world.start(BROKERS[0]);
    world.run(at(300));
    let master = world.seen.masters[0].1;
    assert_eq!(world.seen.truncated, []);
    assert_eq!(world.broker(BROKERS[0]).log().end(), world.broker(master).log().end(), "looks healthy");
    assert_ne!(world.broker(BROKERS[0]).log(), world.broker(master).log(), "and is not");
}

#[test]
fn without_fence_and_epochs_two_masters_serve() {
    let mut setup = Setup { until: at(300), ..Setup::default() };
    setup.settings.on_call.fence = false;
    setup.settings.epochs = false;
    setup.settings.replication = Replication::None;
    let mut world = World::new(&setup);
    world.run(at(30));
    world.pause(BROKERS[0]);
    world.run(at(90));
    world.resume(BROKERS[0]);
    world.run(at(300));
    let masters = BROKERS.iter().filter(|node| world.broker(**node).is_master()).count();
    assert_eq!(masters, 2);
    let promoted = world.seen.masters[0].1;
    let old = world.broker(BROKERS[0]).log().from(0, usize::MAX);
    let new = world.broker(promoted).log().from(0, usize::MAX);
    let only_old = old.iter().filter(|entry| !new.iter().any(|other| other.record.id == entry.record.id));
    assert!(only_old.count() > 0, "each has writers of its own");
}

#[test]
fn any_status_accepts_what_the_slaves_do_not_have() {
    let mut setup = Setup::default();
    setup.producer.accept = Accept::AnyStatus;
    let mut world = World::new(&setup);
    world.run(at(30));
    world.cut(BROKERS[0], BROKERS[1]);
    world.cut(BROKERS[0], BROKERS[2]);
    // For 20 s the broker's and the producer's time-outs of 3 s race (e1); from then on it answers at once.
    world.run(at(70));
    world.crash(BROKERS[0]);
    world.run(at(300));
    assert!(!world.lost().is_empty());
}

#[test]
fn a_failover_goes_on_after_the_on_call_slept() {
    let mut world = World::new(&Setup::default());
    world.run(at(30));
    world.crash(BROKERS[0]);
    // The slave that is cut off from him cannot be fenced: the failover has begun and cannot go on.
    world.run(at(64));
    world.cut(ON_CALL, BROKERS[2]);
    world.run(at(75));
    assert_eq!(world.seen.masters, []);
    world.crash(ON_CALL);
    world.heal(ON_CALL, BROKERS[2]);
    world.run(at(80));
    world.start(ON_CALL);
    world.run(at(300));
    assert_eq!(world.seen.masters.len(), 1);
    assert_sound(&world);
}

#[test]
fn a_member_that_leaves_hands_over_within_a_second() {
    let mut world = World::new(&Setup::default());
    world.run(at(60));
    world.close_consumer(CONSUMERS[0]);
    world.run(at(61));
    assert_eq!(world.consumer_holds(CONSUMERS[1]), 4);
    world.run(at(200));
    assert_sound(&world);
    assert_eq!(world.seen.delivered.len(), world.seen.sent.len(), "offsets were handed over as well");
}

#[test]
fn a_dead_instances_partitions_rest_until_its_leases_run_out() {
    let mut world = World::new(&Setup::default());
    world.run(at(60));
    world.crash(CONSUMERS[0]);
    world.run(at(90));
    assert_eq!(world.consumer_holds(CONSUMERS[1]), 2);
    world.run(at(145));
    assert_eq!(world.consumer_holds(CONSUMERS[1]), 4);
    world.run(at(250));
    assert_sound(&world);
}

#[test]
fn a_frozen_instance_commits_its_old_offset_at_its_thaw() {
    let run = |fence_commits| {
        let mut setup = Setup { until: at(280), ..Setup::default() };
        setup.settings.fence_commits = fence_commits;
        let mut world = World::new(&setup);
        world.run(at(58));
        world.pause(CONSUMERS[0]);
        world.run(at(240));
        assert_eq!(world.consumer_holds(CONSUMERS[1]), 4);
        world.resume(CONSUMERS[0]);
        world.run(at(400));
        assert_sound(&world);
        world.seen.delivered.len() - world.seen.sent.len()
    };
    let (free, fenced) = (run(false), run(true));
    assert!(free >= fenced, "fencing makes no duplicates: {free} {fenced}");
}

#[test]
fn offsets_go_back_to_the_slaves_copy_but_live_instances_carry_them_over() {
    let mut world = World::new(&Setup::default());
    world.run(at(55));
    world.crash(BROKERS[0]);
    world.run(at(300));
    assert_sound(&world);
    let granted_late = world.seen.granted.iter().filter(|(time, ..)| *time > at(60)).count();
    assert_eq!(granted_late, 4, "leases ran out in the outage and were granted again");
}

#[test]
fn an_unordered_group_overlaps_but_loses_nothing() {
    let mut world = World::new(&Setup { ordered: false, ..Setup::default() });
    world.run(at(40));
    world.crash(CONSUMERS[0]);
    world.run(at(45));
    assert_eq!(world.consumer_holds(CONSUMERS[1]), 4, "no lease to wait for");
    world.run(at(60));
    world.start(CONSUMERS[0]);
    world.run(at(200));
    assert_eq!(world.lost(), []);
}

#[test]
fn a_consumer_that_is_sent_back_reads_from_there_without_a_hole_and_its_neighbours_go_on() {
    let mut world = World::new(&Setup::default());
    world.run(at(60));
    let own = world.call(CONSUMERS[0], |library, _, _| library.assignment());
    let all = (0..4).map(|partition| TopicPartition::new(0, partition));
    let (own, others): (Vec<_>, Vec<_>) = all.partition(|partition| own.contains(partition));
    let (partition, foreign) = (own[0], others[0]);
    let before = world.seen.delivered.len();
    assert!(!world.call(CONSUMERS[0], |library, now, effects| library.seek(now, foreign, 0, effects)));
    assert!(world.call(CONSUMERS[0], |library, now, effects| library.seek(now, partition, 3, effects)));
    world.run(at(90));
    let since = world.seen.delivered[before..].iter();
    let offsets: Vec<Offset> =
        since.filter(|(_, _, at, ..)| *at == partition).map(|(.., offset, _)| *offset).collect();
    assert_eq!(offsets[..4], [3, 4, 5, 6]);
    assert!(offsets.windows(2).all(|pair| pair[1] == pair[0] + 1), "{offsets:?}");
    world.run(at(400));
    assert_eq!(world.lost(), []);
}

#[test]
fn an_owner_that_asks_is_told_of_each_commit_that_a_master_took() {
    let mut world = World::new(&Setup::default());
    world.run(at(20));
    let told = |world: &mut World, node| {
        world.call(node, |library, _, _| std::iter::from_fn(|| library.acknowledged_commit()).count())
    };
    world.call(CONSUMERS[0], |library, _, _| library.report_commits());
    world.run(at(40));
    assert!(told(&mut world, CONSUMERS[0]) > 0);
    assert_eq!(told(&mut world, CONSUMERS[1]), 0, "nobody asked");
    world.cut(CONSUMERS[0], BROKERS[0]);
    world.run(at(41));
    told(&mut world, CONSUMERS[0]);
    world.run(at(60));
    assert_eq!(told(&mut world, CONSUMERS[0]), 0, "without an answer nothing is known to be committed");
}
