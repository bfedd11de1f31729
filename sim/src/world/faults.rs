//! Faults as the world carries them out: which may strike, whom their strikes hit, and what is undone at their end.

use super::network::{NodeSet, Rule};
use super::strike::{Circle, Moment, ReadyFault, Side, Strike, Struck};
use super::{Pending, World};
use crate::faults::Domains;
use cutover_model::history::Event;
use cutover_model::incident::Incident;
use cutover_model::machine::{Input, Machine, Process};
use cutover_model::record::NodeId;
use cutover_model::units::{Span, Time};
use serde::Serialize;

/// The faults of a world.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Faults {
    all: Vec<ReadyFault>,
    in_force: Vec<InForce>,
    /// Faults that wait for a moment of the plan: which, and how long after.
    waiting: Vec<(Moment, Span, u32)>,
    circles: Vec<Circle>,
    /// Which faults struck, and when.
    begun: Vec<(u32, Time)>,
    /// Which domains have not recovered until when.
    unsettled: Vec<(Domains, Time)>,
    /// The phase of the plan that the operator is in.
    phase: String,
}

/// A fault in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct InForce {
    number: u32,
    /// The node that it struck first, under which the history has it.
    node: NodeId,
    /// The strikes that are in force, by their places in the fault.
    strikes: Vec<(usize, Option<Hit>)>,
}

/// A node that a strike hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Hit {
    node: NodeId,
    /// Which life of its process: what was done to one life is not undone in another.
    incarnation: u32,
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

    /// Whether the systems are ready for that fault now, where it asks.
    fn may_strike(&mut self, fault: &ReadyFault, now: Time) -> bool {
        self.unsettled.retain(|(_, until)| *until > now);
        fault.tolerance.as_ref().is_none_or(|tolerance| {
            let in_window = now >= tolerance.start && now + fault.duration <= tolerance.end;
            in_window && !self.unsettled.iter().any(|(domains, _)| domains.meet(&fault.domains))
        })
    }
}

impl<M: Machine> World<M> {
    /// Let a fault strike at that time. Returns its number.
    pub fn add_fault(&mut self, at: Time, fault: ReadyFault) -> u32 {
        let number = self.keep_fault(fault);
        self.queue.push(at, Pending::FaultBegins(number));
        number
    }

    /// Let a fault strike so long after that moment of the plan; it never does if the moment never comes. Returns its number.
    pub fn add_fault_at(&mut self, moment: Moment, after: Span, fault: ReadyFault) -> u32 {
        let number = self.keep_fault(fault);
        self.faults.waiting.push((moment, after, number));
        number
    }

    /// Which faults have struck, and when.
    pub fn faults_begun(&self) -> &[(u32, Time)] {
        &self.faults.begun
    }

