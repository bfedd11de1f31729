//! Where the atomic mode keeps its positions: as the mirror's group's offsets under a topic of its own in the target, which has no
//! records and a partition for each of the source's. The target takes an offset for a partition that it has and for no other, and
//! the source may have more than the topic that is written: a topic of the mirror's own has as many as it needs, as Connect's
//! topic of offsets does not depend on what is copied. Where the source was widened since, the topic is widened behind it by
//! whoever finds a partition missing.
//!
//! Left out: the topic's records, which in Connect are the positions, compacted and read from the start by each worker.

use super::conversation::{Conversation, Party, Switchboard, Talk};
use crate::kafka::admin::{AdminRequest, AdminResponse};
use crate::kafka::protocol::{ErrorCode, Request, Response};
use crate::kafka::wiring::FIRST_OF_PROGRAMS;
use crate::machine::{Effects, RequestId};
use crate::record::{NodeId, TopicId, TopicPartition};
use crate::units::Time;
use serde::Serialize;
use std::collections::BTreeMap;

/// The topic of the target under which the positions in a source topic are committed.
pub fn positions_topic(source: TopicId) -> TopicId {
    TopicId(FIRST_OF_PROGRAMS.0 + source.0)
}

/// The partition under which the position in a source partition is committed.
pub(super) fn position_of(source: TopicPartition) -> TopicPartition {
    TopicPartition { topic: positions_topic(source.topic), partition: source.partition }
}

/// Partitions that the positions' topics lack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Positions {
    /// Of such a topic, how many partitions it must have.
    lacking: BTreeMap<TopicId, u16>,
    conversation: Conversation,
}

impl Positions {
    /// The target does not know that partition of a positions' topic, or has not heard of it yet.
    pub(super) fn lack(&mut self, now: Time, partition: TopicPartition) {
        let count = self.lacking.entry(partition.topic).or_default();
        *count = (*count).max(partition.partition + 1);
        self.conversation.wish(now);
    }

    /// When they need attention next.
    pub(super) fn wakes_at(&self) -> Time {
        self.conversation.wakes_at()
    }
}

impl Switchboard {
    /// Have any broker widen what is too narrow.
    pub(super) fn ask_positions(&mut self, now: Time, effects: &mut Effects) {
        let Some((topic, count)) = self.positions.lacking.first_key_value() else { return };
        let request = AdminRequest::CreatePartitions { topic: *topic, count: *count, replicas: None };
        if let Some(node) = self.positions.conversation.overdue(now) {
            self.forget(node);
            self.positions.conversation.talk = Talk::Due(now);
        }
        if self.positions.conversation.is_due(now) {
            let mut conversation = self.positions.conversation.clone();
            self.ask(now, Party::Positions, &mut conversation, (None, Request::Admin(request)), effects);
            self.positions.conversation = conversation;
        }
    }

    /// The controller answered. INVALID_PARTITIONS says that another worker, or an earlier try whose answer was lost, has
    /// made the partitions (recorded: partitions-added).
    pub(super) fn positions_answered(&mut self, now: Time, id: RequestId, response: &Response) {
        let Response::Admin(AdminResponse::Done { error }) = response else { return };
        if !self.positions.conversation.awaits(id) {
            return;
        }
        if matches!(error, ErrorCode::None | ErrorCode::InvalidPartitions) {
            self.positions.lacking.pop_first();
            self.positions.conversation.settle();
            if !self.positions.lacking.is_empty() {
                self.positions.conversation.wish(now);
            }
        } else {
            self.positions.conversation.ask_again(now, &self.settings);
        }
    }

    /// A connection broke.
    pub(super) fn positions_disconnected(&mut self, now: Time, node: NodeId) {
        if matches!(self.positions.conversation.talk, Talk::Asked { to, .. } if to == node) {
            self.positions.conversation.ask_again(now, &self.settings);
        }
    }
}
