//! Administrators' requests at a broker: some it passes on to the controller, some it answers itself.

use super::{Broker, Context, Task};
use crate::kafka::admin::{AdminRequest, AdminResponse};
use crate::kafka::internal::Internal;
use crate::kafka::protocol::{ErrorCode, Response};
use crate::machine::RequestId;
use crate::record::{NodeId, Offset, TopicPartition};
use crate::units::Span;
use serde::Serialize;
use std::collections::BTreeMap;

/// An administrator waits for the controller for so long.
const PATIENCE: Span = Span::secs(10);

/// Administrators' requests that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct AdminRequests {
    last: u64,
    forwarded: BTreeMap<u64, (NodeId, RequestId)>,
    deletions: BTreeMap<u64, Deletion>,
}

/// A deletion of records that waits for the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Deletion {
    caller: (NodeId, RequestId),
    partition: TopicPartition,
    before: Offset,
}

impl Broker {
    pub(super) fn serve_admin(
        &mut self,
        cx: &mut Context<'_>,
        caller: (NodeId, RequestId),
        request: AdminRequest,
    ) {
        let answer = match request {
            AdminRequest::DeleteRecords { partition, before, timeout } => {
                self.serve_deletion(cx, caller, partition, before, timeout);
                return;
            }
            AdminRequest::DescribeProducers { partition } => self.describe_producers(partition),
            AdminRequest::DescribeGroup { group } => self.describe_group(group),
            AdminRequest::DeleteGroup { group } => {
                AdminResponse::Done { error: self.delete_group(cx, group) }
            }
            AdminRequest::DeleteOffset { group, partition } => self.delete_offset(cx, group, partition),
            request => {
                let waiting = &mut self.volatile.admin;
                waiting.last += 1;
                let number = waiting.last;
                waiting.forwarded.insert(number, caller);
                self.volatile.deadlines.set(Task::EndForwarded(number), cx.time() + PATIENCE);
                cx.effects.send(self.wiring.controller, Internal::Forwarded { number, request });
                return;
            }
        };
        cx.answer(caller.0, caller.1, Response::Admin(answer));
    }

    pub(super) fn forwarded_answered(&mut self, cx: &mut Context<'_>, number: u64, error: ErrorCode) {
        self.volatile.deadlines.cancel(Task::EndForwarded(number));
        if let Some((from, id)) = self.volatile.admin.forwarded.remove(&number) {
            cx.answer(from, id, Response::Admin(AdminResponse::Done { error }));
        }
    }

    /// Any replica tells what it knows of producers.
    fn describe_producers(&self, at: TopicPartition) -> AdminResponse {
        if !self.volatile.roles.contains(at) {
            return AdminResponse::DescribeProducers { error: self.not_hosted(at), producers: Vec::new() };
        }
        let known = self.durable.replicas.get(at).into_iter().flat_map(|replica| replica.producers.iter());
        let producers = known
            .map(|(id, state)| {
                (*id, state.epoch, state.last_sequence(), state.transaction_start.unwrap_or(-1))
            })
            .collect();
        AdminResponse::DescribeProducers { error: ErrorCode::None, producers }
    }

    /// Move the log's start ahead; answered when every live replica has done so too.
    fn serve_deletion(
        &mut self,
        cx: &mut Context<'_>,
        caller: (NodeId, RequestId),
        partition: TopicPartition,
        before: Offset,
        timeout: Span,
    ) {
        let checked = self.led(partition).and_then(|(hosted, _, _)| {
            let before = if before == -1 { hosted.high_watermark } else { before };
            let in_range = (0..=hosted.high_watermark).contains(&before);
            if in_range { Ok(before) } else { Err(ErrorCode::OffsetOutOfRange) }
        });
        match checked {
            Err(error) => {
                let answer = AdminResponse::DeleteRecords { error, low_watermark: -1 };
                cx.answer(caller.0, caller.1, Response::Admin(answer));
            }
            Ok(before) => {
                if let Some(replica) = self.durable.replicas.get_mut(partition) {
                    replica.log.advance_start(before);
                }
                let waiting = &mut self.volatile.admin;
                waiting.last += 1;
                let number = waiting.last;
                waiting.deletions.insert(number, Deletion { caller, partition, before });
                self.volatile.deadlines.set(Task::EndDeletion(number), cx.time() + timeout);
                self.touch(partition);
            }
        }
    }

    /// The least log start of the live replicas, as far as this leader knows them.
    fn low_watermark(&self, at: TopicPartition) -> Result<Offset, ErrorCode> {
        let (_, leader, replica) = self.led(at)?;
        let followers = leader
            .followers
            .iter()
            .filter(|(id, _)| self.durable.image.is_alive(**id))
            .map(|(_, follower)| follower.log_start);
        Ok(followers.fold(replica.log.start(), Offset::min))
    }

    pub(super) fn settle_deletions(&mut self, cx: &mut Context<'_>, at: TopicPartition) {
        if self.volatile.admin.deletions.is_empty() {
            return;
        }
        let low = self.low_watermark(at);
        let done: Vec<u64> = self
            .volatile
            .admin
            .deletions
            .iter()
            .filter(|(_, deletion)| deletion.partition == at && !low.is_ok_and(|low| low < deletion.before))
            .map(|(number, _)| *number)
            .collect();
        for number in done {
            self.answer_deletion(cx, number, ErrorCode::None);
        }
    }

    pub(super) fn end_deletion(&mut self, cx: &mut Context<'_>, number: u64) {
        self.answer_deletion(cx, number, ErrorCode::RequestTimedOut);
    }

    fn answer_deletion(&mut self, cx: &mut Context<'_>, number: u64, error: ErrorCode) {
        self.volatile.deadlines.cancel(Task::EndDeletion(number));
        let Some(deletion) = self.volatile.admin.deletions.remove(&number) else { return };
        let answer = match self.low_watermark(deletion.partition) {
            Ok(low_watermark) => AdminResponse::DeleteRecords { error, low_watermark },
            Err(error) => AdminResponse::DeleteRecords { error, low_watermark: -1 },
        };
        cx.answer(deletion.caller.0, deletion.caller.1, Response::Admin(answer));
    }
}
