//! The atomic mode: records and source offsets are committed together in the target's transactions.
//!
//! Written against Kafka's requests alone: it finds coordinators and leaders, gets its producer ids, and asks again
//! after errors, silence and broken connections. At a takeover it reads the position back from the target.
//! Leaves out several batches in flight to one partition, and the abort of a transaction that a record spoils: such a
//! record is left out of the transaction.

#[cfg(test)]
mod bench;
mod conversation;
mod counts;
#[cfg(test)]
mod handover_tests;
pub(in crate::mirror) mod positions;
#[cfg(test)]
mod tests;
mod writer;

use super::ledger::Transfer;
use super::settings::{Settings, Takeover, TransactionalIdScheme};
use super::worker::Wiring;
use crate::kafka::protocol::{ErrorCode, Request, Response, TransactionalId};
use crate::machine::{Effects, Input, RequestId, RequestIds, Timer};
use crate::message::Message;
use crate::record::{NodeId, Offset, TopicPartition};
use crate::units::Time;
use conversation::{Conversation, Meaning, Party, Switchboard, Talk, meaning, worst};
use positions::position_of;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use writer::{State, Writer};

const WAKE: Timer = Timer::new("mirror/transaction", 0);

/// The lane of this part's request ids, apart from those of the client libraries.
const LANE: u16 = 64;

/// What the transactions tell the worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Notice {
    /// The source partition is taken over: everything below that offset is in the target, -1 if nothing is.
    Adopted(TopicPartition, Offset),
    /// The copy with that token is committed, in that target partition at that offset.
    Copied(u64, TopicPartition, Offset),
    /// These source offsets are committed in the target.
    Committed(Vec<(TopicPartition, Offset)>),
    /// The target refused the record with that token.
    GivenUp(u64),
    /// The record with that token will not be written: its partition was lost.
    Dropped(u64),
    /// These source partitions' producer is fenced: the worker is no longer their owner, or its transaction timed out.
    Fenced(Vec<TopicPartition>),
    /// The target refuses transactions altogether, with that error.
    Broken(ErrorCode),
}

/// A source partition that is being taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Adoption {
    conversation: Conversation,
    /// What was read before the former owner was fenced: that no transaction of his is open, not what he commits yet.
    saw_stable: bool,
    /// What was read since.
    position: Option<Offset>,
}

/// All transactions of one life of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Transactions {
    worker: u16,
    board: Switchboard,
    writers: BTreeMap<TransactionalId, Writer>,
    adoptions: BTreeMap<TopicPartition, Adoption>,
    notices: VecDeque<Notice>,
    /// When the timer runs out that is set.
    timer: Time,
}

impl Transactions {
    pub(super) fn new(settings: &Settings, wiring: &Wiring, incarnation: u32) -> Transactions {
        let ids = RequestIds::new(incarnation, LANE);
        Transactions {
            worker: wiring.worker,
            board: Switchboard::new(settings.clone(), wiring.group, wiring.brokers.clone(), ids),
            writers: BTreeMap::new(),
            adoptions: BTreeMap::new(),
            notices: VecDeque::new(),
            timer: Time::NEVER,
        }
    }

    /// Workers and source partitions have ids apart.
    fn id(&self, partition: TopicPartition) -> TransactionalId {
        match self.board.settings.transactional_id {
            TransactionalIdScheme::PerPartition => {
                TransactionalId(u32::from(partition.topic.0) << 16 | u32::from(partition.partition))
            }
            TransactionalIdScheme::PerWorker => TransactionalId(u32::MAX - u32::from(self.worker)),
        }
    }

    /// Take a source partition over; [`Notice::Adopted`] says when that is done.
    pub(super) fn adopt(&mut self, partition: TopicPartition) {
        let id = self.id(partition);
        let writer = self.writers.entry(id).or_insert_with(|| Writer::new(id));
        writer.partitions.insert(partition);
        if self.board.settings.transactional_id == TransactionalIdScheme::PerPartition {
            writer.renew();
        }
        self.adoptions.insert(partition, Adoption::default());
    }

