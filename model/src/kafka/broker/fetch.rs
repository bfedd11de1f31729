//! Consumers' fetches: from any replica, up to what it knows to be replicated (or decided), waiting for records.
//!
//! Batches are sent whole, also where the asked offset is inside one: clients throw the records before it away.

use super::{Broker, Context, Task};
use crate::kafka::log::Payload;
use crate::kafka::protocol::{
    Body, ErrorCode, FetchPartition, FetchedPartition, FetchedRecord, Isolation, Response,
};
use crate::kafka::replica::Replica;
use crate::machine::RequestId;
use crate::partition_map::PartitionMap;
use crate::record::{NodeId, Offset, TopicPartition};
use crate::small_set::SmallSet;
use crate::units::Span;
use litemap::LiteMap;
use serde::Serialize;

/// What a consumer asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct ConsumerFetch {
    pub isolation: Isolation,
    pub min_bytes: u32,
    pub max_bytes: u32,
    pub partitions: Vec<FetchPartition>,
}

/// Fetches that wait for records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Fetches {
    last: u64,
    waiting: LiteMap<u64, ((NodeId, RequestId), ConsumerFetch)>,
    /// By partition: the fetches that ask for it. A partition that was asked for once is asked for again, and keeps its place.
    by_partition: PartitionMap<SmallSet<u64>>,
}

/// What a fetch of one partition may see.
struct Visible<'a> {
    replica: &'a Replica,
    high_watermark: Offset,
    last_stable: Offset,
    /// Below this may be read.
    until: Offset,
    diverging: Option<(i32, Offset)>,
}

impl Broker {
    pub(super) fn serve_fetch(
        &mut self,
        cx: &mut Context<'_>,
        client: (NodeId, RequestId),
        fetch: ConsumerFetch,
        max_wait: Span,
    ) {
        if max_wait == Span::ZERO || fetch.partitions.is_empty() || self.is_ready(&fetch) {
            self.answer_fetch(cx, client, &fetch);
            return;
        }
        let fetches = &mut self.volatile.fetches;
        fetches.last += 1;
        let number = fetches.last;
        for asked in &fetch.partitions {
            fetches.by_partition.or_default(asked.partition).insert(number);
        }
        fetches.waiting.insert(number, (client, fetch));
        self.volatile.deadlines.add(Task::EndFetch(number), cx.time() + max_wait);
    }

    /// A partition changed: answer the fetches that have something to say now.
    pub(super) fn wake_fetches(&mut self, cx: &mut Context<'_>, at: TopicPartition) {
        let Some(numbers) = self.volatile.fetches.by_partition.get(at) else { return };
        let ready: Vec<u64> = numbers
            .iter()
            .filter(|number| {
                self.volatile.fetches.waiting.get(number).is_some_and(|(_, fetch)| self.is_ready(fetch))
            })
            .collect();
        for number in ready {
            self.end_fetch(cx, number);
        }
    }

    /// Answer a fetch that waited with what there is.
    pub(super) fn end_fetch(&mut self, cx: &mut Context<'_>, number: u64) {
        let fetches = &mut self.volatile.fetches;
        let Some((client, fetch)) = fetches.waiting.remove(&number) else { return };
        for asked in &fetch.partitions {
            if let Some(numbers) = fetches.by_partition.get_mut(asked.partition) {
                numbers.remove(number);
            }
        }
        self.volatile.deadlines.cancel(Task::EndFetch(number));
        self.answer_fetch(cx, client, &fetch);
    }

    fn answer_fetch(&mut self, cx: &mut Context<'_>, client: (NodeId, RequestId), fetch: &ConsumerFetch) {
        let partitions = self.read(fetch);
        let (partitions, throttle) = self.charge_fetch(cx, client, partitions);
        cx.answer(client.0, client.1, Response::Fetch { partitions, throttle });
    }

    /// Whether a fetch is answered without waiting: there are bytes enough, or something is wrong.
    fn is_ready(&self, fetch: &ConsumerFetch) -> bool {
        let enough = u64::from(fetch.min_bytes);
        let mut bytes = 0;
        for asked in &fetch.partitions {
            match self.visible(asked, fetch.isolation) {
                Err(_) => return true,
                Ok(visible) if visible.diverging.is_some() => return true,
                Ok(visible) => {
                    bytes += visible.replica.log.bytes_between(asked.offset, visible.until, enough.max(1));
                }
            }
            if bytes >= enough {
                return true;
            }
        }
        false
    }

