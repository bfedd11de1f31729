//! One transactional producer: it opens a transaction with the first record, produces each record at once, and after
//! the interval commits the source offsets in the same transaction.
//!
//! Each target partition has one batch in flight at most. What belongs to the open transaction is kept until the
//! target says that it is committed, so that an aborted one can be done again.

mod answers;

use super::Notice;
use super::conversation::{Conversation, Party, Switchboard, Talk};
use super::positions::position_of;
use crate::kafka::protocol::{
    Acks, CommitPartition, CoordinatorKey, MemberId, ProduceBatch, ProducerId, ProducerStamp, Request,
    TransactionalId,
};
use crate::machine::Effects;
use crate::mirror::ledger::Transfer;
use crate::mirror::settings::OnFailure;
use crate::record::{NodeId, Offset, TopicPartition};
use crate::units::{Span, Time};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a writer is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum State {
    /// It gets its producer id, which fences its predecessor and aborts his open transaction.
    Starting,
    /// No transaction is open.
    Ready,
    /// Records are produced.
    Open,
    /// The offsets' partition is put into the transaction.
    AddingOffsets,
    /// The offsets are put into it.
    CommittingOffsets,
    /// It is committed.
    Ending,
    /// It is aborted.
    Aborting,
    /// Another owner is in charge, or the transaction timed out.
    Fenced,
}

/// A target partition of the open transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Lane {
    /// Whether the coordinator has it in the transaction.
    added: bool,
    /// The tokens to produce, each with when its record was given to the producer.
    queue: VecDeque<(u64, Time)>,
    /// The same of the batch in flight.
    batch: Vec<(u64, Time)>,
    /// Whether records go alone, since a batch was too large for the target.
    alone: bool,
    conversation: Conversation,
}

impl Lane {
    fn is_written(&self) -> bool {
        self.queue.is_empty() && self.batch.is_empty()
    }

    /// Since when its oldest record waits to be written.
    fn waits_since(&self) -> Option<Time> {
        self.batch.first().or(self.queue.front()).map(|(_, since)| *since)
    }
}

/// A transactional producer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Writer {
    id: TransactionalId,
    /// The source partitions that it copies.
    pub partitions: BTreeSet<TopicPartition>,
    coordinator: Option<NodeId>,
    pub producer: Option<(ProducerId, i16)>,
    /// Of each target partition, the next sequence in this epoch.
    sequences: BTreeMap<TopicPartition, i32>,
    pub state: State,
    pub conversation: Conversation,
    /// What the next transaction will have.
    waiting: VecDeque<(u64, Transfer)>,
    /// What the open transaction has.
    members: BTreeMap<u64, Transfer>,
    /// Those of them that were read under a grant that was lost since: they are in no second attempt.
    doomed: BTreeSet<u64>,
    /// Those that were appended, and where.
    appended: Vec<(u64, TopicPartition, Offset)>,
    /// The offsets that the open transaction commits.
    positions: BTreeMap<TopicPartition, Offset>,
    lanes: BTreeMap<TopicPartition, Lane>,
    /// When the open transaction is to end.
    ends_at: Time,
    /// End it at once, for a flush.
    pub finishing: bool,
    /// Its partition was given back and granted again: somebody else may have had it meanwhile, so fence anew.
    renewing: bool,
}

impl Writer {
    pub(super) fn new(id: TransactionalId) -> Writer {
        Writer {
            id,
            partitions: BTreeSet::new(),
            coordinator: None,
            producer: None,
            sequences: BTreeMap::new(),
            state: State::Starting,
            conversation: Conversation::default(),
            waiting: VecDeque::new(),
            members: BTreeMap::new(),
            doomed: BTreeSet::new(),
            appended: Vec::new(),
            positions: BTreeMap::new(),
            lanes: BTreeMap::new(),
            ends_at: Time::NEVER,
            finishing: false,
            renewing: false,
        }
    }

