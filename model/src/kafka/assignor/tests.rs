//! The assignors against what Java's returned: `conformance/recordings/assignors`.

use super::*;
use crate::kafka::protocol::{GroupInstanceId, Subscription};
use serde_json::Value;
use std::collections::BTreeSet;

/// Names in the order of the alphabet stand for numbers.
fn place(names: &[String], name: &str) -> usize {
    names.iter().position(|other| other == name).expect("a name of the case")
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}

struct Case {
    about: String,
    counts: BTreeMap<TopicId, u16>,
    members: Vec<JoinedMember>,
    expected: BTreeMap<MemberId, BTreeSet<TopicPartition>>,
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

fn read(value: &Value) -> Case {
    let all = value["members"].as_array().unwrap();
    let own = value["topics"].as_object().unwrap().keys().cloned();
    let topics = sorted(own.chain(all.iter().flat_map(|member| {
        let owned =
            texts(&member["owned"]).into_iter().filter_map(|text| Some(text.split_once('/')?.0.to_owned()));
        texts(&member["topics"]).into_iter().chain(owned).collect::<Vec<_>>()
    })));
    let names = sorted(all.iter().map(|member| member["id"].as_str().unwrap().to_owned()));
    let instances = sorted(all.iter().filter_map(|member| Some(member["instance"].as_str()?.to_owned())));
    let topic = |name: &str| TopicId(u16::try_from(place(&topics, name)).unwrap());
    let partition = |text: &String| {
        let (name, number) = text.split_once('/').unwrap();
        TopicPartition { topic: topic(name), partition: number.parse().unwrap() }
    };
    let id = |name: &str| MemberId(place(&names, name) as u64 + 1);
    let member = |member: &Value| JoinedMember {
        member: id(member["id"].as_str().unwrap()),
        instance: member["instance"].as_str().map(|name| GroupInstanceId(place(&instances, name) as u32)),
        subscription: Subscription {
            topics: texts(&member["topics"]).iter().map(|name| topic(name)).collect(),
            owned: texts(&member["owned"]).iter().map(partition).collect(),
            generation: i32::try_from(member["generation"].as_i64().unwrap()).unwrap(),
            opaque: 0,
        },
    };
    let mut members: Vec<JoinedMember> = all.iter().map(member).collect();
    let order = texts(&value["iteration"]);
    members.sort_by_key(|member| order.iter().position(|name| id(name) == member.member));
    let counts = value["topics"].as_object().unwrap().iter();
    let expected = value["assignment"].as_object().unwrap().iter();
    Case {
        about: value["about"].as_str().unwrap().to_owned(),
        counts: counts.map(|(name, count)| (topic(name), count.as_u64().unwrap() as u16)).collect(),
        members,
        expected: expected
            .map(|(name, given)| (id(name), texts(given).iter().map(partition).collect()))
            .collect(),
    }
}

/// Returns how many cases were checked; those that fail are listed together.
fn check(text: &str, protocol: AssignmentProtocol) -> usize {
    let cases: Vec<Value> = serde_json::from_str(text).unwrap();
    let (mut checked, mut failed) = (0, Vec::new());
    for case in cases.iter().map(read) {
        let given: BTreeMap<MemberId, BTreeSet<TopicPartition>> =
            assign(protocol, &case.counts, &case.members)
                .into_iter()
                .map(|(member, partitions)| (member, partitions.into_iter().collect()))
                .collect();
        checked += 1;
        if given != case.expected {
            failed.push(format!("{}: {given:?} instead of {:?}", case.about, case.expected));
        }
    }
    assert!(failed.is_empty(), "{} of {checked}: {failed:#?}", failed.len());
    checked
}

#[test]
fn range_is_javas() {
    let text = include_str!("../../../../conformance/recordings/assignors/range.json");
    assert_eq!(check(text, AssignmentProtocol::Range), 45);
}

#[test]
fn round_robin_is_javas() {
    let text = include_str!("../../../../conformance/recordings/assignors/roundrobin.json");
    assert_eq!(check(text, AssignmentProtocol::RoundRobin), 45);
}

#[test]
fn sticky_is_javas() {
    let text = include_str!("../../../../conformance/recordings/assignors/sticky.json");
    assert_eq!(check(text, AssignmentProtocol::Sticky), 50);
}

#[test]
fn cooperative_sticky_is_javas() {
    let text = include_str!("../../../../conformance/recordings/assignors/cooperative-sticky.json");
    assert_eq!(check(text, AssignmentProtocol::CooperativeSticky), 62);
}
