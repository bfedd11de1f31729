//! The table of guarantees, the verdicts' colours, and the stories of findings.

use crate::output::counted;
use comfy_table::{ContentArrangement, LineStyle, Table};
use cutover_model::check::{Figure, Guarantee, StoryLine, Verdict};
use cutover_sim::results::{GuaranteeResult, RunResult, SweepResult};
use owo_colors::OwoColorize;

/// A story has so many lines at most: what fits a screen.
pub const STORY_LINES: usize = 24;

/// A verdict in its colour.
pub fn verdict(verdict: Verdict) -> String {
    match verdict {
        Verdict::Held => verdict.green().bold().to_string(),
        Verdict::Violated => verdict.red().bold().to_string(),
        Verdict::Unknown => verdict.yellow().bold().to_string(),
    }
}

/// An empty table of figures under a header: a line a row, however many there are.
pub fn dense(header: &[&str]) -> Table {
    let mut table = table(header);
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()));
    table
}

/// An empty table under a header.
fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table
}

/// The table's lines without the blanks behind them.
pub fn lines(table: &Table) -> String {
    coloured(&table.trim_fmt())
}

fn figure(figure: &Figure) -> String {
    format!("{} {}", figure.name.replace('_', " "), figure.value)
}

/// The table of a sweep.
pub fn of_sweep(result: &SweepResult) -> String {
    let mut table = table(&["guarantee", "verdict", "exercised", "violated", "first seed", "worst figures"]);
    for line in &result.guarantees {
        table.add_row([
            line.name.to_string(),
            line.verdict.to_string(),
            format!("{} of {}", line.exercised, result.seeds),
            counted(line.violated, "seed"),
            line.first_seed.map_or_else(|| "-".to_owned(), |seed| seed.to_string()),
            worst_figures(line),
        ]);
    }
    lines(&table)
}

/// The figures that say most of a guarantee.
fn telling(guarantee: Guarantee) -> &'static [&'static str] {
    match guarantee {
        Guarantee::AtLeastOnce => &["lost_records", "phantom_records"],
        Guarantee::Order => &[
            "reordered_by_session_records",
            "reordered_by_real_time_records",
            "overtaken_by_a_moved_key_records",
        ],
        Guarantee::BoundedReplay => &["duplicates_in_a_group_records"],
        Guarantee::Exclusive => &["overlapped_deliveries", "longest_overlap_ms"],
        Guarantee::ZeroDowntime => &[
            "longest_write_gap_ms",
            "plan_added_write_gap_ms",
            "greatest_record_age_ms",
            "plan_added_record_age_ms",
        ],
        Guarantee::Progress => &["time_to_drain_ms", "longest_gate_wait_ms"],
        Guarantee::Rewind => {
            &["rewound_partitions", "not_delivered_again_records", "slowest_rewind_confirmation_ms"]
        }
    }
}

/// The worst of the telling figures, a line each, with the seed where it was measured.
fn worst_figures(line: &GuaranteeResult) -> String {
    let named =
        telling(line.name).iter().filter_map(|name| line.worst.iter().find(|(it, _)| it.name == *name));
    let shown = named.map(|(worst, seed)| match worst.value {
        0 => figure(worst),
        _ => format!("{} (seed {seed})", figure(worst)),
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// The table of one run.
pub fn of_run(result: &RunResult) -> String {
    let mut table = table(&["guarantee", "verdict", "exercised", "findings", "figures"]);
    for judgement in &result.judgements {
        let telling = telling(judgement.guarantee).iter();
        let measured = telling.filter_map(|name| judgement.figures.iter().find(|it| it.name == *name));
        let figures: Vec<String> = measured.map(figure).collect();
        table.add_row([
            judgement.guarantee.to_string(),
            judgement.verdict.to_string(),
            if judgement.exercised { "yes" } else { "no" }.to_owned(),
            judgement.findings_total.to_string(),
            figures.join("\n"),
        ]);
    }
    lines(&table)
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
