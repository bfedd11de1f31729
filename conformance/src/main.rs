//! Plays recorded conversations with a real Kafka against the model and compares every field of every answer.
//!
//! `cargo run --release -p conformance -- play FOLDER|FILE...`

mod cluster;
mod compare;
mod names;
mod player;
mod requests;
mod responses;

use player::Player;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn scripts(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    found.sort();
    found
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.len() < 2 || arguments[0] != "play" {
        eprintln!("usage: conformance play FOLDER|FILE...");
        return ExitCode::from(64);
    }
    let (mut passed, mut failed) = (0, 0);
    for path in arguments[1..].iter().flat_map(|path| scripts(Path::new(path))) {
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let outcome = match serde_json::from_str(&text) {
            Ok(script) => Player::play(&script),
            Err(error) => Err(format!("unreadable: {error}")),
        };
        match outcome {
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
