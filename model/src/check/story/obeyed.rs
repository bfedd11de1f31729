//! What the operator had told whom long before, where a story is about who obeyed it: a pause in which a record waited.

use super::Teller;
use crate::history::{Entry, Event};
use crate::plan::Act;

impl Teller<'_> {
    pub(super) fn note_what_was_told(&mut self, history: &[Entry]) {
        self.note_pauses(history);
    }

    /// The pauses of the wronged group in which a record waited for it, and their ends.
    fn note_pauses(&mut self, history: &[Entry]) {
        let Some(group) = self.finding.group.filter(|_| self.is_of_reading()) else { return };
        let name = self.subject.group_name(group);
        let mut paused = None;
        let mut pauses = Vec::new();
        for (place, entry) in history.iter().enumerate() {
            match act(entry) {
                Some(Act::Pause { group }) if *group == name => drop(paused.get_or_insert(place)),
                Some(Act::Resume { group }) if *group == name => {
                    pauses.extend(paused.take().map(|begun| (begun, Some(place))));
                }
                _ => {}
            }
        }
        pauses.extend(paused.map(|begun| (begun, None)));
        let from = self.finding.at;
        for (begun, ended) in pauses {
            if history[begun].at > self.to || ended.is_some_and(|ended| history[ended].at < from) {
                continue;
            }
            self.note_cause(begun, 102);
            if let Some(ended) = ended {
                self.note_cause(ended, 102);
            }
        }
    }
}

/// What the operator did, if an entry is of that.
fn act(entry: &Entry) -> Option<&Act> {
    match &entry.event {
        Event::StepDone { act, .. } => Some(act),
        _ => None,
    }
}

#[cfg(test)]
#[path = "obeyed_tests.rs"]
mod tests;
