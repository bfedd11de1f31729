//! What the answers of coordinators and leaders do to a transactional producer.

use super::{State, Writer};
use crate::kafka::protocol::{ErrorCode, Response};
use crate::mirror::ledger::Transfer;
use crate::mirror::settings::OnFailure;
use crate::mirror::transaction::Notice;
use crate::mirror::transaction::conversation::{Meaning, Switchboard, Talk, meaning, worst};
use crate::record::{NodeId, TopicPartition};
use crate::units::Time;
use std::collections::VecDeque;

impl Writer {
    /// A coordinator answered.
    pub(in crate::mirror::transaction) fn answered(
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
        if let Response::TxnOffsetCommit { partitions } = response {
            let unknown = partitions.iter().filter(|(_, error)| *error == ErrorCode::UnknownTopicOrPartition);
            unknown.for_each(|(partition, _)| board.positions.lack(now, *partition));
        }
        match meaning(error) {
            Meaning::Done => self.step_done(response, notices),
            // What is no transaction any more need not be aborted.
            Meaning::Abort if self.state == State::Aborting => self.aborted(notices),
            Meaning::Abort if self.state == State::Starting && self.producer.is_none() => {
                self.conversation.ask_again(now, &board.settings);
            }
            // Whether it is committed (an earlier answer may have been lost), or whether another owner came between two
            // epochs, the position alone tells.
            Meaning::Abort if matches!(self.state, State::Starting | State::Ending) => self.fenced(notices),
            Meaning::Abort => self.abort(),
            Meaning::Fenced => self.fenced(notices),
            Meaning::Again => self.conversation.ask_again(now, &board.settings),
            Meaning::Elsewhere => {
                self.coordinator_moved(board);
                self.conversation.ask_again(now, &board.settings);
            }
            Meaning::Refused => notices.push_back(Notice::Broken(error)),
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
        for (token, target, offset) in std::mem::take(&mut self.appended) {
            notices.push_back(Notice::Copied(token, target, offset));
        }
        notices.push_back(Notice::Committed(std::mem::take(&mut self.positions).into_iter().collect()));
        self.members.clear();
        self.doomed.clear();
        self.lanes.clear();
        self.finishing = false;
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
    pub(in crate::mirror::transaction) fn produced(
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
        let Response::Produce { partitions, .. } = response else {
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
                let appended = batch.into_iter().zip(offsets);
                self.appended.extend(appended.map(|((token, _), offset)| (token, target, offset)));
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
            for entry in batch.into_iter().rev() {
                lane.queue.push_front(entry);
            }
            lane.alone = true;
            lane.conversation.settle();
        } else if board.settings.on_failure == OnFailure::Retry {
            lane.conversation.talk = Talk::Due(now + board.settings.retry_after);
        } else {
            let refused = std::mem::take(&mut lane.batch);
            lane.conversation.settle();
            for (token, _) in refused {
                self.members.remove(&token);
                notices.push_back(Notice::GivenUp(token));
            }
        }
    }
}
