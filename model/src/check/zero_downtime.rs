//! Zero downtime: producers are acknowledged and records processed within the objectives.
//!
//! *Write*: per source partition, the longest stretch in which at least one record was outstanding (from its first send
//! until its producer was told its fate) and none was acknowledged. A send that is held back is outstanding.
//! *Read*: per group, the greatest time from a record's acknowledgement to its first processing (or to the end of the run),
//! without the pause that the operator ordered, of which the objective allows so much in all.
//!
//! [`compare`] sets a run against the same seed and faults without the migration: the difference is the plan's own share.

use super::pauses::Pauses;
use super::tables::{ByPartition, ByRecord, Readers, grown};
use super::tally::{Gathered, Kind, Tally, figure, judgement};
use super::{Checker, Course, Figure, Finding, Ground, Guarantee, Judgement, Objectives, Subject, Verdict};
use crate::history::{Entry, Event};
use crate::record::{GroupId, Queue, RecordId, TopicPartition};
use crate::units::{Span, Time};
use serde::Serialize;
use std::sync::Arc;

/// The figure of the longest write gap.
pub const WRITE_GAP: &str = "longest_write_gap_ms";
/// The figure of the greatest record age.
pub const RECORD_AGE: &str = "greatest_record_age_ms";

/// The checker of zero downtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ZeroDowntime {
    subject: Arc<Subject>,
    readers: Readers,
    course: Course,
    sends: ByRecord<Send>,
    writes: ByPartition<Writes>,
    reads: Vec<Reads>,
    /// The longest write gap that began in each phase, and its partition.
    gap_of_phase: Vec<(Gap, TopicPartition)>,
}

/// What is known of a send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Send {
    source: Option<TopicPartition>,
    /// When it could be read: for a delayed record, when it was due.
    acknowledged_at: Option<Time>,
    delayed: bool,
    outstanding: bool,
}

/// The sends of one source partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Writes {
    /// The outstanding sends, the oldest first.
    outstanding: Vec<RecordId>,
    /// Since when there are outstanding sends and no acknowledgement.
    since: Time,
    /// The send that was outstanding the longest when the stretch began.
    record: RecordId,
    longest: Gap,
}

/// A stretch without service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Gap {
    length: Span,
    from: Time,
    record: RecordId,
}

/// What a group processed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Reads {
    processed: ByRecord<bool>,
    pauses: Pauses,
    longest: Option<(Gap, TopicPartition)>,
    /// The greatest age among records acknowledged in each phase.
    of_phase: Vec<Span>,
    first_processings: u64,
}

impl ZeroDowntime {
    /// A checker of a run that has not begun.
    pub fn new(subject: Arc<Subject>) -> ZeroDowntime {
        let pauses = Pauses::new(subject.objectives.planned_pause);
        let reads =
            subject.groups.iter().map(|_| Reads { pauses: pauses.clone(), ..Reads::default() }).collect();
        ZeroDowntime {
            readers: Readers::new(&subject),
            reads,
            subject,
            course: Course::default(),
            sends: ByRecord::default(),
            writes: ByPartition::default(),
            gap_of_phase: Vec::new(),
        }
    }

    fn invoked(&mut self, at: Time, record: RecordId, source: TopicPartition) {
        let send = self.sends.at(record);
        if send.source.replace(source).is_some() {
            return;
        }
        send.outstanding = true;
        let writes = self.writes.at(source);
        if writes.outstanding.is_empty() {
            (writes.since, writes.record) = (at, record);
        }
        writes.outstanding.push(record);
    }

