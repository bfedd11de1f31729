//! The command line's words.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

/// Is this plan for moving a live service between message queues safe?
#[derive(Debug, Parser)]
#[command(
    name = "cutover",
    version,
    about,
    after_help = "Exit status: 0 held, or the violation that the case expects \
    was found, or any violation with --beyond; 1 violated; 2 unknown; 64 bad usage or bad input."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a case with many seeds and say which guarantees hold.
    Check(Check),
    /// Run a case with one seed and tell what happened.
    Replay(Replay),
    /// Say whether a case file is well-formed and its plan executable.
    Lint(Lint),
    /// Print a case as it is run: with what it extends, and with every setting that it leaves to its default.
    Show(Show),
}

/// Run a case with many seeds and say which guarantees hold.
#[derive(Debug, Args)]
pub struct Check {
    /// Case files.
    #[arg(required = true, value_name = "CASE")]
    pub cases: Vec<PathBuf>,
    /// How many seeds (from 0), or which: A..B, B left out. [default: as many as the case says]
    #[arg(long, value_name = "N|A..B")]
    pub seeds: Option<Seeds>,
    /// How many runs at a time; the result does not depend on it. [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = jobs)]
    pub jobs: Option<u16>,
    /// Also write the result as JSON into this file.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Also write what was measured into this file, as Prometheus text (docs/results.md tells what it means).
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Show every phase, topic and group that was measured, every fault on every kind of node, and every condition.
    #[arg(long)]
    pub verbose: bool,
    /// Draw faults beyond what the systems tolerate: several at a time in a failure domain, and kinds that the case marks so. What
    /// breaks then is told, and not held against the plan.
    #[arg(long)]
    pub beyond: bool,
    /// For people, or for machines: one JSON object a file, a line each.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// Run a case with one seed and tell what happened.
#[derive(Debug, Args)]
pub struct Replay {
    /// The case file.
    #[arg(value_name = "CASE")]
    pub case: PathBuf,
    /// The seed.
    #[arg(long, value_name = "S", value_parser = number)]
    pub seed: u64,
    /// Tell the run, a line an event: simulated time, node, phase.
    #[arg(long)]
    pub trace: bool,
    /// With --trace: tell every message and timer as well.
    #[arg(long, requires = "trace")]
    pub messages: bool,
    /// Write the history as JSON lines into this file (docs/history.md tells what they mean).
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,
    /// Also write what was measured into this file, as Prometheus text (docs/results.md tells what it means).
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Draw the faults as `check --beyond` does.
    #[arg(long)]
    pub beyond: bool,
    /// For people, or for machines: one JSON object.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// Say whether a case file is well-formed and its plan executable.
#[derive(Debug, Args)]
pub struct Lint {
    /// Case files.
    #[arg(required = true, value_name = "CASE")]
    pub cases: Vec<PathBuf>,
    /// For people, or for machines: one JSON object a case, a line each.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// Print a case as it is run: with what it extends, and with every setting that it leaves to its default.
#[derive(Debug, Args)]
pub struct Show {
    /// The case file.
    #[arg(value_name = "CASE")]
    pub case: PathBuf,
}

/// For whom the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// For machines.
    Json,
}

/// How many runs may go on at a time.
const MOST_JOBS: u16 = 1_024;

fn jobs(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(jobs @ 1..=MOST_JOBS) => Ok(jobs),
        _ => Err(format!(
            "a whole number of at least 1 is needed: write one from 1 to {MOST_JOBS}, or leave --jobs out for as many as \
             there are processors"
        )),
    }
}

/// A seed, or how many there are.
fn number(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|error: std::num::ParseIntError| match error.kind() {
        std::num::IntErrorKind::PosOverflow => format!("`{text}` is too large: write at most {}", u64::MAX),
        _ => format!("`{text}` is not a whole number: write one from 0 on, such as 49"),
    })
}

/// The seeds of a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub Range<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Seeds, String> {
        let range = match text.split_once("..") {
            Some((first, end)) => number(first)?..number(end)?,
            None => 0..number(text)?,
        };
        if range.is_empty() {
            return Err("no seed at all: write a number from 1, or A..B with A below B".to_owned());
        }
        Ok(Seeds(range))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_words_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn seeds_are_a_number_or_a_range() {
        assert_eq!("200".parse(), Ok(Seeds(0..200)));
        assert_eq!("5..9".parse(), Ok(Seeds(5..9)));
        assert_eq!("1_000".parse(), Ok(Seeds(0..1000)));
        for wrong in ["0", "9..5", "5..5", "-3", "many", "1...4", ""] {
            assert!(wrong.parse::<Seeds>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn jobs_are_at_least_one_and_not_without_end() {
        assert_eq!((jobs("1"), jobs("1024")), (Ok(1), Ok(1_024)));
        for wrong in ["0", "1025", "-1", "x", "1.5", "", "99999999"] {
            assert!(
                jobs(wrong).is_err_and(|told| told.starts_with("a whole number of at least 1")),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_is_no_number_is_told_from_what_is_too_large_a_one() {
        assert!(number("99999999999999999999999").is_err_and(|told| told.contains("too large")));
        assert!(number("x").is_err_and(|told| told.contains("not a whole number")));
        assert_eq!(number("18446744073709551615"), Ok(u64::MAX));
    }
}
