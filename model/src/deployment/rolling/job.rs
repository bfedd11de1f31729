//! One order in execution: which process comes next, and what is waited for before it.

use super::{Condition, Fleet, Rolling};
use crate::deployment::{Order, RollOrder, Target};
use crate::machine::{Effects, Now};
use crate::record::NodeId;
use crate::units::Time;
use serde::Serialize;

/// An order and how far it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Job {
    order: RollOrder,
    /// What is to run in the end, in order of starting.
    incoming: Vec<NodeId>,
    /// What is not to run in the end, in order of stopping.
    outgoing: Vec<NodeId>,
    /// Whether everything that goes out goes at once.
    at_once: bool,
    /// Which pair of an incoming and an outgoing process is being replaced.
    place: usize,
    /// Whether anything had to be done to that pair.
    touched: bool,
    /// No pair is begun before this.
    rest_until: Time,
}

impl Job {
    pub(super) fn new(order: Order, fleet: &Fleet) -> Job {
        let (old, new) = (fleet.old.clone(), fleet.new.clone());
        let (order, incoming, outgoing, at_once) = match order {
            Order::Roll(order) => (order, new, old, false),
            Order::RollBack(order) => (order, old, new, false),
            Order::Stop => (RollOrder::StopFirst, Vec::new(), [old, new].concat(), true),
        };
        Job { order, incoming, outgoing, at_once, place: 0, touched: false, rest_until: Time::ZERO }
    }

    fn pairs(&self) -> usize {
        self.incoming.len().max(self.outgoing.len())
    }
}

impl Rolling {
    /// Go on with a target's job as far as it can be done now. Returns until when it rests, if it rests.
    pub(super) fn work_on(&mut self, now: Now, target: Target, effects: &mut Effects) -> Option<Time> {
        let mut job = self.durable.jobs.get(&target)?.clone();
        while job.place < job.pairs() {
            if now.elapsed < job.rest_until {
                let until = job.rest_until;
                self.durable.jobs.insert(target, job);
                return Some(until);
            }
            job.touched |= !self.is_replaced(&job);
            if !self.replace(now, &job, effects) && !job.at_once {
                self.durable.jobs.insert(target, job);
                return None;
            }
            if job.touched && !job.at_once {
                job.rest_until = now.elapsed + self.settings.roll_interval;
            }
            job.place += 1;
            job.touched = false;
        }
        self.durable.jobs.remove(&target);
        None
    }

    /// Whether the job's pair is as it should be without anything being done.
    fn is_replaced(&self, job: &Job) -> bool {
        let incoming = self.condition(job.incoming.get(job.place).copied());
        let outgoing = self.condition(job.outgoing.get(job.place).copied());
        matches!(incoming, None | Some(Condition::Ready))
            && matches!(outgoing, None | Some(Condition::Stopped))
    }

    /// Replace the job's pair as far as it can be done now. Returns whether the next pair may come.
    fn replace(&mut self, now: Now, job: &Job, effects: &mut Effects) -> bool {
        let incoming = job.incoming.get(job.place).copied();
        let outgoing = job.outgoing.get(job.place).copied();
        match job.order {
            // As in a surge: the old one is asked to stop when the new one is ready, and nobody waits for its end.
            RollOrder::StartFirst => {
                let runs = self.bring_in(now, incoming, effects);
                if runs {
                    self.bring_out(now, outgoing, effects);
                }
                runs
            }
            RollOrder::StopFirst => {
                self.bring_out(now, outgoing, effects) && self.bring_in(now, incoming, effects)
            }
        }
    }

    fn condition(&self, node: Option<NodeId>) -> Option<Condition> {
        node.and_then(|node| self.durable.processes.get(&node).copied())
    }

    /// Whether that process runs; if it does not, it is started.
    fn bring_in(&mut self, now: Now, node: Option<NodeId>, effects: &mut Effects) -> bool {
        match (node, self.condition(node)) {
            (Some(node), Some(Condition::Stopped)) => {
                self.start(now, node, effects);
                false
            }
            // One that is still stopping has to be gone before it can be started again.
            (Some(_), Some(Condition::Starting { .. } | Condition::Stopping { .. } | Condition::Broken)) => {
                false
            }
            (Some(_), Some(Condition::Ready)) | (None, _) | (_, None) => true,
        }
    }

    /// Whether that process has exited; if it has not, it is asked to.
    fn bring_out(&mut self, now: Now, node: Option<NodeId>, effects: &mut Effects) -> bool {
        match (node, self.condition(node)) {
            (Some(node), Some(Condition::Starting { .. } | Condition::Ready | Condition::Broken)) => {
                self.terminate(now, node, effects);
                false
            }
            (Some(_), Some(Condition::Stopping { .. })) => false,
            (Some(_), Some(Condition::Stopped)) | (None, _) | (_, None) => true,
        }
    }
}
