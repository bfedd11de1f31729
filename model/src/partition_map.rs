//! A map from partitions to what is known of them, looked up by place: a broker asks for one of its partitions a dozen
//! times in a step, and there a tree's search, or a sorted vector's, costs as much as the step itself.
//!
//! Left out: thrift. Each topic has a place for every partition below the greatest that it holds.

use crate::record::{TopicId, TopicPartition};
use serde::{Serialize, Serializer};

/// What is known of each partition, in their order.
#[derive(Clone, Debug)]
pub struct PartitionMap<V> {
    /// In ascending order of the topics, which are few.
    topics: Vec<(TopicId, Vec<Option<V>>)>,
    len: usize,
}

impl<V> Default for PartitionMap<V> {
    fn default() -> PartitionMap<V> {
        PartitionMap { topics: Vec::new(), len: 0 }
    }
}

impl<V> PartitionMap<V> {
    fn places(&self, topic: TopicId) -> Option<&[Option<V>]> {
        self.topics.iter().find(|(id, _)| *id == topic).map(|(_, places)| places.as_slice())
    }

    /// What is known of a partition.
    pub fn get(&self, at: TopicPartition) -> Option<&V> {
        self.places(at.topic)?.get(usize::from(at.partition))?.as_ref()
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, at: TopicPartition) -> Option<&mut V> {
        let (_, places) = self.topics.iter_mut().find(|(id, _)| *id == at.topic)?;
        places.get_mut(usize::from(at.partition))?.as_mut()
    }

    /// Whether anything is known of a partition.
    pub fn contains(&self, at: TopicPartition) -> bool {
        self.get(at).is_some()
    }

    /// The partition's place, made if there is none.
    fn place(&mut self, at: TopicPartition) -> &mut Option<V> {
        let topic = match self.topics.binary_search_by_key(&at.topic, |(id, _)| *id) {
            Ok(topic) => topic,
            Err(topic) => {
                self.topics.insert(topic, (at.topic, Vec::new()));
                topic
            }
        };
        let places = &mut self.topics[topic].1;
        let place = usize::from(at.partition);
        if places.len() <= place {
            places.resize_with(place + 1, || None);
        }
        &mut places[place]
    }

    /// Know this of a partition. Returns what was known before.
    pub fn insert(&mut self, at: TopicPartition, value: V) -> Option<V> {
        let before = self.place(at).replace(value);
        self.len += usize::from(before.is_none());
        before
    }

    /// What is known of a partition, which is the default if nothing was.
    pub fn or_default(&mut self, at: TopicPartition) -> &mut V
    where
        V: Default,
    {
        self.or_insert_with(at, V::default)
    }

    /// What is known of a partition, which is made up if nothing was.
    pub fn or_insert_with(&mut self, at: TopicPartition, value: impl FnOnce() -> V) -> &mut V {
        if !self.contains(at) {
            self.len += 1;
        }
        self.place(at).get_or_insert_with(value)
    }

    /// Forget a partition. Returns what was known of it.
    pub fn remove(&mut self, at: TopicPartition) -> Option<V> {
        let (_, places) = self.topics.iter_mut().find(|(id, _)| *id == at.topic)?;
        let before = places.get_mut(usize::from(at.partition))?.take();
        self.len -= usize::from(before.is_some());
        before
    }

    /// Forget the partitions of which that does not hold.
    pub fn retain(&mut self, mut keeps: impl FnMut(TopicPartition, &mut V) -> bool) {
        for (at, place) in places_mut(&mut self.topics) {
            if place.as_mut().is_some_and(|value| !keeps(at, value)) {
                *place = None;
                self.len -= 1;
            }
        }
    }

    /// Forget everything, and keep the memory.
    pub fn clear(&mut self) {
        places_mut(&mut self.topics).for_each(|(_, place)| *place = None);
        self.len = 0;
    }

    /// How many partitions are known.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All partitions with what is known of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (TopicPartition, &V)> + Clone {
        self.topics.iter().flat_map(|(topic, places)| {
            let numbered = places.iter().enumerate();
            numbered.filter_map(|(place, value)| Some((partition(*topic, place), value.as_ref()?)))
        })
    }

    /// The same, to change it.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (TopicPartition, &mut V)> {
        places_mut(&mut self.topics).filter_map(|(at, place)| Some((at, place.as_mut()?)))
    }

    /// The known partitions, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = TopicPartition> + Clone {
        self.iter().map(|(at, _)| at)
    }

    /// What is known, in the partitions' order.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }

    /// The same, to change it.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.iter_mut().map(|(_, value)| value)
    }

    /// The known partitions of a topic, in order.
    pub fn of_topic(&self, topic: TopicId) -> impl Iterator<Item = (TopicPartition, &V)> {
        let numbered = self.places(topic).unwrap_or_default().iter().enumerate();
        numbered.filter_map(move |(place, value)| Some((partition(topic, place), value.as_ref()?)))
    }
}

fn partition(topic: TopicId, place: usize) -> TopicPartition {
    TopicPartition { topic, partition: place as u16 }
}

fn places_mut<V>(
    topics: &mut [(TopicId, Vec<Option<V>>)],
) -> impl Iterator<Item = (TopicPartition, &mut Option<V>)> {
    topics.iter_mut().flat_map(|(topic, places)| {
        let numbered = places.iter_mut().enumerate();
        numbered.map(|(place, value)| (partition(*topic, place), value))
    })
}

impl<V> FromIterator<(TopicPartition, V)> for PartitionMap<V> {
    fn from_iter<I: IntoIterator<Item = (TopicPartition, V)>>(known: I) -> PartitionMap<V> {
        let mut map = PartitionMap::default();
        for (at, value) in known {
            map.insert(at, value);
        }
        map
    }
}

/// Two maps are equal when they know the same: places that were left do not show.
impl<V: PartialEq> PartialEq for PartitionMap<V> {
    fn eq(&self, other: &PartitionMap<V>) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<V: Eq> Eq for PartitionMap<V> {}

impl<V: Serialize> Serialize for PartitionMap<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(topic: u16, partition: u16) -> TopicPartition {
        TopicPartition::new(topic, partition)
    }

    #[test]
    fn it_knows_what_was_put_in_and_in_which_order() {
        let mut map: PartitionMap<char> =
            [(at(9, 1), 'd'), (at(0, 7), 'b'), (at(0, 2), 'a'), (at(9, 0), 'c')].into_iter().collect();
        assert_eq!(map.values().collect::<String>(), "abcd");
        assert_eq!(map.of_topic(TopicId(9)).map(|(at, _)| at.partition).collect::<Vec<_>>(), [0, 1]);
        assert_eq!((map.insert(at(0, 7), 'x'), map.len()), (Some('b'), 4));
        assert_eq!((map.remove(at(0, 2)), map.remove(at(0, 2)), map.len()), (Some('a'), None, 3));
        assert_eq!((map.get(at(0, 7)), map.get(at(0, 8)), map.get(at(5, 0))), (Some(&'x'), None, None));
        map.retain(|at, _| at.partition == 1);
        assert_eq!((map.keys().collect::<Vec<_>>(), map.len()), (vec![at(9, 1)], 1));
    }

    #[test]
    fn equality_sees_what_is_known_and_not_what_was() {
        let mut map = PartitionMap::default();
        *map.or_default(at(1, 1)) += 5;
        let other = map.clone();
        map.insert(at(2, 3), 0);
        assert_ne!(map, other);
        map.remove(at(2, 3));
        assert_eq!(map, other);
    }
}
