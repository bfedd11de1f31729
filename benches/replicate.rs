//! Produce -> replicate to two slaves -> acknowledge, in batches of 1, 10 and 100: Corgi's own brokers in the world,
//! with its network, history and digest, beside the same path as asynchronous services on madsim's `Endpoint` RPC. Either
//! client sends the next batch when the one before is acknowledged.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use cutover_benches::endpoint::endpoint_path;
use cutover_benches::in_one_room;
use cutover_model::corgi::broker::Broker;
use cutover_model::corgi::protocol::{Request, Response, SendStatus};
use cutover_model::corgi::settings::Replication;
use cutover_model::corgi::wiring::{Topic, Wiring};
use cutover_model::corgi::{Settings, name_service::NameService};
use cutover_model::machine::{Effects, Input, Machine, Now, RequestIds};
use cutover_model::message::Message;
use cutover_model::record::{NodeId, Record, RecordId, TopicId, TopicPartition};
use cutover_sim::world::World;
use serde::Serialize;
use std::hint::black_box;

const BATCHES: u64 = 500;
const MASTER: NodeId = NodeId(0);
const CLIENT: NodeId = NodeId(4);

/// A client that knows its master and sends one batch after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Client {
    batch: u64,
    ids: RequestIds,
    acknowledged: u64,
}

impl Client {
    fn send(&mut self, effects: &mut Effects) {
        let record = |sequence| Record {
            id: RecordId { producer: 0, sequence: sequence as u32 },
            bytes: 100,
            ..Record::default()
        };
        let records = (self.acknowledged..self.acknowledged + self.batch).map(record).collect();
        let request = Request::Send { partition: TopicPartition::default(), records };
        effects.send(MASTER, Message::CorgiRequest(self.ids.next_id(), Box::new(request)));
    }
}

/// What runs in this world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
enum Process {
    Broker(Box<Broker>),
    NameService(Box<NameService>),
    Client(Client),
}

impl Machine for Process {
    fn step(&mut self, now: Now, input: Input, effects: &mut Effects) {
        let client = match self {
            Process::Broker(broker) => return broker.step(now, input, effects),
            Process::NameService(service) => return service.step(now, input, effects),
            Process::Client(client) => client,
        };
        match input {
            Input::Start { incarnation } => {
                client.ids = RequestIds::new(incarnation, 1);
                client.send(effects);
            }
            Input::Message { message: Message::CorgiResponse(_, response), .. } => {
                if let Response::Send { status: SendStatus::Ok, .. } = *response {
                    client.acknowledged += client.batch;
                    client.send(effects);
                }
            }
            _ => {}
        }
    }

    fn crash(&mut self) {
        unreachable!("nothing crashes here");
    }

    fn lose(&mut self, _now: Now, _loss: cutover_model::incident::DiskLoss) {}
}

fn world(batch: u64) -> World<Process> {
    let wiring = Wiring {
        name_service: NodeId(3),
        on_call: NodeId(3),
        sets: vec![vec![MASTER, NodeId(1), NodeId(2)]],
        standby_sets: 0,
        topics: vec![Topic::spread(TopicId(0), 1, 1)],
    };
    let settings = Settings { replication: Replication::Both, ..Settings::default() };
    let broker = |index| Process::Broker(Box::new(Broker::new(settings.clone(), wiring.clone(), 0, index)));
    let mut processes: Vec<Process> = (0..3).map(broker).collect();
    processes.push(Process::NameService(Box::new(NameService::new(settings.clone(), wiring.clone()))));
    processes.push(Process::Client(Client { batch, ..Client::default() }));
    // The slaves find their master first.
    let mut world = in_one_room(processes, &[3, 0, 1, 2]);
    world.start(CLIENT);
    world
}

/// Step the world until every record is acknowledged. Returns how many were.
fn world_path(mut world: World<Process>, records: u64) -> u64 {
    while acknowledged(&world) < records && world.step() {
        world.forget_history();
    }
    acknowledged(&world)
}

fn acknowledged(world: &World<Process>) -> u64 {
    match &world.nodes()[CLIENT.0 as usize].machine {
        Process::Client(client) => client.acknowledged,
        Process::Broker(_) | Process::NameService(_) => 0,
    }
}

fn replicate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("replicate");
    group.sample_size(20);
    for batch in [1, 10, 100] {
        let records = BATCHES * batch;
        assert_eq!(world_path(world(batch), records), records, "every record is acknowledged");
        group.throughput(Throughput::Elements(records));
        group.bench_function(BenchmarkId::new("world", batch), |bencher| {
            bencher.iter(|| world_path(world(black_box(batch)), records));
        });
        group.bench_function(BenchmarkId::new("endpoint", batch), |bencher| {
            bencher.iter(|| endpoint_path(BATCHES, black_box(batch)));
        });
    }
    group.finish();
}

criterion_group!(benches, replicate);
criterion_main!(benches);
