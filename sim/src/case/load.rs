//! From a path or a text to a case.

use super::deserialize::read;
use super::error::Problem;
use super::tree::{Files, Node, Place, Way};
use super::{Case, CaseError, merge, validate};
use crate::random::Streams;
use crate::workload;
use cutover_model::plan::{PlanProblem, Severity, Step};
use std::path::{Path, PathBuf};

/// A case that was read, and where it stands.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The case.
    pub case: Case,
    tree: Node,
    files: Files,
}

/// What the plan's lint warns of, and where that stands.
#[derive(Clone, Debug)]
pub struct Warning {
    /// What it is.
    pub problem: PlanProblem,
    /// The file: that of the case, or one that it extends.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
}

impl Loaded {
    /// Read a case from its file, and what that extends.
    ///
    /// # Errors
    /// The first thing that is wrong, with its file and line.
    pub fn load(path: &Path) -> Result<Loaded, CaseError> {
        Case::load_plainly(path).map_err(blame)
    }

    /// The files that were read for it: its own first, then those that it extends, and its trace.
    pub fn files(&self) -> Vec<PathBuf> {
        let names = self.files.names().map(PathBuf::from);
        let trace = self.case.workload.trace.as_ref().map(|name| trace_path(name, &self.tree, &self.files).0);
        names.chain(trace).collect()
    }

    /// What the plan's lint warns of, in the order of the plan's lines.
    pub fn warnings(&self) -> Vec<Warning> {
        let problems = self.case.plan_problems().into_iter();
        let warnings = problems.filter(|found| found.severity == Severity::Warning);
        let placed = warnings.map(|problem| {
            let place = validate::place_of(&problem, &self.tree);
            Warning { file: self.files.name(place.file).to_owned(), line: self.files.line(place), problem }
        });
        placed.collect()
    }
}

/// Where a trace is, and where the case names it: its path is relative to the file that does.
fn trace_path(name: &str, tree: &Node, files: &Files) -> (PathBuf, Place) {
    let place = tree.place_of(&[Way::Key("workload"), Way::Key("trace")]);
    let folder = Path::new(files.name(place.file)).parent().unwrap_or(Path::new(""));
    (folder.join(name), place)
}

impl Case {
    /// Read a case from its file, and what that extends.
    ///
    /// # Errors
    /// The first thing that is wrong, with its file and line.
    pub fn load(path: &Path) -> Result<Case, CaseError> {
        Loaded::load(path).map(|loaded| loaded.case)
    }

    /// The same, without a word of which file brought an error about.
    fn load_plainly(path: &Path) -> Result<Loaded, Found> {
        let mut files = Files::default();
        let read = merge::load(path, &mut files)
            .and_then(|tree| Case::from_tree(&tree, &files).map(|case| (case, tree)));
        match read {
            Ok((case, tree)) => Ok(Loaded { case, tree, files }),
            Err(error) => Err(Found { error, files }),
        }
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
            let (path, place) = trace_path(&trace, tree, files);
            case.workload.rows =
                workload::read_trace(&path, &case, |problem| CaseError::at(files, problem.or_at(place)))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_names_the_line_that_it_is_about_and_the_file_of_that() {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("the folder can be written to");
            path
        };
        let base = write(
            "base.toml",
            "name = 'a'\n[[topics]]\nname = 'a'\npartitions = 1\n[[groups]]\nname = 'b'\ntopics = ['a']\ninstances = 1\n\
             [[plan.phases]]\nname = 'one'\nsteps = [\n    { do = 'start-mirror' },\n    { do = 'start-mirror' },\n]\n\
             [[plan.phases]]\nname = 'two'\nsteps = []\n",
        );
        let own = write(
            "own.toml",
            "extends = 'base.toml'\n[plan.after.two]\nname = 'three'\nsteps = [{ do = 'release' }]\n\
             [workload]\ntrace = 'trace.csv'\n",
        );
        let trace = write("trace.csv", "at,key,bytes\n1,k,100\n");
        let loaded = Loaded::load(&own).unwrap_or_else(|error| panic!("{error}"));
        let warnings = loaded.warnings();
        let told: Vec<_> = warnings
            .iter()
            .map(|it| (it.problem.phase, it.problem.step, PathBuf::from(&it.file), it.line))
            .collect();
        let expected =
            [(1, Some(2), base.clone(), 13), (2, None, base.clone(), 15), (3, Some(1), own.clone(), 4)];
        assert_eq!(told, expected);
        assert_eq!(loaded.files(), [own, base, trace]);
    }
}
