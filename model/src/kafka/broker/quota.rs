//! The bandwidth quota as clouds sell it: a broker over its share answers and says how long the client has to wait
//! (`throttle_time_ms`); it reads nothing more of that connection meanwhile, and the client sends nothing (KIP-219).
//!
//! The rate and the time are Kafka's (`ClientQuotaManager`, `Rate`, `QuotaUtils.throttleTime`): eleven samples of a second, and as
//! long a wait as brings the average down to the quota. Left out: shares of single users and clients, the quota of requests'
//! time, and that of the controller: a cloud's quota is the whole cluster's, and each broker has its share of it.

use super::{Broker, Context, Task};
use crate::kafka::log::BATCH_HEADER_BYTES;
use crate::kafka::protocol::{Body, FetchedPartition, ProduceBatch, Request};
use crate::machine::RequestId;
use crate::record::NodeId;
use crate::units::{Bytes, Span, Time};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// `quota.window.num`.
const SAMPLES: usize = 11;

/// `quota.window.size.seconds`.
const SAMPLE: Span = Span::secs(1);

const SECOND: u64 = 1_000_000;

/// A connection as a broker can tell it: the client's node and which of its libraries.
pub(in crate::kafka) type Connection = (NodeId, u16);

/// What passed lately, and who has to wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Quotas {
    produced: Meter,
    fetched: Meter,
    /// What the cloud grants this broker for the time being, whatever the settings say.
    granted: Option<Bytes>,
    muted: BTreeMap<Connection, Muted>,
}

/// A connection that is not read for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Muted {
    until: Time,
    held: VecDeque<(RequestId, Box<Request>)>,
}

/// How many bytes passed in the last seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Meter {
    /// When each sample began, and what it counted; the oldest first.
    samples: VecDeque<(Time, u64)>,
}

impl Meter {
    fn record(&mut self, now: Time, bytes: u64) {
        match self.samples.back_mut().filter(|(began, _)| now.since(*began) < SAMPLE) {
            Some((_, counted)) => *counted += bytes,
            None => self.samples.push_back((now, bytes)),
        }
        let window = Span(SAMPLE.0 * SAMPLES as u64);
        while self.samples.len() > SAMPLES
            || self.samples.front().is_some_and(|(began, _)| now.since(*began) >= window)
        {
            self.samples.pop_front();
        }
    }

    /// Take back what was recorded last.
    fn take_back(&mut self, bytes: u64) {
        if let Some((_, counted)) = self.samples.back_mut() {
            *counted = counted.saturating_sub(bytes);
        }
    }

    /// How long nothing may pass until the average is down to so many bytes a second. A meter that began a short time ago counts
    /// as if it had been running for all samples but one, as Kafka's does.
    fn excess(&self, now: Time, per_second: u64) -> Span {
        let Some((oldest, _)) = self.samples.front() else { return Span::ZERO };
        let counted: u64 = self.samples.iter().map(|(_, bytes)| bytes).sum();
        let elapsed = now.since(*oldest).0;
        let missing = (SAMPLES as u64 - 1).saturating_sub(elapsed / SAMPLE.0);
        let window = elapsed + missing * SAMPLE.0;
        let needed = u128::from(counted) * u128::from(SECOND) / u128::from(per_second.max(1));
        let wait = needed.saturating_sub(u128::from(window)) / 1_000 * 1_000;
        Span(u64::try_from(wait).unwrap_or(u64::MAX))
    }
}

impl Broker {
    /// The cloud grants each broker so much from now on; without, what the settings say.
    pub(super) fn grant(&mut self, bytes_per_second: Option<Bytes>) {
        self.volatile.quotas.granted = bytes_per_second;
    }

    /// This broker's share of what the whole cluster may do in a second.
    fn share(&self, whole: Option<Bytes>) -> Option<u64> {
        if let Some(granted) = self.volatile.quotas.granted {
            return Some(granted.0.max(1));
        }
        whole.map(|whole| (whole.0 / u64::from(self.settings.brokers.max(1))).max(1))
    }

