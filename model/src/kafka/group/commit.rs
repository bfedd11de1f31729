//! Committing offsets, with and without a member, and reading them.

use super::{Caller, Committed, Continuation, State};
use crate::kafka::broker::{Broker, Context};
use crate::kafka::protocol::{
    CommitPartition, ErrorCode, GroupInstanceId, MemberId, ProducerId, ProducerStamp, Response,
    TransactionalId,
};
use crate::kafka::stored::Stored;
use crate::kafka::transaction::Unverified;
use crate::record::{GroupId, Offset, TopicPartition};

/// How a commit went, a partition each.
pub(super) type CommitResults = Vec<(TopicPartition, ErrorCode)>;

impl Broker {
    pub(super) fn serve_commit(
        &mut self,
        cx: &mut Context<'_>,
        caller: Caller,
        at: GroupId,
        member: (i32, MemberId, Option<GroupInstanceId>),
        offsets: Vec<CommitPartition>,
    ) {
        let (offsets, mut results) = self.judge_offsets(offsets);
        if offsets.is_empty() {
            cx.answer(caller.0, caller.1, Response::OffsetCommit { partitions: results });
            return;
        }
        if let Err(error) = self.may_commit(cx, at, member) {
            for (_, result) in results.iter_mut().filter(|(_, result)| *result == ErrorCode::None) {
                *result = error;
            }
            cx.answer(caller.0, caller.1, Response::OffsetCommit { partitions: results });
            return;
        }
        let most = self.settings.offset_metadata_max.0;
        let too_long = |offset: &CommitPartition| u64::from(offset.metadata_bytes) > most;
        for (partition, result) in &mut results {
            if offsets.iter().any(|offset| offset.partition == *partition && too_long(offset)) {
                *result = ErrorCode::OffsetMetadataTooLarge;
            }
        }
        let offsets: Vec<CommitPartition> = offsets.into_iter().filter(|offset| !too_long(offset)).collect();
        if offsets.is_empty() {
            cx.answer(caller.0, caller.1, Response::OffsetCommit { partitions: results });
            return;
        }
        let stored = Stored::Offsets { group: at, offsets: offsets.clone(), at: cx.time() };
        let then =
            Continuation::Commit { caller, group: at, offsets, results, at: cx.time(), producer: None };
        self.store(cx, self.group_partition(at), None, vec![stored], then);
    }

    /// Partitions that do not exist are refused before the coordinator sees the commit (recorded: "Groups", 14).
    pub(super) fn judge_offsets(
        &self,
        offsets: Vec<CommitPartition>,
    ) -> (Vec<CommitPartition>, CommitResults) {
        let partitions = &self.durable.image.partitions;
        let results = offsets
            .iter()
            .map(|offset| {
                let exists = partitions.contains(offset.partition);
                let error = if exists { ErrorCode::None } else { ErrorCode::UnknownTopicOrPartition };
                (offset.partition, error)
            })
            .collect();
        let known = offsets.into_iter().filter(|offset| partitions.contains(offset.partition)).collect();
        (known, results)
    }

    /// Whether a commit is taken in the group's state (recorded: "Groups", 1 and 2). One that is keeps the member's
    /// session alive.
    fn may_commit(
        &mut self,
        cx: &mut Context<'_>,
        at: GroupId,
        (generation, id, instance): (i32, MemberId, Option<GroupInstanceId>),
    ) -> Result<(), ErrorCode> {
        self.check_coordinator(at)?;
        let Some(group) = self.group(at) else {
            if generation >= 0 {
                return Err(ErrorCode::IllegalGeneration);
            }
            self.volatile.groups.by_id.entry(at).or_default();
            return Ok(());
        };
        if generation < 0 && group.state == State::Empty {
            return Ok(());
        }
        group.check_member(id, instance)?;
        if generation != group.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        match group.state {
            State::CompletingRebalance => Err(ErrorCode::RebalanceInProgress),
            State::Empty => Ok(()),
            State::PreparingRebalance | State::Stable => {
                self.renew_session(cx, at, id);
                Ok(())
            }
        }
    }

    /// A commit inside a transaction: the coordinator is asked first whether the group was added to it.
    pub(super) fn serve_transactional_commit(
        &mut self,
        cx: &mut Context<'_>,
        caller: Caller,
        (transaction, producer): (TransactionalId, (ProducerId, i16)),
        group: GroupId,
        member: (i32, MemberId),
        offsets: Vec<CommitPartition>,
    ) {
        let at = self.group_partition(group);
        if self.has_open_transaction(at, producer.0, producer.1) {
            self.commit_verified(cx, caller, group, member, producer, offsets, None);
            return;
        }
        let request = Unverified::Commit { caller, group, member, producer, offsets };
        self.verify(cx, transaction, producer, vec![at], request);
    }

