//! What a group read of one log, position by position, and whether a reading passed over what was read before.

use crate::record::{NodeId, Offset, RecordId};
use serde::Serialize;

/// The positions of one log that a group was delivered, and where its readers stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct ReadLog {
    /// By offset.
    read: Vec<(Offset, RecordId)>,
    /// The group's last position.
    last: Option<Offset>,
    /// The last position of each instance that has read without a break.
    readers: Vec<(NodeId, Offset)>,
}

/// How a delivery follows the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// Nothing that was read before was passed over.
    Unbroken,
    /// The group's last delivery was farther back, but this reader goes on from its own.
    Interleaved,
    /// These were read before, and passed over now.
    Over(Vec<RecordId>),
}

impl ReadLog {
    /// An instance was delivered the record at that offset.
    pub(super) fn read(&mut self, node: NodeId, offset: Offset, record: RecordId) -> Passage {
        let passed = self.last.map_or(0..0, |last| self.between(last, offset));
        let own = self.readers.iter().find(|(reader, _)| *reader == node).map(|(_, own)| *own);
        let passage = match own {
            _ if passed.is_empty() => Passage::Unbroken,
            Some(own) if self.between(own, offset).is_empty() => Passage::Interleaved,
            _ => Passage::Over(self.read[passed].iter().map(|(_, record)| *record).collect()),
        };
        self.note(offset, record);
        self.last = Some(offset);
        match self.readers.iter_mut().find(|(reader, _)| *reader == node) {
            Some((_, own)) => *own = offset,
            None => self.readers.push((node, offset)),
        }
        passage
    }

    /// The instance does not go on from its own last position.
    pub(super) fn forget_reader(&mut self, node: NodeId) {
        self.readers.retain(|(reader, _)| *reader != node);
    }

    /// The group goes back there because it was asked to: what it read from there on it is to read again.
    pub(super) fn go_back(&mut self, node: NodeId, to: Offset) {
        self.truncate(to);
        self.last = self.last.map(|last| last.min(to - 1));
        self.forget_reader(node);
    }

    /// The log lost what was from there on: it cannot be read again.
    pub(super) fn truncate(&mut self, to: Offset) {
        let kept = self.read.partition_point(|(offset, _)| *offset < to);
        self.read.truncate(kept);
    }

    /// The places in `read` of what lies strictly between two offsets.
    fn between(&self, from: Offset, to: Offset) -> std::ops::Range<usize> {
        // The usual case first: nothing was read beyond the last position.
        if self.read.last().is_none_or(|(highest, _)| *highest <= from) || to <= from {
            return 0..0;
        }
        let first = self.read.partition_point(|(offset, _)| *offset <= from);
        let beyond = self.read.partition_point(|(offset, _)| *offset < to);
        first..beyond.max(first)
    }

    fn note(&mut self, offset: Offset, record: RecordId) {
        if self.read.last().is_none_or(|(highest, _)| *highest < offset) {
            self.read.push((offset, record));
            return;
        }
        match self.read.binary_search_by_key(&offset, |(offset, _)| *offset) {
            Ok(place) => self.read[place].1 = record,
            Err(place) => self.read.insert(place, (offset, record)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);

    fn record(sequence: u32) -> RecordId {
        RecordId { producer: 0, sequence }
    }

    fn read(log: &mut ReadLog, node: NodeId, offsets: &[u32]) -> Vec<Passage> {
        offsets.iter().map(|offset| log.read(node, i64::from(*offset), record(*offset))).collect()
    }

    #[test]
    fn a_replay_that_goes_on_passes_over_nothing() {
        let mut log = ReadLog::default();
        let passages = read(&mut log, A, &[0, 1, 2, 3, 1, 2, 3, 4]);
        assert!(passages.iter().all(|passage| *passage == Passage::Unbroken));
    }

    #[test]
    fn a_replay_that_leaps_passes_over_what_was_read_before() {
        let mut log = ReadLog::default();
        read(&mut log, A, &[0, 1, 2, 3, 4]);
        log.forget_reader(B);
        assert_eq!(
            read(&mut log, B, &[1, 4]),
            [Passage::Unbroken, Passage::Over(vec![record(2), record(3)])]
        );
    }

    #[test]
    fn offsets_that_nobody_read_are_no_hole() {
        let mut log = ReadLog::default();
        let passages = read(&mut log, A, &[0, 2, 5, 0, 2, 5, 9]);
        assert!(passages.iter().all(|passage| *passage == Passage::Unbroken));
    }

    #[test]
    fn a_reader_that_goes_on_beside_a_replay_is_interleaved_until_it_begins_anew() {
        let mut log = ReadLog::default();
        read(&mut log, A, &[0, 1, 2, 3]);
        read(&mut log, B, &[1]);
        assert_eq!(read(&mut log, A, &[4]), [Passage::Interleaved]);
        assert_eq!(read(&mut log, B, &[2]), [Passage::Unbroken]);
        log.forget_reader(A);
        assert_eq!(read(&mut log, A, &[5]), [Passage::Over(vec![record(3), record(4)])]);
    }

    #[test]
    fn what_a_log_lost_cannot_be_passed_over() {
        let mut log = ReadLog::default();
        read(&mut log, A, &[0, 1, 2, 3]);
        log.truncate(2);
        assert_eq!(read(&mut log, B, &[1, 4]), [Passage::Unbroken, Passage::Unbroken]);
    }
}