    /// What a produce request counts: its bytes times the replicas that they are written to. Nothing where there is no quota.
    pub(super) fn produce_cost(&self, batches: &[ProduceBatch]) -> u64 {
        if self.share(self.settings.quota.produce).is_none() {
            return 0;
        }
        let cost = |batch: &ProduceBatch| {
            let replicas =
                self.durable.image.partitions.get(batch.partition).map_or(1, |at| at.replicas.len());
            let bytes: u64 = batch.records.iter().map(|record| u64::from(record.bytes)).sum();
            (bytes + BATCH_HEADER_BYTES) * replicas as u64
        };
        batches.iter().map(cost).sum()
    }

    /// Count what was produced, and say how long its client has to wait.
    pub(super) fn charge_produce(
        &mut self,
        cx: &mut Context<'_>,
        (client, request): (NodeId, RequestId),
        cost: u64,
    ) -> Span {
        let Some(share) = self.share(self.settings.quota.produce) else { return Span::ZERO };
        let meter = &mut self.volatile.quotas.produced;
        meter.record(cx.time(), cost);
        let throttle = meter.excess(cx.time(), share);
        self.mute(cx, (client, request.lane()), throttle);
        throttle
    }

    /// The most that one fetch may bring: what the quota allows in all samples but one.
    pub(super) fn fetch_cap(&self) -> u64 {
        let share = self.share(self.settings.quota.fetch);
        share.map_or(u64::MAX, |share| share.saturating_mul(SAMPLES as u64 - 1))
    }

    /// Count what a fetch brings. One that is over the quota brings nothing, and its client has to wait.
    pub(super) fn charge_fetch(
        &mut self,
        cx: &mut Context<'_>,
        (client, request): (NodeId, RequestId),
        partitions: Vec<FetchedPartition>,
    ) -> (Vec<FetchedPartition>, Span) {
        let Some(share) = self.share(self.settings.quota.fetch) else { return (partitions, Span::ZERO) };
        let records = partitions.iter().flat_map(|partition| &partition.records);
        let bytes = records.map(|record| match &record.body {
            Body::Record(record) => u64::from(record.bytes),
            Body::Marker { .. } => BATCH_HEADER_BYTES,
        });
        let bytes = bytes.sum();
        let meter = &mut self.volatile.quotas.fetched;
        meter.record(cx.time(), bytes);
        let throttle = meter.excess(cx.time(), share);
        if throttle == Span::ZERO {
            return (partitions, throttle);
        }
        meter.take_back(bytes);
        self.mute(cx, (client, request.lane()), throttle);
        (Vec::new(), throttle)
    }

    fn mute(&mut self, cx: &mut Context<'_>, connection: Connection, throttle: Span) {
        if throttle > Span::ZERO {
            let until = cx.time() + throttle;
            let muted = self.volatile.quotas.muted.entry(connection);
            let muted = muted.or_insert_with(|| Muted { until, held: VecDeque::new() });
            muted.until = muted.until.max(until);
            self.volatile.deadlines.set(Task::Unmute(connection), muted.until);
        }
    }

    /// Whether a request is not read now, because its connection is muted; it is kept. What goes to a coordinator has a
    /// connection of its own in Kafka's clients.
    pub(super) fn holds_back(
        &mut self,
        from: NodeId,
        id: RequestId,
        request: Box<Request>,
    ) -> Option<Box<Request>> {
        if self.volatile.quotas.muted.is_empty() {
            return Some(request);
        }
        let of_data = matches!(
            *request,
            Request::Metadata { .. }
                | Request::Produce { .. }
                | Request::Fetch { .. }
                | Request::ListOffsets { .. }
                | Request::OffsetForLeaderEpoch { .. }
        );
        match self.volatile.quotas.muted.get_mut(&(from, id.lane())).filter(|_| of_data) {
            Some(muted) => {
                muted.held.push_back((id, request));
                None
            }
            None => Some(request),
        }
    }

    /// A connection is read again, until one of its requests is over the quota.
    pub(super) fn unmute(&mut self, cx: &mut Context<'_>, connection: Connection) {
        let Some(muted) = self.volatile.quotas.muted.remove(&connection) else { return };
        let mut held = muted.held;
        while let Some((id, request)) = held.pop_front() {
            self.request(cx, connection.0, id, *request);
            if let Some(again) = self.volatile.quotas.muted.get_mut(&connection) {
                again.held = held;
                return;
            }
        }
    }

