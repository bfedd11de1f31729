//! Checks of the systems' settings against each other.

use super::{MOST_NODES, MOST_PARTITIONS, place, way, within};
use crate::case::Case;
use crate::case::error::Problem;
use crate::case::tree::{Entry, Node, Way};
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

/// Kafka lets nobody join whose session is shorter or longer than its brokers are set to: an instance would try for ever.
pub(super) fn sessions(case: &Case, tree: &Node) -> Result<(), Problem> {
    for (at, group) in case.groups.iter().enumerate() {
        session(case, tree, way!["groups", at, "kafka", "session-timeout"], group.kafka.session_timeout)?;
    }
    let reverse = case.reverse_mirror().map(|reverse| reverse.kafka.session_timeout);
    let way = way!["reverse-mirror", "kafka", "session-timeout"];
    reverse.map_or(Ok(()), |timeout| session(case, tree, way, timeout))
}

fn session(case: &Case, tree: &Node, way: &[Way<'_>], timeout: Span) -> Result<(), Problem> {
    let (least, most) = (case.kafka.group_min_session, case.kafka.group_max_session);
    let (key, bound, refused) = match timeout {
        timeout if timeout < least => ("group-min-session", least, "less"),
        timeout if timeout > most => ("group-max-session", most, "more"),
        _ => return Ok(()),
    };
    // Where the consumer's is not written, the broker's is what was changed.
    let there = tree.at(way).or_else(|| tree.at(way!["kafka", key])).map(|node| node.place);
    Err(Problem::new(
        there.unwrap_or(tree.place_of(way)),
        format!(
            "session-timeout is {timeout}, and Kafka's {key} of {bound} refuses {refused}: nobody would ever join"
        ),
        format!("write a `session-timeout` from {least} to {most}, or another `{key}` under [kafka]"),
    ))
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

#[cfg(test)]
mod tests {
    use super::*;

    const STANDARD: &str = "name = 'a'\n[[topics]]\nname = 'a'\npartitions = 1\n[[groups]]\nname = 'b'\ntopics = ['a']\n\
                            instances = 1\n";

    fn refusal(rest: &str) -> (String, usize) {
        let error = Case::from_text("a.toml", &format!("{STANDARD}{rest}")).expect_err(rest);
        (error.message.clone(), error.line - STANDARD.lines().count())
    }

    #[test]
    fn a_session_that_the_brokers_refuse_is_refused() {
        let less =
            "session-timeout is 5s, and Kafka's group-min-session of 6s refuses less: nobody would ever join";
        let short = "kafka = { session-timeout = '5s', heartbeat-interval = '1s' }";
        assert_eq!(refusal(short), (less.to_owned(), 1));
        let long = "kafka = { session-timeout = '31m' }";
        let (message, line) = refusal(long);
        assert!(
            message.starts_with("session-timeout is 31m, and Kafka's group-max-session of 30m"),
            "{message}"
        );
        assert_eq!(line, 1);
        // The broker's is what was written here.
        let (message, line) = refusal("[kafka]\nversion = '3.9'\ngroup-min-session = '1m'");
        assert!(
            message.starts_with("session-timeout is 45s, and Kafka's group-min-session of 1m"),
            "{message}"
        );
        assert_eq!(line, 3);
        let reverse = "[reverse-mirror.kafka]\nheartbeat-interval = '1s'\nsession-timeout = '5s'";
        assert_eq!(refusal(reverse), (less.to_owned(), 3));
        for right in [
            "kafka = { session-timeout = '6s' }",
            "kafka = { session-timeout = '30m' }",
            "kafka = { session-timeout = '5s', heartbeat-interval = '1s' }\n[kafka]\ngroup-min-session = '5s'",
        ] {
            Case::from_text("a.toml", &format!("{STANDARD}{right}"))
                .unwrap_or_else(|error| panic!("{error}"));
        }
    }
}
