//! Progress: after the faults and the workload the plan completes and every lag drains, within the objective. A run that
//! is stuck names the gate that waits, or the lag that did not drain.

use super::tables::{ByPartition, ByRecord, Readers};
use super::tally::{figure, judgement};
use super::{Checker, Course, Finding, Ground, Guarantee, Judgement, Subject, Verdict};
use crate::history::{EndReason, Entry, Event};
use crate::record::{GroupId, RecordId, TopicPartition};
use crate::units::{Span, Time};
use serde::Serialize;
use std::sync::Arc;

/// How long an operator waits before he first says why, if he has nothing to say at once.
const FIRST_WORD: Span = Span::secs(60);

/// The checker of progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    subject: Arc<Subject>,
    readers: Readers,
    course: Course,
    /// The source partition of each acknowledged record.
    acknowledged: ByRecord<Option<TopicPartition>>,
    sources: ByRecord<Option<TopicPartition>>,
    groups: Vec<Drain>,
    gate: Option<Gate>,
    /// The gate that timed out last, for a plan that goes round before one.
    timed_out: Option<Gate>,
    /// The plan's line that was reached last.
    line: Option<(u32, u32)>,
    /// When the operator was done with a line last, or began a rewind.
    went_on_at: Option<Time>,
    longest_wait: Span,
    /// Records that are lost to a group.
    given_up: u64,
}

/// What a group has still to process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Drain {
    processed: ByRecord<bool>,
    lag: ByPartition<u64>,
}

/// A gate that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Gate {
    at: Time,
    phase: u32,
    step: u32,
    gate: String,
    because: String,
}

impl Progress {
    /// A checker of a run that has not begun.
    pub fn new(subject: Arc<Subject>) -> Progress {
        Progress {
            readers: Readers::new(&subject),
            groups: vec![Drain::default(); subject.groups.len()],
            subject,
            course: Course::default(),
            acknowledged: ByRecord::default(),
            sources: ByRecord::default(),
            gate: None,
            timed_out: None,
            line: None,
            went_on_at: None,
            longest_wait: Span::ZERO,
            given_up: 0,
        }
    }

    fn acknowledged(&mut self, record: RecordId) {
        let Some(source) = *self.sources.at(record) else { return };
        if self.acknowledged.at(record).replace(source).is_some() {
            return;
        }
        for group in self.readers.of(source.topic) {
            let drain = &mut self.groups[usize::from(group.0)];
            if !*drain.processed.at(record) {
                *drain.lag.at(source) += 1;
            }
        }
    }

    fn processed(&mut self, group: GroupId, record: RecordId) {
        let Some(drain) = self.groups.get_mut(usize::from(group.0)) else { return };
        if std::mem::replace(drain.processed.at(record), true) {
            return;
        }
        if let Some(source) = *self.acknowledged.at(record)
            && self.readers.of(source.topic).contains(&group)
        {
            *drain.lag.at(source) -= 1;
        }
    }

    /// A record is lost to a group: the group's lag does not wait for it.
    pub(super) fn give_up(&mut self, group: GroupId, record: RecordId) {
        self.given_up += 1;
        self.processed(group, record);
    }

    fn gate_waits(&mut self, at: Time, place: (u32, u32), gate: &str, because: &str) {
        let (phase, step) = place;
        let since = match &self.gate {
            Some(waiting) if (waiting.phase, waiting.step) == place => waiting.at,
            // He rests before a line, and then waits so long before he says why.
            _ => self.went_on_at.map_or(at, |went_on_at| went_on_at.max(at - FIRST_WORD)),
        };
        let (gate, because) = (gate.to_owned(), because.to_owned());
        self.gate = Some(Gate { at: since, phase, step, gate, because });
    }

    fn plan_is_open(&self) -> bool {
        !self.subject.phases.is_empty() && self.course.completed.is_none()
    }

