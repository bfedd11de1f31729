//! All checkers of a run together.

use super::conditions::Conditions;
use super::{
    AtLeastOnce, BoundedReplay, Checker, Exclusive, Judgement, Order, Progress, Rewind, Subject, ZeroDowntime,
};
use crate::history::Entry;
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;

/// All checkers of a run, and the conditions that it reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Suite {
    at_least_once: AtLeastOnce,
    order: Order,
    bounded_replay: BoundedReplay,
    exclusive: Exclusive,
    zero_downtime: ZeroDowntime,
    progress: Progress,
    /// Where the plan has no rewind there is nothing to judge.
    rewind: Option<Box<Rewind>>,
    conditions: Conditions,
}

impl Suite {
    /// Checkers of a run that has not begun.
    pub fn new(subject: impl Into<Arc<Subject>>) -> Suite {
        let subject = subject.into();
        Suite {
            at_least_once: AtLeastOnce::new(subject.clone()),
            order: Order::new(subject.clone()),
            bounded_replay: BoundedReplay::new(subject.clone()),
            exclusive: Exclusive::new(subject.clone()),
            zero_downtime: ZeroDowntime::new(subject.clone()),
            progress: Progress::new(subject.clone()),
            rewind: subject.rewinds.then(|| Box::new(Rewind::new(subject.clone()))),
            conditions: Conditions::new(subject),
        }
    }

    /// Take the next entry of the history.
    pub fn observe(&mut self, entry: &Entry) {
        self.at_least_once.observe(entry);
        self.order.observe(entry);
        self.bounded_replay.observe(entry);
        self.exclusive.observe(entry);
        self.zero_downtime.observe(entry);
        self.progress.observe(entry);
        if let Some(rewind) = &mut self.rewind {
            rewind.observe(entry);
        }
        self.conditions.observe(entry, self.bounded_replay.last_hop());
    }

    /// Conclude: a judgement a guarantee, in the guarantees' order. A record that is lost for good breaks at-least-once
    /// and nothing else: it neither ages nor lags for ever.
    pub fn judge(&self) -> Vec<Judgement> {
        let (at_least_once, lost) = self.at_least_once.conclude();
        let (mut zero_downtime, mut progress) =
            (Cow::Borrowed(&self.zero_downtime), Cow::Borrowed(&self.progress));
        for (group, record) in lost {
            zero_downtime.to_mut().give_up(group, record);
            progress.to_mut().give_up(group, record);
        }
        let mut judgements = vec![
            at_least_once,
            self.order.judge(),
            self.judge_replay(),
            self.exclusive.judge(),
            zero_downtime.judge(),
            progress.judge(),
        ];
        for judgement in &mut judgements {
            judgement.conditions = self.conditions.of(judgement.guarantee);
        }
        judgements.extend(self.rewind.iter().map(|rewind| rewind.judge()));
        judgements
    }

    /// What a log has lost nobody can have passed over in it.
    fn judge_replay(&self) -> Judgement {
        let gone = self.at_least_once.gone();
        if gone.is_empty() {
            return self.bounded_replay.judge();
        }
        let mut bounded_replay = self.bounded_replay.clone();
        for (queue, record) in gone {
            bounded_replay.take_away(queue, record);
        }
        bounded_replay.judge()
    }
}

#[cfg(test)]
#[path = "suite_tests.rs"]
mod tests;
