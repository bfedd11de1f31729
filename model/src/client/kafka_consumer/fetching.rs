//! Reading ahead: one long poll a broker over the partitions without buffered records, and handing the records out.

use super::membership::Stage;
use super::{Failure, KafkaConsumer, Purpose};
use crate::client::Received;
use crate::kafka::protocol::{
    Body, ErrorCode, FetchPartition, FetchedPartition, FetchedRecord, Isolation, ProducerId, Request,
};
use crate::machine::{Effects, Now};
use crate::record::{NodeId, Offset, Record, TopicPartition};
use crate::small_set::SmallSet;
use litemap::LiteMap;
use serde::Serialize;
use std::collections::{BTreeSet, VecDeque};

/// A record that waits to be handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Buffered {
    offset: Offset,
    epoch: i32,
    record: Record,
}

/// A fetch's records of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Buffer {
    records: VecDeque<Buffered>,
    /// The offset after all that was fetched, markers and aborted records included.
    end: Offset,
    /// The leader epoch of what stands before it.
    end_epoch: i32,
}

/// The records that were fetched and not handed out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Buffers {
    partitions: LiteMap<TopicPartition, Buffer>,
    /// In the order in which the fetches came; the first is drained before the second, as in Java.
    order: VecDeque<TopicPartition>,
    /// What is left of the owner's last poll.
    poll_left: u32,
}

impl Buffers {
    pub(super) fn drop_partition(&mut self, partition: TopicPartition) {
        self.partitions.remove(&partition);
        self.order.retain(|other| *other != partition);
    }

    /// The owner has not been handed all records of its last poll.
    pub(super) fn in_poll(&self) -> bool {
        self.poll_left > 0 && !self.order.is_empty()
    }

    /// Whether nothing is left, of the last poll or for the next.
    pub(super) fn are_empty(&self) -> bool {
        self.poll_left == 0 && self.order.is_empty()
    }

    /// The owner's poll is over, whatever is left of it.
    pub(super) fn end_poll(&mut self) {
        self.poll_left = 0;
    }

    fn add(&mut self, partition: TopicPartition, buffer: Buffer) {
        self.partitions.insert(partition, buffer);
        self.order.push_back(partition);
    }

    /// The next record of that partition, and where its position is then, with the leader epoch before that.
    fn pop(&mut self, partition: TopicPartition) -> Option<(Buffered, Offset, i32)> {
        let buffer = self.partitions.get_mut(&partition)?;
        let next = buffer.records.pop_front()?;
        self.poll_left = self.poll_left.saturating_sub(1);
        if !buffer.records.is_empty() {
            return Some((next, next.offset + 1, next.epoch));
        }
        let (end, end_epoch) = (buffer.end, buffer.end_epoch);
        self.drop_partition(partition);
        Some((next, end, end_epoch))
    }
}

/// The application's records, without markers, and for committed readers without aborted ones.
fn visible(fetched: &FetchedPartition, isolation: Isolation) -> VecDeque<Buffered> {
    let mut aborted: Vec<(Offset, ProducerId)> =
        fetched.aborted.iter().map(|(producer, first)| (*first, *producer)).collect();
    aborted.sort_unstable();
    let mut pending = aborted.into_iter().peekable();
    let mut aborting: BTreeSet<ProducerId> = BTreeSet::new();
    let mut shown = VecDeque::with_capacity(fetched.records.len());
    for FetchedRecord { offset, leader_epoch, stamp, body, .. } in &fetched.records {
        while let Some((_, producer)) = pending.next_if(|(first, _)| first <= offset) {
            aborting.insert(producer);
        }
        let transaction = stamp.filter(|stamp| stamp.transactional).map(|stamp| stamp.id);
        match body {
            Body::Marker { .. } => {
                if let Some(stamp) = stamp {
                    aborting.remove(&stamp.id);
                }
            }
            Body::Record(record) => {
                let hidden = isolation == Isolation::ReadCommitted
                    && transaction.is_some_and(|producer| aborting.contains(&producer));
                if !hidden {
                    shown.push_back(Buffered { offset: *offset, epoch: *leader_epoch, record: *record });
                }
            }
        }
    }
    shown
}

impl KafkaConsumer {
    /// Fetch from each leader that owes no answer, for the partitions with nothing buffered.
    pub(super) fn fetch(&mut self, now: Now, effects: &mut Effects) {
        let polling = match self.volatile.membership.stage {
            Stage::Stable => true,
            Stage::Losing | Stage::Failed => false,
            _ => self.settings.cooperative(),
        };
        if self.volatile.paused || !polling {
            return;
        }
        let (requests, broken) = self.plan_fetches();
        let own = &mut self.volatile;
        own.metadata.connect(now, &broken, &mut own.network, effects);
        for (node, partitions) in requests {
            let asked = partitions.iter().map(|fetch| (fetch.partition, fetch.offset)).collect();
            let request = Request::Fetch {
                isolation: self.settings.isolation,
                max_wait: self.settings.fetch_wait,
                min_bytes: u32::try_from(self.settings.fetch_min.0).unwrap_or(u32::MAX),
                max_bytes: u32::try_from(self.settings.fetch_max.0).unwrap_or(u32::MAX),
                partitions,
            };
            self.volatile.fetching.insert(node);
            self.volatile.network.ask(now, node, Purpose::Fetch(node, asked), request, effects);
        }
    }

