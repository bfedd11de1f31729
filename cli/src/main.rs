//! `cutover`: is this plan for moving a live service between message queues safe?

mod arguments;
mod check;
mod coverage_table;
mod json;
mod lint;
mod measured;
mod measures_table;
mod metrics;
mod output;
mod progress;
mod replay;
mod show;
mod table;

use arguments::{Arguments, Command};
use clap::Parser;
use snmalloc_rs::SnMalloc;
use std::process::ExitCode;

/// A run allocates small boxes and vectors all the time: with the system's allocator that was a tenth of it.
#[global_allocator]
static ALLOCATOR: SnMalloc = SnMalloc;

/// Held, or the violation that the case expects was found.
pub const EXIT_HELD: u8 = 0;
/// Violated.
pub const EXIT_VIOLATED: u8 = 1;
/// Unknown: not exercised, or not run to the end.
pub const EXIT_UNKNOWN: u8 = 2;
/// Bad usage or bad input.
pub const EXIT_BAD_INPUT: u8 = 64;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let status = if error.use_stderr() { EXIT_BAD_INPUT } else { EXIT_HELD };
            // Nothing is left to be done where even the message cannot be written.
            let _ = error.print();
            return ExitCode::from(status);
        }
    };
    let status = match &arguments.command {
        Command::Check(check) => check::run(check),
        Command::Replay(replay) => replay::run(replay),
        Command::Lint(lint) => lint::run(lint),
        Command::Show(show) => show::run(show),
    };
    match status {
        Ok(status) => ExitCode::from(status),
        Err(report) => {
            eprintln!("{report:?}");
            ExitCode::from(EXIT_BAD_INPUT)
        }
    }
}
