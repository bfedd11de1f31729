//! A small deterministic world for Corgi's tests: every message takes a millisecond, nodes can be crashed, paused and
//! cut off from each other, and what the applications saw is kept.

use crate::client::corgi_consumer::{CorgiConsumer, Membership};
use crate::client::corgi_producer::CorgiProducer;
use crate::client::{
    Assigned, Consumer, Producer, SendOutcome, corgi_consumer_settings, corgi_producer_settings,
};
use crate::corgi::broker::Broker;
use crate::corgi::name_service::NameService;
use crate::corgi::on_call::OnCall;
use crate::corgi::wiring::Topic;
use crate::corgi::{Settings, Wiring};
use crate::history::Event;
use crate::incident::{DiskLoss, Incident};
use crate::machine::{After, Effects, Input, Machine, Now, Process, Timer, TimerEffect};
use crate::record::{GroupId, NodeId, Offset, Record, RecordId, TopicId, TopicPartition};
use crate::units::{Span, Time};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const NAME_SERVICE: NodeId = NodeId(0);
pub(crate) const ON_CALL: NodeId = NodeId(1);
pub(crate) const BROKERS: [NodeId; 3] = [NodeId(10), NodeId(11), NodeId(12)];
/// The brokers of a second set, where it stands by.
pub(crate) const STANDBY: [NodeId; 3] = [NodeId(60), NodeId(61), NodeId(62)];
pub(crate) const PRODUCER: NodeId = NodeId(20);
pub(crate) const CONSUMERS: [NodeId; 3] = [NodeId(30), NodeId(31), NodeId(32)];
pub(crate) const GROUP: GroupId = GroupId(0);
const LATENCY: Span = Span::millis(1);
const SEND: Timer = Timer::new("test/send", 0);

/// An application that sends a record to each partition every so often.
#[derive(Clone, Debug)]
pub(crate) struct TestProducer {
    library: CorgiProducer,
    partitions: u16,
    interval: Span,
    until: Time,
    sent: u32,
    delayed: Option<(u32, Span)>,
}

/// An application that processes each record at once.
#[derive(Clone, Debug)]
pub(crate) struct TestConsumer {
    library: CorgiConsumer,
    held: BTreeSet<TopicPartition>,
}

#[derive(Clone, Debug)]
pub(crate) enum Node {
    Broker(Box<Broker>),
    NameService(NameService),
    OnCall(OnCall),
    Producer(Box<TestProducer>),
    Consumer(Box<TestConsumer>),
}

/// What the applications saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) sent: Vec<RecordId>,
    pub(crate) acknowledged: BTreeMap<RecordId, (TopicPartition, Offset)>,
    pub(crate) given_up: BTreeMap<RecordId, SendOutcome>,
    pub(crate) acknowledged_at: Vec<Time>,
    pub(crate) delivered: Vec<(Time, NodeId, TopicPartition, Offset, RecordId)>,
    pub(crate) granted: Vec<(Time, NodeId, TopicPartition, Offset)>,
    /// Two instances of the group held a partition at the same time.
    pub(crate) overlaps: Vec<(Time, TopicPartition)>,
    pub(crate) truncated: Vec<(NodeId, TopicPartition, Offset, Offset)>,
    pub(crate) disk_lost: Vec<(NodeId, TopicPartition, Offset, Offset)>,
    pub(crate) due: Vec<(Time, RecordId)>,
    pub(crate) masters: Vec<(Time, NodeId)>,
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) nodes: BTreeMap<NodeId, Node>,
    pub(crate) seen: Seen,
    queue: BTreeMap<(Time, u64), (NodeId, Input)>,
    number: u64,
    timers: BTreeMap<(NodeId, Timer), (Time, u64)>,
    cuts: BTreeSet<(NodeId, NodeId)>,
    paused: BTreeMap<NodeId, Vec<Input>>,
    running: BTreeSet<NodeId>,
    incarnations: BTreeMap<NodeId, u32>,
    talked: BTreeSet<(NodeId, NodeId)>,
    pub(crate) steps: u64,
    /// The state of the noise on the network, if there is any.
    noise: Option<u64>,
}

