//! Where records stand and what went past them: from this at-least-once says where a lost record was lost.

mod explain;
mod log;
mod read_at;

use super::Subject;
use super::cuts::{Cut, cuts_of};
use super::tables::{ByPartition, grown};
use crate::history::{Entry, Event};
use crate::record::{GroupId, NodeId, Offset, Queue, RecordId, TopicPartition};
use crate::units::{Span, Time};
use log::{InLog, Log};
pub(super) use read_at::{ReadAt, Reader};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// So long after a delayed record is due it is in its partition, if any broker of a Corgi in order has it: a failover takes less.
const OVERDUE: Span = Span::secs(60);

/// Where a record was lost, as far as the history tells.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, strum::Display, strum::EnumIter,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "snake_case")]
pub enum Loss {
    /// It was handed to an application, and never processed.
    InTheApplication,
    /// Corgi's log lost it before it was copied or read.
    TruncatedFromCorgi,
    /// The mirror gave it up.
    SkippedByTheMirror,
    /// The mirror committed beyond it, and had no copy acknowledged.
    PassedByTheMirror,
    /// It is in Corgi only, and the group went on beyond it there.
    PassedInCorgi,
    /// It is in Corgi only, and nobody read it.
    LeftInCorgi,
    /// Kafka's log lost it.
    TruncatedFromKafka,
    /// It is in Kafka, before the place where the group began to read.
    BeforeThePreparedOffset,
    /// It is in Kafka, and the group went on beyond it.
    PassedInKafka,
    /// It is in Kafka, and the group has not come to it.
    LeftInKafka,
    /// Corgi deleted it before it was copied or read.
    DeletedFromCorgi,
    /// Kafka deleted it before it was read.
    DeletedFromKafka,
    /// Corgi kept it back, and it never became due.
    NeverDue,
    /// Corgi kept it back, and lost it before it was due.
    BeforeItWasDue,
    /// It was sent to Kafka, and nobody was to confirm it.
    Unconfirmed,
    /// It is in Kafka only, and the group reads from Corgi to the end.
    OnlyInKafka,
    /// A new master of Corgi's took it at an offset that the group had read beyond under the one before.
    BehindTheReaderInCorgi,
    /// A new leader of Kafka's did so.
    BehindTheReaderInKafka,
    /// Corgi gave its offset out twice, in the logs of two masters, and its reader found the other record there.
    ReplacedInCorgi,
}

/// A place in a log, and since when a record is known to stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Placed {
    partition: TopicPartition,
    offset: Offset,
    at: Time,
}

/// Where a record is said to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Stored {
    pub(super) sent_at: Time,
    corgi: Option<Placed>,
    kafka: Option<Placed>,
    pub(super) skipped_at: Option<Time>,
    /// Whether the mirror brought it into Kafka.
    pub(super) copied: bool,
    /// Whether the reverse mirror brought it into Corgi.
    pub(super) copied_back: bool,
    /// When the reverse mirror gave it up.
    pub(super) skipped_back_at: Option<Time>,
    /// For how long Corgi is to keep it back.
    pub(super) delay: Span,
    /// When it was due at the latest, if it is to be kept back: so long after its acknowledgement.
    pub(super) due_at: Option<Time>,
    /// Whether it was sent to Kafka and counted as acknowledged without an answer: where it stands, if it does, nobody knows.
    pub(super) unconfirmed: bool,
    /// When a log of Corgi's lost it before it was due.
    pub(super) lost_undue_at: Option<Time>,
}

impl Stored {
    /// The record is there now.
    pub(super) fn at(&mut self, queue: Queue, partition: TopicPartition, offset: Offset, at: Time) {
        let place = match queue {
            Queue::Corgi => &mut self.corgi,
            Queue::Kafka => &mut self.kafka,
        };
        *place = Some(Placed { partition, offset, at });
    }

