//! `cutover check`: many seeds, a verdict for each guarantee, the story of the worst finding.

use crate::arguments::{Check, Format};
use crate::measured::Buckets;
use crate::output::counted;
use crate::{
    EXIT_HELD, EXIT_UNKNOWN, EXIT_VIOLATED, coverage_table, json, measures_table, metrics, output, progress,
    table,
};
use cutover_model::check::{Finding, Subject, Verdict};
use cutover_sim::case::{Case, Loaded};
use cutover_sim::results::{GuaranteeResult, SweepResult};
use cutover_sim::run;
use miette::{IntoDiagnostic, WrapErr};
use owo_colors::OwoColorize;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

/// Check each case; the exit status is the worst.
pub fn run(arguments: &Check) -> miette::Result<u8> {
    // Every file is read before the first run: a typo in the last one should not cost the sweep of the first.
    let loaded: Vec<Loaded> = arguments
        .cases
        .iter()
        .map(|path| Loaded::load(path))
        .collect::<Result<_, _>>()
        .map_err(miette::Report::new)?;
    let read: Vec<PathBuf> = loaded.iter().flat_map(Loaded::files).collect();
    let named = [("--out", arguments.out.as_deref()), ("--metrics", arguments.metrics.as_deref())];
    let [mut out, mut metrics_file] = output::create(named, &read)?;
    let cases = loaded.into_iter().map(|loaded| match arguments.beyond {
        true => loaded.case.beyond_tolerance(),
        false => loaded.case,
    });
    let mut swept = Vec::new();
    let mut status = EXIT_HELD;
    for (case, path) in cases.zip(&arguments.cases) {
        let case = &case;
        let result = sweep(case, arguments);
        let expected = case.expect.is_met_by(&result);
        let buckets = if arguments.verbose { Buckets::Told } else { Buckets::Left };
        let object = json::checked(&result, case, expected, buckets);
        let line = serde_json::to_string(&object).into_diagnostic()?;
        match arguments.format {
            Format::Json => output::print(&format!("{line}\n"))?,
            Format::Human => output::print(&told(case, path, &result, expected, arguments.verbose))?,
        }
        if let Some(file) = &mut out {
            writeln!(file, "{line}").into_diagnostic().wrap_err("could not write the result")?;
        }
        status = worse(status, status_of(case, result.verdict, expected));
        swept.push((result, case.subject()));
    }
    if let Some(file) = &mut metrics_file {
        let sources: Vec<_> = swept.iter().map(|(result, subject)| source(result, subject)).collect();
        let text = metrics::text(&sources);
        file.write_all(text.as_bytes()).into_diagnostic().wrap_err("could not write the metrics")?;
    }
    Ok(status)
}

fn source<'a>(result: &'a SweepResult, subject: &'a Subject) -> metrics::Source<'a> {
    metrics::Source {
        case: &result.case,
        subject,
        measures: &result.measures,
        coverage: &result.coverage,
        conditions: result.conditions.iter().map(|(name, seeds)| (name.as_str(), *seeds)).collect(),
    }
}

fn sweep(case: &Case, arguments: &Check) -> SweepResult {
    let seeds = arguments.seeds.as_ref().map_or(0..case.seeds, |given| given.0.clone());
    let jobs = arguments.jobs.map_or_else(|| available_parallelism().map_or(1, usize::from), usize::from);
    let shown = arguments.format == Format::Human && std::io::stderr().is_terminal();
    let bar = progress::bar(seeds.end - seeds.start, &case.name, shown);
    let result = run::check(case, seeds, jobs, |_, folded| progress::advance(&bar, folded));
    bar.finish_and_clear();
    result
}

/// The status of one case: a violation that is expected is as good as held, and so is one beyond what the systems tolerate.
fn status_of(case: &Case, verdict: Verdict, expected: bool) -> u8 {
    match verdict {
        Verdict::Held => EXIT_HELD,
        Verdict::Violated if case.is_beyond_tolerance() => EXIT_HELD,
        _ if expected => EXIT_HELD,
        Verdict::Unknown => EXIT_UNKNOWN,
        Verdict::Violated => EXIT_VIOLATED,
    }
}

