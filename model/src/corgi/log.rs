//! The commit log of a broker set: one sequence of entries for all its partitions, so that two brokers' logs can be
//! compared by their lengths, and an index for each partition. Positions count entries, not bytes: the observed slave
//! whose bytes no longer meet the master's (e14) is left out.

use crate::corgi::protocol::Epoch;
use crate::partition_map::PartitionMap;
use crate::record::{Offset, Record, TopicPartition};
use serde::Serialize;

/// One entry of a commit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Entry {
    /// The epoch of the master that took it.
    pub epoch: Epoch,
    /// The partition that it belongs to.
    pub partition: TopicPartition,
    /// The record.
    pub record: Record,
}

/// A commit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Log {
    entries: Vec<Entry>,
    /// Each stretch of one epoch, with the position where it begins.
    history: Vec<(Epoch, u64)>,
    /// The positions of each partition's records, by offset. Rebuilt from the entries in the real system (e11).
    index: PartitionMap<Vec<u64>>,
}

impl Log {
    /// The position behind the last entry.
    pub fn end(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Each stretch of one epoch, with the position where it begins.
    pub fn history(&self) -> &[(Epoch, u64)] {
        &self.history
    }

    /// Appends an entry and returns its offset in its partition.
    pub fn append(&mut self, entry: Entry) -> Offset {
        let position = self.end();
        if self.history.last().is_none_or(|(epoch, _)| *epoch != entry.epoch) {
            self.history.push((entry.epoch, position));
        }
        let index = self.index.or_default(entry.partition);
        index.push(position);
        let offset = index.len() as Offset - 1;
        self.entries.push(entry);
        offset
    }

    /// The entries from a position on, at most so many.
    pub fn from(&self, position: u64, at_most: usize) -> &[Entry] {
        let start = (position as usize).min(self.entries.len());
        let end = start.saturating_add(at_most).min(self.entries.len());
        &self.entries[start..end]
    }

    /// The offset behind a partition's last record.
    pub fn partition_end(&self, partition: TopicPartition) -> Offset {
        self.index.get(partition).map_or(0, |index| index.len() as Offset)
    }

    /// The end of every partition that has records.
    pub fn partition_ends(&self) -> impl Iterator<Item = (TopicPartition, Offset)> + '_ {
        self.index.iter().map(|(partition, index)| (partition, index.len() as Offset))
    }

    /// The records of a partition from an offset on that lie before a position, at most so many.
    pub fn read(&self, partition: TopicPartition, from: Offset, before: u64, at_most: usize) -> Vec<Record> {
        let Some(index) = self.index.get(partition) else { return Vec::new() };
        let start = usize::try_from(from).unwrap_or(0).min(index.len());
        let shown = index[start..].iter().take(at_most).take_while(|position| **position < before);
        shown.map(|position| self.entries[*position as usize].record).collect()
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

    /// Cuts the log at a position. Returns each partition that lost records, with its end before and after.
    pub fn truncate(&mut self, position: u64) -> Vec<(TopicPartition, Offset, Offset)> {
        if position >= self.end() {
            return Vec::new();
        }
        self.entries.truncate(position as usize);
        self.history.retain(|(_, start)| *start < position);
        let mut cut = Vec::new();
        for (partition, index) in self.index.iter_mut() {
            let before = index.len();
            let kept = index.partition_point(|at| *at < position);
            index.truncate(kept);
            if kept < before {
                cut.push((partition, before as Offset, kept as Offset));
            }
        }
        cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(epochs: &[Epoch]) -> Log {
        let mut log = Log::default();
        for (place, epoch) in epochs.iter().enumerate() {
            let partition = TopicPartition::new(0, (place % 2) as u16);
            log.append(Entry { epoch: *epoch, partition, record: Record::default() });
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
    fn a_cut_log_goes_on_with_the_freed_offsets() {
        let mut log = log(&[1, 1, 1, 2, 2]);
        assert_eq!(log.truncate(2), [(TopicPartition::new(0, 0), 3, 1), (TopicPartition::new(0, 1), 2, 1)]);
        assert_eq!(log.history(), [(1, 0)]);
        let entry = Entry { epoch: 3, partition: TopicPartition::new(0, 1), record: Record::default() };
        assert_eq!(log.append(entry), 1);
        assert_eq!(log.read(TopicPartition::new(0, 1), 0, 2, 10).len(), 1);
        assert_eq!(log.read(TopicPartition::new(0, 1), 0, 3, 10).len(), 2);
    }
}
