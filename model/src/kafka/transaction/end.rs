//! The end of a transaction: by its producer, by another that takes over, or because it took too long.

use super::{Caller, Changed, Transaction};
use crate::kafka::broker::{Broker, Context, Task};
use crate::kafka::group::Continuation;
use crate::kafka::protocol::{ErrorCode, ProducerId, Response, TransactionalId};
use crate::kafka::stored::{Stored, StoredTransaction, TransactionPhase};

impl Broker {
    pub(super) fn serve_end(
        &mut self,
        cx: &mut Context<'_>,
        caller: Caller,
        id: TransactionalId,
        producer: (ProducerId, i16),
        commit: bool,
    ) {
        match self.ending(cx, id, producer, commit) {
            Ok(Some(next)) => self.change(cx, next, Changed::Ended(caller)),
            other => {
                let error = other.err().unwrap_or_default();
                cx.answer(caller.0, caller.1, Response::EndTxn { error });
            }
        }
    }

    /// The transaction about to end; none if it has ended in that way already.
    fn ending(
        &self,
        cx: &Context<'_>,
        id: TransactionalId,
        (producer, epoch): (ProducerId, i16),
        commit: bool,
    ) -> Result<Option<StoredTransaction>, ErrorCode> {
        let known = self.producers_transaction(id, producer)?;
        let state = &known.state;
        if state.epoch != epoch {
            return Err(ErrorCode::ProducerFenced);
        }
        if known.changing {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        match (state.phase, commit) {
            (TransactionPhase::Ongoing, _) => {
                let phase =
                    if commit { TransactionPhase::PrepareCommit } else { TransactionPhase::PrepareAbort };
                Ok(Some(StoredTransaction { phase, updated: cx.now.elapsed, ..state.clone() }))
            }
            (TransactionPhase::CompleteCommit, true) | (TransactionPhase::CompleteAbort, false) => Ok(None),
            (TransactionPhase::PrepareCommit, true) | (TransactionPhase::PrepareAbort, false) => {
                Err(ErrorCode::ConcurrentTransactions)
            }
            _ => Err(ErrorCode::InvalidTxnState),
        }
    }

    /// Abort an open transaction with a greater epoch, so that its producer can do nothing any more; or, after a time-out, not
    /// without asking for its epoch again (4.1).
    pub(super) fn abort_with_next_epoch(
        &mut self,
        cx: &mut Context<'_>,
        state: StoredTransaction,
        then: Changed,
    ) {
        let last_epoch = match then {
            Changed::TimedOut => self.settings.version.epoch_before_a_timeout(state.epoch),
            _ => -1,
        };
        let known = self.volatile.transactions.by_id.get(&state.transaction);
        let raised = i16::from(!known.is_some_and(|known| known.fenced));
        let next = StoredTransaction {
            // The greatest epoch is kept for this: whoever asks for the next one gets another id.
            epoch: state.epoch.saturating_add(raised),
            last_epoch,
            phase: TransactionPhase::PrepareAbort,
            updated: cx.time(),
            ..state
        };
        self.change(cx, next, then);
    }

    /// Look for transactions that have been open for too long.
    pub(crate) fn check_transactions(&mut self, cx: &mut Context<'_>) {
        let mut open = false;
        let mut late = Vec::new();
        for known in self.volatile.transactions.by_id.values() {
            if known.state.phase != TransactionPhase::Ongoing {
                continue;
            }
            open = true;
            let started = known.state.started.unwrap_or(known.state.updated);
            if !known.changing && started + known.state.timeout < cx.now.elapsed {
                late.push(known.state.clone());
            }
        }
        if open {
            let again = cx.time() + self.settings.transaction_timeout_check;
            self.volatile.deadlines.set(Task::CheckTransactions, again);
        }
        for state in late {
            self.abort_with_next_epoch(cx, state, Changed::TimedOut);
        }
    }
}

impl Broker {
    /// Forget the ids that have not been used for so long and have no transaction open (Kafka:
    /// `cleanupExpiredTransactionalIds`). A producer that comes back has to ask for its id anew.
    pub(crate) fn expire_transactional_ids(&mut self, cx: &mut Context<'_>) {
        let again = cx.time() + self.settings.transactional_id_expiration_check;
        self.volatile.deadlines.set(Task::ExpireTransactionalIds, again);
        let after = self.settings.transactional_id_expiration;
        let is_over = |known: &Transaction| {
            let idle = matches!(
                known.state.phase,
                TransactionPhase::Empty | TransactionPhase::CompleteCommit | TransactionPhase::CompleteAbort
            );
            idle && !known.changing && known.state.updated + after <= cx.now.elapsed
        };
        let known = self.volatile.transactions.by_id.iter();
        let over: Vec<TransactionalId> =
            known.filter(|(_, known)| is_over(known)).map(|(id, _)| *id).collect();
        for id in over {
            if let Some(known) = self.volatile.transactions.by_id.get_mut(&id) {
                known.changing = true;
            }
            let at = self.transaction_partition(id);
            let then = Continuation::TransactionGone { transaction: id };
            self.store(cx, at, None, vec![Stored::TransactionGone(id)], then);
        }
    }

    /// That an id is gone is kept, or could not be: then it is tried again at the next look.
    pub(crate) fn transaction_gone(&mut self, id: TransactionalId, error: ErrorCode) {
        if error == ErrorCode::None {
            self.volatile.transactions.by_id.remove(&id);
        } else if let Some(known) = self.volatile.transactions.by_id.get_mut(&id) {
            known.changing = false;
        }
    }
}