    /// What a consumer may see of a partition, or why nothing. The epoch is checked before anything else, and
    /// divergence before the range (recorded: "Producing", 11 and 14).
    fn visible(&self, asked: &FetchPartition, isolation: Isolation) -> Result<Visible<'_>, ErrorCode> {
        let hosted =
            self.volatile.roles.get(asked.partition).ok_or_else(|| self.not_hosted(asked.partition))?;
        Broker::check_epoch(hosted, asked.leader_epoch)?;
        let replica = self.durable.replicas.get(asked.partition).ok_or(ErrorCode::NotLeaderOrFollower)?;
        let high_watermark = hosted.high_watermark;
        let last_stable = replica.last_stable(high_watermark);
        let until = match isolation {
            Isolation::ReadUncommitted => high_watermark,
            Isolation::ReadCommitted => last_stable,
        };
        let mut visible = Visible { replica, high_watermark, last_stable, until, diverging: None };
        if asked.last_fetched_epoch >= 0 {
            let (epoch, end) =
                replica.log.end_of_epoch(asked.last_fetched_epoch).ok_or(ErrorCode::OffsetOutOfRange)?;
            if epoch < asked.last_fetched_epoch || end < asked.offset {
                visible.diverging = Some((epoch, end));
                return Ok(visible);
            }
        }
        if asked.offset < replica.log.start() || asked.offset > replica.log.end() {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        Ok(visible)
    }

    fn read(&self, fetch: &ConsumerFetch) -> Vec<FetchedPartition> {
        let mut left = u64::from(fetch.max_bytes).min(self.fetch_cap());
        let mut is_first = true;
        fetch
            .partitions
            .iter()
            .map(|asked| match self.visible(asked, fetch.isolation) {
                Err(error) => refused(asked.partition, error),
                Ok(visible) => {
                    let mut answer = FetchedPartition {
                        partition: asked.partition,
                        error: ErrorCode::None,
                        high_watermark: visible.high_watermark,
                        last_stable: visible.last_stable,
                        log_start: visible.replica.log.start(),
                        aborted: Vec::new(),
                        diverging: visible.diverging,
                        records: Vec::new(),
                    };
                    if visible.diverging.is_none() {
                        let most = left.min(u64::from(asked.max_bytes));
                        let (records, bytes) = visible.records(asked.offset, most, is_first);
                        is_first = is_first && bytes == 0;
                        left = left.saturating_sub(bytes);
                        answer.records = records;
                        if fetch.isolation == Isolation::ReadCommitted {
                            answer.aborted = visible.aborted(asked.offset);
                        }
                    }
                    answer
                }
            })
            .collect()
    }
}

fn refused(partition: TopicPartition, error: ErrorCode) -> FetchedPartition {
    FetchedPartition {
        partition,
        error,
        high_watermark: -1,
        last_stable: -1,
        log_start: -1,
        aborted: Vec::new(),
        diverging: None,
        records: Vec::new(),
    }
}

impl Visible<'_> {
    /// Whole batches up to a size; the first batch of an answer is never too large.
    fn records(&self, offset: Offset, most: u64, is_first: bool) -> (Vec<FetchedRecord>, u64) {
        let log = &self.replica.log;
        let mut records = Vec::new();
        let mut total = 0;
        let mut next = log.batch_start(offset);
        while next < self.until {
            let end = log.batch_end(next);
            let bytes = log.bytes_between(next, end, u64::MAX);
            let fits = total + bytes <= most || is_first && total == 0;
            if end > self.until || !fits {
                break;
            }
            total += bytes;
            for (entry, offset) in log.range(next, end).iter().zip(next..) {
                let body = match &entry.payload {
                    Payload::Record(record) => Body::Record(*record),
                    Payload::Marker { commit, .. } => Body::Marker { commit: *commit },
                    // What coordinators write is for them alone.
                    Payload::Stored(_) => continue,
                };
                records.push(FetchedRecord {
                    offset,
                    leader_epoch: entry.leader_epoch,
                    timestamp: entry.timestamp,
                    stamp: entry.stamp,
                    body,
                });
            }
            next = end;
        }
        (records, total)
    }

    /// The aborted transactions that a reader from `offset` on must leave out. As in Kafka, whose index is coarse,
    /// they may lie beyond the records that are answered.
    fn aborted(&self, offset: Offset) -> Vec<(crate::kafka::protocol::ProducerId, Offset)> {
        let list = &self.replica.aborted;
        let first = list.partition_point(|aborted| aborted.last < offset);
        list[first..].iter().map(|aborted| (aborted.producer, aborted.first)).collect()
    }
}
