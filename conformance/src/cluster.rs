//! A loop over one controller and three brokers, as the recordings' cluster: processes that can be killed, stopped,
//! started, frozen and thawed, and messages that take a little time.

use cutover_model::kafka::protocol::{BrokerId, Request, Response};
use cutover_model::kafka::{Broker, Controller, Settings, Wiring};
use cutover_model::machine::{After, Effects, Input, Machine, Now, Process, RequestId, Timer, TimerEffect};
use cutover_model::message::Message;
use cutover_model::record::NodeId;
use cutover_model::units::{Span, Time};
use std::collections::BTreeMap;

const LATENCY: Span = Span::micros(500);
const CLIENT: NodeId = NodeId(100);
/// What the wall clocks show at the start: long after zero, so that records can be older than the cluster.
pub const WALL: Span = Span::secs(30 * 86_400);

#[derive(Clone)]
enum Node {
    Controller(Box<Controller>),
    Broker(Box<Broker>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    Down,
    Frozen,
}

#[derive(Clone)]
enum Happening {
    Deliver(NodeId, NodeId, Message),
    Timer(NodeId, Timer, u64),
    Gone(NodeId, NodeId),
}

#[derive(Clone)]
pub struct Cluster {
    pub now: Time,
    nodes: BTreeMap<NodeId, (Node, State, u32)>,
    queue: BTreeMap<(Time, u64), Happening>,
    timers: BTreeMap<(NodeId, Timer), u64>,
    held: BTreeMap<NodeId, Vec<Input>>,
    /// None: the connection broke.
    answers: BTreeMap<RequestId, Option<Response>>,
    asked: BTreeMap<RequestId, NodeId>,
    next: u64,
    requests: u32,
}

impl Cluster {
    pub fn new(settings: &Settings) -> Cluster {
        let brokers: Vec<_> = (1..=3).map(|id| (BrokerId(id), NodeId(id))).collect();
        let wiring = Wiring { controller: NodeId(0), brokers: brokers.clone(), topics: Vec::new() };
        let mut cluster = Cluster {
            now: Time::ZERO,
            nodes: BTreeMap::new(),
            queue: BTreeMap::new(),
            timers: BTreeMap::new(),
            held: BTreeMap::new(),
            answers: BTreeMap::new(),
            asked: BTreeMap::new(),
            next: 0,
            requests: 0,
        };
        let controller = Node::Controller(Box::new(Controller::new(settings.clone(), wiring.clone())));
        cluster.nodes.insert(NodeId(0), (controller, State::Down, 0));
        for (id, node) in brokers {
            let broker = Node::Broker(Box::new(Broker::new(settings.clone(), wiring.clone(), id)));
            cluster.nodes.insert(node, (broker, State::Down, 0));
        }
        for node in 0..=3 {
            cluster.start(node);
        }
        cluster.run_for(Span::secs(3));
        cluster
    }

    pub fn is_down(&self, node: u32) -> bool {
        self.nodes.get(&NodeId(node)).is_none_or(|node| node.1 == State::Down)
    }

    pub fn start(&mut self, node: u32) {
        let node = NodeId(node);
        if let Some(entry) = self.nodes.get_mut(&node) {
            entry.1 = State::Up;
            entry.2 += 1;
            let incarnation = entry.2;
            self.step(node, Input::Start { incarnation });
        }
    }

    pub fn kill(&mut self, node: u32) {
        let node = NodeId(node);
        let Some(entry) = self.nodes.get_mut(&node) else { return };
        entry.1 = State::Down;
        match &mut entry.0 {
            Node::Broker(broker) => broker.crash(),
            Node::Controller(controller) => controller.crash(),
        }
        self.held.remove(&node);
        self.timers.retain(|(owner, _), _| *owner != node);
        for other in self.nodes.keys().copied().filter(|other| *other != node).collect::<Vec<_>>() {
            self.schedule(LATENCY, Happening::Gone(other, node));
        }
        self.break_calls(node);
    }

    /// The client's connection with a node broke: no call to it will be answered.
    fn break_calls(&mut self, node: NodeId) {
        let broken: Vec<RequestId> =
            self.asked.iter().filter(|(_, asked)| **asked == node).map(|(id, _)| *id).collect();
        for id in broken {
            self.asked.remove(&id);
            self.answers.insert(id, None);
        }
    }

    pub fn freeze(&mut self, node: u32) {
        if let Some(entry) = self.nodes.get_mut(&NodeId(node)) {
            entry.1 = State::Frozen;
        }
    }