    fn plan_fetches(&mut self) -> (LiteMap<NodeId, Vec<FetchPartition>>, SmallSet<NodeId>) {
        let max_bytes = u32::try_from(self.settings.fetch_partition_max.0).unwrap_or(u32::MAX);
        let own = &mut self.volatile;
        let mut requests: LiteMap<NodeId, Vec<FetchPartition>> = LiteMap::new();
        let mut broken = SmallSet::default();
        let mut leaderless = false;
        for (partition, held) in own.held.iter() {
            if !held.fetchable() || own.buffers.partitions.contains_key(&partition) {
                continue;
            }
            let known = own.metadata.leadership(partition).unwrap_or_default();
            let Some(node) = known.leader.and_then(|leader| own.metadata.node(leader)) else {
                leaderless = true;
                continue;
            };
            if !own.network.ready(node) {
                broken.insert(node);
            } else if !own.fetching.contains(node) {
                requests.entry(node).or_default().push(FetchPartition {
                    partition,
                    offset: held.position,
                    leader_epoch: known.epoch,
                    // Java's consumer leaves it out and asks OffsetForLeaderEpoch instead.
                    last_fetched_epoch: -1,
                    max_bytes,
                });
            }
        }
        if leaderless {
            own.metadata.want();
        }
        (requests, broken)
    }

    /// A fetch was answered.
    pub(super) fn fetched(&mut self, asked: &[(TopicPartition, Offset)], answers: &[FetchedPartition]) {
        for answer in answers {
            let partition = answer.partition;
            let offset = asked.iter().find(|(other, _)| *other == partition).map(|(_, offset)| *offset);
            // A seek or a rebalance came between: the answer is for another position.
            let current = self.volatile.held.get(partition);
            if offset.is_none()
                || current.is_none_or(|held| Some(held.position) != offset || !held.fetchable())
            {
                continue;
            }
            match (answer.error, answer.diverging) {
                (ErrorCode::None, Some((epoch, end))) => self.take_divergence(partition, epoch, end),
                (ErrorCode::None, None) => self.buffer(answer),
                (ErrorCode::OffsetOutOfRange, _) => {
                    self.reset(partition, Failure::OutOfRange(partition, offset.unwrap_or(-1)));
                }
                _ => self.await_metadata(std::iter::once(partition)),
            }
        }
    }

    fn buffer(&mut self, answer: &FetchedPartition) {
        let own = &mut self.volatile;
        let partition = answer.partition;
        let Some(last) = answer.records.last() else { return };
        if own.buffers.partitions.contains_key(&partition) {
            return;
        }
        let mut records = visible(answer, self.settings.isolation);
        let Some(held) = own.held.get_mut(partition) else { return };
        // A batch may begin before the offset that was asked for.
        records.retain(|record| record.offset >= held.position);
        let end = last.offset + 1;
        if records.is_empty() {
            held.position = held.position.max(end);
            held.epoch = last.leader_epoch;
            own.commits.note_epoch(partition, last.offset, last.leader_epoch);
        } else {
            own.buffers.add(partition, Buffer { records, end, end_epoch: last.leader_epoch });
        }
    }

    /// The leaders of these partitions are not who they were thought to be.
    pub(super) fn await_metadata(&mut self, partitions: impl Iterator<Item = TopicPartition>) {
        for partition in partitions {
            if let Some(held) = self.volatile.held.get_mut(partition) {
                held.awaits_metadata = true;
            }
        }
        self.volatile.metadata.want();
    }

    /// Hand out the next record; a call after the last record of a poll is the next poll.
    pub(super) fn take_record(&mut self, now: Now, effects: &mut Effects) -> Option<Received> {
        if self.volatile.membership.stage == Stage::Unjoined && !self.in_poll() {
            self.volatile.busy_since = None;
            self.changed(now, effects);
        }
        if self.volatile.paused {
            return None;
        }
        if !self.volatile.buffers.in_poll() {
            let buffers = &mut self.volatile.buffers;
            let buffered: usize = buffers.partitions.values().map(|buffer| buffer.records.len()).sum();
            buffers.poll_left =
                self.settings.max_poll_records.min(u32::try_from(buffered).unwrap_or(u32::MAX));
            self.polled(now, buffered > 0, effects);
            if buffered == 0 {
                self.pump(now, effects);
                return None;
            }
        }
        let partition = *self.volatile.buffers.order.front()?;
        self.hand_out(now, partition, effects)
    }

    /// Hand out the next record of one partition. Owners that read so have a thread that polls, so nothing waits for
    /// them.
    pub(super) fn take_record_of(
        &mut self,
        now: Now,
        partition: TopicPartition,
        effects: &mut Effects,
    ) -> Option<Received> {
        if self.volatile.paused {
            return None;
        }
        if self.in_poll() {
            self.volatile.buffers.end_poll();
            self.volatile.settled = false;
        }
        self.volatile.busy_since = None;
        let received = self.hand_out(now, partition, effects);
        if received.is_none() {
            self.pump(now, effects);
        }
        received
    }

    fn hand_out(&mut self, now: Now, partition: TopicPartition, effects: &mut Effects) -> Option<Received> {
        let own = &mut self.volatile;
        let (next, position, epoch) = own.buffers.pop(partition)?;
        own.settled = false;
        if let Some(held) = own.held.get_mut(partition) {
            held.handed_out(next.offset + 1, position, epoch);
        }
        own.commits.note_epoch(partition, next.offset, next.epoch);
        own.commits.note_epoch(partition, position - 1, epoch);
        if !own.buffers.partitions.contains_key(&partition) {
            self.pump(now, effects);
        }
        Some(Received { partition, offset: next.offset, record: next.record })
    }
}
