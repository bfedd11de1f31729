//! The commit log of a broker set: one sequence of entries for all its partitions, so that two brokers' logs can be
//! compared by their lengths, and an index for each partition. Positions count entries, not bytes: the observed slave
//! whose bytes no longer meet the master's (e14) is left out. A log may begin late: its oldest files were deleted, or it was
//! filled from a later place.

use crate::corgi::protocol::Epoch;
use crate::partition_map::PartitionMap;
use crate::record::{Offset, Record, RecordId, TopicPartition};
use crate::units::Time;
use serde::Serialize;
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::ops::Bound;

/// One entry of a commit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// The epoch of the master that took it.
    pub epoch: Epoch,
    /// The partition that it belongs to.
    pub partition: TopicPartition,
    /// The record.
    pub record: Record,
    /// When it is to be stored in its partition, where that is still to come: until then it only waits here.
    pub due: Option<Time>,
}

/// Most entries wait for nothing.
impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.epoch.hash(state);
        self.partition.hash(state);
        self.record.hash(state);
        if let Some(due) = self.due {
            due.hash(state);
        }
    }
}

/// A log has room for so many as soon as it has one: it is not to move at every doubling.
const ENTRIES_AT_FIRST: usize = 512;

/// A delayed record's place among those that wait: when it is due, and its position.
pub type Waiting = (Time, u64);

/// A commit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Log {
    /// The position of the first entry.
    start: u64,
    entries: Vec<Entry>,
    /// Each stretch of one epoch, with the position where it begins. What was deleted is in it too.
    history: Vec<(Epoch, u64)>,
    /// Rebuilt from the entries in the real system (e11).
    index: PartitionMap<Index>,
    /// The delayed records, those too that were stored in their partitions since.
    waiting: BTreeSet<Waiting>,
}

/// The positions of a partition's records, by offset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Index {
    /// The offset of the first of them.
    start: Offset,
    positions: Vec<u64>,
}

impl Index {
    fn end(&self) -> Offset {
        self.start + self.positions.len() as Offset
    }

    /// The offset of the first record at or behind a position.
    fn at(&self, position: u64) -> Offset {
        self.start + self.positions.partition_point(|at| *at < position) as Offset
    }
}

/// Where a log begins that does not begin at the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Beginning {
    /// The position of its first entry.
    pub position: u64,
    /// The epochs of the log that it is a part of, each with the position where it begins.
    pub history: Vec<(Epoch, u64)>,
    /// The offset of each partition's first record from that position on.
    pub offsets: Vec<(TopicPartition, Offset)>,
}

/// A stretch of a partition's offsets that a log gained or lost: from one on up to another, which is not in it.
pub type Stretch = (TopicPartition, Offset, Offset);

impl Log {
    /// The position behind the last entry.
    pub fn end(&self) -> u64 {
        self.start + self.entries.len() as u64
    }

    /// The position of the first entry, or of the next one where there is none.
    pub fn start(&self) -> u64 {
        self.start
    }

    fn place(&self, position: u64) -> usize {
        (position.saturating_sub(self.start) as usize).min(self.entries.len())
    }

    /// Each stretch of one epoch, with the position where it begins.
    pub fn history(&self) -> &[(Epoch, u64)] {
        &self.history
    }

    /// Appends an entry and returns its offset in its partition; for one that is to wait, its place in their queue (e8).
    pub fn append(&mut self, entry: Entry) -> Offset {
        let position = self.end();
        if self.history.last().is_none_or(|(epoch, _)| *epoch != entry.epoch) {
            self.history.push((entry.epoch, position));
        }
        if self.entries.capacity() == 0 {
            self.entries.reserve_exact(ENTRIES_AT_FIRST);
        }
        self.entries.push(entry);
        if let Some(due) = entry.due {
            self.waiting.insert((due, position));
            return self.waiting.len() as Offset - 1;
        }
        let index = self.index.or_default(entry.partition);
        index.positions.push(position);
        index.end() - 1
    }

