//! A Kafka broker: replicas of partitions, the duties of leaders and followers, and the coordinators that live on
//! the leaders of the internal topics.
//!
//! Left out: several disks, log compaction, compression, tiered storage, the loss of unflushed pages (a process
//! that dies leaves the page cache behind).

mod admin;
mod appends;
mod fetch;
mod fetcher;
mod incidents;
mod isr;
mod leader;
mod lifecycle;
mod lookups;
mod metadata;
mod produce;
mod producer_ids;
mod quota;
mod replica_fetch;
mod retention;
mod roles;
#[cfg(test)]
mod tests;

use super::cluster::Image;
use super::deadlines::Deadlines;
use super::group::Groups;
use super::internal::Internal;
use super::protocol::{BrokerId, CoordinatorKey, ErrorCode, Request, Response};
use super::replica::Replica;
use super::settings::Settings;
use super::transaction::{Marker, Transactions, Verifications};
use super::wiring::{OFFSETS_TOPIC, Wiring};
use crate::machine::{Effects, Input, Machine, Now, RequestId, Timer};
use crate::message::Message;
use crate::partition_map::PartitionMap;
use crate::record::{GroupId, NodeId, Offset, TopicPartition};
use crate::small_set::SmallSet;
use crate::units::Time;
use litemap::LiteMap;
use serde::Serialize;

pub(super) use roles::{Hosted, Role};

const DEADLINE: Timer = Timer::new("kafka-broker/deadline", 0);

/// A Kafka broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broker {
    pub(super) settings: Settings,
    pub(super) wiring: Wiring,
    pub(super) id: BrokerId,
    pub(super) durable: Durable,
    pub(super) volatile: Volatile,
}

/// What a broker keeps on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Durable {
    /// What it knows was agreed on, perhaps long ago.
    pub image: Image,
    /// Its replicas.
    pub replicas: PartitionMap<Replica>,
    /// When it last did anything: decides which high watermarks were saved before it died.
    last_seen: Time,
    /// Whether it was stopped in good order.
    orderly: bool,
    /// What the disk lost and the history was not told yet: each partition's end before and after.
    lost: Vec<(TopicPartition, Offset, Offset)>,
}

/// What a broker forgets when it dies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Volatile {
    pub incarnation: u32,
    /// Its registration with the controller.
    epoch: Option<u64>,
    /// Whether it has taken up its roles: not before it has caught up with its own registration.
    active: bool,
    /// Whether it serves clients: not before the controller has let it in for the first time.
    serving: bool,
    stopping: bool,
    pub roles: PartitionMap<Hosted>,
    pub deadlines: Deadlines<Task>,
    /// Partitions whose log, high watermark or role changed in this step.
    touched: SmallSet<TopicPartition>,
    pub appends: appends::Appends,
    fetches: fetch::Fetches,
    followers: LiteMap<BrokerId, replica_fetch::FollowerSession>,
    fetchers: LiteMap<BrokerId, fetcher::Fetcher>,
    last_fetcher_session: u32,
    isr: isr::IsrRequests,
    quotas: quota::Quotas,
    producer_ids: producer_ids::ProducerIds,
    admin: admin::AdminRequests,
    pub groups: Groups,
    pub transactions: Transactions,
    pub verifications: Verifications,
    /// Producers that began a transaction here and have nothing in the log yet: the epoch and the lowest sequence
    /// that was tried.
    pub unverified: LiteMap<(TopicPartition, super::protocol::ProducerId), (i16, i32)>,
    /// Requests that came before the broker served clients.
    backlog: Vec<(NodeId, RequestId, Box<Request>)>,
}

/// What a broker has to do at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Task {
    /// Tell the controller that it lives, or register.
    Heartbeat,
    /// Stop, whatever the controller says.
    GiveUpStopping,
    /// Look for followers that lag.
    CheckIsr,
    /// Ask for an ISR again.
    RepeatAlterPartition,
    /// Ask for producer ids again.
    RepeatProducerIds,
    /// Forget silent producers.
    ExpireProducers,
    /// The controller has not answered what was passed on to it.
    EndForwarded(u64),
    /// A deletion of records has waited long enough for the replicas.
    EndDeletion(u64),
    /// The coordinator of a transaction has not said whether a partition is in it.
    EndVerification(u64),
    /// Have markers written that are missing.
    SendMarkers(super::protocol::TransactionalId),
    /// Look for transactions that are open for too long.
    CheckTransactions,
    /// Look for transactional ids that nobody uses.
    ExpireTransactionalIds,
    /// Look for records that are old or too many.
    DeleteOldRecords,
    /// A consumer's fetch has waited long enough.
    EndFetch(u64),
    /// A produce request has waited long enough.
    EndProduce(u64),
    /// A coordinator's write has waited long enough.
    EndStored(u64),
    /// A client that was over the quota has waited long enough.
    Unmute(quota::Connection),
    /// A follower's fetch has waited long enough.
    EndReplicaFetch(BrokerId),
    /// Fetch from a leader again, after a failure.
    RepeatFetch(BrokerId),
    /// A leader has not answered a fetch.
    GiveFetchUp(BrokerId),
    /// A member has been silent for its session, or was promised an id and never joined.
    EndSession(GroupId, super::protocol::MemberId),
    /// A rebalance has waited long enough for joins.
    EndJoin(GroupId),
    /// A rebalance has waited long enough for syncs.
    EndSync(GroupId),
    /// Look for expired offsets and groups.
    ExpireGroups,
}

