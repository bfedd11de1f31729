use super::*;
use crate::client::Assigned;
use crate::history::Event;
use crate::kafka::protocol::{
    BrokerId, CommitPartition, ErrorCode, PartitionMetadata, ProduceBatch, ProducerId, Request, Response,
};
use crate::machine::{Machine, Now, Process};
use crate::mirror::fakes::{FakeCorgi, FakeKafka, received};
use crate::mirror::settings::Commit;
use crate::mirror::settings::OnFailure;
use crate::mirror::worker::{MirroredTopic, Worker};
use crate::record::{GroupId, Record, TopicId};
use crate::units::Span;
use std::collections::BTreeSet;

const P: TopicPartition = TopicPartition::new(0, 0);
const Q: TopicPartition = TopicPartition::new(0, 1);
const BROKER: NodeId = NodeId(2);

/// What the target knows of one transactional id.
#[derive(Clone, Debug, Default)]
struct Ongoing {
    epoch: i16,
    partitions: BTreeSet<TopicPartition>,
    records: Vec<Record>,
    offsets: Vec<CommitPartition>,
    sequences: BTreeMap<TopicPartition, i32>,
}

/// A target of one broker that keeps transactions apart as Kafka does, and errs when it is told to.
#[derive(Clone, Debug, Default)]
struct FakeTarget {
    transactions: BTreeMap<TransactionalId, Ongoing>,
    /// What readers of committed data see.
    committed: Vec<Record>,
    positions: BTreeMap<TopicPartition, Offset>,
    /// The next answers to requests of that name are these errors.
    errors: Vec<(&'static str, ErrorCode)>,
    /// Requests of that name are swallowed, once each.
    swallowed: Vec<&'static str>,
    /// Requests of that name are obeyed, and their answers lost, once each.
    unanswered: Vec<&'static str>,
    asked: Vec<&'static str>,
    most_records: usize,
}

fn take(list: &mut Vec<&'static str>, name: &str) -> bool {
    let place = list.iter().position(|entry| *entry == name);
    place.map(|place| list.remove(place)).is_some()
}

impl FakeTarget {
    fn answer(&mut self, request: &Request) -> Option<Response> {
        self.asked.push(request.name());
        if take(&mut self.swallowed, request.name()) {
            return None;
        }
        let place = self.errors.iter().position(|(name, _)| *name == request.name());
        let error = place.map(|place| self.errors.remove(place).1);
        let response = self.obey(request, error);
        if take(&mut self.unanswered, request.name()) { None } else { Some(response) }
    }

    fn check(
        &mut self,
        id: TransactionalId,
        producer: (ProducerId, i16),
        told: Option<ErrorCode>,
    ) -> ErrorCode {
        let ongoing = self.transactions.entry(id).or_default();
        if ongoing.epoch == producer.1 { told.unwrap_or_default() } else { ErrorCode::ProducerFenced }
    }

    fn obey(&mut self, request: &Request, told: Option<ErrorCode>) -> Response {
        match request {
            Request::FindCoordinator { .. } => {
                let coordinator = Some((BrokerId(2), BROKER));
                Response::FindCoordinator { error: told.unwrap_or_default(), coordinator }
            }
            Request::Metadata { .. } => {
                let leader = |partition| PartitionMetadata {
                    partition,
                    error: ErrorCode::None,
                    leader: Some(BrokerId(2)),
                    leader_epoch: 0,
                    replicas: vec![],
                    isr: vec![],
                    offline: vec![],
                };
                let partitions = (0..4).map(|partition| leader(TopicPartition::new(0, partition))).collect();
                Response::Metadata { brokers: vec![(BrokerId(2), BROKER)], unknown: vec![], partitions }
            }
            Request::InitProducerId { transaction, current, .. } => {
                let ongoing = self.transactions.entry(transaction.unwrap()).or_default();
                let fenced = current.is_some_and(|(_, epoch)| epoch != ongoing.epoch);
                let error = if fenced { ErrorCode::ProducerFenced } else { told.unwrap_or_default() };
                if error == ErrorCode::None {
                    *ongoing = Ongoing { epoch: ongoing.epoch + 1, ..Ongoing::default() };
                }
                Response::InitProducerId { error, producer: Some((ProducerId(1), ongoing.epoch)) }
            }
            Request::AddPartitionsToTxn { transaction, producer, partitions } => {
                let error = self.check(*transaction, *producer, told);
                if error == ErrorCode::None {
                    self.transactions.entry(*transaction).or_default().partitions.extend(partitions);
                }
                Response::AddPartitionsToTxn { partitions: partitions.iter().map(|p| (*p, error)).collect() }
            }
            Request::Produce { transaction, batches, .. } => {
                self.produce(transaction.unwrap(), &batches[0], told)
            }
            Request::AddOffsetsToTxn { transaction, producer, .. } => {
                Response::AddOffsetsToTxn { error: self.check(*transaction, *producer, told) }
            }
            Request::TxnOffsetCommit { transaction, producer, offsets, .. } => {
                let error = self.check(*transaction, *producer, told);
                if error == ErrorCode::None {
                    self.transactions.entry(*transaction).or_default().offsets = offsets.clone();
                }
                Response::TxnOffsetCommit {
                    partitions: offsets.iter().map(|o| (o.partition, error)).collect(),
                }
            }
            Request::EndTxn { transaction, producer, commit } => {
                let error = self.check(*transaction, *producer, told);
                if error == ErrorCode::None {
                    self.end(*transaction, *commit);
                }
                Response::EndTxn { error }
            }
            Request::OffsetFetch { partitions, .. } => self.positions(partitions[0], told),
            other => panic!("the mirror does not ask for {}", other.name()),
        }
    }

