//! A small deterministic loop over one controller and three brokers, for the tests of this module: messages take one
//! millisecond, faults are method calls.

use super::protocol::{
    Acks, BrokerId, ErrorCode, FetchPartition, Isolation, ProduceBatch, ProducerStamp, Request, Response,
};
use super::{Broker, Controller, Settings, WiredTopic, Wiring};
use crate::history::Event;
use crate::incident::DiskLoss;
use crate::machine::{After, Effects, Input, Machine, Now, Process, RequestId, Timer, TimerEffect};
use crate::message::Message;
use crate::record::{NodeId, Offset, Record, RecordId, TopicId, TopicPartition};
use crate::units::{Span, Time};
use std::collections::BTreeMap;

const LATENCY: Span = Span::millis(1);
const CLIENT: NodeId = NodeId(100);

#[derive(Clone)]
pub(super) enum Node {
    Controller(Box<Controller>),
    Broker(Box<Broker>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Process_ {
    Up,
    Down,
    Frozen,
}

enum Happening {
    Deliver(NodeId, NodeId, Message),
    Timer(NodeId, Timer, u64),
    Gone(NodeId, NodeId),
}

pub(super) struct World {
    pub now: Time,
    nodes: BTreeMap<NodeId, (Node, Process_, u32)>,
    queue: BTreeMap<(Time, u64), Happening>,
    timers: BTreeMap<(NodeId, Timer), u64>,
    held: BTreeMap<NodeId, Vec<Input>>,
    answers: BTreeMap<RequestId, Response>,
    pub events: Vec<Event>,
    pub steps: u64,
    /// How many connections of clients were closed on them.
    pub closed: u32,
    /// Messages between Kafka's nodes are lost, delivered late and delivered twice, drawn from this.
    pub noise: Option<u64>,
    next: u64,
    requests: u32,
    records: u32,
}

impl World {
    /// A cluster that has run for a second, with topic 0 of `partitions` partitions.
    pub fn new(settings: Settings, partitions: u16) -> World {
        let brokers: Vec<_> = (1..=settings.brokers).map(|id| (BrokerId(id), NodeId(id))).collect();
        let topics = vec![WiredTopic { topic: TopicId(0), partitions }];
        let wiring = Wiring { controller: NodeId(0), brokers: brokers.clone(), topics };
        let mut world = World {
            now: Time::ZERO,
            nodes: BTreeMap::new(),
            queue: BTreeMap::new(),
            timers: BTreeMap::new(),
            held: BTreeMap::new(),
            answers: BTreeMap::new(),
            events: Vec::new(),
            steps: 0,
            closed: 0,
            noise: None,
            next: 0,
            requests: 0,
            records: 0,
        };
        let controller = Controller::new(settings.clone(), wiring.clone());
        world.nodes.insert(NodeId(0), (Node::Controller(Box::new(controller)), Process_::Down, 0));
        for (id, node) in brokers {
            let broker = Broker::new(settings.clone(), wiring.clone(), id);
            world.nodes.insert(node, (Node::Broker(Box::new(broker)), Process_::Down, 0));
        }
        for node in 0..=settings.brokers {
            world.start(node);
        }
        world.run_for(Span::secs(1));
        world
    }

    /// Short time-outs, as the recordings were made with.
    pub fn quick() -> Settings {
        Settings {
            broker_session: Span::millis(2_500),
            broker_heartbeat: Span::millis(300),
            replica_lag_time_max: Span::secs(2),
            replica_fetch_wait: Span::millis(100),
            group_initial_rebalance_delay: Span::ZERO,
            group_min_session: Span::millis(200),
            offsets_partitions: 3,
            transaction_partitions: 3,
            ..Settings::default()
        }
    }

    pub fn start(&mut self, node: u32) {
        let node = NodeId(node);
        let entry = self.nodes.get_mut(&node).expect("the node exists");
        assert!(entry.1 == Process_::Down, "only a dead process can be started");
        entry.1 = Process_::Up;
        entry.2 += 1;
        let incarnation = entry.2;
        self.step(node, Input::Start { incarnation });
    }

    pub fn kill(&mut self, node: u32) {
        let node = NodeId(node);
        let entry = self.nodes.get_mut(&node).expect("the node exists");
        entry.1 = Process_::Down;
        match &mut entry.0 {
            Node::Broker(broker) => broker.crash(),
            Node::Controller(controller) => controller.crash(),
        }
        self.held.remove(&node);
        self.timers.retain(|(owner, _), _| *owner != node);
        for other in self.nodes.keys().copied().filter(|other| *other != node).collect::<Vec<_>>() {
            self.schedule(LATENCY, Happening::Gone(other, node));
        }
    }

    /// A dead broker's disk loses something.
    pub fn lose(&mut self, node: u32, loss: DiskLoss) {
        let entry = self.nodes.get_mut(&NodeId(node)).expect("the node exists");
        assert!(entry.1 == Process_::Down, "a disk is lost while the process is down");
        if let Node::Broker(broker) = &mut entry.0 {
            broker.lose(Now::exact(self.now), loss);
        }
    }

    pub fn freeze(&mut self, node: u32) {
        self.nodes.get_mut(&NodeId(node)).expect("the node exists").1 = Process_::Frozen;
    }

    pub fn thaw(&mut self, node: u32) {
        let node = NodeId(node);
        self.nodes.get_mut(&node).expect("the node exists").1 = Process_::Up;
        for input in self.held.remove(&node).unwrap_or_default() {
            self.step(node, input);
        }
    }

    pub fn terminate(&mut self, node: u32) {
        self.step(NodeId(node), Input::Terminate);
    }

    pub fn is_up(&self, node: u32) -> bool {
        self.nodes[&NodeId(node)].1 == Process_::Up
    }

    /// A number below `bound`, from the noise's own row.
    pub fn draw(&mut self, bound: u64) -> u64 {
        let state = self.noise.unwrap_or(1).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.noise = Some(state);
        (state >> 33) % bound
    }

    fn transmit(&mut self, from: NodeId, to: NodeId, message: Message) {
        if self.noise.is_none() || to == CLIENT {
            self.schedule(LATENCY, Happening::Deliver(from, to, message));
            return;
        }
        match self.draw(100) {
            0 => {}
            1 => {
                let late = Span::millis(self.draw(50));
                self.schedule(late, Happening::Deliver(from, to, message.clone()));
                self.schedule(LATENCY, Happening::Deliver(from, to, message));
            }
            2 => {
                let late = Span::millis(self.draw(50));
                self.schedule(late, Happening::Deliver(from, to, message));
            }
            _ => self.schedule(LATENCY, Happening::Deliver(from, to, message)),
        }
    }

    fn schedule(&mut self, after: Span, happening: Happening) {
        self.next += 1;
        self.queue.insert((self.now + after, self.next), happening);
    }

    fn step(&mut self, node: NodeId, input: Input) {
        let entry = self.nodes.get_mut(&node).expect("the node exists");
        match entry.1 {
            Process_::Down => return,
            Process_::Frozen => {
                self.held.entry(node).or_default().push(input);
                return;
            }
            Process_::Up => {}
        }
        let mut effects = Effects::default();
        let now = Now::exact(self.now);
        match &mut entry.0 {
            Node::Broker(broker) => broker.step(now, input, &mut effects),
            Node::Controller(controller) => controller.step(now, input, &mut effects),
        }
        self.steps += 1;
        for (to, message) in effects.sends {
            self.transmit(node, to, message);
        }
        for effect in effects.timers {
            match effect {
                TimerEffect::Set(timer, after) => {
                    let (After::Exactly(span) | After::Between(span, _)) = after;
                    self.timers.insert((node, timer), self.next + 1);
                    let version = self.next + 1;
                    self.schedule(span, Happening::Timer(node, timer, version));
                }
                TimerEffect::Cancel(timer) => {
                    self.timers.remove(&(node, timer));
                }
            }
        }
        self.events.extend(effects.events);
        for process in effects.processes {
            match process {
                Process::Disconnect(CLIENT) => self.closed += 1,
                Process::Exit | Process::Halt => self.kill(node.0),
                other => panic!("{other:?}"),
            }
        }
    }

    pub fn run_for(&mut self, span: Span) {
        let end = self.now + span;
        while let Some((&(at, number), _)) = self.queue.first_key_value() {
            if at > end {
                break;
            }
            self.now = at;
            let happening = self.queue.remove(&(at, number)).expect("it was there");
            match happening {
                Happening::Deliver(_, CLIENT, Message::KafkaResponse(id, response)) => {
                    self.answers.insert(id, *response);
                }
                Happening::Deliver(from, to, message) => {
                    if self.nodes[&to].1 == Process_::Down {
                        if from != CLIENT {
                            self.step(from, Input::Disconnected(to));
                        }
                    } else {
                        self.step(to, Input::Message { from, message });
                    }
                }
                Happening::Timer(node, timer, version) => {
                    if self.timers.get(&(node, timer)) == Some(&version) {
                        self.timers.remove(&(node, timer));
                        self.step(node, Input::Timer(timer));
                    }
                }
                Happening::Gone(node, gone) => self.step(node, Input::Disconnected(gone)),
            }
        }
        self.now = end;
    }

    /// Send a request, and go on.
    pub fn send(&mut self, node: u32, request: Request) -> RequestId {
        self.requests += 1;
        let id = RequestId::new(1, 0, self.requests);
        let message = Message::KafkaRequest(id, Box::new(request));
        self.schedule(LATENCY, Happening::Deliver(CLIENT, NodeId(node), message));
        id
    }

    /// The answer to a request, if it has come.
    pub fn answer(&mut self, id: RequestId) -> Option<Response> {
        self.answers.remove(&id)
    }

    /// Send a request and wait for its answer.
    pub fn ask(&mut self, node: u32, request: Request) -> Response {
        let id = self.send(node, request.clone());
        for _ in 0..60_000 {
            if let Some(answer) = self.answer(id) {
                return answer;
            }
            self.run_for(LATENCY);
        }
        panic!("no answer to {request:?}");
    }

    pub fn batch(&mut self, partition: u16, count: u32, stamp: Option<ProducerStamp>) -> ProduceBatch {
        let partition = TopicPartition::new(0, partition);
        let records = (0..count)
            .map(|_| {
                self.records += 1;
                let id = RecordId { producer: 0, sequence: self.records };
                Record { id, bytes: 100, created_at: self.now, ..Record::default() }
            })
            .collect();
        ProduceBatch { partition, stamp, records }
    }

    /// Produce one record. Returns the error and the base offset.
    pub fn produce(&mut self, node: u32, partition: u16, acks: Acks) -> (ErrorCode, Offset) {
        let batches = vec![self.batch(partition, 1, None)];
        self.produce_batches(node, acks, batches)
    }

    pub fn produce_batches(
        &mut self,
        node: u32,
        acks: Acks,
        batches: Vec<ProduceBatch>,
    ) -> (ErrorCode, Offset) {
        let request = Request::Produce { acks, timeout: Span::secs(1), transaction: None, batches };
        match self.ask(node, request) {
            Response::Produce { partitions, .. } => (partitions[0].1, partitions[0].2),
            other => panic!("{other:?}"),
        }
    }

    /// Fetch without waiting. Returns the error, the high watermark and the records' sequences.
    pub fn fetch(&mut self, node: u32, partition: u16, offset: Offset) -> (ErrorCode, Offset, Vec<u32>) {
        match self.ask(node, fetch_request(partition, offset, Span::ZERO)) {
            Response::Fetch { partitions, .. } => {
                let records = partitions[0]
                    .records
                    .iter()
                    .map(|record| match record.body {
                        super::protocol::Body::Record(record) => record.id.sequence,
                        super::protocol::Body::Marker { .. } => 0,
                    })
                    .collect();
                (partitions[0].error, partitions[0].high_watermark, records)
            }
            other => panic!("{other:?}"),
        }
    }

    /// The leader of a partition of topic 0 and its ISR, as a broker sees them.
    pub fn leader(&mut self, asked: u32, partition: u16) -> (Option<u32>, i32, Vec<u32>) {
        match self.ask(asked, Request::Metadata { topics: vec![TopicId(0)] }) {
            Response::Metadata { partitions, .. } => {
                let found = &partitions[usize::from(partition)];
                let mut isr: Vec<u32> = found.isr.iter().map(|id| id.0).collect();
                isr.sort_unstable();
                (found.leader.map(|id| id.0), found.leader_epoch, isr)
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn fetch_request(partition: u16, offset: Offset, max_wait: Span) -> Request {
    let asked = FetchPartition {
        partition: TopicPartition::new(0, partition),
        offset,
        leader_epoch: -1,
        last_fetched_epoch: -1,
        max_bytes: 1 << 20,
    };
    Request::Fetch {
        isolation: Isolation::ReadUncommitted,
        max_wait,
        min_bytes: 1,
        max_bytes: 1 << 20,
        partitions: vec![asked],
    }
}
