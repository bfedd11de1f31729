//! A partition's log: entries at contiguous offsets, in batches, with the offsets at which leader epochs began.
//!
//! Compaction is absent; deletion takes whole segments from the front ([`Log::delete_before`]).

use super::protocol::ProducerStamp;
use super::stored::Stored;
use crate::record::{Offset, Record};
use crate::units::Time;
use serde::Serialize;
use std::sync::Arc;

/// The bytes that a batch takes besides its records (the header of Kafka's batch format, version 2).
pub const BATCH_HEADER_BYTES: u64 = 61;

/// What stands at an offset.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Payload {
    /// A record of a client's.
    Record(Record),
    /// The end of a transaction.
    Marker {
        /// Committed, or aborted.
        commit: bool,
        /// The epoch of the coordinator that wrote it.
        coordinator_epoch: i32,
    },
    /// A record of a coordinator's.
    Stored(Arc<Stored>),
}

/// One entry of a log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Entry {
    /// The epoch of the leader that appended it.
    pub leader_epoch: i32,
    /// Its timestamp.
    pub timestamp: Time,
    /// Its producer's id, epoch and own sequence.
    pub stamp: Option<ProducerStamp>,
    /// Its place in its batch, from 0.
    pub place: u32,
    /// What it says.
    pub payload: Payload,
}

impl Entry {
    /// Its size, with the batch's header counted for the first of a batch.
    pub fn bytes(&self) -> u64 {
        let header = if self.place == 0 { BATCH_HEADER_BYTES } else { 0 };
        let body = match &self.payload {
            Payload::Record(record) => u64::from(record.bytes),
            Payload::Marker { .. } => 17,
            Payload::Stored(stored) => stored.bytes(),
        };
        header + body
    }
}

/// Where an epoch began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct EpochStart {
    /// The epoch.
    pub epoch: i32,
    /// The first offset that it wrote, or would have.
    pub start: Offset,
}

/// A partition's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Log {
    /// The offset of the first entry that is still there.
    base: Offset,
    /// The first offset that may be read; deleting records moves it ahead of `base` until a segment is dropped.
    start: Offset,
    entries: Vec<Entry>,
    epochs: Vec<EpochStart>,
}

impl Log {
    /// The first offset that may be read.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// The offset of the first entry that is kept, whether or not it may be read.
    pub fn base(&self) -> Offset {
        self.base
    }

    /// The offset that the next entry will have.
    pub fn end(&self) -> Offset {
        self.base + self.entries.len() as Offset
    }

    /// The entry at an offset, if it is there.
    pub fn get(&self, offset: Offset) -> Option<&Entry> {
        usize::try_from(offset - self.base).ok().and_then(|index| self.entries.get(index))
    }

    /// The entries from `from` up to, and without, `to`, as far as they are there.
    pub fn range(&self, from: Offset, to: Offset) -> &[Entry] {
        let length = self.entries.len() as Offset;
        let first = (from - self.base).clamp(0, length);
        let last = (to - self.base).clamp(first, length);
        &self.entries[first as usize..last as usize]
    }

    /// The epoch of the last entry, or the latest known; -1 in a log that has none.
    pub fn last_epoch(&self) -> i32 {
        self.epochs.last().map_or(-1, |last| last.epoch)
    }

    /// Add an entry at the end.
    pub fn push(&mut self, entry: Entry) {
        self.begin_epoch(entry.leader_epoch, self.end());
        self.entries.push(entry);
    }

    /// Note that an epoch begins at an offset. Entries of the cache that contradict it are dropped, as in Kafka's
    /// `LeaderEpochFileCache`: an epoch without records is forgotten when a later one begins at the same place.
    pub fn begin_epoch(&mut self, epoch: i32, start: Offset) {
        if self.epochs.last().is_some_and(|last| last.epoch >= epoch) {
            return;
        }
        while self.epochs.last().is_some_and(|last| last.start >= start) {
            self.epochs.pop();
        }
        self.epochs.push(EpochStart { epoch, start });
    }

    /// Where an epoch ends: the greatest epoch known that is not above it, and the first offset after that epoch.
    /// None where the epoch is above all that are known.
    pub fn end_of_epoch(&self, epoch: i32) -> Option<(i32, Offset)> {
        if epoch < 0 {
            return None;
        }
        let above = self.epochs.iter().position(|entry| entry.epoch > epoch);
        match above {
            None if self.last_epoch() == epoch => Some((epoch, self.end())),
            None => None,
            Some(0) => Some((epoch, self.epochs[0].start)),
            Some(index) => Some((self.epochs[index - 1].epoch, self.epochs[index].start)),
        }
    }

