//! The checks that need more than one value: counts, names, times and figures that no system could have. Each names the
//! place of the value that is wrong.

mod faults;
mod plan;
mod settings;
mod systems;
mod unheard;
mod workload;

use super::Case;
use super::error::{Problem, advice};
use super::tree::{Node, Place, Way};
use crate::build::SET_BROKERS;
use cutover_model::check::{Guarantee, Verdict};
use cutover_model::units::Span;

pub(crate) use plan::place_of;
pub(crate) use workload::MOST_BYTES;

/// The most partitions that a topic may have.
pub(crate) const MOST_PARTITIONS: u16 = 256;

/// The most topics and groups that a case may have.
const MOST_NAMES: usize = 200;

/// The most nodes that a world may have.
pub(crate) const MOST_NODES: u64 = 2_000;

/// Name service, on-call, Kafka's controller, switch centre, deployment, operator and Redis.
const SINGLE_NODES: u64 = 7;

/// The longest that a case may last: a day of simulated time.
const LONGEST: Span = Span::secs(24 * 60 * 60);

/// Check a case that was read.
///
/// # Errors
/// The first problem.
pub(crate) fn validate(case: &Case, tree: &Node) -> Result<(), Problem> {
    run(case, tree)?;
    topics(case, tree)?;
    groups(case, tree)?;
    systems::check(case, tree)?;
    settings::check(case, tree)?;
    systems::sessions(case, tree)?;
    unheard::check(case, tree)?;
    counts(case, tree)?;
    network(case, tree)?;
    workload::check(case, tree)?;
    plan::check(case, tree)?;
    faults::check(case, tree)?;
    expect(case, tree)
}

/// The place of a value, or of what is written nearest above it.
pub(crate) fn place(tree: &Node, way: &[Way<'_>]) -> Place {
    tree.place_of(way)
}

/// The way down by keys and places: `way!["groups", 0, "topics"]`.
macro_rules! way {
    ($($step:expr),+ $(,)?) => { &[$($crate::case::tree::Way::from($step)),+] };
}
pub(crate) use way;

fn run(case: &Case, tree: &Node) -> Result<(), Problem> {
    if case.name.trim().is_empty() {
        return Err(Problem::new(
            place(tree, way!["name"]),
            "the name is empty",
            "write a name, such as \"article\"",
        ));
    }
    positive(case.duration, place(tree, way!["duration"]))?;
    if case.duration > LONGEST {
        return Err(Problem::new(
            place(tree, way!["duration"]),
            format!("a case lasts at most {LONGEST} of simulated time"),
            "write a shorter duration; the shipped cases have \"10m\"",
        ));
    }
    within(case.budget, 1, 1_000_000_000, "`budget`", place(tree, way!["budget"]))?;
    within(case.seeds, 1, 10_000_000, "`seeds`", place(tree, way!["seeds"]))
}

fn topics(case: &Case, tree: &Node) -> Result<(), Problem> {
    within(
        case.topics.len() as u64,
        1,
        MOST_NAMES as u64,
        "the number of topics",
        place(tree, way!["topics"]),
    )?;
    unique(case.topics.iter().map(|topic| topic.name.as_str()), "topic", |at| {
        place(tree, way!["topics", at, "name"])
    })?;
    for (at, topic) in case.topics.iter().enumerate() {
        let most = u64::from(MOST_PARTITIONS);
        within(
            u64::from(topic.partitions),
            1,
            most,
            "`partitions`",
            place(tree, way!["topics", at, "partitions"]),
        )?;
        let there = place(tree, way!["topics", at, "target-partitions"]);
        within(u64::from(topic.target_partitions()), 1, most, "`target-partitions`", there)?;
    }
    Ok(())
}

fn groups(case: &Case, tree: &Node) -> Result<(), Problem> {
    within(
        case.groups.len() as u64,
        1,
        MOST_NAMES as u64,
        "the number of groups",
        place(tree, way!["groups"]),
    )?;
    unique(case.groups.iter().map(|group| group.name.as_str()), "group", |at| {
        place(tree, way!["groups", at, "name"])
    })?;
    for (at, group) in case.groups.iter().enumerate() {
        let instances = place(tree, way!["groups", at, "instances"]);
        within(u64::from(group.instances), 1, MOST_NODES, "`instances`", instances)?;
        let spare = place(tree, way!["groups", at, "spare-instances"]);
        within(u64::from(group.spare_instances), 0, MOST_NODES, "`spare-instances`", spare)?;
        if group.topics.is_empty() {
            let there = place(tree, way!["groups", at, "topics"]);
            return Err(Problem::new(there, "a group without topics reads nothing", "name a topic"));
        }
        for (number, topic) in group.topics.iter().enumerate() {
            let there = place(tree, way!["groups", at, "topics", number]);
            known_topic(case, topic, there)?;
            if group.topics[..number].contains(topic) {
                return Err(Problem::new(
                    there,
                    format!("the topic `{topic}` is there twice"),
                    "remove one of them",
                ));
            }
        }
    }
    Ok(())
}

fn counts(case: &Case, tree: &Node) -> Result<(), Problem> {
    let producers = place(tree, way!["producers", "count"]);
    within(u64::from(case.producers.count), 1, MOST_NODES, "`count`", producers)?;
    // Each instance is two nodes: its OldClient's process and its NewClient's.
    let of_group =
        |group: &crate::case::Group| 2 * u64::from(group.instances) + u64::from(group.spare_instances);
    let consumers: u64 = case.groups.iter().map(of_group).sum();
    let nodes = u64::from(case.producers.count)
        + consumers
        + u64::from(case.mirror.workers)
        + u64::from(case.reverse_mirror().map_or(0, |reverse| reverse.workers))
        + u64::from(case.kafka.brokers)
        + (u64::from(case.corgi.broker_sets) + u64::from(case.corgi.standby_sets)) * u64::from(SET_BROKERS)
        + SINGLE_NODES;
    if nodes > MOST_NODES {
        return Err(Problem::new(
            place(tree, way!["groups"]),
            format!(
                "brokers, workers, producers and the instances of all groups, old and new, are {nodes} nodes"
            ),
            format!("a case has at most {MOST_NODES}: lower `count` or `instances`"),
        ));
    }
    Ok(())
}

fn network(case: &Case, tree: &Node) -> Result<(), Problem> {
    for (key, latency) in [("within", case.network.within), ("between", case.network.between)] {
        let there = place(tree, way!["network", key, "most"]);
        ordered(latency.least, latency.most, there)?;
        if latency.most > Span::secs(60) {
            return Err(Problem::new(there, "a message takes at most a minute", "write a shorter time"));
        }
    }
    let mut homes: Vec<(crate::faults::NodeKind, &str)> = Vec::new();
    for (site, kinds) in &case.network.sites {
        for (at, kind) in kinds.iter().enumerate() {
            let there = place(tree, way!["network", "sites", site.as_str(), at]);
            if let Some((_, other)) = homes.iter().find(|(placed, _)| placed == kind) {
                let message = format!("`{kind}` is in the site `{other}` as well");
                return Err(Problem::new(there, message, "put it in one site"));
            }
            homes.push((*kind, site));
        }
    }
    for kind in <crate::faults::NodeKind as strum::IntoEnumIterator>::iter() {
        // A case that has no Redis, and says where everything stands, need not place it.
        let is_there = kind != crate::faults::NodeKind::Redis || case.redis().is_some();
        if is_there && !homes.iter().any(|(placed, _)| *placed == kind) {
            let there = place(tree, way!["network", "sites"]);
            return Err(Problem::new(there, format!("`{kind}` is in no site"), "add it to one of them"));
        }
    }
    if case.clocks.skew > Span::secs(3_600) {
        return Err(Problem::new(
            place(tree, way!["clocks", "skew"]),
            "a clock is wrong by at most an hour",
            "write less",
        ));
    }
    Ok(())
}

fn expect(case: &Case, tree: &Node) -> Result<(), Problem> {
    let expect = &case.expect;
    match (expect.verdict, expect.guarantees.is_empty()) {
        (Verdict::Violated, true) => Err(Problem::new(
            place(tree, way!["expect", "verdict"]),
            "a case that is to be violated says which guarantees",
            "add guarantees = [\"order\"]",
        )),
        (Verdict::Held | Verdict::Unknown, false) => Err(Problem::new(
            place(tree, way!["expect", "guarantees"]),
            format!(
                "the guarantees to be found violated are named, and the verdict is to be `{}`",
                expect.verdict
            ),
            "write verdict = \"violated\", or remove `guarantees`",
        )),
        _ => {
            let words: Vec<String> = expect.guarantees.iter().map(Guarantee::to_string).collect();
            unique(words.iter().map(String::as_str), "guarantee", |at| {
                place(tree, way!["expect", "guarantees", at])
            })
        }
    }
}

/// Whether a topic of that name exists.
pub(crate) fn known_topic(case: &Case, name: &str, there: Place) -> Result<(), Problem> {
    known(name, "topic", case.topics.iter().map(|topic| topic.name.as_str()), there)
}

/// Whether a group of that name exists.
pub(crate) fn known_group(case: &Case, name: &str, there: Place) -> Result<(), Problem> {
    known(name, "group", case.groups.iter().map(|group| group.name.as_str()), there)
}

fn known<'a>(
    name: &str,
    what: &str,
    names: impl Iterator<Item = &'a str> + Clone,
    there: Place,
) -> Result<(), Problem> {
    match names.clone().any(|known| known == name) {
        true => Ok(()),
        false => Err(Problem::new(there, format!("there is no {what} `{name}`"), advice(name, names))),
    }
}

