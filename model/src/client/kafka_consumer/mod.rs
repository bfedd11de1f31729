//! Kafka's consumer library, as Java's client 3.9 was observed to behave with the classic group protocol: it finds
//! its coordinator, joins, shares out partitions if it is the leader, fetches ahead, commits and leaves.
//!
//! A "poll" of Java's is here a [`Consumer::receive`] after the last poll's records are handed out: until then no
//! rebalance and no loss is told, which is the zombie window that was observed (row 11).
//!
//! Left out: auto commit (the owner commits), the separate connection that Java keeps to the coordinator, fetch
//! sessions, fetching from followers, and the group protocol of KIP-848.

mod buffers;
mod commits;
mod coordinator;
mod fetching;
mod membership;
mod positions;
mod rebalance;
#[cfg(test)]
mod tests;

use super::kafka_consumer_settings::Settings;
use super::kafka_metadata::{Metadata, RefreshSettings};
use super::kafka_network::{Alarm, Heard, Network, TimerNames};
use super::{Assigned, Consumer, Received};
use crate::kafka::protocol::{ErrorCode, GroupInstanceId, MemberId, Response};
use crate::machine::{Effects, Input, Now, Timer};
use crate::message::Message;
use crate::partition_map::PartitionMap;
use crate::record::{GroupId, NodeId, Offset, TopicId, TopicPartition};
use crate::small_set::SmallSet;
use crate::units::Time;
use buffers::Buffers;
use commits::Commits;
use membership::{Membership, Stage};
use positions::Held;
use serde::Serialize;
use std::collections::VecDeque;

const NAMES: TimerNames = TimerNames {
    request: "kafka-consumer/request",
    reconnect: "kafka-consumer/reconnect",
    metadata: "kafka-consumer/metadata",
};
const HEARTBEAT: Timer = Timer::new("kafka-consumer/heartbeat", 0);
const FIND_COORDINATOR: Timer = Timer::new("kafka-consumer/coordinator", 0);
const REJOIN: Timer = Timer::new("kafka-consumer/rejoin", 0);
const OFFSETS: Timer = Timer::new("kafka-consumer/offsets", 0);
const COMMIT: Timer = Timer::new("kafka-consumer/commit", 0);

/// What a request was for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
enum Purpose {
    Metadata,
    FindCoordinator,
    Join,
    Sync,
    Heartbeat(MemberId, i32),
    OffsetFetch(Vec<TopicPartition>),
    ListOffsets(Vec<TopicPartition>),
    Validate(Vec<(TopicPartition, Offset)>),
    Fetch(NodeId, Vec<(TopicPartition, Offset)>),
    Commit(MemberId, i32),
}

/// Why a consumer, or one of its partitions, stands still: what Java throws from poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Failure {
    /// `FencedInstanceIdException`: another instance has this one's static id. Fatal (observed row 17).
    FencedInstance,
    /// `InconsistentGroupProtocolException`: the group has no assignor in common with this member. Fatal.
    InconsistentProtocol,
    /// `NoOffsetForPartitionException`: nothing is committed, and there is no reset policy (observed row 15).
    NoOffset(TopicPartition),
    /// `OffsetOutOfRangeException`, without a reset policy; thrown until a seek.
    OutOfRange(TopicPartition, Offset),
    /// `LogTruncationException`, without a reset policy: the log diverges at that offset; thrown until a seek.
    Truncated(TopicPartition, Offset),
}

/// Kafka's consumer library, embedded in a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KafkaConsumer {
    settings: Settings,
    group: GroupId,
    instance: Option<GroupInstanceId>,
    topics: Vec<TopicId>,
    bootstrap: Vec<NodeId>,
    lane: u16,
    volatile: Volatile,
}

/// All of it dies with the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Volatile {
    network: Network<Purpose>,
    metadata: Metadata,
    coordinator: Option<NodeId>,
    /// The coordinator is being asked for, or the back-off before that runs.
    finding: bool,
    find_failures: u32,
    membership: Membership,
    held: PartitionMap<Held>,
    changes: VecDeque<Assigned>,
    /// Counts the assignments that came.
    assignments: u64,
    buffers: Buffers,
    commits: Commits,
    /// Brokers with a fetch unanswered.
    fetching: SmallSet<NodeId>,
    offsets_resting: bool,
    offsets_failures: u32,
    paused: bool,
    /// Since when the owner has been busy with the records of a poll.
    busy_since: Option<Time>,
    poll: Alarm,
    failure: Option<Failure>,
    /// Nothing is left to do before something changes: an owner asks for records after each of its own inputs, and
    /// most of those leave the library as it was.
    settled: bool,
}

