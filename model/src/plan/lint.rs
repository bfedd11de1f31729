//! What is wrong with a plan as it is written: names that do not exist, waits for what no step brings about, figures that
//! mean nothing. A plan that passes can be executed; whether it is safe is another question, which this leaves out.

mod bookkeeping;
mod cut_off;
mod ended;
mod widening;

use crate::mirror::PartitionMap;
use crate::plan::{Act, Gate, Phase, Plan, PreparedFrom, RewindTo, Step, Wait};
use crate::record::Queue;
use crate::units::Span;
use bookkeeping::Bookkeeping;
use serde::Serialize;
use std::fmt;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Severity {
    /// It can be run, and may be what its author wants to see fail.
    Warning,
    /// It cannot be executed, or waits for ever.
    Error,
}

/// Something that is wrong with a plan as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlanProblem {
    /// How bad it is.
    pub severity: Severity,
    /// The phase's place in the plan, from 1.
    pub phase: usize,
    /// The step's place in the phase, from 1; none where it concerns the phase.
    pub step: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl fmt::Display for PlanProblem {
    /// The place and the message: what stands before and behind them is the reader's.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Some(step) => write!(formatter, "phase {}, step {step}: {}", self.phase, self.message),
            None => write!(formatter, "phase {}: {}", self.phase, self.message),
        }
    }
}

/// The names that a plan may use: those of the case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Names {
    /// The groups.
    pub groups: Vec<String>,
    /// The topics, each with the count of its source partitions.
    pub topics: Vec<(String, u16)>,
    /// The topics, each with the count of its partitions in Kafka. One that is not among them has as many as in Corgi.
    pub targets: Vec<(String, u16)>,
    /// How many broker sets Corgi has from the beginning.
    pub broker_sets: u16,
    /// How many stand by besides.
    pub standby_sets: u16,
    /// How the mirror chooses the partition in Kafka.
    pub mirror_map: PartitionMap,
    /// How the producers choose it.
    pub producer_map: PartitionMap,
}

impl Plan {
    /// What is wrong with the plan as it is written, in the order of its lines. A plan without an error can be executed.
    pub fn lint(&self, names: &Names) -> Vec<PlanProblem> {
        let mut linter =
            Linter { names, problems: Vec::new(), place: (0, None), book: Bookkeeping::default() };
        for (index, phase) in self.phases.iter().enumerate() {
            linter.place = (index + 1, None);
            linter.phase(phase, self.phases.get(..index).unwrap_or_default());
        }
        linter.end();
        linter.problems
    }
}

/// Goes through a plan line by line and keeps the plan's own books: what would be switched, started and held by now.
struct Linter<'a> {
    names: &'a Names,
    problems: Vec<PlanProblem>,
    /// Phase, and step if any, both from 1.
    place: (usize, Option<usize>),
    book: Bookkeeping,
}

