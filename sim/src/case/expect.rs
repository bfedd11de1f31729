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
    /// The guarantees that are to be found violated, where the verdict is that; all of them, and no other.
    pub guarantees: Vec<Guarantee>,
}

impl Default for Expect {
    fn default() -> Expect {
        Expect { verdict: Verdict::Held, guarantees: Vec::new() }
    }
}

impl Expect {
    /// Whether a sweep found just what is expected.
    pub fn is_met_by(&self, result: &SweepResult) -> bool {
        let lines = result.guarantees.iter().filter(|line| line.verdict == Verdict::Violated);
        let violated: BTreeSet<Guarantee> = lines.map(|line| line.name).collect();
        result.verdict == self.verdict && violated == self.guarantees.iter().copied().collect()
    }

    /// Whether a run found nothing else than what is expected. A single run need not find it.
    pub fn allows(&self, result: &RunResult) -> bool {
        let found = result.judgements.iter().filter(|judgement| judgement.verdict == Verdict::Violated);
        found.map(|judgement| judgement.guarantee).all(|guarantee| self.guarantees.contains(&guarantee))
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
