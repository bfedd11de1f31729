//! What the cluster has agreed on: brokers, topics, and who leads each partition, as an ordered log of records
//! that the controller writes and each broker applies at its own pace (KRaft's metadata log).
//!
//! Each record carries the whole new state of its subject, so that applying one twice does no harm.

use super::admin::Setting;
use super::protocol::{BrokerId, ErrorCode};
use crate::partition_map::PartitionMap;
use crate::record::{NodeId, TopicId, TopicPartition};
use crate::units::{Bytes, Span};
use litemap::LiteMap;
use serde::Serialize;
use std::sync::Arc;

/// What a topic sets apart from the cluster's settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct TopicConfig {
    /// `min.insync.replicas`.
    pub min_insync_replicas: Option<u32>,
    /// `unclean.leader.election.enable`.
    pub unclean_leader_election: Option<bool>,
    /// `max.message.bytes`.
    pub max_message: Option<Bytes>,
    /// `retention.ms`.
    pub retention: Option<Span>,
    /// `retention.bytes`.
    pub retention_bytes: Option<Bytes>,
    /// `segment.bytes`.
    pub segment: Option<Bytes>,
    /// Whether the leader stamps records with its own time (`message.timestamp.type=LogAppendTime`).
    pub append_time: Option<bool>,
    /// Whether records need a key (`cleanup.policy=compact`); compaction itself is absent.
    pub compacted: Option<bool>,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before: Option<Span>,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after: Option<Span>,
}

impl TopicConfig {
    /// Read settings as Kafka writes them.
    ///
    /// # Errors
    /// `INVALID_CONFIG` for a name that no topic has and for a value that the setting does not take.
    pub fn read(settings: &[Setting]) -> Result<TopicConfig, ErrorCode> {
        let mut config = TopicConfig::default();
        for (name, value) in settings {
            config.set(name, value).ok_or(ErrorCode::InvalidConfig)?;
        }
        Ok(config)
    }

    /// Retentions may be -1, for ever. Not all that Kafka knows has an effect here: what has none is refused, so that
    /// nobody takes it for granted.
    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        let at_least = |least: i64| value.parse::<i64>().ok().filter(|number| *number >= least);
        let positive = |least: i64| at_least(least).and_then(|number| u64::try_from(number).ok());
        let span = |millis: u64| Span(millis.saturating_mul(1_000));
        match name {
            "min.insync.replicas" => self.min_insync_replicas = Some(u32::try_from(positive(1)?).ok()?),
            "unclean.leader.election.enable" => self.unclean_leader_election = Some(value.parse().ok()?),
            "max.message.bytes" => self.max_message = Some(Bytes(positive(0)?)),
            "retention.ms" => {
                let kept = at_least(-1)?;
                self.retention = Some(u64::try_from(kept).map_or(Span(u64::MAX), span));
            }
            "retention.bytes" => {
                let kept = at_least(-1)?;
                self.retention_bytes = Some(Bytes(u64::try_from(kept).unwrap_or(u64::MAX)));
            }
            "segment.bytes" => self.segment = Some(Bytes(positive(14)?)),
            "message.timestamp.type" => {
                self.append_time = Some(match value {
                    "LogAppendTime" => true,
                    "CreateTime" => false,
                    _ => return None,
                });
            }
            "cleanup.policy" => {
                self.compacted = Some(match value {
                    "compact" => true,
                    "delete" => false,
                    _ => return None,
                });
            }
            "message.timestamp.before.max.ms" => self.timestamp_before = Some(span(positive(0)?)),
            "message.timestamp.after.max.ms" => self.timestamp_after = Some(span(positive(0)?)),
            _ => return None,
        }
        Some(())
    }

    /// These settings, and those of `other` where it has any.
    #[must_use]
    pub fn merged(self, other: TopicConfig) -> TopicConfig {
        TopicConfig {
            min_insync_replicas: other.min_insync_replicas.or(self.min_insync_replicas),
            unclean_leader_election: other.unclean_leader_election.or(self.unclean_leader_election),
            max_message: other.max_message.or(self.max_message),
            retention: other.retention.or(self.retention),
            retention_bytes: other.retention_bytes.or(self.retention_bytes),
            segment: other.segment.or(self.segment),
            append_time: other.append_time.or(self.append_time),
            compacted: other.compacted.or(self.compacted),
            timestamp_before: other.timestamp_before.or(self.timestamp_before),
            timestamp_after: other.timestamp_after.or(self.timestamp_after),
        }
    }
}

