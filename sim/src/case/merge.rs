//! `extends`: a case that says only how it differs from another. Tables are merged key by key, lists and single values
//! replaced; the phases of a plan may be replaced, added and removed by name.

use super::CaseError;
use super::error::{Problem, advice};
use super::tree::{Entry, Files, Node, Table, Value, parse};
use std::path::{Path, PathBuf};

/// How many files may stand on each other.
const DEEPEST: usize = 8;

/// The largest file that is read: a million rows of a trace have room.
const LARGEST_BYTES: u64 = 64 << 20;

/// Read a file and what it extends.
pub(crate) fn load(path: &Path, files: &mut Files) -> Result<Node, CaseError> {
    let text = text_of(path).map_err(|why| {
        CaseError::unreadable(
            &path.display().to_string(),
            format!("the case cannot be read: {why}"),
            "check the path; the shipped cases are in scenarios/",
        )
    })?;
    load_text(path, text, files)
}

/// Read a text as if it stood in that file, and what it extends.
pub(crate) fn load_text(path: &Path, text: String, files: &mut Files) -> Result<Node, CaseError> {
    let mut seen = Vec::new();
    load_below(path, text, files, &mut seen)
}

/// The text of a case or of a trace.
///
/// # Errors
/// Why it cannot be read, in words.
pub(crate) fn text_of(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| reason(&error))?;
    if metadata.is_dir() {
        return Err("it is a directory".to_owned());
    }
    // A device or a pipe may never end.
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let length = metadata.len();
    if length > LARGEST_BYTES {
        return Err(format!("it has {length} bytes, and at most {LARGEST_BYTES} are read"));
    }
    let bytes = std::fs::read(path).map_err(|error| reason(&error))?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// An error of the file system in words that are the same on every system.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        kind => kind.to_string(),
    }
}

fn load_below(
    path: &Path,
    text: String,
    files: &mut Files,
    seen: &mut Vec<PathBuf>,
) -> Result<Node, CaseError> {
    seen.push(std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()));
    let file = files.add(path.display().to_string(), text);
    let mut own = parse(file, files.text(file)).map_err(|problem| CaseError::at(files, problem))?;
    let extends = match &mut own.value {
        Value::Table(table) => table.take("extends"),
        _ => None,
    };
    let base = extends.map(|entry| load_base(path, &entry, files, seen)).transpose()?;
    let edits = take_edits(&mut own).map_err(|problem| CaseError::at(files, problem))?;
    let mut merged = match base {
        Some(base) => merge(base, own),
        None => own,
    };
    edits.apply(&mut merged).map_err(|problem| CaseError::at(files, problem))?;
    if seen.len() == 1 {
        spread_consumers(&mut merged);
    }
    seen.pop();
    Ok(merged)
}

fn load_base(
    path: &Path,
    extends: &Entry,
    files: &mut Files,
    seen: &mut Vec<PathBuf>,
) -> Result<Node, CaseError> {
    let problem = |message: String, help: &str| Problem::new(extends.node.place, message, help);
    let Some(name) = extends.node.text() else {
        let message = format!("{} stands where a file is needed", extends.node.kind());
        return Err(CaseError::at(files, problem(message, "write extends = \"other.toml\"")));
    };
    let base = path.parent().unwrap_or(Path::new("")).join(name);
    let text = match text_of(&base) {
        Ok(text) => text,
        Err(why) => {
            let message = format!("`{name}` cannot be read: {why}");
            let help = "a path in `extends` is relative to the file that names it";
            return Err(CaseError::at(files, problem(message, help)));
        }
    };
    let canonical = std::fs::canonicalize(&base).unwrap_or_else(|_| base.clone());
    if seen.contains(&canonical) {
        let message = format!("`{name}` extends this file in turn: the files go round in a circle");
        return Err(CaseError::at(files, problem(message, "remove one `extends` of the circle")));
    }
    if seen.len() >= DEEPEST {
        let message = format!("more than {DEEPEST} files extend each other");
        return Err(CaseError::at(files, problem(message, "put two of them together")));
    }
    load_below(&base, text, files, seen)
}

/// The base with what the extending node says.
fn merge(base: Node, over: Node) -> Node {
    match (base.value, over.value) {
        (Value::Table(mut base), Value::Table(over_table)) => {
            for entry in over_table.entries {
                let node = match base.take(&entry.key) {
                    Some(below) => merge(below.node, entry.node),
                    None => entry.node,
                };
                base.entries.push(Entry { key: entry.key, place: entry.place, node });
            }
            Node { place: over.place, value: Value::Table(base) }
        }
        (_, value) => Node { place: over.place, value },
    }
}

