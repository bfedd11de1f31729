//! Scripts as files: found, read and written.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// The scripts of a folder and the folders in it, by name; a file is itself.
pub fn find(path: &Path) -> Result<Vec<PathBuf>, String> {
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
            found.extend(find(&entry)?);
        } else if entry.extension().is_some_and(|extension| extension == "json") {
            found.push(entry);
        }
    }
    Ok(found)
}

/// All scripts under these paths; the error says which path has none.
pub fn find_all(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut all = Vec::new();
    for path in paths {
        let found = find(path)?;
        if found.is_empty() {
            return Err(format!("{}: no script there", path.display()));
        }
        all.extend(found);
    }
    Ok(all)
}

/// A script, or a list of an assignor's cases.
pub fn read(path: &Path) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("unreadable: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("unreadable: {error}"))
}

/// The file's name without its ending.
pub fn name(path: &Path) -> String {
    path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A value on one line, with a space after each colon and comma.
fn spaced(value: &Value) -> String {
    match value {
        Value::Array(list) => {
            format!("[{}]", list.iter().map(spaced).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let shown = fields
                .iter()
                .map(|(name, value)| format!("{}: {}", Value::from(name.as_str()), spaced(value)));
            format!("{{{}}}", shown.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// A script as a file has it: one step a line, so that it reads like a conversation.
pub fn written(script: &Value) -> String {
    let fields: Vec<String> = script
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| match value.as_array() {
            Some(steps) if name == "steps" => {
                let lines: Vec<String> = steps.iter().map(|step| format!("    {step}")).collect();
                format!("  \"steps\": [\n{}\n  ]", lines.join(",\n"))
            }
            _ => format!("  {}: {}", Value::from(name.as_str()), spaced(value)),
        })
        .collect();
    format!("{{\n{}\n}}\n", fields.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::written;
    use serde_json::json;

    #[test]
    fn a_step_is_a_line() {
        let script = json!({"name": "n", "topics": {"t": [1, 2]}, "steps": [{"wait_ms": 1}, {"wait_ms": 2}]});
        let text = written(&script);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2], "  \"topics\": {\"t\": [1, 2]},");
        assert_eq!(lines[4..6], ["    {\"wait_ms\":1},", "    {\"wait_ms\":2}"]);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON"), script);
    }
}
