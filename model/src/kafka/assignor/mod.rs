//! How the leader of a group shares the partitions out: Java's assignors, as the recordings under `conformance/recordings/assignors`
//! show them. A topic's number stands for its name's place in the alphabet, a member's number for its id's.

mod range;
mod round_robin;
mod sticky;
mod sticky_unlike;
#[cfg(test)]
mod tests;

use super::protocol::{AssignmentProtocol, JoinedMember, MemberId};
use crate::record::{TopicId, TopicPartition};
use std::collections::BTreeMap;

/// What each member gets. `counts` are the partitions of the topics that exist; subscriptions to others get nothing.
pub fn assign(
    protocol: AssignmentProtocol,
    counts: &BTreeMap<TopicId, u16>,
    members: &[JoinedMember],
) -> Vec<(MemberId, Vec<TopicPartition>)> {
    match protocol {
        AssignmentProtocol::RoundRobin => round_robin::assign(counts, members),
        AssignmentProtocol::Sticky => sticky::assign(counts, members, false),
        AssignmentProtocol::CooperativeSticky => sticky::assign(counts, members, true),
        _ => range::assign(counts, members),
    }
}

/// The members in the order in which Java's assignors take them: static ones by their instance, before the others
/// by their id.
fn in_order(members: &[JoinedMember]) -> Vec<&JoinedMember> {
    let mut ordered: Vec<&JoinedMember> = members.iter().collect();
    ordered.sort_by_key(|member| (member.instance.is_none(), member.instance, member.member));
    ordered
}

/// The partitions of a topic.
fn partitions(topic: TopicId, count: u16) -> impl Iterator<Item = TopicPartition> {
    (0..count).map(move |partition| TopicPartition { topic, partition })
}