    /// Whether the plan waits for nothing but time: then it is not over, and not stuck.
    fn waits_for_time(&self) -> bool {
        let line = self.gate.as_ref().map(|gate| (gate.phase, gate.step));
        self.plan_is_open() && line.is_some_and(|line| self.subject.waits_for_time.contains(&line))
    }

    /// How long the plan waited at a gate at most, one that has not opened included.
    fn longest_wait(&self) -> Span {
        let open = self.gate.as_ref().filter(|_| self.plan_is_open());
        self.longest_wait.max(open.map_or(Span::ZERO, |gate| self.course.now.since(gate.at)))
    }

    /// The lags that did not drain, the greatest first.
    fn lags(&self) -> Vec<(u64, GroupId, TopicPartition)> {
        let mut lags = Vec::new();
        for (drain, group) in self.groups.iter().zip(0..) {
            let open = drain.lag.iter().filter(|(_, lag)| **lag > 0);
            lags.extend(open.map(|(partition, lag)| (*lag, GroupId(group), partition)));
        }
        lags.sort_by_key(|(lag, group, partition)| (std::cmp::Reverse(*lag), *group, *partition));
        lags
    }

    /// When the time to drain began: after the faults and the workload. A workload that did not end is no excuse: its
    /// producers were whole since the faults ended.
    fn quiet_since(&self) -> Option<Time> {
        let healed = self.course.healed?;
        Some(healed.max(self.course.workload_ended.unwrap_or(healed)))
    }

    /// How long the run could drain, if it came that far.
    fn drained_for(&self) -> Option<Span> {
        Some(self.course.now.since(self.quiet_since()?))
    }

    fn finding(
        &self,
        group: Option<GroupId>,
        partition: Option<TopicPartition>,
        weight: u64,
        summary: String,
    ) -> Finding {
        Finding {
            guarantee: Guarantee::Progress,
            ground: Ground::Stuck,
            phase: self.course.phase,
            at: self.course.now,
            group,
            partition,
            records: Vec::new(),
            weight,
            summary,
        }
    }

    fn plan_stuck(&self) -> Finding {
        let now = self.course.now;
        if let Some(gate) = &self.gate {
            let waited = now.since(gate.at);
            let phase = self.subject.phase_name(gate.phase);
            let (step, name, because) = (gate.step, &gate.gate, &gate.because);
            let summary = format!(
                "the plan waits at line {step} of {phase} since {}: {name}, because {because}",
                gate.at
            );
            let finding = self.finding(None, None, waited.as_millis(), summary);
            return Finding { at: gate.at, phase: gate.phase, ..finding };
        }
        if let Some(Gate { phase, step, gate, because, .. }) = &self.timed_out {
            let name = self.subject.phase_name(*phase);
            let summary = format!(
                "the plan goes round before line {step} of {name}, which times out each time: {gate}, last because \
                 {because}"
            );
            return Finding { phase: *phase, ..self.finding(None, None, 1, summary) };
        }
        let since = self.quiet_since().unwrap_or_default();
        let reached = match self.line {
            Some((phase, step)) => format!("line {step} of {}", self.subject.phase_name(phase)),
            None => "no line of it".to_owned(),
        };
        let summary =
            format!("the plan did not complete: it had reached {reached}, and no gate is known to wait");
        self.finding(None, None, now.since(since).as_millis(), summary)
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.plan_is_open() && !self.waits_for_time() {
            findings.push(self.plan_stuck());
        }
        if self.course.ended == Some(EndReason::Drained) {
            // What is missing in a drained run is at-least-once's finding.
            return findings;
        }
        if self.course.workload_ended.is_none() {
            let drained_for = self.drained_for().unwrap_or_default();
            let summary =
                format!("producers still have records to send, {drained_for} after the faults ended");
            findings.push(self.finding(None, None, drained_for.as_millis(), summary));
        }
        for (lag, group, partition) in self.lags() {
            let name = self.subject.group_name(group);
            let stands = self.subject.partition_name(partition);
            let drained_for = self.drained_for().unwrap_or_default();
            let summary = format!(
                "{name} has {lag} acknowledged records of {stands} unprocessed {drained_for} \
                 after the faults and the workload ended"
            );
            findings.push(self.finding(Some(group), Some(partition), lag, summary));
        }
        if findings.is_empty() && self.given_up == 0 && !self.plan_is_open() {
            let summary =
                "the plan is complete and no record is missing, but the systems did not come to rest";
            findings.push(self.finding(None, None, 1, summary.to_owned()));
        }
        findings
    }

