//! Reading ahead: one long poll a broker over the partitions without buffered records, and handing the records out.

use super::buffers::{Buffered, Position};
use super::membership::Stage;
use super::positions::Held;
use super::{Failure, KafkaConsumer, Purpose, Volatile};
use crate::client::Received;
use crate::kafka::protocol::{
    Body, ErrorCode, FetchPartition, FetchedPartition, FetchedRecord, Isolation, ProducerId, Request,
};
use crate::machine::{Effects, Now};
use crate::partition_map::PartitionMap;
use crate::record::{NodeId, Offset, TopicPartition};
use crate::small_set::SmallSet;
use litemap::LiteMap;
use std::collections::{BTreeSet, VecDeque};

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
    /// Fetch from each leader that owes no answer, for the partitions of which nothing waits for a poll.
    pub(super) fn fetch(&mut self, now: Now, effects: &mut Effects) {
        let polling = match self.volatile.membership.stage {
            Stage::Stable => true,
            Stage::Losing | Stage::Failed => false,
            _ => self.settings.cooperative(),
        };
        if self.volatile.paused || !polling || self.volatile.buffers.await_poll() {
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
            if !held.fetchable() || own.buffers.has_uncollected(partition) {
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
        if self.volatile.buffers.apart {
            self.collect_apart();
        }
    }

    fn buffer(&mut self, answer: &FetchedPartition) {
        let own = &mut self.volatile;
        let partition = answer.partition;
        let Some(last) = answer.records.last() else { return };
        if own.buffers.has_uncollected(partition) {
            return;
        }
        let mut records = visible(answer, self.settings.isolation);
        let Some(held) = own.held.get_mut(partition) else { return };
        // A batch may begin before the offset that was asked for.
        records.retain(|record| record.offset >= held.position);
        let (from, end) = (held.position, (last.offset + 1, last.leader_epoch));
        if !records.is_empty() {
            return own.buffers.add(partition, records, end);
        }
        held.read_on(end);
        if !own.buffers.extend(partition, from, end) {
            held.shown_to(end.0);
            own.commits.note_epoch(partition, last.offset, last.leader_epoch);
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

    /// Hand out the next record; a call after the last record of a poll is the next poll: it collects what was fetched, sends the
    /// next fetches, and only then returns.
    pub(super) fn take_record(&mut self, now: Now, effects: &mut Effects) -> Option<Received> {
        if self.volatile.membership.stage == Stage::Unjoined && !self.in_poll() {
            self.volatile.busy_since = None;
            self.changed(now, effects);
        }
        if self.volatile.paused {
            return None;
        }
        self.volatile.buffers.apart = false;
        if !self.volatile.buffers.in_poll() {
            let at_most = self.settings.max_poll_records as usize;
            self.drop_unchecked();
            let Volatile { buffers, held, settled, .. } = &mut self.volatile;
            let polled = buffers.poll(at_most, |partition, position| read_on(held, partition, position));
            *settled &= polled == 0;
            self.polled(now, polled > 0, effects);
            self.pump(now, effects);
            if polled == 0 {
                return None;
            }
        }
        let partition = self.volatile.buffers.next()?;
        self.hand_out(partition)
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
        self.volatile.settled &= !self.in_poll();
        self.volatile.buffers.apart = true;
        self.volatile.busy_since = None;
        let collected = self.collect_apart();
        let received = self.hand_out(partition);
        if collected || received.is_none() {
            self.pump(now, effects);
        }
        received
    }

    /// What was fetched of a partition whose position is in doubt is fetched again when it is not.
    fn drop_unchecked(&mut self) {
        let Volatile { buffers, held, .. } = &mut self.volatile;
        if buffers.any_uncollected() {
            buffers.drop_uncollected(|partition| !held.get(partition).is_some_and(Held::is_known));
        }
    }

    /// Who reads each partition apart has a thread that collects whatever comes. Returns whether something came.
    fn collect_apart(&mut self) -> bool {
        if !self.volatile.buffers.any_uncollected() {
            return false;
        }
        let at_most = self.settings.max_poll_records as usize;
        self.drop_unchecked();
        let Volatile { buffers, held, settled, .. } = &mut self.volatile;
        let mut collected = false;
        buffers.poll_apart(at_most, |partition, position| {
            read_on(held, partition, position);
            collected = true;
        });
        *settled &= !collected;
        collected
    }

    fn hand_out(&mut self, partition: TopicPartition) -> Option<Received> {
        let own = &mut self.volatile;
        let (next, (end, end_epoch)) = own.buffers.pop(partition)?;
        own.settled = false;
        if let Some(held) = own.held.get_mut(partition) {
            held.handed_out(next.offset + 1, end);
        }
        own.commits.note_epoch(partition, next.offset, next.epoch);
        own.commits.note_epoch(partition, end - 1, end_epoch);
        Some(Received { partition, offset: next.offset, record: next.record })
    }
}

fn read_on(held: &mut PartitionMap<Held>, partition: TopicPartition, position: Position) {
    if let Some(held) = held.get_mut(partition) {
        held.read_on(position);
    }
}