/// Give each group what `[consumers]` says and the group does not.
fn spread_consumers(root: &mut Node) {
    let Value::Table(table) = &mut root.value else { return };
    let Some(consumers) = table.take("consumers") else { return };
    let Some(groups) = table.entries.iter_mut().find(|entry| entry.key == "groups") else { return };
    if let Value::Array(groups) = &mut groups.node.value {
        for group in groups {
            *group = merge(consumers.node.clone(), group.clone());
        }
    }
}

/// The changes that a file makes to the phases of the plan below it.
#[derive(Default)]
struct Edits {
    remove: Vec<Node>,
    replace: Vec<Entry>,
    before: Vec<Entry>,
    after: Vec<Entry>,
}

fn take_edits(root: &mut Node) -> Result<Edits, Problem> {
    let mut edits = Edits::default();
    let Value::Table(root) = &mut root.value else { return Ok(edits) };
    let Some(plan) = root.entries.iter_mut().find(|entry| entry.key == "plan") else { return Ok(edits) };
    let Value::Table(plan) = &mut plan.node.value else { return Ok(edits) };
    if let Some(entry) = plan.take("remove") {
        match entry.node.value {
            Value::Array(names) => edits.remove = names,
            _ => {
                return Err(Problem::new(
                    entry.node.place,
                    "a list of phases is needed",
                    "write remove = [\"retire\"]",
                ));
            }
        }
    }
    edits.replace = named_phases(plan, "replace")?;
    edits.before = named_phases(plan, "before")?;
    edits.after = named_phases(plan, "after")?;
    Ok(edits)
}

fn named_phases(plan: &mut Table, key: &str) -> Result<Vec<Entry>, Problem> {
    let Some(entry) = plan.take(key) else { return Ok(Vec::new()) };
    let place = entry.node.place;
    match entry.node.value {
        Value::Table(table) if table.entries.iter().all(|entry| entry.node.table().is_some()) => {
            Ok(table.entries)
        }
        _ => Err(Problem::new(
            place,
            format!("`{key}` takes phases by the name of the phase that they stand for"),
            format!("write [plan.{key}.cut-read] and the phase's keys below it"),
        )),
    }
}

impl Edits {
    fn apply(self, root: &mut Node) -> Result<(), Problem> {
        if self.remove.is_empty()
            && self.replace.is_empty()
            && self.before.is_empty()
            && self.after.is_empty()
        {
            return Ok(());
        }
        let mut none = Vec::new();
        let phases = phases_of(root).unwrap_or(&mut none);
        for entry in self.replace {
            let found = find(phases, &entry.key, entry.place)?;
            phases[found] = with_name(entry);
        }
        for entry in self.before {
            let found = find(phases, &entry.key, entry.place)?;
            phases.insert(found, entry.node);
        }
        for entry in self.after {
            let found = find(phases, &entry.key, entry.place)?;
            phases.insert(found + 1, entry.node);
        }
        for name in self.remove {
            let found = find(phases, name.text().unwrap_or_default(), name.place)?;
            phases.remove(found);
        }
        Ok(())
    }
}

fn phases_of(root: &mut Node) -> Option<&mut Vec<Node>> {
    let Value::Table(root) = &mut root.value else { return None };
    let plan = root.entries.iter_mut().find(|entry| entry.key == "plan")?;
    let Value::Table(plan) = &mut plan.node.value else { return None };
    let phases = plan.entries.iter_mut().find(|entry| entry.key == "phases")?;
    match &mut phases.node.value {
        Value::Array(phases) => Some(phases),
        _ => None,
    }
}

fn name_of(phase: &Node) -> Option<&str> {
    phase.get("name").and_then(Node::text)
}

fn find(phases: &[Node], name: &str, place: super::tree::Place) -> Result<usize, Problem> {
    phases.iter().position(|phase| name_of(phase) == Some(name)).ok_or_else(|| {
        let names: Vec<&str> = phases.iter().filter_map(name_of).collect();
        Problem::new(place, format!("the plan has no phase `{name}`"), advice(name, names))
    })
}

/// A phase that stands for another has its name, unless it says another.
fn with_name(entry: Entry) -> Node {
    let Entry { key, place, mut node } = entry;
    if let Value::Table(table) = &mut node.value
        && !table.entries.iter().any(|entry| entry.key == "name")
    {
        table.put(Entry { key: "name".to_owned(), place, node: Node { place, value: Value::Text(key) } });
    }
    node
}
