//! What a group read of one log, position by position, and whether a reading passed over what was read before.

use crate::record::{Offset, RecordId};
use serde::Serialize;

/// The positions of one log that a group was delivered, and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct ReadLog {
    /// By offset.
    read: Vec<(Offset, RecordId)>,
    /// The group's last position, whichever instance was there.
    last: Option<Offset>,
}

impl ReadLog {
    /// The group was delivered the record at that offset. Returns what it was delivered before, and passes over now.
    pub(super) fn read(&mut self, offset: Offset, record: RecordId) -> Vec<RecordId> {
        let passed = self.last.map_or(0..0, |last| self.between(last, offset));
        let passed = self.read[passed].iter().map(|(_, record)| *record).collect();
        self.note(offset, record);
        self.last = Some(offset);
        passed
    }

    /// The group goes back there because it was asked to: what it read from there on it is to read again.
    pub(super) fn go_back(&mut self, to: Offset) {
        self.truncate(to);
        self.last = self.last.map(|last| last.min(to - 1));
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

    fn record(sequence: u32) -> RecordId {
        RecordId { producer: 0, sequence }
    }

    fn read(log: &mut ReadLog, offsets: &[u32]) -> Vec<RecordId> {
        offsets.iter().flat_map(|offset| log.read(i64::from(*offset), record(*offset))).collect()
    }

    #[test]
    fn a_replay_that_goes_on_passes_over_nothing() {
        assert_eq!(read(&mut ReadLog::default(), &[0, 1, 2, 3, 1, 2, 3, 4]), []);
    }

    #[test]
    fn a_replay_that_leaps_passes_over_what_was_read_before() {
        assert_eq!(read(&mut ReadLog::default(), &[0, 1, 2, 3, 4, 1, 4]), [record(2), record(3)]);
    }

    #[test]
    fn offsets_that_nobody_read_are_no_hole() {
        assert_eq!(read(&mut ReadLog::default(), &[0, 2, 5, 0, 2, 5, 9]), []);
    }

    #[test]
    fn what_a_log_lost_cannot_be_passed_over() {
        let mut log = ReadLog::default();
        read(&mut log, &[0, 1, 2, 3]);
        log.truncate(2);
        assert_eq!(read(&mut log, &[1, 4]), []);
    }

    #[test]
    fn a_group_that_is_asked_to_go_back_passes_over_nothing_on_its_way() {
        let mut log = ReadLog::default();
        read(&mut log, &[0, 1, 2, 3]);
        log.go_back(1);
        assert_eq!(read(&mut log, &[1, 2, 3, 4]), []);
    }
}
