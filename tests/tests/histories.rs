//! An independent judge of two guarantees, at-least-once and the order of a session, written from `docs/history.md`
//! alone over the lines that `cutover replay --history` writes. It is slow and simple, and it comes to the same
//! verdicts as the tool: the page says enough.

#![allow(
    clippy::unwrap_used,
    reason = "a history that is not as the page says fails the test where it is read"
)]

mod common;

use common::{figure, shipped};
use cutover_model::check::{Guarantee, Verdict};
use cutover_sim::case::Case;
use cutover_sim::results::RunResult;
use cutover_sim::run::{self, Keep};
use serde_json::Value;
use std::collections::BTreeSet;

/// `{"producer": 1, "sequence": 17}`.
type RecordId = (u64, u64);

/// `{"topic": 0, "partition": 3}`.
type Partition = (u64, u64);

/// What a judge may know beside the history.
struct Groups {
    /// By group: the topics that it reads, by their place in the case.
    topics: Vec<BTreeSet<u64>>,
    ordered: Vec<bool>,
}

impl Groups {
    fn of(case: &Case) -> Groups {
        let place = |name: &String| case.topics.iter().position(|topic| topic.name == *name).unwrap() as u64;
        Groups {
            topics: case.groups.iter().map(|group| group.topics.iter().map(place).collect()).collect(),
            ordered: case.groups.iter().map(|group| group.ordered).collect(),
        }
    }
}

/// The history as anybody reads it: lines of text.
struct History(Vec<Value>);

fn id(value: &Value) -> RecordId {
    (value["producer"].as_u64().unwrap(), value["sequence"].as_u64().unwrap())
}

fn partition(value: &Value) -> Partition {
    (value["topic"].as_u64().unwrap(), value["partition"].as_u64().unwrap())
}