    fn positions(&self, partition: TopicPartition, told: Option<ErrorCode>) -> Response {
        let pending = |ongoing: &Ongoing| ongoing.offsets.iter().any(|offset| offset.partition == partition);
        let unstable = self.transactions.values().any(pending).then_some(ErrorCode::UnstableOffsetCommit);
        let error = told.or(unstable).unwrap_or_default();
        let offset = self.positions.get(&partition).copied().unwrap_or(-1);
        Response::OffsetFetch { error: ErrorCode::None, partitions: vec![(partition, error, offset, -1)] }
    }

    fn produce(&mut self, id: TransactionalId, batch: &ProduceBatch, told: Option<ErrorCode>) -> Response {
        let stamp = batch.stamp.unwrap();
        let mut error = self.check(id, (stamp.id, stamp.epoch), told);
        if batch.records.len() > self.most_records {
            error = ErrorCode::MessageTooLarge;
        }
        let ongoing = self.transactions.entry(id).or_default();
        let expected = ongoing.sequences.entry(batch.partition).or_default();
        if error == ErrorCode::None && stamp.base_sequence > *expected {
            error = ErrorCode::OutOfOrderSequenceNumber;
        }
        if error == ErrorCode::None && stamp.base_sequence == *expected {
            assert!(
                ongoing.partitions.contains(&batch.partition),
                "a partition is added before it is written to"
            );
            *expected += batch.records.len() as i32;
            ongoing.records.extend(&batch.records);
        }
        Response::Produce { partitions: vec![(batch.partition, error, 0, 0)] }
    }

    fn end(&mut self, id: TransactionalId, commit: bool) {
        let ongoing = self.transactions.entry(id).or_default();
        let (records, offsets) = (std::mem::take(&mut ongoing.records), std::mem::take(&mut ongoing.offsets));
        ongoing.partitions.clear();
        if commit {
            self.committed.extend(records);
            self.positions.extend(offsets.iter().map(|offset| (offset.partition, offset.offset)));
        }
    }

    /// The target aborts every transaction that is still open, and fences its producer.
    fn time_out(&mut self) {
        for ongoing in self.transactions.values_mut().filter(|ongoing| !ongoing.partitions.is_empty()) {
            *ongoing = Ongoing { epoch: ongoing.epoch + 1, ..Ongoing::default() };
        }
    }

