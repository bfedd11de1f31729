//! Exclusive: in an ordered group no two instances process one source partition at the same time.
//!
//! An instance processes from the delivery of a record until it has processed it, or until its process ends; a frozen
//! process goes on all the while, since it will have its effect at the thaw. What happens at one moment is taken in
//! the order in which the history has it.

use super::tables::ByPartition;
use super::tally::{Gathered, Kind, Tally, figure, judgement};
use super::{Checker, Course, Ground, Guarantee, Judgement, Subject};
use crate::history::{Entry, Event};
use crate::record::{GroupId, NodeId, RecordId, TopicPartition};
use crate::units::Time;
use serde::Serialize;
use std::sync::Arc;

/// The checker of exclusive processing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exclusive {
    subject: Arc<Subject>,
    course: Course,
    groups: Vec<(bool, ByPartition<Floor>)>,
    tally: Tally,
    hand_overs: u64,
    longest_overlap: (u64, Option<GroupId>),
}

/// What is being processed of one source partition in one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Floor {
    /// Who processes which record.
    open: Vec<(NodeId, RecordId)>,
    /// Who was delivered a record last.
    last: Option<NodeId>,
    /// Since when two instances process.
    overlapped_since: Option<Time>,
}

impl Exclusive {
    /// A checker of a run that has not begun.
    pub fn new(subject: Arc<Subject>) -> Exclusive {
        let groups = subject.groups.iter().map(|group| (group.ordered, ByPartition::default())).collect();
        Exclusive {
            subject,
            course: Course::default(),
            groups,
            tally: Tally::default(),
            hand_overs: 0,
            longest_overlap: (0, None),
        }
    }

    fn delivered(&mut self, entry: &Entry, group: GroupId, record: RecordId, source: TopicPartition) {
        let Some((true, floors)) = self.groups.get_mut(usize::from(group.0)) else { return };
        let floor = floors.at(source);
        if floor.last.replace(entry.node).is_some_and(|last| last != entry.node) {
            self.hand_overs += 1;
        }
        let other = floor.open.iter().find(|(node, _)| *node != entry.node).copied();
        if !floor.open.contains(&(entry.node, record)) {
            floor.open.push((entry.node, record));
        }
        if let Some((_, meanwhile)) = other {
            floor.overlapped_since.get_or_insert(entry.at);
            let (ground, phase) = (Ground::Overlapped, self.course.phase);
            let kind = Kind { ground, phase, group: Some(group), partition: Some(source), detail: 0 };
            self.tally.add(kind, entry.at, &[record, meanwhile]);
        }
    }

    fn processed(&mut self, entry: &Entry, group: GroupId, record: RecordId, source: TopicPartition) {
        let Some((true, floors)) = self.groups.get_mut(usize::from(group.0)) else { return };
        let ended = floors.at(source).close(entry.at, |open| *open == (entry.node, record));
        self.overlapped_for(ended, group);
    }

    fn stopped(&mut self, entry: &Entry) {
        for index in 0..self.groups.len() {
            let floors = &mut self.groups[index].1;
            let longest = floors
                .values_mut()
                .filter_map(|floor| floor.close(entry.at, |(node, _)| *node == entry.node))
                .max();
            self.overlapped_for(longest, GroupId(index as u16));
        }
    }

    fn overlapped_for(&mut self, millis: Option<u64>, group: GroupId) {
        if let Some(millis) = millis
            && millis >= self.longest_overlap.0
        {
            self.longest_overlap = (millis, Some(group));
        }
    }

    fn summary(&self, kind: &Kind, gathered: &Gathered) -> String {
        format!(
            "an instance of {} was delivered {} of {} at {} during {} while another still processed {}{}",
            self.subject.group_name(kind.group.unwrap_or_default()),
            gathered.first(),
            self.subject.partition_name(kind.partition.unwrap_or_default()),
            gathered.at,
            self.subject.phase_name(kind.phase),
            gathered.second(),
            gathered.and_more(),
        )
    }
}

impl Floor {
    /// Close what matches. Returns the length of an overlap that ended by it, in milliseconds.
    fn close(&mut self, at: Time, matches: impl Fn(&(NodeId, RecordId)) -> bool) -> Option<u64> {
        if self.open.is_empty() {
            return None;
        }
        self.open.retain(|open| !matches(open));
        let alone = self.open.iter().all(|(node, _)| *node == self.open[0].0);
        if alone { self.overlapped_since.take().map(|since| at.since(since).as_millis()) } else { None }
    }
}

impl Checker for Exclusive {
    fn observe(&mut self, entry: &Entry) {
        self.course.observe(entry);
        match &entry.event {
            Event::Delivered { group, record, source, .. } => self.delivered(entry, *group, *record, *source),
            Event::Processed { group, record, source } => self.processed(entry, *group, *record, *source),
            Event::Stopped { .. } | Event::Started { .. } => self.stopped(entry),
            _ => {}
        }
    }

    fn judge(&self) -> Judgement {
        let guarantee = Guarantee::Exclusive;
        let findings = self.tally.findings(guarantee, |kind, gathered| self.summary(kind, gathered));
        let (longest, group) = self.longest_overlap;
        let place = group.map_or_else(String::new, |group| self.subject.group_name(group));
        let figures = vec![
            figure("overlapped_deliveries", self.tally.total, ""),
            figure("longest_overlap_ms", longest, place),
            figure("hand_overs", self.hand_overs, ""),
        ];
        judgement(guarantee, &self.course, self.hand_overs > 0, figures, (findings, self.tally.total))
    }
}

#[cfg(test)]
#[path = "exclusive_tests.rs"]
mod tests;