    /// Take a record for the open transaction, or the next one.
    pub(super) fn send(&mut self, token: u64, transfer: Transfer) {
        self.waiting.push_back((token, transfer));
    }

    /// Fence whoever had the partitions, also if this writer had them before.
    pub(super) fn renew(&mut self) {
        if matches!(self.state, State::Starting | State::Ready) {
            self.begin_anew(None);
        } else {
            self.renewing = true;
        }
    }

    /// Its owner lost these partitions. A transaction that is still being filled is aborted if it has records of theirs. One
    /// whose interval is over goes its way: its worker is busy with committing it, and hears of the loss when that is
    /// through or refused (mirror 10d). What keeps a worker that stood still from committing is its epoch alone.
    pub(super) fn forsake(&mut self, now: Time, lost: &[TopicPartition], notices: &mut VecDeque<Notice>) {
        self.partitions.retain(|partition| !lost.contains(partition));
        self.waiting.retain(|(token, transfer)| {
            let is_lost = lost.contains(&transfer.source);
            if is_lost {
                notices.push_back(Notice::Dropped(*token));
            }
            !is_lost
        });
        let members = self.members.iter().filter(|(_, transfer)| lost.contains(&transfer.source));
        self.doomed.extend(members.map(|(token, _)| *token));
        let is_filling = self.state == State::Open && !self.finishing && now < self.ends_at;
        if is_filling && !self.doomed.is_empty() {
            self.abort();
        }
    }

    /// Whether it has fenced whoever had its partitions before, and is not to do it anew, nor busy with what it read before it
    /// lost some of them.
    pub(super) fn is_in_charge(&self) -> bool {
        !self.renewing && self.doomed.is_empty() && !matches!(self.state, State::Starting | State::Fenced)
    }

    /// Whether nobody needs it any more.
    pub(super) fn is_over(&self) -> bool {
        self.partitions.is_empty() && matches!(self.state, State::Starting | State::Ready)
    }

    /// Everything that it has and will not write.
    pub(super) fn tokens(&self) -> Vec<u64> {
        self.members.keys().copied().chain(self.waiting.iter().map(|(token, _)| *token)).collect()
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.conversation.settle();
    }

    fn begin_anew(&mut self, producer: Option<(ProducerId, i16)>) {
        self.enter(State::Starting);
        self.producer = producer;
        self.sequences.clear();
        self.renewing = false;
    }

    fn abort(&mut self) {
        self.enter(State::Aborting);
        self.lanes.clear();
    }

    /// Go on as far as that goes without an answer, and ask what is due.
    pub(super) fn go_on(
        &mut self,
        now: Time,
        board: &mut Switchboard,
        effects: &mut Effects,
        notices: &mut VecDeque<Notice>,
    ) {
        self.time_out(now, board);
        self.expire(now, board, notices);
        match self.state {
            State::Ready => self.open(now, board),
            State::Open => self.fill(now, board),
            State::Starting
            | State::AddingOffsets
            | State::CommittingOffsets
            | State::Ending
            | State::Aborting => {
                self.conversation.wish(now);
            }
            State::Fenced => return,
        }
        if self.conversation.is_due(now) {
            let question = self.question(board);
            board.ask(now, Party::Writer(self.id), &mut self.conversation, question, effects);
        }
        self.produce(now, board, effects);
    }

    /// An answer that does not come makes way for the question who is in charge.
    fn time_out(&mut self, now: Time, board: &mut Switchboard) {
        let lanes = self.lanes.values_mut().map(|lane| &mut lane.conversation);
        for conversation in lanes.chain([&mut self.conversation]) {
            if let Some(node) = conversation.overdue(now) {
                conversation.talk = Talk::Due(now);
                self.coordinator = self.coordinator.filter(|coordinator| *coordinator != node);
                board.forget(node);
            }
        }
    }

