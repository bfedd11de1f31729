//! Which batch goes when: one request a broker with one batch a partition, as many requests as may be in flight.

use super::accumulator::{Batch, BatchId};
use super::{KafkaProducer, Purpose};
use crate::client::SendOutcome;
use crate::kafka::protocol::{Acks, ProduceBatch, ProducerStamp, Request};
use crate::machine::{Effects, Now};
use crate::record::{NodeId, TopicPartition};
use crate::small_set::SmallSet;
use litemap::LiteMap;

/// What is sent in one round: a request for each broker.
#[derive(Default)]
struct Round {
    requests: LiteMap<NodeId, (u64, Vec<(TopicPartition, BatchId)>)>,
    broken: SmallSet<NodeId>,
}

impl KafkaProducer {
    /// Send at most one request to each broker. Returns whether something was sent.
    pub(super) fn send_round(&mut self, now: Now, effects: &mut Effects) -> bool {
        let round = self.plan_round(now, effects);
        let own = &mut self.volatile;
        own.metadata.connect(now, &round.broken, &mut own.network, effects);
        let sent = !round.requests.is_empty();
        for (node, (_, batches)) in round.requests {
            self.send_batches(now, node, batches, effects);
        }
        sent
    }

    fn plan_round(&mut self, now: Now, effects: &mut Effects) -> Round {
        let mut round = Round::default();
        let partitions: Vec<TopicPartition> = self
            .volatile
            .queues
            .iter()
            .filter(|(_, queue)| !queue.waiting.is_empty() && !queue.backing_off)
            .map(|(partition, _)| *partition)
            .collect();
        for partition in partitions {
            let Some((id, bytes)) = self.next_batch(now, partition, effects) else { continue };
            let own = &mut self.volatile;
            let Some(node) = own.metadata.leader_node(partition) else {
                own.metadata.want();
                continue;
            };
            if !own.network.ready(node) {
                round.broken.insert(node);
            } else if own.network.unanswered(node) < self.settings.max_in_flight {
                let (total, batches) = round.requests.entry(node).or_default();
                if batches.is_empty() || *total + bytes <= self.settings.max_request_size.0 {
                    *total += bytes;
                    batches.push((partition, id));
                }
            }
        }
        round
    }

    /// The batch of that partition that may be sent now, if there is one, and its size.
    fn next_batch(
        &mut self,
        now: Now,
        partition: TopicPartition,
        effects: &mut Effects,
    ) -> Option<(BatchId, u64)> {
        let own = &mut self.volatile;
        let queue = own.queues.get(&partition)?;
        let id = *queue.waiting.front()?;
        let batch = own.batches.get(&id)?;
        // With one request in flight Java lets a partition rest while a batch of it is unanswered.
        if self.settings.max_in_flight == 1 && queue.flying > 0 {
            return None;
        }
        let full = queue.waiting.len() > 1 || batch.bytes >= self.settings.batch_size.0;
        let due = batch.created_at + self.settings.linger;
        if !full && !batch.sealed && own.waiting.is_empty() && now.elapsed < due {
            own.linger.wake_by(now, due, effects);
            return None;
        }
        let numbered = own.idempotence.as_ref().is_none_or(|state| state.may_send(partition, id, batch));
        numbered.then_some((id, batch.bytes))
    }

    fn send_batches(
        &mut self,
        now: Now,
        node: NodeId,
        batches: Vec<(TopicPartition, BatchId)>,
        effects: &mut Effects,
    ) {
        let sent = batches.iter().filter_map(|(_, id)| self.take_off(*id)).collect();
        let acks = self.settings.acks;
        let request = Request::Produce {
            acks,
            timeout: self.settings.request_timeout,
            transaction: None,
            batches: sent,
        };
        if acks == Acks::None {
            self.volatile.network.tell(node, request, effects);
            for (partition, id) in batches {
                self.fly_back(partition);
                // Without acknowledgements Java answers itself, with offset -1.
                self.acknowledge(id, -1);
            }
        } else {
            self.volatile.network.ask(now, node, Purpose::Produce(batches), request, effects);
        }
    }

    /// The front batch of its partition goes into a request.
    fn take_off(&mut self, id: BatchId) -> Option<ProduceBatch> {
        let own = &mut self.volatile;
        let batch = own.batches.get_mut(&id)?;
        let queue = own.queues.get_mut(&batch.partition)?;
        let front = queue.waiting.pop_front();
        assert_eq!(front, Some(id), "only the front batch of a partition is sent");
        queue.flying += 1;
        if let Some(idempotence) = &mut own.idempotence {
            idempotence.number(id, batch);
        }
        batch.sealed = true;
        batch.flying = true;
        batch.sent_epoch = own.metadata.leadership(batch.partition).map_or(-1, |known| known.epoch);
        Some(ProduceBatch {
            partition: batch.partition,
            stamp: batch.stamp.map(|stamp| ProducerStamp {
                id: stamp.producer.0,
                epoch: stamp.producer.1,
                base_sequence: stamp.base_sequence,
                transactional: false,
            }),
            records: batch.records.clone(),
        })
    }

    /// A request with a batch of that partition is answered or lost.
    pub(super) fn fly_back(&mut self, partition: TopicPartition) {
        if let Some(queue) = self.volatile.queues.get_mut(&partition) {
            queue.flying = queue.flying.saturating_sub(1);
        }
    }

    /// A batch is in the log.
    pub(super) fn acknowledge(&mut self, id: BatchId, base_offset: i64) {
        let Some(batch) = self.remove(id) else { return };
        if let Some(idempotence) = &mut self.volatile.idempotence {
            idempotence.acknowledged(id, &batch, base_offset);
        }
        for (place, token) in (0..).zip(&batch.tokens) {
            let offset = if base_offset < 0 { -1 } else { base_offset + place };
            self.decide(*token, SendOutcome::Acknowledged(batch.partition, offset));
        }
    }

    /// A batch is given up: refused like that, unless it may have been written.
    pub(super) fn give_up(&mut self, batch: &Batch, refused: SendOutcome) {
        let unsure = batch.maybe_written || batch.flying;
        let outcome = if unsure { SendOutcome::Indeterminate } else { refused };
        for token in &batch.tokens {
            self.decide(*token, outcome);
        }
    }
}
