//! Which records stand at which places of Corgi's logs, and who read them there. An offset is no identity: of two masters each
//! gives it out, and one that returns with a tail of its own has another record there than those that copied from its successor.

use crate::record::{GroupId, Offset, RecordId, TopicPartition};
use crate::units::Time;
use std::collections::BTreeMap;

/// Who reads Corgi.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::check) enum Reader {
    /// The mirror.
    Mirror,
    /// A group.
    Group(GroupId),
}

type Place = (TopicPartition, Offset);

/// What each reader found in Corgi, and what is said to stand there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::check) struct ReadAt {
    found: BTreeMap<(Reader, Place), Vec<RecordId>>,
    stand: BTreeMap<Place, Vec<(RecordId, Time)>>,
}

impl ReadAt {
    /// A reader found a record there.
    pub(in crate::check) fn found(&mut self, reader: Reader, place: Place, record: RecordId) {
        self.found.entry((reader, place)).or_default().push(record);
    }

    /// A record is known to stand there since then.
    pub(in crate::check) fn stands(&mut self, place: Place, record: RecordId, since: Time) {
        self.stand.entry(place).or_default().push((record, since));
    }

    /// What a reader found where another record is said to stand.
    pub(super) fn instead(&self, reader: Reader, place: Place, record: RecordId) -> Option<RecordId> {
        let found = self.found.get(&(reader, place))?;
        found.iter().find(|other| **other != record).copied()
    }

    /// What else stands there, and since when.
    pub(super) fn others(&self, place: Place, record: RecordId) -> impl Iterator<Item = (RecordId, Time)> {
        let stand = self.stand.get(&place).into_iter().flatten();
        stand.filter(move |(other, _)| *other != record).copied()
    }
}