    /// Whether all is done but for records that are lost for good: no time would bring them, so that the run never drains, and
    /// ends before its time where the workload ended after the faults did.
    fn nothing_but_the_lost_is_left(&self) -> bool {
        let is_over = self.course.healed.is_some() && self.course.workload_ended.is_some();
        is_over && !self.plan_is_open() && self.given_up > 0 && self.lags().is_empty()
    }

    /// Whether the run was given what it was promised to drain in, or needed no more of it.
    fn decided(&self) -> bool {
        match self.course.ended {
            Some(EndReason::Drained) => self.course.healed.is_some(),
            Some(EndReason::TimeBudget) => {
                let drained = self.drained_for().is_some_and(|span| span >= self.subject.objectives.drain);
                drained || self.nothing_but_the_lost_is_left()
            }
            Some(EndReason::StepBudget) | None => false,
        }
    }
}

impl Checker for Progress {
    fn observe(&mut self, entry: &Entry) {
        self.course.observe(entry);
        if matches!(
            entry.event,
            Event::PhaseBegun { .. }
                | Event::StepDone { .. }
                | Event::GateOpened { .. }
                | Event::GateTimedOut { .. }
                | Event::RewindAsked { .. }
        ) {
            self.went_on_at = Some(entry.at);
        }
        match &entry.event {
            Event::Invoked { record } => *self.sources.at(record.id) = Some(record.source_partition()),
            Event::Acknowledged { record, .. } => self.acknowledged(*record),
            Event::Processed { group, record, .. } => self.processed(*group, *record),
            Event::StepDone { phase, step, .. } => self.line = Some((*phase, *step)),
            Event::GateOpened { phase, step, waited } => {
                self.line = Some((*phase, *step));
                self.gate = None;
                self.longest_wait = self.longest_wait.max(*waited);
            }
            Event::GateTimedOut { phase, step } => {
                self.line = Some((*phase, *step));
                self.timed_out = self.gate.take();
            }
            Event::GateWaiting { phase, step, gate, because } => {
                self.gate_waits(entry.at, (*phase, *step), gate, because);
            }
            _ => {}
        }
    }

    fn judge(&self) -> Judgement {
        let decided = self.decided();
        let stuck = decided && (self.course.ended == Some(EndReason::TimeBudget) || self.plan_is_open());
        let findings = if stuck { self.findings() } else { Vec::new() };
        let total = findings.len() as u64;
        let lag: u64 = self.lags().iter().map(|(lag, _, _)| lag).sum();
        let drained_for = self.drained_for().unwrap_or_default();
        let figures = vec![
            figure("time_to_drain_ms", drained_for.as_millis(), ""),
            figure("undrained_records", lag, ""),
            figure("longest_gate_wait_ms", self.longest_wait().as_millis(), ""),
        ];
        let exercised =
            self.acknowledged.iter().any(|(_, source)| source.is_some()) || !self.subject.phases.is_empty();
        let mut judgement =
            judgement(Guarantee::Progress, &self.course, exercised, figures, (findings, total));
        judgement.findings.truncate(super::tally::FINDINGS_AT_MOST);
        if judgement.verdict == Verdict::Held && (!decided || self.plan_is_open()) {
            judgement.verdict = Verdict::Unknown;
        }
        judgement
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