    #[allow(clippy::too_many_arguments, reason = "it is the request, taken apart")]
    pub(crate) fn commit_verified(
        &mut self,
        cx: &mut Context<'_>,
        caller: Caller,
        at: GroupId,
        member: (i32, MemberId),
        (producer, epoch): (ProducerId, i16),
        offsets: Vec<CommitPartition>,
        refused: Option<ErrorCode>,
    ) {
        let (offsets, mut results) = self.judge_offsets(offsets);
        let checked = match refused {
            Some(ErrorCode::ProducerFenced) => Err(ErrorCode::InvalidProducerEpoch),
            Some(error) => Err(error),
            None => self.may_commit_in_transaction(at, member),
        };
        if checked.is_err() || offsets.is_empty() {
            let error = checked.err().unwrap_or_default();
            for (_, result) in results.iter_mut().filter(|(_, result)| *result == ErrorCode::None) {
                *result = error;
            }
            cx.answer(caller.0, caller.1, Response::TxnOffsetCommit { partitions: results });
            return;
        }
        let now = cx.time();
        let stamp = ProducerStamp { id: producer, epoch, base_sequence: -1, transactional: true };
        let stored = Stored::Offsets { group: at, offsets: offsets.clone(), at: now };
        // It is undecided from the moment that it is in the log.
        let then =
            Continuation::Commit { caller, group: at, offsets, results, at: now, producer: Some(producer) };
        self.store(cx, self.group_partition(at), Some(stamp), vec![stored], then);
    }

    /// A commit inside a transaction is allowed in states where a plain one is not (recorded: "Transactions", 13).
    fn may_commit_in_transaction(
        &mut self,
        at: GroupId,
        (generation, id): (i32, MemberId),
    ) -> Result<(), ErrorCode> {
        self.check_coordinator(at)?;
        let group = self.volatile.groups.by_id.entry(at).or_default();
        if generation < 0 && (group.state == State::Empty || id == MemberId::NONE) {
            return Ok(());
        }
        group.check_member(id, None)?;
        if generation == group.generation { Ok(()) } else { Err(ErrorCode::IllegalGeneration) }
    }

    /// A commit is on the replicas, or could not be put there.
    pub(super) fn commit_stored(
        &mut self,
        cx: &mut Context<'_>,
        then: Continuation,
        error: ErrorCode,
        place: Offset,
    ) {
        let Continuation::Commit { caller, group, offsets, mut results, at, producer } = then else { return };
        let error = match error {
            ErrorCode::UnknownTopicOrPartition
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::NotEnoughReplicasAfterAppend => ErrorCode::CoordinatorNotAvailable,
            ErrorCode::NotLeaderOrFollower => ErrorCode::NotCoordinator,
            other => other,
        };
        for (_, result) in results.iter_mut().filter(|(_, result)| *result == ErrorCode::None) {
            *result = error;
        }
        if let (ErrorCode::None, Some(group)) = (error, self.group_mut(group)) {
            for commit in offsets {
                let committed =
                    Committed { offset: commit.offset, leader_epoch: commit.leader_epoch, at, place };
                group.take_commit(producer, commit.partition, committed);
            }
        }
        let answer = match producer {
            None => Response::OffsetCommit { partitions: results },
            Some(_) => Response::TxnOffsetCommit { partitions: results },
        };
        cx.answer(caller.0, caller.1, answer);
    }

    /// What a group has committed. Anyone may ask in any state; what was never committed is -1 without an error.
    pub(super) fn committed_offsets(
        &self,
        at: GroupId,
        partitions: &[TopicPartition],
        require_stable: bool,
    ) -> Response {
        if let Err(error) = self.check_coordinator(at) {
            return Response::OffsetFetch { error, partitions: Vec::new() };
        }
        let Some(group) = self.group(at) else {
            let partitions = partitions.iter().map(|at| (*at, ErrorCode::None, -1, -1)).collect();
            return Response::OffsetFetch { error: ErrorCode::None, partitions };
        };
        let all: Vec<TopicPartition>;
        let wanted = if partitions.is_empty() {
            all = group.offsets.keys().copied().collect();
            &all
        } else {
            partitions
        };
        let found = wanted
            .iter()
            .map(|partition| {
                let undecided = group.undecided.values().any(|offsets| offsets.contains_key(partition));
                if require_stable && undecided {
                    return (*partition, ErrorCode::UnstableOffsetCommit, -1, -1);
                }
                let committed = group.offsets.get(partition);
                let (offset, epoch) =
                    committed.map_or((-1, -1), |committed| (committed.offset, committed.leader_epoch));
                (*partition, ErrorCode::None, offset, epoch)
            })
            .collect();
        Response::OffsetFetch { error: ErrorCode::None, partitions: found }
    }
}
