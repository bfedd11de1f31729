//! The end of a transaction: by its producer, by another that takes over, or because it took too long.

use super::{Caller, Changed};
use crate::kafka::broker::{Broker, Context, Task};
use crate::kafka::protocol::{ErrorCode, ProducerId, Response, TransactionalId};
use crate::kafka::stored::{StoredTransaction, TransactionPhase};

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

    /// Abort an open transaction with a greater epoch, so that its producer can do nothing any more.
    pub(super) fn abort_with_next_epoch(
        &mut self,
        cx: &mut Context<'_>,
        state: StoredTransaction,
        then: Changed,
    ) {
        let known = self.volatile.transactions.by_id.get(&state.transaction);
        let raised = i16::from(!known.is_some_and(|known| known.fenced));
        let next = StoredTransaction {
            epoch: state.epoch + raised,
            last_epoch: -1,
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
