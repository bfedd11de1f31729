//! Faults as the world carries them out. What faults there are to be, and whom they strike, is decided elsewhere:
//! here a fault is a list of strikes that begin and end together.

use super::network::{Impairment, NodeSet, Rule};
use super::{Pending, World};
use cutover_model::history::Event;
use cutover_model::machine::{Input, Machine};
use cutover_model::record::NodeId;
use cutover_model::units::{Span, Time};
use serde::Serialize;

/// Whom a fault strikes: a node, or whoever has a role when it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Struck {
    /// That node.
    Node(NodeId),
    /// The leader of that circle at the time.
    Leader(u16),
    /// The first of that circle who is not its leader at the time.
    Follower(u16),
}

/// Nodes of which one leads: a broker set. Who leads is taken from the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Circle {
    /// The nodes, in ascending order.
    pub members: Vec<NodeId>,
    /// Who leads.
    pub leader: NodeId,
}

/// One side of a network fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Side {
    /// These nodes.
    Nodes(NodeSet),
    /// One node, by what it is when the fault strikes.
    One(Struck),
}

/// One thing that a fault does for its duration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Strike {
    /// The process dies; at the end of the fault it is started, if it is meant to run then.
    Crash(Struck),
    /// The process is asked to stop; at the end of the fault it is started, if it is meant to run then.
    Restart(Struck),
    /// The process stands still.
    Pause(Struck),
    /// The wall clock is wrong by so many microseconds.
    Skew(Struck, i64),
    /// Messages from one side to the other are impaired.
    Network {
        /// Who sends.
        from: Side,
        /// Who receives.
        to: Side,
        /// How.
        impairment: Impairment,
    },
}

/// A fault that is ready to strike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReadyFault {
    /// Its kind, the word of the case file.
    pub kind: String,
    /// What it strikes, readable.
    pub target: String,
    /// How long it lasts.
    pub duration: Span,
    /// What it does.
    pub strikes: Vec<Strike>,
}

/// The faults of a world.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Faults {
    all: Vec<ReadyFault>,
    in_force: Vec<InForce>,
    /// Faults that wait for a phase of the plan to begin: its name, and how long after.
    waiting: Vec<(String, Span, u32)>,
    circles: Vec<Circle>,
    begun: u64,
}

/// A fault in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct InForce {
    number: u32,
    /// The node that it struck first, under which the history has it.
    node: NodeId,
    /// The nodes that its strikes hit, by strike.
    hit: Vec<Option<NodeId>>,
}

impl Faults {
    fn resolve(&self, struck: Struck) -> NodeId {
        match struck {
            Struck::Node(node) => node,
            Struck::Leader(circle) => self.circles[usize::from(circle)].leader,
            Struck::Follower(circle) => {
                let circle = &self.circles[usize::from(circle)];
                let other = circle.members.iter().find(|member| **member != circle.leader);
                *other.expect("a circle has a member beside its leader")
            }
        }
    }

    fn side(&self, side: &Side) -> NodeSet {
        match side {
            Side::Nodes(nodes) => nodes.clone(),
            Side::One(struck) => NodeSet::one(self.resolve(*struck)),
        }
    }
}

impl<M: Machine> World<M> {
    /// Let a fault strike at that time.
    pub fn add_fault(&mut self, at: Time, fault: ReadyFault) {
        let number = self.keep_fault(fault);
        self.queue.push(at, Pending::FaultBegins(number));
    }

    /// Let a fault strike so long after the beginning of that phase; it never does if the phase never begins.
    pub fn add_fault_in_phase(&mut self, phase: String, after: Span, fault: ReadyFault) {
        let number = self.keep_fault(fault);
        self.faults.waiting.push((phase, after, number));
    }

    /// How many faults have struck.
    pub fn faults_begun(&self) -> u64 {
        self.faults.begun
    }

    /// End all faults, and let none begin any more. Everything that is meant to run is started.
    pub fn heal(&mut self) {
        for fault in std::mem::take(&mut self.faults.in_force) {
            self.undo(&fault);
        }
        self.faults.waiting.clear();
        self.faults.all.clear();
        self.network.heal();
        for node in 0..self.nodes.len() {
            self.start_if_wanted(NodeId(node as u32));
        }
        self.write(NodeId(0), Event::Healed);
    }

    fn keep_fault(&mut self, fault: ReadyFault) -> u32 {
        self.faults.all.push(fault);
        u32::try_from(self.faults.all.len() - 1).expect("a case has fewer than four billion faults")
    }

    /// Let the world follow who leads these circles.
    pub fn set_circles(&mut self, circles: Vec<Circle>) {
        self.faults.circles = circles;
    }

    /// What the world itself takes from the history: the phase that it is in, and who leads.
    pub(super) fn notice(&mut self, event: &Event) {
        match event {
            Event::PhaseBegun { name, .. } => self.enter_phase(name),
            Event::LeaderChanged { leader: Some(leader), .. } => {
                for circle in &mut self.faults.circles {
                    if circle.members.binary_search(leader).is_ok() {
                        circle.leader = *leader;
                    }
                }
            }
            _ => {}
        }
    }