    fn copied(&self) -> Vec<Offset> {
        self.committed.iter().map(|record| record.copied_from).collect()
    }
}

/// Workers in front of one target.
struct Bench {
    target: FakeTarget,
    workers: Vec<Worker<FakeCorgi, FakeKafka>>,
    now: Time,
    events: Vec<Event>,
    exited: bool,
}

impl Bench {
    fn new(settings: &Settings) -> Bench {
        let wiring = |worker| Wiring {
            worker,
            deployment: NodeId(1),
            brokers: vec![BROKER],
            group: GroupId(7),
            topics: vec![MirroredTopic { topic: TopicId(0), target_partitions: 4 }],
        };
        let worker = |number| {
            Worker::new(settings.clone(), wiring(number), FakeCorgi::default(), FakeKafka::default())
        };
        let target = FakeTarget { most_records: usize::MAX, ..FakeTarget::default() };
        let workers = vec![worker(0), worker(1)];
        let mut bench = Bench { target, workers, now: Time::ZERO, events: vec![], exited: false };
        bench.step(0, Input::Start { incarnation: 1 });
        bench.step(1, Input::Start { incarnation: 1 });
        bench
    }

    /// An input, and everything that the target answers to it.
    fn step(&mut self, worker: usize, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Effects::default();
            self.workers[worker].step(Now::exact(self.now), input, &mut effects);
            self.events.append(&mut effects.events);
            self.exited |= effects.processes.contains(&Process::Exit);
            for (from, message) in effects.sends {
                if let Message::KafkaRequest(id, request) = message
                    && let Some(response) = self.target.answer(&request)
                {
                    let message = Message::KafkaResponse(id, Box::new(response));
                    inputs.push_back(Input::Message { from, message });
                }
            }
        }
    }

    fn wait(&mut self, worker: usize, span: Span) {
        self.now += span;
        self.step(worker, Input::Timer(WAKE));
    }

    /// Long enough for a transaction and a few retries.
    fn wait_long(&mut self, worker: usize) {
        for _ in 0..8 {
            self.wait(worker, Span::millis(400));
        }
    }

    fn corgi(&mut self, worker: usize) -> &mut FakeCorgi {
        self.workers[worker].corgi_in_test()
    }

    fn assign(&mut self, worker: usize, assigned: Assigned) {
        self.corgi(worker).assigned.push_back(assigned);
        self.step(worker, Input::Disconnected(NodeId(99)));
    }

    fn receive(&mut self, worker: usize, partition: TopicPartition, offsets: std::ops::Range<Offset>) {
        self.corgi(worker).records.extend(offsets.map(|offset| received(partition, offset)));
        self.step(worker, Input::Disconnected(NodeId(99)));
    }

    fn holding(settings: &Settings) -> Bench {
        let mut bench = Bench::new(settings);
        bench.assign(0, Assigned::Granted(vec![(P, 0)]));
        bench
    }
}

fn atomic() -> Settings {
    Settings { commit: Commit::Atomic, ..Settings::default() }
}

fn per_worker() -> Settings {
    Settings { transactional_id: TransactionalIdScheme::PerWorker, ..atomic() }
}

#[test]
fn records_and_offsets_are_committed_together_when_the_interval_is_over() {
    let mut bench = Bench::holding(&atomic());
    bench.receive(0, P, 0..3);
    assert!(bench.target.copied().is_empty());
    assert_eq!(bench.target.transactions[&TransactionalId(0)].records.len(), 3, "they are produced at once");
    bench.wait(0, Span::millis(100));
    assert_eq!(bench.target.copied(), vec![0, 1, 2]);
    assert_eq!(bench.target.positions, BTreeMap::from([(P, 3)]));
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
    let revoked = |event: &Event| matches!(event, Event::Revoked { orderly: false, partitions, .. } if partitions == &[P]);
    assert!(bench.events.iter().any(revoked));
    let lives = bench.corgi(0).lives.clone();
    assert!(lives.len() == 1 && lives[0] > 1, "a new consumer in a life of its own: {lives:?}");
    bench.assign(0, Assigned::Granted(vec![(Q, 0)]));
    bench.receive(0, Q, 0..1);
    bench.wait_long(0);
    assert_eq!(bench.target.positions, BTreeMap::from([(P, 4), (Q, 1)]));
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
    assert_eq!(bench.target.positions, BTreeMap::from([(Q, 8)]));
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
    assert_eq!(skipping.target.positions, BTreeMap::from([(P, 3)]));
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
    assert!(bench.target.copied().is_empty());
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
    assert_eq!(transactions.timer, Time::NEVER);
}

