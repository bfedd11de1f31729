//! Where records wait: batches per partition, and the sends that block because memory or metadata is missing.

use super::{KafkaProducer, RETRY};
use crate::client::kafka_network::backoff;
use crate::client::{Route, SendOutcome};
use crate::history::{Event, Setback};
use crate::kafka::protocol::ProducerId;
use crate::machine::{Effects, Now, Timer};
use crate::record::{Record, TopicId, TopicPartition};
use crate::units::Time;
use serde::Serialize;
use std::collections::VecDeque;

/// Counts the batches in the order of their creation.
pub(super) type BatchId = u64;

/// What a batch was numbered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Stamp {
    pub(super) producer: (ProducerId, i16),
    pub(super) base_sequence: i32,
}

/// Records of one partition that travel together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Batch {
    pub(super) partition: TopicPartition,
    pub(super) records: Vec<Record>,
    pub(super) tokens: Vec<u64>,
    pub(super) bytes: u64,
    /// When its first record came: the delivery time-out counts from here (observed row 3).
    pub(super) created_at: Time,
    /// How often it was put back.
    pub(super) attempts: u32,
    /// It was sent once: nothing is added any more.
    pub(super) sealed: bool,
    /// A request with it is unanswered.
    pub(super) flying: bool,
    /// It came back from a request that failed.
    pub(super) in_retry: bool,
    /// It may be in a log, for all that the producer was told.
    pub(super) maybe_written: bool,
    pub(super) stamp: Option<Stamp>,
    /// It was numbered anew after an epoch bump.
    pub(super) renumbered: bool,
    /// The leader epoch when it was last sent.
    pub(super) sent_epoch: i32,
}

impl Batch {
    pub(super) fn len(&self) -> i32 {
        i32::try_from(self.records.len()).expect("a batch holds far fewer records than sequences exist")
    }

    /// The sequence after its last record's.
    pub(super) fn next_sequence(&self) -> Option<i32> {
        self.stamp.map(|stamp| stamp.base_sequence + self.len())
    }
}

/// The batches of one partition that are not in flight, the next to send in front.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Queue {
    pub(super) waiting: VecDeque<BatchId>,
    /// Unanswered requests with a batch of this partition.
    pub(super) flying: u32,
    /// The front batch was put back and its back-off runs.
    pub(super) backing_off: bool,
}

/// A send that blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Waiting {
    pub(super) token: u64,
    /// Where it goes; with a route as far as is known.
    pub(super) partition: TopicPartition,
    /// How the partition is chosen, when the topic is known: the partitioner runs behind the wait for metadata.
    pub(super) route: Option<Route>,
    pub(super) record: Record,
    pub(super) until: Time,
}

fn timer_index(partition: TopicPartition) -> u64 {
    u64::from(partition.topic.0) << 16 | u64::from(partition.partition)
}

impl KafkaProducer {
    /// Let blocked sends in, in their order, as far as metadata and memory allow.
    pub(super) fn admit(&mut self, now: Now, effects: &mut Effects) {
        while let Some(next) = self.volatile.waiting.front_mut() {
            let until = next.until;
            if let Some(route) = next.route
                && let Some(count) = self.volatile.metadata.partition_count(route.source.topic)
            {
                next.partition = route.target(&next.record, count);
            }
            if self.volatile.metadata.leadership(next.partition).is_none() {
                self.volatile.metadata.want();
                return self.volatile.block.wake_by(now, until, effects);
            }
            if !self.append_front(now, effects) {
                return self.volatile.block.wake_by(now, until, effects);
            }
        }
    }

    /// Put the oldest blocked send into a batch. Returns whether there was memory.
    fn append_front(&mut self, now: Now, effects: &mut Effects) -> bool {
        let own = &mut self.volatile;
        let Some(next) = own.waiting.front() else { return false };
        let bytes = u64::from(next.record.bytes);
        let queue = own.queues.entry(next.partition).or_default();
        let last = queue.waiting.back().and_then(|id| own.batches.get_mut(id));
        let open = last.filter(|batch| !batch.sealed && batch.bytes + bytes <= self.settings.batch_size.0);
        if let Some(batch) = open {
            batch.bytes += bytes;
            batch.records.push(next.record);
            batch.tokens.push(next.token);
        } else {
            // Java takes a whole buffer of batch.size from the pool for each batch.
            let cost = bytes.max(self.settings.batch_size.0);
            if own.memory_bytes > 0 && own.memory_bytes + cost > self.settings.buffer_memory.0 {
                return false;
            }
            own.memory_bytes += cost;
            own.last_batch += 1;
            queue.waiting.push_back(own.last_batch);
            own.batches.insert(own.last_batch, Batch::of(next, now));
            own.expiry.wake_by(now, now.elapsed + self.settings.delivery_timeout, effects);
        }
        own.waiting.pop_front();
        true
    }

