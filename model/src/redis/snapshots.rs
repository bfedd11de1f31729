//! When the store goes to disk: as a snapshot when a point is reached, or as a file that is appended to and forced to
//! disk every so often.

use super::settings::{Persistence, Settings};
use crate::machine::{Effects, Timer};
use crate::units::{Span, Time};
use serde::Serialize;

pub(super) const SAVE: Timer = Timer::new("redis/save", 0);

/// What is not on disk yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Unsaved {
    /// Writes since the store was last written.
    writes: u64,
    /// When it was written last, or the process started.
    since: Time,
    /// When the timer runs out.
    wakes_at: Option<Time>,
}

impl Unsaved {
    /// Nothing is unsaved from now on.
    pub(super) fn since(now: Time) -> Unsaved {
        Unsaved { writes: 0, since: now, wakes_at: None }
    }

    /// There was a write. Returns whether the store is to be written now.
    pub(super) fn wrote(&mut self, settings: &Settings, now: Time, effects: &mut Effects) -> bool {
        self.writes += 1;
        let due = match settings.persistence {
            Persistence::None => return false,
            Persistence::Snapshot => self.next_snapshot(settings),
            Persistence::AppendOnly if settings.append_sync_interval == Span::ZERO => Some(now),
            Persistence::AppendOnly => Some(self.wakes_at.unwrap_or(now + settings.append_sync_interval)),
        };
        let Some(due) = due else { return false };
        if due <= now {
            return self.written(now, effects);
        }
        if self.wakes_at.is_none_or(|wakes_at| due < wakes_at) {
            self.wakes_at = Some(due);
            effects.set_timer(SAVE, due.since(now));
        }
        false
    }

    /// The store is written: nothing is unsaved any more.
    pub(super) fn written(&mut self, now: Time, effects: &mut Effects) -> bool {
        effects.cancel_timer(SAVE);
        *self = Unsaved::since(now);
        true
    }

    /// When the first of the points is reached for which there were writes enough.
    fn next_snapshot(&self, settings: &Settings) -> Option<Time> {
        let reached = settings.save.iter().filter(|point| self.writes >= point.writes);
        reached.map(|point| self.since + point.after).min()
    }
}