    fn enter_phase(&mut self, name: &str) {
        let waiting = std::mem::take(&mut self.faults.waiting);
        for (phase, after, fault) in waiting {
            if phase == name {
                self.queue.push(self.now + after, Pending::FaultBegins(fault));
            } else {
                self.faults.waiting.push((phase, after, fault));
            }
        }
    }

    pub(super) fn begin_fault(&mut self, number: u32) {
        let Some(fault) = self.faults.all.get(number as usize).cloned() else { return };
        let hit: Vec<Option<NodeId>> = fault.strikes.iter().map(|strike| self.hit(strike)).collect();
        let first = hit.iter().flatten().next().copied();
        let on_links = fault.strikes.iter().any(|strike| matches!(strike, Strike::Network { .. }));
        if first.is_none() && !on_links {
            return;
        }
        self.faults.begun += 1;
        let node = first.unwrap_or_else(|| self.first_on_links(&fault));
        self.faults.in_force.push(InForce { number, node, hit: hit.clone() });
        let struck = self.struck_by(&fault, &hit);
        self.write(node, Event::FaultBegun { fault: number, kind: fault.kind, target: fault.target, struck });
        for (strike, node) in fault.strikes.iter().zip(hit) {
            self.strike(number, strike, node);
        }
        self.queue.push(self.now + fault.duration, Pending::FaultEnds(number));
    }

    /// The node that a strike hits; none for a strike on links, and where the node does not run.
    fn hit(&self, strike: &Strike) -> Option<NodeId> {
        let struck = match strike {
            Strike::Crash(struck)
            | Strike::Restart(struck)
            | Strike::Pause(struck)
            | Strike::Skew(struck, _) => *struck,
            Strike::Network { .. } => return None,
        };
        let node = self.faults.resolve(struck);
        self.nodes[node.0 as usize].running.then_some(node)
    }

    /// The nodes that a fault strikes, each once: on links those of the side that has the fewest. None where it may be
    /// anybody.
    fn struck_by(&self, fault: &ReadyFault, hit: &[Option<NodeId>]) -> Vec<NodeId> {
        let on_links = fault.strikes.iter().filter_map(|strike| {
            let Strike::Network { from, to, .. } = strike else { return None };
            let named = [from, to].into_iter().filter_map(|side| match self.faults.side(side) {
                NodeSet::Some(nodes) => Some(nodes),
                NodeSet::All => None,
            });
            named.min_by_key(Vec::len)
        });
        let mut struck: Vec<NodeId> = hit.iter().flatten().copied().chain(on_links.flatten()).collect();
        struck.sort_unstable();
        struck.dedup();
        struck
    }

    fn first_on_links(&self, fault: &ReadyFault) -> NodeId {
        let sides = fault.strikes.iter().flat_map(|strike| match strike {
            Strike::Network { from, to, .. } => vec![self.faults.side(from), self.faults.side(to)],
            _ => Vec::new(),
        });
        let mut named = sides.filter_map(|side| match side {
            NodeSet::Some(nodes) => nodes.first().copied(),
            NodeSet::All => None,
        });
        named.next().unwrap_or(NodeId(0))
    }

    fn strike(&mut self, fault: u32, strike: &Strike, hit: Option<NodeId>) {
        match (strike, hit) {
            (Strike::Crash(_), Some(node)) => self.end(node, false),
            (Strike::Restart(_), Some(node)) => self.input(node, Input::Terminate),
            (Strike::Pause(_), Some(node)) => self.pause(node),
            (Strike::Skew(_, micros), Some(node)) => self.node_mut(node).skew_micros += micros,
            (Strike::Network { from, to, impairment }, _) => {
                let (from, to) = (self.faults.side(from), self.faults.side(to));
                self.network.lay(Rule { fault, from, to, impairment: *impairment });
            }
            (_, None) => {}
        }
    }

    pub(super) fn end_fault(&mut self, number: u32) {
        if let Some(place) = self.faults.in_force.iter().position(|fault| fault.number == number) {
            let fault = self.faults.in_force.remove(place);
            self.undo(&fault);
        }
    }

    fn undo(&mut self, InForce { number, node, hit }: &InForce) {
        let (number, node) = (*number, *node);
        let ReadyFault { kind, target, strikes, .. } = self.faults.all[number as usize].clone();
        self.network.lift(number);
        for (strike, node) in strikes.iter().zip(hit) {
            match (strike, node) {
                (Strike::Crash(_) | Strike::Restart(_), Some(node)) => self.start_if_wanted(*node),
                (Strike::Pause(_), Some(node)) => self.resume(*node),
                (Strike::Skew(_, micros), Some(node)) => self.node_mut(*node).skew_micros -= micros,
                (Strike::Network { .. }, _) | (_, None) => {}
            }
        }
        self.write(node, Event::FaultEnded { fault: number, kind, target });
    }

    pub(super) fn start_if_wanted(&mut self, node: NodeId) {
        if self.nodes[node.0 as usize].wanted {
            self.start(node);
        }
    }
}
