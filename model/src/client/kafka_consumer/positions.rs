//! From where each assigned partition is read: the committed offset, the reset policy, a seek; and whether the log
//! still has what the position rests on (KIP-320, observed row 15).

use super::buffers::Position;
use super::{Failure, KafkaConsumer, OFFSETS, Purpose};
use crate::client::kafka_consumer_settings::AutoOffsetReset;
use crate::client::kafka_network::backoff;
use crate::kafka::protocol::{ErrorCode, OffsetAt, Request};
use crate::machine::{Effects, Now};
use crate::record::{NodeId, Offset, TopicPartition};
use crate::units::Time;
use serde::Serialize;
use std::collections::BTreeMap;

/// What is known of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Standing {
    /// The committed offset is to be asked for.
    Unknown,
    /// The reset policy's offset is to be asked for.
    Reset(OffsetAt),
    /// It is to be checked against the leader's epochs.
    Unchecked,
    /// It is good.
    Known,
    /// No policy says where to go on: a seek is needed.
    Stuck,
}

/// An assigned partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Held {
    standing: Standing,
    /// A question about it is unanswered.
    asked: bool,
    /// The owner was told of it.
    pub(super) granted: bool,
    /// The next offset to fetch, after all that polls have collected.
    pub(super) position: Offset,
    /// The offset after the last record handed out, and up to where nothing lies behind it that an application sees.
    worked_to: Option<(Offset, Offset)>,
    /// The leader epoch of the record before it; -1 where it is not known.
    pub(super) epoch: i32,
    /// The leader epoch that the position was checked under.
    leader_epoch: i32,
    /// Its leader was wrong: it rests until the next metadata.
    pub(super) awaits_metadata: bool,
}

impl Held {
    pub(super) fn new() -> Held {
        Held {
            standing: Standing::Unknown,
            asked: false,
            granted: false,
            position: -1,
            worked_to: None,
            epoch: -1,
            leader_epoch: -1,
            awaits_metadata: false,
        }
    }

    /// A position given by the owner carries no epoch, and nothing checks it (observed row 15).
    pub(super) fn seek(&mut self, offset: Offset) {
        self.standing = Standing::Known;
        self.go_to(offset, -1);
    }

    /// Go on from an offset that has nothing to do with what was handed out.
    fn go_to(&mut self, offset: Offset, epoch: i32) {
        self.position = offset;
        self.epoch = epoch;
        self.worked_to = None;
    }

    /// A poll has collected everything before that position.
    pub(super) fn read_on(&mut self, (position, epoch): Position) {
        self.position = position;
        self.epoch = epoch;
    }

    /// The record before `worked_to` is handed out, and up to `end` there are only markers and what is hidden.
    pub(super) fn handed_out(&mut self, worked_to: Offset, end: Offset) {
        self.worked_to = Some((worked_to, end));
    }

    /// Behind what was handed out last there is nothing to see before that offset.
    pub(super) fn shown_to(&mut self, offset: Offset) {
        if let Some((_, end)) = &mut self.worked_to {
            *end = offset;
        }
    }

    /// What an application that has worked through all records up to an offset commits: Java's consumer commits its
    /// position, markers included, so that a group that has read everything has no lag.
    pub(super) fn to_commit(&self, offset: Offset) -> Offset {
        match self.worked_to {
            Some((worked_to, end)) if worked_to == offset => end.max(offset),
            _ => offset,
        }
    }

    pub(super) fn known_position(&self) -> Option<Offset> {
        (self.standing == Standing::Known).then_some(self.position)
    }

    /// Whether what was fetched of it may be handed out: Java throws away what came when its position is being checked.
    pub(super) fn is_known(&self) -> bool {
        self.standing == Standing::Known
    }

    /// Whether it may be fetched now.
    pub(super) fn fetchable(&self) -> bool {
        self.standing == Standing::Known && self.granted && !self.awaits_metadata
    }
}

/// The questions about positions that go out together.
#[derive(Default)]
struct Questions {
    committed: Vec<TopicPartition>,
    resets: BTreeMap<NodeId, Vec<(TopicPartition, i32, OffsetAt)>>,
    checks: BTreeMap<NodeId, Vec<(TopicPartition, i32, i32, Offset)>>,
}

