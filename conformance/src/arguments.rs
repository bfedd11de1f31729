//! The command line's words.

use crate::live::DEFAULT_VERSION;
use clap::{Args, Parser, Subcommand};
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

/// Holds the Kafka model to a real Kafka: recorded conversations and live ones.
#[derive(Debug, Parser)]
#[command(
    name = "conformance",
    about,
    after_help = "Exit status: 0 no difference; 1 a difference, or a script that could not be recorded; 64 bad usage."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Play recorded conversations against the model.
    Play(Play),
    /// Play scripts against a real Kafka and write its answers down. Needs Java 17 and Maven.
    Record(Record),
    /// Draw conversations from seeds and play each against a real Kafka and the model. Needs Java 17 and Maven.
    Fuzz(Fuzz),
}

/// Play recorded conversations against the model.
#[derive(Debug, Args)]
pub struct Play {
    /// Scripts, or folders of them.
    #[arg(required = true, value_name = "FOLDER|FILE")]
    pub paths: Vec<PathBuf>,
}

/// Play scripts against a real Kafka and write its answers down.
#[derive(Debug, Args)]
pub struct Record {
    /// Scripts, or folders of them; the answers in them are left aside.
    #[arg(required = true, value_name = "SCRIPT")]
    pub scripts: Vec<PathBuf>,
    /// The version of Kafka, fetched from Maven Central.
    #[arg(long, default_value = DEFAULT_VERSION)]
    pub version: String,
    /// The folder for what is recorded. [default: the output]
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// How often each is played; what differs between the runs is not written down.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    pub runs: u8,
}

/// Draw conversations from seeds and play each against a real Kafka and the model.
#[derive(Debug, Args)]
pub struct Fuzz {
    /// How many seeds (from 0), or which: A..B, B left out.
    #[arg(long, default_value = "300", value_name = "N|A..B")]
    pub seeds: Seeds,
    /// How many moves a conversation has, each one step or a few that belong together.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u16).range(1..))]
    pub steps: u16,
    /// Begin no other conversation after so long.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub minutes: Option<u64>,
    /// Go on after a difference.
    #[arg(long)]
    pub keep_going: bool,
    /// Leave differences as long as they were found.
    #[arg(long)]
    pub no_shrink: bool,
    /// The folder for the shortest script of each difference.
    #[arg(long, value_name = "FOLDER", default_value = "differences")]
    pub out: PathBuf,
    /// Print every step and answer of each conversation.
    #[arg(long)]
    pub verbose: bool,
    /// The version of Kafka, fetched from Maven Central.
    #[arg(long, default_value = DEFAULT_VERSION)]
    pub version: String,
}

/// Which seeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub Range<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Seeds, String> {
        let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
        let range = match text.split_once("..") {
            Some((first, end)) => number(first)?..number(end)?,
            None => 0..number(text)?,
        };
        if range.is_empty() { Err("no seed is between them".to_owned()) } else { Ok(Seeds(range)) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Seeds};
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_words_do_not_clash() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn seeds_are_a_number_or_a_range() {
        assert_eq!("3".parse(), Ok(Seeds(0..3)));
        assert_eq!("7..9".parse(), Ok(Seeds(7..9)));
        for wrong in ["", "0", "9..7", "a", "1..", "-1"] {
            assert!(wrong.parse::<Seeds>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn bad_words_are_refused() {
        for wrong in [
            &["fly"][..],
            &["play"],
            &["record"],
            &["record", "x.json", "--runs", "0"],
            &["fuzz", "--steps", "0"],
            &["fuzz", "--minutes", "0"],
            &["fuzz", "--seeds", "x"],
        ] {
            let words = ["conformance"].iter().chain(wrong);
            assert!(Arguments::try_parse_from(words).is_err(), "{wrong:?}");
        }
    }
}