/// A topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct TopicState {
    /// Which of the topics of this name: one that is created anew is another.
    pub incarnation: u64,
    /// What it is called; empty where it was there from the start.
    pub name: Arc<str>,
    /// How many partitions it has.
    pub partitions: u16,
    /// Its own settings.
    pub config: TopicConfig,
}

/// A partition's replicas and who leads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct PartitionState {
    /// Its replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Those in sync.
    pub isr: Vec<BrokerId>,
    /// Its leader, if there is one.
    pub leader: Option<BrokerId>,
    /// Counts the leaders.
    pub leader_epoch: i32,
    /// Counts the changes of this state.
    pub partition_epoch: i32,
    /// While it is moved: the replicas that it had before; empty otherwise.
    pub moving_from: Vec<BrokerId>,
    /// While it is moved: the replicas that it is to have; empty otherwise.
    pub moving_to: Vec<BrokerId>,
}

impl PartitionState {
    /// A new partition: all replicas in sync, the first leads.
    pub fn new(replicas: Vec<BrokerId>) -> PartitionState {
        PartitionState {
            isr: replicas.clone(),
            leader: replicas.first().copied(),
            replicas,
            ..PartitionState::default()
        }
    }
}

/// A broker as the controller knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct BrokerState {
    /// Where it is reached.
    pub node: NodeId,
    /// Its life: the place of its registration in the metadata log.
    pub epoch: u64,
    /// Which start of its process registered.
    pub incarnation: u32,
    /// Whether it is shut out: no leader, not in any ISR.
    pub fenced: bool,
    /// Whether it is stopping in good order.
    pub stopping: bool,
}

/// One line of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum MetadataRecord {
    /// A broker's state is now this.
    Broker(BrokerId, BrokerState),
    /// A topic's state is now this.
    Topic(TopicId, TopicState),
    /// A partition's state is now this.
    Partition(TopicPartition, PartitionState),
    /// A topic is gone, with its partitions.
    TopicGone(TopicId),
}

/// All that was agreed on, up to a place in the metadata log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Image {
    /// How many records of the metadata log it holds.
    pub next: u64,
    /// The brokers.
    pub brokers: LiteMap<BrokerId, BrokerState>,
    /// The topics.
    pub topics: LiteMap<TopicId, TopicState>,
    /// The partitions.
    pub partitions: PartitionMap<PartitionState>,
}

impl Image {
    /// Take the next record in.
    pub fn apply(&mut self, record: &MetadataRecord) {
        self.next += 1;
        match record {
            MetadataRecord::Broker(id, state) => {
                self.brokers.insert(*id, state.clone());
            }
            MetadataRecord::Topic(id, state) => {
                self.topics.insert(*id, state.clone());
            }
            MetadataRecord::Partition(at, state) => {
                self.partitions.insert(*at, state.clone());
            }
            MetadataRecord::TopicGone(id) => {
                self.topics.remove(id);
                self.partitions.retain(|at, _| at.topic != *id);
            }
        }
    }

    /// Whether a broker may lead and be in sync.
    pub fn is_active(&self, broker: BrokerId) -> bool {
        self.brokers.get(&broker).is_some_and(|state| !state.fenced && !state.stopping)
    }

    /// Whether a broker is not fenced.
    pub fn is_alive(&self, broker: BrokerId) -> bool {
        self.brokers.get(&broker).is_some_and(|state| !state.fenced)
    }

    /// The partitions of a topic, in order.
    pub fn partitions_of(&self, topic: TopicId) -> impl Iterator<Item = (TopicPartition, &PartitionState)> {
        self.partitions.of_topic(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Result<TopicConfig, ErrorCode> {
        TopicConfig::read(&[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn settings_are_read_as_kafka_writes_them() {
        assert_eq!(read("retention.ms", "1500").map(|read| read.retention), Ok(Some(Span::millis(1_500))));
        assert_eq!(read("retention.ms", "-1").map(|read| read.retention), Ok(Some(Span(u64::MAX))));
        let longest = i64::MAX.to_string();
        assert_eq!(read("retention.ms", &longest).map(|read| read.retention), Ok(Some(Span(u64::MAX))));
        assert_eq!(read("cleanup.policy", "compact").map(|read| read.compacted), Ok(Some(true)));
    }

    #[test]
    fn other_names_and_values_are_refused() {
        for (name, value) in [
            ("no.such.setting", "1"),
            ("retention.ms", "soon"),
            ("retention.ms", "-2"),
            ("min.insync.replicas", "0"),
            ("cleanup.policy", "shrink"),
            ("segment.bytes", "13"),
        ] {
            assert_eq!(read(name, value), Err(ErrorCode::InvalidConfig), "{name}={value}");
        }
    }
}
