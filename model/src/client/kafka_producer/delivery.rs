//! How a batch ends: acknowledged, put back, given up, or too old.

use super::KafkaProducer;
use super::accumulator::BatchId;
use super::sequences::Verdict;
use crate::client::SendOutcome;
use crate::history::Setback;
use crate::kafka::protocol::ErrorCode;
use crate::machine::{Effects, Now};
use crate::record::{Offset, TopicPartition};

/// A partition's answer to a produce request: error, base offset, log start.
pub(super) type Produced = (TopicPartition, ErrorCode, Offset, Offset);

/// Java's `RetriableException`s among those that a produce request may get.
fn retriable(error: ErrorCode) -> bool {
    stale(error)
        || matches!(
            error,
            ErrorCode::NotEnoughReplicas
                | ErrorCode::NotEnoughReplicasAfterAppend
                | ErrorCode::RequestTimedOut
                | ErrorCode::BrokerNotAvailable
                | ErrorCode::ConcurrentTransactions
                | ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::CoordinatorNotAvailable
                | ErrorCode::NotCoordinator
                | ErrorCode::UnknownLeaderEpoch
        )
}

/// Java's `InvalidMetadataException`s: the client's picture of the cluster is out of date.
fn stale(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::NotLeaderOrFollower
            | ErrorCode::LeaderNotAvailable
            | ErrorCode::UnknownTopicOrPartition
            | ErrorCode::FencedLeaderEpoch
            | ErrorCode::ReplicaNotAvailable
    )
}

impl KafkaProducer {
    /// A produce request was answered.
    pub(super) fn produced(
        &mut self,
        now: Now,
        batches: &[(TopicPartition, BatchId)],
        answers: &[Produced],
        effects: &mut Effects,
    ) {
        for (partition, id) in batches {
            self.fly_back(*partition);
            match answers.iter().find(|answer| answer.0 == *partition) {
                Some(answer) => self.batch_answered(now, *id, *answer, effects),
                None => self.batch_lost(now, *id, effects),
            }
        }
    }

    /// A produce request was lost with its connection: what it carried may be written.
    pub(super) fn produce_lost(
        &mut self,
        now: Now,
        batches: &[(TopicPartition, BatchId)],
        effects: &mut Effects,
    ) {
        for (partition, id) in batches {
            self.fly_back(*partition);
            self.batch_lost(now, *id, effects);
        }
    }

    fn batch_lost(&mut self, now: Now, id: BatchId, effects: &mut Effects) {
        // An answer for a batch that expired meanwhile is ignored.
        let Some(batch) = self.volatile.batches.get_mut(&id) else { return };
        batch.flying = false;
        batch.maybe_written = true;
        if self.may_retry(now, id) {
            self.put_back(id, Some(Setback::NoAnswer), effects);
        } else {
            self.fail(id, SendOutcome::Refused);
        }
    }

    fn may_retry(&self, now: Now, id: BatchId) -> bool {
        self.volatile.batches.get(&id).is_some_and(|batch| {
            let young = now.elapsed < batch.created_at + self.settings.delivery_timeout;
            young && batch.attempts < self.settings.retries
        })
    }

    fn batch_answered(&mut self, now: Now, id: BatchId, answer: Produced, effects: &mut Effects) {
        let (_, error, base_offset, log_start) = answer;
        let Some(batch) = self.volatile.batches.get_mut(&id) else { return };
        batch.flying = false;
        // An error that carries an offset came after the append: the record is in that log.
        batch.maybe_written |= base_offset >= 0 || error == ErrorCode::RequestTimedOut;
        let several = batch.records.len() > 1;
        if stale(error) {
            self.volatile.metadata.want();
        }
        match error {
            ErrorCode::None | ErrorCode::DuplicateSequenceNumber => self.acknowledge(id, base_offset),
            // Java splits a batch into pieces of batch.size; it was not larger than that, so the same batch goes again,
            // without a back-off, until it expires (observed row 5).
            ErrorCode::MessageTooLarge if several => self.put_back(id, None, effects),
            _ if self.may_retry(now, id) && self.worth_retrying(id, error, log_start) => {
                self.put_back(id, Some(Setback::Refused(error)), effects);
            }
            ErrorCode::MessageTooLarge => self.fail(id, SendOutcome::TooLarge),
            _ => self.fail(id, SendOutcome::Refused),
        }
    }

    fn worth_retrying(&mut self, id: BatchId, error: ErrorCode, log_start: Offset) -> bool {
        let own = &mut self.volatile;
        let (Some(idempotence), Some(batch)) = (&mut own.idempotence, own.batches.get(&id)) else {
            return retriable(error);
        };
        match idempotence.judge(error, batch, log_start) {
            Verdict::Retry => true,
            Verdict::AsTheErrorSays => retriable(error),
        }
    }

    /// A batch failed for good by its answer. The sequence has a hole then, so the epoch is bumped.
    fn fail(&mut self, id: BatchId, refused: SendOutcome) {
        let Some(batch) = self.remove(id) else { return };
        let retries_left = batch.attempts < self.settings.retries;
        if let Some(idempotence) = &mut self.volatile.idempotence {
            idempotence.forget(id, &batch);
            if retries_left && batch.stamp.is_some() {
                idempotence.bump_for(batch.partition);
            }
        }
        self.give_up(&batch, refused);
    }

    /// Give up the batches that are too old, in flight or not.
    pub(super) fn expire(&mut self, now: Now, effects: &mut Effects) {
        let timeout = self.settings.delivery_timeout;
        let old = |id: &BatchId| {
            self.volatile.batches.get(id).is_some_and(|batch| batch.created_at + timeout <= now.elapsed)
        };
        let expired: Vec<BatchId> = self.volatile.batches.keys().copied().filter(old).collect();
        for id in expired {
            let Some(batch) = self.remove(id) else { continue };
            if let Some(idempotence) = &mut self.volatile.idempotence {
                idempotence.forget(id, &batch);
                if batch.in_retry {
                    idempotence.mark_unresolved(&batch);
                }
            }
            self.give_up(&batch, SendOutcome::Refused);
        }
        let next = self.volatile.batches.values().map(|batch| batch.created_at).min();
        if let Some(created_at) = next {
            self.volatile.expiry.wake_by(now, created_at + timeout, effects);
        }
    }
}
