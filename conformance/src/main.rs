//! Plays recorded conversations with a real Kafka against the model and compares every field of every answer.
//!
//! `cargo run --release -p conformance -- play FOLDER|FILE...`
//!
//! One line a script; for one that failed its first difference: step, field, expected, got. A call or a setting that
//! is unknown fails. Exit status: 0 where none failed, 1 where one did, 64 for bad usage or where there is no script.

mod assignors;
mod cluster;
mod compare;
mod names;
mod player;
mod requests;
mod responses;

use player::Player;
use serde_json::Value;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: u8 = 64;

/// The scripts of a folder and the folders in it, by name.
fn scripts(path: &Path) -> Result<Vec<PathBuf>, String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", path.display());
    if std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?.path());
    }
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        if entry.is_dir() {
            found.extend(scripts(&entry)?);
        } else if entry.extension().is_some_and(|extension| extension == "json") {
            found.push(entry);
        }
    }
    Ok(found)
}

/// Play a script, or check the cases of an assignor: a list. A panic of the model is a failure like any other.
fn play(path: &Path, name: &str) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("unreadable: {error}"))?;
    let script: Value = serde_json::from_str(&text).map_err(|error| format!("unreadable: {error}"))?;
    let played = catch_unwind(|| match &script {
        Value::Array(cases) => assignors::play(name, cases),
        script => Player::play(script),
    });
    played.unwrap_or_else(|_| Err("the model panicked".to_owned()))
}

fn play_all(paths: &[PathBuf]) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for path in paths {
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match play(path, &name) {
            Ok(()) => {
                passed += 1;
                println!("passed {name}");
            }
            Err(difference) => {
                failed += 1;
                println!("FAILED {name}: {difference}");
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [command, folders @ ..] = arguments.as_slice() else { return usage("") };
    if command != "play" || folders.is_empty() {
        return usage("");
    }
    let mut paths = Vec::new();
    for folder in folders {
        match scripts(Path::new(folder)) {
            Ok(found) if found.is_empty() => return usage(&format!("{folder}: no script there")),
            Ok(found) => paths.extend(found),
            Err(error) => return usage(&error),
        }
    }
    play_all(&paths)
}

fn usage(error: &str) -> ExitCode {
    if !error.is_empty() {
        eprintln!("{error}");
    }
    eprintln!("usage: conformance play FOLDER|FILE...");
    ExitCode::from(USAGE)
}
