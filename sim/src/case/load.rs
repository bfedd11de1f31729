//! From a path or a text to a case.

use super::deserialize::read;
use super::error::Problem;
use super::tree::{Files, Node, Value, Way};
use super::{Case, CaseError, merge, validate};
use crate::random::Streams;
use crate::workload;
use cutover_model::plan::{Act, Step, Wait};
use serde::Serialize;
use std::path::Path;

impl Case {
    /// Read a case from its file, and what that extends.
    ///
    /// # Errors
    /// The first thing that is wrong, with its file and line.
    pub fn load(path: &Path) -> Result<Case, CaseError> {
        let mut files = Files::default();
        let tree = merge::load(path, &mut files)?;
        Case::from_tree(&tree, &files)
    }

    /// Read a case from a text; `extends` and `trace` are relative to the present directory.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn from_text(name: &str, text: &str) -> Result<Case, CaseError> {
        let mut files = Files::default();
        let tree = merge::load_text(Path::new(name), text.to_owned(), &mut files)?;
        Case::from_tree(&tree, &files)
    }

    /// The case as a file that loads as this very case: self-contained, with every default written out.
    ///
    /// # Errors
    /// None that is known: every part of a case can be written as TOML.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        let mut saved = self.clone();
        if saved.workload.trace.take().is_some() {
            // A trace is dealt without any random number, so that every seed has these very sends.
            saved.workload.sends = Some(workload::Workload::draw(self, Streams::new(0)).sends(self));
        }
        toml::to_string(&saved)
    }

    fn from_tree(tree: &Node, files: &Files) -> Result<Case, CaseError> {
        let at = |problem: Problem| CaseError::at(files, problem);
        check_steps(tree).map_err(at)?;
        let mut case: Case = read(tree).map_err(at)?;
        validate::validate(&case, tree).map_err(at)?;
        if let Some(trace) = case.workload.trace.clone() {
            let place = tree.place_of(&[Way::Key("workload"), Way::Key("trace")]);
            let folder = Path::new(files.name(place.file)).parent().unwrap_or(Path::new("")).to_owned();
            case.workload.rows = workload::read_trace(&folder.join(&trace), &case, |problem| {
                CaseError::at(files, problem.or_at(place))
            })?;
        }
        Ok(case)
    }
}

/// Read the plan's steps one by one first: within the plan they are "an act or a gate", and a reader who made a mistake
/// in an act should be told of the act.
fn check_steps(tree: &Node) -> Result<(), Problem> {
    let phases = tree.get("plan").and_then(|plan| plan.get("phases")).map_or(&[][..], Node::items);
    for step in phases.iter().filter_map(|phase| phase.get("steps")).flat_map(Node::items) {
        if !matches!(step.value, Value::Table(_)) {
            return Err(Problem::new(
                step.place,
                format!("{} stands where a step is needed", step.kind()),
                "write a table: { do = \"start-mirror\" } or { wait = { for = \"mirror-ready\" } }",
            ));
        }
        match (step.get("do"), step.get("wait")) {
            (Some(_), None) => check_ignored(step, &Step::Act(read::<Act>(step)?))?,
            (None, Some(_)) => {
                let wait = read::<Wait>(step)?;
                check_ignored(step, &Step::Wait(wait))?;
            }
            (Some(_), Some(gate)) => {
                return Err(Problem::new(gate.place, "a step either does or waits", "make two steps of it"));
            }
            (None, None) => {
                return Err(Problem::new(
                    step.place,
                    "a step has neither `do` nor `wait`",
                    "write { do = \"...\" } or { wait = { for = \"...\" } }",
                ));
            }
        }
    }
    Ok(())
}

/// Whether a step has keys that were not read: words without fields ignore what stands beside them.
fn check_ignored(node: &Node, read: &impl Serialize) -> Result<(), Problem> {
    let Ok(kept) = serde_json::to_value(read) else { return Ok(()) };
    compare(node, &kept)
}

fn compare(node: &Node, kept: &serde_json::Value) -> Result<(), Problem> {
    if let (Value::Table(table), Some(kept)) = (&node.value, kept.as_object()) {
        for entry in &table.entries {
            match kept.get(&entry.key) {
                Some(kept) => compare(&entry.node, kept)?,
                None => {
                    return Err(Problem::new(
                        entry.place,
                        format!("unknown key `{}`", entry.key),
                        "remove it: this step or gate does not take it",
                    ));
                }
            }
        }
    }
    if let (Value::Array(items), Some(kept)) = (&node.value, kept.as_array()) {
        for (item, kept) in items.iter().zip(kept) {
            compare(item, kept)?;
        }
    }
    Ok(())
}
