//! Case files as they are shipped: every scenario loads, and every broken case is told what is wrong, and where.

use cutover_sim::case::Case;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

fn cases(name: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder(name)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    paths
}

/// The first line of a broken case says what is to be reported: `# line 7: part of the message`, with the file where
/// it is another: `# orders.csv, line 3: ...`. Line 0 is a file that cannot be read.
#[test]
fn every_broken_case_is_told_its_line_and_what_is_wrong() {
    let paths: Vec<PathBuf> = cases("tests/cases/broken").into_iter().filter(|path| !is_part(path)).collect();
    assert!(paths.len() >= 20, "{} broken cases", paths.len());
    let mut wrong = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let first = text.lines().next().unwrap().trim_start_matches("# ");
        let (place, message) = first.split_once(": ").unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let (file, line) = place.split_once(", ").unwrap_or((name, place));
        let line: usize = line.trim_start_matches("line ").parse().unwrap();
        match Case::load(&path) {
            Ok(_) => wrong.push(format!("{name} loads")),
            Err(error) => {
                let named = Path::new(&error.file).file_name().unwrap().to_str().unwrap();
                if (named, error.line) != (file, line) || !error.message.contains(message) {
                    wrong.push(format!("{name}: expected {first}\n    got {error}"));
                } else if error.help.as_deref().unwrap_or_default().is_empty() {
                    wrong.push(format!("{name}: no help"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Files that are there for others to extend.
fn is_part(path: &Path) -> bool {
    path.file_name().unwrap().to_str().unwrap().starts_with("part-")
}

#[test]
fn every_scenario_loads_and_survives_being_saved() {
    for path in cases("scenarios") {
        let case = Case::load(&path).unwrap_or_else(|error| panic!("{error}"));
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(case.name, name, "a scenario is named as its file");
        assert!(!case.about.is_empty(), "{name} says what it is about");
        let saved = case.to_toml().unwrap();
        let mut again =
            Case::from_text("saved.toml", &saved).unwrap_or_else(|error| panic!("{name}: {error}"));
        // A trace is saved as the records that it stands for.
        if case.workload.trace.is_some() {
            assert_eq!(
                again.workload.sends.as_ref().map(|sends| sends.len()),
                Some(case.workload.rows.len())
            );
            again.workload = case.workload.clone();
        }
        assert_eq!(again, case);
    }
}
