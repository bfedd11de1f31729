//! A target and two workers in front of it, for the tests of the atomic mode.

use super::WAKE;
use crate::client::Assigned;
use crate::history::Event;
use crate::kafka::admin::{AdminRequest, AdminResponse};
use crate::kafka::protocol::{
    BrokerId, CommitPartition, ErrorCode, PartitionMetadata, ProduceBatch, ProducerId, Request, Response,
    TransactionalId,
};
use crate::machine::{After, Effects, Input, Machine, Now, Process, TimerEffect};
use crate::message::Message;
use crate::mirror::fakes::{FakeCorgi, FakeKafka, received};
use crate::mirror::settings::{Commit, Settings};
use crate::mirror::transaction::positions::positions_topic;
use crate::mirror::worker::{Direction, MirroredTopic, Wiring, Worker};
use crate::record::{GroupId, NodeId, Offset, Record, TopicId, TopicPartition};
use crate::units::{Span, Time};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(super) const P: TopicPartition = TopicPartition::new(0, 0);
pub(super) const Q: TopicPartition = TopicPartition::new(0, 1);
pub(super) const BROKER: NodeId = NodeId(2);

/// The atomic mode with the real system's settings.
pub(super) fn atomic() -> Settings {
    Settings { commit: Commit::Atomic, ..Settings::default() }
}

/// What the target knows of one transactional id.
#[derive(Clone, Debug, Default)]
pub(super) struct Ongoing {
    pub(super) epoch: i16,
    pub(super) partitions: BTreeSet<TopicPartition>,
    pub(super) records: Vec<Record>,
    pub(super) offsets: Vec<CommitPartition>,
    pub(super) sequences: BTreeMap<TopicPartition, i32>,
}

/// A target of one broker that keeps transactions apart as Kafka does, and errs when it is told to.
#[derive(Clone, Debug, Default)]
pub(super) struct FakeTarget {
    pub(super) transactions: BTreeMap<TransactionalId, Ongoing>,
    /// What readers of committed data see.
    pub(super) committed: Vec<Record>,
    pub(super) positions: BTreeMap<TopicPartition, Offset>,
    /// The next answers to requests of that name are these errors.
    pub(super) errors: Vec<(&'static str, ErrorCode)>,
    /// Requests of that name are swallowed, once each.
    pub(super) swallowed: Vec<&'static str>,
    /// Requests of that name are obeyed, and their answers lost, once each.
    pub(super) unanswered: Vec<&'static str>,
    pub(super) asked: Vec<&'static str>,
    pub(super) most_records: usize,
    /// How many partitions the topic has.
    pub(super) partitions: u16,
    /// How many the positions' topic has.
    pub(super) positions_partitions: u16,
}

pub(super) fn take(list: &mut Vec<&'static str>, name: &str) -> bool {
    let place = list.iter().position(|entry| *entry == name);
    place.map(|place| list.remove(place)).is_some()
}

impl FakeTarget {
    pub(super) fn answer(&mut self, request: &Request) -> Option<Response> {
        self.asked.push(request.name());
        if take(&mut self.swallowed, request.name()) {
            return None;
        }
        let place = self.errors.iter().position(|(name, _)| *name == request.name());
        let error = place.map(|place| self.errors.remove(place).1);
        let response = self.obey(request, error);
        if take(&mut self.unanswered, request.name()) { None } else { Some(response) }
    }

    pub(super) fn check(
        &mut self,
        id: TransactionalId,
        producer: (ProducerId, i16),
        told: Option<ErrorCode>,
    ) -> ErrorCode {
        let ongoing = self.transactions.entry(id).or_default();
        if ongoing.epoch == producer.1 { told.unwrap_or_default() } else { ErrorCode::ProducerFenced }
    }

