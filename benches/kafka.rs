//! What a record costs in the Kafka model: produced with acks=all, replicated to three brokers and read by a consumer, in
//! batches of 1, 10 and 100: without numbers, by an idempotent producer, and in transactions of ten batches that a consumer of
//! committed data reads. The client sends the next batch when the one before is acknowledged.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use cutover_benches::in_one_room;
use cutover_model::kafka::protocol::{
    Acks, Body, BrokerId, CoordinatorKey, ErrorCode, FetchPartition, Isolation, ProduceBatch, ProducerId,
    ProducerStamp, Request, Response, TransactionalId,
};
use cutover_model::kafka::{Broker, Controller, Settings, WiredTopic, Wiring};
use cutover_model::machine::{Effects, Input, Machine, Now, RequestIds, Timer};
use cutover_model::message::Message;
use cutover_model::record::{NodeId, Offset, Record, RecordId, TopicId, TopicPartition};
use cutover_model::units::Span;
use cutover_sim::world::World;
use serde::Serialize;
use std::hint::black_box;

const BATCHES: u64 = 500;
const BATCHES_OF_A_TRANSACTION: u64 = 10;
const LEADER: NodeId = NodeId(1);
const PRODUCER: NodeId = NodeId(4);
const CONSUMER: NodeId = NodeId(5);
const AT: TopicPartition = TopicPartition::new(0, 0);
const TRANSACTION: TransactionalId = TransactionalId(0);
const AGAIN: Timer = Timer::new("client/again", 0);

/// How the producer numbers what it sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Mode {
    Plain,
    Idempotent,
    Transactional,
}

/// A producer that knows its leader and sends one batch after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Producer {
    mode: Mode,
    batch: u64,
    ids: RequestIds,
    coordinator: NodeId,
    producer: Option<(ProducerId, i16)>,
    acknowledged: u64,
    /// Batches of the open transaction.
    open: u64,
}

impl Producer {
    fn ask(&mut self, to: NodeId, request: Request, effects: &mut Effects) {
        effects.send(to, Message::KafkaRequest(self.ids.next_id(), Box::new(request)));
    }

    fn transaction(&self) -> Option<TransactionalId> {
        (self.mode == Mode::Transactional).then_some(TRANSACTION)
    }

    fn begin(&mut self, effects: &mut Effects) {
        match self.mode {
            Mode::Plain => self.produce(effects),
            Mode::Idempotent => self.ask_id(effects),
            Mode::Transactional => {
                let key = CoordinatorKey::Transaction(TRANSACTION);
                self.ask(LEADER, Request::FindCoordinator { key }, effects);
            }
        }
    }

    fn ask_id(&mut self, effects: &mut Effects) {
        let (transaction, transaction_timeout) = (self.transaction(), Span::secs(60));
        let request = Request::InitProducerId { transaction, transaction_timeout, current: None };
        self.ask(self.coordinator, request, effects);
    }

    fn next(&mut self, effects: &mut Effects) {
        let Some(producer) = self.producer.filter(|_| self.mode == Mode::Transactional) else {
            return self.produce(effects);
        };
        let transaction = TRANSACTION;
        match self.open {
            0 if self.acknowledged == BATCHES * self.batch => {}
            0 => {
                let partitions = vec![AT];
                self.ask(
                    self.coordinator,
                    Request::AddPartitionsToTxn { transaction, producer, partitions },
                    effects,
                );
            }
            BATCHES_OF_A_TRANSACTION => {
                self.ask(self.coordinator, Request::EndTxn { transaction, producer, commit: true }, effects);
            }
            _ => self.produce(effects),
        }
    }

    fn produce(&mut self, effects: &mut Effects) {
        if self.acknowledged == BATCHES * self.batch {
            return;
        }
        let record = |sequence| Record {
            id: RecordId { producer: 0, sequence: sequence as u32 },
            bytes: 100,
            ..Record::default()
        };
        let records = (self.acknowledged..self.acknowledged + self.batch).map(record).collect();
        let stamp = self.producer.map(|(id, epoch)| ProducerStamp {
            id,
            epoch,
            base_sequence: self.acknowledged as i32,
            transactional: self.mode == Mode::Transactional,
        });
        let batches = vec![ProduceBatch { partition: AT, stamp, records }];
        let transaction = self.transaction();
        let request = Request::Produce { acks: Acks::All, timeout: Span::secs(30), transaction, batches };
        self.ask(LEADER, request, effects);
    }

    fn answered(&mut self, response: Response, effects: &mut Effects) {
        match response {
            Response::FindCoordinator { coordinator: Some((_, node)), .. } => {
                self.coordinator = node;
                self.ask_id(effects);
            }
            Response::InitProducerId { producer: Some(producer), .. } => {
                self.producer = Some(producer);
                self.next(effects);
            }
            Response::AddPartitionsToTxn { partitions } if partitions[0].1 == ErrorCode::None => {
                self.produce(effects);
            }
            Response::Produce { partitions, .. } if partitions[0].1 == ErrorCode::None => {
                self.acknowledged += self.batch;
                self.open += 1;
                self.next(effects);
            }
            Response::EndTxn { error: ErrorCode::None } => {
                self.open = 0;
                self.next(effects);
            }
            // The transaction before is not quite over, or the coordinator has no ids yet.
            _ => effects.set_timer(AGAIN, Span::millis(1)),
        }
    }