/// The moment and the effects of one step.
pub(crate) struct Context<'a> {
    pub now: Now,
    pub effects: &'a mut Effects,
}

impl Context<'_> {
    pub fn time(&self) -> Time {
        self.now.elapsed
    }

    /// Answer a request. In line: a message is built in the box in which it travels.
    #[inline(always)]
    pub fn answer(&mut self, to: NodeId, request: RequestId, response: Response) {
        self.effects.send(to, Message::KafkaResponse(request, Box::new(response)));
    }
}

impl Broker {
    /// A broker of a cluster.
    pub fn new(settings: Settings, wiring: Wiring, id: BrokerId) -> Broker {
        Broker { settings, wiring, id, durable: Durable::default(), volatile: Volatile::default() }
    }

    fn internal(&mut self, cx: &mut Context<'_>, from: NodeId, message: Internal) {
        match message {
            Internal::Registered { incarnation, epoch } => self.registered(cx, incarnation, epoch),
            Internal::HeartbeatAnswer { epoch, stale, fenced, may_stop } => {
                self.heartbeat_answered(cx, epoch, stale, fenced, may_stop);
            }
            Internal::Metadata { from, records } => self.take_metadata(cx, from, records),
            Internal::AlterPartitionAnswer { number, results } => self.isr_answered(cx, number, &results),
            Internal::ReplicaFetch(fetch) => self.serve_replica(cx, from, fetch),
            Internal::ReplicaFetchAnswer(answer) => self.take_copies(cx, from, answer),
            Internal::ProducerIds { first, count } => self.take_producer_ids(cx, first, count),
            Internal::WriteMarkers {
                transaction,
                producer,
                epoch,
                coordinator_epoch,
                commit,
                partitions,
            } => {
                let marker = Marker { transaction, producer, epoch, coordinator_epoch, commit };
                self.write_markers(cx, from, marker, partitions);
            }
            Internal::MarkersWritten { transaction, producer, epoch, partitions } => {
                self.markers_written(cx, transaction, (producer, epoch), &partitions);
            }
            Internal::VerifyPartitions { number, transaction, producer, epoch, partitions } => {
                let results = self.verified(transaction, (producer, epoch), partitions);
                cx.effects.send(from, Internal::Verified { number, results });
            }
            Internal::Verified { number, results } => self.verification_answered(cx, number, &results),
            Internal::ForwardedAnswer { number, error } => self.forwarded_answered(cx, number, error),
            _ => {}
        }
    }

    fn request(&mut self, cx: &mut Context<'_>, from: NodeId, id: RequestId, request: Request) {
        match request {
            Request::Metadata { topics } => self.serve_metadata(cx, from, id, &topics),
            Request::Produce { acks, timeout, transaction, batches } => {
                self.serve_produce(cx, (from, id), acks, timeout, transaction, batches);
            }
            Request::Fetch { isolation, max_wait, min_bytes, max_bytes, partitions } => {
                let fetch = fetch::ConsumerFetch { isolation, min_bytes, max_bytes, partitions };
                self.serve_fetch(cx, (from, id), fetch, max_wait);
            }
            Request::ListOffsets { isolation, partitions } => {
                let partitions = partitions
                    .into_iter()
                    .map(|(partition, epoch, at)| self.list_offset(partition, isolation, epoch, at))
                    .collect();
                cx.answer(from, id, Response::ListOffsets { partitions });
            }
            Request::OffsetForLeaderEpoch { partitions } => {
                let partitions = partitions
                    .into_iter()
                    .map(|(partition, current, epoch)| self.end_of_epoch(partition, current, epoch))
                    .collect();
                cx.answer(from, id, Response::OffsetForLeaderEpoch { partitions });
            }
            Request::InitProducerId { transaction: None, .. } => self.serve_producer_id(cx, from, id),
            Request::FindCoordinator { key } => self.serve_coordinator(cx, from, id, key),
            Request::InitProducerId { .. }
            | Request::AddPartitionsToTxn { .. }
            | Request::AddOffsetsToTxn { .. }
            | Request::EndTxn { .. } => self.transaction_request(cx, (from, id), request),
            Request::Admin(request) => self.serve_admin(cx, (from, id), request),
            request => self.group_request(cx, (from, id), request),
        }
    }

