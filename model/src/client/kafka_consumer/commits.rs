//! Committing offsets: one request at a time with the newest offset of each partition, so that the last one issued
//! wins; retried while only the coordinator is at fault, dropped with the membership.

use super::{COMMIT, KafkaConsumer, Purpose};
use crate::client::kafka_network::backoff;
use crate::kafka::protocol::{CommitPartition, ErrorCode, MemberId, Request};
use crate::machine::{Effects, Now};
use crate::record::{NodeId, Offset, TopicPartition};
use crate::units::Time;
use litemap::LiteMap;
use serde::Serialize;
use std::collections::VecDeque;

/// The commits that are not answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Commits {
    waiting: LiteMap<TopicPartition, CommitPartition>,
    sent: LiteMap<TopicPartition, CommitPartition>,
    /// Since when no commit was answered.
    since: Option<Time>,
    /// The back-off before the next attempt runs.
    pub(super) resting: bool,
    failures: u32,
    /// Where each leader epoch begins among the records handed out: a committed offset carries the epoch of the
    /// record before it.
    epochs: LiteMap<TopicPartition, Vec<(Offset, i32)>>,
    /// The partitions whose next commit the owner wants to know of: what it was issued with, and its standing.
    watched: LiteMap<TopicPartition, Watched>,
    /// Commits that were acknowledged, if the owner wants to know of them.
    pub(super) acknowledged: Option<VecDeque<(TopicPartition, Offset)>>,
}

/// How the commit of a watched partition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Watched {
    /// What is in flight was issued before: its answer says nothing.
    Waiting,
    Sent,
    Acknowledged,
}

impl Commits {
    pub(super) fn unanswered(&self) -> bool {
        !self.waiting.is_empty() || !self.sent.is_empty()
    }

    /// Whether some are to be sent, and only lack a connection.
    pub(super) fn to_be_sent(&self) -> bool {
        !self.waiting.is_empty() && self.sent.is_empty() && !self.resting
    }

    /// The membership has ended: nothing of this can be committed any more.
    pub(super) fn drop_all(&mut self) {
        self.waiting.clear();
        self.sent.clear();
        self.since = None;
    }

    /// Remember the answer to the next commit of that partition.
    pub(super) fn watch(&mut self, partition: TopicPartition) {
        self.watched.insert(partition, Watched::Waiting);
    }

    pub(super) fn watched_is_acknowledged(&self, partition: TopicPartition) -> bool {
        self.watched.get(&partition) == Some(&Watched::Acknowledged)
    }

    /// What waits is sent.
    fn watch_sent(&mut self) {
        for (partition, watched) in self.watched.iter_mut() {
            if *watched == Watched::Waiting && self.sent.contains_key(partition) {
                *watched = Watched::Sent;
            }
        }
    }

    /// What was sent is acknowledged.
    fn watch_acknowledged(&mut self) {
        for (partition, watched) in self.watched.iter_mut() {
            if *watched == Watched::Sent && self.sent.contains_key(partition) {
                *watched = Watched::Acknowledged;
            }
        }
    }

    /// A record of that epoch stands at that offset.
    pub(super) fn note_epoch(&mut self, partition: TopicPartition, offset: Offset, epoch: i32) {
        let epochs = self.epochs.entry(partition).or_default();
        if epochs.last().is_none_or(|(_, last)| *last != epoch) {
            epochs.push((offset, epoch));
        }
    }

    /// Forget the epochs of partitions that are not kept over a rebalance.
    pub(super) fn forget_epochs(&mut self, kept: impl Fn(&TopicPartition) -> bool) {
        self.epochs.retain(|partition, _| kept(partition));
    }

    fn epoch_before(&self, partition: TopicPartition, offset: Offset) -> i32 {
        let epochs = self.epochs.get(&partition).map_or(&[][..], Vec::as_slice);
        epochs.iter().rev().find(|(start, _)| *start < offset).map_or(-1, |(_, epoch)| *epoch)
    }
}

