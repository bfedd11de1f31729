//! What the operator had told whom long before, where a story is about who obeyed it: a pause in which a record waited, a switch
//! that not everybody had heard of, a mirror that was stopped under a record.

use super::Teller;
use crate::check::Ground;
use crate::history::{Entry, Event};
use crate::plan::Act;
use crate::record::{Queue, RecordId};

impl Teller<'_> {
    pub(super) fn note_what_was_told(&mut self, history: &[Entry]) {
        self.note_pauses(history);
        self.note_deafness(history);
        self.note_left_behind(history);
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

    /// Where the two followed records were worked at or sent to different queues, somebody may not have heard of a switch: which it was,
    /// and what struck the switch centre until then.
    fn note_deafness(&mut self, history: &[Entry]) {
        let until = history.partition_point(|entry| entry.at <= self.finding.at);
        let queue_of = |followed: RecordId| {
            history[..until].iter().rev().find_map(|entry| match (self.finding.ground, &entry.event) {
                (Ground::Overlapped, Event::Delivered { record, group, queue, .. }) => {
                    (*record == followed && self.finding.group == Some(*group)).then_some(*queue)
                }
                (Ground::RealTime, Event::Acknowledged { record, queue, .. }) => {
                    (*record == followed).then_some(*queue)
                }
                _ => None,
            })
        };
        let &[one, other] = &self.records[..] else { return };
        let (Some(one), Some(other)) = (queue_of(one), queue_of(other)) else { return };
        let Some(centre) = self.subject.switch_centre.filter(|_| one != other) else { return };
        let name = self.finding.group.map(|group| self.subject.group_name(group)).unwrap_or_default();
        let switches = |entry: &Entry| match act(entry) {
            Some(Act::SwitchRead { group, .. }) => {
                self.finding.ground == Ground::Overlapped && *group == name
            }
            Some(Act::SwitchWrite { .. }) => self.finding.ground == Ground::RealTime,
            _ => false,
        };
        let struck = !self.note_faults(history, until.saturating_sub(1), &[centre]).is_empty();
        if let Some(switched) = history[..until].iter().rposition(switches).filter(|_| struck) {
            self.note_cause(switched, 102);
        }
    }

    /// A record that was left in Corgi: who was told to write there, that nobody copied it from there any more, and that the group
    /// was told to read elsewhere.
    fn note_left_behind(&mut self, history: &[Entry]) {
        let skipped =
            |entry: &Entry| matches!(entry.event, Event::Skipped { .. }) && self.follows(&entry.event);
        let is_left = self.is_lost_in_corgi()
            && self.gone_at(history).is_none()
            && self.passed_over_at(history).is_none()
            && !history.iter().any(skipped);
        let stood = self.positions.iter().find(|((queue, ..), _)| *queue == Queue::Corgi);
        let Some((_, (record, since))) = stood.filter(|_| is_left) else { return };
        let sent = self.sent.get(record).unwrap_or(since);
        let name = self.finding.group.map(|group| self.subject.group_name(group)).unwrap_or_default();
        let (sent, since) = [*sent, *since].map(|at| history.partition_point(|entry| entry.at < at)).into();
        let last = |before: usize, is_meant: &dyn Fn(&Act) -> bool| {
            history[..before].iter().rposition(|entry| act(entry).is_some_and(is_meant))
        };
        let written = last(sent, &|act| matches!(act, Act::SwitchWrite { .. }));
        let read = last(history.len(), &|act| matches!(act, Act::SwitchRead { group, .. } if *group == name));
        let read = read
            .filter(|place| matches!(act(&history[*place]), Some(Act::SwitchRead { to: Queue::Kafka, .. })));
        let copies = last(since, &|act| matches!(act, Act::StartMirror | Act::StopMirror));
        let stopped = copies.filter(|place| matches!(act(&history[*place]), Some(Act::StopMirror)));
        let stops = |entry: &Entry| matches!(act(entry), Some(Act::StopMirror | Act::StopCorgi));
        let stopped = stopped.or_else(|| Some(since + history[since..].iter().position(stops)?));
        for place in [written, read, stopped].into_iter().flatten() {
            self.note_cause(place, 93);
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