/// The worse of two statuses: violated, then unknown, then held.
fn worse(one: u8, other: u8) -> u8 {
    let badness =
        |status| [EXIT_HELD, EXIT_UNKNOWN, EXIT_VIOLATED].iter().position(|listed| *listed == status);
    if badness(one) >= badness(other) { one } else { other }
}

/// What people read.
fn told(case: &Case, path: &Path, result: &SweepResult, expected: bool, verbose: bool) -> String {
    let mut text = String::new();
    let seeds = counted(result.seeds, "seed");
    let _ = writeln!(text, "{}: {}\n{seeds} from {}", case.name.bold(), case.about, result.first);
    let _ = writeln!(text, "{}", table::of_sweep(result));
    text += &measures_table::of_parts(&result.measures);
    if verbose {
        text += &measures_table::of_phases(&result.measures, &case.subject());
    }
    text += &coverage_table::of_faults(&result.coverage, verbose);
    text += &coverage_table::of_listed_faults(result, case);
    for line in &result.guarantees {
        if let Some((finding, seed)) = &line.worst_finding {
            let _ = writeln!(text, "{}", story(case, path, line, finding, *seed));
        }
    }
    text += &coverage_table::of_conditions(result, verbose);
    for line in result.guarantees.iter().filter(|line| line.verdict == Verdict::Unknown) {
        let _ = writeln!(text, "{} is unknown: {}", line.name.bold(), why_unknown(line, result));
    }
    for (seed, failure) in &result.failures {
        let _ = writeln!(text, "seed {seed} did not come to its end: {failure}");
        let _ = writeln!(text, "  {}", output::replay_command(path, *seed, case.is_beyond_tolerance()));
    }
    let _ = writeln!(text, "{}", conclusion(case, result, expected));
    text
}

fn story(case: &Case, path: &Path, line: &GuaranteeResult, finding: &Finding, seed: u64) -> String {
    let mut text = format!(
        "{} {} ({}, seed {seed}): {}\n",
        line.name.bold(),
        table::verdict(line.verdict),
        finding.ground,
        finding.summary
    );
    text += &table::story(&run::story(case, seed, finding, table::STORY_LINES));
    text + &format!("  {}\n", output::replay_command(path, seed, case.is_beyond_tolerance()))
}

fn why_unknown(line: &GuaranteeResult, result: &SweepResult) -> String {
    if line.exercised == 0 {
        "no seed exercised it".to_owned()
    } else if line.undecided > 0 {
        format!(
            "{} ended before it was decided: records were still on their way, or the plan waited for a time that had not come",
            counted(line.undecided, "seed")
        )
    } else {
        format!("{} did not come to an end", counted(result.failures.len() as u64, "run"))
    }
}

/// The last words: the verdict, and how much it is worth.
fn conclusion(case: &Case, result: &SweepResult, expected: bool) -> String {
    let mut text = format!("{}: {}", case.name.bold(), table::verdict(result.verdict));
    match result.verdict {
        Verdict::Held => {
            let least = result.guarantees.iter().map(|line| line.exercised).min().unwrap_or(0);
            let _ = write!(text, "; {}", run::confidence(least));
        }
        Verdict::Violated if expected => text += ", as the case expects",
        Verdict::Violated | Verdict::Unknown => {}
    }
    if case.is_beyond_tolerance() {
        text += output::beyond(result.verdict);
    } else if !expected {
        let _ = write!(text, "; the case expects {}", case.expect);
        let unexpected: Vec<String> =
            case.expect.unexpected(result).iter().map(ToString::to_string).collect();
        if !unexpected.is_empty() && !case.expect.guarantees.is_empty() {
            let _ = write!(text, ", and {} besides", unexpected.join(", "));
        }
    }
    let _ = write!(text, "\ndigest {}", result.digest);
    text
}
