//! The world: one event queue, a network, nodes with clocks, and the faults that strike them.
//!
//! It decides nothing about queues or plans: it steps machines and carries out their effects. Given equal worlds,
//! equal inputs give equal worlds: a world can be cloned, compared, serialized and stepped on.

mod digest;
mod disk;
mod faults;
mod network;
mod node;
mod queue;
mod rare;
mod strike;
mod thaw;

pub use digest::Digest;
pub use network::{Impairment, Latency, Network, NodeSet, Rule};
pub use node::Node;
pub use queue::Queue;
pub use rare::Rare;
pub use strike::{Circle, Moment, ReadyFault, Side, Staged, Strike, Struck};

use cutover_model::history::{Entry, Event};
use cutover_model::hosts::{Given, Hosts};
use cutover_model::in_place::put;
use cutover_model::machine::{After, Effects, Input, Machine, Process, TimerEffect};
use cutover_model::message::Message;
use cutover_model::record::NodeId;
use cutover_model::rewind::Address;
use cutover_model::units::{Span, Time};
use node::Waiting;
use serde::Serialize;
use std::hash::Hash;

/// The latency of a message from a node to itself.
const LOOPBACK: Span = Span::micros(20);

/// What the queue holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
enum Pending {
    /// A message on its way, to that incarnation of its receiver.
    Message { from: NodeId, to: NodeId, incarnation: u32, message: Message },
    /// A message on its way to an address.
    Call { from: NodeId, address: Address, message: Message },
    /// The news that nobody is at an address, or no more, on its way.
    Unreachable { to: NodeId, incarnation: u32, address: Address },
    /// The news that a connection broke, on its way.
    Disconnected { to: NodeId, incarnation: u32, gone: NodeId },
    /// A timer of a node, under its number.
    Timer { node: NodeId, number: u64 },
    /// A supervisor starts a process that ended of itself.
    Restart { node: NodeId },
    /// A fault begins.
    FaultBegins(u32),
    /// A fault ends.
    FaultEnds(u32),
    /// A strike of a fault begins.
    StrikeBegins { fault: u32, place: usize },
    /// A strike of a fault ends before the fault.
    StrikeEnds { fault: u32, place: usize },
    /// What waited for a slow disk comes to its turn.
    Served { node: NodeId, incarnation: u32, input: Input },
}

/// Why a process ends of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Why {
    /// It was asked to stop.
    Asked,
    /// Something made it fall, and when that is over it is started again.
    Fell,
    /// It cannot go on, and who started it again would see it end once more.
    GaveUp,
}

/// What the world dispatched, for a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dispatched {
    /// When.
    pub at: Time,
    /// To which node.
    pub node: NodeId,
    /// What.
    pub input: Input,
}

/// The world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct World<M> {
    now: Time,
    nodes: Vec<Node<M>>,
    network: Network,
    queue: Queue<Pending>,
    faults: faults::Faults,
    rare: Option<Rare>,
    hosts: Hosts,
    /// Whether processes are told the addresses that they are given.
    tells_addresses: bool,
    timers_set: u64,
    events: u64,
    digest: Digest,
    history: Vec<Entry>,
    trace: Option<Vec<Dispatched>>,
    effects: Effects,
}

impl<M: Machine> World<M> {
    /// A world of these nodes, none of them running.
    pub fn new(nodes: Vec<Node<M>>, network: Network) -> World<M> {
        World {
            now: Time::ZERO,
            nodes,
            network,
            queue: Queue::default(),
            faults: faults::Faults::default(),
            rare: None,
            hosts: Hosts::default(),
            tells_addresses: false,
            timers_set: 0,
            events: 0,
            digest: Digest::default(),
            history: Vec::new(),
            trace: None,
            effects: Effects::default(),
        }
    }

    /// What time it is.
    pub fn now(&self) -> Time {
        self.now
    }

    /// How many inputs were dispatched.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// The digest of everything so far.
    pub fn digest(&self) -> u64 {
        std::hash::Hasher::finish(&self.digest)
    }

    /// The nodes.
    pub fn nodes(&self) -> &[Node<M>] {
        &self.nodes
    }

    /// A node, to set it up.
    pub fn node_mut(&mut self, node: NodeId) -> &mut Node<M> {
        &mut self.nodes[node.0 as usize]
    }

