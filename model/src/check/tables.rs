//! What several checkers keep: tables indexed by record, partition and group (vectors, so that an entry costs constant
//! time), the course of the run, and the places at which a group was delivered a record.

use super::{Subject, Verdict};
use crate::history::{EndReason, Entry, Event};
use crate::record::{GroupId, Offset, Queue, RecordId, TopicId, TopicPartition};
use crate::units::Time;
use serde::Serialize;
use smallvec::SmallVec;

/// A table by record grows by so many of a producer's at a time: each comes for the first time in a dozen tables. More would have
/// left the processor's caches by the time that they come.
const RECORDS_AT_ONCE: usize = 32;

/// A table by record: producers outside, sequences inside. It grows with what is put in; what was not is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct ByRecord<T> {
    rows: Vec<Vec<T>>,
}

impl<T: Clone + Default> ByRecord<T> {
    /// The value of a record, to change.
    #[inline(always)]
    pub(super) fn at(&mut self, id: RecordId) -> &mut T {
        cell::<T, RECORDS_AT_ONCE>(&mut self.rows, id.producer as usize, id.sequence as usize)
    }

    /// The value of a record, if the table has grown to it.
    pub(super) fn get(&self, id: RecordId) -> Option<&T> {
        self.rows.get(id.producer as usize)?.get(id.sequence as usize)
    }

    /// All values, by producer and sequence.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RecordId, &T)> {
        self.rows.iter().zip(0..).flat_map(|(row, producer)| {
            row.iter().zip(0..).map(move |(value, sequence)| (RecordId { producer, sequence }, value))
        })
    }
}

/// A table by partition: topics outside, partitions inside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct ByPartition<T> {
    rows: Vec<Vec<T>>,
}

impl<T: Clone + Default> ByPartition<T> {
    /// The value of a partition, to change.
    #[inline(always)]
    pub(super) fn at(&mut self, partition: TopicPartition) -> &mut T {
        cell::<T, 1>(&mut self.rows, usize::from(partition.topic.0), usize::from(partition.partition))
    }

    /// The value of a partition, if the table has grown to it.
    pub(super) fn get(&self, partition: TopicPartition) -> Option<&T> {
        self.rows.get(usize::from(partition.topic.0))?.get(usize::from(partition.partition))
    }

    /// All values, by topic and partition.
    pub(super) fn iter(&self) -> impl Iterator<Item = (TopicPartition, &T)> {
        self.rows.iter().zip(0..).flat_map(|(row, topic)| {
            row.iter().zip(0..).map(move |(value, partition)| (TopicPartition::new(topic, partition), value))
        })
    }

    /// All values, to change.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.iter_mut().flatten()
    }
}

/// A place of a table, made if it is not there. It mostly is: that is looked for in line, and growing left to a call.
#[inline(always)]
fn cell<T: Clone + Default, const AT_ONCE: usize>(
    rows: &mut Vec<Vec<T>>,
    row: usize,
    column: usize,
) -> &mut T {
    if rows.get(row).is_none_or(|row| row.len() <= column) {
        grow_to(rows, row, (column + 1).next_multiple_of(AT_ONCE));
    }
    &mut rows[row][column]
}

#[cold]
#[inline(never)]
fn grow_to<T: Clone + Default>(rows: &mut Vec<Vec<T>>, row: usize, length: usize) {
    grown(rows, row).resize_with(length, T::default);
}

/// The place with that index, made if it is not there.
pub(super) fn grown<T: Clone + Default>(row: &mut Vec<T>, index: usize) -> &mut T {
    if row.len() <= index {
        row.resize(index + 1, T::default());
    }
    &mut row[index]
}

/// The groups that read each topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Readers {
    of_topic: Vec<Vec<GroupId>>,
}

impl Readers {
    pub(super) fn new(subject: &Subject) -> Readers {
        let mut of_topic: Vec<Vec<GroupId>> = Vec::new();
        for (group, id) in subject.groups.iter().zip(0..) {
            for topic in &group.topics {
                grown(&mut of_topic, usize::from(topic.0)).push(GroupId(id));
            }
        }
        Readers { of_topic }
    }