impl KafkaConsumer {
    /// The owner commits. Outside a generation that stands, Java fails at once and locally (observed rows 11, 12).
    pub(super) fn add_commits(
        &mut self,
        now: Now,
        offsets: &[(TopicPartition, Offset)],
        effects: &mut Effects,
    ) {
        if !self.volatile.membership.may_commit() {
            return;
        }
        let (commits, held) = (&mut self.volatile.commits, &self.volatile.held);
        for (partition, offset) in offsets {
            let offset = held.get(*partition).map_or(*offset, |held| held.to_commit(*offset));
            let leader_epoch = commits.epoch_before(*partition, offset);
            let commit = CommitPartition { partition: *partition, offset, leader_epoch, metadata_bytes: 0 };
            commits.waiting.insert(*partition, commit);
        }
        self.volatile.settled = false;
        let commits = &mut self.volatile.commits;
        if commits.unanswered() {
            commits.since.get_or_insert(now.elapsed);
        }
        self.send_commits(now, effects);
    }

    /// Send what waits, unless a commit is unanswered.
    pub(super) fn send_commits(&mut self, now: Now, effects: &mut Effects) {
        let commits = &mut self.volatile.commits;
        if !commits.to_be_sent() {
            return;
        }
        let given_up =
            commits.since.is_some_and(|since| now.elapsed.since(since) > self.settings.request_timeout);
        if given_up {
            return commits.drop_all();
        }
        let Some(node) = self.reachable_coordinator(now, effects) else { return };
        let (request, purpose) = self.commit_request();
        self.volatile.network.ask(now, node, purpose, request, effects);
    }

    fn commit_request(&mut self) -> (Request, Purpose) {
        let own = &mut self.volatile;
        let (member, generation): (MemberId, i32) = (own.membership.member, own.membership.generation);
        own.commits.sent = std::mem::take(&mut own.commits.waiting);
        own.commits.watch_sent();
        let request = Request::OffsetCommit {
            group: self.group,
            generation,
            member,
            instance: self.instance,
            offsets: own.commits.sent.values().copied().collect(),
        };
        (request, Purpose::Commit(member, generation))
    }

    /// On close: what waits is sent, and its answer is not awaited.
    pub(super) fn tell_commits(&mut self, effects: &mut Effects) {
        let coordinator: Option<NodeId> = self.volatile.coordinator;
        if let (Some(node), false) = (coordinator, self.volatile.commits.waiting.is_empty()) {
            let (request, _) = self.commit_request();
            self.volatile.network.tell(node, request, effects);
        }
        self.volatile.commits.drop_all();
    }

    /// The attempt failed, the offsets not: try again after a back-off. Newer ones are not overwritten.
    pub(super) fn retry_commit(&mut self, effects: &mut Effects) {
        let commits = &mut self.volatile.commits;
        for (partition, commit) in std::mem::take(&mut commits.sent) {
            commits.waiting.entry(partition).or_insert(commit);
        }
        commits.resting = true;
        let settings = &self.settings;
        let (least, most) = backoff(settings.retry_backoff, settings.retry_backoff_max, commits.failures);
        commits.failures += 1;
        effects.set_timer_between(COMMIT, least, most);
    }

    /// A commit was answered.
    pub(super) fn commit_answered(
        &mut self,
        now: Now,
        sent: (MemberId, i32),
        answers: &[(TopicPartition, ErrorCode)],
        effects: &mut Effects,
    ) {
        let membership = &self.volatile.membership;
        if sent != (membership.member, membership.generation) {
            return;
        }
        let error = answers.iter().map(|answer| answer.1).find(|error| *error != ErrorCode::None);
        let commits = &mut self.volatile.commits;
        match error {
            None => {
                commits.watch_acknowledged();
                let sent = std::mem::take(&mut commits.sent);
                if let Some(acknowledged) = &mut commits.acknowledged {
                    acknowledged.extend(sent.values().map(|commit| (commit.partition, commit.offset)));
                }
                commits.failures = 0;
                commits.since = (!commits.waiting.is_empty()).then_some(now.elapsed);
            }
            Some(
                ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable | ErrorCode::RequestTimedOut,
            ) => {
                self.forget_coordinator();
                self.retry_commit(effects);
            }
            Some(ErrorCode::CoordinatorLoadInProgress | ErrorCode::UnknownTopicOrPartition) => {
                self.retry_commit(effects);
            }
            Some(error) => self.commit_refused(error),
        }
    }

    fn commit_refused(&mut self, error: ErrorCode) {
        self.volatile.commits.drop_all();
        if error == ErrorCode::RebalanceInProgress {
            self.rebalance();
        } else {
            self.membership_ended(error);
        }
    }
}
