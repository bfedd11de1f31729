//! What administrators ask of a coordinator: how a group stands, and to delete it or some of its offsets.

use super::State;
use crate::kafka::admin::{AdminResponse, GroupState};
use crate::kafka::broker::{Broker, Context};
use crate::kafka::protocol::{ErrorCode, ProtocolType};
use crate::record::{GroupId, TopicPartition};

impl Broker {
    pub(crate) fn describe_group(&self, at: GroupId) -> AdminResponse {
        let error = self.check_coordinator(at).err().unwrap_or_default();
        let dead = AdminResponse::DescribeGroup {
            error,
            state: GroupState::Dead,
            protocol: None,
            members: Vec::new(),
        };
        let Some(group) = self.group(at) else { return dead };
        let is_stable = group.state == State::Stable;
        let is_told = is_stable || self.settings.version.shows_last_assignments();
        let members = group
            .members
            .iter()
            .map(|(id, member)| {
                let assignment = if is_told { member.assignment.clone() } else { Default::default() };
                (*id, member.instance, assignment)
            })
            .collect();
        let state = match group.state {
            State::Empty => GroupState::Empty,
            State::PreparingRebalance => GroupState::PreparingRebalance,
            State::CompletingRebalance => GroupState::CompletingRebalance,
            State::Stable => GroupState::Stable,
        };
        AdminResponse::DescribeGroup { error, state, protocol: group.protocol.filter(|_| is_stable), members }
    }

    /// Only an empty group can be deleted; its offsets and the ids that it promised go with it.
    pub(crate) fn delete_group(&mut self, cx: &mut Context<'_>, at: GroupId) -> ErrorCode {
        if let Err(error) = self.check_coordinator(at) {
            return error;
        }
        let Some(group) = self.group_mut(at) else { return ErrorCode::GroupIdNotFound };
        if group.state != State::Empty {
            return ErrorCode::NonEmptyGroup;
        }
        group.undecided.clear();
        let partitions = group.offsets.keys().copied().collect();
        self.forget_offsets(cx, at, partitions);
        ErrorCode::None
    }

    pub(crate) fn delete_offset(
        &mut self,
        cx: &mut Context<'_>,
        at: GroupId,
        partition: TopicPartition,
    ) -> AdminResponse {
        let failed = |error| AdminResponse::DeleteOffset { error, partition: None };
        if let Err(error) = self.check_coordinator(at) {
            return failed(error);
        }
        let exists = self.durable.image.partitions.contains(partition);
        let Some(group) = self.group_mut(at) else { return failed(ErrorCode::GroupIdNotFound) };
        // Only a consumer's subscriptions can be read.
        if group.state != State::Empty && group.protocol_type != ProtocolType::Consumer {
            return failed(ErrorCode::NonEmptyGroup);
        }
        let error = if !exists {
            ErrorCode::UnknownTopicOrPartition
        } else if group.subscribed.contains(&partition.topic) {
            ErrorCode::GroupSubscribedToTopic
        } else {
            // What an open transaction would commit is deleted as well.
            for (_, offsets) in group.undecided.iter_mut() {
                offsets.remove(&partition);
            }
            if group.offsets.remove(&partition).is_some() {
                self.store_forgotten(cx, at, partition);
            }
            ErrorCode::None
        };
        AdminResponse::DeleteOffset { error: ErrorCode::None, partition: Some(error) }
    }
}
