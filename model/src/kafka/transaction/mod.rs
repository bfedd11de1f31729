//! The transaction coordinator: it lives on the leader of the internal partition that a transactional id decides,
//! keeps each id's state as records of that partition, and has markers written where a transaction ends.
//!
//! After Kafka 3.9's `TransactionCoordinator` (the first transaction protocol, with verification of partitions,
//! KIP-890 part 1); recorded rows "Transactions" 1 to 15. Ids that nobody uses expire, and a producer whose epochs are used up
//! gets another id. Left out: the second protocol.

mod begin;
mod end;
mod markers;
#[cfg(test)]
mod tests;
mod verify;

pub(super) use markers::Marker;
pub(super) use verify::{Unverified, Verifications, producers_error};

use super::broker::{Broker, Context, Task};
use super::group::Continuation;
use super::log::Payload;
use super::protocol::{ErrorCode, ProducerId, Request, Response, TransactionalId};
use super::stored::{Stored, StoredTransaction, TransactionPhase};
use super::wiring::TRANSACTIONS_TOPIC;
use crate::machine::RequestId;
use crate::record::{NodeId, TopicPartition};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

type Caller = (NodeId, RequestId);

/// The transactions that a broker coordinates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Transactions {
    by_id: BTreeMap<TransactionalId, Transaction>,
    loaded: BTreeSet<u16>,
    /// First questions that wait for a producer id.
    unnamed: Vec<(Caller, Request)>,
}

/// A transactional id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Transaction {
    state: StoredTransaction,
    /// Whether a change of it is being written, or its markers are: everybody else waits.
    changing: bool,
    /// Whether the epoch was raised for an abort that could not be written. It fences nevertheless, in memory, and is
    /// not raised again.
    fenced: bool,
}

/// Who waits for a change of a transaction to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Changed {
    /// A producer that asked for its id and epoch.
    Initialised(Caller),
    /// A producer that added partitions.
    PartitionsAdded(Caller, Vec<TopicPartition>),
    /// A producer that added a group's offsets.
    OffsetsAdded(Caller),
    /// A producer that ended its transaction.
    Ended(Caller),
    /// A producer that found another's transaction open: it is aborted, and the producer asks again.
    TakenOver(Caller),
    /// Nobody: the transaction took too long.
    TimedOut,
    /// Nobody: all markers are written.
    Completed,
}

impl Broker {
    pub(super) fn transaction_partition(&self, id: TransactionalId) -> TopicPartition {
        let partition = (id.0 % u32::from(self.settings.transaction_partitions)) as u16;
        TopicPartition { topic: TRANSACTIONS_TOPIC, partition }
    }

    /// A request of a transactional producer's.
    pub(super) fn transaction_request(&mut self, cx: &mut Context<'_>, caller: Caller, request: Request) {
        match request {
            Request::InitProducerId { .. } => self.serve_init(cx, caller, request),
            Request::AddPartitionsToTxn { transaction, producer, partitions } => {
                self.serve_add_partitions(cx, caller, transaction, producer, partitions);
            }
            Request::AddOffsetsToTxn { transaction, producer, group } => {
                let at = self.group_partition(group);
                self.serve_add_offsets(cx, caller, transaction, producer, at);
            }
            Request::EndTxn { transaction, producer, commit } => {
                self.serve_end(cx, caller, transaction, producer, commit);
            }
            _ => {}
        }
    }

    fn check_transaction_coordinator(&self, id: TransactionalId) -> Result<(), ErrorCode> {
        let partition = self.transaction_partition(id).partition;
        let loaded = self.volatile.transactions.loaded.contains(&partition);
        if loaded { Ok(()) } else { Err(ErrorCode::NotCoordinator) }
    }

    /// The transaction of a producer that has the right id; the epoch is another question.
    fn producers_transaction(
        &self,
        id: TransactionalId,
        producer: ProducerId,
    ) -> Result<&Transaction, ErrorCode> {
        self.check_transaction_coordinator(id)?;
        let found = self.volatile.transactions.by_id.get(&id);
        found.filter(|found| found.state.producer == producer).ok_or(ErrorCode::InvalidProducerIdMapping)
    }

    /// Write a transaction's next state down, and go on when it is kept.
    fn change(&mut self, cx: &mut Context<'_>, next: StoredTransaction, then: Changed) {
        let id = next.transaction;
        let entry = self.volatile.transactions.by_id.entry(id);
        let state = StoredTransaction { phase: TransactionPhase::Empty, ..next.clone() };
        entry.or_insert(Transaction { state, changing: false, fenced: false }).changing = true;
        let at = self.transaction_partition(id);
        let then = Continuation::Transaction { next: Box::new(next.clone()), then };
        self.store(cx, at, None, vec![Stored::Transaction(next)], then);
    }