pub(crate) struct Setup {
    pub(crate) settings: Settings,
    pub(crate) producer: corgi_producer_settings::Settings,
    pub(crate) consumer: corgi_consumer_settings::Settings,
    pub(crate) ordered: bool,
    pub(crate) consumers: usize,
    pub(crate) partitions: u16,
    pub(crate) interval: Span,
    pub(crate) until: Time,
    /// Every record of so many is delayed, by so much.
    pub(crate) delayed: Option<(u32, Span)>,
    /// Whether a second set stands by.
    pub(crate) standby: bool,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            settings: Settings::default(),
            producer: corgi_producer_settings::Settings::default(),
            consumer: corgi_consumer_settings::Settings::default(),
            ordered: true,
            consumers: 2,
            partitions: 4,
            interval: Span::millis(500),
            until: Time::ZERO + Span::secs(120),
            delayed: None,
            standby: false,
        }
    }
}

pub(crate) fn at(secs: u64) -> Time {
    Time::ZERO + Span::secs(secs)
}

impl World {
    pub(crate) fn new(setup: &Setup) -> World {
        let standby = setup.standby.then(|| STANDBY.to_vec());
        let wiring = Wiring {
            name_service: NAME_SERVICE,
            on_call: ON_CALL,
            standby_sets: u16::from(setup.standby),
            sets: [BROKERS.to_vec()].into_iter().chain(standby.clone()).collect(),
            topics: vec![Topic::spread(TopicId(0), setup.partitions, 1)],
        };
        let settings = &setup.settings;
        let mut nodes = BTreeMap::new();
        nodes.insert(NAME_SERVICE, Node::NameService(NameService::new(settings.clone(), wiring.clone())));
        nodes.insert(ON_CALL, Node::OnCall(OnCall::new(settings.clone(), wiring.clone())));
        for (index, node) in (0..).zip(BROKERS) {
            let broker = Broker::new(settings.clone(), wiring.clone(), 0, index);
            nodes.insert(node, Node::Broker(Box::new(broker)));
        }
        for (index, node) in (0..).zip(standby.iter().flatten()) {
            let broker = Broker::new(settings.clone(), wiring.clone(), 1, index);
            nodes.insert(*node, Node::Broker(Box::new(broker)));
        }
        let library = CorgiProducer::new(setup.producer.clone(), 0, NAME_SERVICE);
        let (partitions, interval, until) = (setup.partitions, setup.interval, setup.until);
        let delayed = setup.delayed;
        let producer = TestProducer { library, partitions, interval, until, sent: 0, delayed };
        nodes.insert(PRODUCER, Node::Producer(Box::new(producer)));
        for node in &CONSUMERS[..setup.consumers] {
            let membership = Membership {
                node: *node,
                lane: 0,
                group: GROUP,
                topics: vec![TopicId(0)],
                ordered: setup.ordered,
            };
            let library = CorgiConsumer::new(setup.consumer.clone(), NAME_SERVICE, membership);
            nodes.insert(*node, Node::Consumer(Box::new(TestConsumer { library, held: BTreeSet::new() })));
        }
        let mut world = World {
            now: Time::ZERO,
            nodes,
            seen: Seen::default(),
            queue: BTreeMap::new(),
            number: 0,
            timers: BTreeMap::new(),
            cuts: BTreeSet::new(),
            paused: BTreeMap::new(),
            running: BTreeSet::new(),
            incarnations: BTreeMap::new(),
            talked: BTreeSet::new(),
            steps: 0,
            noise: None,
        };
        let all: Vec<NodeId> = world.nodes.keys().copied().filter(|node| !STANDBY.contains(node)).collect();
        for node in all {
            world.start(node);
        }
        world
    }

    pub(crate) fn broker(&self, node: NodeId) -> &Broker {
        match &self.nodes[&node] {
            Node::Broker(broker) => broker,
            other => panic!("{other:?} is no broker"),
        }
    }

    pub(crate) fn start(&mut self, node: NodeId) {
        if self.running.insert(node) {
            let incarnation = self.incarnations.entry(node).or_default();
            *incarnation += 1;
            let input = Input::Start { incarnation: *incarnation };
            self.step(node, input);
        }
    }

