//! Java's sticky assignors for members that want different topics (its `GeneralAssignmentBuilder`): everybody keeps what
//! he had and still wants, the rest goes to whoever has least, and then partitions move as long as that balances.
//!
//! Left out: racks, and a former owner who no longer wants the topic, to whom Java may give it back all the same.

use super::partitions;
use crate::kafka::protocol::{JoinedMember, MemberId};
use crate::record::{TopicId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

type Given = BTreeMap<MemberId, BTreeSet<TopicPartition>>;

/// The assignment under way.
struct Balance<'a> {
    counts: &'a BTreeMap<TopicId, u16>,
    wanted: BTreeMap<MemberId, BTreeSet<TopicId>>,
    given: Given,
    owners: BTreeMap<TopicPartition, MemberId>,
    /// Those whose assignment can change at all.
    movable: BTreeSet<MemberId>,
    /// Who claims a partition from an earlier generation than the last.
    former: BTreeMap<TopicPartition, (MemberId, i32)>,
    /// What was moved: from whom at first, and to whom.
    moves: BTreeMap<TopicPartition, (MemberId, MemberId)>,
}

fn former_owners(members: &[JoinedMember]) -> BTreeMap<TopicPartition, (MemberId, i32)> {
    let newest = members.iter().map(|member| member.subscription.generation).max().unwrap_or(-1);
    let mut former: BTreeMap<TopicPartition, (MemberId, i32)> = BTreeMap::new();
    for member in members.iter().filter(|member| member.subscription.generation < newest) {
        let generation = member.subscription.generation;
        for partition in &member.subscription.owned {
            if former.get(partition).is_none_or(|(_, known)| generation > *known) {
                former.insert(*partition, (member.member, generation));
            }
        }
    }
    former
}

impl Balance<'_> {
    fn size(&self, member: MemberId) -> usize {
        self.given.get(&member).map_or(0, BTreeSet::len)
    }

    fn takers(&self, topic: TopicId) -> impl Iterator<Item = MemberId> {
        self.wanted.iter().filter(move |(_, wanted)| wanted.contains(&topic)).map(|(member, _)| *member)
    }

    /// Whoever has least of those that may take it.
    fn poorest(&self, topic: TopicId) -> Option<MemberId> {
        let takers = self.takers(topic).filter(|member| self.movable.contains(member));
        takers.min_by_key(|member| (self.size(*member), *member))
    }

    fn give(&mut self, partition: TopicPartition, member: MemberId) {
        if let Some(before) = self.owners.insert(partition, member) {
            self.given.entry(before).or_default().remove(&partition);
        }
        self.given.entry(member).or_default().insert(partition);
    }

    /// A topic that two want can change hands.
    fn can_move(&self, topic: TopicId) -> bool {
        self.takers(topic).nth(1).is_some()
    }

    /// Members that have all they can get, of topics that nobody else wants, stay as they are.
    fn fix_members(&mut self) {
        let fixed: Vec<MemberId> = self
            .wanted
            .iter()
            .filter(|(member, wanted)| {
                let most: usize = wanted
                    .iter()
                    .map(|topic| usize::from(self.counts.get(topic).copied().unwrap_or(0)))
                    .sum();
                let given = self.given.get(member).into_iter().flatten();
                self.size(**member) >= most && !given.into_iter().any(|at| self.can_move(at.topic))
            })
            .map(|(member, _)| *member)
            .collect();
        self.movable.retain(|member| !fixed.contains(member));
    }

    /// Whether somebody could take a partition from one who has at least two more.
    fn is_balanced(&self) -> bool {
        self.movable.iter().all(|member| {
            let size = self.size(*member);
            self.wanted.get(member).into_iter().flatten().all(|topic| {
                let count = self.counts.get(topic).copied().unwrap_or(0);
                partitions(*topic, count).all(|at| {
                    self.owners.get(&at).is_none_or(|owner| owner == member || self.size(*owner) <= size + 1)
                })
            })
        })
    }

    /// Move partitions from those that have much to those that have little. Whether any was moved.
    fn level(&mut self, list: &[TopicPartition]) -> bool {
        let mut has_moved = false;
        loop {
            let mut moves = 0;
            for partition in list {
                if self.is_balanced() {
                    break;
                }
                let Some(owner) = self.owners.get(partition).copied() else { continue };
                let much = self.size(owner);
                let former = self.former.get(partition).map(|(member, _)| *member).filter(|member| {
                    self.movable.contains(member)
                        && self.wanted.get(member).is_some_and(|wanted| wanted.contains(&partition.topic))
                        && much > self.size(*member) + 1
                });
                let better = self.takers(partition.topic).any(|other| much > self.size(other) + 1);
                let taker = former.or_else(|| if better { self.poorest(partition.topic) } else { None });
                if let Some(taker) = taker {
                    self.carry(*partition, owner, taker);
                    moves += 1;
                }
            }
            if moves == 0 {
                return has_moved;
            }
            has_moved = true;
        }
    }

    /// Move a partition, or rather one of its topic that was moved the other way before: that undoes a move.
    fn carry(&mut self, partition: TopicPartition, owner: MemberId, taker: MemberId) {
        let source = self.moves.get(&partition).map_or(owner, |(from, _)| *from);
        let undone = self
            .moves
            .iter()
            .find(|(moved, pair)| moved.topic == partition.topic && **pair == (taker, source))
            .map(|(moved, _)| *moved);
        let partition = undone.unwrap_or(partition);
        let owner = self.owners.get(&partition).copied().unwrap_or(owner);
        match self.moves.remove(&partition) {
            Some((from, _)) if from == taker => {}
            Some((from, _)) => drop(self.moves.insert(partition, (from, taker))),
            None => drop(self.moves.insert(partition, (owner, taker))),
        }
        self.give(partition, taker);
    }

    /// The sum of all differences of size: less is better.
    fn imbalance(&self) -> usize {
        let sizes: Vec<usize> = self.movable.iter().map(|member| self.size(*member)).collect();
        sizes
            .iter()
            .enumerate()
            .flat_map(|(place, one)| sizes[place + 1..].iter().map(|other| one.abs_diff(*other)))
            .sum()
    }
}