impl Linter<'_> {
    fn problem(&mut self, severity: Severity, message: impl Into<String>, help: impl Into<String>) {
        let (phase, step) = self.place;
        self.problems.push(PlanProblem { severity, phase, step, message: message.into(), help: help.into() });
    }

    fn error(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.problem(Severity::Error, message, help);
    }

    fn warning(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.problem(Severity::Warning, message, help);
    }

    fn phase(&mut self, phase: &Phase, before: &[Phase]) {
        if phase.name.trim().is_empty() {
            self.error("the phase has no name", "Give it one, such as name = \"cut-read\"");
        }
        if let Some(first) = before.iter().position(|earlier| earlier.name == phase.name) {
            self.error(
                format!("phase {} is called `{}` too", first + 1, phase.name),
                "Give each phase a name of its own: findings are told by it",
            );
        }
        let latest = before.iter().map(|earlier| earlier.not_before).max().unwrap_or_default();
        if phase.not_before > Span::ZERO && phase.not_before < latest {
            self.warning(
                format!(
                    "not-before = \"{}\" is earlier than an earlier phase's \"{latest}\"",
                    phase.not_before
                ),
                "It has no effect: write them in ascending order, or leave it out",
            );
        }
        if phase.steps.is_empty() {
            self.warning("the phase has no step", "Write its steps, or leave the phase out");
        }
        for (index, step) in phase.steps.iter().enumerate() {
            self.place.1 = Some(index + 1);
            match step {
                Step::Act(act) => self.act(act),
                Step::Wait(wait) => self.wait(wait, phase.steps.get(..index).unwrap_or_default()),
            }
        }
    }

    fn act(&mut self, act: &Act) {
        if !self.known(act.group()) {
            return;
        }
        self.book.place = self.place;
        match act {
            Act::Hold { topics, partitions } => self.hold(topics, partitions),
            Act::PrepareOffsets { from: PreparedFrom::Ago(Span::ZERO), .. } => self.warning(
                "the offsets are prepared from no time ago, which is the end of the log",
                "Write from = { ago = \"60s\" }, or from = \"latest\" if that is meant",
            ),
            Act::ResetOffsets { from: PreparedFrom::Ago(Span::ZERO), .. } => self.warning(
                "the offsets are set to no time ago, which is the end of the log",
                "Write from = { ago = \"60s\" }, or from = \"latest\" if that is meant",
            ),
            Act::Rewind { to: RewindTo::Ago(Span::ZERO), .. } => self.warning(
                "the group goes back to no time ago, which is where it is",
                "Write to = { ago = \"60s\" }",
            ),
            _ => {}
        }
        if let Some((severity, message, help)) = self.book.objection(act, self.names) {
            self.problem(severity, message, help);
        }
        self.book.apply(act);
    }

    fn wait(&mut self, wait: &Wait, before: &[Step]) {
        self.figures(wait);
        if wait.back > before.len() {
            self.error(
                format!("back = {} goes back beyond the start of the phase", wait.back),
                format!("This is line {} of it: write back = {} at most", before.len() + 1, before.len()),
            );
        }
        let known = self.known(wait.wait.group());
        let never = known.then(|| self.book.never_opens(&wait.wait, self.names)).flatten();
        let opens_at_first = known && never.is_none();
        if let Some((message, help)) = never {
            self.error(message, help);
        }
        self.second_try(wait, before, opens_at_first);
    }

    /// Looks at what is done when the gate is given up. The books behind the gate are those of a gate that opened.
    fn second_try(&mut self, wait: &Wait, before: &[Step], opens_at_first: bool) {
        let opened = self.book.clone();
        for act in &wait.otherwise {
            self.act(act);
        }
        for step in before.iter().rev().take(wait.back).rev() {
            if let Step::Act(act) = step {
                self.book.apply(act);
            }
        }
        let never = self.book.never_opens(&wait.wait, self.names);
        if let (true, Some((message, _))) = (opens_at_first, never) {
            self.error(
                format!("once given up the wait never opens: after `otherwise` {message}"),
                "Go further back with `back`, to the step that undoes what `otherwise` does",
            );
        }
        self.book = opened;
    }

    fn figures(&mut self, wait: &Wait) {
        if wait.wait == (Gate::Elapsed { span: Span::ZERO }) {
            self.warning("the wait is over at once", "Write how long to wait, such as span = \"5m\"");
        }
        if wait.max_age == Span::ZERO {
            self.error(
                "max-age is zero: no report is that young, so that the gate never opens",
                "Write the age up to which a report counts, such as max-age = \"10s\"",
            );
        }
        if wait.timeout == Some(Span::ZERO) {
            self.error(
                "timeout is zero: the gate is given up as soon as it is reached",
                "Write how long to wait, such as timeout = \"5m\", or leave it out to wait for ever",
            );
        }
        if let (None, Some(key)) = (wait.timeout, depends_on_timeout(wait)) {
            self.warning(
                format!("`{key}` has no effect: a wait without a timeout is never given up"),
                format!("Write a timeout, such as timeout = \"5m\", or leave `{key}` out"),
            );
        }
    }

    fn hold(&mut self, topics: &[String], partitions: &[u16]) {
        for topic in topics {
            if !self.names.topics.iter().any(|(name, _)| name == topic) {
                let known = self.names.topics.iter().map(|(name, _)| name.as_str());
                self.error(format!("there is no topic `{topic}`"), suggestion(topic, known));
            }
        }
        let named = |name: &String| topics.is_empty() || topics.contains(name);
        let counts = self.names.topics.iter().filter(|(name, _)| named(name));
        let most = counts.filter_map(|(name, _)| self.book.count(name, Queue::Corgi, self.names)).max();
        for partition in partitions {
            if most.is_some_and(|most| *partition >= most) {
                self.error(
                    format!("there is no source partition {partition} in the topics that are held"),
                    format!("Their partitions' numbers begin at 0 and end at {}", most.unwrap_or(1) - 1),
                );
            }
        }
    }

    /// Whether the group exists (or none is named); a problem if not.
    fn known(&mut self, group: Option<&str>) -> bool {
        let Some(group) = group else { return true };
        if self.names.groups.iter().any(|name| name == group) {
            return true;
        }
        let help = suggestion(group, self.names.groups.iter().map(String::as_str));
        self.error(format!("there is no group `{group}`"), help);
        false
    }

    fn end(&mut self) {
        for (place, message, help) in self.book.left_open() {
            self.place = place;
            self.warning(message, help);
        }
    }
}

fn depends_on_timeout(wait: &Wait) -> Option<&'static str> {
    if !wait.otherwise.is_empty() {
        Some("otherwise")
    } else if wait.retry_after > Span::ZERO {
        Some("retry-after")
    } else if wait.back > 0 {
        Some("back")
    } else {
        None
    }
}

fn suggestion<'a>(word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let list = known.clone().collect::<Vec<_>>().join(", ");
    match nearest(word, known) {
        Some(near) => format!("Did you mean `{near}`?"),
        None if list.is_empty() => "The case names none".to_owned(),
        None => format!("The case names {list}"),
    }
}

/// The known word that `word` is most likely a misspelling of: at most a third of its letters wrong.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(wrong, candidate)| *wrong * 3 <= candidate.chars().count().max(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// How many letters must be changed, put in or left out (Levenshtein's distance).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = line;
        row[0] = line + 1;
        for (column, other_letter) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other_letter);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests;
