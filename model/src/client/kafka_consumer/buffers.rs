//! The records that were fetched and not handed out: what a poll has collected is in its owner's hands, and what came since waits
//! for the next poll.

use crate::record::{Offset, Record, TopicPartition};
use serde::Serialize;
use std::collections::VecDeque;

/// A record that waits to be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Buffered {
    pub(super) offset: Offset,
    pub(super) epoch: i32,
    pub(super) record: Record,
}

/// A fetch's records of one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Fetched {
    partition: TopicPartition,
    records: VecDeque<Buffered>,
    /// How many of them polls have collected: the first of them.
    collected: usize,
    /// The offset after all that was fetched, markers and aborted records included.
    end: Offset,
    /// The leader epoch of what stands before it.
    end_epoch: i32,
}

impl Fetched {
    fn is_collected(&self) -> bool {
        self.collected == self.records.len()
    }
}

/// Where a partition is read on, with the leader epoch of what stands before that.
pub(super) type Position = (Offset, i32);

/// The records that were fetched and not handed out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Buffers {
    /// In the order in which the fetches came; the first is drained before the second, as in Java.
    fetched: VecDeque<Fetched>,
    /// The owner reads each partition apart, with a thread that polls and hands the records on.
    pub(super) apart: bool,
    /// The owner's last poll is over, whatever is left of it.
    poll_is_over: bool,
    /// Records came that the owner has not polled for yet.
    poll_is_due: bool,
}

impl Buffers {
    /// Nothing of a partition is handed out any more, not even what was collected.
    pub(super) fn drop_partition(&mut self, partition: TopicPartition) {
        self.fetched.retain(|fetched| fetched.partition != partition);
        self.poll_is_due &= self.any_uncollected();
    }

    /// What no poll has collected of such partitions is dropped.
    pub(super) fn drop_uncollected(&mut self, of: impl Fn(TopicPartition) -> bool) {
        for fetched in self.fetched.iter_mut().filter(|fetched| of(fetched.partition)) {
            fetched.records.truncate(fetched.collected);
        }
        self.fetched.retain(|fetched| !fetched.records.is_empty());
        self.poll_is_due &= self.any_uncollected();
    }

    /// The owner has not been handed all records of its last poll.
    pub(super) fn in_poll(&self) -> bool {
        let begun = self.fetched.front().is_some_and(|fetched| fetched.collected > 0);
        begun && !self.apart && !self.poll_is_over
    }

    /// Whether nothing is left, of the last poll or for the next.
    pub(super) fn are_empty(&self) -> bool {
        self.fetched.is_empty()
    }

    /// The owner's poll is over, whatever is left of it.
    pub(super) fn end_poll(&mut self) {
        self.poll_is_over = true;
    }

    /// Whether the next fetches wait for the owner's poll: Java sends them from there alone, for the partitions of which it has
    /// collected everything.
    pub(super) fn await_poll(&self) -> bool {
        self.poll_is_due && !self.apart
    }

    /// Whether records of that partition wait for a poll.
    pub(super) fn has_uncollected(&self, partition: TopicPartition) -> bool {
        self.fetched.iter().any(|fetched| fetched.partition == partition && !fetched.is_collected())
    }

    /// Whether records wait for a poll at all.
    pub(super) fn any_uncollected(&self) -> bool {
        self.fetched.iter().any(|fetched| !fetched.is_collected())
    }

    pub(super) fn add(
        &mut self,
        partition: TopicPartition,
        records: VecDeque<Buffered>,
        (end, end_epoch): Position,
    ) {
        self.poll_is_due = true;
        self.fetched.push_back(Fetched { partition, records, collected: 0, end, end_epoch });
    }

    /// A fetch from there on had nothing to show up to that end: what is handed out last before it ends there as well. Returns
    /// whether something is.
    pub(super) fn extend(
        &mut self,
        partition: TopicPartition,
        from: Offset,
        (end, end_epoch): Position,
    ) -> bool {
        let last = self.fetched.iter_mut().rfind(|fetched| fetched.partition == partition);
        let Some(last) = last.filter(|last| last.end == from) else { return false };
        (last.end, last.end_epoch) = (end, end_epoch);
        true
    }

    /// A poll collects so many records, in the order of the fetches. Returns how many it has, and tells from where each
    /// partition of theirs is read on.
    pub(super) fn poll(
        &mut self,
        at_most: usize,
        mut reads_on: impl FnMut(TopicPartition, Position),
    ) -> usize {
        (self.poll_is_over, self.poll_is_due) = (false, false);
        let mut collected = 0;
        for fetched in &mut self.fetched {
            let before = fetched.collected;
            fetched.collected = fetched.records.len().min(before.max(at_most - collected));
            collected += fetched.collected;
            if fetched.collected > before {
                let last = &fetched.records[fetched.collected - 1];
                let inside = (last.offset + 1, last.epoch);
                let end = (fetched.end, fetched.end_epoch);
                reads_on(fetched.partition, if fetched.is_collected() { end } else { inside });
            }
            if collected >= at_most {
                break;
            }
        }
        collected
    }

    /// A thread that polls for an owner who reads each partition apart collects all that came, but for partitions of which so
    /// many wait already: those it has paused.
    pub(super) fn poll_apart(&mut self, at_most: usize, mut reads_on: impl FnMut(TopicPartition, Position)) {
        for place in 0..self.fetched.len() {
            let Fetched { partition, ref records, collected, end, end_epoch } = self.fetched[place];
            if collected == records.len() {
                continue;
            }
            let before = self.fetched.range(..place).filter(|fetched| fetched.partition == partition);
            if before.map(|fetched| fetched.records.len()).sum::<usize>() < at_most {
                self.fetched[place].collected = records.len();
                reads_on(partition, (end, end_epoch));
            }
        }
    }

    /// The partition of the next record.
    pub(super) fn next(&self) -> Option<TopicPartition> {
        self.fetched.front().map(|fetched| fetched.partition)
    }

    /// The next record of that partition that was collected, and up to where nothing else is shown, with the leader epoch before
    /// that.
    pub(super) fn pop(&mut self, partition: TopicPartition) -> Option<(Buffered, Position)> {
        let place = self.fetched.iter().position(|fetched| fetched.partition == partition)?;
        let fetched = &mut self.fetched[place];
        fetched.collected = fetched.collected.checked_sub(1)?;
        let next = fetched.records.pop_front()?;
        if !fetched.records.is_empty() {
            return Some((next, (next.offset + 1, next.epoch)));
        }
        let end = (fetched.end, fetched.end_epoch);
        self.fetched.remove(place);
        Some((next, end))
    }
}
