//! How an idempotent producer numbers its batches, partition by partition, and when it bumps its epoch; after
//! Java's `TransactionManager` (3.9), non-transactional part.

use super::KafkaProducer;
use super::accumulator::{Batch, BatchId, Stamp};
use crate::kafka::protocol::{ErrorCode, ProducerId};
use crate::record::{Offset, TopicPartition};
use litemap::LiteMap;
use serde::Serialize;
use std::collections::BTreeSet;

/// The numbering of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Sequences {
    producer: Option<(ProducerId, i16)>,
    next: i32,
    /// The last sequence that was acknowledged.
    last_acked: Option<i32>,
    last_acked_offset: Offset,
    /// Numbered and not done: in flight or put back, in the order of their sequences.
    in_flight: Vec<BatchId>,
    /// The sequence after an expired batch that may or may not be written.
    unresolved: Option<i32>,
}

/// What an idempotent producer knows of its identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Idempotence {
    pub(super) producer: Option<(ProducerId, i16)>,
    pub(super) asking: bool,
    pub(super) failures: u32,
    partitions: LiteMap<TopicPartition, Sequences>,
    /// Partitions whose batches are to be numbered from 0 under a new epoch.
    bump: BTreeSet<TopicPartition>,
}

/// What idempotence says about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Retry,
    AsTheErrorSays,
}

impl Idempotence {
    pub(super) fn needs_id(&self) -> bool {
        self.producer.is_none() && !self.asking
    }

    /// Whether the front batch of a partition may go: a batch that was put back only when it is the first unfinished
    /// one, a new one only when nothing older is in doubt (Java: `shouldStopDrainBatchesForPartition`).
    pub(super) fn may_send(&self, partition: TopicPartition, id: BatchId, batch: &Batch) -> bool {
        if self.producer.is_none() {
            return false;
        }
        let Some(known) = self.partitions.get(&partition) else { return true };
        if batch.stamp.is_some() {
            return known.in_flight.first().is_none_or(|first| *first == id);
        }
        let stale = known.producer != self.producer && !known.in_flight.is_empty();
        !stale && known.unresolved.is_none()
    }

    /// Number a batch that goes out for the first time.
    pub(super) fn number(&mut self, id: BatchId, batch: &mut Batch) {
        let known = self.partitions.entry(batch.partition).or_default();
        if batch.stamp.is_some() {
            return;
        }
        if known.producer != self.producer && known.in_flight.is_empty() {
            *known = Sequences { producer: self.producer, ..Sequences::default() };
        }
        let producer = known.producer.expect("a batch is numbered only with a producer id");
        batch.stamp = Some(Stamp { producer, base_sequence: known.next });
        known.next += batch.len();
        known.in_flight.push(id);
    }

    pub(super) fn acknowledged(&mut self, id: BatchId, batch: &Batch, base_offset: Offset) {
        self.forget(id, batch);
        let Some(known) = self.partitions.get_mut(&batch.partition) else { return };
        let last = batch.next_sequence().map(|next| next - 1);
        known.last_acked = known.last_acked.max(last);
        if base_offset >= 0 {
            known.last_acked_offset =
                known.last_acked_offset.max(base_offset + Offset::from(batch.len()) - 1);
        }
    }

    /// A batch is done.
    pub(super) fn forget(&mut self, id: BatchId, batch: &Batch) {
        if let Some(known) = self.partitions.get_mut(&batch.partition) {
            known.in_flight.retain(|other| *other != id);
        }
    }

    /// A batch expired after it had been sent: nothing new is numbered until the rest is through.
    pub(super) fn mark_unresolved(&mut self, batch: &Batch) {
        let Some(known) = self.partitions.get_mut(&batch.partition) else { return };
        known.unresolved = known.unresolved.max(batch.next_sequence());
    }

    pub(super) fn bump_for(&mut self, partition: TopicPartition) {
        self.bump.insert(partition);
    }

    /// Whether an error about sequences is worth another attempt, with a new epoch if needed (Java: `canRetry`).
    pub(super) fn judge(&mut self, error: ErrorCode, batch: &Batch, log_start: Offset) -> Verdict {
        let Some(known) = self.partitions.get(&batch.partition) else { return Verdict::AsTheErrorSays };
        let base = batch.stamp.map(|stamp| stamp.base_sequence);
        let is_next = base == Some(known.last_acked.map_or(0, |last| last + 1));
        match error {
            ErrorCode::UnknownProducerId => {
                if log_start >= 0 && !batch.renumbered {
                    self.bump_for(batch.partition);
                }
                Verdict::Retry
            }
            ErrorCode::OutOfOrderSequenceNumber => {
                let resolved = known.unresolved.is_none();
                let will_heal = resolved && (batch.renumbered || !is_next);
                let follows_doubt = !resolved && base == known.unresolved;
                if !will_heal && (resolved || follows_doubt) {
                    self.bump_for(batch.partition);
                }
                Verdict::Retry
            }
            _ => Verdict::AsTheErrorSays,
        }
    }

    /// Where a batch expired and all others are through: go on if they succeeded, else bump the epoch.
    fn resolve(&mut self) {
        for (partition, known) in &mut self.partitions {
            if known.unresolved.is_some() && known.in_flight.is_empty() {
                known.unresolved = None;
                let next = known.last_acked.map_or(0, |last| last + 1);
                if known.next != next {
                    self.bump.insert(*partition);
                }
            }
        }
    }

    /// Take the next epoch, and number the unfinished batches of these partitions from 0 (the others follow when their old ones are through).
    fn bump_epoch(&mut self, batches: &mut LiteMap<BatchId, Batch>) {
        if self.bump.is_empty() {
            return;
        }
        let Some((id, epoch)) = self.producer else { return };
        if epoch == i16::MAX {
            self.producer = None;
            return;
        }
        self.producer = Some((id, epoch + 1));
        for partition in std::mem::take(&mut self.bump) {
            let Some(known) = self.partitions.get_mut(&partition) else { continue };
            known.producer = self.producer;
            known.next = 0;
            known.last_acked = None;
            for id in &known.in_flight {
                let Some(batch) = batches.get_mut(id) else { continue };
                batch.stamp =
                    Some(Stamp { producer: (self.producer.unwrap_or_default()), base_sequence: known.next });
                batch.renumbered = true;
                known.next += batch.len();
            }
        }
    }
}

impl KafkaProducer {
    /// Close doubts about sequences, and bump the epoch where a hole is left.
    pub(super) fn settle_sequences(&mut self) {
        let own = &mut self.volatile;
        if let Some(idempotence) = &mut own.idempotence {
            idempotence.resolve();
            idempotence.bump_epoch(&mut own.batches);
        }
    }
}