    /// A send blocks for at most `max-block`; then it is certainly not written (observed row 6).
    pub(super) fn refuse_blocked(&mut self, now: Now, effects: &mut Effects) {
        let blocked = std::mem::take(&mut self.volatile.waiting);
        for send in blocked {
            if send.until <= now.elapsed {
                self.decide(send.token, SendOutcome::Refused);
            } else {
                self.volatile.block.wake_by(now, send.until, effects);
                self.volatile.waiting.push_back(send);
            }
        }
    }

    /// Put a batch back at the head after an attempt that failed. With idempotence the order of the sequences is kept; without it
    /// the batches of one broken connection end up reversed, as observed (row 2).
    /// After a setback it backs off first.
    pub(super) fn put_back(&mut self, id: BatchId, setback: Option<Setback>, effects: &mut Effects) {
        let own = &mut self.volatile;
        let Some(batch) = own.batches.get_mut(&id) else { return };
        batch.flying = false;
        let partition = batch.partition;
        let sequence = batch.stamp.map(|stamp| stamp.base_sequence);
        if let Some(because) = setback {
            batch.attempts += 1;
            batch.in_retry = true;
            let records = batch.records.iter().map(|record| record.id).collect();
            effects.record(Event::PutBack { partition, records, because });
        }
        let attempts = batch.attempts;
        let batches = &own.batches;
        let queue = own.queues.entry(partition).or_default();
        let earlier = |other: &&BatchId| {
            let stamp = batches.get(other).and_then(|batch| batch.stamp);
            sequence.zip(stamp).is_some_and(|(sequence, stamp)| stamp.base_sequence < sequence)
        };
        let place = queue.waiting.iter().take_while(earlier).count();
        queue.waiting.insert(place, id);
        if setback.is_some() {
            queue.backing_off = true;
            let settings = &self.settings;
            let (least, most) =
                backoff(settings.retry_backoff, settings.retry_backoff_max, attempts.saturating_sub(1));
            effects.set_timer_between(Timer::new(RETRY, timer_index(partition)), least, most);
        }
    }

    /// The back-off of a partition's front batch is over.
    pub(super) fn retry_due(&mut self, index: u64) {
        let partition = TopicPartition {
            topic: TopicId((index >> 16 & 0xffff) as u16),
            partition: (index & 0xffff) as u16,
        };
        if let Some(queue) = self.volatile.queues.get_mut(&partition) {
            queue.backing_off = false;
        }
    }

    /// A batch whose partition got a new leader is sent again without waiting (KIP-951).
    pub(super) fn leaders_changed(&mut self) {
        let own = &mut self.volatile;
        for (partition, queue) in own.queues.iter_mut().filter(|(_, queue)| queue.backing_off) {
            let front = queue.waiting.front().and_then(|id| own.batches.get(id));
            let known = own.metadata.leadership(*partition);
            if let (Some(batch), Some(known)) = (front, known) {
                queue.backing_off = known.epoch <= batch.sent_epoch;
            }
        }
    }

    /// A batch is done: forget it, and give its memory back.
    pub(super) fn remove(&mut self, id: BatchId) -> Option<Batch> {
        let own = &mut self.volatile;
        let batch = own.batches.remove(&id)?;
        let cost = batch.bytes.max(self.settings.batch_size.0);
        own.memory_bytes = own.memory_bytes.saturating_sub(cost);
        if let Some(queue) = own.queues.get_mut(&batch.partition) {
            queue.waiting.retain(|waiting| *waiting != id);
        }
        Some(batch)
    }
}

impl Batch {
    fn of(first: &Waiting, now: Now) -> Batch {
        Batch {
            partition: first.partition,
            records: vec![first.record],
            tokens: vec![first.token],
            bytes: u64::from(first.record.bytes),
            created_at: now.elapsed,
            attempts: 0,
            sealed: false,
            flying: false,
            in_retry: false,
            maybe_written: false,
            stamp: None,
            renumbered: false,
            sent_epoch: -1,
        }
    }
}
