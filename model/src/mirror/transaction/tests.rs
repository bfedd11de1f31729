use super::bench::{BROKER, Bench, P, Q, atomic};
use super::*;
use crate::client::Assigned;
use crate::history::Event;
use crate::mirror::settings::OnFailure;
use crate::units::Span;

fn per_worker() -> Settings {
    Settings { transactional_id: TransactionalIdScheme::PerWorker, ..atomic() }
}

#[test]
fn records_and_offsets_are_committed_together_when_the_interval_is_over() {
    let mut bench = Bench::holding(&atomic());
    bench.receive(0, P, 0..3);
    assert_eq!(bench.target.copied(), Vec::<Offset>::new());
    assert_eq!(bench.target.transactions[&TransactionalId(0)].records.len(), 3, "they are produced at once");
    bench.wait(0, Span::millis(100));
    assert_eq!(bench.target.copied(), vec![0, 1, 2]);
    assert_eq!(bench.target.positions, BTreeMap::from([(position_of(P), 3)]));
    let copied = bench.events.iter().filter(|event| matches!(event, Event::Copied { .. })).count();
    assert_eq!(copied, 3);
    assert!(bench.events.contains(&Event::MirrorCommitted { source: P, offset: 3 }));
    assert_eq!(bench.corgi(0).commits, Vec::<Vec<_>>::new());
}

#[test]
fn the_second_transaction_goes_on_in_the_same_epoch() {
    let mut bench = Bench::holding(&atomic());
    for start in [0, 3] {
        bench.receive(0, P, start..start + 3);
        bench.wait(0, Span::millis(100));
    }
    assert_eq!(bench.target.copied(), vec![0, 1, 2, 3, 4, 5]);
    assert_eq!(bench.target.transactions[&TransactionalId(0)].epoch, 1);
}

#[test]
fn every_request_survives_errors_and_lost_answers() {
    let names = [
        ("kafka-find-coordinator", ErrorCode::CoordinatorNotAvailable),
        ("kafka-init-producer-id", ErrorCode::ConcurrentTransactions),
        ("kafka-offset-fetch", ErrorCode::UnstableOffsetCommit),
        ("kafka-add-partitions-to-txn", ErrorCode::ConcurrentTransactions),
        ("kafka-produce", ErrorCode::NotLeaderOrFollower),
        ("kafka-produce", ErrorCode::OutOfOrderSequenceNumber),
        ("kafka-add-offsets-to-txn", ErrorCode::NotCoordinator),
        ("kafka-txn-offset-commit", ErrorCode::NotCoordinator),
        ("kafka-end-txn", ErrorCode::ConcurrentTransactions),
    ];
    for (name, error) in names {
        for fault in 0..3 {
            let settings = Settings { request_timeout: Span::millis(300), ..atomic() };
            let mut bench = Bench::new(&settings);
            match fault {
                0 => bench.target.errors = vec![(name, error), (name, error)],
                1 => bench.target.swallowed = vec![name, name],
                _ => bench.target.unanswered = vec![name, name],
            }
            bench.assign(0, Assigned::Granted(vec![(P, 0)]));
            bench.receive(0, P, 0..3);
            bench.wait_long(0);
            bench.receive(0, P, 3..5);
            bench.wait_long(0);
            assert_eq!(bench.target.copied(), vec![0, 1, 2, 3, 4], "{name}, {error}, fault {fault}");
        }
    }
}

#[test]
fn a_broken_connection_is_asked_again() {
    let mut bench = Bench::holding(&atomic());
    bench.target.swallowed = vec!["kafka-produce"];
    bench.receive(0, P, 0..3);
    bench.step(0, Input::Disconnected(BROKER));
    bench.wait_long(0);
    assert_eq!(bench.target.copied(), vec![0, 1, 2]);
}

