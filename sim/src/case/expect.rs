//! What a check of a case is to find, and whether it did.

use crate::results::{RunResult, SweepResult};
use cutover_model::check::{Guarantee, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// What a check is to find: `[expect]`. Without it every guarantee is to be held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Expect {
    /// The verdict.
    pub verdict: Verdict,
    /// The guarantees that are to be found violated, where the verdict is that: one of them at least.
    pub guarantees: Vec<Guarantee>,
    /// Guarantees that may be found violated besides: rarely, or as a consequence of the others.
    pub also: Vec<Guarantee>,
}

impl Default for Expect {
    fn default() -> Expect {
        Expect { verdict: Verdict::Held, guarantees: Vec::new(), also: Vec::new() }
    }
}

impl Expect {
    /// Whether a sweep found what is expected, and nothing else.
    pub fn is_met_by(&self, result: &SweepResult) -> bool {
        let lines = result.guarantees.iter().filter(|line| line.verdict == Verdict::Violated);
        let violated: BTreeSet<Guarantee> = lines.map(|line| line.name).collect();
        result.verdict == self.verdict
            && (violated.is_empty() || self.guarantees.iter().any(|expected| violated.contains(expected)))
            && self.unexpected(result).is_empty()
    }

    /// Whether a run found nothing else than what is expected. A single run need not find it.
    pub fn allows(&self, result: &RunResult) -> bool {
        let found = result.judgements.iter().filter(|judgement| judgement.verdict == Verdict::Violated);
        found.map(|judgement| judgement.guarantee).all(|guarantee| self.tolerates(guarantee))
    }

    /// The guarantees that a sweep found violated and that are not expected to be.
    pub fn unexpected(&self, result: &SweepResult) -> Vec<Guarantee> {
        let lines = result.guarantees.iter().filter(|line| line.verdict == Verdict::Violated);
        lines.map(|line| line.name).filter(|name| !self.tolerates(*name)).collect()
    }

    fn tolerates(&self, guarantee: Guarantee) -> bool {
        self.guarantees.contains(&guarantee) || self.also.contains(&guarantee)
    }
}

impl fmt::Display for Expect {
    /// "violated (order, exclusive)", "held".
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.verdict)?;
        if !self.guarantees.is_empty() {
            let names: Vec<String> = self.guarantees.iter().map(Guarantee::to_string).collect();
            write!(formatter, " ({})", names.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::GuaranteeResult;

    fn swept(violated: &[Guarantee]) -> SweepResult {
        let line = |name: &Guarantee| GuaranteeResult {
            name: *name,
            verdict: Verdict::Violated,
            exercised: 9,
            undecided: 0,
            violated: 1,
            findings: 1,
            first_seed: Some(0),
            worst: Vec::new(),
            worst_finding: None,
            conditions: Vec::new(),
        };
        SweepResult {
            case: "case".into(),
            verdict: if violated.is_empty() { Verdict::Held } else { Verdict::Violated },
            seeds: 9,
            first: 0,
            digest: String::new(),
            guarantees: violated.iter().map(line).collect(),
            coverage: Default::default(),
            listed_struck: Vec::new(),
            measures: Default::default(),
            conditions: Default::default(),
            impossible: Default::default(),
            failures: Vec::new(),
        }
    }

    #[test]
    fn what_is_expected_must_be_found_and_nothing_else_may() {
        let (order, lost, stuck) = (Guarantee::Order, Guarantee::AtLeastOnce, Guarantee::Progress);
        let expect = Expect { verdict: Verdict::Violated, guarantees: vec![order], also: vec![stuck] };
        assert!(expect.is_met_by(&swept(&[order])));
        assert!(expect.is_met_by(&swept(&[order, stuck])));
        assert!(!expect.is_met_by(&swept(&[stuck])));
        assert!(!expect.is_met_by(&swept(&[order, lost])));
        assert!(!expect.is_met_by(&swept(&[])));
        assert!(Expect::default().is_met_by(&swept(&[])) && !Expect::default().is_met_by(&swept(&[order])));
    }
}