    pub fn thaw(&mut self, node: u32) {
        let node = NodeId(node);
        if let Some(entry) = self.nodes.get_mut(&node) {
            entry.1 = State::Up;
        }
        for input in self.held.remove(&node).unwrap_or_default() {
            self.step(node, input);
        }
    }

    pub fn terminate(&mut self, node: u32) {
        self.step(NodeId(node), Input::Terminate);
    }

    fn schedule(&mut self, after: Span, happening: Happening) {
        self.next += 1;
        self.queue.insert((self.now + after, self.next), happening);
    }

    fn step(&mut self, node: NodeId, input: Input) {
        let now = Now { elapsed: self.now, wall: self.now + WALL };
        let Some(entry) = self.nodes.get_mut(&node) else { return };
        match entry.1 {
            State::Down => return,
            State::Frozen => {
                self.held.entry(node).or_default().push(input);
                return;
            }
            State::Up => {}
        }
        let mut effects = Effects::default();
        match &mut entry.0 {
            Node::Broker(broker) => broker.step(now, input, &mut effects),
            Node::Controller(controller) => controller.step(now, input, &mut effects),
        }
        for (to, message) in effects.sends {
            self.schedule(LATENCY, Happening::Deliver(node, to, message));
        }
        for effect in effects.timers {
            match effect {
                TimerEffect::Set(timer, after) => {
                    let (After::Exactly(span) | After::Between(span, _)) = after;
                    let version = self.next + 1;
                    self.timers.insert((node, timer), version);
                    self.schedule(span, Happening::Timer(node, timer, version));
                }
                TimerEffect::Cancel(timer) => {
                    self.timers.remove(&(node, timer));
                }
            }
        }
        for process in effects.processes {
            match process {
                Process::Exit | Process::Halt => self.kill(node.0),
                Process::Disconnect(peer) => self.schedule(LATENCY, Happening::Gone(peer, node)),
                Process::Start(_) | Process::Terminate(_) | Process::Kill(_) => {}
            }
        }
    }

    pub fn run_for(&mut self, span: Span) {
        let end = self.now + span;
        while let Some((&key, _)) = self.queue.first_key_value() {
            if key.0 > end {
                break;
            }
            self.now = key.0;
            if let Some(happening) = self.queue.remove(&key) {
                self.happen(happening);
            }
        }
        self.now = end;
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Deliver(_, CLIENT, Message::KafkaResponse(id, response)) => {
                self.asked.remove(&id);
                self.answers.insert(id, Some(*response));
            }
            Happening::Deliver(from, to, message) => {
                if !self.is_down(to.0) {
                    self.step(to, Input::Message { from, message });
                } else if let (CLIENT, Message::KafkaRequest(id, _)) = (from, &message) {
                    self.asked.remove(id);
                    self.answers.insert(*id, None);
                } else {
                    self.step(from, Input::Disconnected(to));
                }
            }
            Happening::Timer(node, timer, version) => {
                if self.timers.get(&(node, timer)) == Some(&version) {
                    self.timers.remove(&(node, timer));
                    self.step(node, Input::Timer(timer));
                }
            }
            Happening::Gone(CLIENT, gone) => self.break_calls(gone),
            Happening::Gone(node, gone) => self.step(node, Input::Disconnected(gone)),
        }
    }

    pub fn send(&mut self, node: u32, request: Request) -> RequestId {
        self.requests += 1;
        let id = RequestId::new(1, 0, self.requests);
        self.asked.insert(id, NodeId(node));
        let message = Message::KafkaRequest(id, Box::new(request));
        self.schedule(LATENCY, Happening::Deliver(CLIENT, NodeId(node), message));
        id
    }

    /// Wait for an answer for so long; an error where none came or the connection broke.
    pub fn wait(&mut self, id: RequestId, patience: Span) -> Result<Response, String> {
        let end = self.now + patience;
        loop {
            match self.answers.remove(&id) {
                Some(Some(response)) => return Ok(response),
                Some(None) => return Err("the connection broke".to_owned()),
                None if self.now >= end => return Err("no answer".to_owned()),
                None => {
                    let next = self.queue.first_key_value().map_or(end, |(key, _)| key.0);
                    self.run_for(next.min(end).since(self.now));
                }
            }
        }
    }

    pub fn is_answered(&self, id: RequestId) -> bool {
        self.answers.contains_key(&id)
    }
}
