//! The table of guarantees, the verdicts' colours, and the stories of findings.

use comfy_table::{ContentArrangement, Table};
use cutover_model::check::{Figure, StoryLine, Subject, Verdict};
use cutover_sim::results::{GuaranteeResult, RunResult, SweepResult};
use owo_colors::OwoColorize;
use std::collections::BTreeSet;

/// A verdict in its colour.
pub fn verdict(verdict: Verdict) -> String {
    match verdict {
        Verdict::Held => verdict.green().bold().to_string(),
        Verdict::Violated => verdict.red().bold().to_string(),
        Verdict::Unknown => verdict.yellow().bold().to_string(),
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table
}

fn figure(figure: &Figure) -> String {
    format!("{} {}", figure.name.replace('_', " "), figure.value)
}

/// The table of a sweep.
pub fn of_sweep(result: &SweepResult) -> String {
    let mut table = table(&["guarantee", "verdict", "exercised", "violated", "first seed", "worst figure"]);
    for line in &result.guarantees {
        table.add_row([
            line.name.to_string(),
            line.verdict.to_string(),
            format!("{} of {}", line.exercised, result.seeds),
            format!("{} seeds", line.violated),
            line.first_seed.map_or_else(|| "-".to_owned(), |seed| seed.to_string()),
            worst_figure(line),
        ]);
    }
    coloured(&table.to_string())
}

/// How often each fault kind struck in each phase; phases and kinds that no fault reached show their zeroes.
pub fn of_coverage(result: &SweepResult, subject: &Subject) -> String {
    let kinds: BTreeSet<&str> =
        result.coverage.values().flat_map(|row| row.keys().map(String::as_str)).collect();
    if kinds.is_empty() {
        return "no fault struck\n".to_owned();
    }
    let mut header = vec!["faults that struck"];
    header.extend(&kinds);
    let mut table = table(&header);
    let phases = (0..=subject.phases.len() as u32).map(|phase| subject.phase_key(phase));
    for (phase, row) in phases.filter_map(|phase| result.coverage.get(&phase).map(|row| (phase, row))) {
        let counts = kinds.iter().map(|kind| row.get(*kind).copied().unwrap_or(0).to_string());
        table.add_row(std::iter::once(phase).chain(counts));
    }
    format!("{table}\n")
}

/// The figure that says most of a guarantee: the first that the checker names.
fn worst_figure(line: &GuaranteeResult) -> String {
    match line.worst.first() {
        Some((worst, seed)) => format!("{} (seed {seed})", figure(worst)),
        None => "-".to_owned(),
    }
}

/// The table of one run.
pub fn of_run(result: &RunResult) -> String {
    let mut table = table(&["guarantee", "verdict", "exercised", "findings", "figures"]);
    for judgement in &result.judgements {
        let figures: Vec<String> = judgement.figures.iter().take(3).map(figure).collect();
        table.add_row([
            judgement.guarantee.to_string(),
            judgement.verdict.to_string(),
            if judgement.exercised { "yes" } else { "no" }.to_owned(),
            judgement.findings_total.to_string(),
            figures.join("\n"),
        ]);
    }
    coloured(&table.to_string())
}

/// Colours after the layout, so that escape codes do not count as width.
fn coloured(text: &str) -> String {
    let mut text = text.to_owned();
    for word in [Verdict::Held, Verdict::Violated, Verdict::Unknown] {
        text = text.replace(&format!(" {word} "), &format!(" {} ", verdict(word)));
    }
    text
}

/// A story, a line an event.
pub fn story(lines: &[StoryLine]) -> String {
    let node_width = lines.iter().map(|line| line.node.len()).max().unwrap_or(0);
    let phase_width = lines.iter().map(|line| line.phase.len()).max().unwrap_or(0);
    let mut told = String::new();
    for line in lines {
        told += &format!(
            "    {}  {:phase_width$}  {:node_width$}  {}\n",
            line.at.dimmed(),
            line.phase.dimmed(),
            line.node,
            line.text
        );
    }
    told
}