/// Whether names are not empty and each is there once.
fn unique<'a>(
    names: impl Iterator<Item = &'a str>,
    what: &str,
    there: impl Fn(usize) -> Place,
) -> Result<(), Problem> {
    let mut seen = std::collections::BTreeSet::new();
    for (at, name) in names.enumerate() {
        if name.trim().is_empty() {
            return Err(Problem::new(there(at), format!("the name of this {what} is empty"), "write a name"));
        }
        if !seen.insert(name) {
            return Err(Problem::new(
                there(at),
                format!("the {what} `{name}` is there twice"),
                "rename one of them",
            ));
        }
    }
    Ok(())
}

/// Whether a number is within its limits.
pub(crate) fn within(number: u64, least: u64, most: u64, what: &str, there: Place) -> Result<(), Problem> {
    match (least..=most).contains(&number) {
        true => Ok(()),
        false => Err(Problem::new(
            there,
            format!("{what} is {number}, and must be from {least} to {most}"),
            format!("write a number from {least} to {most}"),
        )),
    }
}

/// Whether a span is more than nothing.
pub(crate) fn positive(span: Span, there: Place) -> Result<(), Problem> {
    match span.0 {
        0 => Err(Problem::new(there, "a duration of zero", "write a longer one, such as \"10s\"")),
        _ => Ok(()),
    }
}

/// Whether the greatest is not less than the least.
pub(crate) fn ordered(least: Span, most: Span, there: Place) -> Result<(), Problem> {
    match least <= most {
        true => Ok(()),
        false => Err(Problem::new(
            there,
            format!("`most` is {most}, and `least` is {least}"),
            "write a `most` that is not less than `least`",
        )),
    }
}