    /// A producer was told the fate of a record.
    fn answered(&mut self, at: Time, record: RecordId, acknowledged: bool) {
        let send = self.sends.at(record);
        if acknowledged && !send.delayed {
            send.acknowledged_at.get_or_insert(at);
        }
        let (Some(source), true) = (send.source, std::mem::replace(&mut send.outstanding, false)) else {
            return;
        };
        let writes = self.writes.at(source);
        if let Some(place) = writes.outstanding.iter().position(|outstanding| *outstanding == record) {
            writes.outstanding.remove(place);
        }
        if acknowledged || writes.outstanding.is_empty() {
            let gap = writes.gap(at);
            writes.longest = writes.longest.longer(gap);
            (writes.since, writes.record) = (at, writes.outstanding.first().copied().unwrap_or(record));
            let phase = self.course.phase_at(gap.from);
            let of_phase = grown(&mut self.gap_of_phase, phase as usize);
            if gap.length > of_phase.0.length {
                *of_phase = (gap, source);
            }
        }
    }

    fn processed(&mut self, at: Time, group: GroupId, record: RecordId, source: TopicPartition) {
        let Some(reads) = self.reads.get_mut(usize::from(group.0)) else { return };
        if std::mem::replace(reads.processed.at(record), true) {
            return;
        }
        reads.first_processings += 1;
        let acknowledged_at = self.sends.get(record).and_then(|send| send.acknowledged_at);
        // A record may be processed before its producer hears of it: it has no age then.
        let from = acknowledged_at.unwrap_or(at);
        let phase = self.course.phase_at(from);
        reads.aged(at, Gap { length: Span::ZERO, from, record }, source, phase);
    }

    /// A record is lost to a group: it has no age.
    pub(super) fn give_up(&mut self, group: GroupId, record: RecordId) {
        if let Some(reads) = self.reads.get_mut(usize::from(group.0)) {
            *reads.processed.at(record) = true;
        }
    }

    /// The same at the end of the run: stretches that are still open count as long as they are.
    fn concluded(&self) -> ZeroDowntime {
        let mut end = self.clone();
        let at = end.course.now;
        let open: Vec<RecordId> =
            self.sends.iter().filter(|(_, send)| send.outstanding).map(|(record, _)| record).collect();
        for record in open {
            end.answered(at, record, false);
        }
        for (record, send) in self.sends.iter() {
            let (Some(source), Some(from)) = (send.source, send.acknowledged_at) else { continue };
            let phase = self.course.phase_at(from);
            for group in self.readers.of(source.topic) {
                let Some(reads) = end.reads.get_mut(usize::from(group.0)) else { continue };
                if !reads.processed.get(record).copied().unwrap_or(false) {
                    reads.aged(at, Gap { length: Span::ZERO, from, record }, source, phase);
                }
            }
        }
        end
    }

    fn tally(&self) -> Tally {
        let objectives = &self.subject.objectives;
        let mut tally = Tally::default();
        let mut add = |ground, gap: Gap, group, partition| {
            let phase = self.course.phase_at(gap.from);
            let kind = Kind { ground, phase, group, partition: Some(partition), detail: 0 };
            tally.add_weighed(kind, gap.from, &[gap.record], gap.length.as_millis());
        };
        for (partition, writes) in self.writes.iter() {
            if writes.longest.length > objectives.write_gap {
                add(Ground::WriteUnavailable, writes.longest, None, partition);
            }
        }
        for (reads, group) in self.reads.iter().zip(0..) {
            if let Some((gap, partition)) = reads.longest
                && gap.length > objectives.record_age
            {
                add(Ground::ReadUnavailable, gap, Some(GroupId(group)), partition);
            }
        }
        tally
    }

    fn summary(&self, kind: &Kind, gathered: &Gathered) -> String {
        let partition = self.subject.partition_name(kind.partition.unwrap_or_default());
        let phase = self.subject.phase_name(kind.phase);
        let (record, at, length) = (gathered.first(), gathered.at, Span::millis(gathered.weight));
        let objectives = &self.subject.objectives;
        match kind.group {
            None => format!(
                "producers of {partition} tried for {length} from {at} during {phase} and got no acknowledgement \
                 (the objective is {}); the first was {record}",
                objectives.write_gap
            ),
            Some(group) => format!(
                "{} left {record} of {partition}, acknowledged at {at} during {phase}, unprocessed for {length} \
                 (the objective is {}), the planned pause apart",
                self.subject.group_name(group),
                objectives.record_age
            ),
        }
    }

