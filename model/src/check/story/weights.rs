//! How much each entry tells of a finding: what is its own tells most, then who had to do with it, then what was done
//! around it.

use super::{MARGIN, TELLING, Teller};
use crate::check::Ground;
use crate::history::{Entry, Event};
use crate::plan::Act;
use crate::record::{GroupId, Offset, Queue, RecordId, TopicId, TopicPartition};
use crate::units::Time;

impl Teller<'_> {
    /// How much the entry at that place of the history tells; nothing at 0.
    pub(super) fn weight(&mut self, place: usize, entry: &Entry) -> u32 {
        if self.is_before_kafka(entry) {
            return 0;
        }
        let led_up = self.causes.get(&place).copied().unwrap_or_default();
        self.weight_by_itself(place, entry).max(led_up)
    }

    fn weight_by_itself(&mut self, place: usize, entry: &Entry) -> u32 {
        if self.follows(&entry.event) {
            let weight = self.weight_of_record(&entry.event);
            // Once a record was passed over, what becomes of it elsewhere is no part of that.
            let is_past = self.finding.ground == Ground::Skipped && entry.at > self.to + MARGIN;
            return if is_past { weight.min(55) } else { weight };
        }
        let near = self.is_told(entry);
        let weight = match &entry.event {
            Event::StepDone { act, .. } => return self.weight_of_act(act, near),
            Event::PhaseBegun { phase, .. } if *phase == self.finding.phase => return 78,
            Event::GateWaiting { .. } => return self.weight_of_wait(entry.at),
            Event::StoppedAt { .. }
            | Event::StoppedBackAt { .. }
            | Event::CopyFailed { .. }
            | Event::TransactionsRefused { .. } => {
                return self.weight_of_stop(near);
            }
            // What a topic's widening does is seen long after it.
            Event::Widened { topic, .. } | Event::Narrowed { topic, .. }
                if (self.is_of_records() || self.is_of_writing()) && self.is_of_topic(*topic) =>
            {
                return if self.told_before.contains_key(&place) { 97 } else { 88 };
            }
            Event::Ended { .. } => return if self.finding.ground == Ground::Lost { 60 } else { 10 },
            event => self.weight_of_surroundings(entry, event),
        };
        if near { weight } else { 0 }
    }

    fn weight_of_record(&mut self, event: &Event) -> u32 {
        let (kind, record) = match event {
            Event::Delivered { record, .. } => (1, *record),
            Event::Processed { record, .. } => (2, *record),
            Event::Copied { record, .. } => (3, *record),
            Event::CopiedBack { record, .. } => (9, *record),
            Event::CopyFailed { record, .. } => (10, *record),
            Event::PutBack { partition: _, records, .. } => (6, records.first().copied().unwrap_or_default()),
            _ => return 100,
        };
        let told = self.told.entry((kind, record)).or_default();
        *told += 1;
        // Where a record comes again and again, its first comings tell the story.
        if *told <= 2 { 100 } else { 55 }
    }

    fn weight_of_act(&self, act: &Act, near: bool) -> u32 {
        let wronged = self.finding.group.map(|group| self.subject.group_name(group));
        let weight = match act {
            // Whether two worked at a time is a matter of who was paused, however long ago.
            Act::Pause { group } | Act::Resume { group }
                if self.finding.ground == Ground::Overlapped && wronged.as_ref() == Some(group) =>
            {
                return 102;
            }
            // A record waits in a pause that is one of its causes, or in none.
            Act::Pause { .. } | Act::Resume { .. } if self.is_of_reading() => return 0,
            Act::RollOut { group, .. }
            | Act::RollBack { group, .. }
            | Act::PrepareOffsets { group, .. }
            | Act::ResetOffsets { group, .. }
            | Act::SwitchRead { group, .. }
            | Act::Pause { group }
            | Act::Resume { group }
            | Act::Rewind { group, .. } => {
                let concerned = wronged.as_deref() == Some(group.as_str());
                // A group's own steps tell of it whenever they were done, but of a single record only if it was there.
                let matters = near || !self.is_of_records();
                let told = match (concerned, self.is_of_records()) {
                    // What comes again and again does so since somebody had the group read there.
                    (true, _) if self.finding.ground == Ground::OverReplayed => 101,
                    (true, _) if matters => 62 + 14 * u32::from(near),
                    // What another group did has nothing to do with a single record.
                    (false, true) if wronged.is_some() => 0,
                    _ => 20 * u32::from(near),
                };
                return told;
            }
            Act::SwitchWrite { .. } | Act::Hold { .. } | Act::Release => 72,
            Act::StartMirror
            | Act::StopMirror
            | Act::StartReverseMirror
            | Act::StopReverseMirror
            | Act::StopCorgi
            | Act::Widen { .. }
            | Act::AddBrokerSet { .. } => 66,
            Act::Narrow { .. } => 90,
        };
        if near { weight } else { 0 }
    }

    fn weight_of_wait(&self, at: Time) -> u32 {
        match (self.finding.ground, self.last_wait == Some(at)) {
            (Ground::Stuck, true) => 100,
            (Ground::Stuck, false) => 30,
            _ => 5,
        }
    }

    /// A worker that exits at a record exits at it again and again: twice says so, whenever it was.
    fn weight_of_stop(&mut self, near: bool) -> u32 {
        let stands =
            matches!(self.finding.ground, Ground::Stuck | Ground::ReadUnavailable | Ground::PlanAdded);
        let told = self.told.entry((7, RecordId::default())).or_default();
        *told += 1;
        match (stands, *told <= 2) {
            (true, true) => 92,
            _ => 20 * u32::from(near),
        }
    }

    pub(super) fn is_of_topic(&self, topic: TopicId) -> bool {
        let stands = self.positions.keys().map(|(_, partition, _)| *partition);
        stands.chain(self.finding.partition).any(|partition| partition.topic == topic)
    }

    /// Whether the finding is of single records, of which it is known who had to do with them.
    fn is_of_records(&self) -> bool {
        let ground = self.finding.ground;
        matches!(
            ground,
            Ground::Lost | Ground::Phantom | Ground::Session | Ground::RealTime | Ground::Overlapped
        )
    }

    fn weight_of_surroundings(&mut self, entry: &Entry, event: &Event) -> u32 {
        let own = self.nodes.contains(&entry.node);
        let by = |near: u32, far: u32| if own { near } else { far };
        // Where it is known who had to do with the records, others' misfortunes are noise.
        let others = |weight: u32| if self.is_of_records() { weight.min(TELLING - 1) } else { weight };
        match event {
            Event::FaultBegun { fault, struck, .. } => {
                let matters = struck.is_empty() || struck.iter().any(|node| self.nodes.contains(node));
                let weight = if matters { 82 } else { others(70) };
                if matters {
                    self.faults.insert(*fault);
                }
                self.killed = Some((entry.at, entry.node));
                weight
            }
            Event::FaultEnded { fault, .. } if self.faults.contains(fault) => 68,
            Event::FaultEnded { .. } => others(48),
            // The fault has said so.
            Event::Stopped { orderly: false } if self.killed == Some((entry.at, entry.node)) => 0,
            Event::Stopped { .. } => by(80, others(40)),
            Event::Started { .. } => 25,
            Event::Writing { .. } => by(74, 12),
            Event::PhaseBegun { .. } => 50,
            Event::GateTimedOut { .. } => others(55),
            Event::GateOpened { .. } => others(40),
            Event::Healed | Event::WorkloadEnded | Event::PlanCompleted => others(30),
            // A log that loses nothing of a lost record's is another story.
            Event::Truncated { .. } if !self.matters(entry) => 0,
            Event::MastershipTaken { .. } => {
                if self.taken_by(entry).next().is_some() {
                    95
                } else {
                    0
                }
            }
            event => self.weight_of_partition(own, event),
        }
    }

    /// What happens to logs, their leaders and their readers.
    fn weight_of_partition(&mut self, own: bool, event: &Event) -> u32 {
        let by = |near: u32, far: u32| if own { near } else { far };
        let stands = |queue: Queue, partition: TopicPartition, weight: u32| {
            if self.stands_in(queue, partition) { weight } else { 0 }
        };
        match event {
            Event::Truncated { queue, partition, .. } => stands(*queue, *partition, 95),
            Event::StartMoved { queue, partition, from, to } => {
                let took = self.standing((*queue, *partition), *from..*to).next().is_some();
                if took { 97 } else { 0 }
            }
            Event::DiskLost { queue, partitions } => {
                let concerned = partitions.iter().any(|(partition, ..)| self.stands_in(*queue, *partition));
                if concerned { 96 } else { 0 }
            }
            Event::LeaderChanged { queue, partition, .. } if self.concerns(*queue, *partition) => 85,
            Event::InSyncChanged { partition, unclean: true, .. } => stands(Queue::Kafka, *partition, 96),
            Event::InSyncChanged { partition, .. } => stands(Queue::Kafka, *partition, 66),
            Event::Widened { .. } => 72,
            Event::LeadershipTaken { partition, .. } => stands(Queue::Kafka, *partition, 84),
            // Who waits for a lease has his records late, and loses none.
            Event::LeasesAwaited { .. } if self.finding.ground == Ground::Lost => by(TELLING - 1, 0),
            Event::LeasesAwaited { .. } => by(83, 0),
            Event::MirrorCommitted { source, offset } => {
                self.first_passing(4, Queue::Corgi, *source, *offset)
            }
            Event::WorkerFenced { partitions } => {
                let concerned = partitions.iter().any(|partition| self.stands_in(Queue::Corgi, *partition));
                if concerned { by(80, 60) } else { 0 }
            }
            Event::CommittedBack { source, offset } => self.first_passing(8, Queue::Kafka, *source, *offset),
            Event::Committed { group, queue, partition, offset } if self.finding.group == Some(*group) => {
                self.first_passing(5, *queue, *partition, *offset)
            }
            // Whose a source partition was tells whose copies came late.
            Event::Granted { group, queue: Queue::Corgi, partitions }
            | Event::Revoked { group, queue: Queue::Corgi, partitions, .. }
                if self.is_mirrors(*group)
                    && matches!(self.finding.ground, Ground::Session | Ground::RealTime) =>
            {
                let stands = |partition: &TopicPartition| self.stands_in(Queue::Corgi, *partition);
                if own && partitions.iter().any(stands) { 60 } else { 0 }
            }
            Event::Granted { group, queue, partitions } | Event::Revoked { group, queue, partitions, .. } => {
                let concerned = self.finding.group == Some(*group)
                    && partitions.iter().any(|partition| self.stands_in(*queue, *partition));
                if concerned { 75 } else { 0 }
            }
            Event::Paused { group, .. } if self.finding.group == Some(*group) => by(60, 15),
            Event::Rebalanced { group, .. } if self.finding.group == Some(*group) => 50,
            event => self.weight_of_rewind(own, event),
        }
    }

    /// Who goes back, who was asked to, and who has whose address.
    fn weight_of_rewind(&self, own: bool, event: &Event) -> u32 {
        match event {
            Event::Sought { group, partition, .. } | Event::Rewound { group, partition, .. }
                if self.finding.group == Some(*group) =>
            {
                if self.finding.partition == Some(*partition) {
                    98
                } else {
                    10
                }
            }
            // Another group's instance has the address, and answers for its own partition of that number.
            Event::Sought { rewind, meant, partition, .. }
                if self.finding.partition == Some(*partition)
                    && self.rewinds.contains(rewind)
                    && self.nodes.contains(&meant.node) =>
            {
                97
            }
            Event::RewindAsked { rewind, group, .. }
                if self.finding.group == Some(*group) || self.rewinds.contains(rewind) =>
            {
                92
            }
            Event::Listening { before: Some(before), .. } if own || self.nodes.contains(before) => 88,
            _ => 0,
        }
    }

    /// Whether that group is the mirror's own: the one behind the case's.
    pub(super) fn is_mirrors(&self, group: GroupId) -> bool {
        usize::from(group.0) == self.subject.groups.len()
    }

    /// The first commit beyond a followed record tells where it was passed over.
    fn first_passing(&mut self, kind: u8, queue: Queue, partition: TopicPartition, offset: Offset) -> u32 {
        if self.standing((queue, partition), Offset::MIN..offset).next().is_none() {
            return 0;
        }
        let told = self.told.entry((kind, RecordId::default())).or_default();
        *told += 1;
        if *told == 1 { 90 } else { 0 }
    }
}
