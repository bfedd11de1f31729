//! What a replica knows of the producers of its partition: the last five batches of each, so that a batch sent
//! again is not appended again, and one out of order is refused (recorded: "Producing", 4 to 8).

use super::protocol::{ErrorCode, ProducerId, ProducerStamp};
use crate::record::Offset;
use crate::units::{Span, Time};
use litemap::LiteMap;
use serde::Serialize;

/// So many batches of a producer are remembered.
const REMEMBERED_BATCHES: usize = 5;

/// A batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct AppendedBatch {
    /// The sequence of its first record.
    pub first_sequence: i32,
    /// The sequence of its last record.
    pub last_sequence: i32,
    /// The offset of its first record.
    pub base_offset: Offset,
    /// The offset of its last record.
    pub last_offset: Offset,
}

/// What is known of one producer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ProducerState {
    /// Its latest epoch.
    pub epoch: i16,
    /// Its last batches, the oldest first, all of that epoch.
    pub batches: Vec<AppendedBatch>,
    /// When it last appended.
    pub last_at: Time,
    /// Where its open transaction begins.
    pub transaction_start: Option<Offset>,
    /// The epoch of the coordinator that wrote its last marker; -1 for none.
    pub coordinator_epoch: i32,
}

impl ProducerState {
    /// The sequence of its last record; -1 for none.
    pub fn last_sequence(&self) -> i32 {
        self.batches.last().map_or(-1, |batch| batch.last_sequence)
    }
}

/// What is known of all producers of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProducerStates {
    producers: LiteMap<ProducerId, ProducerState>,
}

/// The sequence that comes `count` after another: numbers go on at 0 after the greatest.
pub fn sequence_after(sequence: i32, count: i32) -> i32 {
    if sequence > i32::MAX - count { count - (i32::MAX - sequence) - 1 } else { sequence + count }
}

impl ProducerStates {
    /// All that are known.
    pub fn iter(&self) -> impl Iterator<Item = (&ProducerId, &ProducerState)> {
        self.producers.iter()
    }

    /// The batch that has been appended already with this stamp and count of records, if it is remembered.
    pub fn duplicate(&self, stamp: &ProducerStamp, count: i32) -> Option<AppendedBatch> {
        let known = self.producers.get(&stamp.id).filter(|known| known.epoch == stamp.epoch)?;
        let last = sequence_after(stamp.base_sequence, count - 1);
        known
            .batches
            .iter()
            .find(|batch| batch.first_sequence == stamp.base_sequence && batch.last_sequence == last)
            .copied()
    }

    /// Whether a batch may be appended now.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` for an epoch that is over, `OUT_OF_ORDER_SEQUENCE_NUMBER` for a gap.
    pub fn check(&self, stamp: &ProducerStamp) -> Result<(), ErrorCode> {
        let Some(known) = self.producers.get(&stamp.id) else { return Ok(()) };
        if stamp.epoch < known.epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if stamp.epoch > known.epoch {
            return if stamp.base_sequence == 0 { Ok(()) } else { Err(ErrorCode::OutOfOrderSequenceNumber) };
        }
        let last = known.last_sequence();
        let follows = i64::from(stamp.base_sequence) == i64::from(last) + 1
            || stamp.base_sequence == 0 && last == i32::MAX;
        if follows { Ok(()) } else { Err(ErrorCode::OutOfOrderSequenceNumber) }
    }

    /// Note that a record was appended. `place` is its place in its batch.
    pub fn appended(&mut self, stamp: &ProducerStamp, place: u32, offset: Offset, at: Time) {
        let known = self.producers.entry(stamp.id).or_insert_with(|| ProducerState {
            epoch: stamp.epoch,
            batches: Vec::new(),
            last_at: at,
            transaction_start: None,
            coordinator_epoch: -1,
        });
        if known.epoch != stamp.epoch {
            known.epoch = stamp.epoch;
            known.batches.clear();
        }
        known.last_at = at;
        if stamp.transactional && known.transaction_start.is_none() {
            known.transaction_start = Some(offset);
        }
        if stamp.base_sequence < 0 {
            return;
        }
        match known.batches.last_mut().filter(|_| place > 0) {
            Some(batch) => {
                batch.last_sequence = stamp.base_sequence;
                batch.last_offset = offset;
            }
            None => {
                if known.batches.len() == REMEMBERED_BATCHES {
                    known.batches.remove(0);
                }
                known.batches.push(AppendedBatch {
                    first_sequence: stamp.base_sequence,
                    last_sequence: stamp.base_sequence,
                    base_offset: offset,
                    last_offset: offset,
                });
            }
        }
    }