    fn input(&mut self, input: Input, effects: &mut Effects) {
        match input {
            Input::Start { incarnation } => {
                self.ids = RequestIds::new(incarnation, 1);
                self.begin(effects);
            }
            Input::Message { message: Message::KafkaResponse(_, response), .. } => {
                self.answered(*response, effects);
            }
            Input::Timer(_) if self.producer.is_some() => self.next(effects),
            Input::Timer(_) => self.begin(effects),
            _ => {}
        }
    }
}

/// A consumer that knows its leader and reads on from where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Consumer {
    isolation: Isolation,
    ids: RequestIds,
    offset: Offset,
    seen: u64,
}

impl Consumer {
    fn input(&mut self, input: Input, effects: &mut Effects) {
        match input {
            Input::Start { incarnation } => self.ids = RequestIds::new(incarnation, 1),
            Input::Message { message: Message::KafkaResponse(_, response), .. } => {
                let Response::Fetch { partitions, .. } = *response else { return };
                for record in partitions.iter().flat_map(|partition| &partition.records) {
                    self.seen +=
                        u64::from(matches!(record.body, Body::Record(_)) && record.offset >= self.offset);
                    self.offset = self.offset.max(record.offset + 1);
                }
            }
            _ => return,
        }
        let partition = FetchPartition {
            partition: AT,
            offset: self.offset,
            leader_epoch: -1,
            last_fetched_epoch: -1,
            max_bytes: 1 << 20,
        };
        let request = Request::Fetch {
            isolation: self.isolation,
            max_wait: Span::millis(500),
            min_bytes: 1,
            max_bytes: 50 << 20,
            partitions: vec![partition],
        };
        effects.send(LEADER, Message::KafkaRequest(self.ids.next_id(), Box::new(request)));
    }
}

/// What runs in this world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
enum Process {
    Controller(Box<Controller>),
    Broker(Box<Broker>),
    Producer(Producer),
    Consumer(Consumer),
}

impl Machine for Process {
    fn step(&mut self, now: Now, input: Input, effects: &mut Effects) {
        match self {
            Process::Controller(controller) => controller.step(now, input, effects),
            Process::Broker(broker) => broker.step(now, input, effects),
            Process::Producer(producer) => producer.input(input, effects),
            Process::Consumer(consumer) => consumer.input(input, effects),
        }
    }

    fn crash(&mut self) {
        unreachable!("nothing crashes here");
    }

    fn lose(&mut self, _now: Now, _loss: cutover_model::incident::DiskLoss) {}
}

fn processes(mode: Mode, batch: u64) -> Vec<Process> {
    let brokers: Vec<(BrokerId, NodeId)> = (1..=3).map(|id| (BrokerId(id), NodeId(id))).collect();
    let topics = vec![WiredTopic { topic: TopicId(0), partitions: 1 }];
    let wiring = Wiring { controller: NodeId(0), brokers: brokers.clone(), topics };
    let settings = Settings::default();
    let broker = |(id, _)| Process::Broker(Box::new(Broker::new(settings.clone(), wiring.clone(), id)));
    let controller = Controller::new(settings.clone(), wiring.clone());
    let isolation =
        if mode == Mode::Transactional { Isolation::ReadCommitted } else { Isolation::ReadUncommitted };
    let producer = Producer {
        mode,
        batch,
        ids: RequestIds::default(),
        coordinator: LEADER,
        producer: None,
        acknowledged: 0,
        open: 0,
    };
    std::iter::once(Process::Controller(Box::new(controller)))
        .chain(brokers.into_iter().map(broker))
        .chain([
            Process::Producer(producer),
            Process::Consumer(Consumer { isolation, ids: RequestIds::default(), offset: 0, seen: 0 }),
        ])
        .collect()
}

fn world(mode: Mode, batch: u64) -> World<Process> {
    // The brokers are let in first.
    let mut world = in_one_room(processes(mode, batch), &[0, 1, 2, 3]);
    world.start(CONSUMER);
    world.start(PRODUCER);
    world
}

/// Step the world until every record is read. Returns how many were.
fn path(mut world: World<Process>, records: u64) -> u64 {
    while seen(&world) < records && world.step() {
        world.forget_history();
    }
    seen(&world)
}

fn seen(world: &World<Process>) -> u64 {
    match &world.nodes()[CONSUMER.0 as usize].machine {
        Process::Consumer(consumer) => consumer.seen,
        _ => 0,
    }
}

fn kafka(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("kafka");
    group.sample_size(20);
    for batch in [1, 10, 100] {
        let records = BATCHES * batch;
        group.throughput(Throughput::Elements(records));
        for mode in [Mode::Plain, Mode::Idempotent, Mode::Transactional] {
            assert_eq!(path(world(mode, batch), records), records, "every record is read, {mode:?}");
            let name = format!("{mode:?}").to_lowercase();
            group.bench_function(BenchmarkId::new(name, batch), |bencher| {
                bencher.iter(|| path(world(mode, black_box(batch)), records));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, kafka);
criterion_main!(benches);
