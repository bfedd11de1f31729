//! One bad target partition among good ones: what a worker has in flight to it fills the worker's buffer, and a buffer that is
//! full stands in the way of all others. Kafka's partitions are without copies here, so that those of one broker are bad while
//! it is down and all others are good.

mod common;

use common::{fault, findings, shipped, violated};
use cutover_model::history::Event;
use cutover_model::record::TopicPartition;
use cutover_model::units::{Span, Time};
use cutover_sim::case::Case;
use cutover_sim::faults::settings::Kind;
use cutover_sim::run::{self, Keep};
use std::collections::BTreeSet;

/// When a broker is down, in seconds: in the dual write, while nobody but the mirror uses Kafka.
const DOWN: (u64, u64) = (90, 160);

/// From when on a small buffer is full, in seconds.
const FULL: u64 = 125;

/// The guarded plan with that much room in the mirror's buffer, while one of three brokers is down.
fn with_room_for(in_flight: u32) -> Case {
    let mut case = shipped("article-guarded");
    case.kafka.replication_factor = 1;
    case.kafka.min_insync_replicas = 1;
    case.mirror.in_flight = in_flight;
    case.faults.draw = None;
    case.faults.rare = None;
    case.faults.list = vec![fault(Kind::Crash, "kafka-1", Span::secs(DOWN.0), Span::secs(DOWN.1 - DOWN.0))];
    case
}

/// The target partitions that got copies while the broker was down and a small buffer was full; and nothing else went wrong.
fn served(case: &Case, seed: u64) -> BTreeSet<TopicPartition> {
    let run = run::alone(case, seed, Keep { history: true, messages: false });
    assert_eq!(violated(&run), [], "seed {seed}:\n{}", findings(&run));
    let bad_time = Time::ZERO + Span::secs(FULL)..Time::ZERO + Span::secs(DOWN.1);
    let copied = run.history.iter().filter(|entry| bad_time.contains(&entry.at));
    let target = copied.filter_map(|entry| match &entry.event {
        Event::Copied { target, .. } => Some(*target),
        _ => None,
    });
    target.collect()
}

#[test]
fn good_partitions_go_on_beside_a_bad_one_while_there_is_room() {
    for seed in 0..4 {
        let served = served(&with_room_for(32_768), seed);
        // Two of three brokers lead ten or eleven of sixteen partitions; not each of them has records in half a minute.
        assert!((5..=11).contains(&served.len()), "seed {seed}: {served:?}");
    }
}

#[test]
fn a_buffer_full_of_what_a_bad_partition_does_not_take_stops_the_good_ones_too() {
    for seed in 0..4 {
        let served = served(&with_room_for(8), seed);
        assert_eq!(served, BTreeSet::new(), "seed {seed}");
    }
}
