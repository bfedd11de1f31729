//! Produce requests: what is checked before a batch is appended, in Kafka's order.

use super::appends::Produced;
use super::{Broker, Context};
use crate::kafka::log::{BATCH_HEADER_BYTES, Payload};
use crate::kafka::producer_state::{ProducerState, sequence_after};
use crate::kafka::protocol::{Acks, ErrorCode, ProduceBatch, ProducerId, ProducerStamp, TransactionalId};
use crate::kafka::transaction::{Unverified, producers_error};
use crate::machine::{Process, RequestId};
use crate::record::{Key, NodeId, Offset, TopicPartition};
use crate::units::{Span, Time};
use litemap::LiteMap;
use std::collections::BTreeMap;

/// The sequence of the record at that place of a batch; -1 where the producer numbers nothing.
pub(super) fn sequence_at(base: i32, place: u32) -> i32 {
    if base < 0 { base } else { sequence_after(base, place as i32) }
}

/// A batch that is in the log: its base offset, the log's start, and what the high watermark must reach.
struct Appended {
    base: Offset,
    log_start: Offset,
    required: Offset,
}

impl Broker {
    pub(super) fn serve_produce(
        &mut self,
        cx: &mut Context<'_>,
        client: (NodeId, RequestId),
        acks: Acks,
        timeout: Span,
        transaction: Option<TransactionalId>,
        batches: Vec<ProduceBatch>,
    ) {
        if let Some(transaction) = transaction {
            let unknown: Vec<(TopicPartition, ProducerStamp)> = batches
                .iter()
                .filter_map(|batch| batch.stamp.map(|stamp| (batch.partition, stamp)))
                .filter(|(at, stamp)| {
                    stamp.transactional && !self.has_open_transaction(*at, stamp.id, stamp.epoch)
                })
                .collect();
            if let Some((_, stamp)) = unknown.first() {
                let producer = (stamp.id, stamp.epoch);
                for (at, stamp) in &unknown {
                    self.note_unverified(*at, stamp);
                }
                let partitions = unknown.iter().map(|(at, _)| *at).collect();
                let request = Unverified::Produce { caller: client, acks, timeout, batches };
                self.verify(cx, transaction, producer, partitions, request);
                return;
            }
        }
        self.append_verified(cx, client, acks, timeout, batches, &BTreeMap::new());
    }

    /// Whether a producer has a transaction open in a partition that this broker leads; where it does not lead, there
    /// is nothing to verify.
    pub(crate) fn has_open_transaction(&self, at: TopicPartition, producer: ProducerId, epoch: i16) -> bool {
        let of_epoch = |known: i16| known == epoch || !self.settings.version.tells_epochs_apart();
        self.led(at).map_or(true, |(_, _, replica)| {
            let open = |(id, state): (&ProducerId, &ProducerState)| {
                *id == producer && state.transaction_start.is_some() && of_epoch(state.epoch)
            };
            replica.producers.iter().any(open)
        })
    }

    /// The lowest sequence that a producer has tried since its last batch or marker: a greater one would leave a hole
    /// (recorded: "Transactions", 2).
    fn note_unverified(&mut self, at: TopicPartition, stamp: &ProducerStamp) {
        let replica = self.durable.replicas.get(at);
        let mut known = replica.into_iter().flat_map(|replica| replica.producers.iter());
        if known.any(|(id, state)| *id == stamp.id && state.transaction_start.is_some()) {
            // An old epoch of a producer that has gone on: its sequences say nothing of the open transaction's.
            return;
        }
        let known =
            self.volatile.unverified.entry((at, stamp.id)).or_insert((stamp.epoch, stamp.base_sequence));
        if stamp.epoch > known.0 {
            *known = (stamp.epoch, stamp.base_sequence);
        } else if stamp.epoch == known.0 {
            known.1 = known.1.min(stamp.base_sequence);
        }
    }

    /// Append the batches that the transaction's coordinator did not refuse.
    pub(crate) fn append_verified(
        &mut self,
        cx: &mut Context<'_>,
        client: (NodeId, RequestId),
        acks: Acks,
        timeout: Span,
        batches: Vec<ProduceBatch>,
        refused: &BTreeMap<TopicPartition, ErrorCode>,
    ) {
        let cost = self.produce_cost(&batches);
        let mut results: Vec<Produced> = Vec::with_capacity(batches.len());
        let mut open = LiteMap::new();
        for batch in batches {
            let at = batch.partition;
            if let Some(error) = refused.get(&at) {
                results.push((at, producers_error(*error), -1, -1));
                continue;
            }
            match self.append_batch(cx, acks, batch) {
                Ok(appended) => {
                    if acks == Acks::All {
                        open.insert(results.len(), appended.required);
                    }
                    results.push((at, ErrorCode::None, appended.base, appended.log_start));
                }
                Err((error, log_start)) => results.push((at, error, -1, log_start)),
            }
        }
        if acks != Acks::None {
            self.await_replicas(cx, (client, cost), results, open, timeout);
            return;
        }
        // Nobody is told, but nothing more is read of the connection.
        self.charge_produce(cx, client, cost);
        if results.iter().any(|(_, error, ..)| *error != ErrorCode::None) {
            // Nobody waits for an answer: the only way to say that something went wrong.
            cx.effects.processes.push(Process::Disconnect(client.0));
        }
    }

