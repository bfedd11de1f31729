//! Before the first batch of a transaction is appended, the leader asks the coordinator whether the partition was
//! added to it (KIP-890); the request waits for the answer.

use super::Caller;
use crate::kafka::broker::{Broker, Context, Task};
use crate::kafka::internal::Internal;
use crate::kafka::protocol::{
    Acks, CommitPartition, ErrorCode, MemberId, ProduceBatch, ProducerId, TransactionalId,
};
use crate::kafka::stored::TransactionPhase;
use crate::record::{GroupId, TopicPartition};
use crate::units::Span;
use serde::Serialize;
use std::collections::BTreeMap;

/// The coordinator is waited for so long.
const PATIENCE: Span = Span::secs(2);

/// Requests that wait for the coordinator's word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Verifications {
    last: u64,
    waiting: BTreeMap<u64, Unverified>,
}

/// A request that waits for the coordinator's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Unverified {
    /// Batches to append.
    Produce { caller: Caller, acks: Acks, timeout: Span, batches: Vec<ProduceBatch> },
    /// Offsets to commit.
    Commit {
        caller: Caller,
        group: GroupId,
        member: (i32, MemberId),
        producer: (ProducerId, i16),
        offsets: Vec<CommitPartition>,
    },
}

/// The coordinator's word as a producer is told it.
pub(crate) fn producers_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        ErrorCode::ConcurrentTransactions
        | ErrorCode::NotCoordinator
        | ErrorCode::CoordinatorNotAvailable => ErrorCode::NotEnoughReplicas,
        other => other,
    }
}

impl Broker {
    /// Ask the coordinator whether these partitions are in the transaction; go on with the request when it says so.
    pub(crate) fn verify(
        &mut self,
        cx: &mut Context<'_>,
        transaction: TransactionalId,
        producer: (ProducerId, i16),
        partitions: Vec<TopicPartition>,
        request: Unverified,
    ) {
        let verifications = &mut self.volatile.verifications;
        verifications.last += 1;
        let number = verifications.last;
        verifications.waiting.insert(number, request);
        let at = self.transaction_partition(transaction);
        let leader = self.durable.image.partitions.get(at).and_then(|state| state.leader);
        match leader.and_then(|leader| self.wiring.node(leader).map(|node| (leader, node))) {
            Some((leader, _)) if leader == self.id => {
                let results = self.verified(transaction, producer, partitions);
                self.verification_answered(cx, number, &results);
            }
            Some((_, node)) => {
                let (producer, epoch) = producer;
                cx.effects.send(
                    node,
                    Internal::VerifyPartitions { number, transaction, producer, epoch, partitions },
                );
                self.volatile.deadlines.set(Task::EndVerification(number), cx.time() + PATIENCE);
            }
            None => self.end_verification(cx, number),
        }
    }

    /// The coordinator's word on each partition.
    pub(crate) fn verified(
        &self,
        id: TransactionalId,
        (producer, epoch): (ProducerId, i16),
        partitions: Vec<TopicPartition>,
    ) -> Vec<(TopicPartition, ErrorCode)> {
        let state = self.producers_transaction(id, producer).map(|known| &known.state);
        let word = |at: &TopicPartition| match state {
            Err(error) => error,
            Ok(state) if state.epoch != epoch => ErrorCode::ProducerFenced,
            Ok(state) => match state.phase {
                TransactionPhase::PrepareCommit | TransactionPhase::PrepareAbort => {
                    ErrorCode::ConcurrentTransactions
                }
                _ if state.partitions.contains(at) => ErrorCode::None,
                _ => ErrorCode::InvalidTxnState,
            },
        };
        partitions.into_iter().map(|at| (at, word(&at))).collect()
    }

    pub(crate) fn verification_answered(
        &mut self,
        cx: &mut Context<'_>,
        number: u64,
        results: &[(TopicPartition, ErrorCode)],
    ) {
        self.volatile.deadlines.cancel(Task::EndVerification(number));
        let Some(request) = self.volatile.verifications.waiting.remove(&number) else { return };
        let refused: BTreeMap<TopicPartition, ErrorCode> =
            results.iter().copied().filter(|(_, error)| *error != ErrorCode::None).collect();
        self.go_on(cx, request, &refused);
    }

    /// The coordinator did not answer in time: the producer may try again.
    pub(crate) fn end_verification(&mut self, cx: &mut Context<'_>, number: u64) {
        let Some(request) = self.volatile.verifications.waiting.remove(&number) else { return };
        let partitions: Vec<TopicPartition> = match &request {
            Unverified::Produce { batches, .. } => batches.iter().map(|batch| batch.partition).collect(),
            Unverified::Commit { group, .. } => vec![self.group_partition(*group)],
        };
        let refused = partitions.into_iter().map(|at| (at, ErrorCode::CoordinatorNotAvailable)).collect();
        self.go_on(cx, request, &refused);
    }

    fn go_on(
        &mut self,
        cx: &mut Context<'_>,
        request: Unverified,
        refused: &BTreeMap<TopicPartition, ErrorCode>,
    ) {
        match request {
            Unverified::Produce { caller, acks, timeout, batches } => {
                self.append_verified(cx, caller, acks, timeout, batches, refused);
            }
            Unverified::Commit { caller, group, member, producer, offsets } => {
                let error = refused.get(&self.group_partition(group)).copied();
                self.commit_verified(cx, caller, group, member, producer, offsets, error);
            }
        }
    }
}