    /// The groups that are to process the records of a topic.
    pub(super) fn of(&self, topic: TopicId) -> &[GroupId] {
        self.of_topic.get(usize::from(topic.0)).map_or(&[], Vec::as_slice)
    }
}

/// How the run went on the whole: its phases, and whether it healed and came to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Course {
    /// The moment of the last entry.
    pub(super) now: Time,
    /// The phase that the operator is in.
    pub(super) phase: u32,
    begun: Vec<(Time, u32)>,
    /// When everything was started and connected again.
    pub(super) healed: Option<Time>,
    /// When the producers had sent everything.
    pub(super) workload_ended: Option<Time>,
    /// When the plan was complete.
    pub(super) completed: Option<Time>,
    /// Why the run ended.
    pub(super) ended: Option<EndReason>,
}

impl Course {
    /// Every checker asks this of every entry: nearly all of them turn nothing.
    #[inline]
    pub(super) fn observe(&mut self, entry: &Entry) {
        self.now = entry.at;
        if matches!(
            entry.event,
            Event::PhaseBegun { .. }
                | Event::Healed
                | Event::WorkloadEnded
                | Event::PlanCompleted
                | Event::Ended { .. }
        ) {
            self.turn(entry);
        }
    }

    fn turn(&mut self, entry: &Entry) {
        match &entry.event {
            Event::PhaseBegun { phase, .. } => {
                self.phase = *phase;
                self.begun.push((entry.at, *phase));
            }
            Event::Healed => self.healed = Some(entry.at),
            Event::WorkloadEnded => self.workload_ended = Some(entry.at),
            Event::PlanCompleted => {
                self.completed = Some(entry.at);
                // The time after the plan follows its last phase: `Subject::after_the_plan`.
                self.phase += 1;
                self.begun.push((entry.at, self.phase));
            }
            Event::Ended { because } => self.ended = Some(*because),
            _ => {}
        }
    }

    /// The phase at that moment.
    pub(super) fn phase_at(&self, at: Time) -> u32 {
        self.begun.iter().rev().find(|(begun, _)| *begun <= at).map_or(0, |(_, phase)| *phase)
    }

    /// Violated where something was found; unknown where the run did not exercise it or did not end; held otherwise.
    pub(super) fn verdict(&self, found: u64, exercised: bool) -> Verdict {
        let came_to_its_end = matches!(self.ended, Some(EndReason::Drained | EndReason::TimeBudget));
        match (found > 0, exercised && came_to_its_end) {
            (true, _) => Verdict::Violated,
            (false, true) => Verdict::Held,
            (false, false) => Verdict::Unknown,
        }
    }
}

/// Which hop made a duplicate, the one farthest upstream first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, strum::Display, strum::EnumIter,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Hop {
    /// The producer stored the record several times: at several offsets of Corgi, or of Kafka and not by a copy.
    Producer,
    /// The mirror copied one record of Corgi to several offsets of Kafka, the reverse mirror one of Kafka to several of Corgi,
    /// or both of them copied it round and round.
    Mirror,
    /// The group read the record from Corgi and from Kafka.
    Crossing,
    /// The group was delivered the same position again.
    Consumer,
}

/// A place at which a record was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Place {
    pub(super) queue: Queue,
    pub(super) partition: TopicPartition,
    pub(super) offset: Offset,
    pub(super) copied_from: Offset,
}

impl Place {
    /// Where it stands, or was copied from, in Corgi; -1 if it was not there before.
    pub(super) fn source_offset(&self) -> Offset {
        if self.queue == Queue::Corgi { self.offset } else { self.copied_from }
    }

    fn same_position(&self, other: &Place) -> bool {
        (self.queue, self.partition, self.offset) == (other.queue, other.partition, other.offset)
    }
}

/// All places at which a group was delivered one record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Places {
    /// The first two lie in place: a record is seldom delivered from more, once from either queue.
    list: SmallVec<[Place; 2]>,
}

impl Places {
    /// Whether the record was delivered at all.
    pub(super) fn delivered(&self) -> bool {
        !self.list.is_empty()
    }

    /// Where the record was delivered in that queue.
    pub(super) fn of(&self, queue: Queue) -> impl Iterator<Item = &Place> {
        self.list.iter().filter(move |place| place.queue == queue)
    }