    /// A transaction's next state is kept, or could not be.
    pub(super) fn transaction_changed(
        &mut self,
        cx: &mut Context<'_>,
        next: StoredTransaction,
        then: Changed,
        error: ErrorCode,
    ) {
        let id = next.transaction;
        if let Some(transaction) = self.volatile.transactions.by_id.get_mut(&id) {
            transaction.changing = false;
            if error == ErrorCode::None {
                transaction.state = next.clone();
                transaction.fenced = false;
            } else if matches!(then, Changed::TakenOver(_) | Changed::TimedOut) {
                transaction.state.epoch = next.epoch;
                transaction.state.last_epoch = next.last_epoch;
                transaction.fenced = true;
            }
        }
        self.answer_changed(cx, &next, then, error);
        let Some(transaction) = self.volatile.transactions.by_id.get(&id) else { return };
        match transaction.state.phase {
            TransactionPhase::PrepareCommit | TransactionPhase::PrepareAbort => self.send_markers(cx, id),
            TransactionPhase::Ongoing => {
                let check = cx.time() + self.settings.transaction_timeout_check;
                if !self.volatile.deadlines.is_set(Task::CheckTransactions) {
                    self.volatile.deadlines.set(Task::CheckTransactions, check);
                }
            }
            _ => {}
        }
    }

    fn answer_changed(
        &mut self,
        cx: &mut Context<'_>,
        next: &StoredTransaction,
        then: Changed,
        error: ErrorCode,
    ) {
        let (caller, answer) = match then {
            Changed::Initialised(caller) => {
                let producer = (error == ErrorCode::None).then_some((next.producer, next.epoch));
                (caller, Response::InitProducerId { error, producer })
            }
            Changed::PartitionsAdded(caller, partitions) => {
                let partitions = partitions.into_iter().map(|at| (at, error)).collect();
                (caller, Response::AddPartitionsToTxn { partitions })
            }
            Changed::OffsetsAdded(caller) => (caller, Response::AddOffsetsToTxn { error }),
            Changed::Ended(caller) => (caller, Response::EndTxn { error }),
            Changed::TakenOver(caller) => {
                let error = if error == ErrorCode::None { ErrorCode::ConcurrentTransactions } else { error };
                (caller, Response::InitProducerId { error, producer: None })
            }
            Changed::TimedOut | Changed::Completed => return,
        };
        cx.answer(caller.0, caller.1, answer);
    }

    /// This broker leads a partition of the internal topic now: read its transactions, and go on with those that
    /// were about to end.
    pub(super) fn load_transactions(&mut self, cx: &mut Context<'_>, partition: u16) {
        self.volatile.transactions.loaded.insert(partition);
        let at = TopicPartition { topic: TRANSACTIONS_TOPIC, partition };
        let Some(replica) = self.durable.replicas.get(at) else { return };
        let mut found: BTreeMap<TransactionalId, Transaction> = BTreeMap::new();
        for entry in replica.log.range(replica.log.start(), replica.log.end()) {
            let Payload::Stored(stored) = &entry.payload else { continue };
            match &**stored {
                Stored::Transaction(state) => {
                    found.insert(
                        state.transaction,
                        Transaction { state: state.clone(), changing: false, fenced: false },
                    );
                }
                Stored::TransactionGone(id) => {
                    found.remove(id);
                }
                _ => {}
            }
        }
        let ids: Vec<TransactionalId> = found.keys().copied().collect();
        self.volatile.transactions.by_id.append(&mut found);
        for id in ids {
            let phase = self.volatile.transactions.by_id.get(&id).map(|found| found.state.phase);
            match phase {
                Some(TransactionPhase::PrepareCommit | TransactionPhase::PrepareAbort) => {
                    self.send_markers(cx, id);
                }
                Some(TransactionPhase::Ongoing) => {
                    let check = cx.time() + self.settings.transaction_timeout_check;
                    self.volatile.deadlines.set_at_latest(Task::CheckTransactions, check);
                }
                _ => {}
            }
        }
    }

    pub(super) fn unload_transactions(&mut self, partition: u16) {
        self.volatile.transactions.loaded.remove(&partition);
        let partitions = u32::from(self.settings.transaction_partitions);
        self.volatile.transactions.by_id.retain(|id, _| id.0 % partitions != u32::from(partition));
    }
}
