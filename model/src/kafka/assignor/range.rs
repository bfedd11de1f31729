//! Java's `RangeAssignor`: topic by topic, each member a run of neighbouring partitions, the first ones one more.

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
    for (topic, count) in counts {
        let takers: Vec<MemberId> = ordered
            .iter()
            .filter(|member| member.subscription.topics.contains(topic))
            .map(|member| member.member)
            .collect();
        if takers.is_empty() {
            continue;
        }
        let (share, rest) = (usize::from(*count) / takers.len(), usize::from(*count) % takers.len());
        let mut left = partitions(*topic, *count);
        for (place, taker) in takers.iter().enumerate() {
            let take = share + usize::from(place < rest);
            given.entry(*taker).or_default().extend(left.by_ref().take(take));
        }
    }
    given.into_iter().collect()
}