    pub(crate) fn crash(&mut self, node: NodeId) {
        if !self.running.remove(&node) {
            return;
        }
        self.paused.remove(&node);
        self.timers.retain(|(of, _), _| *of != node);
        match self.nodes.get_mut(&node) {
            Some(Node::Broker(machine)) => machine.crash(),
            Some(Node::NameService(machine)) => machine.crash(),
            Some(Node::OnCall(machine)) => machine.crash(),
            Some(Node::Consumer(consumer)) => consumer.held.clear(),
            _ => {}
        }
        let peers: Vec<NodeId> =
            self.talked.iter().filter(|(to, _)| *to == node).map(|(_, from)| *from).collect();
        for peer in peers {
            self.enqueue(self.now + LATENCY, peer, Input::Disconnected(node));
        }
    }

    /// The node's host dies, and its disk loses that.
    pub(crate) fn lose(&mut self, node: NodeId, loss: DiskLoss) {
        self.crash(node);
        match self.nodes.get_mut(&node) {
            Some(Node::Broker(machine)) => machine.lose(Now::exact(self.now), loss),
            other => panic!("{other:?} is no broker"),
        }
    }

    /// The operator tells these brokers, those of them that run, that the topic has so many partitions.
    pub(crate) fn widen(&mut self, brokers: &[NodeId], partitions: u16) {
        self.tell_of(brokers, &Topic::spread(TopicId(0), partitions, 1));
    }

    /// The operator tells these brokers, those of them that run, of the topic's shape.
    pub(crate) fn tell_of(&mut self, brokers: &[NodeId], topic: &Topic) {
        for broker in
            brokers.iter().filter(|broker| self.running.contains(broker)).copied().collect::<Vec<_>>()
        {
            let request = Box::new(crate::corgi::protocol::Request::Widen { topic: topic.clone() });
            let id = crate::machine::RequestId::default();
            let message = crate::message::Message::CorgiRequest(id, request);
            self.step(broker, Input::Message { from: ON_CALL, message });
        }
    }

    pub(crate) fn befall(&mut self, node: NodeId, incident: Incident) {
        self.step(node, Input::Incident(incident));
    }

    pub(crate) fn pause(&mut self, node: NodeId) {
        self.paused.entry(node).or_default();
    }

    pub(crate) fn resume(&mut self, node: NodeId) {
        for input in self.paused.remove(&node).unwrap_or_default() {
            self.enqueue(self.now, node, input);
        }
    }

    pub(crate) fn cut(&mut self, left: NodeId, right: NodeId) {
        self.cuts.insert((left, right));
        self.cuts.insert((right, left));
    }

    pub(crate) fn heal(&mut self, left: NodeId, right: NodeId) {
        self.cuts.remove(&(left, right));
        self.cuts.remove(&(right, left));
    }

    /// From now on messages are lost, doubled, late and overtake each other.
    pub(crate) fn disturb(&mut self, seed: u64) {
        self.noise = Some(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1);
    }

    /// When a message's copies arrive.
    fn arrivals(&mut self) -> Vec<Time> {
        let Some(noise) = &mut self.noise else { return vec![self.now + LATENCY] };
        *noise ^= *noise << 13;
        *noise ^= *noise >> 7;
        *noise ^= *noise << 17;
        let (kind, late) = (*noise % 100, Span::millis(1 + (*noise >> 32) % 5_000));
        match kind {
            0 => Vec::new(),
            1 => vec![self.now + LATENCY, self.now + late],
            2 => vec![self.now + late],
            _ => vec![self.now + Span::millis(1 + kind % 10)],
        }
    }

    pub(crate) fn close_consumer(&mut self, node: NodeId) {
        let mut effects = Effects::default();
        if let Some(Node::Consumer(consumer)) = self.nodes.get_mut(&node) {
            consumer.library.close(Now::exact(self.now), &mut effects);
            consumer.held.clear();
        }
        self.apply(node, effects);
    }

    /// A consumer's owner calls its library.
    pub(crate) fn call<T>(
        &mut self,
        node: NodeId,
        call: impl FnOnce(&mut CorgiConsumer, Now, &mut Effects) -> T,
    ) -> T {
        let mut effects = Effects::default();
        let now = Now::exact(self.now);
        let Some(Node::Consumer(consumer)) = self.nodes.get_mut(&node) else {
            panic!("there is no consumer {node:?}")
        };
        let answer = call(&mut consumer.library, now, &mut effects);
        self.apply(node, effects);
        answer
    }