impl History {
    fn read(lines: &str) -> History {
        History(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    fn named<'a>(&'a self, event: &'a str) -> impl Iterator<Item = (usize, &'a Value)> {
        self.0.iter().enumerate().filter(move |(_, entry)| entry["event"] == event)
    }

    fn has(&self, event: &str) -> bool {
        self.named(event).next().is_some()
    }

    fn because(&self) -> &str {
        self.0
            .last()
            .filter(|last| last["event"] == "ended")
            .map_or("", |last| last["because"].as_str().unwrap())
    }

    /// Ids under the key `record` of all entries of a name.
    fn ids(&self, event: &str) -> BTreeSet<RecordId> {
        self.named(event).map(|(_, entry)| id(&entry["record"])).collect()
    }

    fn of_group(&self, event: &str, group: u64) -> BTreeSet<RecordId> {
        self.named(event)
            .filter(|(_, entry)| entry["group"] == group)
            .map(|(_, entry)| id(&entry["record"]))
            .collect()
    }
}

/// A record as `invoked` had it.
#[derive(Clone, Copy)]
struct Invoked {
    at: usize,
    id: RecordId,
    topic: u64,
}

fn invoked(history: &History) -> Vec<Invoked> {
    let read = |(at, entry): (usize, &Value)| {
        let record = &entry["record"];
        Invoked { at, id: id(&record["id"]), topic: record["topic"].as_u64().unwrap() }
    };
    history.named("invoked").map(read).collect()
}

/// What the judge counts.
#[derive(Debug, PartialEq, Eq)]
struct Judged {
    /// Lost in a group, once a record and group.
    lost: usize,
    /// Acknowledged, not processed by a group, and not lost.
    pending: usize,
    phantoms: usize,
    /// First deliveries on the ground `session`, all ordered groups together.
    reordered: usize,
}

fn judge(history: &History, groups: &Groups) -> Judged {
    let mut judged = Judged { lost: 0, pending: 0, phantoms: phantoms(history), reordered: 0 };
    let acknowledged = history.ids("acknowledged");
    let records = invoked(history);
    for (group, topics) in groups.topics.iter().enumerate() {
        let processed = history.of_group("processed", group as u64);
        let missing = records.iter().filter(|record| {
            topics.contains(&record.topic)
                && acknowledged.contains(&record.id)
                && !processed.contains(&record.id)
        });
        for record in missing {
            let lost = match history.because() {
                "drained" => true,
                "time-budget" => {
                    history.has("healed") && passed_over_for_good(history, record.id, group as u64)
                }
                _ => false,
            };
            if lost { judged.lost += 1 } else { judged.pending += 1 }
        }
        if groups.ordered[group] {
            judged.reordered += reordered_by_session(history, &records, group as u64);
        }
    }
    judged
}

/// A delivery, no acknowledgement, and a refusal or no sending at all.
fn phantoms(history: &History) -> usize {
    let (acknowledged, refused) = (history.ids("acknowledged"), history.ids("refused"));
    let known: BTreeSet<RecordId> = invoked(history).iter().map(|record| record.id).collect();
    let delivered = history.ids("delivered");
    delivered
        .iter()
        .filter(|id| !acknowledged.contains(id) && (refused.contains(id) || !known.contains(id)))
        .count()
}

/// First deliveries of an ordered group that come behind a later record of the same producer and source partition.
fn reordered_by_session(history: &History, records: &[Invoked], group: u64) -> usize {
    let sent = |id: RecordId| records.iter().find(|record| record.id == id).map(|record| record.at);
    let mut firsts: Vec<(RecordId, Partition, usize)> = Vec::new();
    let mut reordered = 0;
    for (_, entry) in history.named("delivered").filter(|(_, entry)| entry["group"] == group) {
        let (record, source) = (id(&entry["record"]), partition(&entry["source"]));
        let Some(sent) = sent(record) else { continue };
        if firsts.iter().any(|(first, _, _)| *first == record) {
            continue;
        }
        let behind = |(other, partition, other_sent): &(RecordId, Partition, usize)| {
            *partition == source && other.0 == record.0 && sent < *other_sent
        };
        reordered += usize::from(firsts.iter().any(behind));
        firsts.push((record, source, sent));
    }
    reordered
}

/// Where a record stands in a queue: partition, offset, and the line of the history that says so.
fn places(history: &History, record: RecordId, queue: &str) -> Vec<(Partition, u64, usize)> {
    let mut places = Vec::new();
    for (at, entry) in history.named("acknowledged") {
        if id(&entry["record"]) == record && entry["queue"] == queue {
            places.push((partition(&entry["partition"]), entry["offset"].as_u64().unwrap(), at));
        }
    }
    let (which, offset) =
        if queue == "kafka" { ("target", "target_offset") } else { ("source", "source_offset") };
    for (at, entry) in history.named("copied") {
        if id(&entry["record"]) == record {
            places.push((partition(&entry[which]), entry[offset].as_u64().unwrap(), at));
        }
    }
    places
}

/// Whether a group read or committed beyond a place.
fn beyond(history: &History, group: u64, queue: &str, place: Partition, offset: u64) -> bool {
    let here = |entry: &Value| {
        entry["group"] == group && entry["queue"] == queue && partition(&entry["partition"]) == place
    };
    let read = history
        .named("delivered")
        .any(|(_, entry)| here(entry) && entry["offset"].as_u64().unwrap() > offset);
    read || history
        .named("committed")
        .any(|(_, entry)| here(entry) && entry["offset"].as_u64().unwrap() > offset)
}

/// Whether a log lost a place after the line `at`.
fn truncated(history: &History, queue: &str, place: Partition, offset: u64, at: usize) -> bool {
    history.named("truncated").any(|(later, entry)| {
        later > at
            && entry["queue"] == queue
            && partition(&entry["partition"]) == place
            && (entry["to"].as_u64().unwrap()..entry["from"].as_u64().unwrap()).contains(&offset)
    })
}

/// The last of the operator's acts of these names.
fn last_act<'a>(history: &'a History, names: &[&str]) -> Option<&'a str> {
    let acts = history.named("step-done").map(|(_, entry)| entry["act"]["do"].as_str().unwrap());
    acts.filter(|act| names.contains(act)).last()
}