    /// End all faults, and let none begin any more. Everything that is meant to run is started.
    pub fn heal(&mut self) {
        for fault in std::mem::take(&mut self.faults.in_force) {
            self.undo_all(fault);
        }
        self.faults.waiting.clear();
        self.faults.all.clear();
        self.network.heal();
        for node in 0..self.nodes.len() {
            self.nodes[node].heal();
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

    /// What the world itself takes from the history: the moment of the plan that it is at, and who leads.
    pub(super) fn notice(&mut self, event: &Event) {
        match event {
            Event::PhaseBegun { name, .. } => {
                self.faults.phase.clone_from(name);
                self.reach(&Moment::Phase(name.clone()));
            }
            Event::StepDone { step, .. } | Event::GateOpened { step, .. } => {
                self.reach(&Moment::Step(self.faults.phase.clone(), *step));
            }
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

    fn reach(&mut self, reached: &Moment) {
        let waiting = std::mem::take(&mut self.faults.waiting);
        for (moment, after, fault) in waiting {
            if moment == *reached {
                self.queue.push(self.now + after, Pending::FaultBegins(fault));
            } else {
                self.faults.waiting.push((moment, after, fault));
            }
        }
    }

    pub(super) fn begin_fault(&mut self, number: u32) {
        let Some(fault) = self.faults.all.get(number as usize).cloned() else { return };
        let hit: Vec<NodeId> = fault.strikes.iter().filter_map(|staged| self.hit(&staged.strike)).collect();
        let Some(struck) = self.struck_by(&fault, &hit) else { return };
        if !self.faults.may_strike(&fault, self.now) {
            return;
        }
        self.faults.begun.push((number, self.now));
        let settle = fault.tolerance.as_ref().map_or(Span::ZERO, |tolerance| tolerance.settle);
        self.faults.unsettled.push((fault.domains.clone(), self.now + fault.duration + settle));
        let first = hit.first().or_else(|| struck.first());
        let node = first.copied().unwrap_or(NodeId(0));
        self.faults.in_force.push(InForce { number, node, strikes: Vec::new() });
        let (kind, target, figure) = (fault.kind, fault.target, fault.figure);
        self.write(node, Event::FaultBegun { fault: number, kind, target, struck, figure });
        for (place, staged) in fault.strikes.iter().enumerate() {
            if staged.after == Span::ZERO {
                self.begin_strike(number, place);
            } else {
                self.queue.push(self.now + staged.after, Pending::StrikeBegins { fault: number, place });
            }
            if staged.after + staged.lasting < fault.duration {
                let ends = self.now + staged.after + staged.lasting;
                self.queue.push(ends, Pending::StrikeEnds { fault: number, place });
            }
        }
        self.queue.push(self.now + fault.duration, Pending::FaultEnds(number));
    }

    /// The node that a strike hits; none for a strike on links, where the node does not run (or, if it is to be started, does), and
    /// where what befalls it could do nothing to it.
    fn hit(&self, strike: &Strike) -> Option<NodeId> {
        let node = self.faults.resolve(strike.struck()?);
        let slot = &self.nodes[node.0 as usize];
        let heeds = match strike {
            Strike::Incident(_, incident, _) => slot.machine.heeds(incident),
            _ => true,
        };
        (heeds && slot.running != matches!(strike, Strike::Start(_))).then_some(node)
    }

    /// The running nodes that a fault strikes, each once: whom it is meant for, or whom its strikes hit; on links those of the side
    /// that has the fewest nodes, and of both where they have as many. None of them where it may be anybody; and nothing at all
    /// where it finds nobody to strike: whom it is meant for does not run, or on no link that it names both ends do.
    fn struck_by(&self, fault: &ReadyFault, hit: &[NodeId]) -> Option<Vec<NodeId>> {
        let mut struck = hit.to_vec();
        let mut finds_somebody = !hit.is_empty();
        for staged in &fault.strikes {
            let Strike::Network { from, to, .. } = &staged.strike else { continue };
            let (from, to) = (self.faults.side(from), self.faults.side(to));
            if !self.are_linked(&from, &to) {
                return None;
            }
            finds_somebody = true;
            struck.extend(self.running_of(fewest(&from, &to)));
        }
        if let Some(meant) = fault.meant {
            struck = vec![self.faults.resolve(meant)];
            finds_somebody &= self.nodes[struck[0].0 as usize].running;
        }
        struck.sort_unstable();
        struck.dedup();
        finds_somebody.then_some(struck)
    }

    fn running_of<'a>(&'a self, sides: impl Iterator<Item = &'a [NodeId]>) -> impl Iterator<Item = NodeId> {
        sides.flatten().copied().filter(|node| self.nodes[node.0 as usize].running)
    }

    /// Whether two nodes run of which one is of each side.
    fn are_linked(&self, from: &NodeSet, to: &NodeSet) -> bool {
        let running = || (0..).zip(&self.nodes).filter(|(_, slot)| slot.running).map(|(id, _)| NodeId(id));
        let mut ones = running().filter(|node| from.contains(*node)).take(2);
        ones.any(|one| running().any(|other| other != one && to.contains(other)))
    }

    pub(super) fn begin_strike(&mut self, fault: u32, place: usize) {
        let Some(ready) = self.faults.all.get(fault as usize) else { return };
        let strike = ready.strikes[place].strike.clone();
        let hit = self.hit(&strike);
        let Some(force) = self.faults.in_force.iter_mut().find(|force| force.number == fault) else { return };
        let life = |node: NodeId| Hit { node, incarnation: self.nodes[node.0 as usize].incarnation };
        force.strikes.push((place, hit.map(life)));
        match (strike, hit) {
            (Strike::Crash(_, loss), Some(node)) => {
                self.end(node, false);
                if let Some(loss) = loss {
                    let slot = &mut self.nodes[node.0 as usize];
                    slot.machine.lose(slot.now(self.now), loss);
                }
            }
            (Strike::Restart(_), Some(node)) => self.ask_to_stop(node),
            (Strike::Start(_), Some(node)) => self.start(node),
            (Strike::Pause(_), Some(node)) => self.pause(node),
            (Strike::SlowDisk(_, latency), Some(node)) => self.node_mut(node).disk.slow_down(latency),
            (Strike::Skew(_, micros), Some(node)) => self.node_mut(node).skew_micros += micros,
            (Strike::Jump(_, micros), Some(node)) => self.node_mut(node).jump(micros),
            (Strike::Incident(_, begins, ends), Some(node)) => {
                if ends.is_some() {
                    self.node_mut(node).incidents.push(begins);
                }
                self.input(node, Input::Incident(begins));
            }
            (Strike::Network { from, to, impairment }, _) => {
                let (from, to) = (self.faults.side(&from), self.faults.side(&to));
                self.network.lay(Rule { fault, from, to, impairment });
            }
            (_, None) => {}
        }
    }

    pub(super) fn end_strike(&mut self, fault: u32, place: usize) {
        let Some(force) = self.faults.in_force.iter_mut().find(|force| force.number == fault) else { return };
        if let Some(at) = force.strikes.iter().position(|(struck, _)| *struck == place) {
            let (_, hit) = force.strikes.remove(at);
            self.undo(fault, place, hit);
        }
    }

    pub(super) fn end_fault(&mut self, number: u32) {
        if let Some(place) = self.faults.in_force.iter().position(|fault| fault.number == number) {
            let fault = self.faults.in_force.remove(place);
            self.undo_all(fault);
        }
    }

    fn undo_all(&mut self, InForce { number, node, strikes }: InForce) {
        self.network.lift(number);
        for (place, hit) in strikes {
            self.undo(number, place, hit);
        }
        let ReadyFault { kind, target, .. } = self.faults.all[number as usize].clone();
        self.write(node, Event::FaultEnded { fault: number, kind, target });
    }

    fn undo(&mut self, fault: u32, place: usize, hit: Option<Hit>) {
        let Some(Hit { node, incarnation }) = hit else { return };
        let slot = self.node_mut(node);
        let is_same_life = slot.running && slot.incarnation == incarnation;
        match self.faults.all[fault as usize].strikes[place].strike.clone() {
            Strike::Crash(..) => self.start_again(node),
            Strike::Restart(_) => {
                // One that still stops is started when it has.
                self.node_mut(node).start_when_ended = is_same_life;
                self.start_again(node);
            }
            Strike::Start(_) => self.process(node, Process::Terminate(node)),
            Strike::Pause(_) if is_same_life => self.resume(node),
            Strike::SlowDisk(_, latency) => self.node_mut(node).disk.speed_up(latency),
            Strike::Skew(_, micros) => self.node_mut(node).skew_micros -= micros,
            Strike::Incident(_, begins, Some(ends)) => self.end_incident(node, begins, ends),
            Strike::Jump(..) | Strike::Pause(_) | Strike::Incident(_, _, None) | Strike::Network { .. } => {}
        }
    }

    /// An incident is over, unless another fault has let the same one befall the node: that one lasts, with its own figures.
    fn end_incident(&mut self, node: NodeId, begins: Incident, ends: Incident) {
        match self.node_mut(node).forget(begins) {
            Some(other) if other == begins => {}
            Some(other) => self.input(node, Input::Incident(other)),
            None => {
                self.input(node, Input::Incident(ends));
                self.start_again(node);
            }
        }
    }

    /// A fault no longer keeps a process from running: it is started, unless another one does.
    fn start_again(&mut self, node: NodeId) {
        let life = Hit { node, incarnation: self.nodes[node.0 as usize].incarnation };
        let keeps_down = |force: &InForce| {
            let strikes = &self.faults.all[force.number as usize].strikes;
            force.strikes.iter().any(|(place, hit)| {
                *hit == Some(life) && matches!(strikes[*place].strike, Strike::Crash(..) | Strike::Restart(_))
            })
        };
        if !self.faults.in_force.iter().any(keeps_down) {
            self.start_if_wanted(node);
        }
    }

    pub(super) fn start_if_wanted(&mut self, node: NodeId) {
        if self.nodes[node.0 as usize].wanted {
            self.start(node);
        }
    }
}

/// Of two sides the one that has the fewest nodes, and both where they have as many; a side that is anybody is passed over.
fn fewest<'a>(one: &'a NodeSet, other: &'a NodeSet) -> impl Iterator<Item = &'a [NodeId]> {
    let named = [one, other].map(|side| match side {
        NodeSet::Some(nodes) => Some(nodes.as_slice()),
        NodeSet::All => None,
    });
    let least = named.iter().flatten().map(|nodes| nodes.len()).min();
    named.into_iter().flatten().filter(move |nodes| Some(nodes.len()) == least)
}