    /// The longest write gap, and its partition.
    fn longest_gap(&self) -> (Gap, TopicPartition) {
        self.gap_of_phase.iter().max_by_key(|(gap, _)| gap.length).copied().unwrap_or_default()
    }

    /// The greatest age, the partition of its record, and the group that left it.
    fn greatest_age(&self) -> Option<(Gap, TopicPartition, GroupId)> {
        let ages = self.reads.iter().zip(0..).filter_map(|(reads, group)| {
            let (gap, partition) = reads.longest?;
            Some((gap, partition, GroupId(group)))
        });
        ages.max_by_key(|(gap, ..)| gap.length)
    }

    /// Both, as what the plan may have added to: what is said of them is said by [`compare`].
    fn longest(&self) -> Vec<Finding> {
        let finding = |gap: Gap, partition, group| Finding {
            guarantee: Guarantee::ZeroDowntime,
            ground: Ground::PlanAdded,
            phase: self.course.phase_at(gap.from),
            at: gap.from,
            group,
            partition: Some(partition),
            records: vec![gap.record],
            weight: gap.length.as_millis(),
            summary: String::new(),
        };
        let (gap, partition) = self.longest_gap();
        let age = self.greatest_age().map(|(gap, partition, group)| finding(gap, partition, Some(group)));
        std::iter::once(finding(gap, partition, None)).chain(age).collect()
    }

    fn figures(&self) -> Vec<Figure> {
        let (gap, partition) = self.longest_gap();
        let age = self.greatest_age();
        let age_place = age.map_or_else(String::new, |(gap, _, group)| {
            format!("{}, {} acknowledged at {}", self.subject.group_name(group), gap.record, gap.from)
        });
        let gap_place = format!("{} from {}", self.subject.partition_name(partition), gap.from);
        let mut figures = vec![
            figure(WRITE_GAP, gap.length.as_millis(), gap_place),
            figure(RECORD_AGE, age.map_or(0, |(gap, ..)| gap.length.as_millis()), age_place),
        ];
        // Without a plan all of the run is before it.
        let last = if self.subject.phases.is_empty() { 0 } else { self.subject.after_the_plan() };
        for phase in 0..=last {
            let name = self.subject.phase_key(phase);
            let gap = self.gap_of_phase.get(phase as usize).copied().unwrap_or_default();
            let age = self.reads.iter().filter_map(|reads| reads.of_phase.get(phase as usize)).max();
            let age = age.copied().unwrap_or_default();
            figures.push(figure(
                format!("{name}/{WRITE_GAP}"),
                gap.0.length.as_millis(),
                self.subject.partition_name(gap.1),
            ));
            figures.push(figure(format!("{name}/{RECORD_AGE}"), age.as_millis(), ""));
        }
        figures
    }
}

impl Writes {
    fn gap(&self, at: Time) -> Gap {
        Gap { length: at.since(self.since), from: self.since, record: self.record }
    }
}

impl Gap {
    fn longer(self, other: Gap) -> Gap {
        if other.length > self.length { other } else { self }
    }
}

impl Reads {
    /// A record waited from `gap.from` until `at`.
    fn aged(&mut self, at: Time, mut gap: Gap, source: TopicPartition, phase: u32) {
        gap.length = at.since(gap.from).saturating_sub(self.pauses.within(gap.from, at));
        if self.longest.is_none_or(|(longest, _)| gap.length > longest.length) {
            self.longest = Some((gap, source));
        }
        let of_phase = grown(&mut self.of_phase, phase as usize);
        *of_phase = gap.length.max(*of_phase);
    }
}

