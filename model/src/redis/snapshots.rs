//! When the store goes to disk: as a snapshot when a point is reached, or as a file that is appended to and forced to
//! disk every so often.

use super::settings::{Persistence, Settings};
use crate::machine::{Effects, Timer};
use crate::units::{Span, Time};
use serde::Serialize;

pub(super) const SAVE: Timer = Timer::new("redis/save", 0);

/// How long after a snapshot that failed the next is tried (`CONFIG_BGSAVE_RETRY_DELAY`).
const SNAPSHOT_RETRY: Span = Span::secs(5);
/// How long after the appended file could not be written it is tried again.
const APPEND_RETRY: Span = Span::secs(1);

/// What is not on disk yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Unsaved {
    /// Writes since the store was last written.
    writes: u64,
    /// When it was written last, or the process started.
    since: Time,
    /// When the timer runs out.
    wakes_at: Option<Time>,
    /// The last attempt to write the store failed.
    has_failed: bool,
}

impl Unsaved {
    /// Nothing is unsaved from now on.
    pub(super) fn since(now: Time) -> Unsaved {
        Unsaved { writes: 0, since: now, wakes_at: None, has_failed: false }
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

    /// The store could not be written: it is tried again after a while.
    pub(super) fn failed(&mut self, settings: &Settings, now: Time, effects: &mut Effects) {
        let retry = match settings.persistence {
            Persistence::AppendOnly => APPEND_RETRY,
            Persistence::Snapshot | Persistence::None => SNAPSHOT_RETRY,
        };
        self.has_failed = true;
        self.wakes_at = Some(now + retry);
        effects.set_timer(SAVE, retry);
    }

    /// Whether the last attempt to write the store failed.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// When the first of the points is reached for which there were writes enough.
    fn next_snapshot(&self, settings: &Settings) -> Option<Time> {
        let reached = settings.save.iter().filter(|point| self.writes >= point.writes);
        reached.map(|point| self.since + point.after).min()
    }
}