impl KafkaConsumer {
    /// Ask for what is missing of the positions.
    pub(super) fn ask_positions(&mut self, now: Now, effects: &mut Effects) {
        let open = |held: &Held| !held.asked && !matches!(held.standing, Standing::Known | Standing::Stuck);
        if self.volatile.offsets_resting || !self.volatile.held.values().any(open) {
            return;
        }
        let questions = self.gather_questions();
        self.ask_committed(now, questions.committed, effects);
        let isolation = self.settings.isolation;
        for (node, partitions) in questions.resets {
            let asked: Vec<TopicPartition> = partitions.iter().map(|(partition, ..)| *partition).collect();
            let request = Request::ListOffsets { isolation, partitions };
            self.ask_leader(now, node, &asked, Purpose::ListOffsets(asked.clone()), request, effects);
        }
        for (node, checks) in questions.checks {
            let asked: Vec<TopicPartition> = checks.iter().map(|check| check.0).collect();
            let purpose = Purpose::Validate(checks.iter().map(|check| (check.0, check.3)).collect());
            let partitions = checks.iter().map(|check| (check.0, check.1, check.2)).collect();
            let request = Request::OffsetForLeaderEpoch { partitions };
            self.ask_leader(now, node, &asked, purpose, request, effects);
        }
    }

    fn gather_questions(&mut self) -> Questions {
        let own = &mut self.volatile;
        let mut questions = Questions::default();
        let mut leaderless = false;
        for (partition, held) in own.held.iter().filter(|(_, held)| !held.asked && !held.awaits_metadata) {
            let leader = own.metadata.leader_node(partition);
            let current = own.metadata.leadership(partition).map_or(-1, |known| known.epoch);
            match (held.standing, leader) {
                (Standing::Unknown, _) => questions.committed.push(partition),
                (Standing::Reset(at), Some(node)) => {
                    questions.resets.entry(node).or_default().push((partition, current, at));
                }
                (Standing::Unchecked, Some(node)) => {
                    let check = (partition, current, held.epoch, held.position);
                    questions.checks.entry(node).or_default().push(check);
                }
                (Standing::Reset(_) | Standing::Unchecked, None) => leaderless = true,
                (Standing::Known | Standing::Stuck, _) => {}
            }
        }
        if leaderless {
            own.metadata.want();
        }
        questions
    }

    fn ask_committed(&mut self, now: Now, partitions: Vec<TopicPartition>, effects: &mut Effects) {
        if partitions.is_empty() {
            return;
        }
        let Some(node) = self.reachable_coordinator(now, effects) else { return };
        // Java's consumer always waits for pending transactional offsets (KIP-447).
        let request =
            Request::OffsetFetch { group: self.group, partitions: partitions.clone(), require_stable: true };
        self.mark_asked(&partitions, true);
        self.volatile.network.ask(now, node, Purpose::OffsetFetch(partitions), request, effects);
    }

    fn ask_leader(
        &mut self,
        now: Now,
        node: NodeId,
        asked: &[TopicPartition],
        purpose: Purpose,
        request: Request,
        effects: &mut Effects,
    ) {
        let own = &mut self.volatile;
        if own.network.ready(node) {
            own.network.ask(now, node, purpose, request, effects);
            self.mark_asked(asked, true);
        } else {
            let topics = own.metadata.topics();
            own.network.connect(now, node, &topics, effects);
        }
    }

    fn mark_asked(&mut self, partitions: &[TopicPartition], asked: bool) {
        for partition in partitions {
            if let Some(held) = self.volatile.held.get_mut(*partition) {
                held.asked = asked;
            }
        }
    }

    /// Questions about positions stay open: ask again after a back-off.
    pub(super) fn positions_failed(&mut self, asked: &[TopicPartition], effects: &mut Effects) {
        self.mark_asked(asked, false);
        let own = &mut self.volatile;
        own.offsets_resting = true;
        let settings = &self.settings;
        let (least, most) = backoff(settings.retry_backoff, settings.retry_backoff_max, own.offsets_failures);
        own.offsets_failures += 1;
        effects.set_timer_between(OFFSETS, least, most);
    }

    /// The committed offsets came.
    pub(super) fn offsets_fetched(
        &mut self,
        asked: &[TopicPartition],
        error: ErrorCode,
        answers: &[(TopicPartition, ErrorCode, Offset, i32)],
        effects: &mut Effects,
    ) {
        self.mark_asked(asked, false);
        if matches!(error, ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable) {
            self.forget_coordinator();
        }
        if error != ErrorCode::None || answers.iter().any(|answer| answer.1 != ErrorCode::None) {
            // Among them UNSTABLE_OFFSET_COMMIT: a transaction's offsets are pending.
            return self.positions_failed(asked, effects);
        }
        self.volatile.offsets_failures = 0;
        for (partition, _, offset, epoch) in answers {
            let Some(held) = self.volatile.held.get_mut(*partition) else { continue };
            if held.standing != Standing::Unknown {
                continue;
            }
            if *offset < 0 {
                self.reset(*partition, Failure::NoOffset(*partition));
                continue;
            }
            held.go_to(*offset, *epoch);
            let known = self.volatile.metadata.leadership(*partition).map_or(-1, |known| known.epoch);
            held.leader_epoch = known;
            held.standing = if *epoch >= 0 { Standing::Unchecked } else { Standing::Known };
            self.volatile.commits.note_epoch(*partition, *offset - 1, *epoch);
        }
    }

