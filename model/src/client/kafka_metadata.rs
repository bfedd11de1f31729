//! What a Kafka client knows of the cluster: the brokers, and who leads each partition. It is asked for anew on
//! errors and when it is old, with Java's back-off (3.9: doubled also while answers tell nothing new, KIP-580).
//!
//! As observed (row 22), the bootstrap list is used until the first answer and never again: a client whose last
//! known brokers are gone stays stuck. `metadata.recovery.strategy=rebootstrap` is left out.

use super::kafka_network::{Network, backoff};
use crate::kafka::protocol::{BrokerId, ErrorCode, PartitionMetadata, Request, Response};
use crate::machine::{Effects, Now, Timer};
use crate::partition_map::PartitionMap;
use crate::record::{NodeId, TopicId, TopicPartition};
use crate::small_set::SmallSet;
use crate::units::{Span, Time};
use litemap::LiteMap;
use serde::Serialize;
use std::collections::BTreeSet;

/// Who leads a partition, as far as the client knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Leadership {
    pub(crate) leader: Option<BrokerId>,
    pub(crate) epoch: i32,
}

/// How often metadata is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RefreshSettings {
    pub(crate) retry_backoff: Span,
    pub(crate) retry_backoff_max: Span,
    pub(crate) max_age: Span,
}

/// The client's picture of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Metadata {
    settings: RefreshSettings,
    timer: Timer,
    bootstrap: Vec<NodeId>,
    brokers: LiteMap<BrokerId, NodeId>,
    topics: BTreeSet<TopicId>,
    partitions: PartitionMap<Leadership>,
    /// Somebody needs an answer newer than the last.
    wanted: bool,
    asked: bool,
    /// The timer runs for a back-off, not for the age.
    backing_off: bool,
    last_at: Option<Time>,
    /// Failures in a row, or answers in a row that told nothing new.
    repeats: u32,
}

impl Metadata {
    pub(crate) fn new(settings: RefreshSettings, timer: &'static str, bootstrap: Vec<NodeId>) -> Metadata {
        Metadata {
            settings,
            timer: Timer::new(timer, 0),
            bootstrap,
            brokers: LiteMap::new(),
            topics: BTreeSet::new(),
            partitions: PartitionMap::default(),
            wanted: false,
            asked: false,
            backing_off: false,
            last_at: None,
            repeats: 0,
        }
    }

