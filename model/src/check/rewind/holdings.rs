//! Which partitions of Kafka an instance has, as far as it was told: whose rewind alone is asked for, is rewound in those.

use crate::record::{NodeId, TopicPartition};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What each instance has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Holdings {
    of: BTreeMap<NodeId, Holding>,
}

/// What one instance has, and what it had last before it had nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Holding {
    now: BTreeSet<TopicPartition>,
    last: BTreeSet<TopicPartition>,
}

impl Holdings {
    pub(super) fn granted(&mut self, node: NodeId, partitions: &[TopicPartition]) {
        self.of.entry(node).or_default().now.extend(partitions);
    }

    pub(super) fn revoked(&mut self, node: NodeId, partitions: &[TopicPartition]) {
        let Some(holding) = self.of.get_mut(&node).filter(|holding| !holding.now.is_empty()) else { return };
        holding.last = holding.now.clone();
        holding.now.retain(|partition| !partitions.contains(partition));
    }

    pub(super) fn stopped(&mut self, node: NodeId) {
        let Some(holding) = self.of.get_mut(&node).filter(|holding| !holding.now.is_empty()) else { return };
        holding.last = std::mem::take(&mut holding.now);
    }

    /// What an instance has; and as long as it has nothing, in a rebalance or because it is gone, what it had last.
    pub(super) fn of(&self, node: NodeId) -> BTreeSet<TopicPartition> {
        let holding = self.of.get(&node).cloned().unwrap_or_default();
        if holding.now.is_empty() { holding.last } else { holding.now }
    }
}
