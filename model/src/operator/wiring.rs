//! Whom the operator deals with, and what the plan's names stand for: plain data, made from the case.

use crate::plan::Names;
use crate::record::{GroupId, NodeId, TopicId, TopicPartition};
use serde::Serialize;

/// The operator's address book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Wiring {
    /// The topics; a topic's place is its [`TopicId`].
    pub topics: Vec<TopicWiring>,
    /// The groups; a group's place is its [`GroupId`].
    pub groups: Vec<GroupWiring>,
    /// The group as which the mirror's workers read from Corgi.
    pub mirror_group: GroupId,
    /// The switch centre.
    pub switch_centre: NodeId,
    /// The deployment.
    pub deployment: NodeId,
    /// Every Corgi broker that runs from the beginning, masters and slaves.
    pub corgi_brokers: Vec<NodeId>,
    /// How many broker sets Corgi has from the beginning, over which its partitions are spread.
    pub corgi_sets: u16,
    /// The brokers of each broker set that stands by.
    pub standby: Vec<Vec<NodeId>>,
    /// Corgi's name service.
    pub name_service: NodeId,
    /// Every Kafka broker: the bootstrap list.
    pub kafka_brokers: Vec<NodeId>,
    /// The mirror's workers.
    pub mirror_workers: Vec<NodeId>,
    /// The reverse mirror's workers, where there is one.
    pub reverse_mirror_workers: Vec<NodeId>,
    /// The producer applications.
    pub producers: Vec<NodeId>,
    /// Redis, where there is one.
    pub redis: Option<NodeId>,
}

/// A topic as the operator knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TopicWiring {
    /// Its name.
    pub name: String,
    /// How many source partitions it has, in Corgi.
    pub source_partitions: u16,
    /// How many target partitions it has, in Kafka.
    pub target_partitions: u16,
}

/// A group as the operator knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GroupWiring {
    /// Its name.
    pub name: String,
    /// The topics that it processes.
    pub topics: Vec<TopicId>,
    /// Its NewClient instances: how many reports there must be is known from here, not from who happens to answer
    /// (hazard 46).
    pub new_clients: Vec<NodeId>,
}

impl Wiring {
    /// The names that a plan may use.
    pub fn names(&self) -> Names {
        Names {
            groups: self.groups.iter().map(|group| group.name.clone()).collect(),
            topics: self.topics.iter().map(|topic| (topic.name.clone(), topic.source_partitions)).collect(),
            broker_sets: self.corgi_sets,
            standby_sets: u16::try_from(self.standby.len()).unwrap_or(u16::MAX),
            targets: self.topics.iter().map(|topic| (topic.name.clone(), topic.target_partitions)).collect(),
            // Only warnings depend on the maps, and the operator asks for errors.
            ..Names::default()
        }
    }

    /// The group of that name.
    ///
    /// # Panics
    /// If there is none: the operator takes no plan with an unknown name.
    pub(super) fn group(&self, name: &str) -> (GroupId, &GroupWiring) {
        let place = self.groups.iter().position(|group| group.name == name);
        let place = place.expect("a plan that was accepted names groups of the case only");
        (GroupId(place as u16), &self.groups[place])
    }

    /// The topics of those names; all where none is named.
    pub(super) fn topics(&self, names: &[String]) -> Vec<TopicId> {
        let named = |topic: &TopicWiring| names.is_empty() || names.contains(&topic.name);
        (0u16..)
            .zip(&self.topics)
            .filter(|(_, topic)| named(topic))
            .map(|(place, _)| TopicId(place))
            .collect()
    }

    /// Every source partition.
    pub(super) fn sources(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        (0u16..).zip(&self.topics).flat_map(|(topic, wiring)| {
            (0..wiring.source_partitions).map(move |partition| TopicPartition::new(topic, partition))
        })
    }

    /// Every target partition.
    pub(super) fn targets(&self) -> impl Iterator<Item = TopicPartition> + '_ {
        (0u16..).zip(&self.topics).flat_map(|(topic, wiring)| {
            (0..wiring.target_partitions).map(move |partition| TopicPartition::new(topic, partition))
        })
    }

    /// The target partitions that a group reads.
    pub(super) fn targets_of<'a>(
        &'a self,
        group: &'a GroupWiring,
    ) -> impl Iterator<Item = TopicPartition> + 'a {
        group.topics.iter().flat_map(|topic| {
            let count = self.topics.get(usize::from(topic.0)).map_or(0, |wiring| wiring.target_partitions);
            (0..count).map(|partition| TopicPartition { topic: *topic, partition })
        })
    }

    /// A partition by its topic's name: `payments/3`.
    pub(super) fn say(&self, partition: TopicPartition) -> String {
        match self.topics.get(usize::from(partition.topic.0)) {
            Some(topic) => format!("{}/{}", topic.name, partition.partition),
            None => partition.to_string(),
        }
    }
}