    /// Its partition and its offset in Corgi, and since when it is known to stand there.
    pub(super) fn in_corgi(&self) -> Option<((TopicPartition, Offset), Time)> {
        self.corgi.map(|placed| ((placed.partition, placed.offset), placed.at))
    }

    fn in_queue(&self, queue: Queue) -> Option<&Placed> {
        match queue {
            Queue::Corgi => self.corgi.as_ref(),
            Queue::Kafka => self.kafka.as_ref(),
        }
    }
}

/// How a record came to be missing in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) loss: Loss,
    /// When it was passed over, where the history tells.
    pub(super) at: Option<Time>,
    /// Whether nothing that goes on by itself can bring it any more.
    pub(super) for_good: bool,
}

/// What happened to all logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Whereabouts {
    subject: Arc<Subject>,
    corgi: ByPartition<Log>,
    kafka: ByPartition<Log>,
    /// The queue that each group was delivered from last.
    reading: Vec<Queue>,
    mirror_stopped: bool,
    corgi_stopped: bool,
    reverse_mirror_runs: bool,
    plan_completed: bool,
    ended_at: Time,
    /// The groups that ever had a member in Kafka, a partition or a record of it: the others read from Corgi.
    joined_kafka: BTreeSet<GroupId>,
}

impl Whereabouts {
    /// Of a run that has not begun.
    pub(super) fn new(subject: Arc<Subject>) -> Whereabouts {
        Whereabouts {
            subject,
            corgi: ByPartition::default(),
            kafka: ByPartition::default(),
            reading: Vec::new(),
            mirror_stopped: false,
            corgi_stopped: false,
            reverse_mirror_runs: false,
            plan_completed: false,
            ended_at: Time::ZERO,
            joined_kafka: BTreeSet::new(),
        }
    }

    fn log(&mut self, queue: Queue, partition: TopicPartition) -> &mut Log {
        match queue {
            Queue::Corgi => self.corgi.at(partition),
            Queue::Kafka => self.kafka.at(partition),
        }
    }

