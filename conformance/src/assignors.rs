//! Asks the model's assignors what Java's were asked, and compares what each member gets.
//!
//! Names stand for numbers in the order of the alphabet: Java's assignors sort by them.

use cutover_model::kafka::assignor::assign;
use cutover_model::kafka::protocol::{
    AssignmentProtocol, GroupInstanceId, JoinedMember, MemberId, Subscription,
};
use cutover_model::record::{TopicId, TopicPartition};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn texts(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The names of a case, in the order of the alphabet.
struct Names<'a> {
    topics: Vec<&'a str>,
    members: Vec<&'a str>,
    instances: Vec<&'a str>,
}

fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

fn place(names: &[&str], name: &str) -> usize {
    names.binary_search(&name).unwrap_or(names.len())
}

impl<'a> Names<'a> {
    fn of(case: &'a Value) -> Names<'a> {
        let members = || case["members"].as_array().into_iter().flatten();
        let existing = case["topics"].as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        let wanted = members().flat_map(|member| texts(&member["topics"]));
        let owned = members().flat_map(|member| texts(&member["owned"])).map(|at| topic_of(at).0);
        Names {
            topics: sorted(existing.chain(wanted).chain(owned)),
            members: sorted(members().filter_map(|member| member["id"].as_str())),
            instances: sorted(members().filter_map(|member| member["instance"].as_str())),
        }
    }

    fn topic(&self, name: &str) -> TopicId {
        TopicId(place(&self.topics, name) as u16)
    }

    fn member(&self, name: &str) -> MemberId {
        MemberId(place(&self.members, name) as u64 + 1)
    }

    fn partitions(&self, list: &Value) -> Vec<TopicPartition> {
        texts(list)
            .map(|at| {
                let (topic, partition) = topic_of(at);
                TopicPartition { topic: self.topic(topic), partition }
            })
            .collect()
    }

    fn joined(&self, member: &Value) -> JoinedMember {
        let instance = member["instance"].as_str();
        JoinedMember {
            member: self.member(member["id"].as_str().unwrap_or("")),
            instance: instance.map(|name| GroupInstanceId(place(&self.instances, name) as u32)),
            subscription: Subscription {
                topics: texts(&member["topics"]).map(|name| self.topic(name)).collect(),
                owned: self.partitions(&member["owned"]),
                generation: member["generation"].as_i64().unwrap_or(-1) as i32,
                opaque: 0,
            },
        }
    }

    fn shown(&self, partitions: &BTreeSet<TopicPartition>) -> String {
        let show = |at: &TopicPartition| format!("{}/{}", self.topics[usize::from(at.topic.0)], at.partition);
        partitions.iter().map(show).collect::<Vec<_>>().join(" ")
    }
}

/// A partition's topic and number, from `topic/number`.
fn topic_of(at: &str) -> (&str, u16) {
    let (topic, number) = at.rsplit_once('/').unwrap_or((at, "0"));
    (topic, number.parse().unwrap_or(0))
}

/// The first member that gets something else than in Java.
fn check(protocol: AssignmentProtocol, case: &Value) -> Result<(), String> {
    let names = Names::of(case);
    let mut members: Vec<JoinedMember> =
        case["members"].as_array().into_iter().flatten().map(|member| names.joined(member)).collect();
    let order: Vec<MemberId> = texts(&case["iteration"]).map(|name| names.member(name)).collect();
    members.sort_by_key(|member| order.iter().position(|id| *id == member.member));
    let counts: BTreeMap<TopicId, u16> = case["topics"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, count)| (names.topic(name), count.as_u64().unwrap_or(0) as u16))
        .collect();
    let given: BTreeMap<MemberId, BTreeSet<TopicPartition>> = assign(protocol, &counts, &members)
        .into_iter()
        .map(|(member, partitions)| (member, partitions.into_iter().collect()))
        .collect();
    for (name, list) in case["assignment"].as_object().into_iter().flatten() {
        let expected: BTreeSet<TopicPartition> = names.partitions(list).into_iter().collect();
        let got = given.get(&names.member(name)).cloned().unwrap_or_default();
        if got != expected {
            let (expected, got) = (names.shown(&expected), names.shown(&got));
            return Err(format!("{name}: expected {expected}, got {got}"));
        }
    }
    Ok(())
}

/// Check all cases of an assignor; the first difference is the error.
pub fn play(name: &str, cases: &[Value]) -> Result<(), String> {
    let protocol = match name {
        "range" => AssignmentProtocol::Range,
        "roundrobin" => AssignmentProtocol::RoundRobin,
        "sticky" => AssignmentProtocol::Sticky,
        "cooperative-sticky" => AssignmentProtocol::CooperativeSticky,
        other => return Err(format!("not in the model: the assignor {other}")),
    };
    let failed: Vec<String> = cases
        .iter()
        .enumerate()
        .filter_map(|(place, case)| {
            let error = check(protocol, case).err()?;
            Some(format!("case {place} ({}): {error}", case["about"].as_str().unwrap_or("")))
        })
        .collect();
    match failed.first() {
        None => Ok(()),
        Some(first) => Err(format!("{} of {} cases; {first}", failed.len(), cases.len())),
    }
}