impl Volatile {
    fn new(settings: &Settings, bootstrap: &[NodeId], incarnation: u32, lane: u16) -> Volatile {
        let refresh = RefreshSettings {
            retry_backoff: settings.retry_backoff,
            retry_backoff_max: settings.retry_backoff_max,
            max_age: settings.metadata_max_age,
        };
        Volatile {
            network: Network::new(NAMES, settings.request_timeout, incarnation, lane),
            metadata: Metadata::new(refresh, NAMES.metadata, bootstrap.to_vec()),
            coordinator: None,
            finding: false,
            find_failures: 0,
            membership: Membership::new(),
            held: PartitionMap::default(),
            changes: VecDeque::new(),
            assignments: 0,
            buffers: Buffers::default(),
            commits: Commits::default(),
            fetching: SmallSet::default(),
            offsets_resting: false,
            offsets_failures: 0,
            paused: false,
            busy_since: None,
            poll: Alarm::new("kafka-consumer/poll"),
            failure: None,
            settled: false,
        }
    }
}

impl KafkaConsumer {
    /// A member of that group for those topics, which finds its cluster through these nodes; `lane` tells it apart
    /// from its process's other clients. It is silent until it is started.
    pub fn new(
        settings: Settings,
        group: GroupId,
        topics: Vec<TopicId>,
        bootstrap: Vec<NodeId>,
        lane: u16,
    ) -> KafkaConsumer {
        let volatile = Volatile::new(&settings, &bootstrap, 0, lane);
        KafkaConsumer { settings, group, instance: None, topics, bootstrap, lane, volatile }
    }

    /// The same with a `group.instance.id`: a static member, which does not leave on close (observed row 17).
    #[must_use]
    pub fn with_instance(mut self, instance: GroupInstanceId) -> KafkaConsumer {
        self.instance = Some(instance);
        self
    }

    /// Why it stands still, if it does.
    pub fn failure(&self) -> Option<Failure> {
        self.volatile.failure
    }

    /// Go on at that offset of an assigned partition. Returns whether it is assigned (Java throws otherwise,
    /// observed row 14). The position lasts until the next rebalance unless it is committed.
    pub fn seek(
        &mut self,
        now: Now,
        partition: TopicPartition,
        offset: Offset,
        effects: &mut Effects,
    ) -> bool {
        let own = &mut self.volatile;
        let Some(held) = own.held.get_mut(partition) else { return false };
        held.seek(offset);
        own.buffers.drop_partition(partition);
        let stuck = |failure: &Failure| failure.partition() == Some(partition);
        own.failure = own.failure.filter(|failure| !stuck(failure));
        self.changed(now, effects);
        true
    }

    /// The next offset that will be handed out of an assigned partition.
    pub fn position(&self, partition: TopicPartition) -> Option<Offset> {
        self.volatile.held.get(partition).and_then(Held::known_position)
    }

    /// How many partitions a topic has, as of the last refresh.
    pub fn partition_count(&self, topic: TopicId) -> Option<u16> {
        self.volatile.metadata.partition_count(topic)
    }

    /// Something changed: do whatever can be done now.
    fn changed(&mut self, now: Now, effects: &mut Effects) {
        self.volatile.settled = false;
        self.pump(now, effects);
    }

    /// Do whatever can be done now.
    fn pump(&mut self, now: Now, effects: &mut Effects) {
        if self.volatile.settled || matches!(self.volatile.membership.stage, Stage::Closed | Stage::Idle) {
            return;
        }
        self.find_coordinator(now, effects);
        self.send_commits(now, effects);
        self.join_if_due(now, effects);
        self.ask_positions(now, effects);
        self.grant();
        self.fetch(now, effects);
        let own = &mut self.volatile;
        // Partitions without a leader want metadata each time, and a node to ask is sought in turn each time.
        let seeking = own.metadata.is_wanted() || own.coordinator.is_none() && !own.finding;
        own.settled = !seeking && !own.commits.to_be_sent();
        own.metadata.ask_if_wanted(now, Purpose::Metadata, &mut own.network, effects);
    }

