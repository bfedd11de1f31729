//! Writing to standard output: a closed pipe ends the output quietly, anything else is told. And the one command that
//! is printed to be pasted.

use cutover_model::check::Verdict;
use miette::{IntoDiagnostic, WrapErr};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Print a text as it is.
///
/// # Errors
/// If it cannot be written, but for a reader who does not read on (`| head`).
pub fn print(text: &str) -> miette::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.into_diagnostic().wrap_err("could not write to standard output"),
    }
}

/// A file for a result, made before the first run: a sweep should not end with a folder that is missing.
///
/// # Errors
/// If it cannot be made.
pub fn create(path: &Path) -> miette::Result<File> {
    File::create(path)
        .into_diagnostic()
        .wrap_err_with(|| format!("could not create {}: name a file in a folder that exists", path.display()))
}

/// What a verdict beyond the tolerance is worth.
pub fn beyond(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Violated => {
            "; these faults go beyond what the systems tolerate: what broke is not held against the plan"
        }
        Verdict::Held | Verdict::Unknown => "; these faults go beyond what the systems tolerate",
    }
}

/// "1 seed", "2 seeds".
pub fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The command that replays a seed, ready to be pasted.
pub fn replay_command(path: &Path, seed: u64, beyond: bool) -> String {
    let path = path.display().to_string();
    let plain = path.chars().all(|letter| letter.is_alphanumeric() || "/._-".contains(letter));
    let path = if plain { path } else { format!("'{}'", path.replace('\'', "'\\''")) };
    format!("cutover replay {path} --seed {seed}{}", if beyond { " --beyond" } else { "" })
}
