//! Java's `RoundRobinAssignor`: all partitions in order, dealt out one by one to the members that want their topic.

use super::{in_order, partitions};
use crate::kafka::protocol::{JoinedMember, MemberId};
use crate::record::{TopicId, TopicPartition};
use std::collections::BTreeMap;

pub(super) fn assign(
    counts: &BTreeMap<TopicId, u16>,
    members: &[JoinedMember],
) -> Vec<(MemberId, Vec<TopicPartition>)> {
    let ordered = in_order(members);
    let mut given: BTreeMap<MemberId, Vec<TopicPartition>> =
        members.iter().map(|member| (member.member, Vec::new())).collect();
    let mut turn = 0;
    for partition in counts.iter().flat_map(|(topic, count)| partitions(*topic, *count)) {
        let wants = |member: &JoinedMember| member.subscription.topics.contains(&partition.topic);
        let Some(step) = (0..ordered.len()).find(|step| wants(ordered[(turn + step) % ordered.len()])) else {
            continue;
        };
        let taker = ordered[(turn + step) % ordered.len()];
        given.entry(taker.member).or_default().push(partition);
        turn = (turn + step + 1) % ordered.len();
    }
    given.into_iter().collect()
}