    fn heard(&mut self, now: Now, heard: Heard<Purpose>, response: Option<&Response>, effects: &mut Effects) {
        let is_sign_of_life = matches!(response, Some(Response::Heartbeat { error: ErrorCode::None }));
        match (heard, response) {
            (Heard::Answer(purpose), Some(response)) => self.answered(now, purpose, response, effects),
            (Heard::Broken(nodes, lost), _) => {
                self.volatile.metadata.want();
                if self.volatile.coordinator.is_some_and(|node| nodes.contains(&node)) {
                    self.volatile.coordinator = None;
                }
                for purpose in lost {
                    self.lost(now, purpose, effects);
                }
            }
            _ => {}
        }
        // That all is as it was leaves nothing more to do than there was.
        if !is_sign_of_life {
            self.volatile.settled = false;
        }
        self.pump(now, effects);
    }

    fn answered(&mut self, now: Now, purpose: Purpose, response: &Response, effects: &mut Effects) {
        match (purpose, response) {
            (Purpose::Metadata, response) => {
                self.volatile.metadata.answered(now, response, effects);
                self.metadata_came(now, effects);
            }
            (Purpose::FindCoordinator, Response::FindCoordinator { coordinator, .. }) => {
                self.coordinator_found(now, coordinator.map(|(_, node)| node), effects);
            }
            (Purpose::Join, Response::JoinGroup { .. }) => self.joined(now, response.clone(), effects),
            (Purpose::Sync, Response::SyncGroup { error, assignment }) => {
                self.synced(now, *error, &assignment.partitions, effects);
            }
            (Purpose::Heartbeat(member, generation), Response::Heartbeat { error }) => {
                self.heartbeat_answered(now, (member, generation), *error);
            }
            (Purpose::OffsetFetch(asked), Response::OffsetFetch { error, partitions }) => {
                self.offsets_fetched(&asked, *error, partitions, effects);
            }
            (Purpose::ListOffsets(asked), Response::ListOffsets { partitions }) => {
                self.offsets_listed(&asked, partitions, effects);
            }
            (Purpose::Validate(asked), Response::OffsetForLeaderEpoch { partitions }) => {
                self.validated(&asked, partitions, effects);
            }
            (Purpose::Fetch(node, asked), Response::Fetch { partitions, .. }) => {
                self.volatile.fetching.remove(node);
                self.fetched(&asked, partitions);
            }
            (Purpose::Commit(member, generation), Response::OffsetCommit { partitions }) => {
                self.commit_answered(now, (member, generation), partitions, effects);
            }
            (purpose, _) => self.lost(now, purpose, effects),
        }
    }

    /// A request was lost with its connection.
    fn lost(&mut self, now: Now, purpose: Purpose, effects: &mut Effects) {
        match purpose {
            Purpose::Metadata => self.volatile.metadata.failed(now),
            Purpose::FindCoordinator => self.coordinator_found(now, None, effects),
            Purpose::Join | Purpose::Sync => self.rejoin_later(effects),
            Purpose::Heartbeat(..) => self.volatile.membership.heartbeat_unanswered = false,
            Purpose::OffsetFetch(asked) | Purpose::ListOffsets(asked) => {
                self.positions_failed(&asked, effects);
            }
            Purpose::Validate(asked) => {
                let asked: Vec<TopicPartition> = asked.into_iter().map(|(partition, _)| partition).collect();
                self.positions_failed(&asked, effects);
            }
            Purpose::Fetch(node, asked) => {
                self.volatile.fetching.remove(node);
                self.await_metadata(asked.iter().map(|(partition, _)| *partition));
            }
            Purpose::Commit(member, generation) => {
                let membership = &self.volatile.membership;
                if (member, generation) == (membership.member, membership.generation) {
                    self.retry_commit(effects);
                }
            }
        }
    }

    fn timer(&mut self, now: Now, timer: Timer, effects: &mut Effects) {
        if self.volatile.membership.stage == Stage::Closed {
            return;
        }
        if let Some(heard) = self.volatile.network.timer(now, timer, effects) {
            return self.heard(now, heard, None, effects);
        }
        match timer {
            HEARTBEAT => {
                self.heartbeat_due(now, effects);
                if self.volatile.coordinator.is_some() {
                    return self.pump(now, effects);
                }
            }
            FIND_COORDINATOR => self.volatile.finding = false,
            REJOIN => self.volatile.membership.rejoin_due(),
            OFFSETS => self.volatile.offsets_resting = false,
            COMMIT => self.volatile.commits.resting = false,
            _ => {
                if !self.volatile.metadata.ran_out(timer) && self.volatile.poll.ran_out(timer) {
                    self.poll_due(now, effects);
                }
            }
        }
        self.changed(now, effects);
    }
}

