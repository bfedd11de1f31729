//! The page about the history must name every event and every field, so that a checker can be written from it alone.

use super::samples;
use crate::history::Entry;
use crate::record::NodeId;
use crate::units::Time;
use serde_json::Value;

const PAGE: &str = include_str!("../../../docs/history.md");

/// The part of the page about one event: from its heading to the next.
fn section(name: &str) -> &'static str {
    let heading = format!("\n#### `{name}`\n");
    let start = PAGE.find(&heading).unwrap_or_else(|| panic!("docs/history.md has no heading for `{name}`"));
    let rest = &PAGE[start + heading.len()..];
    &rest[..rest.find("\n#").unwrap_or(rest.len())]
}

#[test]
fn the_page_names_every_event_and_every_field() {
    for event in samples::events() {
        samples::known(&event);
        let entry = Entry { at: Time::ZERO, node: NodeId(0), event };
        let Value::Object(fields) = serde_json::to_value(&entry).unwrap() else {
            panic!("an entry is an object")
        };
        let name = fields["event"].as_str().unwrap();
        let section = section(name);
        for field in fields.keys().filter(|field| !["at", "node", "event"].contains(&field.as_str())) {
            assert!(section.contains(&format!("`{field}`")), "docs/history.md: `{name}` lacks `{field}`");
        }
    }
}

#[test]
fn the_page_names_no_event_that_is_not_there() {
    let names: Vec<String> = samples::events()
        .into_iter()
        .map(|event| serde_json::to_value(&event).unwrap()["event"].as_str().unwrap().to_owned())
        .collect();
    let headings = PAGE.lines().filter_map(|line| line.strip_prefix("#### `")?.strip_suffix('`'));
    for heading in headings {
        assert!(
            names.iter().any(|name| name == heading),
            "docs/history.md has `{heading}`, which is no event"
        );
    }
    assert_eq!(PAGE.matches("\n#### `").count(), names.len());
}
