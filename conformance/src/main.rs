//! Holds the Kafka model to a real Kafka: plays recorded conversations against the model, records others, and searches
//! for differences by drawing conversations from seeds and playing each against both.
//!
//! `cargo run --release -p conformance -- play|record|fuzz`

mod arguments;
mod assignors;
mod cluster;
mod compare;
mod fuzz;
mod live;
mod names;
mod play;
mod player;
mod record;
mod requests;
mod responses;
mod script;

use arguments::{Arguments, Command};
use clap::Parser;
use fuzz::Search;
use record::Recording;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing is left to be done where even the message cannot be written.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match arguments.command {
        Command::Play(play) => with_scripts(&play.paths, |scripts| play::play_all(&scripts)),
        Command::Record(record) => with_scripts(&record.scripts, |scripts| {
            let (version, out, runs) = (record.version.clone(), record.out.clone(), usize::from(record.runs));
            Recording { scripts, version, out, runs }.run()
        }),
        Command::Fuzz(fuzz) => Search::new(fuzz).run(),
    }
}

fn with_scripts(paths: &[PathBuf], act: impl FnOnce(Vec<PathBuf>) -> ExitCode) -> ExitCode {
    match script::find_all(paths) {
        Ok(scripts) => act(scripts),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(USAGE)
        }
    }
}
