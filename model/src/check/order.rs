//! Order: per source partition and ordered group, first deliveries respect the source order.
//!
//! Two grounds. *Session*: one producer sent a before b. *Real-time*: a was acknowledged before another producer sent b
//! (strictly earlier; what happens at one moment is concurrent). Replays are left to bounded replay, and a record
//! that is never delivered to at-least-once.
//!
//! A delayed record belongs behind what was acknowledged when it became visible (`due`); nothing belongs behind it, since
//! nobody is told when it does.
//!
//! Online: it is enough to compare each first delivery with the latest send of its producer, and with the latest send of
//! all, among what the group was delivered of that partition before.

mod moved_keys;

use super::tables::{ByPartition, ByRecord, grown};
use super::tally::{Gathered, Kind, Tally, figure, judgement};
use super::{Checker, Course, Ground, Guarantee, Judgement, Subject};
use crate::history::{Entry, Event};
use crate::record::{GroupId, RecordId, TopicPartition};
use crate::units::Time;
use moved_keys::MovedKeys;
use serde::Serialize;
use std::sync::Arc;

/// The checker of order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    subject: Arc<Subject>,
    course: Course,
    sends: u32,
    sent: ByRecord<Sent>,
    groups: Vec<OrderedGroup>,
    tally: Tally,
    compared: u64,
    /// Only where a topic is widened.
    moved_keys: Option<Box<MovedKeys>>,
}

/// What is known of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Sent {
    /// The count of sends in the run at this one, from 1; 0 where the record was not sent.
    number: u32,
    invoked_at: Time,
    acknowledged_at: Time,
    /// Kept back by Corgi: its place is where it became visible, and not where it was sent.
    delayed: bool,
    /// It is visible.
    due: bool,
}

impl Default for Sent {
    fn default() -> Sent {
        Sent { number: 0, invoked_at: Time::ZERO, acknowledged_at: Time::NEVER, delayed: false, due: false }
    }
}

/// What an ordered group was delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct OrderedGroup {
    ordered: bool,
    delivered: ByRecord<bool>,
    partitions: ByPartition<Front>,
}

/// The latest sends among what a group was delivered of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Front {
    /// Of each producer: the number of the send, and the record.
    of_producer: Vec<(u32, RecordId)>,
    /// Of all producers.
    of_all: Option<(Time, RecordId)>,
}

impl Order {
    /// A checker of a run that has not begun.
    pub fn new(subject: Arc<Subject>) -> Order {
        let groups = subject
            .groups
            .iter()
            .map(|group| OrderedGroup { ordered: group.ordered, ..OrderedGroup::default() })
            .collect();
        let moved_keys = subject.widens.then(Box::default);
        Order {
            subject,
            course: Course::default(),
            sends: 0,
            sent: ByRecord::default(),
            groups,
            tally: Tally::default(),
            compared: 0,
            moved_keys,
        }
    }

    fn delivered(&mut self, at: Time, group: GroupId, record: RecordId, source: TopicPartition) {
        let Some(state) = self.groups.get_mut(usize::from(group.0)) else { return };
        if !state.ordered || std::mem::replace(state.delivered.at(record), true) {
            return;
        }
        let sent = self.sent.get(record).copied().unwrap_or_default();
        if sent.number == 0 || (sent.delayed && !sent.due) {
            // A record that nobody sent is at-least-once's finding; a delayed one that never waited for anything in Corgi
            // has no place.
            return;
        }
        let front = state.partitions.at(source);
        let overtaken = front.overtaken(&sent, record);
        self.compared += u64::from(front.of_all.is_some());
        front.advance(&sent, record);
        if let Some(moved_keys) = &mut self.moved_keys {
            moved_keys.delivered(group, record, &sent);
        }
        if let Some((ground, by)) = overtaken {
            let phase = self.course.phase;
            let kind = Kind { ground, phase, group: Some(group), partition: Some(source), detail: 0 };
            self.tally.add(kind, at, &[record, by]);
        }
    }

    fn summary(&self, kind: &Kind, gathered: &Gathered) -> String {
        let because = match kind.ground {
            Ground::Session => "sent after it by the same producer",
            _ => "sent after it had been acknowledged",
        };
        format!(
            "{} was first delivered {} of {} behind {}, {because}, at {} during {}{}",
            self.subject.group_name(kind.group.unwrap_or_default()),
            gathered.first(),
            self.subject.partition_name(kind.partition.unwrap_or_default()),
            gathered.second(),
            gathered.at,
            self.subject.phase_name(kind.phase),
            gathered.and_more(),
        )
    }
}

impl Front {
    /// On what ground, and by which record, a first delivery was overtaken.
    fn overtaken(&self, sent: &Sent, record: RecordId) -> Option<(Ground, RecordId)> {
        if !sent.delayed
            && let Some((number, by)) = self.of_producer.get(record.producer as usize)
            && *number > sent.number
        {
            return Some((Ground::Session, *by));
        }
        match self.of_all {
            Some((invoked_at, by)) if invoked_at > sent.acknowledged_at => Some((Ground::RealTime, by)),
            _ => None,
        }
    }

    fn advance(&mut self, sent: &Sent, record: RecordId) {
        let of_producer = grown(&mut self.of_producer, record.producer as usize);
        if sent.number > of_producer.0 && !sent.delayed {
            *of_producer = (sent.number, record);
        }
        if self.of_all.is_none_or(|(invoked_at, _)| sent.invoked_at > invoked_at) {
            self.of_all = Some((sent.invoked_at, record));
        }
    }
}

impl Checker for Order {
    fn observe(&mut self, entry: &Entry) {
        self.course.observe(entry);
        match &entry.event {
            Event::Invoked { record } => {
                let sent = self.sent.at(record.id);
                if sent.number == 0 {
                    self.sends += 1;
                    sent.number = self.sends;
                    sent.invoked_at = entry.at;
                    sent.delayed = record.is_delayed();
                    if let Some(moved_keys) = &mut self.moved_keys {
                        moved_keys.invoked(record);
                    }
                }
            }
            Event::Acknowledged { record, .. } => {
                let sent = self.sent.at(*record);
                if !sent.delayed {
                    sent.acknowledged_at = sent.acknowledged_at.min(entry.at);
                }
            }
            Event::Due { record, .. } => {
                let sent = self.sent.at(*record);
                if !std::mem::replace(&mut sent.due, true) {
                    sent.invoked_at = entry.at;
                }
            }
            Event::Delivered { group, record, source, .. } => {
                self.delivered(entry.at, *group, *record, *source);
            }
            _ => {}
        }
    }

    fn judge(&self) -> Judgement {
        let promised = &self.subject.objectives.order;
        let kept = self.tally.on_grounds(promised);
        let findings = kept.findings(Guarantee::Order, |kind, gathered| self.summary(kind, gathered));
        let (session, real_time) = (self.tally.on(Ground::Session), self.tally.on(Ground::RealTime));
        let mut figures = vec![
            figure("reordered_by_session_records", session, self.place_of(Ground::Session)),
            figure("reordered_by_real_time_records", real_time, self.place_of(Ground::RealTime)),
        ];
        if let Some(moved_keys) = &self.moved_keys {
            figures.push(moved_keys.figure());
        }
        let exercised = self.compared > 0 && !promised.is_empty();
        judgement(Guarantee::Order, &self.course, exercised, figures, (findings, kept.total))
    }
}

impl Order {
    fn place_of(&self, ground: Ground) -> String {
        let worst = self.tally.worst(ground);
        worst.map_or_else(String::new, |(kind, gathered)| self.summary(kind, gathered))
    }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