    pub(super) fn observe(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Delivered { group, queue, partition, offset, .. } => {
                if *queue == Queue::Kafka {
                    self.joined_kafka.insert(*group);
                }
                *grown(&mut self.reading, usize::from(group.0)) = *queue;
                self.log(*queue, *partition).group(*group).read(*offset, entry.at);
            }
            Event::Committed { group, queue, partition, offset } => {
                let reach = self.log(*queue, *partition).group(*group);
                reach.committed = reach.committed.max(*offset);
            }
            Event::Copied { record, source, source_offset, .. } => {
                self.corgi.at(*source).copied.push((*source_offset, *record));
            }
            Event::MirrorCommitted { source, offset } => {
                let log = self.corgi.at(*source);
                log.mirrored = log.mirrored.max(*offset);
            }
            Event::CommittedBack { source, offset } => {
                let log = self.kafka.at(*source);
                log.mirrored = log.mirrored.max(*offset);
            }
            Event::CopiedBack { source, source_offset, .. } => {
                self.kafka.at(*source).copied_back_from.get_or_insert(*source_offset);
            }
            Event::Granted { group, queue: Queue::Kafka, .. } => {
                self.joined_kafka.insert(*group);
            }
            // Its members may have nothing to begin with, and wait there.
            Event::Rebalanced { group, members, .. } if *members > 0 => {
                self.joined_kafka.insert(*group);
            }
            Event::PlanCompleted => self.plan_completed = true,
            Event::Ended { .. } => self.ended_at = entry.at,
            Event::LeadershipTaken { .. }
            | Event::MastershipTaken { .. }
            | Event::DiskLost { .. }
            | Event::Truncated { .. } => {
                for (queue, partition, cut) in cuts_of(entry) {
                    self.log(queue, partition).cut(cut);
                }
            }
            Event::StartMoved { queue, partition, from, to } => {
                self.log(*queue, *partition).deleted.push((entry.at, *from, *to));
            }
            Event::StepDone { act, .. } => match act {
                crate::plan::Act::StartMirror => self.mirror_stopped = false,
                crate::plan::Act::StopMirror => self.mirror_stopped = true,
                crate::plan::Act::StartReverseMirror => self.reverse_mirror_runs = true,
                crate::plan::Act::StopReverseMirror => self.reverse_mirror_runs = false,
                crate::plan::Act::StopCorgi => self.corgi_stopped = true,
                _ => {}
            },
            _ => {}
        }
    }

    fn logs(&self, queue: Queue) -> &ByPartition<Log> {
        match queue {
            Queue::Corgi => &self.corgi,
            Queue::Kafka => &self.kafka,
        }
    }

    /// Who leads a log when the run begins, where that is known: the first broker of a Corgi set is its master.
    fn first_leader(&self, queue: Queue, partition: TopicPartition) -> Option<NodeId> {
        let set = self.subject.corgi_set(partition).filter(|_| queue == Queue::Corgi)?;
        self.subject.corgi_sets.get(set)?.first().copied()
    }

    /// Whether a broker leads that partition in Corgi, as far as the history tells.
    pub(super) fn leads_corgi(&self, node: NodeId, partition: TopicPartition) -> bool {
        let taken = self.corgi.get(partition).and_then(|log| log.cuts.last_leadership(Time::NEVER));
        let leader = taken.map(|taken| taken.node).or(self.first_leader(Queue::Corgi, partition));
        leader.is_none_or(|leader| leader == node)
    }

    /// By which cut the log of that queue lost a record that is known to have stood there.
    fn lost_by(&self, queue: Queue, stored: &Stored) -> Option<Cut> {
        let placed = stored.in_queue(queue)?;
        let log = self.logs(queue).get(placed.partition)?;
        log.lost_by(self.first_leader(queue, placed.partition), placed)
    }

    /// What the mirror found in Corgi, and where.
    pub(super) fn copied(&self) -> impl Iterator<Item = ((TopicPartition, Offset), RecordId)> {
        self.corgi.iter().flat_map(|(partition, log)| {
            log.copied.iter().map(move |(offset, record)| ((partition, *offset), *record))
        })
    }

    /// What stands in Corgi's other log at the place of a record that was passed over, or left there.
    pub(super) fn instead<'a>(
        &self,
        passed: Loss,
        group: GroupId,
        record: RecordId,
        stored: &Stored,
        read_at: impl FnOnce() -> &'a ReadAt,
    ) -> Option<RecordId> {
        let placed = stored.corgi?;
        let place = (placed.partition, placed.offset);
        match passed {
            Loss::PassedByTheMirror => read_at().instead(Reader::Mirror, place, record),
            Loss::PassedInCorgi => read_at().instead(Reader::Group(group), place, record),
            Loss::LeftInCorgi => {
                let mut others = read_at().others(place, record);
                let log = self.corgi.get(placed.partition)?;
                let both = |since: Time| !log.cuts.gives_out_again(placed.offset, since, placed.at);
                others.find(|(_, since)| both(*since)).map(|(other, _)| other)
            }
            _ => None,
        }
    }

    /// The queues whose logs lost a record that is known to have stood there.
    pub(super) fn lost_from(&self, stored: &Stored) -> impl Iterator<Item = Queue> {
        [Queue::Corgi, Queue::Kafka].into_iter().filter(|queue| self.lost_by(*queue, stored).is_some())
    }

    fn standing(&self, queue: Queue, group: GroupId, stored: &Stored) -> Option<(InLog, Option<Time>)> {
        let placed = stored.in_queue(queue)?;
        let first = self.first_leader(queue, placed.partition);
        let log = self.logs(queue).get(placed.partition);
        Some(log.map_or((InLog::Left, None), |log| log.standing(first, group, stored.sent_at, placed)))
    }

    /// Whether a group committed beyond a record's place.
    fn has_committed(&self, queue: Queue, group: GroupId, stored: &Stored) -> bool {
        stored.in_queue(queue).is_some_and(|placed| {
            let log = self.logs(queue).get(placed.partition);
            log.is_some_and(|log| log.reach(group).has_committed(placed.offset))
        })
    }

    /// Whether a group had read beyond a record in Corgi before it read anything where its copy stands in Kafka: then
    /// whatever became of the copy, the record was passed over in Corgi.
    fn passed_in_corgi_first(&self, group: GroupId, stored: &Stored) -> bool {
        let (Some(corgi), Some(kafka)) = (stored.corgi, stored.kafka) else { return false };
        let in_corgi = self.corgi.get(corgi.partition).map(|log| log.reach(group).highest);
        let in_kafka = self.kafka.get(kafka.partition).and_then(|log| log.reach(group).lowest);
        in_corgi.is_some_and(|(highest, at)| {
            highest > corgi.offset && in_kafka.is_none_or(|(_, first_read)| at < first_read)
        })
    }

    /// How a record that a group has not processed came to be missing.
    pub(super) fn passed(
        &self,
        group: GroupId,
        source: TopicPartition,
        stored: &Stored,
        delivered: bool,
    ) -> Passed {
        let in_kafka = self.standing(Queue::Kafka, group, stored);
        let in_corgi = self.standing(Queue::Corgi, group, stored);
        if delivered {
            // A delivery that was not committed comes again; one that was committed does not.
            let done = |queue| self.has_committed(queue, group, stored);
            let for_good = done(Queue::Kafka) || done(Queue::Corgi);
            return Passed { loss: Loss::InTheApplication, at: None, for_good };
        }
        if self.plan_completed
            && !self.joined_kafka.contains(&group)
            && let Some(passed) = self.passed_on_the_way_back(stored, in_kafka, in_corgi)
        {
            return passed;
        }
        let mut passed = self.passed_unread(group, source, stored, in_kafka, in_corgi);
        if self.reading.get(usize::from(group.0)).copied().unwrap_or_default() == Queue::Corgi {
            // A group that still reads Corgi may come to it there, whatever became of the copy.
            let gone = in_corgi.is_some_and(|(standing, _)| standing.is_gone());
            passed.for_good &= gone || self.corgi_stopped || passed.loss == Loss::BeforeItWasDue;
        }
        passed
    }

    /// The same of a record that came to Kafka first, and of a group that will never read there: what it gets, the reverse
    /// mirror brings.
    fn passed_on_the_way_back(
        &self,
        stored: &Stored,
        in_kafka: Option<(InLog, Option<Time>)>,
        in_corgi: Option<(InLog, Option<Time>)>,
    ) -> Option<Passed> {
        let Placed { partition, offset, .. } = stored.kafka?;
        let passed = match in_corgi {
            None if !matches!(in_kafka, Some((InLog::Left, _))) => return None,
            None => {
                let mirrored = self.kafka.get(partition).is_some_and(|log| log.mirrored > offset);
                let for_good = mirrored || stored.skipped_back_at.is_some() || !self.reverse_mirror_runs;
                Passed { loss: Loss::OnlyInKafka, at: stored.skipped_back_at, for_good }
            }
            Some(_) if !stored.copied_back => return None,
            Some((InLog::Truncated, at)) => Passed { loss: Loss::TruncatedFromCorgi, at, for_good: true },
            Some((InLog::Deleted, at)) => Passed { loss: Loss::DeletedFromCorgi, at, for_good: true },
            Some((InLog::Before | InLog::Passed, at)) => {
                Passed { loss: Loss::PassedInCorgi, at, for_good: true }
            }
            Some((InLog::Behind(read_on), at)) => {
                let for_good = read_on || self.corgi_stopped;
                Passed { loss: Loss::BehindTheReaderInCorgi, at, for_good }
            }
            Some((InLog::Left, at)) => Passed { loss: Loss::LeftInCorgi, at, for_good: self.corgi_stopped },
        };
        Some(passed)
    }

    /// The same of a record that the group was never delivered.
    fn passed_unread(
        &self,
        group: GroupId,
        source: TopicPartition,
        stored: &Stored,
        in_kafka: Option<(InLog, Option<Time>)>,
        in_corgi: Option<(InLog, Option<Time>)>,
    ) -> Passed {
        match (in_kafka, in_corgi) {
            (Some((InLog::Truncated, at)), _) => {
                Passed { loss: Loss::TruncatedFromKafka, at, for_good: true }
            }
            (Some((InLog::Deleted, at)), _) => Passed { loss: Loss::DeletedFromKafka, at, for_good: true },
            (
                Some((InLog::Before | InLog::Passed | InLog::Behind(_), _)),
                Some((InLog::Behind(true), at)),
            ) => Passed { loss: Loss::BehindTheReaderInCorgi, at, for_good: true },
            (Some((InLog::Before, _)), Some((InLog::Passed, at)))
                if self.passed_in_corgi_first(group, stored) =>
            {
                Passed { loss: Loss::PassedInCorgi, at, for_good: true }
            }
            (Some((InLog::Before, at)), _) => {
                Passed { loss: Loss::BeforeThePreparedOffset, at, for_good: true }
            }
            (Some((InLog::Passed, at)), _) => Passed { loss: Loss::PassedInKafka, at, for_good: true },
            (Some((InLog::Behind(for_good), at)), _) => {
                Passed { loss: Loss::BehindTheReaderInKafka, at, for_good }
            }
            (Some((InLog::Left, at)), _) => Passed { loss: Loss::LeftInKafka, at, for_good: false },
            (None, None) if stored.unconfirmed => {
                Passed { loss: Loss::Unconfirmed, at: None, for_good: false }
            }
            (None, in_corgi) => self.passed_in_corgi(source, stored, in_corgi),
        }
    }

    /// The same of a record that Kafka never had.
    fn passed_in_corgi(
        &self,
        source: TopicPartition,
        stored: &Stored,
        in_corgi: Option<(InLog, Option<Time>)>,
    ) -> Passed {
        let (partition, offset) =
            stored.corgi.map_or((source, -1), |placed| (placed.partition, placed.offset));
        let mirrored = self.corgi.get(partition).is_some_and(|log| log.mirrored > offset && offset >= 0);
        if stored.skipped_at.is_some() {
            return Passed { loss: Loss::SkippedByTheMirror, at: stored.skipped_at, for_good: true };
        }
        match in_corgi {
            Some((InLog::Truncated, at)) => Passed { loss: Loss::TruncatedFromCorgi, at, for_good: true },
            Some((InLog::Deleted, at)) => Passed { loss: Loss::DeletedFromCorgi, at, for_good: true },
            _ if mirrored => Passed { loss: Loss::PassedByTheMirror, at: None, for_good: true },
            Some((InLog::Before | InLog::Passed, at)) => {
                Passed { loss: Loss::PassedInCorgi, at, for_good: true }
            }
            Some((InLog::Behind(read_on), at)) => {
                let for_good = read_on || self.mirror_stopped || self.corgi_stopped;
                Passed { loss: Loss::BehindTheReaderInCorgi, at, for_good }
            }
            _ => {
                let for_good = self.mirror_stopped || self.corgi_stopped;
                let kept_back = stored.delay > Span::ZERO && stored.corgi.is_none();
                let loss = match stored.lost_undue_at {
                    Some(_) if kept_back => Loss::BeforeItWasDue,
                    _ if kept_back => Loss::NeverDue,
                    _ => Loss::LeftInCorgi,
                };
                let overdue = || stored.due_at.is_some_and(|due_at| due_at + OVERDUE <= self.ended_at);
                let for_good = for_good || loss == Loss::BeforeItWasDue && overdue();
                Passed { loss, at: stored.lost_undue_at.filter(|_| kept_back), for_good }
            }
        }
    }
}
