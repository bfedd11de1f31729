//! What a worker has received, what of it is acknowledged, and so how far each source partition has come.
//! Leaves out how records travel: the worker sends and tells the ledger.

use crate::client::Route;
use crate::record::{Offset, Record, TopicPartition};
use litemap::LiteMap;
use serde::Serialize;

use std::collections::{BTreeMap, BTreeSet};

/// A copy on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Transfer {
    /// Where it was read.
    pub source: TopicPartition,
    /// At which offset.
    pub source_offset: Offset,
    /// How the partition is chosen where it goes.
    pub route: Route,
    /// What goes there.
    pub record: Record,
}

/// A source partition that this worker holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Held {
    /// Tells this holding from an earlier one of the same partition: what an earlier one left in flight moves nothing.
    grant: u64,
    /// The next offset to receive.
    received: Offset,
    /// Received, and neither acknowledged nor skipped.
    pending: BTreeSet<Offset>,
    /// Those of the pending that the producer has now.
    sent: usize,
    /// Those of the pending that the producer gave up, to be sent again.
    failed: LiteMap<Offset, Transfer>,
    /// What was last committed, or asked to be.
    committed: Offset,
}

impl Held {
    /// Everything below is acknowledged or skipped.
    fn acknowledged(&self) -> Offset {
        self.pending.first().copied().unwrap_or(self.received)
    }
}

/// The ledger of one life of a worker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Ledger {
    grants: u64,
    tokens: u64,
    held: LiteMap<TopicPartition, Held>,
    /// With the producer: the copy and the grant under which it was read.
    in_flight: BTreeMap<u64, (Transfer, u64)>,
    /// How far partitions came that are not held any more: acknowledged below, received below.
    left: LiteMap<TopicPartition, (Offset, Offset)>,
}

impl Ledger {
    /// A source partition is this worker's from now on.
    pub(super) fn grant(&mut self, partition: TopicPartition, start: Offset) {
        self.grants += 1;
        let held = Held {
            grant: self.grants,
            received: start,
            pending: BTreeSet::new(),
            sent: 0,
            failed: LiteMap::new(),
            committed: start,
        };
        self.held.insert(partition, held);
        self.left.remove(&partition);
    }

    /// It is not any more. What the producer has of it goes its way, what waits to be sent again is dropped.
    pub(super) fn leave(&mut self, partition: TopicPartition) {
        if let Some(held) = self.held.remove(&partition) {
            self.left.insert(partition, (held.acknowledged(), held.received));
        }
    }

    /// Whether the partition is this worker's.
    pub(super) fn holds(&self, partition: TopicPartition) -> bool {
        self.held.contains_key(&partition)
    }

    /// The partitions held.
    pub(super) fn held(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        self.held.keys().copied()
    }

    /// A record was received. Its offset need not follow the last one: the source may have a gap, or begin anew.
    pub(super) fn received(&mut self, partition: TopicPartition, offset: Offset) {
        if let Some(held) = self.held.get_mut(&partition) {
            held.received = offset + 1;
            held.pending.insert(offset);
        }
    }

    /// A partition of which nothing was received yet is read from that offset on, which may lie before what its source has
    /// committed, or behind.
    pub(super) fn go_on_at(&mut self, partition: TopicPartition, offset: Offset) {
        if let Some(held) = self.held.get_mut(&partition) {
            held.received = offset;
        }
    }

    /// The producer gets a copy; the token under which its outcome comes.
    pub(super) fn sent(&mut self, copy: Transfer) -> u64 {
        self.tokens += 1;
        let grant = self.held.get_mut(&copy.source).map_or(0, |held| {
            held.sent += 1;
            held.grant
        });
        self.in_flight.insert(self.tokens, (copy, grant));
        self.tokens
    }

    /// The producer is through with a token: the copy, and whether it still counts for a partition that is held.
    pub(super) fn settled(&mut self, token: u64) -> Option<(Transfer, bool)> {
        let (copy, grant) = self.in_flight.remove(&token)?;
        let held = self.held.get_mut(&copy.source).filter(|held| held.grant == grant);
        let counts = held.is_some();
        if let Some(held) = held {
            held.sent -= 1;
        }
        Some((copy, counts))
    }