impl Checker for ZeroDowntime {
    fn observe(&mut self, entry: &Entry) {
        self.course.observe(entry);
        match &entry.event {
            Event::Invoked { record } => {
                self.sends.at(record.id).delayed = record.is_delayed();
                self.invoked(entry.at, record.id, record.source_partition());
            }
            Event::Acknowledged { record, queue, .. } => {
                // Kafka keeps nothing back.
                self.sends.at(*record).delayed &= *queue == Queue::Corgi;
                self.answered(entry.at, *record, true);
            }
            Event::Due { record, .. } => {
                self.sends.at(*record).acknowledged_at.get_or_insert(entry.at);
            }
            Event::Refused { record } | Event::Indeterminate { record } => {
                self.answered(entry.at, *record, false);
            }
            Event::Processed { group, record, source } => {
                self.processed(entry.at, *group, *record, *source);
            }
            Event::StepDone { act, .. } => {
                for (reads, group) in self.reads.iter_mut().zip(&self.subject.groups) {
                    reads.pauses.observe(entry.at, act, &group.name);
                }
            }
            _ => {}
        }
    }

    fn judge(&self) -> Judgement {
        let end = self.concluded();
        let tally = end.tally();
        let findings = tally.findings(Guarantee::ZeroDowntime, |kind, gathered| end.summary(kind, gathered));
        let acknowledged = self.sends.iter().any(|(_, send)| send.acknowledged_at.is_some());
        let processed = self.reads.iter().any(|reads| reads.first_processings > 0);
        let exercised = acknowledged && processed;
        let found = (findings, tally.total);
        let judgement = judgement(Guarantee::ZeroDowntime, &self.course, exercised, end.figures(), found);
        Judgement { longest: end.longest(), ..judgement }
    }
}

/// The plan's own share of the downtime: `with` is the judgement of a run, `without` that of the same seed and faults
/// without the migration. Returns `with`, the figures and findings of the difference added.
pub fn compare(with: &Judgement, without: &Judgement, objectives: &Objectives) -> Judgement {
    let mut both = with.clone();
    let promises = [
        (WRITE_GAP, "plan_added_write_gap_ms", objectives.plan_added_write_gap, "write gap"),
        (RECORD_AGE, "plan_added_record_age_ms", objectives.plan_added_record_age, "record age"),
    ];
    for (name, added_name, promised, what) in promises {
        let value = |judgement: &Judgement| {
            judgement.figures.iter().find(|figure| figure.name == name).map_or(0, |figure| figure.value)
        };
        let (alone, together) = (value(without), value(with));
        let added = together.saturating_sub(alone);
        both.figures.push(figure(
            added_name,
            added,
            format!("{together} ms with the plan, {alone} ms without"),
        ));
        if added > promised.as_millis() {
            both.findings.extend(plan_added(what, added, promised, with, name));
            both.findings_total += 1;
        }
    }
    both.exercised = with.exercised && without.exercised;
    both.verdict = match (both.findings_total > 0, without.verdict) {
        (true, _) => Verdict::Violated,
        // A run without the migration that is itself over the objectives still shows the plan's share.
        (false, Verdict::Unknown) => Verdict::Unknown,
        (false, _) => with.verdict,
    };
    both
}

/// The finding of a gap or an age to which the plan added too much: of a write gap, if it is no group's.
fn plan_added(what: &str, added: u64, promised: Span, with: &Judgement, name: &str) -> Option<Finding> {
    let place = with.figures.iter().find(|figure| figure.name == name).map_or("", |figure| &figure.place);
    let longest = with.longest.iter().find(|longest| longest.group.is_none() == (name == WRITE_GAP))?;
    let summary =
        format!("the plan added {} to the {what}, and {promised} are allowed ({place})", Span::millis(added));
    Some(Finding { weight: added, summary, ..longest.clone() })
}

#[cfg(test)]
#[path = "zero_downtime_tests.rs"]
mod tests;
