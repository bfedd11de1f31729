//! Topics that are widened while records are on their way to Kafka: what lands elsewhere from then on, and by whose doing.

use super::bookkeeping::{Bookkeeping, Objection};
use super::{Names, Severity};
use crate::mirror::PartitionMap;
use crate::record::Queue;
use crate::switch::WriteTo;

impl Bookkeeping {
    /// A mirror that starts while a topic that was widened is narrower in Kafka: what it does with the partitions that Kafka does
    /// not have is not what it does later.
    pub(super) fn narrower_target(&self, names: &Names) -> Option<Objection> {
        if names.mirror_map != PartitionMap::Same {
            return None;
        }
        let (topic, in_corgi, in_kafka) = self.widened.keys().find_map(|(topic, _)| {
            let in_corgi = self.count(topic, Queue::Corgi, names)?;
            let in_kafka = self.count(topic, Queue::Kafka, names)?;
            (in_kafka < in_corgi).then_some((topic, in_corgi, in_kafka))
        })?;
        Some((
            Severity::Warning,
            format!(
                "the mirror starts while `{topic}` has {in_kafka} partitions in Kafka and {in_corgi} in Corgi: its map wraps"
            ),
            format!(
                "Write {{ do = \"widen\", topic = \"{topic}\", partitions = {in_corgi}, in = \"kafka\" }} before it"
            ),
        ))
    }

    /// A topic is widened while somebody brings records into Kafka: where they land is another place from then on, and each
    /// who brings them learns it at his own time.
    pub(super) fn widens_under_way(
        &self,
        topic: &str,
        partitions: u16,
        queue: Queue,
        names: &Names,
    ) -> Option<Objection> {
        let warning = |message: String, help: String| Some((Severity::Warning, message, help));
        let in_kafka = self.count(topic, Queue::Kafka, names)?;
        if queue == Queue::Corgi {
            let wraps = self.mirror_runs && names.mirror_map == PartitionMap::Same && in_kafka < partitions;
            if !wraps {
                return None;
            }
            return warning(
                format!(
                    "`{topic}` gets more partitions than the {in_kafka} it has in Kafka while the mirror runs: its map wraps"
                ),
                format!(
                    "Write {{ do = \"widen\", topic = \"{topic}\", partitions = {partitions}, in = \"kafka\" }} before `start-mirror`"
                ),
            );
        }
        let wraps = self.count(topic, Queue::Corgi, names)? > in_kafka;
        let mut who = Vec::new();
        if self.mirror_runs && lands_elsewhere(names.mirror_map, wraps) {
            who.push("the mirror runs");
        }
        if self.writes != WriteTo::Corgi && lands_elsewhere(names.producer_map, wraps) {
            who.push("producers write there");
        }
        if who.is_empty() {
            return None;
        }
        warning(
            format!(
                "`{topic}` is widened in Kafka while {}: each learns it at its own time, and what it brings then lands elsewhere than before",
                who.join(" and ")
            ),
            "Widen it before `start-mirror`, or with nothing on its way and everything read".to_owned(),
        )
    }
}

/// Whether more partitions in Kafka change where records land; `wraps` says whether Corgi had more of them than Kafka.
fn lands_elsewhere(map: PartitionMap, wraps: bool) -> bool {
    match map {
        // A number that Kafka has stays what it is, and the new ones stay empty.
        PartitionMap::Same => wraps,
        PartitionMap::Hash => true,
        // Nothing had a place of its own before.
        PartitionMap::Scattered => false,
    }
}
