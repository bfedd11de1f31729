//! Which target partition a copy goes to. A pure function, so that the NewClient's selector can mimic it.

use crate::record::{Partitioner, Record, TopicPartition};
use serde::{Deserialize, Serialize};

/// How the mirror chooses the target partition.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum PartitionMap {
    /// The source partition's number, modulo the target's count (mirror 9a).
    #[default]
    Same,
    /// Kafka's murmur2 of the key over the target's count; the source partition is forgotten (mirror 1a to 1c).
    Hash,
    /// Whole batches together anywhere, as the producer treats records without a key (mirror 1d).
    Scattered,
}

impl PartitionMap {
    /// The target partition's number for `record`, read from `source`, in a topic of `count` partitions. `counter` is
    /// the number of the batch, counted by the topic; only [`PartitionMap::Scattered`] looks at it.
    ///
    /// # Panics
    /// If `count` is 0: a topic has at least one partition.
    pub fn target(self, record: &Record, source: TopicPartition, count: u16, counter: u64) -> u16 {
        assert!(count > 0, "a topic has at least one partition");
        match self {
            PartitionMap::Same => source.partition % count,
            PartitionMap::Hash => Partitioner::Murmur2.partition(&record.key, count),
            PartitionMap::Scattered => {
                (mixed(counter ^ u64::from(source.topic.0) << 48) % u64::from(count)) as u16
            }
        }
    }
}

/// Scatters numbers that follow one another (the finaliser of SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Key;
    use std::collections::BTreeSet;

    fn record(murmur2: i32) -> Record {
        Record { key: Key { murmur2, ..Key::default() }, source: 7, ..Record::default() }
    }

    #[test]
    fn the_same_number_wraps_at_a_narrower_target() {
        let target = |count| PartitionMap::Same.target(&record(0), TopicPartition::new(0, 7), count, 0);
        assert_eq!(target(8), 7);
        assert_eq!(target(4), 3);
    }

    #[test]
    fn the_hash_forgets_the_source_partition() {
        let from = |source| PartitionMap::Hash.target(&record(-5), TopicPartition::new(0, source), 6, 0);
        assert_eq!(from(0), from(5));
        assert_eq!(from(0), (0x7fff_fffb % 6) as u16);
    }

    #[test]
    fn a_scattered_batch_stays_together_and_batches_go_everywhere() {
        let target =
            |counter| PartitionMap::Scattered.target(&record(1), TopicPartition::new(0, 1), 4, counter);
        assert_eq!(target(3), target(3));
        let used: BTreeSet<u16> = (0..40).map(target).collect();
        assert_eq!(used.len(), 4);
    }
}