    /// The nodes that may be asked.
    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        if self.brokers.is_empty() {
            self.bootstrap.clone()
        } else {
            self.brokers.values().copied().collect()
        }
    }

    /// Be interested in that topic as well; a new one is asked for without a back-off.
    pub(crate) fn add_topic(&mut self, topic: TopicId) {
        if self.topics.insert(topic) {
            self.wanted = true;
            self.last_at = None;
            self.repeats = 0;
        }
    }

    pub(crate) fn topics(&self) -> Vec<TopicId> {
        self.topics.iter().copied().collect()
    }

    /// An error showed that the picture is out of date.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// Whether an answer newer than the last is wanted, be it asked for or not.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Where a broker is reached.
    pub(crate) fn node(&self, broker: BrokerId) -> Option<NodeId> {
        self.brokers.get(&broker).copied()
    }

    pub(crate) fn leadership(&self, partition: TopicPartition) -> Option<Leadership> {
        self.partitions.get(partition).copied()
    }

    /// Where the leader of a partition is reached, if it has one.
    pub(crate) fn leader_node(&self, partition: TopicPartition) -> Option<NodeId> {
        self.node(self.partitions.get(partition)?.leader?)
    }

    /// How many partitions a topic has; None while it is unknown.
    pub(crate) fn partition_count(&self, topic: TopicId) -> Option<u16> {
        let count = self.partitions.of_topic(topic).count();
        u16::try_from(count).ok().filter(|count| *count > 0)
    }

    /// Try the connections to those nodes again.
    pub(crate) fn connect<P: Clone>(
        &self,
        now: Now,
        broken: &SmallSet<NodeId>,
        network: &mut Network<P>,
        effects: &mut Effects,
    ) {
        for node in broken.iter() {
            network.connect(now, node, &self.topics(), effects);
        }
    }

    /// Ask if somebody wants it, it is time, and a node can be asked.
    pub(crate) fn ask_if_wanted<P: Clone>(
        &mut self,
        now: Now,
        purpose: P,
        network: &mut Network<P>,
        effects: &mut Effects,
    ) {
        if !self.wanted || self.asked || self.backing_off || self.topics.is_empty() || self.wait(now, effects)
        {
            return;
        }
        let Some(node) = network.least_loaded(&self.nodes()) else { return };
        self.wanted = false;
        self.asked = true;
        network.ask(now, node, purpose, Request::Metadata { topics: self.topics() }, effects);
    }

    /// Whether the back-off since the last answer or failure is still running; sets the timer then.
    fn wait(&mut self, now: Now, effects: &mut Effects) -> bool {
        let Some(last_at) = self.last_at else { return false };
        let (least, most) =
            backoff(self.settings.retry_backoff, self.settings.retry_backoff_max, self.repeats);
        let passed = now.elapsed.since(last_at);
        if passed >= most {
            return false;
        }
        self.backing_off = true;
        let least = least.saturating_sub(passed);
        effects.set_timer_between(self.timer, least, most.saturating_sub(passed));
        true
    }

    /// Whether the timer is the metadata's; the picture is then wanted anew.
    pub(crate) fn ran_out(&mut self, timer: Timer) -> bool {
        let own = timer == self.timer;
        if own {
            self.wanted = true;
            self.backing_off = false;
            self.last_at = None;
        }
        own
    }

    /// The request was lost with its connection.
    pub(crate) fn failed(&mut self, now: Now) {
        self.asked = false;
        self.wanted = true;
        self.last_at = Some(now.elapsed);
        self.repeats += 1;
    }

    /// Take an answer in. Returns whether a leader or a partition count changed.
    pub(crate) fn answered(&mut self, now: Now, response: &Response, effects: &mut Effects) -> bool {
        self.asked = false;
        let Response::Metadata { brokers, unknown, partitions } = response else { return false };
        let before = (std::mem::take(&mut self.brokers), self.partitions.clone());
        self.brokers = brokers.iter().copied().collect();
        self.partitions.retain(|partition, _| !unknown.contains(&partition.topic));
        for partition in partitions {
            self.take_partition(partition);
        }
        let changed = before.1 != self.partitions;
        let fresh = changed || before.0 != self.brokers;
        self.repeats = if fresh { 0 } else { self.repeats + 1 };
        self.last_at = Some(now.elapsed);
        effects.set_timer(self.timer, self.settings.max_age);
        changed
    }

    /// An answer from a broker that lags behind does not undo a newer epoch (KIP-320).
    fn take_partition(&mut self, told: &PartitionMetadata) {
        let known = self.partitions.or_default(told.partition);
        if told.leader_epoch >= known.epoch {
            *known = Leadership { leader: told.leader, epoch: told.leader_epoch };
        }
        if told.error != ErrorCode::None {
            self.wanted = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::kafka_network::TimerNames;
    use crate::machine::{After, TimerEffect};

    const NAMES: TimerNames =
        TimerNames { request: "t/request", reconnect: "t/reconnect", metadata: "t/metadata" };

    fn fixture() -> (Metadata, Network<()>) {
        let settings = RefreshSettings {
            retry_backoff: Span::millis(100),
            retry_backoff_max: Span::millis(1_000),
            max_age: Span::secs(300),
        };
        let metadata = Metadata::new(settings, NAMES.metadata, vec![NodeId(9)]);
        (metadata, Network::new(NAMES, Span::secs(30), 1, 0))
    }

    fn answer(epoch: i32) -> Response {
        Response::Metadata {
            brokers: vec![(BrokerId(1), NodeId(1))],
            unknown: vec![],
            partitions: vec![PartitionMetadata {
                partition: TopicPartition::new(0, 0),
                error: ErrorCode::None,
                leader: Some(BrokerId(1)),
                leader_epoch: epoch,
                replicas: vec![],
                isr: vec![],
                offline: vec![],
            }],
        }
    }

    #[test]
    fn it_asks_the_bootstrap_list_first_and_the_known_brokers_ever_after() {
        let (mut metadata, mut network) = fixture();
        let mut effects = Effects::default();
        metadata.add_topic(TopicId(0));
        metadata.ask_if_wanted(Now::exact(Time(0)), (), &mut network, &mut effects);
        assert_eq!(effects.sends[0].0, NodeId(9));
        assert!(metadata.answered(Now::exact(Time(1)), &answer(3), &mut effects));
        assert_eq!(metadata.nodes(), [NodeId(1)]);
        assert_eq!(metadata.leader_node(TopicPartition::new(0, 0)), Some(NodeId(1)));
        assert_eq!(metadata.partition_count(TopicId(0)), Some(1));
    }

    #[test]
    fn answers_that_tell_nothing_new_are_asked_for_less_and_less_often() {
        let (mut metadata, mut network) = fixture();
        metadata.add_topic(TopicId(0));
        let mut least = Vec::new();
        for round in 0..5 {
            let now = Now::exact(Time(round));
            let mut effects = Effects::default();
            metadata.ask_if_wanted(now, (), &mut network, &mut effects);
            metadata.answered(now, &answer(3), &mut effects);
            effects.clear();
            metadata.want();
            metadata.ask_if_wanted(now, (), &mut network, &mut effects);
            let Some(TimerEffect::Set(timer, After::Between(from, _))) = effects.timers.pop() else {
                panic!()
            };
            least.push(from.as_millis());
            metadata.ran_out(timer);
        }
        assert_eq!(least, [80, 160, 320, 640, 800]);
    }

    #[test]
    fn an_older_epoch_does_not_undo_a_newer_one() {
        let (mut metadata, _) = fixture();
        let mut effects = Effects::default();
        metadata.answered(Now::exact(Time(0)), &answer(5), &mut effects);
        metadata.answered(Now::exact(Time(0)), &answer(4), &mut effects);
        assert_eq!(metadata.leadership(TopicPartition::new(0, 0)).map(|known| known.epoch), Some(5));
    }
}
