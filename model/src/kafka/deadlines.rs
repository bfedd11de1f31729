//! All the moments at which a broker has something to do, behind one timer of the world.
//!
//! The timer is set for the earliest. One that is cancelled leaves it as it is: it runs out, finds nothing due and is
//! set for the next, which costs less than moving it at each long poll.

use crate::machine::{Effects, Timer};
use crate::units::Time;
use serde::Serialize;

/// Deadlines, each of a task. They are some dozens, and set and cancelled all the time: sorted vectors beat maps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deadlines<T: Ord> {
    /// The latest first, so that the next is taken off the end.
    by_time: Vec<(Time, T)>,
    /// In the order of the tasks.
    of: Vec<(T, Time)>,
    armed: Option<Time>,
}

impl<T: Ord> Default for Deadlines<T> {
    fn default() -> Self {
        Deadlines { by_time: Vec::new(), of: Vec::new(), armed: None }
    }
}

impl<T: Ord + Copy> Deadlines<T> {
    /// Do this then, and not when it was said before.
    pub fn set(&mut self, task: T, at: Time) {
        match self.place_of(task) {
            Ok(place) => {
                let before = std::mem::replace(&mut self.of[place].1, at);
                self.remove_time(before, task);
            }
            Err(place) => self.of.insert(place, (task, at)),
        }
        let place = self.by_time.partition_point(|entry| *entry > (at, task));
        self.by_time.insert(place, (at, task));
    }

    fn place_of(&self, task: T) -> Result<usize, usize> {
        self.of.binary_search_by(|(other, _)| other.cmp(&task))
    }

    fn remove_time(&mut self, at: Time, task: T) {
        let place = self.by_time.partition_point(|entry| *entry > (at, task));
        self.by_time.remove(place);
    }

    /// Do this then, unless it is to be done before.
    pub fn set_at_latest(&mut self, task: T, at: Time) {
        if self.place_of(task).map_or(true, |place| at < self.of[place].1) {
            self.set(task, at);
        }
    }

    /// Don't do this.
    pub fn cancel(&mut self, task: T) {
        if let Ok(place) = self.place_of(task) {
            let (_, before) = self.of.remove(place);
            self.remove_time(before, task);
        }
    }

    /// Whether this is to be done.
    pub fn is_set(&self, task: T) -> bool {
        self.place_of(task).is_ok()
    }

    /// The next task whose time has come, taken out.
    pub fn take_due(&mut self, now: Time) -> Option<T> {
        let (_, task) = self.by_time.pop_if(|(at, _)| *at <= now)?;
        if let Ok(place) = self.place_of(task) {
            self.of.remove(place);
        }
        Some(task)
    }

    /// The timer ran out.
    pub fn fired(&mut self) {
        self.armed = None;
    }

    /// Have the timer run out at the earliest deadline.
    pub fn arm(&mut self, timer: Timer, now: Time, effects: &mut Effects) {
        let Some((at, _)) = self.by_time.last() else { return };
        if self.armed.is_none_or(|armed| *at < armed) {
            self.armed = Some(*at);
            effects.set_timer(timer, at.since(now));
        }
    }
}