/// What each member gets; `owned` is what each had, without what two claim.
pub(super) fn assign(
    counts: &BTreeMap<TopicId, u16>,
    members: &[JoinedMember],
    owned: &BTreeMap<MemberId, Vec<TopicPartition>>,
) -> Given {
    let wanted: BTreeMap<MemberId, BTreeSet<TopicId>> = members
        .iter()
        .map(|member| {
            let topics = member.subscription.topics.iter().copied();
            (member.member, topics.filter(|topic| counts.contains_key(topic)).collect())
        })
        .collect();
    let mut balance = Balance {
        counts,
        movable: wanted.keys().copied().collect(),
        given: wanted.keys().map(|member| (*member, BTreeSet::new())).collect(),
        wanted,
        owners: BTreeMap::new(),
        former: former_owners(members),
        moves: BTreeMap::new(),
    };
    let mut must_revoke = false;
    for (member, partitions) in owned {
        for partition in partitions {
            if balance.wanted.get(member).is_some_and(|wanted| wanted.contains(&partition.topic)) {
                balance.give(*partition, *member);
            } else {
                must_revoke = true;
            }
        }
    }
    let mut topics: Vec<TopicId> = counts.keys().copied().collect();
    topics.sort_by_key(|topic| (balance.takers(*topic).count(), *topic));
    let all: Vec<TopicPartition> =
        topics.iter().flat_map(|topic| partitions(*topic, counts.get(topic).copied().unwrap_or(0))).collect();
    let unassigned: Vec<TopicPartition> =
        all.iter().copied().filter(|partition| !balance.owners.contains_key(partition)).collect();
    share(balance, &all, &unassigned, must_revoke)
}

/// Hand out what nobody has, then balance; what is no better than before is undone.
fn share(
    mut balance: Balance<'_>,
    all: &[TopicPartition],
    unassigned: &[TopicPartition],
    must_revoke: bool,
) -> Given {
    let is_first = balance.owners.is_empty();
    for partition in unassigned {
        if let Some(member) = balance.poorest(partition.topic) {
            balance.give(*partition, member);
        }
    }
    balance.fix_members();
    let movable = |list: &[TopicPartition]| -> Vec<TopicPartition> {
        list.iter().copied().filter(|partition| balance.can_move(partition.topic)).collect()
    };
    let (all, unassigned) = (movable(all), movable(unassigned));
    let (before, imbalance) = (balance.given.clone(), balance.imbalance());
    if !must_revoke {
        balance.level(&unassigned);
    }
    let has_moved = balance.level(&all);
    if !is_first && has_moved && balance.imbalance() >= imbalance { before } else { balance.given }
}
