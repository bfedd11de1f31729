//! The planned pauses of a group: from the operator's pause to his resume, and of them all no more than is allowed.

use crate::plan::Act;
use crate::units::{Span, Time};
use serde::Serialize;

/// The planned pauses of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Pauses {
    /// How much may still be taken off.
    left: Span,
    over: Vec<(Time, Time)>,
    since: Option<Time>,
}

impl Pauses {
    /// No pause yet, and that much allowed in all.
    pub(super) fn new(allowed: Span) -> Pauses {
        Pauses { left: allowed, over: Vec::new(), since: None }
    }

    /// The operator did something.
    pub(super) fn observe(&mut self, at: Time, act: &Act, name: &str) {
        match act {
            Act::Pause { group } if group == name => {
                self.since.get_or_insert(at);
            }
            Act::Resume { group } if group == name => {
                if let Some(since) = self.since.take() {
                    let until = self.until(since, at);
                    self.left = self.left.saturating_sub(until.since(since));
                    self.over.push((since, until));
                }
            }
            _ => {}
        }
    }

    fn until(&self, since: Time, at: Time) -> Time {
        at.min(since + self.left)
    }

    /// How much planned pause lies between two moments, the second of which is now.
    pub(super) fn within(&self, from: Time, to: Time) -> Span {
        let open = self.since.map(|since| (since, self.until(since, to)));
        let pauses = self.over.iter().copied().chain(open);
        pauses.fold(Span::ZERO, |sum, (since, until)| sum + until.min(to).since(since.max(from)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Time {
        Time(seconds * 1_000_000)
    }

    fn pause() -> Act {
        Act::Pause { group: "billing".to_owned() }
    }

    fn resume() -> Act {
        Act::Resume { group: "billing".to_owned() }
    }

    #[test]
    fn only_the_allowed_pause_is_taken_off() {
        let mut pauses = Pauses::new(Span::secs(10));
        pauses.observe(seconds(100), &pause(), "billing");
        assert_eq!(pauses.within(seconds(90), seconds(104)), Span::secs(4));
        assert_eq!(pauses.within(seconds(90), seconds(130)), Span::secs(10));
        pauses.observe(seconds(106), &resume(), "billing");
        pauses.observe(seconds(200), &pause(), "billing");
        pauses.observe(seconds(230), &resume(), "billing");
        assert_eq!(pauses.within(seconds(0), seconds(300)), Span::secs(10));
        assert_eq!(pauses.within(seconds(103), seconds(202)), Span::secs(5));
    }

    #[test]
    fn another_groups_pause_is_not_this_ones() {
        let mut pauses = Pauses::new(Span::secs(10));
        pauses.observe(seconds(1), &pause(), "shipping");
        assert_eq!(pauses.within(seconds(0), seconds(9)), Span::ZERO);
    }
}