    /// Take a delivery of a record that was `rounded`: copied into Kafka and back into Corgi. Returns the hop that made it a
    /// duplicate; nothing for a first delivery.
    pub(super) fn deliver(&mut self, place: Place, rounded: bool) -> Option<Hop> {
        let hop = self.delivered().then(|| self.hop(&place, rounded));
        if hop != Some(Hop::Consumer) {
            self.list.push(place);
        }
        hop
    }

    fn hop(&self, place: &Place, rounded: bool) -> Hop {
        if self.list.iter().any(|earlier| earlier.same_position(place)) {
            return Hop::Consumer;
        }
        let mut same_queue = self.list.iter().filter(|earlier| earlier.queue == place.queue).peekable();
        if same_queue.peek().is_none() {
            return Hop::Crossing;
        }
        let copied_again = place.copied_from >= 0
            && (rounded || same_queue.any(|earlier| earlier.copied_from == place.copied_from));
        if copied_again { Hop::Mirror } else { Hop::Producer }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corgi(offset: Offset) -> Place {
        Place { queue: Queue::Corgi, partition: TopicPartition::new(0, 0), offset, copied_from: -1 }
    }

    fn kafka(offset: Offset, copied_from: Offset) -> Place {
        Place { queue: Queue::Kafka, partition: TopicPartition::new(0, 0), offset, copied_from }
    }

    fn hops(places: &[Place]) -> Vec<Option<Hop>> {
        let mut table = Places::default();
        places.iter().map(|place| table.deliver(*place, false)).collect()
    }

    #[test]
    fn a_duplicate_is_put_down_to_the_hop_that_made_it() {
        assert_eq!(hops(&[corgi(1), corgi(1)]), [None, Some(Hop::Consumer)]);
        assert_eq!(hops(&[corgi(1), corgi(2)]), [None, Some(Hop::Producer)]);
        assert_eq!(hops(&[kafka(1, -1), kafka(2, -1)]), [None, Some(Hop::Producer)]);
        assert_eq!(hops(&[kafka(1, 7), kafka(2, 7)]), [None, Some(Hop::Mirror)]);
        assert_eq!(hops(&[kafka(1, 7), kafka(2, 8)]), [None, Some(Hop::Producer)]);
        assert_eq!(hops(&[kafka(1, 7), kafka(2, -1)]), [None, Some(Hop::Producer)]);
        assert_eq!(hops(&[corgi(7), kafka(2, 7)]), [None, Some(Hop::Crossing)]);
        assert_eq!(
            hops(&[corgi(7), kafka(2, 7), kafka(3, 7), kafka(2, 7)]),
            [None, Some(Hop::Crossing), Some(Hop::Mirror), Some(Hop::Consumer)]
        );
    }

    #[test]
    fn what_comes_round_is_the_mirrors_doing() {
        let mut table = Places::default();
        let back = |offset, copied_from| Place { copied_from, ..corgi(offset) };
        let hops = [(corgi(7), false), (back(9, 3), true), (back(12, 8), true), (corgi(13), true)];
        let hops = hops.map(|(place, rounded)| table.deliver(place, rounded));
        assert_eq!(hops, [None, Some(Hop::Mirror), Some(Hop::Mirror), Some(Hop::Producer)]);
        // One that its producer stored in both queues was brought back once, and not copied round.
        let mut table = Places::default();
        let hops = [corgi(7), back(9, 3), back(10, 3)].map(|place| table.deliver(place, false));
        assert_eq!(hops, [None, Some(Hop::Producer), Some(Hop::Mirror)]);
    }

    #[test]
    fn a_table_grows_and_remembers() {
        let mut table = ByRecord::<u32>::default();
        *table.at(RecordId { producer: 2, sequence: 5 }) = 9;
        assert_eq!(table.get(RecordId { producer: 2, sequence: 5 }), Some(&9));
        assert_eq!(table.get(RecordId { producer: 2, sequence: RECORDS_AT_ONCE as u32 }), None);
        assert_eq!(table.iter().filter(|(_, value)| **value == 9).count(), 1);
    }
}