    /// The epoch that wrote, or would have written, an offset; -1 if it is not known.
    pub fn epoch_at(&self, offset: Offset) -> i32 {
        self.epochs.iter().rev().find(|entry| entry.start <= offset).map_or(-1, |entry| entry.epoch)
    }

    /// Drop everything from an offset on.
    pub fn truncate(&mut self, to: Offset) {
        let keep = (to - self.base).clamp(0, self.entries.len() as Offset);
        self.entries.truncate(keep as usize);
        while self.epochs.last().is_some_and(|last| last.start >= to) {
            self.epochs.pop();
        }
        self.start = self.start.min(self.end());
    }

    /// Begin anew at an offset, with nothing in it: what a follower does that is behind its leader's start.
    pub fn restart_at(&mut self, offset: Offset) {
        *self = Log { base: offset, start: offset, entries: Vec::new(), epochs: Vec::new() };
    }

    /// Move the start ahead; entries before it stay until their segment is dropped.
    pub fn advance_start(&mut self, to: Offset) {
        self.start = self.start.max(to.min(self.end()));
    }

    /// Drop the entries before an offset, which is the start then.
    pub fn delete_before(&mut self, offset: Offset) {
        self.advance_start(offset);
        let count = (offset - self.base).clamp(0, self.entries.len() as Offset);
        self.entries.drain(..count as usize);
        self.base += count;
        while self.epochs.len() > 1 && self.epochs[1].start <= self.base {
            self.epochs.remove(0);
        }
        if let Some(first) = self.epochs.first_mut() {
            first.start = first.start.max(self.base);
        }
    }

    /// The offset after the batch that holds `offset`.
    pub fn batch_end(&self, offset: Offset) -> Offset {
        let mut next = offset + 1;
        while self.get(next).is_some_and(|entry| entry.place > 0) {
            next += 1;
        }
        next
    }

    /// The first offset of the batch that holds `offset`.
    pub fn batch_start(&self, offset: Offset) -> Offset {
        self.get(offset).map_or(offset, |entry| offset - Offset::from(entry.place))
    }

    /// The size of the entries from `from` up to `to`, counted only up to `enough`.
    pub fn bytes_between(&self, from: Offset, to: Offset, enough: u64) -> u64 {
        let mut bytes = 0;
        for entry in self.range(from, to) {
            bytes += entry.bytes();
            if bytes >= enough {
                break;
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(epoch: i32, place: u32) -> Entry {
        Entry {
            leader_epoch: epoch,
            timestamp: Time(0),
            stamp: None,
            place,
            payload: Payload::Record(Record::default()),
        }
    }

    fn log(epochs: &[i32]) -> Log {
        let mut log = Log::default();
        for epoch in epochs {
            log.push(entry(*epoch, 0));
        }
        log
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let log = log(&[0, 0, 2, 2, 5]);
        assert_eq!(log.end_of_epoch(0), Some((0, 2)));
        assert_eq!(log.end_of_epoch(1), Some((0, 2)));
        assert_eq!(log.end_of_epoch(2), Some((2, 4)));
        assert_eq!(log.end_of_epoch(5), Some((5, 5)));
        assert_eq!(log.end_of_epoch(6), None);
    }

    #[test]
    fn an_epoch_without_records_is_forgotten_when_the_next_begins_at_its_place() {
        let mut log = log(&[0]);
        log.begin_epoch(1, 1);
        assert_eq!(log.end_of_epoch(1), Some((1, 1)));
        log.begin_epoch(2, 1);
        assert_eq!(log.end_of_epoch(1), Some((0, 1)));
    }

    #[test]
    fn truncation_forgets_the_epochs_that_it_empties() {
        let mut log = log(&[0, 0, 1]);
        log.truncate(2);
        assert_eq!((log.end(), log.last_epoch()), (2, 0));
        assert_eq!(log.end_of_epoch(1), None);
    }

    #[test]
    fn batches_are_found_from_any_of_their_entries() {
        let mut log = Log::default();
        for place in [0, 0, 1, 2, 0] {
            log.push(entry(0, place));
        }
        assert_eq!((log.batch_start(2), log.batch_end(2)), (1, 4));
        assert_eq!((log.batch_start(0), log.batch_end(0)), (0, 1));
    }

    #[test]
    fn deleted_entries_leave_the_offsets_as_they_are() {
        let mut log = log(&[0, 0, 1, 1]);
        log.advance_start(1);
        assert_eq!((log.start(), log.base(), log.end()), (1, 0, 4));
        log.delete_before(3);
        assert_eq!((log.start(), log.base(), log.end()), (3, 3, 4));
        assert_eq!(log.end_of_epoch(0), Some((0, 3)), "the first epoch known stands for those before it");
        assert!(log.get(2).is_none() && log.get(3).is_some());
    }
}
