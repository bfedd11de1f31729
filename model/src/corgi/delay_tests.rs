//! Delayed records: kept back, stored when due, and after a failover stored again.

use super::harness::*;
use crate::units::{Span, Time};
use std::collections::BTreeMap;

const DELAY: Span = Span::secs(10);

/// Each third record is kept back for ten seconds.
fn setup() -> Setup {
    Setup { delayed: Some((3, DELAY)), consumers: 1, ..Setup::default() }
}

/// When each record was delivered first, and how often.
fn deliveries(world: &World) -> BTreeMap<u32, (Time, u32)> {
    let mut deliveries = BTreeMap::new();
    for (at, _, _, _, id) in &world.seen.delivered {
        deliveries.entry(id.sequence).or_insert((*at, 0)).1 += 1;
    }
    deliveries
}

/// When a record was sent: four every half second.
fn sent_at(sequence: u32) -> Time {
    Time::ZERO + Span::millis(500) * (u64::from(sequence) / 4 + 1)
}

#[test]
fn a_delayed_record_is_read_when_it_is_due_and_not_before() {
    let mut world = World::new(&setup());
    world.run(at(200));
    let deliveries = deliveries(&world);
    assert_eq!(deliveries.len(), world.seen.sent.len());
    for (sequence, (at, times)) in &deliveries {
        let age = at.since(sent_at(*sequence));
        let expected = if sequence.is_multiple_of(3) { DELAY } else { Span::ZERO };
        assert!(age >= expected && age < expected + Span::secs(1), "{sequence}: {age}");
        assert_eq!(*times, 1);
    }
    assert_eq!(world.seen.due.len(), world.seen.sent.len().div_ceil(3));
}

#[test]
fn until_it_is_due_its_partition_does_not_know_it() {
    let mut world = World::new(&Setup { until: at(5), ..setup() });
    world.run(at(7));
    let sent = world.seen.sent.len() as i64;
    let stored =
        |world: &World| -> i64 { world.broker(BROKERS[0]).log().partition_ends().map(|(_, end)| end).sum() };
    let delayed = (sent + 2) / 3;
    assert_eq!(stored(&world), sent - delayed);
    assert_eq!(world.broker(BROKERS[0]).log().end() as i64, sent, "but the log, and so each slave, has it");
    world.run(at(20));
    assert_eq!(stored(&world), sent);
}

/// e8: what was stored since the last copy of the progress is stored again.
#[test]
fn after_a_failover_pending_ones_come_late_and_some_come_twice() {
    let mut world = World::new(&setup());
    world.run(at(31));
    world.crash(BROKERS[0]);
    world.run(at(90));
    world.start(BROKERS[0]);
    world.run(at(300));
    assert_eq!(world.lost(), []);
    let deliveries = deliveries(&world);
    // Others come twice because offsets go back, but none that was sent ten seconds before the crash.
    let before = deliveries.iter().filter(|(sequence, _)| sent_at(**sequence) < at(21));
    let twice: Vec<u32> =
        before.filter(|(_, (_, times))| *times > 1).map(|(sequence, _)| *sequence).collect();
    assert!(!twice.is_empty() && twice.iter().all(|sequence| sequence.is_multiple_of(3)), "{twice:?}");
    assert!(twice.len() < 30, "at most what was due within one interval: {}", twice.len());
}

#[test]
fn a_restarted_master_goes_on_from_what_it_had_written_down() {
    let mut world = World::new(&setup());
    world.run(at(31));
    world.crash(BROKERS[0]);
    world.run(at(36));
    world.start(BROKERS[0]);
    world.run(at(300));
    assert_eq!(world.lost(), []);
    assert_eq!(world.seen.masters, []);
    let again = deliveries(&world).values().filter(|(_, times)| *times > 1).count();
    assert!(again > 0 && again < 40, "{again}");
}
