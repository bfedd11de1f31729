//! Sweeps of the shipped cases that are there to fail: what they find, and what their stories say.

use super::{findings, shipped, violated};
use cutover_model::check::{Guarantee, Verdict};
use cutover_sim::case::Case;
use cutover_sim::results::{RunResult, SweepResult};
use cutover_sim::run::{self, Keep};
use std::collections::BTreeSet;
use std::ops::Range;

/// A story longer than this is no story.
const STORY_LINES: usize = 24;

/// Sweep a case, and show what each run found to `look`.
pub fn swept(case: &Case, seeds: Range<u64>, look: impl FnMut(&RunResult)) -> SweepResult {
    let mut look = look;
    run::check(case, seeds, 2, |result, _| look(result))
}

/// The seeds find each of these guarantees violated; and what each run finds has a story.
pub fn fails(name: &str, seeds: Range<u64>, guarantees: &[Guarantee]) {
    let case = shipped(name);
    assert_eq!(case.expect.verdict, Verdict::Violated, "{name} is shipped to fail");
    let mut told = BTreeSet::new();
    let result = swept(&case, seeds, |run| {
        assert_eq!(run.failure, None, "{name}, seed {}", run.seed);
        if violated(run).iter().any(|guarantee| told.insert(*guarantee)) {
            every_story_is_told(&case, run.seed);
        }
    });
    let found: Vec<Guarantee> = result
        .guarantees
        .iter()
        .filter(|line| line.verdict == Verdict::Violated)
        .map(|line| line.name)
        .collect();
    assert!(case.expect.is_met_by(&result), "{name} expects {}: {found:?}", case.expect);
    for guarantee in guarantees {
        assert!(found.contains(guarantee), "{name}: {guarantee} is not among {found:?}");
        assert!(case.expect.guarantees.contains(guarantee), "{name} does not expect {guarantee}");
    }
}

/// Of every finding of a run: the summary names record and phase as the story does, and the story reaches the phase in
/// which it happened.
fn every_story_is_told(case: &Case, seed: u64) {
    let result = run::alone(case, seed, Keep { history: true, messages: false });
    let subject = case.subject();
    // The worst of each guarantee: that is what people are told.
    for judgement in &result.judgements {
        let Some(finding) = judgement.findings.first() else { continue };
        let story = run::story_in(&result.history, case, finding, STORY_LINES);
        let text: String = story.iter().map(|line| format!("{}  {}\n", line.phase, line.text)).collect();
        let whole = format!("{}, seed {seed}: {}\n{text}", case.name, finding.summary);
        assert!(story.len() >= 3 && story.len() <= STORY_LINES, "{whole}");
        assert!(story.is_sorted_by_key(|line| line.at), "{whole}");
        if finding.guarantee == Guarantee::Progress {
            continue;
        }
        let phase = subject.phase_name(finding.phase);
        let record = finding.records.first().expect("a finding names the wronged record").to_string();
        assert!(finding.summary.contains(&record), "{record}: {whole}");
        assert!(finding.summary.contains(&phase), "{phase}: {whole}");
        assert!(text.contains(&record), "{record}: {whole}");
        assert!(story.iter().any(|line| line.phase == phase), "{phase}: {whole}");
    }
}

/// A hazard's case breaks the guarantee, in each of these seeds' worst story these words are said, and what one setting alone did
/// the same case without it does not do: under the same seeds, faults and plan everything holds.
pub fn fails_by_one_setting(
    name: &str,
    seeds: Range<u64>,
    guarantee: Guarantee,
    words: &[&str],
    mend: impl Fn(&mut Case),
) {
    fails(name, seeds.clone(), &[guarantee]);
    let case = shipped(name);
    let mut told = 0;
    swept(&case, seeds.clone(), |run| {
        if !violated(run).contains(&guarantee) || told == 3 {
            return;
        }
        told += 1;
        let result = run::alone(&case, run.seed, Keep { history: true, messages: false });
        let judgement = result.judgements.iter().find(|judgement| judgement.guarantee == guarantee);
        let finding = judgement.and_then(|judgement| judgement.findings.first()).expect("it is violated");
        let story = run::story_in(&result.history, &case, finding, STORY_LINES);
        let text: String = story.iter().map(|line| format!("{}\n", line.text)).collect();
        for word in words {
            assert!(text.contains(word), "{name}, seed {}: {word}\n{}\n{text}", run.seed, finding.summary);
        }
    });
    assert!(told > 0, "{name}: no story");
    let mut mended = case;
    mend(&mut mended);
    let mut wrong = String::new();
    swept(&mended, seeds, |run| {
        if !violated(run).is_empty() || run.failure.is_some() {
            wrong += &format!("{name} mended, seed {}: {:?}\n{}", run.seed, run.failure, findings(run));
        }
    });
    assert!(wrong.is_empty(), "{wrong}");
}
