//! A small set in its order: a sorted vector that keeps its memory. What changed in a step, or is in process, is a handful, and is
//! filled and emptied all the time: a tree would allocate each time.

use serde::Serialize;

/// Some things, each once, in ascending order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct SmallSet<T> {
    sorted: Vec<T>,
}

impl<T> Default for SmallSet<T> {
    fn default() -> SmallSet<T> {
        SmallSet { sorted: Vec::new() }
    }
}

impl<T: Copy + Ord> SmallSet<T> {
    /// Put something in, if it is not there.
    pub(crate) fn insert(&mut self, it: T) {
        if let Err(place) = self.sorted.binary_search(&it) {
            self.sorted.insert(place, it);
        }
    }

    /// Take something out. Returns whether it was there.
    pub(crate) fn remove(&mut self, it: T) -> bool {
        let place = self.sorted.binary_search(&it);
        place.is_ok_and(|place| self.sorted.remove(place) == it)
    }

    /// Whether something is in it.
    pub(crate) fn contains(&self, it: T) -> bool {
        self.sorted.binary_search(&it).is_ok()
    }

    /// The first one.
    pub(crate) fn first(&self) -> Option<T> {
        self.sorted.first().copied()
    }

    /// Take the first one out.
    pub(crate) fn pop_first(&mut self) -> Option<T> {
        (!self.sorted.is_empty()).then(|| self.sorted.remove(0))
    }

    /// Empty it.
    pub(crate) fn clear(&mut self) {
        self.sorted.clear();
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> std::iter::Copied<std::slice::Iter<'_, T>> {
        self.sorted.iter().copied()
    }
}

impl<T: Copy + Ord> FromIterator<T> for SmallSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> SmallSet<T> {
        let mut sorted: Vec<T> = all.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        SmallSet { sorted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TopicPartition;

    #[test]
    fn it_holds_each_partition_once_and_in_order() {
        let at = |partition| TopicPartition::new(1, partition);
        let mut set: SmallSet<TopicPartition> = [at(7), at(2), at(7)].into_iter().collect();
        set.insert(at(4));
        set.insert(at(4));
        assert!(!set.remove(at(9)));
        assert_eq!(set.iter().collect::<Vec<_>>(), [at(2), at(4), at(7)]);
        assert!(set.remove(at(4)));
        assert_eq!(set.first(), Some(at(2)));
        assert_eq!((set.pop_first(), set.pop_first(), set.pop_first()), (Some(at(2)), Some(at(7)), None));
    }
}
