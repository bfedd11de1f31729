//! Where a client sends a record in Kafka: as the mirror would have put it, or as a plain Kafka client does.

use crate::record::{Partitioner, Record};
use serde::{Deserialize, Serialize};

/// How many partitions a topic has in either queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicShape {
    /// In Corgi: source partitions.
    pub corgi_partitions: u16,
    /// In Kafka: target partitions.
    pub kafka_partitions: u16,
}

/// How the mirror maps a source partition's records to target partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum PartitionMap {
    /// The partition with the same number (modulo the count, where Kafka has fewer).
    #[default]
    Same,
    /// The partition that Kafka's default partitioner gives the key.
    Hash,
    /// Any partition: the records of one key are scattered.
    Scattered,
}

impl PartitionMap {
    /// The target partition's number of a record from the source partition with that number.
    pub fn target(self, record: &Record, source: u16, kafka_partitions: u16) -> u16 {
        match self {
            PartitionMap::Same => source % kafka_partitions,
            PartitionMap::Hash => Partitioner::Murmur2.partition(&record.key, kafka_partitions),
            PartitionMap::Scattered => (record.id.sequence % u32::from(kafka_partitions)) as u16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Key, RecordId};

    #[test]
    fn the_same_number_wraps_where_kafka_has_fewer_partitions() {
        let key = Key { murmur2: -1, ..Key::default() };
        let record = Record { id: RecordId { producer: 0, sequence: 5 }, key, ..Record::default() };
        assert_eq!(PartitionMap::Same.target(&record, 3, 8), 3);
        assert_eq!(PartitionMap::Same.target(&record, 3, 2), 1);
        assert_eq!(PartitionMap::Hash.target(&record, 3, 8), 7);
        assert_eq!(PartitionMap::Scattered.target(&record, 3, 4), 1);
    }
}
