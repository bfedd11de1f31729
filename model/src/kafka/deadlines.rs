//! All the moments at which a broker has something to do, behind one timer of the world.
//!
//! The timer is set for the earliest. One that is cancelled leaves it as it is: it runs out, finds nothing due and is
//! set for the next, which costs less than moving it at each long poll.

use crate::machine::{Effects, Timer};
use crate::units::Time;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Deadlines, each of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deadlines<T: Ord> {
    by_time: BTreeSet<(Time, T)>,
    of: BTreeMap<T, Time>,
    armed: Option<Time>,
}

impl<T: Ord> Default for Deadlines<T> {
    fn default() -> Self {
        Deadlines { by_time: BTreeSet::new(), of: BTreeMap::new(), armed: None }
    }
}

impl<T: Ord + Copy> Deadlines<T> {
    /// Do this then, and not when it was said before.
    pub fn set(&mut self, task: T, at: Time) {
        if let Some(before) = self.of.insert(task, at) {
            self.by_time.remove(&(before, task));
        }
        self.by_time.insert((at, task));
    }

    /// Do this then, unless it is to be done before.
    pub fn set_at_latest(&mut self, task: T, at: Time) {
        if self.of.get(&task).is_none_or(|before| at < *before) {
            self.set(task, at);
        }
    }

    /// Don't do this.
    pub fn cancel(&mut self, task: T) {
        if let Some(before) = self.of.remove(&task) {
            self.by_time.remove(&(before, task));
        }
    }

    /// Whether this is to be done.
    pub fn is_set(&self, task: T) -> bool {
        self.of.contains_key(&task)
    }

    /// The next task whose time has come, taken out.
    pub fn take_due(&mut self, now: Time) -> Option<T> {
        let (at, task) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.by_time.pop_first();
        self.of.remove(&task);
        Some(task)
    }

    /// The timer ran out.
    pub fn fired(&mut self) {
        self.armed = None;
    }

    /// Have the timer run out at the earliest deadline.
    pub fn arm(&mut self, timer: Timer, now: Time, effects: &mut Effects) {
        let Some((at, _)) = self.by_time.first() else { return };
        if self.armed.is_none_or(|armed| *at < armed) {
            self.armed = Some(*at);
            effects.set_timer(timer, at.since(now));
        }
    }
}
