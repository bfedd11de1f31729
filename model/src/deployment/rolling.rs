//! The deployment as a machine: starts and stops the processes of each target as the operator orders, one instance
//! after the other, and kills what does not stop in time. After Kubernetes' rolling update (surge, or unavailable).
//!
//! It judges by what it is told (`Ready`, broken connections) and asks again until it is told. Left out:
//! images, hosts and quotas; and restarts after a crash, which are the world's part: [`Rolling::should_run`] says
//! which processes they concern.

mod job;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use super::{Message, Order, Settings, Target};
use crate::machine::{Effects, Input, Machine, Now, Process, RequestId, RequestIds, Timer};
use crate::message;
use crate::record::NodeId;
use crate::report::{DeployedTarget, Report};
use crate::units::{Span, Time};
use job::Job;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

const WAKE: Timer = Timer::new("deployment/wake", 0);

/// The processes of one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fleet {
    /// Which target.
    pub target: Target,
    /// The old processes, which run when the case begins.
    pub old: Vec<NodeId>,
    /// The new ones, which do not run yet. The first replaces the first, and so on.
    pub new: Vec<NodeId>,
}

/// The deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rolling {
    settings: Settings,
    fleets: Vec<Fleet>,
    durable: Durable,
    volatile: Volatile,
}

/// What is in the deployment's database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Durable {
    /// The operator's orders that were taken, by number.
    taken: BTreeSet<u64>,
    /// What is being done to each target; a later order takes the place of an earlier one.
    jobs: BTreeMap<Target, Job>,
    processes: BTreeMap<NodeId, Condition>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Volatile {
    requests: RequestIds,
}

/// How a process stands, as far as the deployment knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Condition {
    /// It has exited, or was never started.
    Stopped,
    /// It was started, and has not said that it is ready.
    Starting { since: Time },
    /// It runs.
    Ready,
    /// It should run, and its connection broke: it crashed, and the host will start it again.
    Broken,
    /// It was asked to stop, and has not exited.
    Stopping { since: Time },
}

impl Rolling {
    /// A deployment of these fleets, whose old processes run.
    pub fn new(settings: Settings, fleets: Vec<Fleet>) -> Rolling {
        let old = fleets.iter().flat_map(|fleet| fleet.old.iter().map(|node| (*node, Condition::Ready)));
        let new = fleets.iter().flat_map(|fleet| fleet.new.iter().map(|node| (*node, Condition::Stopped)));
        let durable = Durable { processes: old.chain(new).collect(), ..Durable::default() };
        Rolling { settings, fleets, durable, volatile: Volatile::default() }
    }

    /// Whether that process is to run: whether the host starts it again after a crash. A process that is none of the
    /// deployment's is not its business, and runs.
    pub fn should_run(&self, node: NodeId) -> bool {
        let stopped =
            |condition: &Condition| matches!(condition, Condition::Stopped | Condition::Stopping { .. });
        !self.durable.processes.get(&node).is_some_and(stopped)
    }

    fn order(&mut self, number: u64, target: Target, order: Order) {
        let Some(fleet) = self.fleets.iter().find(|fleet| fleet.target == target) else { return };
        if self.durable.taken.insert(number) {
            if target == Target::Corgi {
                // A set that is still being added is no exception.
                self.durable.jobs.retain(|other, _| !matches!(other, Target::BrokerSet(_)));
            }
            self.durable.jobs.insert(target, Job::new(order, fleet));
        }
    }

    fn hear(&mut self, now: Now, from: NodeId, message: Message, effects: &mut Effects) {
        match message {
            Message::Order { number, target, order } => {
                self.order(number, target, order);
                effects.send(from, deployment(Message::Accepted { number }));
            }
            Message::Ready => self.ready(now, from, effects),
            // It may come late, from an earlier life: only the broken connection says that the process is gone.
            Message::Exiting => self.probe(from, effects),
            // The deployment says this; it is never told it.
            Message::Accepted { .. } => {}
        }
    }

    fn ready(&mut self, now: Now, from: NodeId, effects: &mut Effects) {
        match self.durable.processes.get_mut(&from) {
            Some(condition @ (Condition::Starting { .. } | Condition::Broken)) => {
                *condition = Condition::Ready;
            }
            // Somebody else started it: it is to be stopped, whoever did it.
            Some(Condition::Stopped) => self.terminate(now, from, effects),
            Some(Condition::Ready | Condition::Stopping { .. }) | None => {}
        }
    }

    /// A process is gone.
    fn gone(&mut self, node: NodeId) {
        match self.durable.processes.get_mut(&node) {
            Some(condition @ Condition::Stopping { .. }) => *condition = Condition::Stopped,
            Some(condition @ Condition::Ready) => *condition = Condition::Broken,
            // A process that is being started answers nothing until it is up.
            Some(Condition::Starting { .. } | Condition::Stopped | Condition::Broken) | None => {}
        }
    }

