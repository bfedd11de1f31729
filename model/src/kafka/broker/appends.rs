//! Appending as a leader, and what waits until the replicas have it: produce requests with `acks=all`, and the
//! coordinators' own writes.

use super::{Broker, Context, Task};
use crate::kafka::group::Continuation;
use crate::kafka::log::{Entry, Payload};
use crate::kafka::protocol::{ErrorCode, ProducerStamp, Response};
use crate::kafka::stored::Stored;
use crate::machine::RequestId;
use crate::partition_map::PartitionMap;
use crate::record::{NodeId, Offset, TopicPartition};
use crate::small_set::SmallSet;
use crate::units::{Span, Time};
use litemap::LiteMap;
use serde::Serialize;
use std::sync::Arc;

/// Who waits for the high watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) enum Waiter {
    /// A batch of a produce request, by its place.
    Produce(u64, usize),
    /// A coordinator's write.
    Stored(u64),
}

/// All that waits for replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Appends {
    last: u64,
    produces: LiteMap<u64, WaitingProduce>,
    stored: LiteMap<u64, WaitingStored>,
    /// By partition: who waits for which offset. A partition that was written once is written again, and keeps its place.
    by_partition: PartitionMap<SmallSet<(Offset, Waiter)>>,
}

/// How one batch of a produce request went: its partition, error, base offset and log start.
pub(super) type Produced = (TopicPartition, ErrorCode, Offset, Offset);

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct WaitingProduce {
    client: (NodeId, RequestId),
    /// What it counts in the quota.
    cost: u64,
    results: Vec<Produced>,
    /// What the high watermark must reach for each batch that is not decided yet.
    open: LiteMap<usize, Offset>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct WaitingStored {
    partition: TopicPartition,
    required: Offset,
    then: Continuation,
}

impl Broker {
    /// Append one batch to a log that this broker leads. Returns its base offset.
    pub(super) fn append(
        &mut self,
        cx: &mut Context<'_>,
        at: TopicPartition,
        stamp: Option<ProducerStamp>,
        payloads: impl IntoIterator<Item = (Payload, Time)>,
    ) -> Offset {
        let leader_epoch = self.volatile.roles.get(at).map_or(-1, |hosted| hosted.leader_epoch());
        let Some(replica) = self.durable.replicas.get_mut(at) else { return -1 };
        let base = replica.log.end();
        for (place, (payload, timestamp)) in payloads.into_iter().enumerate() {
            let place = place as u32;
            let stamp = stamp.map(|stamp| ProducerStamp {
                base_sequence: super::produce::sequence_at(stamp.base_sequence, place),
                ..stamp
            });
            replica.push(Entry { leader_epoch, timestamp, stamp, place, payload }, cx.time());
        }
        self.note_growth(at, base);
        self.advance_high_watermark(cx, at);
        self.touch(at);
        base
    }

    /// Answer a produce request now, or when the replicas have the batches that are still open.
    pub(super) fn await_replicas(
        &mut self,
        cx: &mut Context<'_>,
        (client, cost): ((NodeId, RequestId), u64),
        results: Vec<Produced>,
        open: LiteMap<usize, Offset>,
        timeout: Span,
    ) {
        if open.is_empty() {
            let throttle = self.charge_produce(cx, client, cost);
            cx.answer(client.0, client.1, Response::Produce { partitions: results, throttle });
            return;
        }
        let appends = &mut self.volatile.appends;
        appends.last += 1;
        let number = appends.last;
        for (place, required) in &open {
            let at = results[*place].0;
            let waiter = Waiter::Produce(number, *place);
            appends.by_partition.or_default(at).insert((*required, waiter));
            self.volatile.touched.insert(at);
        }
        appends.produces.insert(number, WaitingProduce { client, cost, results, open });
        self.volatile.deadlines.add(Task::EndProduce(number), cx.time() + timeout);
    }

    /// Write a coordinator's record and go on with `then` when the replicas have it, or when that has failed.
    pub(crate) fn store(
        &mut self,
        cx: &mut Context<'_>,
        partition: TopicPartition,
        stamp: Option<ProducerStamp>,
        stored: Vec<Stored>,
        then: Continuation,
    ) {
        let payloads = stored.into_iter().map(|stored| Payload::Stored(Arc::new(stored))).collect();
        self.store_payloads(cx, partition, stamp, payloads, then);
    }

    /// Like [`Broker::store`], for anything that a coordinator writes.
    pub(crate) fn store_payloads(
        &mut self,
        cx: &mut Context<'_>,
        partition: TopicPartition,
        stamp: Option<ProducerStamp>,
        payloads: Vec<Payload>,
        then: Continuation,
    ) {
        let enough = match self.led(partition) {
            Err(error) => Err(error),
            Ok((_, leader, _)) if leader.isr.len() < self.min_isr(partition, leader) => {
                Err(ErrorCode::NotEnoughReplicas)
            }
            Ok(_) => Ok(()),
        };
        if let Err(error) = enough {
            self.stored(cx, then, error, -1);
            return;
        }
        let wall = cx.now.wall;
        let count = payloads.len() as Offset;
        let payloads = payloads.into_iter().map(|payload| (payload, wall));
        let required = self.append(cx, partition, stamp, payloads) + count;
        let appends = &mut self.volatile.appends;
        appends.last += 1;
        let number = appends.last;
        appends.by_partition.or_default(partition).insert((required, Waiter::Stored(number)));
        appends.stored.insert(number, WaitingStored { partition, required, then });
        let patience = self.settings.offsets_commit_timeout;
        self.volatile.deadlines.add(Task::EndStored(number), cx.time() + patience);
    }

    /// The high watermark may have moved: answer those who waited for it.
    pub(super) fn settle_appends(&mut self, cx: &mut Context<'_>, at: TopicPartition) {
        let Some(waiting) = self.volatile.appends.by_partition.get_mut(at) else { return };
        let Some(hosted) = self.volatile.roles.get(at) else { return };
        let mut reached = Vec::new();
        while let Some(first) = waiting.first().filter(|first| first.0 <= hosted.high_watermark) {
            reached.push(first.1);
            waiting.pop_first();
        }
        if reached.is_empty() {
            return;
        }
        let enough = self.led(at).is_ok_and(|(_, leader, _)| leader.isr.len() >= self.min_isr(at, leader));
        let error = if enough { ErrorCode::None } else { ErrorCode::NotEnoughReplicasAfterAppend };
        for waiter in reached {
            self.resolve(cx, waiter, error);
        }
    }

    /// Nothing that waits for this partition will be acknowledged any more.
    pub(super) fn fail_appends(&mut self, cx: &mut Context<'_>, at: TopicPartition, error: ErrorCode) {
        for (_, waiter) in self.volatile.appends.by_partition.remove(at).unwrap_or_default().iter() {
            self.resolve(cx, waiter, error);
        }
    }

    fn resolve(&mut self, cx: &mut Context<'_>, waiter: Waiter, error: ErrorCode) {
        match waiter {
            Waiter::Produce(number, place) => {
                let Some(waiting) = self.volatile.appends.produces.get_mut(&number) else { return };
                waiting.open.remove(&place);
                waiting.results[place].1 = error;
                if waiting.open.is_empty() {
                    self.answer_produce(cx, number);
                }
            }
            Waiter::Stored(number) => {
                self.volatile.deadlines.cancel(Task::EndStored(number));
                if let Some(waiting) = self.volatile.appends.stored.remove(&number) {
                    self.stored(cx, waiting.then, error, waiting.required - 1);
                }
            }
        }
    }

    fn answer_produce(&mut self, cx: &mut Context<'_>, number: u64) {
        self.volatile.deadlines.cancel(Task::EndProduce(number));
        if let Some(waiting) = self.volatile.appends.produces.remove(&number) {
            let (to, request) = waiting.client;
            let throttle = self.charge_produce(cx, waiting.client, waiting.cost);
            cx.answer(to, request, Response::Produce { partitions: waiting.results, throttle });
        }
    }

    /// The time of a produce request is over: its records stay in the log (recorded: "Producing", 3).
    pub(super) fn end_produce(&mut self, cx: &mut Context<'_>, number: u64) {
        let Some(waiting) = self.volatile.appends.produces.get_mut(&number) else { return };
        for (place, required) in std::mem::take(&mut waiting.open) {
            waiting.results[place].1 = ErrorCode::RequestTimedOut;
            let at = waiting.results[place].0;
            if let Some(set) = self.volatile.appends.by_partition.get_mut(at) {
                set.remove((required, Waiter::Produce(number, place)));
            }
        }
        self.answer_produce(cx, number);
    }

    pub(super) fn end_stored(&mut self, cx: &mut Context<'_>, number: u64) {
        let Some(waiting) = self.volatile.appends.stored.remove(&number) else { return };
        if let Some(set) = self.volatile.appends.by_partition.get_mut(waiting.partition) {
            set.remove((waiting.required, Waiter::Stored(number)));
        }
        self.stored(cx, waiting.then, ErrorCode::RequestTimedOut, waiting.required - 1);
    }
}
