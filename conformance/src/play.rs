//! Plays scripts against the model and compares every field of every answer with the recorded one.

use crate::player::Player;
use crate::{assignors, script};
use serde_json::Value;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Play a script, or check the cases of an assignor: a list. A panic of the model is a failure like any other.
fn play(path: &Path) -> Result<(), String> {
    let script = script::read(path)?;
    let played = catch_unwind(|| match &script {
        Value::Array(cases) => assignors::play(&script::name(path), cases),
        script => Player::play(script),
    });
    played.unwrap_or_else(|_| Err("the model panicked".to_owned()))
}

/// Play all of them: a line a script, and how many passed.
pub fn play_all(paths: &[PathBuf]) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for path in paths {
        let name = script::name(path);
        match play(path) {
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
