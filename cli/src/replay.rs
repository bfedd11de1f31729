//! `cutover replay`: one seed, told as a table, a trace, a history file or an object.

use crate::arguments::{Format, Replay};
use crate::{EXIT_HELD, EXIT_UNKNOWN, EXIT_VIOLATED, json, measures_table, metrics, output, table};
use cutover_model::check::Verdict;
use cutover_model::history::Entry;
use cutover_sim::case::{Case, Loaded};
use cutover_sim::results::RunResult;
use cutover_sim::run::{self, Keep};
use miette::{IntoDiagnostic, WrapErr, miette};
use owo_colors::OwoColorize;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write};

/// Replay one seed.
pub fn run(arguments: &Replay) -> miette::Result<u8> {
    if arguments.trace && arguments.format == Format::Json {
        return Err(miette!(
            help = "leave out --format json, or write the events as JSON lines with --history FILE",
            "--trace tells the run to people"
        ));
    }
    let loaded = Loaded::load(&arguments.case).map_err(miette::Report::new)?;
    let named = [("--history", arguments.history.as_deref()), ("--metrics", arguments.metrics.as_deref())];
    let [history_file, metrics_file] = output::create(named, &loaded.files())?;
    let case = if arguments.beyond { loaded.case.beyond_tolerance() } else { loaded.case };
    let keep = Keep { history: true, messages: arguments.messages };
    let result = run::replay(&case, arguments.seed, keep);
    if let Some(file) = history_file {
        write_history(file, &result.history).into_diagnostic().wrap_err("could not write the history")?;
    }
    if let Some(mut file) = metrics_file {
        let text = metrics_of(&result, &case);
        file.write_all(text.as_bytes()).into_diagnostic().wrap_err("could not write the metrics")?;
    }
    match arguments.format {
        Format::Json => {
            let object = json::replayed(&result, &case);
            output::print(&(serde_json::to_string(&object).into_diagnostic()? + "\n"))?;
        }
        Format::Human => {
            if arguments.trace {
                output::print(&(run::trace(&case, &result).join("\n") + "\n"))?;
            }
            output::print(&told(&case, arguments, &result))?;
        }
    }
    Ok(match result.verdict {
        Verdict::Held => EXIT_HELD,
        Verdict::Violated if case.is_beyond_tolerance() || case.expect.allows(&result) => EXIT_HELD,
        Verdict::Violated => EXIT_VIOLATED,
        Verdict::Unknown => EXIT_UNKNOWN,
    })
}

fn write_history(file: File, history: &[Entry]) -> std::io::Result<()> {
    let mut file = BufWriter::new(file);
    for entry in history {
        serde_json::to_writer(&mut file, entry)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

fn metrics_of(result: &RunResult, case: &Case) -> String {
    let conditions = result.judgements.iter().flat_map(|judgement| &judgement.conditions);
    metrics::text(&[metrics::Source {
        case: &result.case,
        subject: &case.subject(),
        measures: &result.measures,
        coverage: &result.coverage,
        conditions: conditions.map(|it| (it.name.as_str(), u64::from(it.reached))).collect(),
    }])
}

fn told(case: &Case, arguments: &Replay, result: &RunResult) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}, seed {}: {}", case.name.bold(), result.seed, case.about);
    let _ = writeln!(text, "{}", table::of_run(result));
    text += &measures_table::of_parts(&result.measures);
    for judgement in &result.judgements {
        let Some(finding) = judgement.findings.first() else { continue };
        let _ = writeln!(text, "{} ({}): {}", judgement.guarantee.bold(), finding.ground, finding.summary);
        text += &table::story(&run::story_in(&result.history, case, finding, table::STORY_LINES));
        text.push('\n');
    }
    if let Some(failure) = &result.failure {
        let _ = writeln!(text, "the run did not come to its end: {failure}");
    }
    if !arguments.trace && result.verdict == Verdict::Violated {
        let _ = writeln!(
            text,
            "every event: {} --trace",
            output::replay_command(&arguments.case, result.seed, arguments.beyond)
        );
    }
    let _ = writeln!(
        text,
        "{}: {} records, {} faults, {} events in {}.{:03} simulated seconds; digest {}{}",
        table::verdict(result.verdict),
        result.records,
        result.faults,
        result.events,
        result.simulated_ms / 1000,
        result.simulated_ms % 1000,
        result.digest,
        if case.is_beyond_tolerance() { output::beyond(result.verdict) } else { "" }
    );
    text
}