    /// Records that the target has not acknowledged within the delivery time-out fail, and with them their transaction: some of
    /// them may be in the log, where the next sequence would leave a gap. It is aborted; what becomes of the failed ones is
    /// the worker's to judge, and the others go into the next transaction (`delivery.timeout.ms`, mirror 3b).
    fn expire(&mut self, now: Time, board: &Switchboard, notices: &mut VecDeque<Notice>) {
        let limit = board.settings.kafka.delivery_timeout;
        let is_over = |since: Time| since + limit <= now;
        if self.state != State::Open || !self.lanes.values().filter_map(Lane::waits_since).any(is_over) {
            return;
        }
        if board.settings.on_failure != OnFailure::Retry {
            let waiting = self.lanes.values().flat_map(|lane| lane.batch.iter().chain(&lane.queue));
            let expired: Vec<u64> =
                waiting.filter(|(_, since)| is_over(*since)).map(|(token, _)| *token).collect();
            for token in expired {
                self.members.remove(&token);
                notices.push_back(Notice::GivenUp(token));
            }
        }
        self.abort();
    }

    /// A connection broke: what was asked there is asked again.
    pub(super) fn disconnected(&mut self, now: Time, node: NodeId, board: &Switchboard) {
        self.coordinator = self.coordinator.filter(|coordinator| *coordinator != node);
        let lanes = self.lanes.values_mut().map(|lane| &mut lane.conversation);
        for conversation in lanes.chain([&mut self.conversation]) {
            if matches!(conversation.talk, Talk::Asked { to, .. } if to == node) {
                conversation.ask_again(now, &board.settings);
            }
        }
    }

    fn open(&mut self, now: Time, board: &mut Switchboard) {
        let Some((_, first)) = self.waiting.front() else {
            self.finishing = false;
            return;
        };
        // Without a partition to write to there is nothing to begin with.
        if board.counts.of(now, first.source.topic).is_none() {
            return;
        }
        self.enter(State::Open);
        self.ends_at = now + board.settings.transaction_interval;
        // The first records belong to it even where the flush is waited for.
        self.admit(now, board);
        self.fill(now, board);
    }

    /// The waiting records become members, as far as it is known how many partitions their topics have.
    fn admit(&mut self, now: Time, board: &mut Switchboard) {
        while let Some((token, transfer)) = self.waiting.pop_front() {
            let Some(count) = board.counts.of(now, transfer.source.topic) else {
                self.waiting.push_front((token, transfer));
                return;
            };
            let position = self.positions.entry(transfer.source).or_default();
            *position = transfer.source_offset + 1;
            let target = transfer.route.target(&transfer.record, count);
            self.lanes.entry(target).or_default().queue.push_back((token, now));
            self.members.insert(token, transfer);
        }
    }

    fn fill(&mut self, now: Time, board: &mut Switchboard) {
        if !self.finishing && now < self.ends_at {
            self.admit(now, board);
        } else if self.lanes.values().all(Lane::is_written) {
            self.enter(State::AddingOffsets);
            self.conversation.wish(now);
            return;
        }
        if self.lanes.values().any(|lane| !lane.added) {
            self.conversation.wish(now);
        }
        for lane in self.lanes.values_mut() {
            if lane.added && lane.batch.is_empty() && !lane.queue.is_empty() {
                lane.batch = cut_batch(lane, &self.members, board.settings.batch_size.0);
                lane.conversation.wish(now);
            }
        }
    }

