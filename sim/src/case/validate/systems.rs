//! Checks of the systems' settings against each other.

use super::{MOST_NODES, place, way, within};
use crate::case::Case;
use crate::case::error::Problem;
use crate::case::tree::{Entry, Node};
use cutover_model::units::Span;

pub(super) fn check(case: &Case, tree: &Node) -> Result<(), Problem> {
    kafka(case, tree)?;
    let workers = place(tree, way!["mirror", "workers"]);
    within(u64::from(case.mirror.workers), 1, MOST_NODES, "`workers`", workers)?;
    let mut first = Ok(());
    tree.walk(&mut |entry| {
        if first.is_ok() {
            first = range(entry);
        }
    });
    first
}

/// More replicas than brokers cannot be placed, and with more in sync than there are no write is ever acknowledged.
fn kafka(case: &Case, tree: &Node) -> Result<(), Problem> {
    // By the keys of the file, which are what a reader is told.
    let Ok(settings) = serde_json::to_value(&case.kafka) else { return Ok(()) };
    let mut most = MOST_NODES;
    for key in ["brokers", "replication-factor", "min-insync-replicas"] {
        if let Some(number) = settings.get(key).and_then(serde_json::Value::as_u64) {
            within(number, 1, most, &format!("`{key}`"), place(tree, way!["kafka", key]))?;
            most = number;
        }
    }
    Ok(())
}

/// A list of two durations is a range: at least, and at most.
fn range(entry: &Entry) -> Result<(), Problem> {
    let [least, most] = entry.node.items() else { return Ok(()) };
    let span = |node: &Node| node.text().and_then(|text| text.parse::<Span>().ok());
    match (span(least), span(most)) {
        (Some(shortest), Some(longest)) if shortest > longest => Err(Problem::new(
            most.place,
            format!("`{}` goes from {shortest} to {longest}", entry.key),
            "write the shorter duration first",
        )),
        _ => Ok(()),
    }
}
