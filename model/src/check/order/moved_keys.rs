//! How many records were overtaken by later ones of their key in another source partition: a topic was widened while a group had
//! a backlog, and the key moved (e15). A figure, and no finding: order is promised within source partitions only.

use super::{Front, Sent};
use crate::check::Figure;
use crate::check::tables::{ByRecord, grown};
use crate::check::tally::figure;
use crate::record::{GroupId, Key, Record, RecordId, TopicPartition};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is known of keys, while a run lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct MovedKeys {
    /// Each record's source partition, and its key if it has one.
    records: ByRecord<Option<(TopicPartition, u32)>>,
    /// Each topic's keys: the source partition of their first records.
    first: BTreeMap<(u16, u32), TopicPartition>,
    /// The keys that had other records in another one. Mostly there is none, and nothing else need be known.
    moved: BTreeSet<(u16, u32)>,
    /// By group: the latest sends of the keys that have moved, among what it was delivered since then. A record that is overtaken
    /// was sent before the move, and what overtakes it after.
    groups: Vec<BTreeMap<(u16, u32), Front>>,
    overtaken: u64,
}

impl MovedKeys {
    /// A record is sent.
    pub(super) fn invoked(&mut self, record: &Record) {
        if record.key.id != Key::NONE.id {
            let source = record.source_partition();
            *self.records.at(record.id) = Some((source, record.key.id));
            let key = (source.topic.0, record.key.id);
            if *self.first.entry(key).or_insert(source) != source {
                self.moved.insert(key);
            }
        }
    }

    /// An ordered group is delivered a record for the first time.
    pub(super) fn delivered(&mut self, group: GroupId, record: RecordId, sent: &Sent) {
        if self.moved.is_empty() {
            return;
        }
        let place = |record: RecordId| self.records.get(record).copied().flatten();
        let Some((source, key)) = place(record) else { return };
        let key = (source.topic.0, key);
        if !self.moved.contains(&key) {
            return;
        }
        let front = grown(&mut self.groups, usize::from(group.0)).entry(key).or_default();
        // Where the two lie in one partition the checker of order has its say.
        let elsewhere = |by: RecordId| place(by).is_some_and(|(of, _)| of != source);
        if front.overtaken(sent, record).is_some_and(|(_, by)| elsewhere(by)) {
            self.overtaken += 1;
        }
        front.advance(sent, record);
    }

    /// The figure.
    pub(super) fn figure(&self) -> Figure {
        figure("overtaken_by_a_moved_key_records", self.overtaken, "")
    }
}