/// What may happen between two workers and a target.
#[derive(Clone, Debug)]
enum Happening {
    Receive(Offset),
    Wait(usize, u64),
    Error(&'static str, ErrorCode),
    Swallow(&'static str),
    Unanswer(&'static str),
    Disconnect(usize),
    /// The other worker gets the partition; the former owner loses it, gives it back, or sleeps through it.
    HandOver(u8),
}

fn happening() -> impl proptest::strategy::Strategy<Value = Happening> {
    use proptest::prelude::*;
    let name = || {
        proptest::sample::select(vec![
            "kafka-find-coordinator",
            "kafka-init-producer-id",
            "kafka-offset-fetch",
            "kafka-add-partitions-to-txn",
            "kafka-metadata",
            "kafka-produce",
            "kafka-add-offsets-to-txn",
            "kafka-txn-offset-commit",
            "kafka-end-txn",
        ])
    };
    let error = proptest::sample::select(vec![
        ErrorCode::ConcurrentTransactions,
        ErrorCode::NotCoordinator,
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::OutOfOrderSequenceNumber,
        ErrorCode::InvalidTxnState,
        ErrorCode::CoordinatorLoadInProgress,
    ]);
    prop_oneof![
        4 => (1..5_i64).prop_map(Happening::Receive),
        6 => (0..2_usize, 1..700_u64).prop_map(|(worker, millis)| Happening::Wait(worker, millis)),
        2 => (name(), error).prop_map(|(name, error)| Happening::Error(name, error)),
        1 => name().prop_map(Happening::Swallow),
        1 => name().prop_map(Happening::Unanswer),
        1 => (0..2_usize).prop_map(Happening::Disconnect),
        2 => (0..3_u8).prop_map(Happening::HandOver),
    ]
}

/// A bench with the owner of the one partition and the source's end.
struct Handovers {
    bench: Bench,
    owner: usize,
    end: Offset,
}

impl Handovers {
    fn happen(&mut self, happening: Happening) {
        let bench = &mut self.bench;
        match happening {
            Happening::Receive(count) => {
                bench.receive(self.owner, P, self.end..self.end + count);
                self.end += count;
            }
            Happening::Wait(worker, millis) => bench.wait(worker, Span::millis(millis)),
            Happening::Error(name, error) => bench.target.errors.push((name, error)),
            Happening::Swallow(name) => bench.target.swallowed.push(name),
            Happening::Unanswer(name) => bench.target.unanswered.push(name),
            Happening::Disconnect(worker) => bench.step(worker, Input::Disconnected(BROKER)),
            Happening::HandOver(kind) => self.hand_over(kind),
        }
    }

    fn hand_over(&mut self, kind: u8) {
        let former = self.owner;
        if kind < 2 {
            self.bench.corgi(former).records.clear();
            let assigned = if kind == 0 { Assigned::Lost(vec![P]) } else { Assigned::Revoked(vec![P]) };
            self.bench.assign(former, assigned);
        }
        self.owner = 1 - former;
        self.grant();
    }

    /// The owner is granted the partition from the start, and everything there is comes.
    fn grant(&mut self) {
        self.bench.corgi(self.owner).records.clear();
        self.bench.assign(self.owner, Assigned::Lost(vec![P]));
        self.bench.assign(self.owner, Assigned::Granted(vec![(P, 0)]));
        self.bench.receive(self.owner, P, 0..self.end);
    }

    fn come_to_rest(&mut self) {
        let target = &mut self.bench.target;
        target.errors.clear();
        target.swallowed.clear();
        target.unanswered.clear();
        for worker in [0, 1, 0, 1] {
            self.bench.wait_long(worker);
        }
        self.bench.target.time_out();
        // A worker that was fenced has joined anew and holds nothing: somebody is granted the partition in the end.
        self.grant();
        self.bench.wait_long(self.owner);
    }
}

proptest::proptest! {
    #[test]
    fn whatever_happens_each_record_is_committed_once_and_in_order(
        happenings in proptest::collection::vec(happening(), 1..60),
        takeover in proptest::sample::select(vec![Takeover::FenceFirst, Takeover::ReadFirst]),
    ) {
        let settings = Settings { request_timeout: Span::millis(300), takeover, ..atomic() };
        let mut handovers = Handovers { bench: Bench::holding(&settings), owner: 0, end: 0 };
        for happening in happenings {
            handovers.happen(happening);
        }
        handovers.come_to_rest();
        let all: Vec<Offset> = (0..handovers.end).collect();
        proptest::prop_assert_eq!(handovers.bench.target.copied(), all);
    }
}
