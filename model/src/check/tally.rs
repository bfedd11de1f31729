//! Gathers anomalies into findings: those of one kind, group, partition and phase are one finding with a count, so that
//! a lost tail of three hundred records is one line of a report.

use super::{Course, Figure, Finding, Ground, Guarantee, Judgement};
use crate::record::{GroupId, RecordId, TopicPartition};
use crate::units::Time;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many findings a judgement carries.
pub(super) const FINDINGS_AT_MOST: usize = 50;
/// How many records a finding carries.
const RECORDS_AT_MOST: usize = 20;

/// What makes anomalies one finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(super) struct Kind {
    pub(super) ground: Ground,
    pub(super) phase: u32,
    pub(super) group: Option<GroupId>,
    pub(super) partition: Option<TopicPartition>,
    /// The checker's own distinction: where a record was lost.
    pub(super) detail: u8,
}

/// The anomalies of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Gathered {
    /// When the first of them happened.
    pub(super) at: Time,
    /// The first records concerned.
    pub(super) records: Vec<RecordId>,
    /// How many anomalies there are.
    pub(super) count: u64,
    /// How bad they are together.
    pub(super) weight: u64,
}

/// All anomalies of a checker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    kinds: BTreeMap<Kind, Gathered>,
    /// How many anomalies there are in all.
    pub(super) total: u64,
}

impl Tally {
    /// Take an anomaly of weight 1: the wronged record first, then those that wronged it.
    pub(super) fn add(&mut self, kind: Kind, at: Time, records: &[RecordId]) {
        self.total += 1;
        let gathered = self.kinds.entry(kind).or_insert_with(|| Gathered::new(at));
        gathered.count += 1;
        gathered.weight += 1;
        for record in records {
            if gathered.records.len() < RECORDS_AT_MOST && !gathered.records.contains(record) {
                gathered.records.push(*record);
            }
        }
    }

    /// Take an anomaly of another weight.
    pub(super) fn add_weighed(&mut self, kind: Kind, at: Time, records: &[RecordId], weight: u64) {
        self.add(kind, at, records);
        if let Some(gathered) = self.kinds.get_mut(&kind) {
            gathered.weight += weight.saturating_sub(1);
        }
    }

    /// How many anomalies stand on a ground.
    pub(super) fn on(&self, ground: Ground) -> u64 {
        self.kinds.iter().filter(|(kind, _)| kind.ground == ground).map(|(_, gathered)| gathered.count).sum()
    }

    /// Those on some grounds alone.
    pub(super) fn on_grounds(&self, grounds: &[Ground]) -> Tally {
        let mut kinds = self.kinds.clone();
        kinds.retain(|kind, _| grounds.contains(&kind.ground));
        Tally { total: kinds.values().map(|gathered| gathered.count).sum(), kinds }
    }

    /// The worst of a ground.
    pub(super) fn worst(&self, ground: Ground) -> Option<(&Kind, &Gathered)> {
        self.kinds
            .iter()
            .filter(|(kind, _)| kind.ground == ground)
            .max_by_key(|(_, gathered)| (gathered.weight, std::cmp::Reverse(gathered.at)))
    }

    /// The findings, the worst first, each with the sentence that `summary` makes.
    pub(super) fn findings(
        &self,
        guarantee: Guarantee,
        summary: impl Fn(&Kind, &Gathered) -> String,
    ) -> Vec<Finding> {
        let mut kinds: Vec<_> = self.kinds.iter().collect();
        kinds.sort_by_key(|(kind, gathered)| (std::cmp::Reverse(gathered.weight), gathered.at, **kind));
        kinds.truncate(FINDINGS_AT_MOST);
        kinds
            .into_iter()
            .map(|(kind, gathered)| Finding {
                guarantee,
                ground: kind.ground,
                phase: kind.phase,
                at: gathered.at,
                group: kind.group,
                partition: kind.partition,
                records: gathered.records.clone(),
                weight: gathered.weight,
                summary: summary(kind, gathered),
            })
            .collect()
    }
}

impl Gathered {
    fn new(at: Time) -> Gathered {
        Gathered { at, records: Vec::new(), count: 0, weight: 0 }
    }

    /// The wronged record.
    pub(super) fn first(&self) -> RecordId {
        self.records.first().copied().unwrap_or_default()
    }

    /// The record that wronged it.
    pub(super) fn second(&self) -> RecordId {
        self.records.get(1).copied().unwrap_or_default()
    }

    /// " and 12 more", where there are more.
    pub(super) fn and_more(&self) -> String {
        if self.count > 1 { format!(" and {} more", self.count - 1) } else { String::new() }
    }
}

/// The judgement of a checker whose findings decide.
pub(super) fn judgement(
    guarantee: Guarantee,
    course: &Course,
    exercised: bool,
    figures: Vec<Figure>,
    found: (Vec<Finding>, u64),
) -> Judgement {
    let (findings, findings_total) = found;
    Judgement {
        guarantee,
        verdict: course.verdict(findings_total, exercised),
        exercised,
        figures,
        conditions: Vec::new(),
        findings,
        findings_total,
        longest: Vec::new(),
    }
}

/// A figure.
pub(super) fn figure(name: impl Into<String>, value: u64, place: impl Into<String>) -> Figure {
    Figure { name: name.into(), value, place: place.into() }
}
