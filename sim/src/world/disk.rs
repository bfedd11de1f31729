//! A node's disk, as far as its speed goes: a slow one lets what needs it wait, in the order in which it came. What is on a disk
//! is the machine's.

use crate::random::Stream;
use cutover_model::units::{Span, Time};
use serde::Serialize;

/// How fast a disk is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Disk {
    /// How much longer than usual it takes at most.
    latency: Span,
    /// When the last of what waited for it comes to its turn.
    served_until: Time,
}

impl Disk {
    /// Whether it is slower than usual, or still behind.
    pub(super) fn is_slow(&self) -> bool {
        self.latency > Span::ZERO || self.served_until > Time::ZERO
    }

    pub(super) fn slow_down(&mut self, latency: Span) {
        self.latency = self.latency + latency;
    }

    pub(super) fn speed_up(&mut self, latency: Span) {
        self.latency = self.latency.saturating_sub(latency);
    }

    /// When something that comes now is served: not before what came earlier.
    pub(super) fn serve(&mut self, now: Time, stream: &mut Stream) -> Time {
        let wait = stream.between(Span(self.latency.0 / 2), self.latency);
        let at = self.served_until.max(now + wait);
        self.served_until = if self.latency == Span::ZERO && at <= now { Time::ZERO } else { at };
        at
    }
}
