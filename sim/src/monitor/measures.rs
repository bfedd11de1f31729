//! What was measured of a run, or of many runs of one case: plain data, which adds up in any order.

use super::Cost;
use super::distribution::Distribution;
use cutover_model::check::Subject;
use cutover_model::record::{GroupId, TopicId};
use serde::Serialize;

/// The measures of runs of one case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Measures {
    /// How many runs they are of: those that came to their end.
    pub runs: u64,
    /// By phase: first the time before the plan, then the plan's phases, then the time after the plan. Empty where
    /// nothing was measured.
    pub phases: Vec<PhaseMeasures>,
}

/// The measures of one phase, or of several together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PhaseMeasures {
    /// By topic: the records that were sent in the phase.
    pub production: Vec<Production>,
    /// By topic, and within it by group: the processing of the records that were sent in the phase.
    pub processing: Vec<Processing>,
    /// What running the systems took in the phase.
    pub cost: Cost,
}

/// What became of the records of one topic that producers sent in one phase.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Production {
    /// The topic.
    pub topic: TopicId,
    /// How many records were sent.
    pub sent: u64,
    /// How many of them a queue acknowledged.
    pub acknowledged: u64,
    /// How many were definitely refused.
    pub refused: u64,
    /// Of how many the producer never learnt the fate, and gave them up.
    pub indeterminate: u64,
    /// From the first send to the first acknowledgement.
    pub latency: Distribution,
}

/// What one group did with the records of one topic that were sent in one phase.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Processing {
    /// The topic.
    pub topic: TopicId,
    /// The group.
    pub group: GroupId,
    /// How many records were acknowledged, and not processed by the end of the run.
    pub unprocessed: u64,
    /// From the first send to the first processing by the group.
    pub end_to_end: Distribution,
}

/// The migration divides a run in three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, strum::Display, strum::EnumIter)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Part {
    /// Before the first phase has begun.
    Before,
    /// In a phase of the plan.
    During,
    /// After the plan was complete.
    After,
}

impl Measures {
    /// Nothing measured yet in a run of a case.
    pub(super) fn of(subject: &Subject) -> Measures {
        let topics = 0..subject.topics.len();
        let production =
            topics.map(|topic| Production { topic: TopicId(topic as u16), ..Production::default() });
        let mut processing: Vec<Processing> = Vec::new();
        for (group, id) in subject.groups.iter().zip(0..) {
            let of_group = group.topics.iter().map(|topic| Processing {
                topic: *topic,
                group: GroupId(id),
                ..Processing::default()
            });
            processing.extend(of_group);
        }
        processing.sort_by_key(|place| (place.topic, place.group));
        let phase = PhaseMeasures { production: production.collect(), processing, cost: Cost::default() };
        // Without a plan all of the run is before it.
        let phases = if subject.phases.is_empty() { 1 } else { subject.phases.len() + 2 };
        Measures { runs: 1, phases: vec![phase; phases] }
    }

    /// Count everything that another one of the same case has counted.
    pub fn add(&mut self, other: &Measures) {
        self.runs += other.runs;
        if self.phases.is_empty() {
            self.phases.clone_from(&other.phases);
            return;
        }
        for (ours, theirs) in self.phases.iter_mut().zip(&other.phases) {
            ours.add(theirs);
        }
    }

    /// Which part of the run a phase belongs to.
    pub fn part_of(&self, phase: usize) -> Part {
        match phase {
            0 => Part::Before,
            _ if phase + 1 == self.phases.len() => Part::After,
            _ => Part::During,
        }
    }

    /// The phases of one part together.
    pub fn part(&self, part: Part) -> PhaseMeasures {
        let mut sum = PhaseMeasures::default();
        for (phase, measures) in self.phases.iter().enumerate() {
            if self.part_of(phase) == part {
                sum.add(measures);
            }
        }
        sum
    }
}

impl PhaseMeasures {
    fn add(&mut self, other: &PhaseMeasures) {
        if self.production.is_empty() && self.processing.is_empty() {
            self.production.clone_from(&other.production);
            self.processing.clone_from(&other.processing);
        } else {
            for (ours, theirs) in self.production.iter_mut().zip(&other.production) {
                ours.add(theirs);
            }
            for (ours, theirs) in self.processing.iter_mut().zip(&other.processing) {
                ours.add(theirs);
            }
        }
        self.cost.add(&other.cost);
    }

    /// The records of all topics together; the topic says nothing then.
    pub fn all_production(&self) -> Production {
        let mut sum = Production::default();
        self.production.iter().for_each(|of_topic| sum.add(of_topic));
        sum
    }

    /// The processing of all topics by all groups together; topic and group say nothing then.
    pub fn all_processing(&self) -> Processing {
        let mut sum = Processing::default();
        self.processing.iter().for_each(|of_group| sum.add(of_group));
        sum
    }
}

impl Production {
    fn add(&mut self, other: &Production) {
        self.sent += other.sent;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.indeterminate += other.indeterminate;
        self.latency.add(&other.latency);
    }

    /// How many records' senders had not been told anything by the end of the run.
    pub fn unanswered(&self) -> u64 {
        self.sent - self.acknowledged - self.refused - self.indeterminate
    }
}

impl Processing {
    fn add(&mut self, other: &Processing) {
        self.unprocessed += other.unprocessed;
        self.end_to_end.add(&other.end_to_end);
    }
}
