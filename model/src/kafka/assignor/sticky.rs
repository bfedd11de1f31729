//! Java's `StickyAssignor` and `CooperativeStickyAssignor` for members that all want the same topics (its
//! `ConstrainedAssignmentBuilder`): everybody keeps what he has up to his share, the rest is dealt out in order.
//!
//! The members come in the order in which Java's hash map would give them: it decides who keeps the odd partition.
//! Left out: racks. Members that want different topics are another matter (`sticky_unlike`).

use super::{partitions, sticky_unlike};
use crate::kafka::protocol::{JoinedMember, MemberId};
use crate::record::{TopicId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What the members say they had.
#[derive(Default)]
struct Claims {
    owned: BTreeMap<MemberId, Vec<TopicPartition>>,
    /// Claimed by two members of one generation: nobody keeps them.
    disputed: BTreeSet<TopicPartition>,
}

fn claims(counts: &BTreeMap<TopicId, u16>, members: &[JoinedMember]) -> Claims {
    let mut claims = Claims::default();
    let mut owners: BTreeMap<TopicPartition, (MemberId, i32)> = BTreeMap::new();
    for member in members {
        let generation = member.subscription.generation;
        claims.owned.insert(member.member, Vec::new());
        for partition in &member.subscription.owned {
            if counts.get(&partition.topic).is_none_or(|count| partition.partition >= *count) {
                continue;
            }
            match owners.get(partition) {
                Some((_, other)) if *other > generation => continue,
                Some((_, other)) if *other == generation => {
                    claims.disputed.insert(*partition);
                }
                Some((owner, _)) => {
                    claims.owned.entry(*owner).or_default().retain(|owned| owned != partition);
                }
                None => {}
            }
            owners.insert(*partition, (member.member, generation));
            claims.owned.entry(member.member).or_default().push(*partition);
        }
    }
    for owned in claims.owned.values_mut() {
        owned.retain(|partition| !claims.disputed.contains(partition));
        // Who must give some up gives those with the highest numbers, whatever their topic.
        owned.sort_unstable_by_key(|partition| (partition.partition, partition.topic));
    }
    claims
}

/// The assignment under way.
struct Shares {
    least: usize,
    most: usize,
    /// How many members may still get one more than the least.
    extra: usize,
    given: BTreeMap<MemberId, Vec<TopicPartition>>,
    below: Vec<MemberId>,
    at_least: Vec<MemberId>,
    revoked: BTreeSet<TopicPartition>,
}

impl Shares {
    /// Everybody keeps what he has, up to his share.
    fn keep(&mut self, member: MemberId, owned: &[TopicPartition]) {
        let kept = if owned.len() < self.least {
            self.below.push(member);
            owned.len()
        } else if owned.len() >= self.most && self.extra > 0 {
            self.extra -= 1;
            if self.extra == 0 {
                self.at_least.clear();
            }
            self.most
        } else {
            if self.extra > 0 {
                self.at_least.push(member);
            }
            self.least
        };
        self.given.insert(member, owned[..kept].to_vec());
        self.revoked.extend(&owned[kept..]);
    }

    /// Deal out what nobody keeps: first to those below the least share, in turn, then one more each.
    fn deal(&mut self, unassigned: &[TopicPartition]) {
        self.below.sort_unstable();
        self.at_least.sort_unstable();
        let mut turn: VecDeque<MemberId> = self.below.drain(..).collect();
        let mut full: VecDeque<MemberId> = self.at_least.drain(..).collect();
        for partition in unassigned {
            let Some(member) = turn.pop_front().or_else(|| full.pop_front()) else { return };
            let given = self.given.entry(member).or_default();
            given.push(*partition);
            if given.len() == self.least {
                full.push_back(member);
            } else if given.len() < self.least {
                turn.push_back(member);
            }
        }
    }
}

pub(super) fn assign(
    counts: &BTreeMap<TopicId, u16>,
    members: &[JoinedMember],
    cooperative: bool,
) -> Vec<(MemberId, Vec<TopicPartition>)> {
    let wanted = |member: &JoinedMember| member.subscription.topics.iter().copied().collect::<BTreeSet<_>>();
    let Some(first) = members.first().map(wanted) else { return Vec::new() };
    if members.iter().any(|member| wanted(member) != first) {
        return assign_unlike(counts, members, cooperative);
    }
    let claims = claims(counts, members);
    let all: Vec<TopicPartition> = counts
        .iter()
        .filter(|(topic, _)| first.contains(topic))
        .flat_map(|(topic, count)| partitions(*topic, *count))
        .collect();
    let mut shares = Shares {
        least: all.len() / members.len(),
        most: all.len().div_ceil(members.len()),
        extra: all.len() % members.len(),
        given: BTreeMap::new(),
        below: Vec::new(),
        at_least: Vec::new(),
        revoked: claims.disputed,
    };
    for member in members {
        shares.keep(member.member, claims.owned.get(&member.member).map_or(&[][..], Vec::as_slice));
    }
    let kept: BTreeSet<TopicPartition> = shares.given.values().flatten().copied().collect();
    let unassigned: Vec<TopicPartition> =
        all.into_iter().filter(|partition| !kept.contains(partition)).collect();
    shares.deal(&unassigned);
    if cooperative {
        // What moves is given only in the next round, after its owner has let it go (observed row 11).
        for given in shares.given.values_mut() {
            given.retain(|partition| kept.contains(partition) || !shares.revoked.contains(partition));
        }
    }
    shares.given.into_iter().collect()
}

fn assign_unlike(
    counts: &BTreeMap<TopicId, u16>,
    members: &[JoinedMember],
    cooperative: bool,
) -> Vec<(MemberId, Vec<TopicPartition>)> {
    let mut given = sticky_unlike::assign(counts, members, &claims(counts, members).owned);
    if cooperative {
        // As above: what somebody has to let go is given to nobody else in this round.
        let mut revoked: BTreeSet<TopicPartition> = BTreeSet::new();
        for member in members {
            let kept = given.entry(member.member).or_default();
            revoked.extend(member.subscription.owned.iter().filter(|partition| !kept.contains(partition)));
        }
        for member in members {
            let owned = &member.subscription.owned;
            let kept = given.entry(member.member).or_default();
            kept.retain(|partition| owned.contains(partition) || !revoked.contains(partition));
        }
    }
    given.into_iter().map(|(member, partitions)| (member, partitions.into_iter().collect())).collect()
}
