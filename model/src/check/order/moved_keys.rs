//! How many records were overtaken by later ones of their key in another source partition: a topic was widened while a group had
//! a backlog, and the key moved (e15). A figure, and no finding: order is promised within source partitions only.

use super::{Front, Sent};
use crate::check::Figure;
use crate::check::tables::{ByRecord, grown};
use crate::check::tally::figure;
use crate::record::{GroupId, Key, Record, RecordId, TopicPartition};
use serde::Serialize;
use std::collections::BTreeMap;

/// What is known of keys, while a run lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct MovedKeys {
    /// Each record's source partition, and its key if it has one.
    records: ByRecord<Option<(TopicPartition, u32)>>,
    /// By group: the latest sends of each topic's keys among what it was delivered.
    groups: Vec<BTreeMap<(u16, u32), Front>>,
    overtaken: u64,
}

impl MovedKeys {
    /// A record is sent.
    pub(super) fn invoked(&mut self, record: &Record) {
        if record.key.id != Key::NONE.id {
            *self.records.at(record.id) = Some((record.source_partition(), record.key.id));
        }
    }

    /// An ordered group is delivered a record for the first time.
    pub(super) fn delivered(&mut self, group: GroupId, record: RecordId, sent: &Sent) {
        let place = |record: RecordId| self.records.get(record).copied().flatten();
        let Some((source, key)) = place(record) else { return };
        let fronts = grown(&mut self.groups, usize::from(group.0));
        let front = fronts.entry((source.topic.0, key)).or_default();
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
