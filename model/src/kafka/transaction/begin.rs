//! A producer gets its id and epoch, and adds to its transaction.

use super::{Caller, Changed, Transaction};
use crate::kafka::broker::{Broker, Context};
use crate::kafka::protocol::{ErrorCode, ProducerId, Request, Response, TransactionalId};
use crate::kafka::stored::{StoredTransaction, TransactionPhase};
use crate::record::TopicPartition;
use crate::units::Span;

/// The epoch that a producer gets, and the one that a repetition of its question may show; an error for a producer
/// that another has replaced.
fn next_epoch(
    state: &StoredTransaction,
    current: Option<(ProducerId, i16)>,
) -> Result<(i16, i16), ErrorCode> {
    match current {
        None => Ok((state.epoch + 1, -1)),
        Some((_, epoch)) if state.epoch < 0 || epoch == state.epoch => Ok((state.epoch + 1, state.epoch)),
        Some((_, epoch)) if epoch == state.last_epoch => Ok((state.epoch, state.last_epoch)),
        Some(_) => Err(ErrorCode::ProducerFenced),
    }
}

/// Whether a producer gets another id.
enum Renaming {
    /// There are epochs left.
    NotNeeded,
    /// It is this one from now on.
    To(ProducerId),
    /// There is none at hand.
    Waits,
}

impl Broker {
    pub(super) fn serve_init(&mut self, cx: &mut Context<'_>, caller: Caller, request: Request) {
        let Request::InitProducerId { transaction: Some(id), transaction_timeout, current } = request else {
            return;
        };
        if let Err(error) = self.init(cx, caller, id, transaction_timeout, current) {
            cx.answer(caller.0, caller.1, Response::InitProducerId { error, producer: None });
        }
    }