    /// These partitions are the worker's no more, in good order (then nothing of them is open) or not.
    pub(super) fn forsake(&mut self, now: Time, partitions: &[TopicPartition]) {
        self.adoptions.retain(|partition, _| !partitions.contains(partition));
        for writer in self.writers.values_mut() {
            writer.forsake(now, partitions, &mut self.notices);
        }
    }

    /// Copy a record. One that is larger than a request may be is refused without a request.
    pub(super) fn send(&mut self, token: u64, transfer: Transfer) {
        if u64::from(transfer.record.bytes) > self.board.settings.kafka.max_request_size.0 {
            return self.notices.push_back(Notice::GivenUp(token));
        }
        match self.writers.get_mut(&self.id(transfer.source)) {
            Some(writer) => writer.send(token, transfer),
            None => self.notices.push_back(Notice::Dropped(token)),
        }
    }

    /// End the open transactions without waiting for the interval.
    pub(super) fn finish(&mut self) {
        for writer in self.writers.values_mut() {
            writer.finishing = true;
        }
    }

    /// The oldest notice.
    pub(super) fn notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// Whether there is one.
    pub(super) fn has_notice(&self) -> bool {
        !self.notices.is_empty()
    }

    /// Take an input. Returns whether it was meant for this part alone.
    pub(super) fn take(&mut self, now: Time, input: &Input) -> bool {
        match input {
            Input::Message { message: Message::KafkaResponse(id, response), .. } => {
                self.answered(now, *id, response)
            }
            Input::Timer(WAKE) => {
                self.timer = Time::NEVER;
                true
            }
            Input::Disconnected(node) => {
                self.disconnected(now, *node);
                false
            }
            _ => false,
        }
    }

    fn answered(&mut self, now: Time, id: RequestId, response: &Response) -> bool {
        let Some(party) = self.board.party(id) else {
            return false;
        };
        match party {
            Party::Position(partition) => self.position_answered(now, partition, id, response),
            Party::Writer(transaction) => {
                if let Some(writer) = self.writers.get_mut(&transaction)
                    && writer.conversation.awaits(id)
                {
                    writer.answered(now, response, &mut self.board, &mut self.notices);
                }
            }
            Party::Lane(transaction, target) => {
                if let Some(writer) = self.writers.get_mut(&transaction)
                    && writer.lane(target).is_some_and(|conversation| conversation.awaits(id))
                {
                    writer.produced(now, target, response, &mut self.board, &mut self.notices);
                }
            }
            Party::Cluster => self.board.cluster_answered(now, id, response),
            Party::Positions => self.board.positions_answered(now, id, response),
        }
        if let Party::Writer(transaction) | Party::Lane(transaction, _) = party {
            self.bury_if_fenced(transaction);
        }
        true
    }

    /// A fenced producer is gone with everything that it had not committed.
    fn bury_if_fenced(&mut self, transaction: TransactionalId) {
        if self.writers.get(&transaction).is_none_or(|writer| writer.state != State::Fenced) {
            return;
        }
        if let Some(writer) = self.writers.remove(&transaction) {
            self.notices.extend(writer.tokens().into_iter().map(Notice::Dropped));
            self.adoptions.retain(|partition, _| !writer.partitions.contains(partition));
            self.notices.push_back(Notice::Fenced(writer.partitions.into_iter().collect()));
        }
    }

    fn position_answered(
        &mut self,
        now: Time,
        partition: TopicPartition,
        id: RequestId,
        response: &Response,
    ) {
        let in_charge = self.in_charge(partition);
        let Some(adoption) =
            self.adoptions.get_mut(&partition).filter(|adoption| adoption.conversation.awaits(id))
        else {
            return;
        };
        let (error, offset) = match response {
            Response::FindCoordinator { error: ErrorCode::None, coordinator: Some((_, node)) } => {
                self.board.group_coordinator = Some(*node);
                adoption.conversation.talk = Talk::Due(now);
                return;
            }
            Response::OffsetFetch { error, partitions } => {
                let own = partitions.iter().find(|(answered, ..)| *answered == position_of(partition));
                let errors = [*error, own.map_or(ErrorCode::None, |(_, error, ..)| *error)];
                (worst(errors.into_iter()), own.map_or(-1, |(_, _, offset, _)| *offset))
            }
            _ => (ErrorCode::CoordinatorNotAvailable, -1),
        };
        match meaning(error) {
            Meaning::Done => {
                adoption.conversation.settle();
                adoption.saw_stable = true;
                adoption.position = in_charge.then_some(offset);
            }
            Meaning::Elsewhere => {
                self.board.group_coordinator = None;
                adoption.conversation.ask_again(now, &self.board.settings);
            }
            _ => adoption.conversation.ask_again(now, &self.board.settings),
        }
    }