    /// Note that a transaction's marker was appended. Returns where the transaction began, if it was open.
    pub fn marked(&mut self, id: ProducerId, epoch: i16, coordinator_epoch: i32, at: Time) -> Option<Offset> {
        let known = self.producers.entry(id).or_insert_with(|| ProducerState {
            epoch,
            batches: Vec::new(),
            last_at: at,
            transaction_start: None,
            coordinator_epoch,
        });
        if known.epoch != epoch {
            known.epoch = epoch;
            known.batches.clear();
        }
        known.coordinator_epoch = coordinator_epoch;
        known.last_at = at;
        known.transaction_start.take()
    }

    /// Where the oldest open transaction begins.
    pub fn first_open(&self) -> Option<Offset> {
        self.producers.values().filter_map(|known| known.transaction_start).min()
    }

    /// The process starts anew: the snapshot on disk holds only the last batch of each producer.
    pub fn restarted(&mut self) {
        for (_, known) in self.producers.iter_mut() {
            let old = known.batches.len().saturating_sub(1);
            known.batches.drain(..old);
        }
    }

    /// Forget the producers that have been silent for so long and have no open transaction. Returns whether there
    /// are any left.
    pub fn expire(&mut self, now: Time, after: Span) {
        self.producers
            .retain(|_, known| known.transaction_start.is_some() || now.since(known.last_at) < after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(epoch: i16, base_sequence: i32) -> ProducerStamp {
        ProducerStamp { id: ProducerId(7), epoch, base_sequence, transactional: false }
    }

    fn appended(sequences: &[i32]) -> ProducerStates {
        let mut states = ProducerStates::default();
        for (offset, sequence) in sequences.iter().enumerate() {
            states.appended(&stamp(0, *sequence), 0, offset as Offset, Time(0));
        }
        states
    }

    #[test]
    fn the_last_five_batches_are_known_again() {
        let states = appended(&[0, 1, 2, 3, 4, 5]);
        assert_eq!(states.duplicate(&stamp(0, 1), 1).map(|batch| batch.base_offset), Some(1));
        assert_eq!(states.duplicate(&stamp(0, 0), 1), None);
        assert_eq!(states.check(&stamp(0, 0)), Err(ErrorCode::OutOfOrderSequenceNumber));
        assert_eq!(states.duplicate(&stamp(0, 1), 2), None, "a batch of another length is another batch");
    }

    #[test]
    fn an_unknown_producer_may_start_anywhere_and_a_new_epoch_at_zero() {
        let states = appended(&[0]);
        let stranger = ProducerStamp { id: ProducerId(8), ..stamp(3, 41) };
        assert_eq!(states.check(&stranger), Ok(()));
        assert_eq!(states.check(&stamp(1, 1)), Err(ErrorCode::OutOfOrderSequenceNumber));
        assert_eq!(states.check(&stamp(1, 0)), Ok(()));
    }

    #[test]
    fn an_old_epoch_is_refused_even_for_a_duplicate() {
        let mut states = appended(&[0, 1]);
        states.appended(&stamp(1, 0), 0, 2, Time(0));
        assert_eq!(states.duplicate(&stamp(0, 1), 1), None);
        assert_eq!(states.check(&stamp(0, 1)), Err(ErrorCode::InvalidProducerEpoch));
    }

    #[test]
    fn sequences_go_on_at_zero() {
        let states = appended(&[i32::MAX]);
        assert_eq!(states.check(&stamp(0, 0)), Ok(()));
        assert_eq!(sequence_after(i32::MAX - 1, 3), 1);
    }

    #[test]
    fn a_restart_leaves_the_last_batch() {
        let mut states = appended(&[0, 1, 2]);
        states.restarted();
        assert_eq!(states.duplicate(&stamp(0, 1), 1), None);
        assert!(states.duplicate(&stamp(0, 2), 1).is_some());
    }
}