    fn serve_coordinator(&mut self, cx: &mut Context<'_>, from: NodeId, id: RequestId, key: CoordinatorKey) {
        let at = match key {
            CoordinatorKey::Group(group) => self.group_partition(group),
            CoordinatorKey::Transaction(transaction) => self.transaction_partition(transaction),
        };
        let image = &self.durable.image;
        let leader = image.partitions.get(at).and_then(|state| state.leader);
        let coordinator = leader
            .filter(|leader| image.is_alive(*leader))
            .and_then(|leader| self.wiring.node(leader).map(|node| (leader, node)));
        let error = if coordinator.is_some() { ErrorCode::None } else { ErrorCode::CoordinatorNotAvailable };
        cx.answer(from, id, Response::FindCoordinator { error, coordinator });
    }

    /// The partition of the internal topic where a group is kept.
    pub(super) fn group_partition(&self, group: GroupId) -> TopicPartition {
        TopicPartition { topic: OFFSETS_TOPIC, partition: group.0 % self.settings.offsets_partitions }
    }

    /// Note that something about a partition changed that others may wait for.
    pub(super) fn touch(&mut self, partition: TopicPartition) {
        self.volatile.touched.insert(partition);
    }

    /// Tell everybody who waits for a partition that changed in this step.
    fn settle(&mut self, cx: &mut Context<'_>) {
        while let Some(partition) = self.volatile.touched.pop_first() {
            self.settle_appends(cx, partition);
            self.settle_deletions(cx, partition);
            self.wake_followers(cx, partition);
            self.wake_fetches(cx, partition);
        }
        self.answer_followers(cx);
    }

    fn due(&mut self, cx: &mut Context<'_>) {
        self.volatile.deadlines.fired();
        while let Some(task) = self.volatile.deadlines.take_due(cx.time()) {
            self.perform(cx, task);
        }
    }

    fn perform(&mut self, cx: &mut Context<'_>, task: Task) {
        match task {
            Task::Heartbeat => self.beat(cx),
            Task::GiveUpStopping => self.exit(cx),
            Task::CheckIsr => self.check_isr(cx),
            Task::RepeatAlterPartition => self.repeat_alter_partition(cx),
            Task::RepeatProducerIds => self.repeat_producer_ids(cx),
            Task::ExpireProducers => self.expire_producers(cx),
            Task::EndForwarded(number) => {
                self.forwarded_answered(cx, number, ErrorCode::RequestTimedOut);
            }
            Task::EndDeletion(number) => self.end_deletion(cx, number),
            Task::EndVerification(number) => self.end_verification(cx, number),
            Task::SendMarkers(transaction) => self.send_markers(cx, transaction),
            Task::CheckTransactions => self.check_transactions(cx),
            Task::ExpireTransactionalIds => self.expire_transactional_ids(cx),
            Task::DeleteOldRecords => self.delete_old_records(cx),
            Task::EndFetch(number) => self.end_fetch(cx, number),
            Task::EndProduce(number) => self.end_produce(cx, number),
            Task::EndStored(number) => self.end_stored(cx, number),
            Task::Unmute(connection) => self.unmute(cx, connection),
            Task::EndReplicaFetch(follower) => self.end_replica_fetch(cx, follower),
            Task::RepeatFetch(leader) => self.repeat_fetch(cx, leader),
            Task::GiveFetchUp(leader) => self.give_fetch_up(cx, leader),
            Task::EndSession(group, member) => self.end_session(cx, group, member),
            Task::EndJoin(group) => self.end_join(cx, group),
            Task::EndSync(group) => self.end_sync(cx, group),
            Task::ExpireGroups => self.expire_groups(cx),
        }
    }

    fn disconnected(&mut self, cx: &mut Context<'_>, node: NodeId) {
        self.forget_muted(node);
        if let Some(broker) = self.wiring.broker(node) {
            self.leader_disconnected(cx, broker);
            self.follower_disconnected(broker);
        }
    }
}

impl Machine for Broker {
    fn step(&mut self, now: Now, input: Input, effects: &mut Effects) {
        let cx = &mut Context { now, effects };
        match input {
            Input::Start { incarnation } => self.start(cx, incarnation),
            Input::Message { from, message } => match message {
                Message::KafkaInternal(message) => self.internal(cx, from, *message),
                Message::KafkaRequest(id, request) if self.volatile.serving => {
                    if let Some(request) = self.holds_back(from, id, request) {
                        self.request(cx, from, id, *request);
                    }
                }
                Message::KafkaRequest(id, request) => self.volatile.backlog.push((from, id, request)),
                _ => {}
            },
            Input::Timer(_) => self.due(cx),
            Input::Disconnected(node) => self.disconnected(cx, node),
            Input::Terminate => self.terminate(cx),
            Input::Incident(incident) => self.meet(cx, incident),
            Input::Placed(_) | Input::Unreachable(_) => {}
        }
        self.settle(cx);
        self.volatile.deadlines.arm(DEADLINE, now.elapsed, cx.effects);
        self.durable.last_seen = now.elapsed;
    }

    fn crash(&mut self) {
        self.volatile = Volatile::default();
    }

    fn lose(&mut self, now: Now, loss: crate::incident::DiskLoss) {
        self.lose_disk(now.elapsed, loss);
    }
}