    fn start(&mut self, now: Now, node: NodeId, effects: &mut Effects) {
        self.durable.processes.insert(node, Condition::Starting { since: now.elapsed });
        effects.processes.push(Process::Start(node));
    }

    fn terminate(&mut self, now: Now, node: NodeId, effects: &mut Effects) {
        self.durable.processes.insert(node, Condition::Stopping { since: now.elapsed });
        effects.processes.push(Process::Terminate(node));
        // Only a node that talked with the deployment gives a sign when its process ends.
        self.probe(node, effects);
    }

    fn probe(&mut self, node: NodeId, effects: &mut Effects) {
        let request = self.volatile.requests.next_id();
        effects.send(node, message::Message::ReportRequest(request));
    }

    /// Ask again what was not answered, and kill what does not stop.
    fn insist(&mut self, now: Now, effects: &mut Effects) {
        let unsettled: Vec<(NodeId, Condition)> = self
            .durable
            .processes
            .iter()
            .filter(|(_, condition)| condition.is_unsettled())
            .map(|(node, condition)| (*node, *condition))
            .collect();
        for (node, condition) in unsettled {
            match condition {
                Condition::Stopping { since } if now.elapsed.since(since) >= self.settings.grace => {
                    effects.processes.push(Process::Kill(node));
                }
                // The host may have been down when the process was to start.
                Condition::Starting { since } if now.elapsed.since(since) >= self.settings.grace => {
                    self.start(now, node, effects);
                }
                _ => {}
            }
            self.probe(node, effects);
        }
    }

    /// Do what can be done now, and wake when something more may be.
    fn go_on(&mut self, now: Now, effects: &mut Effects) {
        let targets: Vec<Target> = self.durable.jobs.keys().copied().collect();
        let mut rest: Option<Span> = None;
        for target in targets {
            let until = self.work_on(now, target, effects);
            rest = [rest, until.map(|until| until.since(now.elapsed))].into_iter().flatten().min();
        }
        let unsettled = self.durable.processes.values().any(Condition::is_unsettled);
        let probe = unsettled.then_some(self.settings.probe_interval);
        match [rest, probe].into_iter().flatten().min() {
            Some(span) => effects.set_timer(WAKE, span),
            None => effects.cancel_timer(WAKE),
        }
    }

    fn report(&self) -> Report {
        let count = |nodes: &[NodeId], counts: fn(&Condition) -> bool| {
            let held = nodes.iter().filter_map(|node| self.durable.processes.get(node));
            u32::try_from(held.filter(|condition| counts(condition)).count()).unwrap_or(u32::MAX)
        };
        let targets = self.fleets.iter().map(|fleet| DeployedTarget {
            target: fleet.target,
            old_running: count(&fleet.old, |condition| *condition != Condition::Stopped),
            new_ready: count(&fleet.new, |condition| *condition == Condition::Ready),
            new_expected: u32::try_from(fleet.new.len()).unwrap_or(u32::MAX),
        });
        Report::Deployment { targets: targets.collect() }
    }

    /// An answer to a probe. A process that has no readiness message of its own is ready when it answers; a consumer
    /// repeats its `Ready` beside its report.
    fn probed(&mut self, from: NodeId, id: RequestId, report: &Report) {
        let answers_for_readiness = !matches!(report, Report::Consumer { .. });
        if answers_for_readiness
            && self.volatile.requests.issued(id)
            && let Some(condition @ (Condition::Starting { .. } | Condition::Broken)) =
                self.durable.processes.get_mut(&from)
        {
            *condition = Condition::Ready;
        }
    }
}

impl Condition {
    fn is_unsettled(&self) -> bool {
        matches!(self, Condition::Starting { .. } | Condition::Broken | Condition::Stopping { .. })
    }
}

fn deployment(message: Message) -> message::Message {
    message::Message::Deployment(Box::new(message))
}

impl Machine for Rolling {
    fn step(&mut self, now: Now, input: Input, effects: &mut Effects) {
        match input {
            Input::Start { incarnation } => self.volatile.requests = RequestIds::new(incarnation, 0),
            Input::Message { from, message: message::Message::Deployment(message) } => {
                self.hear(now, from, *message, effects);
            }
            Input::Message { from, message: message::Message::ReportRequest(id) } => {
                effects.send(from, message::Message::Report(id, Box::new(self.report())));
                return;
            }
            Input::Message { from, message: message::Message::Report(id, report) } => {
                self.probed(from, id, &report);
            }
            Input::Disconnected(node) => self.gone(node),
            Input::Timer(WAKE) => self.insist(now, effects),
            Input::Terminate => {
                effects.processes.push(Process::Exit);
                return;
            }
            Input::Message { .. } | Input::Timer(_) | Input::Incident(_) => return,
            Input::Placed(_) | Input::Unreachable(_) => return,
        }
        self.go_on(now, effects);
    }

    fn crash(&mut self) {
        self.volatile = Volatile::default();
    }

    fn lose(&mut self, _now: Now, _loss: crate::incident::DiskLoss) {}
}
