//! A small set of partitions in their order: a sorted vector that keeps its memory. What changed in a step, or since
//! a fetch, is a handful, and is filled and emptied all the time: a tree would allocate each time.

use crate::record::TopicPartition;
use serde::Serialize;

/// Partitions, each once, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct PartitionSet {
    sorted: Vec<TopicPartition>,
}

impl PartitionSet {
    /// Put a partition in, if it is not there.
    pub fn insert(&mut self, partition: TopicPartition) {
        if let Err(place) = self.sorted.binary_search(&partition) {
            self.sorted.insert(place, partition);
        }
    }

    /// Take a partition out, if it is there.
    pub fn remove(&mut self, partition: TopicPartition) {
        if let Ok(place) = self.sorted.binary_search(&partition) {
            self.sorted.remove(place);
        }
    }

    /// Take the first one out.
    pub fn pop_first(&mut self) -> Option<TopicPartition> {
        (!self.sorted.is_empty()).then(|| self.sorted.remove(0))
    }

    /// Empty it.
    pub fn clear(&mut self) {
        self.sorted.clear();
    }

    /// All of them, in order.
    pub fn iter(&self) -> std::iter::Copied<std::slice::Iter<'_, TopicPartition>> {
        self.sorted.iter().copied()
    }
}

impl FromIterator<TopicPartition> for PartitionSet {
    fn from_iter<I: IntoIterator<Item = TopicPartition>>(partitions: I) -> PartitionSet {
        let mut sorted: Vec<TopicPartition> = partitions.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        PartitionSet { sorted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_each_partition_once_and_in_order() {
        let at = |partition| TopicPartition::new(1, partition);
        let mut set: PartitionSet = [at(7), at(2), at(7)].into_iter().collect();
        set.insert(at(4));
        set.insert(at(4));
        set.remove(at(9));
        assert_eq!(set.iter().collect::<Vec<_>>(), [at(2), at(4), at(7)]);
        set.remove(at(4));
        assert_eq!((set.pop_first(), set.pop_first(), set.pop_first()), (Some(at(2)), Some(at(7)), None));
    }
}