    /// A client is gone, and what it had sent with it.
    pub(super) fn forget_muted(&mut self, node: NodeId) {
        let muted = &mut self.volatile.quotas.muted;
        for connection in muted.range((node, 0)..=(node, u16::MAX)).map(|(at, _)| *at).collect::<Vec<_>>() {
            muted.remove(&connection);
            self.volatile.deadlines.cancel(Task::Unmute(connection));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::harness::{World, fetch_request};
    use crate::kafka::protocol::{Acks, ErrorCode, Response};
    use crate::kafka::settings::{Quota, Settings};

    fn world(quota: Quota) -> World {
        World::new(Settings { quota, ..World::quick() }, 3)
    }

    fn produce(world: &mut World, count: u32) -> Request {
        let batches = vec![world.batch(0, count, None)];
        Request::Produce { acks: Acks::All, timeout: Span::secs(1), transaction: None, batches }
    }

    fn throttle(answer: &Response) -> Span {
        answer.throttle()
    }

    /// 3 brokers share 6,000 bytes a second, and each byte counts three times.
    #[test]
    fn a_producer_over_the_share_is_answered_at_once_and_read_again_later() {
        let mut world = world(Quota { produce: Some(Bytes(6_000)), fetch: None });
        let within = produce(&mut world, 60);
        assert_eq!(throttle(&world.ask(1, within)), Span::ZERO, "18 KB of the 20 KB of ten seconds");
        let over = produce(&mut world, 60);
        let before = world.now;
        let answer = world.ask(1, over);
        assert!(
            matches!(&answer, Response::Produce { partitions, .. } if partitions[0].1 == ErrorCode::None)
        );
        assert!(world.now.since(before) < Span::secs(1), "the answer itself does not wait");
        let wait = throttle(&answer);
        assert!(wait > Span::secs(8) && wait < Span::secs(10), "{wait}");
        let next = produce(&mut world, 1);
        let id = world.send(1, next);
        world.run_for(wait.saturating_sub(Span::secs(1)));
        assert_eq!(world.answer(id), None, "the connection is not read");
        world.run_for(Span::secs(2));
        assert!(world.answer(id).is_some());
    }

    #[test]
    fn a_muted_connection_still_reaches_its_coordinator() {
        let mut world = world(Quota { produce: Some(Bytes(6_000)), fetch: None });
        let over = produce(&mut world, 100);
        assert!(throttle(&world.ask(1, over)) > Span::ZERO);
        let key = crate::kafka::protocol::CoordinatorKey::Group(crate::record::GroupId(0));
        let id = world.send(1, Request::FindCoordinator { key });
        world.run_for(Span::millis(100));
        assert!(world.answer(id).is_some());
    }

    #[test]
    fn a_fetch_over_the_share_brings_nothing_and_the_same_fetch_later_does() {
        let mut world = world(Quota { produce: None, fetch: Some(Bytes(3_000)) });
        let request = produce(&mut world, 60);
        world.ask(1, request);
        let request = produce(&mut world, 60);
        world.ask(1, request);
        assert_eq!(throttle(&world.ask(1, fetch_request(0, 0, Span::ZERO))), Span::ZERO);
        let answer = world.ask(1, fetch_request(0, 60, Span::ZERO));
        let wait = throttle(&answer);
        assert!(wait > Span::ZERO);
        assert!(matches!(answer, Response::Fetch { partitions, .. } if partitions.is_empty()));
        world.run_for(wait + Span::secs(10));
        let (error, _, records) = world.fetch(1, 0, 60);
        assert_eq!((error, records.len()), (ErrorCode::None, 60));
    }

    #[test]
    fn without_a_quota_nobody_waits() {
        let mut world = world(Quota::default());
        for _ in 0..5 {
            let request = produce(&mut world, 1_000);
            assert_eq!(throttle(&world.ask(1, request)), Span::ZERO);
        }
    }

    #[test]
    fn the_average_is_brought_down_to_the_quota() {
        let mut meter = Meter::default();
        meter.record(Time(0), 15_000);
        assert_eq!(meter.excess(Time(0), 1_000), Span::secs(5));
        meter.record(Time(5 * SECOND), 0);
        assert_eq!(meter.excess(Time(5 * SECOND), 1_000), Span::secs(5));
        meter.record(Time(15 * SECOND), 0);
        assert_eq!(meter.excess(Time(15 * SECOND), 1_000), Span::ZERO);
    }
}