fn passed_over_for_good(history: &History, record: RecordId, group: u64) -> bool {
    let (corgi, kafka) = (places(history, record, "corgi"), places(history, record, "kafka"));
    let passed = |queue: &str, places: &[(Partition, u64, usize)]| {
        places.iter().any(|(place, offset, at)| {
            truncated(history, queue, *place, *offset, *at) || beyond(history, group, queue, *place, *offset)
        })
    };
    let mine: Vec<&Value> =
        history.named("delivered").map(|(_, entry)| entry).filter(|entry| entry["group"] == group).collect();
    if mine.iter().any(|entry| id(&entry["record"]) == record) {
        let last = |queue: &str, places: &[(Partition, u64, usize)]| {
            places
                .last()
                .is_some_and(|(place, offset, _)| committed_beyond(history, group, queue, *place, *offset))
        };
        return last("kafka", &kafka) || last("corgi", &corgi);
    }
    let corgi_stopped = last_act(history, &["stop-corgi"]).is_some();
    if mine.last().is_none_or(|last| last["queue"] == "corgi") {
        return passed("corgi", &corgi) || (kafka.is_empty() && corgi_stopped);
    }
    if !kafka.is_empty() {
        return passed("kafka", &kafka);
    }
    let skipped = history.named("skipped").any(|(_, entry)| id(&entry["record"]) == record);
    let by_mirror = corgi.iter().any(|(place, offset, _)| {
        history.named("mirror-committed").any(|(_, entry)| {
            partition(&entry["source"]) == *place && entry["offset"].as_u64().unwrap() > *offset
        })
    });
    let mirror_stopped = last_act(history, &["start-mirror", "stop-mirror"]) == Some("stop-mirror");
    skipped || by_mirror || passed("corgi", &corgi) || mirror_stopped || corgi_stopped
}

fn committed_beyond(history: &History, group: u64, queue: &str, place: Partition, offset: u64) -> bool {
    history.named("committed").any(|(_, entry)| {
        entry["group"] == group
            && entry["queue"] == queue
            && partition(&entry["partition"]) == place
            && entry["offset"].as_u64().unwrap() > offset
    })
}

/// The lines that the command writes.
fn lines(result: &RunResult) -> String {
    result.history.iter().map(|entry| serde_json::to_string(entry).unwrap() + "\n").collect()
}

/// The judge and the tool come to the same verdicts and the same counts. Returns the tool's verdicts of at-least-once
/// and order.
fn agree(case: &Case, seed: u64) -> (Verdict, Verdict) {
    let result = run::alone(case, seed, Keep { history: true, messages: false });
    let judged = judge(&History::read(&lines(&result)), &Groups::of(case));
    let of = |guarantee| result.judgements.iter().find(|judgement| judgement.guarantee == guarantee).unwrap();
    let (delivery, order) = (of(Guarantee::AtLeastOnce), of(Guarantee::Order));
    let told = format!("{}, seed {seed}: {judged:?}\n{}", case.name, common::findings(&result));
    assert_eq!(judged.reordered as u64, figure(&result, "reordered_by_session_records"), "{told}");
    assert_eq!((judged.lost + judged.phantoms) as u64, delivery.findings_total, "{told}");
    let expected = match &judged {
        Judged { lost: 0, phantoms: 0, pending: 0, .. } => Verdict::Held,
        Judged { lost: 0, phantoms: 0, .. } => Verdict::Unknown,
        _ => Verdict::Violated,
    };
    assert_eq!(delivery.verdict, expected, "{told}");
    if judged.reordered > 0 {
        assert_eq!(order.verdict, Verdict::Violated, "{told}");
    }
    (delivery.verdict, order.verdict)
}

#[test]
fn the_page_suffices_to_judge_the_published_plan() {
    let case = shipped("article");
    let verdicts: Vec<Verdict> = (0..16).map(|seed| agree(&case, seed).1).collect();
    for verdict in [Verdict::Held, Verdict::Violated] {
        assert!(verdicts.contains(&verdict), "no seed is {verdict}: {verdicts:?}");
    }
}

#[test]
fn the_page_suffices_to_judge_the_naive_switch() {
    let case = shipped("naive");
    let verdicts: Vec<Verdict> = (0..16).map(|seed| agree(&case, seed).0).collect();
    assert!(verdicts.contains(&Verdict::Violated), "no seed loses anything: {verdicts:?}");
}

#[test]
fn the_page_suffices_to_judge_producers_that_write_to_both() {
    let case = shipped("dual-write-client");
    for seed in 0..4 {
        agree(&case, seed);
    }
}
