//! Producer ids for idempotent producers: from a block that the controller gave this broker (KIP-730). Each request
//! gets a new one (recorded: "Producing", 9).

use super::{Broker, Context, Task};
use crate::kafka::internal::Internal;
use crate::kafka::protocol::{ErrorCode, ProducerId, Response};
use crate::machine::RequestId;
use crate::record::NodeId;
use serde::Serialize;

/// The ids that are left of the broker's block, and who waits for another block.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct ProducerIds {
    next: u64,
    end: u64,
    waiting: Vec<(NodeId, RequestId)>,
}

impl Broker {
    /// The next producer id of this broker's block, if there is one left.
    pub(crate) fn take_producer_id(&mut self) -> Option<ProducerId> {
        let ids = &mut self.volatile.producer_ids;
        (ids.next < ids.end).then(|| {
            ids.next += 1;
            ProducerId(ids.next - 1)
        })
    }

    pub(super) fn serve_producer_id(&mut self, cx: &mut Context<'_>, from: NodeId, id: RequestId) {
        match self.take_producer_id() {
            Some(producer) => {
                let producer = Some((producer, 0));
                cx.answer(from, id, Response::InitProducerId { error: ErrorCode::None, producer });
            }
            None => {
                self.volatile.producer_ids.waiting.push((from, id));
                self.ask_for_producer_ids(cx);
            }
        }
    }

    /// Ask the controller for a block, unless that is under way.
    pub(crate) fn ask_for_producer_ids(&mut self, cx: &mut Context<'_>) {
        if !self.volatile.deadlines.is_set(Task::RepeatProducerIds) {
            self.repeat_producer_ids(cx);
        }
    }

    pub(super) fn repeat_producer_ids(&mut self, cx: &mut Context<'_>) {
        cx.effects.send(self.wiring.controller, Internal::AllocateProducerIds { broker: self.id });
        let again = cx.time() + self.settings.broker_heartbeat;
        self.volatile.deadlines.set(Task::RepeatProducerIds, again);
    }

    pub(super) fn take_producer_ids(&mut self, cx: &mut Context<'_>, first: u64, count: u64) {
        if !self.volatile.deadlines.is_set(Task::RepeatProducerIds) {
            return;
        }
        self.volatile.deadlines.cancel(Task::RepeatProducerIds);
        self.volatile.producer_ids.next = first;
        self.volatile.producer_ids.end = first + count;
        for (from, id) in std::mem::take(&mut self.volatile.producer_ids.waiting) {
            self.serve_producer_id(cx, from, id);
        }
        self.name_transactions(cx);
    }

    /// Forget producers that have been silent for long.
    pub(super) fn expire_producers(&mut self, cx: &mut Context<'_>) {
        let after = self.settings.producer_id_expiration;
        for (_, replica) in self.durable.replicas.iter_mut() {
            replica.producers.expire(cx.now.elapsed, after);
        }
        let again = cx.time() + self.settings.producer_id_expiration_check;
        self.volatile.deadlines.set(Task::ExpireProducers, again);
    }
}