impl Failure {
    fn partition(&self) -> Option<TopicPartition> {
        match self {
            Failure::FencedInstance | Failure::InconsistentProtocol => None,
            Failure::NoOffset(partition)
            | Failure::OutOfRange(partition, _)
            | Failure::Truncated(partition, _) => Some(*partition),
        }
    }
}

impl Consumer for KafkaConsumer {
    fn start(&mut self, now: Now, incarnation: u32, effects: &mut Effects) {
        self.volatile = Volatile::new(&self.settings, &self.bootstrap, incarnation, self.lane);
        for topic in &self.topics {
            self.volatile.metadata.add_topic(*topic);
        }
        self.volatile.membership.stage = Stage::Unjoined;
        effects.set_timer(HEARTBEAT, self.settings.heartbeat_interval);
        self.pump(now, effects);
    }

    fn step(&mut self, now: Now, input: &Input, effects: &mut Effects) -> bool {
        match input {
            Input::Message { from, message: Message::KafkaResponse(id, response) }
                if self.volatile.network.issued(*id) =>
            {
                let heard = self.volatile.network.answered(*from, *id);
                self.volatile.network.throttle(*from, response.throttle(), effects);
                if self.volatile.membership.stage != Stage::Closed {
                    self.heard(now, heard, Some(response), effects);
                }
                true
            }
            Input::Timer(timer) if timer.name.starts_with("kafka-consumer/") => {
                self.timer(now, *timer, effects);
                true
            }
            Input::Disconnected(node) if self.volatile.membership.stage != Stage::Closed => {
                let heard = self.volatile.network.disconnected(*node, effects);
                if heard != Heard::Nothing {
                    self.heard(now, heard, None, effects);
                }
                // Another library of the process may have talked with that node as well.
                false
            }
            _ => false,
        }
    }

    fn assigned(&mut self) -> Option<Assigned> {
        self.take_change()
    }

    fn is_quiet(&self) -> bool {
        let own = &self.volatile;
        // A member that has not joined yet does so in its owner's poll.
        let polls_in_vain =
            own.settled && own.busy_since.is_none() && own.membership.stage != Stage::Unjoined;
        polls_in_vain && own.changes.is_empty() && own.buffers.are_empty()
    }

    fn release(&mut self, now: Now, effects: &mut Effects) {
        self.released(now, effects);
    }

    fn receive(&mut self, now: Now, effects: &mut Effects) -> Option<Received> {
        self.take_record(now, effects)
    }

    fn receive_from(
        &mut self,
        now: Now,
        partition: TopicPartition,
        effects: &mut Effects,
    ) -> Option<Received> {
        self.take_record_of(now, partition, effects)
    }

    fn commit(&mut self, now: Now, offsets: &[(TopicPartition, Offset)], effects: &mut Effects) {
        self.add_commits(now, offsets, effects);
    }

    fn committing(&self) -> bool {
        self.volatile.commits.unanswered()
    }

    fn assignment(&self) -> Vec<TopicPartition> {
        let granted = self.volatile.held.iter().filter(|(_, held)| held.granted);
        granted.map(|(partition, _)| partition).collect()
    }

    fn assignments(&self) -> u64 {
        self.volatile.assignments
    }

    fn pause(&mut self, _now: Now, _effects: &mut Effects) {
        self.volatile.paused = true;
        self.volatile.settled = false;
        // An owner that pauses goes on polling.
        self.volatile.busy_since = None;
    }

    fn resume(&mut self, now: Now, effects: &mut Effects) {
        self.volatile.paused = false;
        self.changed(now, effects);
    }

    fn seek(&mut self, now: Now, partition: TopicPartition, offset: Offset, effects: &mut Effects) -> bool {
        KafkaConsumer::seek(self, now, partition, offset, effects)
    }

    fn watch_commit(&mut self, partition: TopicPartition) {
        self.volatile.commits.watch(partition);
    }

    fn watched_commit_is_acknowledged(&self, partition: TopicPartition) -> bool {
        self.volatile.commits.watched_is_acknowledged(partition)
    }

    fn report_commits(&mut self) {
        self.volatile.commits.acknowledged.get_or_insert_default();
    }

    fn acknowledged_commit(&mut self) -> Option<(TopicPartition, Offset)> {
        self.volatile.commits.acknowledged.as_mut()?.pop_front()
    }

    fn close(&mut self, _now: Now, effects: &mut Effects) {
        self.leave_for_good(effects);
    }
}
