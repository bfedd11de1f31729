//! Faults as the world carries them out. What faults there are to be, and whom they strike, is decided elsewhere:
//! here a fault is a list of strikes that begin and end together.

use super::network::Rule;
use super::{Pending, World};
use cutover_model::history::Event;
use cutover_model::machine::Machine;
use cutover_model::record::NodeId;
use cutover_model::units::{Span, Time};
use serde::Serialize;

/// One thing that a fault does for its duration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Strike {
    /// The process dies; at the end of the fault it is started, if it is meant to run then.
    Crash(NodeId),
    /// The process stands still.
    Pause(NodeId),
    /// The wall clock is wrong by so many microseconds.
    Skew(NodeId, i64),
    /// A rule lies over the network.
    Network(Rule),
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
    in_force: Vec<u32>,
    /// Faults that wait for a phase of the plan to begin: its name, and how long after.
    waiting: Vec<(String, Span, u32)>,
    phase: String,
    begun: u64,
    begun_in: Vec<(String, String)>,
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

    /// The phase and the kind of each fault that has struck.
    pub fn faults_by_phase(&self) -> &[(String, String)] {
        &self.faults.begun_in
    }

    /// End all faults, and let none begin any more. Everything that is meant to run is started.
    pub fn heal(&mut self) {
        for fault in std::mem::take(&mut self.faults.in_force) {
            self.undo(fault);
        }
        self.faults.waiting.clear();
        self.faults.all.clear();
        self.network.heal();
        for node in 0..self.nodes.len() {
            let node = NodeId(node as u32);
            if self.nodes[node.0 as usize].wanted {
                self.start(node);
            }
        }
        self.write(NodeId(0), Event::Healed);
    }

    fn keep_fault(&mut self, fault: ReadyFault) -> u32 {
        self.faults.all.push(fault);
        u32::try_from(self.faults.all.len() - 1).expect("a case has fewer than four billion faults")
    }

    /// What the world itself takes from the history: the phase that it is in.
    pub(super) fn notice(&mut self, event: &Event) {
        let Event::PhaseBegun { name, .. } = event else { return };
        self.faults.phase.clone_from(name);
        let waiting = std::mem::take(&mut self.faults.waiting);
        for (phase, after, fault) in waiting {
            if phase == *name {
                self.queue.push(self.now + after, Pending::FaultBegins(fault));
            } else {
                self.faults.waiting.push((phase, after, fault));
            }
        }
    }

    pub(super) fn begin_fault(&mut self, number: u32) {
        let Some(fault) = self.faults.all.get(number as usize).cloned() else { return };
        let Some(first) = self.first_struck(&fault) else { return };
        self.faults.begun += 1;
        self.faults.begun_in.push((self.faults.phase.clone(), fault.kind.clone()));
        self.faults.in_force.push(number);
        self.write(first, Event::FaultBegun { fault: number, kind: fault.kind, target: fault.target });
        for strike in fault.strikes {
            match strike {
                Strike::Crash(node) => self.end(node, false),
                Strike::Pause(node) => self.pause(node),
                Strike::Skew(node, micros) => self.node_mut(node).skew_micros += micros,
                Strike::Network(rule) => self.network.lay(Rule { fault: number, ..rule }),
            }
        }
        self.queue.push(self.now + fault.duration, Pending::FaultEnds(number));
    }

    /// The node that a fault strikes first; none if what it would strike does not run.
    fn first_struck(&self, fault: &ReadyFault) -> Option<NodeId> {
        fault.strikes.iter().find_map(|strike| match strike {
            Strike::Crash(node) | Strike::Pause(node) | Strike::Skew(node, _) => {
                self.nodes[node.0 as usize].running.then_some(*node)
            }
            Strike::Network(rule) => match &rule.from {
                super::NodeSet::Some(nodes) => nodes.first().copied(),
                super::NodeSet::All => match &rule.to {
                    super::NodeSet::Some(nodes) => nodes.first().copied(),
                    super::NodeSet::All => Some(NodeId(0)),
                },
            },
        })
    }

    pub(super) fn end_fault(&mut self, number: u32) {
        if let Some(place) = self.faults.in_force.iter().position(|in_force| *in_force == number) {
            self.faults.in_force.remove(place);
            self.undo(number);
        }
    }

    fn undo(&mut self, number: u32) {
        let strikes = self.faults.all[number as usize].strikes.clone();
        self.network.lift(number);
        for strike in strikes {
            match strike {
                Strike::Crash(node) => {
                    if self.nodes[node.0 as usize].wanted {
                        self.start(node);
                    }
                }
                Strike::Pause(node) => self.resume(node),
                Strike::Skew(node, micros) => self.node_mut(node).skew_micros -= micros,
                Strike::Network(_) => {}
            }
        }
        self.write(NodeId(0), Event::FaultEnded { fault: number });
    }
}