    /// What its coordinators are asked next.
    fn question(&self, board: &Switchboard) -> (Option<NodeId>, Request) {
        let transaction = self.id;
        let Some(coordinator) = self.coordinator else {
            return (None, Request::FindCoordinator { key: CoordinatorKey::Transaction(transaction) });
        };
        let producer = self.producer.unwrap_or_default();
        let group = board.group;
        let request = match self.state {
            State::Starting | State::Ready | State::Fenced => Request::InitProducerId {
                transaction: Some(transaction),
                transaction_timeout: board.settings.transaction_timeout,
                current: self.producer,
            },
            State::Open => {
                let missing = self.lanes.iter().filter(|(_, lane)| !lane.added);
                let partitions = missing.map(|(partition, _)| *partition).collect();
                Request::AddPartitionsToTxn { transaction, producer, partitions }
            }
            State::AddingOffsets => Request::AddOffsetsToTxn { transaction, producer, group },
            State::CommittingOffsets => return board.to_group(self.offsets(board)),
            State::Ending => Request::EndTxn { transaction, producer, commit: true },
            State::Aborting => Request::EndTxn { transaction, producer, commit: false },
        };
        (Some(coordinator), request)
    }

    /// The source offsets, committed without a member: what fences them is the producer's epoch.
    fn offsets(&self, board: &Switchboard) -> Request {
        let offset = |(partition, offset): (&TopicPartition, &Offset)| CommitPartition {
            partition: position_of(*partition),
            offset: *offset,
            leader_epoch: -1,
            metadata_bytes: 0,
        };
        Request::TxnOffsetCommit {
            transaction: self.id,
            producer: self.producer.unwrap_or_default(),
            group: board.group,
            generation: -1,
            member: MemberId::NONE,
            offsets: self.positions.iter().map(offset).collect(),
        }
    }

    /// Send each lane's batch to its leader, or ask who that is.
    fn produce(&mut self, now: Time, board: &mut Switchboard, effects: &mut Effects) {
        let Some((id, epoch)) = self.producer else {
            return;
        };
        for (target, lane) in &mut self.lanes {
            if !lane.conversation.is_due(now) {
                continue;
            }
            let leader = board.leaders.get(target).copied();
            let request = if leader.is_none() {
                Request::Metadata { topics: vec![target.topic] }
            } else {
                let base_sequence = self.sequences.get(target).copied().unwrap_or(0);
                let stamp = Some(ProducerStamp { id, epoch, base_sequence, transactional: true });
                let records = lane.batch.iter().filter_map(|(token, _)| self.members.get(token));
                let records = records.map(|transfer| transfer.record).collect();
                Request::Produce {
                    acks: Acks::All,
                    timeout: board.settings.request_timeout,
                    transaction: Some(self.id),
                    batches: vec![ProduceBatch { partition: *target, stamp, records }],
                }
            };
            let party = Party::Lane(self.id, *target);
            board.ask(now, party, &mut lane.conversation, (leader, request), effects);
        }
    }

    /// When it needs attention next. A transaction whose interval is over waits for its answers alone.
    pub(super) fn wakes_at(&self, now: Time, delivery_timeout: Span) -> Time {
        let lanes = self.lanes.values().map(|lane| {
            let fails_at = lane.waits_since().map_or(Time::NEVER, |since| since + delivery_timeout);
            lane.conversation.wakes_at().min(fails_at)
        });
        let is_filling = self.state == State::Open && !self.finishing && now < self.ends_at;
        let ends_at = if is_filling { self.ends_at } else { Time::NEVER };
        lanes.chain([self.conversation.wakes_at(), ends_at]).min().unwrap_or(Time::NEVER)
    }

    /// The conversation of one of its lanes.
    pub(super) fn lane(&self, target: TopicPartition) -> Option<&Conversation> {
        self.lanes.get(&target).map(|lane| &lane.conversation)
    }
}

/// The next batch of a lane, at least one record.
fn cut_batch(lane: &mut Lane, members: &BTreeMap<u64, Transfer>, most_bytes: u64) -> Vec<(u64, Time)> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    while let Some((token, _)) = lane.queue.front() {
        bytes += members.get(token).map_or(0, |transfer| u64::from(transfer.record.bytes));
        if !batch.is_empty() && (lane.alone || bytes > most_bytes) {
            break;
        }
        batch.extend(lane.queue.pop_front());
    }
    batch
}
