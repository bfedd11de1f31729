//! Writing to standard output: a closed pipe ends the output quietly, anything else is told. Files for results, which are
//! never made of what was read. And the one command that is printed to be pasted.

use cutover_model::check::Verdict;
use miette::{IntoDiagnostic, WrapErr, miette};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

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

/// The files that an invocation writes, each by the option that names it, made before the first run: a sweep should not end
/// with a folder that is missing. None is made if one of them is among those that were `read`, or named by two options: a
/// result would take the place of the case, or of the other result.
///
/// # Errors
/// If one of them cannot be made.
pub fn create<const COUNT: usize>(
    named: [(&str, Option<&Path>); COUNT],
    read: &[PathBuf],
) -> miette::Result<[Option<File>; COUNT]> {
    let read: Vec<PathBuf> = read.iter().map(|path| resolved(path)).collect();
    let mut seen: Vec<(&str, PathBuf)> = Vec::new();
    for (option, path) in named {
        // What is no file, as a terminal or a pipe, keeps what others have written to it.
        let Some(path) = path.filter(|path| path.is_file() || !path.exists()) else { continue };
        let place = resolved(path);
        if read.contains(&place) {
            return Err(miette!(
                help = "name another file for the result",
                "{option} would overwrite {}, which the case is read from",
                path.display()
            ));
        }
        if let Some((other, _)) = seen.iter().find(|(_, taken)| *taken == place) {
            return Err(miette!(
                help = "name two files",
                "{other} and {option} both name {}: one result would overwrite the other",
                path.display()
            ));
        }
        seen.push((option, place));
    }
    let mut made = [const { None }; COUNT];
    for ((_, path), file) in named.into_iter().zip(&mut made) {
        *file = path.map(create_one).transpose()?;
    }
    Ok(made)
}

fn create_one(path: &Path) -> miette::Result<File> {
    let could_not = || format!("could not create {}", path.display());
    if path.is_dir() {
        return Err(miette!(
            help = format!("name a file in it, such as {}", path.join("result.json").display()),
            "{}: it is a folder",
            could_not()
        ));
    }
    File::create(path)
        .into_diagnostic()
        .wrap_err_with(|| format!("{}: name a file in a folder that exists", could_not()))
}

/// The one path of a file that has several, also where it is not there yet.
fn resolved(path: &Path) -> PathBuf {
    let in_folder = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(folder.canonicalize().ok()?.join(path.file_name()?))
    };
    path.canonicalize().ok().or_else(in_folder).unwrap_or_else(|| path.to_owned())
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
