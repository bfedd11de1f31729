//! The program `conformance` on the recordings, and on what is none.

use std::path::Path;
use std::process::{Command, Output};

fn play(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_conformance");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    Command::new(program).args(arguments).current_dir(folder).output().expect("the program runs")
}

fn last_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or("").to_owned()
}

#[test]
fn the_model_answers_as_kafka_3_9_did() {
    let output = play(&["play", "recordings/3.9", "recordings/assignors"]);
    let failed: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.starts_with("FAILED"))
        .map(str::to_owned)
        .collect();
    assert_eq!(failed, Vec::<String>::new());
    assert_eq!((output.status.code(), last_line(&output).as_str()), (Some(0), "144 passed, 0 failed"));
}

/// The scripts that 4.1 answers differently, played by a model of 4.1: a script says itself which Kafka it was recorded with.
#[test]
fn the_model_of_4_1_answers_as_kafka_4_1_did() {
    let output = play(&["play", "recordings/4.1"]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed: Vec<&str> = shown.lines().filter(|line| line.starts_with("FAILED")).collect();
    assert_eq!(failed, Vec::<&str>::new());
    assert_eq!((output.status.code(), last_line(&output).as_str()), (Some(0), "20 passed, 0 failed"));
}

#[test]
fn what_is_unknown_fails() {
    for (name, text) in [
        ("call", r#"{"steps": [{"call": "fly", "answer": {}}]}"#),
        ("fault", r#"{"steps": [{"fault": "flood", "broker": 1}]}"#),
        ("setting", r#"{"settings": {"no.such.setting": 1}, "steps": []}"#),
        ("topic", r#"{"topics": {"t": {"replicas": [[1]], "config": {"no.such": 1}}}, "steps": []}"#),
        ("version", r#"{"kafka": "2.8.0", "steps": []}"#),
        ("broken", "{"),
        ("assignor", "[]"),
    ] {
        let path = std::env::temp_dir().join(format!("conformance-{}-{name}.json", std::process::id()));
        std::fs::write(&path, text).expect("a file can be written");
        let output = play(&["play", &path.to_string_lossy()]);
        std::fs::remove_file(&path).expect("the file is there");
        assert_eq!((output.status.code(), last_line(&output).as_str()), (Some(1), "0 passed, 1 failed"));
    }
}

#[test]
fn a_difference_names_the_step_the_field_and_both_values() {
    let text = r#"{"topics": {"t": {"replicas": [[1]]}}, "steps": [
        {"call": "produce", "records": ["a@0"], "answer": {"error": "NONE", "base_offset": 7, "log_start": 0}}]}"#;
    let path = std::env::temp_dir().join(format!("conformance-{}-difference.json", std::process::id()));
    std::fs::write(&path, text).expect("a file can be written");
    let output = play(&["play", &path.to_string_lossy()]);
    std::fs::remove_file(&path).expect("the file is there");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains("step 0 produce: /0/answer/base_offset: expected 7, got 0"), "{shown}");
}

#[test]
fn no_script_is_bad_usage() {
    for arguments in [
        &["play", "no/such/folder"][..],
        &["play", "src"],
        &["play"],
        &[],
        &["record"],
        &["record", "no/such/script.json"],
        &["fuzz", "--seeds", "9..3"],
        &["fuzz", "--steps", "0"],
    ] {
        assert_eq!(play(arguments).status.code(), Some(64), "{arguments:?}");
    }
}
