//! The operator: a human who executes the plan from what he is told.
//!
//! He keeps notes of where he is, so that after a crash he goes on with the line he was at. What he was told he
//! forgets in a crash, and asks again. He never sees the truth: only reports, of a certain age. Left out: slips that the
//! plan does not contain, and two operators at a time.

mod acts;
mod admin;
mod gates;
mod hearing;
mod kafka_widening;
mod preparation;
mod reports;
mod resetting;
mod rewinding;
pub mod settings;
mod waiting;
mod widening;
mod wiring;

pub use settings::Settings;
pub use wiring::{GroupWiring, TopicWiring, Wiring};

use crate::deployment;
use crate::history::Event;
use crate::machine::{Effects, Input, Machine, Now, Process, RequestId, RequestIds, Timer};
use crate::message::Message;
use crate::plan::{Act, Phase, Plan, PreparedFrom, Step, Wait};
use crate::record::{GroupId, NodeId, TopicId};
use crate::switch;
use crate::units::{Span, Time};
use acts::{Errand, Notes, errand};
use admin::{Admin, Desk, Goal};
use kafka_widening::KafkaWidening;
use preparation::Preparation;
use reports::Reports;
use resetting::Resetting;
use rewinding::Rewinding;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The next line is to be begun.
const NEXT: Timer = Timer::new("operator/next", 0);
/// What was not confirmed is to be repeated.
const AGAIN: Timer = Timer::new("operator/again", 0);
/// Reports are to be asked for.
const ASK: Timer = Timer::new("operator/ask", 0);
/// A gate's time is over.
const DEADLINE: Timer = Timer::new("operator/deadline", 0);
/// How often he says what he is waiting for.
const SAY_EVERY: Span = Span::secs(60);

/// The operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operator {
    settings: Settings,
    plan: Plan,
    wiring: Wiring,
    durable: Durable,
    volatile: Volatile,
}

/// His notes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Durable {
    /// The phase he is at, from 0; behind the last when the plan is complete.
    phase: usize,
    phase_begun: bool,
    /// The line of the phase, from 0.
    line: usize,
    stage: Stage,
    /// When he reached the gate he is at.
    reached_at: Option<Time>,
    /// The number of the order or change that was given and not confirmed.
    given: Option<Given>,
    /// How many orders he has numbered.
    orders: u64,
    /// How many changes he has numbered.
    changes: u64,
    /// How many rewinds he has numbered.
    rewinds: u64,
    /// The rewind that he is at.
    rewinding: Option<Rewinding>,
    notes: Notes,
    complete: bool,
}

/// What he is at within a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
enum Stage {
    /// The line itself.
    #[default]
    Line,
    /// He gave a gate up, and does the act of that place in `otherwise`.
    Otherwise(usize),
    /// He rests until then, before he begins again.
    Rest(Time),
}

/// An order or change, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Given {
    Order(u64),
    Change(u64),
}

/// What he has in his head.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Volatile {
    ids: RequestIds,
    reports: Reports,
    admin: Admin,
    busy: Busy,
    /// The brokers that have confirmed the widening under way.
    widened: BTreeSet<NodeId>,
    /// Where it concerns masters alone: who they are, as the name service told of each broker set.
    masters: BTreeMap<u16, Option<NodeId>>,
    /// What was asked of Corgi for it: an answer to an act before it says nothing of it.
    asked: BTreeSet<RequestId>,
    /// The setting of offsets in Corgi under way.
    resetting: Option<Resetting>,
    /// When he began what he is busy with, or last said why it takes so long.
    said_at: Time,
    /// Whether he has said why the act under way does not succeed.
    trouble_said: bool,
}

/// What he is doing now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
enum Busy {
    /// Nothing, until the next line's turn.
    #[default]
    Between,
    /// An act, until it is confirmed.
    Acting,
    /// Waiting at a gate.
    Waiting,
}

impl Operator {
    /// The operator who is to execute that plan. A plan that waits for ever is executed as well.
    ///
    /// # Panics
    /// If the plan names a group that the wiring does not have: have it looked at by [`Plan::lint`] first, and tell its
    /// author.
    pub fn new(settings: Settings, plan: Plan, wiring: Wiring) -> Operator {
        for group in plan.groups() {
            let known = wiring.groups.iter().any(|wiring| wiring.name == group);
            assert!(known, "a plan that is executed names groups of its case only, and not `{group}`");
        }
        Operator { settings, plan, wiring, durable: Durable::default(), volatile: Volatile::default() }
    }

