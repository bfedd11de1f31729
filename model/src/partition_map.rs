//! A map from partitions to what is known of them, looked up by place: a broker asks for one of its partitions a dozen
//! times in a step, and there a tree's search, or a sorted vector's, costs as much as the step itself.
//!
//! Left out: thrift. Each topic has a place for every partition below the greatest that it ever held, and what comes or goes
//! moves all that stands behind it: the partitions of a process change seldom.

use crate::record::{TopicId, TopicPartition};
use serde::{Serialize, Serializer};

/// What is known of each partition, in their order.
#[derive(Clone, Debug)]
pub struct PartitionMap<V> {
    /// In ascending order of the partitions.
    known: Vec<(TopicPartition, V)>,
    /// Of each topic, by the number of the partition: its place among the known ones. Topics are few.
    places: Vec<(TopicId, Vec<u32>)>,
}

/// The place of what is not known.
const NOWHERE: u32 = u32::MAX;

impl<V> Default for PartitionMap<V> {
    fn default() -> PartitionMap<V> {
        PartitionMap { known: Vec::new(), places: Vec::new() }
    }
}

impl<V> PartitionMap<V> {
    fn place(&self, at: TopicPartition) -> Option<usize> {
        let (_, places) = self.places.iter().find(|(topic, _)| *topic == at.topic)?;
        let place = places.get(usize::from(at.partition)).copied().filter(|place| *place != NOWHERE)?;
        Some(place as usize)
    }

    /// Say where the known partitions stand from a place on.
    fn number_from(&mut self, first: usize) {
        for (place, (at, _)) in (first as u32..).zip(&self.known[first..]) {
            let topic = match self.places.iter().position(|(topic, _)| *topic == at.topic) {
                Some(topic) => topic,
                None => {
                    self.places.push((at.topic, Vec::new()));
                    self.places.len() - 1
                }
            };
            let places = &mut self.places[topic].1;
            let partition = usize::from(at.partition);
            if places.len() <= partition {
                places.resize(partition + 1, NOWHERE);
            }
            places[partition] = place;
        }
    }

    fn forget_place(&mut self, at: TopicPartition) {
        if let Some((_, places)) = self.places.iter_mut().find(|(topic, _)| *topic == at.topic) {
            places[usize::from(at.partition)] = NOWHERE;
        }
    }

    /// What is known of a partition.
    pub fn get(&self, at: TopicPartition) -> Option<&V> {
        self.place(at).map(|place| &self.known[place].1)
    }

    /// The same, to change it.
    pub fn get_mut(&mut self, at: TopicPartition) -> Option<&mut V> {
        self.place(at).map(|place| &mut self.known[place].1)
    }

    /// Whether anything is known of a partition.
    pub fn contains(&self, at: TopicPartition) -> bool {
        self.place(at).is_some()
    }

    /// Know this of a partition. Returns what was known before.
    pub fn insert(&mut self, at: TopicPartition, value: V) -> Option<V> {
        if let Some(known) = self.get_mut(at) {
            return Some(std::mem::replace(known, value));
        }
        let place = self.known.partition_point(|(earlier, _)| *earlier < at);
        self.known.insert(place, (at, value));
        self.number_from(place);
        None
    }

    /// What is known of a partition, which is made up if nothing was.
    pub fn or_insert_with(&mut self, at: TopicPartition, value: impl FnOnce() -> V) -> &mut V {
        if !self.contains(at) {
            self.insert(at, value());
        }
        self.get_mut(at).expect("it is known by now")
    }

    /// What is known of a partition, which is the default if nothing was.
    pub fn or_default(&mut self, at: TopicPartition) -> &mut V
    where
        V: Default,
    {
        self.or_insert_with(at, V::default)
    }

    /// Forget a partition. Returns what was known of it.
    pub fn remove(&mut self, at: TopicPartition) -> Option<V> {
        let place = self.place(at)?;
        let (_, value) = self.known.remove(place);
        self.forget_place(at);
        self.number_from(place);
        Some(value)
    }

    /// Forget the partitions of which that does not hold.
    pub fn retain(&mut self, mut keeps: impl FnMut(TopicPartition, &mut V) -> bool) {
        let mut gone = Vec::new();
        self.known.retain_mut(|(at, value)| {
            let stays = keeps(*at, value);
            if !stays {
                gone.push(*at);
            }
            stays
        });
        gone.into_iter().for_each(|at| self.forget_place(at));
        self.number_from(0);
    }

    /// Forget everything.
    pub fn clear(&mut self) {
        self.known.clear();
        self.places.clear();
    }

    /// How many partitions are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The partition at that place of their order, and what is known of it.
    pub fn at_place(&self, place: usize) -> Option<(TopicPartition, &V)> {
        self.known.get(place).map(|(at, value)| (*at, value))
    }

    /// All partitions with what is known of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (TopicPartition, &V)> + Clone {
        self.known.iter().map(|(at, value)| (*at, value))
    }

    /// The same, to change it.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (TopicPartition, &mut V)> {
        self.known.iter_mut().map(|(at, value)| (*at, value))
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
        let first = self.known.partition_point(|(at, _)| at.topic < topic);
        self.known[first..]
            .iter()
            .take_while(move |(at, _)| at.topic == topic)
            .map(|(at, value)| (*at, value))
    }
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
        self.known == other.known
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
        *map.or_default(at(9, 0)) = 'y';
        assert_eq!((map.get(at(9, 0)), map.get(at(9, 1)), map.get(at(0, 7))), (Some(&'y'), Some(&'d'), None));
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