    pub(crate) fn consumer_holds(&self, node: NodeId) -> usize {
        match &self.nodes[&node] {
            Node::Consumer(consumer) => consumer.held.len(),
            other => panic!("{other:?} is no consumer"),
        }
    }

    fn enqueue(&mut self, at: Time, node: NodeId, input: Input) -> u64 {
        self.number += 1;
        self.queue.insert((at, self.number), (node, input));
        self.number
    }

    pub(crate) fn run(&mut self, until: Time) {
        while let Some((&(at, number), _)) = self.queue.first_key_value() {
            if at > until {
                break;
            }
            let Some((_, (node, input))) = self.queue.pop_first() else { break };
            self.now = self.now.max(at);
            if let Input::Timer(timer) = &input {
                // Deferred timers of a paused node have lost their place in the table.
                if let Some((_, current)) = self.timers.get(&(node, *timer)) {
                    if *current != number {
                        continue;
                    }
                    self.timers.remove(&(node, *timer));
                } else if self.paused.contains_key(&node) || number == 0 {
                    continue;
                }
            }
            if !self.running.contains(&node) {
                if let Input::Message { from, .. } = input {
                    self.enqueue(at + LATENCY, from, Input::Disconnected(node));
                }
                continue;
            }
            if let Some(inputs) = self.paused.get_mut(&node) {
                inputs.push(input);
                continue;
            }
            self.step(node, input);
        }
        self.now = until;
    }

    fn step(&mut self, node: NodeId, input: Input) {
        self.steps += 1;
        assert!(self.steps < 20_000_000, "the world turns in circles");
        let mut effects = Effects::default();
        let now = Now::exact(self.now);
        let mut machine = self.nodes.remove(&node).expect("the node exists");
        match &mut machine {
            Node::Broker(machine) => machine.step(now, input, &mut effects),
            Node::NameService(machine) => machine.step(now, input, &mut effects),
            Node::OnCall(machine) => machine.step(now, input, &mut effects),
            Node::Producer(producer) => self.step_producer(now, producer, &input, &mut effects),
            Node::Consumer(consumer) => {
                self.step_consumer(now, node, consumer, &input, &mut effects);
            }
        }
        self.nodes.insert(node, machine);
        self.apply(node, effects);
    }

    fn apply(&mut self, node: NodeId, effects: Effects) {
        for (to, message) in effects.sends {
            self.talked.insert((node, to));
            self.talked.insert((to, node));
            if self.cuts.contains(&(node, to)) {
                continue;
            }
            for arrival in self.arrivals() {
                self.enqueue(arrival, to, Input::Message { from: node, message: message.clone() });
            }
        }
        for effect in effects.timers {
            match effect {
                TimerEffect::Set(timer, After::Exactly(span) | After::Between(_, span)) => {
                    let number = self.enqueue(self.now + span, node, Input::Timer(timer));
                    self.timers.insert((node, timer), (self.now + span, number));
                }
                TimerEffect::Cancel(timer) => {
                    if let Some(key) = self.timers.remove(&(node, timer)) {
                        self.queue.remove(&key);
                    }
                }
            }
        }
        for event in effects.events {
            match event {
                Event::Truncated { partition, from, to, .. } => {
                    self.seen.truncated.push((node, partition, from, to));
                }
                Event::Due { record, .. } => self.seen.due.push((self.now, record)),
                Event::DiskLost { partitions, .. } => {
                    let lost = partitions.into_iter();
                    self.seen.disk_lost.extend(lost.map(|(partition, from, to)| (node, partition, from, to)));
                }
                Event::LeaderChanged { leader: Some(leader), .. } => {
                    self.seen.masters.push((self.now, leader))
                }
                _ => {}
            }
        }
        for process in effects.processes {
            match process {
                Process::Exit => {}
                Process::Disconnect(peer) => {
                    self.enqueue(self.now + LATENCY, peer, Input::Disconnected(node));
                }
                other => panic!("nobody here starts or stops another: {other:?}"),
            }
        }
    }