    /// Whether the plan is complete.
    pub fn is_complete(&self) -> bool {
        self.durable.complete
    }

    fn phase(&self) -> Option<&Phase> {
        self.plan.phases.get(self.durable.phase)
    }

    fn step_here(&self) -> Option<&Step> {
        self.phase()?.steps.get(self.durable.line)
    }

    fn wait_here(&self) -> Option<&Wait> {
        match self.step_here() {
            Some(Step::Wait(wait)) => Some(wait),
            _ => None,
        }
    }

    /// The act that is next or under way: the line's, or one of those that follow a gate given up.
    fn act_here(&self) -> Option<&Act> {
        match (self.durable.stage, self.step_here()) {
            (Stage::Line, Some(Step::Act(act))) => Some(act),
            (Stage::Otherwise(place), Some(Step::Wait(wait))) => wait.otherwise.get(place),
            _ => None,
        }
    }

    /// Phase and line, both from 1, as the history counts them.
    fn place(&self) -> (u32, u32) {
        (self.durable.phase as u32 + 1, self.durable.line as u32 + 1)
    }

    fn step_done_next(&mut self, effects: &mut Effects) {
        self.volatile.busy = Busy::Between;
        let [least, most] = self.settings.act_delay;
        effects.set_timer_between(NEXT, least, most.max(least));
    }

    /// Begin whatever is next.
    fn proceed(&mut self, now: Now, effects: &mut Effects) {
        if self.durable.complete || !self.phase_is_due(now, effects) {
            return;
        }
        if let Stage::Rest(until) = self.durable.stage {
            if now.elapsed < until {
                effects.set_timer(NEXT, until.since(now.elapsed));
                return;
            }
            let back = self.wait_here().map_or(0, |wait| wait.back);
            self.durable.line = self.durable.line.saturating_sub(back);
            self.durable.stage = Stage::Line;
        }
        self.volatile.said_at = now.elapsed;
        self.volatile.trouble_said = false;
        if self.act_here().is_some() {
            self.volatile.busy = Busy::Acting;
            self.act(now, effects);
        } else {
            self.reach_gate(now, effects);
        }
    }

    /// Go over to the phase that has a line left. Returns whether it may begin now.
    fn phase_is_due(&mut self, now: Now, effects: &mut Effects) -> bool {
        loop {
            let Some(phase) = self.plan.phases.get(self.durable.phase) else {
                self.durable.complete = true;
                effects.record(Event::PlanCompleted);
                return false;
            };
            let due = Time::ZERO + phase.not_before;
            if !self.durable.phase_begun && now.elapsed < due {
                effects.set_timer(NEXT, due.since(now.elapsed));
                return false;
            }
            if !self.durable.phase_begun {
                self.durable.phase_begun = true;
                let name = phase.name.clone();
                effects.record(Event::PhaseBegun { phase: self.durable.phase as u32 + 1, name });
            }
            if self.durable.line < phase.steps.len() {
                return true;
            }
            self.durable.phase += 1;
            self.durable.phase_begun = false;
            self.durable.line = 0;
        }
    }

    /// Do the act that is here, or do it again: an order and a change keep their number.
    fn act(&mut self, now: Now, effects: &mut Effects) {
        let act = self.act_here().expect("the operator acts at an act only");
        match errand(act, &self.wiring, &self.durable.notes) {
            Errand::Order(target, order) => {
                let number = self.order_number();
                let message = deployment::Message::Order { number, target, order };
                effects.send(self.wiring.deployment, Message::Deployment(Box::new(message)));
            }
            Errand::Change(change) => {
                let number = self.change_number();
                let message = switch::Message::Change { number, changes: vec![change] };
                effects.send(self.wiring.switch_centre, Message::Switch(Box::new(message)));
            }
            Errand::Prepare(group, from) => self.prepare(group, from, now, effects),
            Errand::Rewind(errand) => self.rewind(&errand, now, effects),
            Errand::Widen(topic, tell) => self.widen(&topic, tell, effects),
            Errand::WidenTarget(topic, count) => self.widen_target(topic, count, now, effects),
            Errand::Reset(group, from) => self.reset(group, from, now, effects),
        }
        effects.set_timer(AGAIN, self.settings.retry);
    }