    pub(super) fn obey(&mut self, request: &Request, told: Option<ErrorCode>) -> Response {
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
                let partitions =
                    (0..self.partitions).map(|partition| leader(TopicPartition::new(0, partition))).collect();
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
                let exists =
                    |at: TopicPartition| at.topic != TopicId(0) && at.partition < self.positions_partitions;
                let judge = |at| if exists(at) { error } else { ErrorCode::UnknownTopicOrPartition };
                let partitions = offsets.iter().map(|it| (it.partition, judge(it.partition))).collect();
                if error == ErrorCode::None {
                    let known = offsets.iter().filter(|it| exists(it.partition)).copied().collect();
                    self.transactions.entry(*transaction).or_default().offsets = known;
                }
                Response::TxnOffsetCommit { partitions }
            }
            Request::Admin(AdminRequest::CreatePartitions { topic, count, .. }) => {
                assert_eq!(*topic, positions_topic(TopicId(0)), "the mirror widens nothing else");
                let error = match told {
                    None if *count <= self.positions_partitions => ErrorCode::InvalidPartitions,
                    told => told.unwrap_or_default(),
                };
                if error == ErrorCode::None {
                    self.positions_partitions = *count;
                }
                Response::Admin(AdminResponse::Done { error })
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

    pub(super) fn positions(&self, partition: TopicPartition, told: Option<ErrorCode>) -> Response {
        let pending = |ongoing: &Ongoing| ongoing.offsets.iter().any(|offset| offset.partition == partition);
        let unstable = self.transactions.values().any(pending).then_some(ErrorCode::UnstableOffsetCommit);
        let error = told.or(unstable).unwrap_or_default();
        let offset = self.positions.get(&partition).copied().unwrap_or(-1);
        Response::OffsetFetch { error: ErrorCode::None, partitions: vec![(partition, error, offset, -1)] }
    }

    pub(super) fn produce(
        &mut self,
        id: TransactionalId,
        batch: &ProduceBatch,
        told: Option<ErrorCode>,
    ) -> Response {
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
        Response::Produce { partitions: vec![(batch.partition, error, 0, 0)], throttle: Span::ZERO }
    }

    pub(super) fn end(&mut self, id: TransactionalId, commit: bool) {
        let ongoing = self.transactions.entry(id).or_default();
        let (records, offsets) = (std::mem::take(&mut ongoing.records), std::mem::take(&mut ongoing.offsets));
        ongoing.partitions.clear();
        if commit {
            self.committed.extend(records);
            self.positions.extend(offsets.iter().map(|offset| (offset.partition, offset.offset)));
        }
    }

    /// The target aborts every transaction that is still open, and fences its producer.
    pub(super) fn time_out(&mut self) {
        for ongoing in self.transactions.values_mut().filter(|ongoing| !ongoing.partitions.is_empty()) {
            *ongoing = Ongoing { epoch: ongoing.epoch + 1, ..Ongoing::default() };
        }
    }

    pub(super) fn copied(&self) -> Vec<Offset> {
        self.committed.iter().map(|record| record.copied_from).collect()
    }
}

/// Workers in front of one target.
pub(super) struct Bench {
    pub(super) target: FakeTarget,
    pub(super) workers: Vec<Worker<FakeCorgi, FakeKafka>>,
    pub(super) now: Time,
    pub(super) events: Vec<Event>,
    pub(super) exited: bool,
}

impl Bench {
    pub(super) fn new(settings: &Settings) -> Bench {
        let wiring = |worker| Wiring {
            worker,
            deployment: NodeId(1),
            brokers: vec![BROKER],
            group: GroupId(7),
            topics: vec![MirroredTopic { topic: TopicId(0), target_partitions: 4 }],
            direction: Direction::IntoKafka,
            leaves_copies: false,
        };
        let worker = |number| {
            Worker::new(settings.clone(), wiring(number), FakeCorgi::default(), FakeKafka::default())
        };
        let target = FakeTarget {
            most_records: usize::MAX,
            partitions: 4,
            positions_partitions: 4,
            ..FakeTarget::default()
        };
        let workers = vec![worker(0), worker(1)];
        let mut bench = Bench { target, workers, now: Time::ZERO, events: vec![], exited: false };
        bench.step(0, Input::Start { incarnation: 1 });
        bench.step(1, Input::Start { incarnation: 1 });
        bench
    }

    /// An input, and everything that the target answers to it.
    pub(super) fn step(&mut self, worker: usize, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut effects = Effects::default();
            self.workers[worker].step(Now::exact(self.now), input, &mut effects);
            self.events.append(&mut effects.events);
            let is_busy =
                |effect: &TimerEffect| matches!(effect, TimerEffect::Set(WAKE, After::Exactly(Span::ZERO)));
            assert!(!effects.timers.iter().any(is_busy), "a timer that is due at once never lets time go on");
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

    pub(super) fn wait(&mut self, worker: usize, span: Span) {
        self.now += span;
        self.step(worker, Input::Timer(WAKE));
    }

    /// Long enough for a transaction and a few retries.
    pub(super) fn wait_long(&mut self, worker: usize) {
        for _ in 0..8 {
            self.wait(worker, Span::millis(400));
        }
    }

    pub(super) fn corgi(&mut self, worker: usize) -> &mut FakeCorgi {
        self.workers[worker].corgi_in_test()
    }

    pub(super) fn assign(&mut self, worker: usize, assigned: Assigned) {
        self.corgi(worker).assigned.push_back(assigned);
        self.step(worker, Input::Disconnected(NodeId(99)));
    }

    pub(super) fn receive(
        &mut self,
        worker: usize,
        partition: TopicPartition,
        offsets: std::ops::Range<Offset>,
    ) {
        self.corgi(worker).records.extend(offsets.map(|offset| received(partition, offset)));
        self.step(worker, Input::Disconnected(NodeId(99)));
    }

    pub(super) fn holding(settings: &Settings) -> Bench {
        let mut bench = Bench::new(settings);
        bench.assign(0, Assigned::Granted(vec![(P, 0)]));
        bench
    }
}
