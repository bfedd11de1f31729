//! Checks of the systems' settings against each other.

use super::{MOST_NODES, MOST_PARTITIONS, place, way, within};
use crate::case::Case;
use crate::case::error::Problem;
use crate::case::tree::{Entry, Node};
use cutover_model::units::Span;

pub(super) fn check(case: &Case, tree: &Node) -> Result<(), Problem> {
    kafka(case, tree)?;
    let sets = place(tree, way!["corgi", "broker-sets"]);
    within(u64::from(case.corgi.broker_sets), 1, u64::from(MOST_PARTITIONS), "`broker-sets`", sets)?;
    let standby = place(tree, way!["corgi", "standby-sets"]);
    within(u64::from(case.corgi.standby_sets), 0, u64::from(MOST_PARTITIONS), "`standby-sets`", standby)?;
    if let Some(hours) = case.corgi.retention.hours
        && hours.start >= hours.end
    {
        return Err(Problem::new(
            place(tree, way!["corgi", "retention", "hours", "end"]),
            format!("the hours begin at {} and end at {}", hours.start, hours.end),
            "write an `end` that is later than `start`",
        ));
    }
    let workers = place(tree, way!["mirror", "workers"]);
    within(u64::from(case.mirror.workers), 1, MOST_NODES, "`workers`", workers)?;
    let workers = place(tree, way!["reverse-mirror", "workers"]);
    let reverse = case.reverse_mirror.as_ref().map_or(1, |reverse| reverse.workers);
    within(u64::from(reverse), 1, MOST_NODES, "`workers`", workers)?;
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
    let kafka = &case.kafka;
    let (brokers, replicas) = (u64::from(kafka.brokers), u64::from(kafka.replication_factor));
    within(brokers, 1, MOST_NODES, "`brokers`", place(tree, way!["kafka", "brokers"]))?;
    within(replicas, 1, brokers, "`replication-factor`", place(tree, way!["kafka", "replication-factor"]))?;
    let in_sync = place(tree, way!["kafka", "min-insync-replicas"]);
    within(u64::from(kafka.min_insync_replicas), 1, replicas, "`min-insync-replicas`", in_sync)
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
