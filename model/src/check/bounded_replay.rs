//! Bounded replay: after a jump back delivery goes on without a hole, and duplicates stay within the declared bound.
//!
//! Holes are judged for ordered groups (a pool reorders by design), by two rules:
//! - *Along a log*: once a group was delivered a position again, its next delivery from that log must not pass over a
//!   position that it was delivered before, whichever of its instances is delivered what: one that was evicted and works
//!   on leaves the effects as old as what it delivers.
//! - *Across the queues*: what a group reads again from the other queue it reads without a hole: a record that the group
//!   had from one queue, that is known to be in the other, and that lies between two that it read there, is read there
//!   too, sooner or later.
//!
//! A rewind is asked for: what lies between where the group was and where it goes back to counts as never read, and each
//! position of it that is delivered again, once a rewind, is no duplicate. Whether all of it comes again is the rewind
//! guarantee's business.
//!
//! A hole among records that the group never had is at-least-once's finding, or order's. Duplicates are counted for
//! every group, by the hop that made them.

use super::cuts::cuts_of;
use super::replay_log::ReadLog;
use super::tables::{ByPartition, ByRecord, Hop, Place, Places};
use super::tally::{Gathered, Kind, Tally, figure, judgement};
use super::{Checker, Course, Figure, Ground, Guarantee, Judgement, Subject};
use crate::history::{Entry, Event};
use crate::plan::Act;
use crate::record::{GroupId, Offset, Queue, RecordId, TopicPartition};
use crate::units::Time;
use serde::Serialize;
use std::sync::Arc;
use strum::IntoEnumIterator;

/// The checker of bounded replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BoundedReplay {
    subject: Arc<Subject>,
    course: Course,
    groups: Vec<Replays>,
    /// Where each record is known to be.
    stored: ByRecord<Standing>,
    tally: Tally,
    last_hop: Option<Hop>,
}

/// Where a record is known to be, and who brought it there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Standing {
    /// By queue: whether it is there.
    queues: [bool; 2],
    /// By queue: whether a mirror brought it there.
    copied: [bool; 2],
}

/// What one group was delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Replays {
    ordered: bool,
    deliveries: ByRecord<Delivery>,
    logs: [ByPartition<ReadLog>; 2],
    streams: ByPartition<Stream>,
    duplicates: [u64; 4],
    /// When the bound was passed, and by which record.
    over: Option<(Time, u32, RecordId)>,
    asked_for: Vec<AskedFor>,
    /// Deliveries that a rewind asked for.
    again: u64,
}

/// Positions of Kafka that a rewind asks for once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct AskedFor {
    rewind: u64,
    partition: TopicPartition,
    first: Offset,
    /// Of each position from there on, whether it has come.
    came: Vec<bool>,
}

/// How a group was delivered one record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Delivery {
    places: Places,
    /// Its place in the group's first deliveries of that source partition.
    rank: u32,
}

/// A group's first deliveries of one source partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Stream {
    ranked: Vec<RecordId>,
    /// The source offset at which each had its first delivery; -1 for a record that was written to Kafka.
    first_read: Vec<Offset>,
    /// The greatest rank that was read from each queue, or lies before what was read.
    frontier: [Option<u32>; 2],
    holes: Vec<Hole>,
}

/// Ranks that a group passed over in one queue, having had them from the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Hole {
    at: Time,
    phase: u32,
    queue: Queue,
    first: u32,
    beyond: u32,
}

impl BoundedReplay {
    /// A checker of a run that has not begun.
    pub fn new(subject: Arc<Subject>) -> BoundedReplay {
        let groups =
            subject.groups.iter().map(|group| Replays { ordered: group.ordered, ..Replays::default() });
        BoundedReplay {
            groups: groups.collect(),
            subject,
            course: Course::default(),
            stored: ByRecord::default(),
            tally: Tally::default(),
            last_hop: None,
        }
    }

    fn copied(&mut self, record: RecordId, into: Queue) {
        let standing = self.stored.at(record);
        standing.queues[into as usize] = true;
        standing.copied[into as usize] = true;
    }

    fn delivered(
        &mut self,
        at: Time,
        group: GroupId,
        record: RecordId,
        source: TopicPartition,
        place: Place,
    ) {
        self.last_hop = None;
        let phase = self.course.phase;
        let bound = self.subject.duplicates_allowed(group);
        let Some(replays) = self.groups.get_mut(usize::from(group.0)) else { return };
        let rounded = self.stored.get(record).is_some_and(|stored| stored.copied == [true; 2]);
        let hop = replays.deliveries.at(record).places.deliver(place, rounded);
        self.last_hop = hop;
        if let Some(hop) = hop
            && !replays.was_asked_for(place)
        {
            replays.duplicates[hop as usize] += 1;
            if replays.over.is_none() && replays.total() > bound {
                replays.over = Some((at, phase, record));
            }
        }
        if !replays.ordered {
            return;
        }
        replays.rank(at, phase, record, source, place, hop.is_none());
        let log = replays.logs[place.queue as usize].at(place.partition);
        for passed in log.read(place.offset, record) {
            self.tally.add(skipped(phase, group, source), at, &[passed, record]);
        }
    }