    /// A record is acknowledged, or skipped: the position may move over it.
    pub(super) fn done(&mut self, partition: TopicPartition, offset: Offset) {
        if let Some(held) = self.held.get_mut(&partition) {
            held.pending.remove(&offset);
        }
    }

    /// A record is to be sent again; its partition's later records wait behind it.
    pub(super) fn failed(&mut self, copy: Transfer) {
        if let Some(held) = self.held.get_mut(&copy.source) {
            held.failed.insert(copy.source_offset, copy);
        }
    }

    /// Whether records of the partition wait to be sent again.
    pub(super) fn is_blocked(&self, partition: TopicPartition) -> bool {
        self.held.get(&partition).is_some_and(|held| !held.failed.is_empty())
    }

    /// Whether any partition is blocked.
    pub(super) fn any_blocked(&self) -> bool {
        self.held.values().any(|held| !held.failed.is_empty())
    }

    /// The records to send again, in order, of each partition of which the producer has nothing any more.
    pub(super) fn take_failed(&mut self) -> Vec<Transfer> {
        let quiet = self.held.iter_mut().map(|(_, held)| held).filter(|held| held.sent == 0);
        quiet
            .flat_map(|held| std::mem::take(&mut held.failed).into_iter().map(|(_, transfer)| transfer))
            .collect()
    }

    /// How many records were taken from the source and are in the producer's hands or wait to be there again.
    pub(super) fn unacknowledged(&self) -> usize {
        self.in_flight.len() + self.held.values().map(|held| held.failed.len()).sum::<usize>()
    }

    /// The positions that are other than what was last committed; they count as committed from now on.
    pub(super) fn take_positions(&mut self, acknowledged_alone: bool) -> Vec<(TopicPartition, Offset)> {
        let mut positions = Vec::new();
        for (partition, held) in &mut self.held {
            let position = if acknowledged_alone { held.acknowledged() } else { held.received };
            if position != held.committed {
                held.committed = position;
                positions.push((*partition, position));
            }
        }
        positions
    }

    /// What a report says of each partition: acknowledged below, received below.
    pub(super) fn progress(&self) -> LiteMap<TopicPartition, (Offset, Offset)> {
        let mut progress = self.left.clone();
        let held =
            self.held.iter().map(|(partition, held)| (*partition, (held.acknowledged(), held.received)));
        progress.extend(held);
        progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: TopicPartition = TopicPartition::new(0, 0);

    fn transfer(offset: Offset) -> Transfer {
        let route = Route { map: Default::default(), source: P, counter: 0, at_first: 1 };
        Transfer { source: P, source_offset: offset, route, record: Record::default() }
    }

    #[test]
    fn only_the_lowest_contiguous_acknowledged_offset_is_a_position() {
        let mut ledger = Ledger::default();
        ledger.grant(P, 10);
        let tokens: Vec<u64> = (10..13)
            .map(|offset| {
                ledger.received(P, offset);
                ledger.sent(transfer(offset))
            })
            .collect();
        for token in [tokens[2], tokens[0]] {
            let (copy, counts) = ledger.settled(token).unwrap();
            assert!(counts);
            ledger.done(P, copy.source_offset);
        }
        assert_eq!(ledger.take_positions(true), vec![(P, 11)]);
        assert_eq!(ledger.take_positions(true), vec![]);
        assert_eq!(ledger.take_positions(false), vec![(P, 13)]);
    }

    #[test]
    fn what_an_earlier_holding_left_in_flight_moves_nothing() {
        let mut ledger = Ledger::default();
        ledger.grant(P, 0);
        ledger.received(P, 0);
        let token = ledger.sent(transfer(0));
        ledger.leave(P);
        ledger.grant(P, 0);
        ledger.received(P, 0);
        assert_eq!(ledger.settled(token).map(|(_, counts)| counts), Some(false));
        assert_eq!(ledger.take_positions(true), vec![]);
    }
}
