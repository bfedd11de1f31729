//! All the moments at which a broker has something to do, behind one timer of the world.
//!
//! The timer is set for the earliest. One that is cancelled leaves it as it is: it runs out, finds nothing due and is
//! set for the next, which costs less than moving it at each long poll.

use crate::machine::{Effects, Timer};
use crate::units::Time;
use serde::Serialize;

/// Deadlines, each of a task. They are some dozens, and set and cancelled all the time, but seldom come: a row in no
/// order beats everything that keeps them sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deadlines<T> {
    row: Vec<(T, Time)>,
    /// When the timer runs out.
    armed: Option<Time>,
    /// Whether one was set since that is earlier, or the timer ran out.
    to_arm: bool,
}

impl<T> Default for Deadlines<T> {
    fn default() -> Self {
        Deadlines { row: Vec::new(), armed: None, to_arm: false }
    }
}

impl<T: Ord + Copy> Deadlines<T> {
    /// Do this then, and not when it was said before.
    pub fn set(&mut self, task: T, at: Time) {
        self.cancel(task);
        self.add(task, at);
    }

    /// Do this then; it is something new, that was never said before.
    pub fn add(&mut self, task: T, at: Time) {
        debug_assert!(!self.is_set(task), "a new task is not set yet");
        self.row.push((task, at));
        self.to_arm |= self.armed.is_none_or(|armed| at < armed);
    }

    fn place_of(&self, task: T) -> Option<usize> {
        // What was set last stands at the end, and is most likely the next to be set or cancelled.
        self.row.iter().rposition(|(other, _)| *other == task)
    }

    /// Do this then, unless it is to be done before.
    pub fn set_at_latest(&mut self, task: T, at: Time) {
        if self.place_of(task).is_none_or(|place| at < self.row[place].1) {
            self.set(task, at);
        }
    }

    /// Don't do this.
    pub fn cancel(&mut self, task: T) {
        if let Some(place) = self.place_of(task) {
            self.row.swap_remove(place);
        }
    }

    /// Whether this is to be done.
    pub fn is_set(&self, task: T) -> bool {
        self.place_of(task).is_some()
    }

    /// The next task whose time has come, taken out.
    pub fn take_due(&mut self, now: Time) -> Option<T> {
        let mut first: Option<usize> = None;
        for (place, (task, at)) in self.row.iter().enumerate() {
            let is_first = |(other, then): &(T, Time)| (*at, task) < (*then, other);
            if *at <= now && first.is_none_or(|first| is_first(&self.row[first])) {
                first = Some(place);
            }
        }
        first.map(|place| self.row.swap_remove(place).0)
    }

    /// The timer ran out.
    pub fn fired(&mut self) {
        self.armed = None;
        self.to_arm = true;
    }

    /// Have the timer run out at the earliest deadline.
    pub fn arm(&mut self, timer: Timer, now: Time, effects: &mut Effects) {
        if !std::mem::take(&mut self.to_arm) {
            return;
        }
        let Some(at) = self.row.iter().map(|(_, at)| *at).min() else { return };
        if self.armed.is_none_or(|armed| at < armed) {
            self.armed = Some(at);
            effects.set_timer(timer, at.since(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{After, TimerEffect};

    const TIMER: Timer = Timer::new("test/deadline", 0);

    fn armed(deadlines: &mut Deadlines<u32>, now: u64) -> Option<u64> {
        let mut effects = Effects::default();
        deadlines.arm(TIMER, Time(now), &mut effects);
        match effects.timers[..] {
            [TimerEffect::Set(_, After::Exactly(span))] => Some(span.0),
            _ => None,
        }
    }

    #[test]
    fn tasks_come_by_time_and_then_in_their_order() {
        let mut deadlines = Deadlines::default();
        for (task, at) in [(7, 20), (5, 10), (3, 20), (9, 10), (1, 30)] {
            deadlines.add(task, Time(at));
        }
        deadlines.cancel(9);
        deadlines.set(1, Time(5));
        deadlines.set_at_latest(7, Time(25));
        let due: Vec<u32> = std::iter::from_fn(|| deadlines.take_due(Time(20))).collect();
        assert_eq!(due, [1, 5, 3, 7]);
        assert!(!deadlines.is_set(5));
    }

    #[test]
    fn the_timer_is_set_for_the_earliest_and_not_put_off() {
        let mut deadlines = Deadlines::default();
        deadlines.set(1, Time(50));
        assert_eq!(armed(&mut deadlines, 10), Some(40));
        deadlines.set(2, Time(60));
        assert_eq!(armed(&mut deadlines, 11), None, "it runs out before");
        deadlines.set(3, Time(30));
        assert_eq!(armed(&mut deadlines, 12), Some(18));
        deadlines.cancel(3);
        assert_eq!(armed(&mut deadlines, 13), None, "it is left to run out");
        deadlines.fired();
        assert_eq!(armed(&mut deadlines, 30), Some(20));
    }
}