    /// A consumer went back as it was told to.
    fn sought(
        &mut self,
        (rewind, group): (u64, GroupId),
        partition: TopicPartition,
        from: Offset,
        to: Offset,
    ) {
        let Some(replays) = self.groups.get_mut(usize::from(group.0)) else { return };
        replays.ask_for(rewind, partition, from, to);
        replays.logs[Queue::Kafka as usize].at(partition).go_back(to);
    }

    /// The hop that made the last delivery a duplicate, if one did.
    pub(super) fn last_hop(&self) -> Option<Hop> {
        self.last_hop
    }

    /// The operator has set where a group begins in a queue: what lies before that it had from the other one.
    fn begins_anew_in(&mut self, queue: Queue, group: &str) {
        let place = self.subject.groups.iter().position(|of_case| of_case.name == group);
        if let Some(replays) = place.and_then(|place| self.groups.get_mut(place)) {
            replays.streams.values_mut().for_each(|stream| stream.frontier[queue as usize] = None);
        }
    }

    /// A queue has lost a record: it cannot be read there.
    pub(super) fn take_away(&mut self, queue: Queue, record: RecordId) {
        self.stored.at(record).queues[queue as usize] = false;
    }

    /// The findings, those included that only the end of the run can tell.
    fn concluded(&self) -> Tally {
        let mut tally = self.tally.clone();
        for (replays, group) in self.groups.iter().zip(0..) {
            let group = GroupId(group);
            for (source, stream) in replays.streams.iter() {
                for hole in &stream.holes {
                    for record in self.unread(replays, stream, hole) {
                        let by = stream.ranked.get(hole.beyond as usize).copied().unwrap_or_default();
                        tally.add(skipped(hole.phase, group, source), hole.at, &[record, by]);
                    }
                }
            }
            if let Some((at, phase, record)) = replays.over {
                let (ground, group) = (Ground::OverReplayed, Some(group));
                let kind = Kind { ground, phase, group, partition: None, detail: 0 };
                tally.add_weighed(kind, at, &[record], replays.total());
            }
        }
        tally
    }

    /// The records of a hole that are in that queue, and that the group did not read there afterwards either.
    fn unread<'a>(
        &'a self,
        replays: &'a Replays,
        stream: &'a Stream,
        hole: &'a Hole,
    ) -> impl Iterator<Item = RecordId> + 'a {
        let ranks = hole.first as usize..hole.beyond as usize;
        stream.ranked[ranks].iter().copied().filter(|record| {
            let stored = self.stored.get(*record).is_some_and(|stored| stored.queues[hole.queue as usize]);
            let delivery = replays.deliveries.get(*record);
            stored && delivery.is_none_or(|delivery| delivery.places.of(hole.queue).next().is_none())
        })
    }

    fn summary(&self, kind: &Kind, gathered: &Gathered) -> String {
        let group = kind.group.unwrap_or_default();
        let name = self.subject.group_name(group);
        let phase = self.subject.phase_name(kind.phase);
        let at = gathered.at;
        if kind.ground == Ground::OverReplayed {
            let bound = self.subject.duplicates_allowed(group);
            let total = self.groups.get(usize::from(group.0)).map_or(0, Replays::total);
            let record = gathered.first();
            let why = if bound == 0 { "the first" } else { "one too many" };
            return format!(
                "{name} was delivered {total} duplicates, and {bound} are allowed: \
                 {record} was {why}, at {at} during {phase}"
            );
        }
        let partition = self.subject.partition_name(kind.partition.unwrap_or_default());
        let (passed, next) = (gathered.first(), gathered.second());
        let more = gathered.and_more();
        format!(
            "after a jump back {name} went on to {next} of {partition} at {at} during {phase}, \
             and passed over {passed}{more}"
        )
    }

    fn figures(&self) -> Vec<Figure> {
        let most = |count: &dyn Fn(&Replays) -> u64| {
            let counts = self.groups.iter().map(count).zip(0..);
            let worst = counts.max_by_key(|(count, group)| (*count, std::cmp::Reverse(*group)));
            worst
                .map_or((0, String::new()), |(count, group)| (count, self.subject.group_name(GroupId(group))))
        };
        let (total, place) = most(&Replays::total);
        let mut figures = vec![figure("duplicates_in_a_group_records", total, place)];
        for hop in Hop::iter() {
            let (count, place) = most(&|replays| replays.duplicates[hop as usize]);
            figures.push(figure(format!("duplicates_by_{hop}_records"), count, place));
        }
        let (again, place) = most(&|replays| replays.again);
        if self.subject.rewinds {
            figures.push(figure("asked_for_by_rewinds_records", again, place));
        }
        figures
    }
}

fn skipped(phase: u32, group: GroupId, source: TopicPartition) -> Kind {
    Kind { ground: Ground::Skipped, phase, group: Some(group), partition: Some(source), detail: 0 }
}

