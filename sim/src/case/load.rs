//! From a path or a text to a case.

use super::deserialize::read;
use super::error::Problem;
use super::tree::{Files, Node, Way};
use super::{Case, CaseError, merge, validate};
use crate::random::Streams;
use crate::workload;
use cutover_model::plan::Step;
use std::path::Path;

impl Case {
    /// Read a case from its file, and what that extends.
    ///
    /// # Errors
    /// The first thing that is wrong, with its file and line.
    pub fn load(path: &Path) -> Result<Case, CaseError> {
        Case::load_plainly(path).map_err(blame)
    }

    /// The same, without a word of which file brought an error about.
    fn load_plainly(path: &Path) -> Result<Case, Found> {
        let mut files = Files::default();
        let read = merge::load(path, &mut files).and_then(|tree| Case::from_tree(&tree, &files));
        read.map_err(|error| Found { error, files })
    }

    /// Read a case from a text; `extends` and `trace` are relative to the present directory.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line.
    pub fn from_text(name: &str, text: &str) -> Result<Case, CaseError> {
        let mut files = Files::default();
        let read = merge::load_text(Path::new(name), text.to_owned(), &mut files)
            .and_then(|tree| Case::from_tree(&tree, &files));
        read.map_err(|error| blame(Found { error, files }))
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

/// An error, and the files that were read until then: each extends the next.
struct Found {
    error: CaseError,
    files: Files,
}

/// The error with the file that brought it about, where it lies in another one, which that file extends and which by itself
/// has no such error: who has only changed the first would look for it in vain in the other.
fn blame(Found { mut error, files }: Found) -> CaseError {
    let Some(place) = files.find(&error.file).filter(|place| *place > 0) else { return error };
    let same = |found: &Found| {
        (&found.error.file, found.error.line, &found.error.message)
            == (&error.file, error.line, &error.message)
    };
    let has_it = |file: &usize| {
        let loaded = Case::load_plainly(Path::new(files.name(*file)));
        loaded.is_err_and(|found| same(&found))
    };
    if has_it(&place) {
        return error;
    }
    let extending = (1..place).rev().find(has_it).unwrap_or(0);
    let name = files.name(extending).to_owned();
    error.add_help(&format!("or mend it in {name}, which extends this file and brings it about"));
    error
}

/// Read the plan's steps one by one first, so that a mistake in one is told with that step's place.
fn check_steps(tree: &Node) -> Result<(), Problem> {
    let phases = tree.get("plan").and_then(|plan| plan.get("phases")).map_or(&[][..], Node::items);
    for step in phases.iter().filter_map(|phase| phase.get("steps")).flat_map(Node::items) {
        read::<Step>(step)?;
    }
    Ok(())
}