    /// Go where the reset policy says; without one the partition stands still.
    pub(super) fn reset(&mut self, partition: TopicPartition, failure: Failure) {
        let own = &mut self.volatile;
        let Some(held) = own.held.get_mut(partition) else { return };
        // What a poll has collected is in its owner's hands.
        own.buffers.drop_uncollected(|other| other == partition);
        held.standing = match self.settings.auto_offset_reset {
            AutoOffsetReset::Earliest => Standing::Reset(OffsetAt::Earliest),
            AutoOffsetReset::Latest => Standing::Reset(OffsetAt::Latest),
            AutoOffsetReset::None => {
                own.failure = own.failure.or(Some(failure));
                Standing::Stuck
            }
        };
    }

    /// The reset policy's offsets came.
    pub(super) fn offsets_listed(
        &mut self,
        asked: &[TopicPartition],
        answers: &[(TopicPartition, ErrorCode, Offset, Option<Time>, i32)],
        effects: &mut Effects,
    ) {
        self.mark_asked(asked, false);
        let mut failed = Vec::new();
        for (partition, error, offset, _, epoch) in answers {
            let Some(held) = self.volatile.held.get_mut(*partition) else { continue };
            if !matches!(held.standing, Standing::Reset(_)) {
                continue;
            }
            if *error == ErrorCode::None && *offset >= 0 {
                held.go_to(*offset, *epoch);
                held.leader_epoch =
                    self.volatile.metadata.leadership(*partition).map_or(-1, |known| known.epoch);
                held.standing = Standing::Known;
            } else {
                failed.push(*partition);
            }
        }
        self.finish_round(failed, effects);
    }

    /// The leader said where epochs end.
    pub(super) fn validated(
        &mut self,
        asked: &[(TopicPartition, Offset)],
        answers: &[(TopicPartition, ErrorCode, i32, Offset)],
        effects: &mut Effects,
    ) {
        let partitions: Vec<TopicPartition> = asked.iter().map(|(partition, _)| *partition).collect();
        self.mark_asked(&partitions, false);
        let mut failed = Vec::new();
        for (partition, error, epoch, end) in answers {
            let position = asked.iter().find(|(other, _)| other == partition).map(|(_, offset)| *offset);
            let Some(held) = self.volatile.held.get_mut(*partition) else { continue };
            if held.standing != Standing::Unchecked || Some(held.position) != position {
                continue;
            }
            match error {
                ErrorCode::None if *end < 0 || *epoch < 0 => {
                    self.reset(*partition, Failure::OutOfRange(*partition, position.unwrap_or(-1)));
                }
                ErrorCode::None => self.take_divergence(*partition, *epoch, *end),
                _ => failed.push(*partition),
            }
        }
        self.finish_round(failed, effects);
    }

    fn finish_round(&mut self, failed: Vec<TopicPartition>, effects: &mut Effects) {
        if failed.is_empty() {
            self.volatile.offsets_failures = 0;
            return;
        }
        self.await_metadata(failed.iter().copied());
        self.positions_failed(&failed, effects);
    }

    /// The reader's last epoch ends there. A position beyond is truncated: with a policy it silently goes on at the
    /// diverging offset, whichever the policy is; without one it stands still (observed row 15).
    pub(super) fn take_divergence(&mut self, partition: TopicPartition, epoch: i32, end: Offset) {
        let own = &mut self.volatile;
        let known = own.metadata.leadership(partition).map_or(-1, |known| known.epoch);
        let Some(held) = own.held.get_mut(partition) else { return };
        held.leader_epoch = known;
        held.standing = Standing::Known;
        if end >= held.position {
            return;
        }
        own.buffers.drop_uncollected(|other| other == partition);
        if self.settings.auto_offset_reset == AutoOffsetReset::None {
            held.standing = Standing::Stuck;
            own.failure = own.failure.or(Some(Failure::Truncated(partition, end)));
        } else {
            held.go_to(end, epoch);
        }
    }

    /// After an election a position with an epoch is checked before the next fetch.
    pub(super) fn validate_after_elections(&mut self) {
        let own = &mut self.volatile;
        for (partition, held) in own.held.iter_mut() {
            let Some(known) = own.metadata.leadership(partition) else { continue };
            if held.standing == Standing::Known && known.epoch > held.leader_epoch {
                held.leader_epoch = known.epoch;
                if held.epoch >= 0 {
                    held.standing = Standing::Unchecked;
                    held.asked = false;
                }
            }
        }
    }
}