    fn disconnected(&mut self, now: Time, node: NodeId) {
        self.board.forget(node);
        for writer in self.writers.values_mut() {
            writer.disconnected(now, node, &self.board);
        }
        for adoption in self.adoptions.values_mut() {
            if matches!(adoption.conversation.talk, Talk::Asked { to, .. } if to == node) {
                adoption.conversation.ask_again(now, &self.board.settings);
            }
        }
        self.board.cluster_disconnected(now, node);
        self.board.positions_disconnected(now, node);
    }

    /// Do what was due while the process stood still.
    pub(super) fn catch_up(&mut self, now: Time, effects: &mut Effects) {
        if self.timer < now {
            self.timer = Time::NEVER;
            self.run(now, effects);
        }
    }

    /// Go on with everything, ask what is due, and set the timer.
    pub(super) fn run(&mut self, now: Time, effects: &mut Effects) {
        self.writers.retain(|_, writer| !writer.is_over());
        let read_first = self.board.settings.takeover == Takeover::ReadFirst;
        let delivery_timeout = self.board.settings.kafka.delivery_timeout;
        let mut wakes_at = Time::NEVER;
        for writer in self.writers.values_mut() {
            let unseen =
                |partition| self.adoptions.get(partition).is_some_and(|adoption| !adoption.saw_stable);
            let waits = read_first && writer.state == State::Starting && writer.partitions.iter().any(unseen);
            // A writer that waits for the position is woken by its answer.
            if !waits {
                writer.go_on(now, &mut self.board, effects, &mut self.notices);
                wakes_at = wakes_at.min(writer.wakes_at(now, delivery_timeout));
            }
        }
        self.run_adoptions(now, effects);
        self.board.ask_cluster(now, effects);
        self.board.ask_positions(now, effects);
        wakes_at = wakes_at.min(self.board.counts.wakes_at()).min(self.board.positions.wakes_at());
        let adoptions = self.adoptions.values().map(|adoption| adoption.conversation.wakes_at());
        let wakes_at = adoptions.fold(wakes_at, Time::min);
        // A timer that runs out too early costs a step; setting it anew at each request would cost more.
        if wakes_at < self.timer {
            self.timer = wakes_at;
            effects.set_timer(WAKE, wakes_at.since(now));
        }
    }

    /// Whether nobody else's transaction can copy the partition any more.
    fn in_charge(&self, partition: TopicPartition) -> bool {
        self.writers.get(&self.id(partition)).is_some_and(Writer::is_in_charge)
    }

    fn run_adoptions(&mut self, now: Time, effects: &mut Effects) {
        let partitions: Vec<TopicPartition> = self.adoptions.keys().copied().collect();
        for partition in partitions {
            let in_charge = self.in_charge(partition);
            let read_first = self.board.settings.takeover == Takeover::ReadFirst;
            let Some(adoption) = self.adoptions.get_mut(&partition) else {
                continue;
            };
            match adoption.position {
                Some(position) if in_charge => {
                    self.adoptions.remove(&partition);
                    self.notices.push_back(Notice::Adopted(partition, position));
                    continue;
                }
                None if in_charge || (read_first && !adoption.saw_stable) => adoption.conversation.wish(now),
                _ => {}
            }
            if let Some(node) = adoption.conversation.overdue(now) {
                self.board.forget(node);
                adoption.conversation.talk = Talk::Due(now);
            }
            if adoption.conversation.is_due(now) {
                let (group, require_stable) = (self.board.group, true);
                let partitions = vec![position_of(partition)];
                let fetch = Request::OffsetFetch { group, partitions, require_stable };
                let question = self.board.to_group(fetch);
                self.board.ask(
                    now,
                    Party::Position(partition),
                    &mut adoption.conversation,
                    question,
                    effects,
                );
            }
        }
    }
}