    fn step_producer(&mut self, now: Now, producer: &mut TestProducer, input: &Input, effects: &mut Effects) {
        match input {
            Input::Start { incarnation } => {
                producer.library.start(now, *incarnation, effects);
                effects.set_timer(SEND, producer.interval);
            }
            Input::Timer(SEND) if now.elapsed < producer.until => {
                let known = producer.library.partitions(TopicId(0));
                for partition in 0..known.unwrap_or(producer.partitions) {
                    let id = RecordId { producer: 0, sequence: producer.sent };
                    producer.sent += 1;
                    let delayed = producer.delayed.filter(|(every, _)| id.sequence.is_multiple_of(*every));
                    let delay = delayed.map_or(Span::ZERO, |(_, delay)| delay);
                    let record = Record { id, source: partition, delay, ..Record::default() };
                    self.seen.sent.push(id);
                    let token = u64::from(id.sequence);
                    producer.library.send(now, token, TopicPartition::new(0, partition), record, effects);
                }
                effects.set_timer(SEND, producer.interval);
            }
            _ => {
                producer.library.step(now, input, effects);
            }
        }
        while let Some((token, outcome)) = producer.library.outcome() {
            let id = RecordId { producer: 0, sequence: token as u32 };
            if let SendOutcome::Acknowledged(partition, offset) = outcome {
                self.seen.acknowledged.insert(id, (partition, offset));
                self.seen.acknowledged_at.push(now.elapsed);
            } else {
                self.seen.given_up.insert(id, outcome);
            }
        }
    }

    fn step_consumer(
        &mut self,
        now: Now,
        node: NodeId,
        consumer: &mut TestConsumer,
        input: &Input,
        effects: &mut Effects,
    ) {
        if let Input::Start { incarnation } = input {
            consumer.library.start(now, *incarnation, effects);
        } else {
            consumer.library.step(now, input, effects);
        }
        while let Some(notice) = consumer.library.assigned() {
            match notice {
                Assigned::Granted(partitions) => {
                    for (partition, offset) in partitions {
                        self.seen.granted.push((now.elapsed, node, partition, offset));
                        consumer.held.insert(partition);
                    }
                }
                Assigned::Revoked(partitions) => {
                    consumer.held.retain(|partition| !partitions.contains(partition));
                    consumer.library.release(now, effects);
                }
                Assigned::Lost(partitions) => {
                    consumer.held.retain(|partition| !partitions.contains(partition));
                }
            }
        }
        while let Some(received) = consumer.library.receive(now, effects) {
            let seen = (now.elapsed, node, received.partition, received.offset, received.record.id);
            for (other, machine) in &self.nodes {
                // Within the millisecond in which it hands out, no other instance may believe that it holds it.
                if let Node::Consumer(other_consumer) = machine
                    && *other != node
                    && other_consumer.library.clone().believes(now.elapsed, received.partition)
                {
                    self.seen.overlaps.push((now.elapsed, received.partition));
                }
            }
            self.seen.delivered.push(seen);
            consumer.library.commit(now, &[(received.partition, received.offset + 1)], effects);
        }
    }

    // What the guarantees ask.

    /// The acknowledged records that nobody was given.
    pub(crate) fn lost(&self) -> Vec<RecordId> {
        let delivered: BTreeSet<RecordId> = self.seen.delivered.iter().map(|(.., id)| *id).collect();
        self.seen.acknowledged.keys().filter(|id| !delivered.contains(id)).copied().collect()
    }

    /// The records whose first delivery came behind that of a later one of their partition.
    pub(crate) fn reordered(&self) -> Vec<RecordId> {
        let mut last: BTreeMap<TopicPartition, u32> = BTreeMap::new();
        let mut known = BTreeSet::new();
        let mut wronged = Vec::new();
        for (_, _, partition, _, id) in &self.seen.delivered {
            if known.insert(*id) {
                let last = last.entry(*partition).or_default();
                if id.sequence < *last {
                    wronged.push(*id);
                }
                *last = id.sequence.max(*last);
            }
        }
        wronged
    }

    /// The longest stretch without an acknowledgement.
    pub(crate) fn longest_write_gap(&self) -> Span {
        let times = self.seen.acknowledged_at.windows(2);
        times.map(|pair| pair[1].since(pair[0])).max().unwrap_or_default()
    }
}
