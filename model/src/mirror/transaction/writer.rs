//! One transactional producer: it opens a transaction with the first record, produces each record at once, and after
//! the interval commits the source offsets in the same transaction.
//!
//! Each target partition has one batch in flight at most. What belongs to the open transaction is kept until the
//! target says that it is committed, so that an aborted one can be done again.

use super::conversation::{Conversation, Meaning, Party, Switchboard, Talk, meaning, worst};
use super::{Notice, OnFailure};
use crate::kafka::protocol::{
    Acks, CommitPartition, CoordinatorKey, ErrorCode, MemberId, ProduceBatch, ProducerId, ProducerStamp,
    Request, Response, TransactionalId,
};
use crate::machine::Effects;
use crate::mirror::ledger::Transfer;
use crate::record::{NodeId, Offset, TopicPartition};
use crate::units::Time;
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
    /// The tokens to produce.
    queue: VecDeque<u64>,
    /// The tokens of the batch in flight.
    batch: Vec<u64>,
    /// Whether records go alone, since a batch was too large for the target.
    alone: bool,
    conversation: Conversation,
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
    appended: Vec<(u64, Offset)>,
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

    /// Its owner lost these partitions. A transaction that is not about to be committed is aborted, since it may have
    /// records of theirs.
    pub(super) fn forsake(&mut self, lost: &[TopicPartition], notices: &mut VecDeque<Notice>) {
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
        let is_uncommitted =
            matches!(self.state, State::Open | State::AddingOffsets | State::CommittingOffsets);
        if is_uncommitted && !self.doomed.is_empty() {
            self.abort();
        }
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
    pub(super) fn go_on(&mut self, now: Time, board: &mut Switchboard, effects: &mut Effects) {
        self.time_out(now, board);
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

    fn open(&mut self, now: Time, board: &Switchboard) {
        if self.waiting.is_empty() {
            self.finishing = false;
            return;
        }
        self.enter(State::Open);
        self.ends_at = now + board.settings.transaction_interval;
        // The first records belong to it even where the flush is waited for.
        self.admit();
        self.fill(now, board);
    }

    /// The waiting records become members.
    fn admit(&mut self) {
        for (token, transfer) in std::mem::take(&mut self.waiting) {
            let position = self.positions.entry(transfer.source).or_default();
            *position = transfer.source_offset + 1;
            self.lanes.entry(transfer.target).or_default().queue.push_back(token);
            self.members.insert(token, transfer);
        }
    }

    fn fill(&mut self, now: Time, board: &Switchboard) {
        if !self.finishing && now < self.ends_at {
            self.admit();
        } else if self.lanes.values().all(|lane| lane.queue.is_empty() && lane.batch.is_empty()) {
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
            partition: *partition,
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
                let records = lane.batch.iter().filter_map(|token| self.members.get(token));
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

    /// A coordinator answered.
    pub(super) fn answered(
        &mut self,
        now: Time,
        response: &Response,
        board: &mut Switchboard,
        notices: &mut VecDeque<Notice>,
    ) {
        if let Response::FindCoordinator { error, coordinator } = response {
            return self.found(now, *error, coordinator.map(|(_, node)| node), board);
        }
        let error = match response {
            Response::InitProducerId { error, .. }
            | Response::AddOffsetsToTxn { error }
            | Response::EndTxn { error } => *error,
            Response::AddPartitionsToTxn { partitions } | Response::TxnOffsetCommit { partitions } => {
                worst(partitions.iter().map(|(_, error)| *error))
            }
            _ => ErrorCode::UnknownServerError,
        };
        match meaning(error) {
            Meaning::Done => self.step_done(response, notices),
            // What is no transaction any more need not be aborted.
            Meaning::Abort if self.state == State::Aborting => self.aborted(notices),
            Meaning::Abort if self.state == State::Starting => {
                self.producer = None;
                self.conversation.ask_again(now, &board.settings);
            }
            Meaning::Abort => self.abort(),
            Meaning::Fenced => self.fenced(notices),
            Meaning::Again => self.conversation.ask_again(now, &board.settings),
            Meaning::Elsewhere => {
                self.coordinator_moved(board);
                self.conversation.ask_again(now, &board.settings);
            }
            Meaning::Refused => notices.push_back(Notice::Broken),
        }
    }

    fn coordinator_moved(&mut self, board: &mut Switchboard) {
        if self.state == State::CommittingOffsets {
            board.group_coordinator = None;
        } else {
            self.coordinator = None;
        }
    }

    fn found(&mut self, now: Time, error: ErrorCode, coordinator: Option<NodeId>, board: &mut Switchboard) {
        if error != ErrorCode::None || coordinator.is_none() {
            return self.conversation.ask_again(now, &board.settings);
        }
        // Without its own coordinator it asked for that one.
        if self.coordinator.is_none() {
            self.coordinator = coordinator;
        } else {
            board.group_coordinator = coordinator;
        }
        self.conversation.talk = Talk::Due(now);
    }

    fn step_done(&mut self, response: &Response, notices: &mut VecDeque<Notice>) {
        self.conversation.settle();
        match (self.state, response) {
            (State::Starting, Response::InitProducerId { producer, .. }) => {
                self.producer = *producer;
                self.enter(State::Ready);
            }
            (State::Open, Response::AddPartitionsToTxn { partitions }) => {
                for (partition, _) in partitions {
                    self.lanes.entry(*partition).or_default().added = true;
                }
            }
            (State::AddingOffsets, _) => self.enter(State::CommittingOffsets),
            (State::CommittingOffsets, _) => self.enter(State::Ending),
            (State::Ending, _) => self.committed(notices),
            (State::Aborting, _) => self.aborted(notices),
            _ => {}
        }
    }

    fn committed(&mut self, notices: &mut VecDeque<Notice>) {
        for (token, offset) in std::mem::take(&mut self.appended) {
            notices.push_back(Notice::Copied(token, offset));
        }
        notices.push_back(Notice::Committed(std::mem::take(&mut self.positions).into_iter().collect()));
        self.members.clear();
        self.doomed.clear();
        self.lanes.clear();
        self.enter(State::Ready);
        if self.renewing {
            self.begin_anew(None);
        }
    }

    /// The records go into the next transaction, in their order, but for those of partitions that are lost. The next
    /// epoch begins, since it is not known which sequences the target has.
    fn aborted(&mut self, notices: &mut VecDeque<Notice>) {
        for token in std::mem::take(&mut self.doomed) {
            self.members.remove(&token);
            notices.push_back(Notice::Dropped(token));
        }
        self.reclaim();
        self.begin_anew(if self.renewing { None } else { self.producer });
    }

    fn reclaim(&mut self) {
        let mut waiting: VecDeque<(u64, Transfer)> = std::mem::take(&mut self.members).into_iter().collect();
        waiting.append(&mut self.waiting);
        self.waiting = waiting;
        self.appended.clear();
        self.positions.clear();
        self.lanes.clear();
    }

    /// A new grant of the same partition fences anew; without one this producer is dead.
    fn fenced(&mut self, notices: &mut VecDeque<Notice>) {
        if self.renewing {
            self.aborted(notices);
        } else {
            self.enter(State::Fenced);
        }
    }

    /// A leader answered.
    pub(super) fn produced(
        &mut self,
        now: Time,
        target: TopicPartition,
        response: &Response,
        board: &mut Switchboard,
        notices: &mut VecDeque<Notice>,
    ) {
        let Some(lane) = self.lanes.get_mut(&target) else {
            return;
        };
        let Response::Produce { partitions } = response else {
            board.learn_leaders(response);
            if board.leaders.contains_key(&target) {
                lane.conversation.talk = Talk::Due(now);
            } else {
                lane.conversation.ask_again(now, &board.settings);
            }
            return;
        };
        let answer = partitions.iter().find(|(partition, ..)| *partition == target);
        let (error, base) =
            answer.map_or((ErrorCode::UnknownServerError, -1), |(_, error, base, _)| (*error, *base));
        match meaning(error) {
            Meaning::Done => {
                let batch = std::mem::take(&mut lane.batch);
                lane.conversation.settle();
                *self.sequences.entry(target).or_default() += batch.len() as i32;
                let offsets = (0..).map(|place| if base < 0 { base } else { base + place });
                self.appended.extend(batch.into_iter().zip(offsets));
            }
            Meaning::Again => lane.conversation.ask_again(now, &board.settings),
            Meaning::Elsewhere => {
                board.leaders.remove(&target);
                lane.conversation.ask_again(now, &board.settings);
            }
            Meaning::Fenced => self.fenced(notices),
            Meaning::Abort => self.abort(),
            Meaning::Refused => self.refused(now, target, board, notices),
        }
    }

    /// A batch that is refused goes again record by record, as the Java client splits it; a record that is refused by
    /// itself is the worker's to judge. A refused batch uses up no sequence.
    fn refused(
        &mut self,
        now: Time,
        target: TopicPartition,
        board: &Switchboard,
        notices: &mut VecDeque<Notice>,
    ) {
        let Some(lane) = self.lanes.get_mut(&target) else {
            return;
        };
        if lane.batch.len() > 1 {
            let batch = std::mem::take(&mut lane.batch);
            for token in batch.into_iter().rev() {
                lane.queue.push_front(token);
            }
            lane.alone = true;
            lane.conversation.settle();
        } else if board.settings.on_failure == OnFailure::Retry {
            lane.conversation.talk = Talk::Due(now + board.settings.retry_after);
        } else {
            let refused = std::mem::take(&mut lane.batch);
            lane.conversation.settle();
            for token in refused {
                self.members.remove(&token);
                notices.push_back(Notice::GivenUp(token));
            }
        }
    }

    /// When it needs attention next.
    pub(super) fn wakes_at(&self) -> Time {
        let lanes = self.lanes.values().map(|lane| lane.conversation.wakes_at());
        let ends_at = if self.state == State::Open && !self.finishing { self.ends_at } else { Time::NEVER };
        lanes.chain([self.conversation.wakes_at(), ends_at]).min().unwrap_or(Time::NEVER)
    }

    /// The conversation of one of its lanes.
    pub(super) fn lane(&self, target: TopicPartition) -> Option<&Conversation> {
        self.lanes.get(&target).map(|lane| &lane.conversation)
    }
}

/// The next batch of a lane, at least one record.
fn cut_batch(lane: &mut Lane, members: &BTreeMap<u64, Transfer>, most_bytes: u64) -> Vec<u64> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    while let Some(token) = lane.queue.front() {
        bytes += members.get(token).map_or(0, |transfer| u64::from(transfer.record.bytes));
        if !batch.is_empty() && (lane.alone || bytes > most_bytes) {
            break;
        }
        batch.extend(lane.queue.pop_front());
    }
    batch
}