    /// Let rare branches be taken.
    pub fn set_rare(&mut self, rare: Rare) {
        self.rare = Some(rare);
    }

    /// Let instances listen on these hosts; where they share them, they are told the addresses that they are given.
    pub fn set_hosts(&mut self, hosts: Hosts, shared: bool) {
        (self.hosts, self.tells_addresses) = (hosts, shared);
    }

    /// Keep every dispatched input from now on, until it is taken.
    pub fn keep_trace(&mut self) {
        self.trace = Some(Vec::new());
    }

    /// Take the inputs that were dispatched since the last call.
    pub fn take_trace(&mut self) -> Vec<Dispatched> {
        self.trace.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What was written into the history since it was last forgotten.
    pub fn history(&self) -> &[Entry] {
        &self.history
    }

    /// Forget what was written into the history, for whoever wants it has seen it.
    pub fn forget_history(&mut self) {
        self.history.clear();
    }

    /// Let time pass up to a moment before which nothing is due.
    ///
    /// # Panics
    /// If something is due earlier: time does not go back.
    pub fn pass_to(&mut self, at: Time) {
        assert!(self.queue.next_at().is_none_or(|next| next >= at), "an event is due earlier");
        self.now = self.now.max(at);
    }

    /// Take the next event and carry it out. Returns whether there was one.
    pub fn step(&mut self) -> bool {
        self.step_before(Time::NEVER)
    }

    /// Take the next event and carry it out, if it is due before that moment. Returns whether it was.
    pub fn step_before(&mut self, limit: Time) -> bool {
        let Some((at, pending)) = self.queue.pop_before(limit) else { return false };
        self.now = at;
        match pending {
            Pending::Message { from, to, incarnation, message } => {
                self.arrive(from, to, incarnation, message)
            }
            Pending::Disconnected { to, incarnation, gone } => {
                if self.nodes[to.0 as usize].incarnation == incarnation {
                    self.input(to, Input::Disconnected(gone));
                }
            }
            Pending::Call { from, address, message } => self.take_call(from, address, message),
            Pending::Unreachable { to, incarnation, address } => {
                if self.nodes[to.0 as usize].incarnation == incarnation {
                    self.input(to, Input::Unreachable(address));
                }
            }
            Pending::Timer { node, number } => self.run_out(node, number),
            Pending::Restart { node } => self.start_if_wanted(node),
            Pending::FaultBegins(fault) => self.begin_fault(fault),
            Pending::FaultEnds(fault) => self.end_fault(fault),
            Pending::StrikeBegins { fault, place } => self.begin_strike(fault, place),
            Pending::StrikeEnds { fault, place } => self.end_strike(fault, place),
            Pending::Served { node, incarnation, input } => {
                if self.nodes[node.0 as usize].incarnation == incarnation {
                    self.input(node, input);
                }
            }
        }
        true
    }

    /// Write an event of the world's own into the history.
    pub fn write(&mut self, node: NodeId, event: Event) {
        event.hash(&mut self.digest);
        self.notice(&event);
        put(&mut self.history, || Entry { at: self.now, node, event });
    }

    #[inline(always)]
    fn arrive(&mut self, from: NodeId, to: NodeId, incarnation: u32, message: Message) {
        let receiver = &mut self.nodes[to.0 as usize];
        if !receiver.running || receiver.incarnation != incarnation {
            // The host answers for the process that is gone: connection refused, or reset.
            self.tell_disconnected(from, to);
            return;
        }
        receiver.connect(from);
        let served_at = if receiver.disk.is_slow() && message.needs_disk() {
            receiver.disk.serve(self.now, &mut receiver.stream)
        } else {
            self.now
        };
        self.nodes[from.0 as usize].connect(to);
        let input = Input::Message { from, message };
        if served_at > self.now {
            self.queue.push(served_at, Pending::Served { node: to, incarnation, input });
        } else {
            self.input(to, input);
        }
    }

    fn run_out(&mut self, node: NodeId, number: u64) {
        let slot = &mut self.nodes[node.0 as usize];
        if slot.pauses > 0 {
            slot.backlog.push(Waiting::Timer(number));
        } else if let Some(timer) = slot.take_timer(number) {
            self.dispatch(node, Input::Timer(timer));
        }
    }

    /// An input for a process: it waits if the process is paused.
    #[inline(always)]
    fn input(&mut self, node: NodeId, input: Input) {
        let slot = &mut self.nodes[node.0 as usize];
        if !slot.running {
        } else if slot.pauses > 0 {
            slot.backlog.push(Waiting::Input(input));
        } else {
            self.dispatch(node, input);
        }
    }

    fn dispatch(&mut self, node: NodeId, input: Input) {
        self.step_machine(node, input);
        self.carry_out_effects(node);
    }

    #[inline(always)]
    fn step_machine(&mut self, node: NodeId, input: Input) {
        self.events += 1;
        (self.now.0 << 16 ^ u64::from(node.0)).hash(&mut self.digest);
        input.hash(&mut self.digest);
        if let Some(trace) = &mut self.trace {
            trace.push(Dispatched { at: self.now, node, input: input.clone() });
        }
        let slot = &mut self.nodes[node.0 as usize];
        slot.machine.step(slot.now(self.now), input, &mut self.effects);
    }

    #[inline(always)]
    fn carry_out_effects(&mut self, node: NodeId) {
        self.carry_out(|effects| &mut effects.events, |world, event| world.write(node, event));
        self.carry_out(|effects| &mut effects.timers, |world, timer| world.timer(node, timer));
        self.carry_out(
            |effects| &mut effects.sends,
            |world, (to, message)| {
                world.send(node, to, message);
            },
        );
        self.carry_out(
            |effects| &mut effects.calls,
            |world, (address, message)| {
                world.call(node, address, message);
            },
        );
        // These come last: a process that starts is stepped at once, and finds no effects but its own.
        self.carry_out(|effects| &mut effects.processes, |world, process| world.process(node, process));
    }

    /// Carry out the effects of one kind; most steps have none of it. Their memory is kept for the next step.
    #[inline(always)]
    fn carry_out<E>(&mut self, kind: impl Fn(&mut Effects) -> &mut Vec<E>, each: impl Fn(&mut Self, E)) {
        if kind(&mut self.effects).is_empty() {
            return;
        }
        let mut effects = std::mem::take(kind(&mut self.effects));
        for effect in effects.drain(..) {
            each(self, effect);
        }
        *kind(&mut self.effects) = effects;
    }

    fn timer(&mut self, node: NodeId, effect: TimerEffect) {
        let slot = &mut self.nodes[node.0 as usize];
        match effect {
            TimerEffect::Cancel(timer) => slot.cancel_timer(timer),
            TimerEffect::Set(timer, after) => {
                let span = match after {
                    After::Exactly(span) => span,
                    After::Between(least, most) => slot.stream.between(least, most),
                };
                self.timers_set += 1;
                slot.set_timer(timer, self.timers_set);
                self.queue.push(self.now + span, Pending::Timer { node, number: self.timers_set });
            }
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: Message) {
        match self.rare.as_mut().and_then(|rare| rare.turn(&message)) {
            None => self.transmit(from, to, message, Span::ZERO),
            Some((branch, turn)) => self.send_rarely(from, to, message, branch, turn),
        }
    }

    /// Hand a message to the network, so much later than now.
    #[inline(always)]
    fn transmit(&mut self, from: NodeId, to: NodeId, message: Message, later: Span) {
        let incarnation = self.nodes[to.0 as usize].incarnation;
        if from == to {
            self.queue.push(self.now + LOOPBACK, Pending::Message { from, to, incarnation, message });
            return;
        }
        let arrivals = self.network.carry(self.now + later, from, to);
        if let Some(second) = arrivals.second {
            self.queue.push(second, Pending::Message { from, to, incarnation, message: message.clone() });
        }
        if let Some(first) = arrivals.first {
            self.queue.push(first, Pending::Message { from, to, incarnation, message });
        }
    }

    /// Hand a message to the network that is for whoever listens at an address when it comes.
    fn call(&mut self, from: NodeId, address: Address, message: Message) {
        let Some(to) = self.hosts.reached_by(address) else { return };
        let arrivals = self.network.carry(self.now, from, to);
        for at in [arrivals.second, arrivals.first].into_iter().flatten() {
            self.queue.push(at, Pending::Call { from, address, message: message.clone() });
        }
    }

    /// A message has come to an address: the host refuses it where nobody listens.
    fn take_call(&mut self, from: NodeId, address: Address, message: Message) {
        match self.hosts.call(address, from) {
            Some(to) => self.arrive(from, to, self.nodes[to.0 as usize].incarnation, message),
            None => self.tell_unreachable(from, address),
        }
    }

    /// Tell a node that nobody is at an address, or no more.
    fn tell_unreachable(&mut self, to: NodeId, address: Address) {
        let incarnation = self.nodes[to.0 as usize].incarnation;
        let Some(host) = self.hosts.reached_by(address) else { return };
        if let Some(at) = self.network.carry(self.now, host, to).first {
            self.queue.push(at, Pending::Unreachable { to, incarnation, address });
        }
    }

    /// The connection between two nodes is closed.
    fn disconnect(&mut self, one: NodeId, other: NodeId) {
        self.node_mut(one).disconnect(other);
        self.node_mut(other).disconnect(one);
        self.network.reconnect(one, other);
    }

    /// Tell a node that its connection with another is gone, over the network as it is.
    fn tell_disconnected(&mut self, to: NodeId, gone: NodeId) {
        let incarnation = self.nodes[to.0 as usize].incarnation;
        if let Some(at) = self.network.carry(self.now, gone, to).first {
            self.queue.push(at, Pending::Disconnected { to, incarnation, gone });
        }
    }

    fn process(&mut self, actor: NodeId, process: Process) {
        match process {
            Process::Start(node) => {
                self.node_mut(node).wanted = true;
                self.start(node);
            }
            Process::Terminate(node) => {
                self.node_mut(node).wanted = false;
                self.ask_to_stop(node);
            }
            Process::Kill(node) => {
                self.node_mut(node).wanted = false;
                self.end(node, false);
            }
            Process::Disconnect(peer) => {
                self.disconnect(actor, peer);
                self.tell_disconnected(peer, actor);
            }
            Process::Exit => {
                let asked_to_stop = self.nodes[actor.0 as usize].asked_to_stop;
                self.exit(actor, if asked_to_stop { Why::Asked } else { Why::GaveUp });
            }
            Process::Halt => self.exit(actor, Why::Fell),
        }
    }

    /// Ask a process to stop.
    fn ask_to_stop(&mut self, node: NodeId) {
        let slot = self.node_mut(node);
        slot.asked_to_stop = slot.running;
        self.input(node, Input::Terminate);
    }

    /// A process ends of itself.
    fn exit(&mut self, node: NodeId, why: Why) {
        let at_once = self.nodes[node.0 as usize].start_when_ended;
        self.end(node, why == Why::Asked);
        let now = self.now;
        let slot = self.node_mut(node);
        let after = if at_once { Some(Span::ZERO) } else { slot.restart_after };
        match after {
            Some(after) if slot.wanted => self.queue.push(now + after, Pending::Restart { node }),
            // Nobody looks after it: it is down until somebody orders it to start.
            None if why == Why::GaveUp => slot.wanted = false,
            _ => {}
        }
    }

    /// Start a process, unless it runs.
    pub fn start(&mut self, node: NodeId) {
        let slot = self.node_mut(node);
        if slot.running {
            return;
        }
        slot.running = true;
        slot.start_when_ended = false;
        slot.wanted = true;
        slot.incarnation += 1;
        let incarnation = slot.incarnation;
        self.write(node, Event::Started { incarnation });
        let given = self.hosts.start(node).filter(|_| self.tells_addresses);
        if let Some(Given { address, before }) = given {
            self.write(node, Event::Listening { host: address.host.0, port: address.port, before });
        }
        self.dispatch(node, Input::Start { incarnation });
        if let Some(given) = given {
            self.input(node, Input::Placed(given.address));
        }
        for incident in self.nodes[node.0 as usize].incidents.clone() {
            self.input(node, Input::Incident(incident));
        }
    }

    /// End a process, unless it does not run; everybody connected with it hears of it.
    pub fn end(&mut self, node: NodeId, orderly: bool) {
        let slot = self.node_mut(node);
        if !slot.running {
            return;
        }
        let connections = slot.connected();
        slot.end();
        self.write(node, Event::Stopped { orderly });
        for other in connections {
            self.tell_disconnected(other, node);
        }
        if let Some((address, callers)) = self.hosts.end(node) {
            for caller in callers {
                self.tell_unreachable(caller, address);
            }
        }
    }
}

#[cfg(test)]
mod tests;
