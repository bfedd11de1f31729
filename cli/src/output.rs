//! Writing to standard output: a closed pipe ends the output quietly, anything else is told.

use miette::{IntoDiagnostic, WrapErr};
use std::io::{ErrorKind, Write};

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