    fn init(
        &mut self,
        cx: &mut Context<'_>,
        caller: Caller,
        id: TransactionalId,
        timeout: Span,
        current: Option<(ProducerId, i16)>,
    ) -> Result<(), ErrorCode> {
        if timeout == Span::ZERO || timeout > self.settings.transaction_max_timeout {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        self.check_transaction_coordinator(id)?;
        if !self.volatile.transactions.by_id.contains_key(&id) && !self.named(cx, id, timeout) {
            self.wait_for_a_name(cx, caller, id, timeout, current);
            return Ok(());
        }
        let Some(known) = self.volatile.transactions.by_id.get(&id) else { return Ok(()) };
        if known.changing {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let state = known.state.clone();
        if current.is_some_and(|(producer, _)| state.epoch >= 0 && producer != state.producer) {
            return Err(ErrorCode::ProducerFenced);
        }
        match state.phase {
            TransactionPhase::PrepareCommit | TransactionPhase::PrepareAbort => {
                Err(ErrorCode::ConcurrentTransactions)
            }
            TransactionPhase::Ongoing => {
                self.abort_with_next_epoch(cx, state, Changed::TakenOver(caller));
                Ok(())
            }
            _ => self.initialise_again(cx, caller, state, timeout, current),
        }
    }

    /// A transactional id that is new here gets a producer id. Returns whether there was one at hand.
    fn named(&mut self, cx: &Context<'_>, id: TransactionalId, timeout: Span) -> bool {
        let Some(producer) = self.take_producer_id() else { return false };
        let state = StoredTransaction {
            transaction: id,
            producer,
            epoch: -1,
            last_epoch: -1,
            timeout,
            phase: TransactionPhase::Empty,
            partitions: Vec::new(),
            started: None,
            updated: cx.time(),
        };
        let transaction = Transaction { state, changing: false, fenced: false };
        self.volatile.transactions.by_id.insert(id, transaction);
        true
    }

    /// The question is asked again when the controller has given producer ids.
    fn wait_for_a_name(
        &mut self,
        cx: &mut Context<'_>,
        caller: Caller,
        id: TransactionalId,
        timeout: Span,
        current: Option<(ProducerId, i16)>,
    ) {
        let request =
            Request::InitProducerId { transaction: Some(id), transaction_timeout: timeout, current };
        self.volatile.transactions.unnamed.push((caller, request));
        self.ask_for_producer_ids(cx);
    }

    /// A producer without an open transaction begins anew, in its next epoch or under another id.
    fn initialise_again(
        &mut self,
        cx: &mut Context<'_>,
        caller: Caller,
        state: StoredTransaction,
        timeout: Span,
        current: Option<(ProducerId, i16)>,
    ) -> Result<(), ErrorCode> {
        let (producer, (epoch, last_epoch)) = match self.renamed(&state, current) {
            Renaming::NotNeeded => (state.producer, next_epoch(&state, current)?),
            Renaming::To(producer) => (producer, (0, -1)),
            Renaming::Waits => {
                self.wait_for_a_name(cx, caller, state.transaction, timeout, current);
                return Ok(());
            }
        };
        let next = StoredTransaction {
            producer,
            epoch,
            last_epoch,
            timeout,
            phase: TransactionPhase::Empty,
            partitions: Vec::new(),
            started: None,
            updated: cx.time(),
            ..state
        };
        self.change(cx, next, Changed::Initialised(caller));
        Ok(())
    }

    /// A producer whose epochs are used up goes on under another id (Kafka: `prepareProducerIdRotation`); the last epoch
    /// is kept for whoever fences it.
    fn renamed(&mut self, state: &StoredTransaction, current: Option<(ProducerId, i16)>) -> Renaming {
        let used_up = state.epoch >= i16::MAX - 1;
        if !used_up || current.is_some_and(|(_, epoch)| epoch != state.epoch) {
            return Renaming::NotNeeded;
        }
        self.take_producer_id().map_or(Renaming::Waits, Renaming::To)
    }

    /// Producer ids came: go on with those who waited for one.
    pub(crate) fn name_transactions(&mut self, cx: &mut Context<'_>) {
        for (caller, request) in std::mem::take(&mut self.volatile.transactions.unnamed) {
            self.serve_init(cx, caller, request);
        }
    }

    pub(super) fn serve_add_partitions(
        &mut self,
        cx: &mut Context<'_>,
        caller: Caller,
        id: TransactionalId,
        producer: (ProducerId, i16),
        partitions: Vec<TopicPartition>,
    ) {
        let known = &self.durable.image.partitions;
        if partitions.iter().any(|at| !known.contains(*at)) {
            let partitions = partitions
                .into_iter()
                .map(|at| {
                    let is_known = known.contains(at);
                    let error = if is_known {
                        ErrorCode::OperationNotAttempted
                    } else {
                        ErrorCode::UnknownTopicOrPartition
                    };
                    (at, error)
                })
                .collect();
            cx.answer(caller.0, caller.1, Response::AddPartitionsToTxn { partitions });
            return;
        }
        match self.addition(cx, id, producer, &partitions) {
            Ok(Some(next)) => self.change(cx, next, Changed::PartitionsAdded(caller, partitions)),
            other => {
                let error = other.err().unwrap_or_default();
                let partitions = partitions.into_iter().map(|at| (at, error)).collect();
                cx.answer(caller.0, caller.1, Response::AddPartitionsToTxn { partitions });
            }
        }
    }

    pub(super) fn serve_add_offsets(
        &mut self,
        cx: &mut Context<'_>,
        caller: Caller,
        id: TransactionalId,
        producer: (ProducerId, i16),
        at: TopicPartition,
    ) {
        match self.addition(cx, id, producer, &[at]) {
            Ok(Some(next)) => self.change(cx, next, Changed::OffsetsAdded(caller)),
            other => {
                let error = other.err().unwrap_or_default();
                cx.answer(caller.0, caller.1, Response::AddOffsetsToTxn { error });
            }
        }
    }

    /// The transaction with these partitions added; none if they are in it already.
    fn addition(
        &self,
        cx: &Context<'_>,
        id: TransactionalId,
        (producer, epoch): (ProducerId, i16),
        partitions: &[TopicPartition],
    ) -> Result<Option<StoredTransaction>, ErrorCode> {
        let known = self.producers_transaction(id, producer)?;
        let state = &known.state;
        if state.epoch != epoch {
            return Err(ErrorCode::ProducerFenced);
        }
        let ends = matches!(state.phase, TransactionPhase::PrepareCommit | TransactionPhase::PrepareAbort);
        if known.changing || ends {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let is_open = state.phase == TransactionPhase::Ongoing;
        if is_open && partitions.iter().all(|at| state.partitions.contains(at)) {
            return Ok(None);
        }
        let mut next = state.clone();
        next.phase = TransactionPhase::Ongoing;
        next.updated = cx.now.elapsed;
        // The time-out runs from the first partition (recorded: "Transactions", 6).
        next.started = if is_open { state.started } else { Some(cx.now.elapsed) };
        next.partitions.extend(partitions.iter().copied().filter(|at| !state.partitions.contains(at)));
        Ok(Some(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::protocol::BrokerId;
    use crate::kafka::{Settings, Wiring};
    use crate::record::NodeId;
    use crate::units::Time;

    #[test]
    fn a_producer_whose_epochs_are_used_up_gets_another_id() {
        let wiring = Wiring { controller: NodeId(0), brokers: Vec::new(), topics: Vec::new() };
        let mut broker = Broker::new(Settings::default(), wiring, BrokerId(1));
        let mut state = StoredTransaction {
            transaction: TransactionalId(0),
            producer: ProducerId(7),
            epoch: i16::MAX - 2,
            last_epoch: -1,
            timeout: Span::secs(60),
            phase: TransactionPhase::Empty,
            partitions: Vec::new(),
            started: None,
            updated: Time::ZERO,
        };
        assert!(matches!(broker.renamed(&state, None), Renaming::NotNeeded));
        state.epoch = i16::MAX - 1;
        assert!(matches!(broker.renamed(&state, None), Renaming::Waits), "it has no ids at hand");
        let own = Some((ProducerId(7), i16::MAX - 1));
        assert!(matches!(broker.renamed(&state, own), Renaming::Waits));
        let late = Some((ProducerId(7), 3));
        assert!(matches!(broker.renamed(&state, late), Renaming::NotNeeded), "it is fenced instead");
    }
}