#[test]
fn a_takeover_reads_the_position_and_copies_nothing_twice() {
    let mut bench = Bench::holding(&atomic());
    bench.receive(0, P, 0..3);
    bench.wait(0, Span::millis(100));
    bench.receive(0, P, 3..5);
    // The first worker dies with an open transaction; Corgi has no commit of it.
    bench.assign(1, Assigned::Granted(vec![(P, 0)]));
    bench.receive(1, P, 0..7);
    bench.wait_long(1);
    assert_eq!(bench.target.copied(), vec![0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_zombie_is_fenced_drops_the_partition_and_joins_anew() {
    let mut bench = Bench::holding(&atomic());
    bench.receive(0, P, 0..3);
    bench.assign(1, Assigned::Granted(vec![(P, 0)]));
    bench.receive(1, P, 0..4);
    bench.wait_long(1);
    bench.events.clear();
    bench.wait_long(0);
    assert_eq!(bench.target.copied(), vec![0, 1, 2, 3]);
    assert!(bench.events.contains(&Event::WorkerFenced { partitions: vec![P] }));
    let revoked = |event: &Event| matches!(event, Event::Revoked { orderly: false, partitions, .. } if partitions == &[P]);
    assert!(bench.events.iter().any(revoked));
    let lives = bench.corgi(0).lives.clone();
    assert!(lives.len() == 1 && lives[0] > 1, "a new consumer in a life of its own: {lives:?}");
    bench.assign(0, Assigned::Granted(vec![(Q, 0)]));
    bench.receive(0, Q, 0..1);
    bench.wait_long(0);
    assert_eq!(bench.target.positions, BTreeMap::from([(position_of(P), 4), (position_of(Q), 1)]));
}

#[test]
fn ids_of_the_workers_own_fence_nobody_and_both_copies_stand() {
    let mut bench = Bench::holding(&per_worker());
    bench.receive(0, P, 0..3);
    bench.assign(1, Assigned::Granted(vec![(P, 0)]));
    bench.receive(1, P, 0..3);
    bench.wait_long(1);
    bench.wait_long(0);
    assert_eq!(bench.target.copied(), vec![0, 1, 2, 0, 1, 2]);
    assert!(!bench.events.iter().any(|event| matches!(event, Event::WorkerFenced { .. })));
}

#[test]
fn an_orderly_rebalance_ends_the_transaction_at_once() {
    let mut bench = Bench::holding(&atomic());
    bench.receive(0, P, 0..3);
    bench.assign(0, Assigned::Revoked(vec![P]));
    assert_eq!(bench.target.copied(), vec![0, 1, 2]);
    assert_eq!(bench.corgi(0).commits, vec![vec![(P, 3)]]);
    assert_eq!(bench.corgi(0).releases, 1);
}

#[test]
fn a_clean_stop_ends_the_transaction_and_exits() {
    let mut bench = Bench::holding(&atomic());
    bench.receive(0, P, 0..3);
    bench.step(0, Input::Terminate);
    assert_eq!(bench.target.copied(), vec![0, 1, 2]);
    assert!(bench.exited);
}

#[test]
fn a_lost_partition_spoils_the_workers_transaction_and_the_others_records_go_again() {
    let mut bench = Bench::new(&per_worker());
    bench.assign(0, Assigned::Granted(vec![(P, 0), (Q, 0)]));
    bench.receive(0, P, 0..2);
    bench.receive(0, Q, 5..7);
    bench.assign(0, Assigned::Lost(vec![P]));
    bench.receive(0, Q, 7..8);
    bench.wait_long(0);
    assert_eq!(bench.target.copied(), vec![5, 6, 7]);
    assert_eq!(bench.target.positions, BTreeMap::from([(position_of(Q), 8)]));
}

#[test]
fn a_partition_lost_and_granted_again_is_fenced_anew() {
    let mut bench = Bench::holding(&atomic());
    bench.receive(0, P, 0..3);
    bench.target.swallowed = vec!["kafka-end-txn"];
    bench.assign(0, Assigned::Lost(vec![P]));
    bench.assign(0, Assigned::Granted(vec![(P, 0)]));
    bench.now += Span::secs(30);
    bench.wait_long(0);
    bench.receive(0, P, 0..4);
    bench.wait_long(0);
    assert_eq!(bench.target.copied(), vec![0, 1, 2, 3]);
}

#[test]
fn a_batch_that_is_too_large_goes_record_by_record() {
    let mut bench = Bench::holding(&atomic());
    bench.target.most_records = 1;
    bench.receive(0, P, 0..3);
    bench.wait_long(0);
    assert_eq!(bench.target.copied(), vec![0, 1, 2]);
}

#[test]
fn a_record_that_is_refused_stops_the_worker_or_is_skipped_as_the_setting_says() {
    let run = |on_failure| {
        let mut bench = Bench::holding(&Settings { on_failure, ..atomic() });
        bench.target.errors = vec![("kafka-produce", ErrorCode::MessageTooLarge); 2];
        bench.receive(0, P, 0..3);
        bench.wait_long(0);
        bench
    };
    let skipping = run(OnFailure::Skip);
    assert_eq!(skipping.target.copied(), vec![1, 2]);
    assert_eq!(skipping.target.positions, BTreeMap::from([(position_of(P), 3)]));
    let stopping = run(OnFailure::Stop);
    assert!(stopping.exited);
    assert_eq!(stopping.target.positions, BTreeMap::new());
}

#[test]
fn reading_first_waits_for_the_dead_owners_transaction() {
    let settings = Settings { takeover: Takeover::ReadFirst, ..atomic() };
    let mut bench = Bench::holding(&settings);
    bench.target.swallowed = vec!["kafka-end-txn"];
    bench.receive(0, P, 0..3);
    bench.wait(0, Span::millis(100));
    bench.assign(1, Assigned::Granted(vec![(P, 0)]));
    bench.receive(1, P, 0..4);
    bench.wait_long(1);
    assert_eq!(bench.target.copied(), Vec::<Offset>::new());
    bench.target.time_out();
    bench.wait_long(1);
    bench.wait_long(1);
    assert_eq!(bench.target.copied(), vec![0, 1, 2, 3]);
}

#[test]
fn an_idle_worker_sets_no_timer() {
    let mut bench = Bench::holding(&atomic());
    bench.receive(0, P, 0..3);
    bench.wait(0, Span::millis(100));
    let asked = bench.target.asked.len();
    bench.wait(0, Span::secs(60));
    assert_eq!(bench.target.asked.len(), asked);
    let transactions = bench.workers[0].transactions_in_test();
    let refresh = Time::ZERO + atomic().kafka.metadata_max_age;
    assert_eq!(transactions.timer, refresh, "but the one for the next metadata");
}

#[test]
fn a_topic_that_was_widened_is_as_wide_as_the_last_metadata_told() {
    let mut bench = Bench::holding(&atomic());
    bench.target.partitions = 1;
    bench.assign(0, Assigned::Granted(vec![(Q, 0)]));
    bench.receive(0, Q, 0..1);
    bench.wait(0, Span::millis(100));
    bench.target.partitions = 4;
    bench.receive(0, Q, 1..2);
    bench.wait(0, Span::millis(100));
    bench.wait(0, atomic().kafka.metadata_max_age);
    bench.receive(0, Q, 2..3);
    bench.wait(0, Span::millis(100));
    let targets = bench.events.iter().filter_map(|event| match event {
        Event::Copied { source: Q, target, .. } => Some(*target),
        _ => None,
    });
    assert_eq!(targets.collect::<Vec<_>>(), [P, P, Q]);
}

#[test]
fn a_transaction_whose_interval_is_over_waits_for_its_answers_without_a_timer_of_its_own() {
    for name in ["kafka-add-partitions-to-txn", "kafka-metadata", "kafka-produce"] {
        let mut bench = Bench::holding(&atomic());
        bench.target.swallowed = vec![name];
        bench.receive(0, P, 0..3);
        bench.wait(0, Span::millis(100));
        let expires = Time::ZERO + atomic().request_timeout;
        assert_eq!(bench.workers[0].transactions_in_test().timer, expires, "{name}");
    }
}

#[test]
fn a_producer_that_waits_for_a_position_sets_no_timer_of_its_own() {
    let settings = Settings { takeover: Takeover::ReadFirst, ..per_worker() };
    let mut bench = Bench::new(&settings);
    bench.target.swallowed = vec!["kafka-init-producer-id"];
    bench.assign(0, Assigned::Granted(vec![(P, 0)]));
    bench.now += Span::secs(29);
    bench.target.swallowed = vec!["kafka-offset-fetch"];
    bench.assign(0, Assigned::Granted(vec![(Q, 0)]));
    bench.wait(0, Span::secs(1));
    let expires = Time::ZERO + Span::secs(59);
    assert_eq!(bench.workers[0].transactions_in_test().timer, expires);
}

#[test]
fn positions_are_kept_for_partitions_that_the_written_topic_does_not_have() {
    let mut bench = Bench::new(&atomic());
    bench.target.partitions = 1;
    bench.assign(0, Assigned::Granted(vec![(Q, 0)]));
    bench.receive(0, Q, 0..3);
    bench.wait_long(0);
    assert_eq!(bench.target.copied(), vec![0, 1, 2]);
    assert_eq!(bench.target.positions, BTreeMap::from([(position_of(Q), 3)]));
}

#[test]
fn a_positions_topic_that_lacks_a_partition_is_widened_by_whoever_misses_it() {
    for (error, others) in [(None, 1), (Some(ErrorCode::NotController), 1), (None, 9)] {
        let mut bench = Bench::holding(&atomic());
        let wide = TopicPartition::new(0, 8);
        bench.target.positions_partitions = 1;
        bench.target.errors.extend(error.map(|error| ("kafka-admin", error)));
        bench.assign(0, Assigned::Granted(vec![(wide, 0)]));
        bench.target.errors.push(("kafka-txn-offset-commit", ErrorCode::UnknownTopicOrPartition));
        bench.receive(0, wide, 0..2);
        bench.wait(0, Span::millis(100));
        bench.target.positions_partitions = bench.target.positions_partitions.max(others);
        bench.wait_long(0);
        assert_eq!(bench.target.positions, BTreeMap::from([(position_of(wide), 2)]));
        assert_eq!(bench.target.positions_partitions, 9);
        let asked = bench.target.asked.len();
        bench.wait(0, Span::secs(60));
        assert_eq!(bench.target.asked.len(), asked, "it is asked for no longer");
    }
}

#[test]
fn a_takeover_reads_from_the_position_in_the_target_and_from_the_start_without_one() {
    let mut bench = Bench::new(&atomic());
    bench.target.positions.insert(position_of(P), 5);
    bench.assign(0, Assigned::Granted(vec![(P, 9), (Q, 7)]));
    assert_eq!(bench.corgi(0).sought, vec![(P, 5), (Q, 0)]);
    bench.receive(0, P, 5..7);
    bench.receive(0, Q, 0..2);
    bench.wait_long(0);
    assert_eq!(bench.target.positions, BTreeMap::from([(position_of(P), 7), (position_of(Q), 2)]));
}

#[test]
fn a_backlog_goes_in_as_many_transactions_as_it_takes() {
    let mut bench = Bench::holding(&Settings { transaction_records: 3, ..atomic() });
    bench.receive(0, P, 0..8);
    assert_eq!(bench.target.copied(), vec![0, 1, 2, 3, 4, 5], "a full one does not wait for its interval");
    bench.wait_long(0);
    assert_eq!(bench.target.copied(), (0..8).collect::<Vec<_>>());
    let ends = bench.target.asked.iter().filter(|name| **name == "kafka-end-txn").count();
    assert_eq!(ends, 3);
}

#[test]
fn a_record_above_the_request_size_is_refused_without_a_request() {
    let mut settings = Settings { on_failure: OnFailure::Skip, ..atomic() };
    settings.kafka.max_request_size = crate::units::Bytes(99);
    let mut bench = Bench::holding(&settings);
    bench.receive(0, P, 0..1);
    bench.wait_long(0);
    assert!(bench.events.iter().any(|event| matches!(event, Event::Skipped { source_offset: 0, .. })));
    assert!(!bench.target.asked.contains(&"kafka-produce"));
    settings.kafka.max_request_size = crate::units::Bytes(100);
    let mut bench = Bench::holding(&settings);
    bench.receive(0, P, 0..1);
    bench.wait_long(0);
    assert_eq!(bench.target.copied(), vec![0]);
}

#[test]
fn records_that_are_not_acknowledged_in_time_fail_their_transaction() {
    let run = |on_failure, patience| {
        let mut settings = Settings { on_failure, request_timeout: Span::secs(1), ..atomic() };
        settings.kafka.delivery_timeout = patience;
        let mut bench = Bench::holding(&settings);
        bench.receive(0, Q, 0..1);
        bench.target.swallowed = vec!["kafka-produce"; 4];
        bench.receive(0, P, 0..2);
        for _ in 0..20 {
            bench.wait(0, Span::millis(400));
        }
        bench
    };
    let (short, long) = (Span::secs(2), Span::secs(20));
    let stopped = run(OnFailure::Stop, short);
    assert!(stopped.exited && stopped.target.copied().is_empty());
    assert!(stopped.events.iter().any(|event| matches!(event, Event::StoppedAt { source_offset: 0, .. })));
    assert_eq!(run(OnFailure::Retry, short).target.copied(), vec![0, 1], "each is copied once");
    assert_eq!(run(OnFailure::Skip, short).target.copied(), Vec::<Offset>::new());
    assert_eq!(run(OnFailure::Stop, long).target.copied(), vec![0, 1]);
}

#[test]
fn a_worker_says_with_which_error_its_transactions_are_refused() {
    let mut bench = Bench::new(&atomic());
    bench.target.errors = vec![("kafka-init-producer-id", ErrorCode::InvalidTransactionTimeout)];
    bench.assign(0, Assigned::Granted(vec![(P, 0)]));
    let error = ErrorCode::InvalidTransactionTimeout;
    assert!(bench.exited && bench.events.contains(&Event::TransactionsRefused { error }));
}

#[test]
fn a_worker_that_stood_still_commits_what_it_has_before_it_hears_of_its_loss() {
    for (settings, copied) in [(per_worker(), vec![0, 1, 2, 3, 0, 1, 2]), (atomic(), vec![0, 1, 2, 3])] {
        let mut bench = Bench::holding(&settings);
        bench.receive(0, P, 0..3);
        bench.now += Span::secs(20);
        bench.assign(1, Assigned::Granted(vec![(P, 0)]));
        bench.receive(1, P, 0..4);
        bench.wait_long(1);
        bench.assign(0, Assigned::Lost(vec![P]));
        bench.wait_long(0);
        assert_eq!(bench.target.copied(), copied, "{:?}", settings.transactional_id);
    }
}

#[test]
fn a_transaction_that_is_being_filled_is_aborted_at_a_loss() {
    let mut bench = Bench::holding(&per_worker());
    bench.receive(0, P, 0..3);
    bench.assign(0, Assigned::Lost(vec![P]));
    bench.wait_long(0);
    assert_eq!(bench.target.copied(), Vec::<Offset>::new());
}
