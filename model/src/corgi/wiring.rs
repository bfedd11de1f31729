//! Where Corgi's nodes are and which partitions lie on which broker set: plain data, built from a case.

use crate::plan::Purpose;
use crate::record::{NodeId, TopicId, TopicPartition};
use serde::Serialize;

/// The nodes and the topics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Wiring {
    /// The name service.
    pub name_service: NodeId,
    /// The human on call.
    pub on_call: NodeId,
    /// The brokers of each set; the first of a set is its master when everything starts for the first time.
    pub sets: Vec<Vec<NodeId>>,
    /// How many of the sets, the last ones, do not run when everything starts: they may be added later.
    pub standby_sets: u16,
    /// The topics.
    pub topics: Vec<Topic>,
}

/// A topic and the sets that its partitions lie on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Topic {
    /// Which.
    pub topic: TopicId,
    /// The broker set of each partition, by the partition's number.
    pub sets: Vec<u16>,
    /// How many of them are written to and read, where the topic was narrowed.
    pub limits: Limits,
}

/// How many of a topic's partitions, from 0, are in use: RocketMQ's write and read queues (e9). None where all are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Producers are told of so many.
    pub write: Option<u16>,
    /// Readers are told of so many, and no others can be read.
    pub read: Option<u16>,
}

impl std::hash::Hash for Limits {
    /// A topic that was never narrowed leaves no trace of it.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        if *self != Limits::default() {
            (self.write, self.read).hash(state);
        }
    }
}

impl Limits {
    /// The narrower of both: a topic that was narrowed is not made wider again.
    pub fn with(self, other: Limits) -> Limits {
        let narrower = |one: Option<u16>, other: Option<u16>| one.into_iter().chain(other).min();
        Limits { write: narrower(self.write, other.write), read: narrower(self.read, other.read) }
    }

    /// Whether a partition can be read.
    pub fn reads(self, partition: u16) -> bool {
        self.read.is_none_or(|count| partition < count)
    }

    /// Whether producers are told of a partition.
    pub fn writes(self, partition: u16) -> bool {
        self.write.is_none_or(|count| partition < count)
    }
}

impl Topic {
    /// A topic of so many partitions, spread over so many sets in turn.
    ///
    /// # Panics
    /// If there is no set.
    pub fn spread(topic: TopicId, partitions: u16, sets: u16) -> Topic {
        assert!(sets > 0, "Corgi has at least one broker set");
        Topic { topic, sets: Vec::new(), limits: Limits::default() }
            .widened(partitions, &(0..sets).collect::<Vec<_>>())
    }

    /// The same topic with so many partitions, the new ones spread over those sets in turn.
    ///
    /// # Panics
    /// If there is no set.
    pub fn widened(&self, partitions: u16, sets: &[u16]) -> Topic {
        assert!(!sets.is_empty(), "Corgi has at least one broker set");
        let new = (self.sets.len()..usize::from(partitions)).map(|partition| sets[partition % sets.len()]);
        Topic { sets: self.sets.iter().copied().chain(new).collect(), ..*self }
    }

    /// The same topic with no more partitions in use for that.
    pub fn narrowed(&self, partitions: u16, purpose: Purpose) -> Topic {
        let limits = match purpose {
            Purpose::Writing => Limits { write: Some(partitions), read: None },
            Purpose::Reading => Limits { write: None, read: Some(partitions) },
        };
        Topic { limits: self.limits.with(limits), ..self.clone() }
    }

    /// How many partitions producers are told of.
    pub fn writable(&self) -> u16 {
        let count = u16::try_from(self.sets.len()).unwrap_or(u16::MAX);
        self.limits.write.map_or(count, |limit| limit.min(count))
    }
}

/// Takes in what is told of topics' shapes: partitions are only ever added and taken out of use, so that the wider shape and the
/// narrower limits are the newer ones. Returns whether there was news.
pub fn take_wider(known: &mut Vec<Topic>, told: &[Topic]) -> bool {
    let mut news = false;
    for topic in told {
        match known.iter_mut().find(|known| known.topic == topic.topic) {
            Some(known) => {
                let limits = known.limits.with(topic.limits);
                let wider = topic.sets.len() > known.sets.len();
                news |= wider || limits != known.limits;
                if wider {
                    known.sets.clone_from(&topic.sets);
                }
                known.limits = limits;
            }
            None => {
                known.push(topic.clone());
                news = true;
            }
        }
    }
    news
}

impl Wiring {
    /// The set that a partition lies on, if there is such a partition.
    pub fn set_of(&self, partition: TopicPartition) -> Option<u16> {
        set_of(&self.topics, partition)
    }

    /// How many sets run from the beginning.
    pub fn standing_sets(&self) -> usize {
        self.sets.len().saturating_sub(usize::from(self.standby_sets))
    }

    /// The brokers of a set.
    pub fn brokers(&self, set: u16) -> &[NodeId] {
        self.sets.get(usize::from(set)).map_or(&[], Vec::as_slice)
    }

    /// The first partition of a set, which stands for the whole of it in the history.
    pub fn first_partition(&self, set: u16) -> Option<TopicPartition> {
        self.partitions(set).next()
    }

    /// The partitions of a set.
    pub fn partitions(&self, set: u16) -> impl Iterator<Item = TopicPartition> + '_ {
        self.topics.iter().flat_map(move |topic| {
            let numbered = (0u16..).zip(&topic.sets).filter(move |(_, on)| **on == set);
            numbered.map(move |(partition, _)| TopicPartition { topic: topic.topic, partition })
        })
    }
}

/// The set that a partition lies on, if there is such a partition among those topics.
pub fn set_of(topics: &[Topic], partition: TopicPartition) -> Option<u16> {
    let topic = topics.iter().find(|topic| topic.topic == partition.topic)?;
    topic.sets.get(usize::from(partition.partition)).copied()
}