impl Replays {
    fn total(&self) -> u64 {
        self.duplicates.iter().sum()
    }

    /// A rewind asks for those positions: once, however often somebody goes back for it.
    fn ask_for(&mut self, rewind: u64, partition: TopicPartition, from: Offset, to: Offset) {
        let positions = usize::try_from(from - to).unwrap_or(0);
        let key = (rewind, partition, to);
        let earlier =
            self.asked_for.iter_mut().find(|asked| (asked.rewind, asked.partition, asked.first) == key);
        match earlier {
            Some(asked) if asked.came.len() < positions => asked.came.resize(positions, false),
            Some(_) => {}
            None => {
                let came = vec![false; positions];
                self.asked_for.push(AskedFor { rewind, partition, first: to, came });
            }
        }
    }

    /// Whether a rewind asked for what is delivered there, and it has not come since.
    fn was_asked_for(&mut self, place: Place) -> bool {
        let asked = self.asked_for.iter_mut().rev().find_map(|asked| asked.take(place));
        self.again += u64::from(asked.is_some());
        asked.is_some()
    }

    /// Give a first delivery its rank, and note which ranks a delivery passed over in its queue.
    fn rank(
        &mut self,
        at: Time,
        phase: u32,
        record: RecordId,
        source: TopicPartition,
        place: Place,
        first: bool,
    ) {
        let queue = place.queue;
        let stream = self.streams.at(source);
        let delivery = self.deliveries.at(record);
        if first {
            delivery.rank = stream.ranked.len() as u32;
            stream.ranked.push(record);
            stream.first_read.push(place.source_offset());
        }
        let rank = delivery.rank;
        let reach = stream.reach(rank, place.source_offset());
        let frontier = &mut stream.frontier[queue as usize];
        match *frontier {
            Some(reached) if rank > reached + 1 => {
                stream.holes.push(Hole { at, phase, queue, first: reached + 1, beyond: rank });
                *frontier = Some(reach);
            }
            Some(reached) => *frontier = Some(reached.max(reach)),
            None => *frontier = Some(reach),
        }
    }
}

impl AskedFor {
    fn take(&mut self, place: Place) -> Option<()> {
        if (place.queue, place.partition) != (Queue::Kafka, self.partition) {
            return None;
        }
        let came = self.came.get_mut(usize::try_from(place.offset - self.first).ok()?)?;
        (!std::mem::replace(came, true)).then_some(())
    }
}

impl Stream {
    /// How far along the source one is who reads the record of that rank there: a record that its producer stored once
    /// more stands behind others that came between, and who begins with it begins behind them.
    fn reach(&self, rank: u32, source_offset: Offset) -> u32 {
        let first = self.first_read.get(rank as usize).copied().unwrap_or(-1);
        if source_offset <= first {
            return rank;
        }
        let is_before = |other: &Offset| (0..=source_offset).contains(other);
        self.first_read.iter().rposition(is_before).map_or(rank, |last| rank.max(last as u32))
    }
}

impl Checker for BoundedReplay {
    fn observe(&mut self, entry: &Entry) {
        self.course.observe(entry);
        match &entry.event {
            Event::Acknowledged { record, queue, .. } => {
                self.stored.at(*record).queues[*queue as usize] = true;
            }
            Event::Copied { record, .. } => self.copied(*record, Queue::Kafka),
            Event::CopiedBack { record, .. } => self.copied(*record, Queue::Corgi),
            Event::Delivered { group, record, source, queue, partition, offset, copied_from } => {
                let (queue, partition, offset) = (*queue, *partition, *offset);
                let place = Place { queue, partition, offset, copied_from: *copied_from };
                self.delivered(entry.at, *group, *record, *source, place);
            }
            Event::Sought { rewind, group, partition, from, to, .. } => {
                self.sought((*rewind, *group), *partition, *from, *to);
            }
            Event::StepDone { act: Act::PrepareOffsets { group, .. }, .. } => {
                self.begins_anew_in(Queue::Kafka, group);
            }
            Event::StepDone { act: Act::ResetOffsets { group, .. }, .. } => {
                self.begins_anew_in(Queue::Corgi, group);
            }
            // What another broker's log loses is not read here: the leader's is.
            Event::LeadershipTaken { .. } | Event::MastershipTaken { .. } => {
                for (queue, partition, cut) in cuts_of(entry) {
                    for replays in &mut self.groups {
                        replays.logs[queue as usize].at(partition).truncate(cut.to);
                    }
                }
            }
            _ => {}
        }
    }

    fn judge(&self) -> Judgement {
        let guarantee = Guarantee::BoundedReplay;
        let tally = self.concluded();
        let findings = tally.findings(guarantee, |kind, gathered| self.summary(kind, gathered));
        let exercised = self.groups.iter().any(|replays| replays.total() > 0);
        judgement(guarantee, &self.course, exercised, self.figures(), (findings, tally.total))
    }
}

#[cfg(test)]
#[path = "bounded_replay_tests.rs"]
mod tests;