    /// Append a batch, or find that it has been appended before. An error comes with the log's start, where Kafka
    /// tells it.
    fn append_batch(
        &mut self,
        cx: &mut Context<'_>,
        acks: Acks,
        batch: ProduceBatch,
    ) -> Result<Appended, (ErrorCode, Offset)> {
        let at = batch.partition;
        let append_time = self.check_batch(cx, acks, &batch)?;
        let Some(replica) = self.durable.replicas.get(at) else {
            return Err((ErrorCode::NotLeaderOrFollower, -1));
        };
        let log_start = replica.log.start();
        let count = batch.records.len() as i32;
        if let Some(stamp) = batch.stamp.filter(|stamp| stamp.base_sequence >= 0) {
            if let Some(known) = replica.producers.duplicate(&stamp, count) {
                let required = known.last_offset + 1;
                return Ok(Appended { base: known.base_offset, log_start, required });
            }
            let tried = self.volatile.unverified.get(&(at, stamp.id));
            if stamp.transactional && tried.is_some_and(|(_, lowest)| stamp.base_sequence > *lowest) {
                let old = replica.producers.check(&stamp) == Err(ErrorCode::InvalidProducerEpoch);
                let error =
                    if old { ErrorCode::InvalidProducerEpoch } else { ErrorCode::OutOfOrderSequenceNumber };
                return Err((error, log_start));
            }
            replica.producers.check(&stamp).map_err(|error| (error, log_start))?;
            self.volatile.unverified.remove(&(at, stamp.id));
        }
        let payloads = batch.records.into_iter().map(|record| {
            let timestamp = append_time.unwrap_or(record.created_at);
            (Payload::Record(record), timestamp)
        });
        let base = self.append(cx, at, batch.stamp, payloads);
        Ok(Appended { base, log_start, required: base + Offset::from(count) })
    }

    /// Everything that is checked before the producer's sequence is (recorded: "Producing", 4). Returns the time
    /// that records are stamped with where the topic says so.
    fn check_batch(
        &self,
        cx: &Context<'_>,
        acks: Acks,
        batch: &ProduceBatch,
    ) -> Result<Option<Time>, (ErrorCode, Offset)> {
        let at = batch.partition;
        if matches!(acks, Acks::Other(_)) && self.durable.image.partitions.contains(at) {
            return Err((ErrorCode::InvalidRequiredAcks, -1));
        }
        let (_, leader, replica) = self.led(at).map_err(|error| (error, -1))?;
        let log_start = replica.log.start();
        if acks == Acks::All && leader.isr.len() < self.min_isr(at, leader) {
            return Err((ErrorCode::NotEnoughReplicas, log_start));
        }
        let config = self.durable.image.topics.get(&at.topic).map(|topic| topic.config).unwrap_or_default();
        let bytes: u64 = batch.records.iter().map(|record| u64::from(record.bytes)).sum();
        let most = config.max_message.unwrap_or(self.settings.message_max);
        if batch.records.is_empty() {
            return Err((ErrorCode::InvalidRecord, -1));
        }
        if bytes + BATCH_HEADER_BYTES > most.0 {
            return Err((ErrorCode::MessageTooLarge, -1));
        }
        if config.compacted == Some(true) && batch.records.iter().any(|record| record.key == Key::NONE) {
            return Err((ErrorCode::InvalidRecord, log_start));
        }
        let wall = cx.now.wall;
        let timestamp_after = config.timestamp_after.or(self.settings.version.timestamp_after());
        let out_of_time = batch.records.iter().any(|record| {
            let before = config.timestamp_before.is_some_and(|most| wall.since(record.created_at) > most);
            let after = timestamp_after.is_some_and(|most| record.created_at.since(wall) > most);
            before || after
        });
        let append_time = config.append_time == Some(true);
        if out_of_time && !append_time {
            return Err((ErrorCode::InvalidTimestamp, log_start));
        }
        Ok(append_time.then_some(wall))
    }
}