    /// The delayed records behind that place, in the order in which they are due.
    pub fn waiting_after(&self, place: Waiting) -> impl Iterator<Item = Waiting> + '_ {
        self.waiting.range((Bound::Excluded(place), Bound::Unbounded)).copied()
    }

    /// Whether it has, or had, delayed records.
    pub fn knows_delays(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The entry at a position, if the log has it.
    pub fn entry(&self, position: u64) -> Option<&Entry> {
        self.entries.get(position.checked_sub(self.start)? as usize)
    }

    /// The entries from a position on, at most so many.
    pub fn from(&self, position: u64, at_most: usize) -> &[Entry] {
        let start = self.place(position);
        let end = start.saturating_add(at_most).min(self.entries.len());
        &self.entries[start..end]
    }

    /// The offset behind a partition's last record.
    pub fn partition_end(&self, partition: TopicPartition) -> Offset {
        self.index.get(partition).map_or(0, Index::end)
    }

    /// The offset of a partition's first record, or of the next one where there is none.
    pub fn partition_start(&self, partition: TopicPartition) -> Offset {
        self.index.get(partition).map_or(0, |index| index.start)
    }

    /// The offset of a partition's first record that was created at or after that moment; the end where none was.
    pub fn created_at(&self, partition: TopicPartition, moment: Time) -> Offset {
        let Some(index) = self.index.get(partition) else { return 0 };
        let entry = |position: &u64| &self.entries[(*position - self.start) as usize];
        let young = index.positions.iter().position(|at| entry(at).record.created_at >= moment);
        index.start + young.unwrap_or(index.positions.len()) as Offset
    }

    /// The end of every partition that has records.
    pub fn partition_ends(&self) -> impl Iterator<Item = (TopicPartition, Offset)> + '_ {
        self.index.iter().map(|(partition, index)| (partition, index.end()))
    }

    /// How a log begins that holds what this one does from a position on.
    pub fn beginning_at(&self, position: u64) -> Beginning {
        let before = self.history.iter().filter(|(_, start)| *start < position);
        let offsets = self.index.iter().map(|(partition, index)| (partition, index.at(position)));
        Beginning { position, history: before.copied().collect(), offsets: offsets.collect() }
    }

    /// The records of a partition from an offset on that lie before a position, at most so many.
    pub fn read(&self, partition: TopicPartition, from: Offset, before: u64, at_most: usize) -> Vec<Record> {
        let Some(index) = self.index.get(partition) else { return Vec::new() };
        let start = usize::try_from(from - index.start).unwrap_or(0).min(index.positions.len());
        let shown = index.positions[start..].iter().take(at_most).take_while(|position| **position < before);
        shown.map(|position| self.entries[(*position - self.start) as usize].record).collect()
    }

    /// Up to which position this log and another one are the same: two entries of one epoch at one position were
    /// written by the same master.
    pub fn common_prefix(&self, history: &[(Epoch, u64)], end: u64) -> u64 {
        let shorter = self.end().min(end);
        let (mut own, mut other) = (0, 0);
        loop {
            let (Some((own_epoch, _)), Some((other_epoch, _))) = (self.history.get(own), history.get(other))
            else {
                return shorter;
            };
            let own_next = self.history.get(own + 1).map_or(self.end(), |(_, start)| *start);
            let other_next = history.get(other + 1).map_or(end, |(_, start)| *start);
            if own_epoch != other_epoch {
                let start = self.history[own].1.max(history[other].1);
                return start.min(shorter);
            }
            // The stretches begin together as long as all before them were equal.
            if own_next != other_next {
                return own_next.min(other_next);
            }
            own += 1;
            other += 1;
        }
    }

    /// The records from a position on that wait, and were not stored in their partitions since.
    pub fn undue(&self, position: u64) -> Vec<RecordId> {
        if !self.knows_delays() {
            return Vec::new();
        }
        let cut = &self.entries[self.place(position)..];
        let stored: BTreeSet<RecordId> =
            cut.iter().filter(|entry| entry.due.is_none()).map(|entry| entry.record.id).collect();
        let waits = cut.iter().filter(|entry| entry.due.is_some()).map(|entry| entry.record.id);
        waits.filter(|record| !stored.contains(record)).collect()
    }

    /// Cuts the log at a position. Returns each partition that lost records, with its end before and after.
    pub fn truncate(&mut self, position: u64) -> Vec<Stretch> {
        if position >= self.end() {
            return Vec::new();
        }
        self.entries.truncate(self.place(position));
        self.start = self.start.min(position);
        self.history.retain(|(_, start)| *start < position);
        self.waiting.retain(|(_, at)| *at < position);
        let mut cut = Vec::new();
        for (partition, index) in self.index.iter_mut() {
            let before = index.end();
            let kept = index.positions.partition_point(|at| *at < position);
            index.positions.truncate(kept);
            if index.end() < before {
                cut.push((partition, before, index.end()));
            }
        }
        cut
    }

    /// Deletes what lies before a position. Returns each partition that lost records, with its start before and after.
    pub fn delete_before(&mut self, position: u64) -> Vec<Stretch> {
        let count = self.place(position);
        self.entries.drain(..count);
        self.start += count as u64;
        self.waiting.retain(|(_, at)| *at >= self.start);
        let mut deleted = Vec::new();
        for (partition, index) in self.index.iter_mut() {
            let (before, after) = (index.start, index.at(position));
            if after > before {
                index.positions.drain(..(after - before) as usize);
                index.start = after;
                deleted.push((partition, before, after));
            }
        }
        deleted
    }

    /// Throws everything away and begins anew, there.
    pub fn restart(&mut self, beginning: &Beginning) {
        let Beginning { position, history, offsets } = beginning;
        *self = Log { start: *position, history: history.clone(), ..Log::default() };
        for (partition, start) in offsets {
            self.index.insert(*partition, Index { start: *start, positions: Vec::new() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(epochs: &[Epoch]) -> Log {
        let mut log = Log::default();
        for (place, epoch) in epochs.iter().enumerate() {
            let partition = TopicPartition::new(0, (place % 2) as u16);
            log.append(Entry { epoch: *epoch, partition, record: Record::default(), due: None });
        }
        log
    }

    #[test]
    fn the_common_prefix_ends_where_the_epochs_part() {
        let cases: [(&[Epoch], &[Epoch], u64); 7] = [
            (&[1, 1, 1], &[1, 1], 2),
            (&[1, 1, 1], &[1, 1, 2], 2),
            (&[1, 1, 2, 2], &[1, 1, 1, 1, 1], 2),
            (&[1, 3, 3], &[1, 2, 3], 1),
            (&[], &[1, 2], 0),
            (&[2], &[1], 0),
            (&[1, 2, 2], &[1, 2, 2], 3),
        ];
        for (own, other, expected) in cases {
            let (own, other) = (log(own), log(other));
            assert_eq!(own.common_prefix(other.history(), other.end()), expected, "{own:?} {other:?}");
            assert_eq!(other.common_prefix(own.history(), own.end()), expected);
        }
    }

    #[test]
    fn a_log_that_begins_late_keeps_its_offsets() {
        let mut whole = log(&[1, 1, 1, 2, 2]);
        let (even, odd) = (TopicPartition::new(0, 0), TopicPartition::new(0, 1));
        assert_eq!(whole.beginning_at(3).offsets, [(even, 2), (odd, 1)]);
        assert_eq!(whole.delete_before(3), [(even, 0, 2), (odd, 0, 1)]);
        assert_eq!((whole.start(), whole.end()), (3, 5));
        assert_eq!((whole.partition_start(even), whole.partition_end(even)), (2, 3));
        assert_eq!(whole.read(even, 0, 9, 9).len(), 1, "what there is from the start on");
        assert_eq!(whole.read(odd, 1, 9, 9).len(), 1);
        assert_eq!(whole.from(4, 9).len(), 1);
        let mut filled = Log::default();
        filled.restart(&whole.beginning_at(4));
        assert_eq!((filled.end(), filled.history()), (4, [(1, 0), (2, 3)].as_slice()));
        assert_eq!(filled.append(whole.from(4, 1)[0]), whole.partition_end(even) - 1);
        assert_eq!(filled.common_prefix(whole.history(), whole.end()), 5);
        whole.delete_before(4);
        assert_eq!(filled, whole);
        assert_eq!(whole.truncate(2), [(even, 3, 2)], "below its start nothing is left");
    }

    #[test]
    fn what_waits_is_in_the_log_and_in_no_partition() {
        let mut log = log(&[1, 1]);
        let partition = TopicPartition::new(0, 0);
        let waits = |secs| Some(Time::ZERO + crate::units::Span::secs(secs));
        let id = RecordId { producer: 1, sequence: 0 };
        let entry = |due| Entry { epoch: 1, partition, record: Record { id, ..Record::default() }, due };
        assert_eq!((log.append(entry(waits(9))), log.append(entry(waits(5)))), (0, 1));
        assert_eq!((log.end(), log.partition_end(partition)), (4, 1));
        let places: Vec<u64> = log.waiting_after(Waiting::default()).map(|(_, at)| at).collect();
        assert_eq!(places, [3, 2], "in the order in which they are due");
        assert_eq!([0, 3, 4].map(|position| log.undue(position).len()), [2, 1, 0]);
        log.truncate(3);
        assert_eq!(log.waiting_after(Waiting::default()).count(), 1);
        log.append(entry(None));
        assert!(log.undue(0).is_empty(), "it is stored in its partition now");
    }

    #[test]
    fn a_cut_log_goes_on_with_the_freed_offsets() {
        let mut log = log(&[1, 1, 1, 2, 2]);
        assert_eq!(log.truncate(2), [(TopicPartition::new(0, 0), 3, 1), (TopicPartition::new(0, 1), 2, 1)]);
        assert_eq!(log.history(), [(1, 0)]);
        let partition = TopicPartition::new(0, 1);
        let entry = Entry { epoch: 3, partition, record: Record::default(), due: None };
        assert_eq!(log.append(entry), 1);
        assert_eq!(log.read(TopicPartition::new(0, 1), 0, 2, 10).len(), 1);
        assert_eq!(log.read(TopicPartition::new(0, 1), 0, 3, 10).len(), 2);
    }
}
