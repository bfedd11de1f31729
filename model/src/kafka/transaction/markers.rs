//! Markers: the coordinator asks the leaders of all partitions of a transaction to write its end into their logs,
//! again until each has; the leaders write it under the same rules as any batch with `acks=all`.

use super::Changed;
use crate::kafka::broker::{Broker, Context, Task};
use crate::kafka::group::Continuation;
use crate::kafka::internal::Internal;
use crate::kafka::log::Payload;
use crate::kafka::protocol::{BrokerId, ErrorCode, ProducerId, ProducerStamp, TransactionalId};
use crate::kafka::stored::{StoredTransaction, TransactionPhase};
use crate::kafka::wiring::OFFSETS_TOPIC;
use crate::record::{NodeId, TopicPartition};
use crate::units::Span;
use serde::Serialize;
use std::collections::BTreeMap;

/// Markers that could not be written are tried again after so long.
const PAUSE: Span = Span::millis(500);

/// What a marker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Marker {
    pub transaction: TransactionalId,
    pub producer: ProducerId,
    pub epoch: i16,
    pub coordinator_epoch: i32,
    pub commit: bool,
}

impl Broker {
    /// Have the markers of a transaction written that are missing.
    pub(crate) fn send_markers(&mut self, cx: &mut Context<'_>, id: TransactionalId) {
        let at = self.transaction_partition(id);
        let coordinator_epoch = self.volatile.roles.get(at).map_or(0, |hosted| hosted.leader_epoch());
        let Some(transaction) = self.volatile.transactions.by_id.get_mut(&id) else { return };
        let commit = match transaction.state.phase {
            TransactionPhase::PrepareCommit => true,
            TransactionPhase::PrepareAbort => false,
            _ => return,
        };
        transaction.changing = true;
        let image = &self.durable.image;
        // A topic that is gone needs no marker.
        transaction.state.partitions.retain(|at| image.partitions.contains(*at));
        let state = transaction.state.clone();
        if state.partitions.is_empty() {
            self.complete(cx, state);
            return;
        }
        let marker = Marker {
            transaction: id,
            producer: state.producer,
            epoch: state.epoch,
            coordinator_epoch,
            commit,
        };
        let mut by_leader: BTreeMap<BrokerId, Vec<TopicPartition>> = BTreeMap::new();
        for at in state.partitions {
            if let Some(leader) = self.durable.image.partitions.get(at).and_then(|state| state.leader) {
                by_leader.entry(leader).or_default().push(at);
            }
        }
        self.volatile.deadlines.set(Task::SendMarkers(id), cx.time() + PAUSE);
        for (leader, partitions) in by_leader {
            let Some(node) = self.wiring.node(leader) else { continue };
            if leader == self.id {
                self.write_markers(cx, node, marker, partitions);
            } else {
                let Marker { transaction, producer, epoch, coordinator_epoch, commit } = marker;
                let message = Internal::WriteMarkers {
                    transaction,
                    producer,
                    epoch,
                    coordinator_epoch,
                    commit,
                    partitions,
                };
                cx.effects.send(node, message);
            }
        }
    }

    /// Write markers into logs that this broker leads, and say of each when the replicas have it.
    pub(crate) fn write_markers(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        marker: Marker,
        partitions: Vec<TopicPartition>,
    ) {
        for at in partitions {
            let known = self.durable.replicas.get(at).and_then(|replica| {
                replica.producers.iter().find(|(id, _)| **id == marker.producer).map(|(_, state)| {
                    (state.epoch > marker.epoch, state.coordinator_epoch > marker.coordinator_epoch)
                })
            });
            match known {
                Some((true, _)) => {
                    self.marker_written(cx, from, marker, at, ErrorCode::InvalidProducerEpoch);
                }
                Some((_, true)) => {
                    self.marker_written(cx, from, marker, at, ErrorCode::TransactionCoordinatorFenced);
                }
                _ => {
                    let stamp = ProducerStamp {
                        id: marker.producer,
                        epoch: marker.epoch,
                        base_sequence: -1,
                        transactional: true,
                    };
                    let Marker { commit, coordinator_epoch, .. } = marker;
                    let payload = Payload::Marker { commit, coordinator_epoch };
                    let then = Continuation::Marker { from, marker, partition: at };
                    self.volatile.unverified.remove(&(at, marker.producer));
                    self.store_payloads(cx, at, Some(stamp), vec![payload], then);
                }
            }
        }
    }

    /// A marker is on the replicas, or could not be written: offsets are decided, and the coordinator is told.
    pub(crate) fn marker_written(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        marker: Marker,
        at: TopicPartition,
        error: ErrorCode,
    ) {
        if error == ErrorCode::None && at.topic == OFFSETS_TOPIC {
            self.decide_offsets(at.partition, marker.producer, marker.commit);
        }
        let (transaction, producer, epoch) = (marker.transaction, marker.producer, marker.epoch);
        let partitions = vec![(at, error)];
        if self.wiring.broker(from) == Some(self.id) {
            self.markers_written(cx, transaction, (producer, epoch), &partitions);
        } else {
            cx.effects.send(from, Internal::MarkersWritten { transaction, producer, epoch, partitions });
        }
    }

    pub(crate) fn markers_written(
        &mut self,
        cx: &mut Context<'_>,
        id: TransactionalId,
        producer: (ProducerId, i16),
        partitions: &[(TopicPartition, ErrorCode)],
    ) {
        let Some(transaction) = self.volatile.transactions.by_id.get_mut(&id) else { return };
        let state = &mut transaction.state;
        let ends = matches!(state.phase, TransactionPhase::PrepareCommit | TransactionPhase::PrepareAbort);
        if !ends || (state.producer, state.epoch) != producer || state.partitions.is_empty() {
            return;
        }
        for (at, error) in partitions {
            let done = matches!(
                error,
                ErrorCode::None | ErrorCode::InvalidProducerEpoch | ErrorCode::TransactionCoordinatorFenced
            );
            if done {
                state.partitions.retain(|missing| missing != at);
            }
        }
        if state.partitions.is_empty() {
            let state = state.clone();
            self.complete(cx, state);
        }
    }

    fn complete(&mut self, cx: &mut Context<'_>, state: StoredTransaction) {
        self.volatile.deadlines.cancel(Task::SendMarkers(state.transaction));
        let phase = match state.phase {
            TransactionPhase::PrepareCommit => TransactionPhase::CompleteCommit,
            _ => TransactionPhase::CompleteAbort,
        };
        let next = StoredTransaction { phase, started: None, updated: cx.time(), ..state };
        self.change(cx, next, Changed::Completed);
    }
}
