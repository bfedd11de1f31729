//! Compares answers field by field.

use serde_json::Value;

/// Whether every field of `want` is in `got`; a field may also say {"not": value}.
pub fn matches(got: &Value, want: &Value) -> bool {
    match (got, want) {
        (_, Value::Object(w)) if w.len() == 1 && w.contains_key("not") => *got != w["not"],
        (Value::Object(g), Value::Object(w)) => {
            w.iter().all(|(key, value)| g.get(key).is_some_and(|found| matches(found, value)))
        }
        (Value::Array(g), Value::Array(w)) => {
            g.len() == w.len() && g.iter().zip(w).all(|(found, wanted)| matches(found, wanted))
        }
        (found, wanted) => found == wanted,
    }
}

/// The first field in which two answers differ. What varied between recordings is not compared.
pub fn difference(path: &str, expected: &Value, got: &Value, varies: &[String]) -> Option<String> {
    if varies.iter().any(|varied| varied == path) {
        return None;
    }
    match (expected, got) {
        (Value::Object(e), Value::Object(g)) => {
            for (key, value) in e {
                let at = format!("{path}/{key}");
                match g.get(key) {
                    Some(found) => {
                        if let Some(difference) = difference(&at, value, found, varies) {
                            return Some(difference);
                        }
                    }
                    None if varies.contains(&at) => {}
                    None => return Some(format!("{at}: expected {value}, got nothing")),
                }
            }
            g.iter()
                .map(|(key, value)| (format!("{path}/{key}"), key, value))
                .find(|(at, key, _)| !e.contains_key(*key) && !varies.contains(at))
                .map(|(at, _, value)| format!("{at}: expected nothing, got {value}"))
        }
        (Value::Array(e), Value::Array(g)) if e.len() == g.len() => {
            e.iter().zip(g).enumerate().find_map(|(place, (expected, got))| {
                difference(&format!("{path}/{place}"), expected, got, varies)
            })
        }
        (expected, got) if expected == got => None,
        (expected, got) => Some(format!("{path}: expected {expected}, got {got}")),
    }
}