    fn order_number(&mut self) -> u64 {
        if let Some(Given::Order(number)) = self.durable.given {
            return number;
        }
        self.durable.orders += 1;
        self.durable.given = Some(Given::Order(self.durable.orders));
        self.durable.orders
    }

    fn change_number(&mut self) -> u64 {
        if let Some(Given::Change(number)) = self.durable.given {
            return number;
        }
        self.durable.changes += 1;
        self.durable.given = Some(Given::Change(self.durable.changes));
        self.durable.changes
    }

    fn prepare(&mut self, group: GroupId, from: PreparedFrom, now: Now, effects: &mut Effects) {
        let Volatile { admin, ids, .. } = &mut self.volatile;
        let mut desk = Desk { now, wiring: &self.wiring, ids, effects };
        match admin.goal {
            Goal::Prepare(_) => admin.try_again(self.settings.request_timeout, &mut desk),
            Goal::Idle | Goal::Figures(_) | Goal::Widen(_) => {
                admin.prepare(Preparation::new(group, from), &mut desk);
            }
        }
    }

    fn widen_target(&mut self, topic: TopicId, count: u16, now: Now, effects: &mut Effects) {
        let Volatile { admin, ids, .. } = &mut self.volatile;
        let mut desk = Desk { now, wiring: &self.wiring, ids, effects };
        match admin.goal {
            Goal::Widen(_) => admin.try_again(self.settings.request_timeout, &mut desk),
            Goal::Idle | Goal::Figures(_) | Goal::Prepare(_) => {
                admin.widen(KafkaWidening::new(topic, count), &mut desk);
            }
        }
    }

    /// What was given has been confirmed, or the offsets are prepared.
    fn act_done(&mut self, effects: &mut Effects) {
        let act = self.act_here().expect("what is confirmed is the act that is under way").clone();
        let errand = errand(&act, &self.wiring, &self.durable.notes);
        self.durable.notes.note(&errand);
        self.volatile.admin.targets.clone_from(&self.durable.notes.targets);
        let (phase, step) = self.place();
        effects.record(Event::StepDone { phase, step, act });
        effects.cancel_timer(AGAIN);
        self.durable.given = None;
        self.durable.rewinding = None;
        self.volatile.widened.clear();
        self.volatile.masters.clear();
        self.volatile.asked.clear();
        self.volatile.resetting = None;
        match self.durable.stage {
            Stage::Otherwise(place) => self.durable.stage = Stage::Otherwise(place + 1),
            Stage::Line | Stage::Rest(_) => self.durable.line += 1,
        }
        self.step_done_next(effects);
    }

    fn confirmed(&mut self, given: Given, effects: &mut Effects) {
        if self.durable.given == Some(given) {
            self.act_done(effects);
        }
    }
}

impl Machine for Operator {
    fn step(&mut self, now: Now, input: Input, effects: &mut Effects) {
        match input {
            Input::Start { incarnation } => {
                self.volatile.ids = RequestIds::new(incarnation, 0);
                self.volatile.admin.targets.clone_from(&self.durable.notes.targets);
                if !self.durable.complete {
                    self.step_done_next(effects);
                }
            }
            Input::Message { from, message } => self.on_message(from, message, now, effects),
            Input::Timer(timer) => self.on_timer(timer, now, effects),
            Input::Disconnected(node) => {
                self.volatile.reports.disconnected(node);
                self.volatile.admin.disconnected(node, &self.wiring);
            }
            Input::Unreachable(address) => self.address_unreachable(address, now, effects),
            Input::Terminate => effects.processes.push(Process::Exit),
            Input::Incident(incident) => self.befall(incident, now, effects),
            Input::Placed(_) => {}
        }
    }

    fn crash(&mut self) {
        self.volatile = Volatile::default();
    }

    fn lose(&mut self, _now: Now, _loss: crate::incident::DiskLoss) {}
}

#[cfg(test)]
mod tests;
