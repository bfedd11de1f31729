//! Where records stand and what went past them: from this at-least-once says where a lost record was lost.

use super::Subject;
use super::tables::{ByPartition, grown};
use crate::history::{Entry, Event};
use crate::record::{GroupId, Offset, Queue, TopicPartition};
use crate::units::Time;
use serde::Serialize;
use std::collections::BTreeSet;

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
    /// It is in Kafka only, and the group reads from Corgi to the end.
    OnlyInKafka,
}

/// Where a record is said to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Stored {
    pub(super) sent_at: Time,
    corgi: Option<(TopicPartition, Offset, Time)>,
    kafka: Option<(TopicPartition, Offset, Time)>,
    pub(super) skipped_at: Option<Time>,
    /// Whether the mirror brought it into Kafka.
    pub(super) copied: bool,
    /// Whether the reverse mirror brought it into Corgi.
    pub(super) copied_back: bool,
    /// When the reverse mirror gave it up.
    pub(super) skipped_back_at: Option<Time>,
    /// Whether Corgi is to keep it back for a while.
    pub(super) delayed: bool,
}

impl Stored {
    /// The record is there now.
    pub(super) fn at(&mut self, queue: Queue, partition: TopicPartition, offset: Offset, at: Time) {
        let place = match queue {
            Queue::Corgi => &mut self.corgi,
            Queue::Kafka => &mut self.kafka,
        };
        *place = Some((partition, offset, at));
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

/// How far a reader went in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Reach {
    /// The lowest offset that was read.
    lowest: Option<(Offset, Time)>,
    /// The highest offset that was read.
    highest: Offset,
    /// The greatest offset that was committed: everything below it counts as done.
    committed: Offset,
}

impl Default for Reach {
    fn default() -> Reach {
        Reach { lowest: None, highest: -1, committed: -1 }
    }
}

/// What happened to one log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Log {
    /// Tails that it lost: when, from where and down to where.
    truncated: Vec<(Time, Offset, Offset)>,
    /// Beginnings that were deleted from it: when, from where and up to where.
    deleted: Vec<(Time, Offset, Offset)>,
    /// How far each group went.
    groups: Vec<Reach>,
    /// How far the mirror that reads it committed.
    mirrored: Offset,
}

/// What happened to all logs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Whereabouts {
    corgi: ByPartition<Log>,
    kafka: ByPartition<Log>,
    /// The queue that each group was delivered from last.
    reading: Vec<Queue>,
    mirror_stopped: bool,
    corgi_stopped: bool,
    reverse_mirror_runs: bool,
    plan_completed: bool,
    /// The groups that ever had a partition of Kafka's, or a record of it: the others read from Corgi.
    joined_kafka: BTreeSet<GroupId>,
}

impl Whereabouts {
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
                let reach = grown(&mut self.log(*queue, *partition).groups, usize::from(group.0));
                reach.highest = reach.highest.max(*offset);
                if reach.lowest.is_none_or(|(lowest, _)| *offset < lowest) {
                    reach.lowest = Some((*offset, entry.at));
                }
            }
            Event::Committed { group, queue, partition, offset } => {
                let reach = grown(&mut self.log(*queue, *partition).groups, usize::from(group.0));
                reach.committed = reach.committed.max(*offset);
            }
            Event::MirrorCommitted { source, offset } => {
                let log = self.corgi.at(*source);
                log.mirrored = log.mirrored.max(*offset);
            }
            Event::CommittedBack { source, offset } => {
                let log = self.kafka.at(*source);
                log.mirrored = log.mirrored.max(*offset);
            }
            Event::Granted { group, queue: Queue::Kafka, .. } => {
                self.joined_kafka.insert(*group);
            }
            Event::PlanCompleted => self.plan_completed = true,
            Event::Truncated { queue, partition, from, to } => {
                self.log(*queue, *partition).truncated.push((entry.at, *from, *to));
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

    /// How a record that a group has not processed came to be missing.
    pub(super) fn passed(
        &self,
        group: GroupId,
        source: TopicPartition,
        stored: &Stored,
        delivered: bool,
    ) -> Passed {
        let in_kafka = stored.kafka.map(|place| self.passed_in(&self.kafka, group, stored.sent_at, place));
        let in_corgi = stored.corgi.map(|place| self.passed_in(&self.corgi, group, stored.sent_at, place));
        if delivered {
            // A delivery that was not committed comes again; one that was committed does not.
            let done =
                |logs, place: Option<_>| place.is_some_and(|place| Self::committed(logs, group, place));
            let for_good = done(&self.kafka, stored.kafka) || done(&self.corgi, stored.corgi);
            return Passed { loss: Loss::InTheApplication, at: None, for_good };
        }
        if self.plan_completed
            && !self.joined_kafka.contains(&group)
            && let Some(passed) = self.passed_on_the_way_back(stored, in_kafka, in_corgi)
        {
            return passed;
        }
        let mut passed = self.passed_unread(source, stored, in_kafka, in_corgi);
        if self.reading.get(usize::from(group.0)).copied().unwrap_or_default() == Queue::Corgi {
            // A group that still reads Corgi may come to it there, whatever became of the copy.
            let gone = matches!(
                in_corgi,
                Some((InLog::Truncated | InLog::Deleted | InLog::Before | InLog::Passed, _))
            );
            passed.for_good &= gone || self.corgi_stopped;
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
        let (partition, offset, _) = stored.kafka?;
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
            Some((InLog::Left, at)) => Passed { loss: Loss::LeftInCorgi, at, for_good: self.corgi_stopped },
        };
        Some(passed)
    }

    /// The same of a record that the group was never delivered.
    fn passed_unread(
        &self,
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
            (Some((InLog::Before, at)), _) => {
                Passed { loss: Loss::BeforeThePreparedOffset, at, for_good: true }
            }
            (Some((InLog::Passed, at)), _) => Passed { loss: Loss::PassedInKafka, at, for_good: true },
            (Some((InLog::Left, at)), _) => Passed { loss: Loss::LeftInKafka, at, for_good: false },
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
            stored.corgi.map_or((source, -1), |(partition, offset, _)| (partition, offset));
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
            _ => {
                let for_good = self.mirror_stopped || self.corgi_stopped;
                let kept_back = stored.delayed && stored.corgi.is_none();
                let loss = if kept_back { Loss::NeverDue } else { Loss::LeftInCorgi };
                Passed { loss, at: None, for_good }
            }
        }
    }

    /// Whether a group committed beyond a place.
    fn committed(
        logs: &ByPartition<Log>,
        group: GroupId,
        (partition, offset, _): (TopicPartition, Offset, Time),
    ) -> bool {
        let reach = logs.get(partition).and_then(|log| log.groups.get(usize::from(group.0)));
        reach.is_some_and(|reach| reach.committed > offset)
    }

    fn passed_in(
        &self,
        logs: &ByPartition<Log>,
        group: GroupId,
        sent_at: Time,
        (partition, offset, stored_at): (TopicPartition, Offset, Time),
    ) -> (InLog, Option<Time>) {
        let Some(log) = logs.get(partition) else { return (InLog::Left, None) };
        let lost_since = |since: Time| {
            let mut lost = log.truncated.iter().filter(|(_, from, to)| (*to..*from).contains(&offset));
            lost.find(|(at, ..)| *at >= since).map(|(at, ..)| *at)
        };
        if let Some(at) = lost_since(stored_at) {
            return (InLog::Truncated, Some(at));
        }
        let reach = log.groups.get(usize::from(group.0)).copied().unwrap_or_default();
        let mut deleted = log.deleted.iter().filter(|(_, from, to)| (*from..*to).contains(&offset));
        let deleted = deleted.find(|(at, ..)| *at >= stored_at).map(|(at, ..)| *at);
        let went_on = reach.committed > offset || reach.highest > offset || log.mirrored > offset;
        if let Some(at) = deleted
            && went_on
        {
            return (InLog::Deleted, Some(at));
        }
        match reach.lowest {
            _ if reach.committed <= offset && reach.highest <= offset => {
                // The acknowledgement may have come after the truncation, from the leader that lost the record: then nobody is
                // ever delivered anything at its place.
                let unread =
                    log.groups.iter().all(|reach| reach.committed <= offset && reach.highest < offset);
                match lost_since(sent_at).filter(|_| unread) {
                    Some(at) => (InLog::Truncated, Some(at)),
                    None => (InLog::Left, None),
                }
            }
            Some((lowest, at)) if lowest > offset => (InLog::Before, Some(at)),
            None => (InLog::Before, None),
            // The group went over that offset and did not see it there: a leader that was replaced may have acknowledged
            // it, and have lost it before the producer heard of it.
            Some(_) => match lost_since(sent_at) {
                Some(at) => (InLog::Truncated, Some(at)),
                None => (InLog::Passed, None),
            },
        }
    }

    /// Half a sentence about a loss.
    pub(super) fn explain(&self, subject: &Subject, loss: Loss, group: GroupId, stored: &Stored) -> String {
        let place = |place: Option<(TopicPartition, Offset, Time)>| match place {
            Some((partition, offset, _)) => {
                format!("{} at offset {offset}", subject.partition_name(partition))
            }
            None => "an unknown place".to_owned(),
        };
        let (corgi, kafka) = (place(stored.corgi), place(stored.kafka));
        match loss {
            Loss::InTheApplication => {
                "it was handed to an application, which never processed it, and it did not come again"
                    .to_owned()
            }
            Loss::TruncatedFromCorgi => {
                format!("Corgi's log of {corgi} lost its tail before it was copied or read")
            }
            Loss::OnlyInKafka => {
                let back = match stored.kafka {
                    _ if stored.skipped_back_at.is_some() => ", and the reverse mirror gave it up",
                    Some((partition, offset, _))
                        if self.kafka.get(partition).is_some_and(|log| log.mirrored > offset) =>
                    {
                        ", and the reverse mirror committed beyond it with no copy acknowledged"
                    }
                    _ if self.reverse_mirror_runs => "",
                    _ => ", and no reverse mirror brings it back",
                };
                format!("it is in Kafka only ({kafka}), while the group reads from Corgi{back}")
            }
            Loss::NeverDue => "Corgi kept it back until it was due, and nobody was there any more".to_owned(),
            Loss::DeletedFromCorgi => {
                format!(
                    "Corgi deleted {corgi} before it was copied or read, and its reader went on behind it"
                )
            }
            Loss::DeletedFromKafka => {
                format!("Kafka deleted {kafka} before it was read, and the group went on behind it")
            }
            Loss::SkippedByTheMirror => format!("the mirror gave it up and went on ({corgi} in Corgi)"),
            Loss::PassedByTheMirror => {
                format!("the mirror committed beyond {corgi} in Corgi, and no copy was acknowledged")
            }
            Loss::PassedInCorgi => {
                format!("the group went on beyond {corgi} in Corgi, and it was never copied")
            }
            Loss::LeftInCorgi => format!("it was left in Corgi ({corgi}), never copied and never read"),
            Loss::TruncatedFromKafka => format!("Kafka's log of {kafka} lost its tail"),
            Loss::BeforeThePreparedOffset => {
                let began = stored.kafka.and_then(|(partition, ..)| self.began_at(group, partition));
                let began = began.map_or_else(String::new, |offset| format!(", which is {offset}"));
                format!("it is in Kafka ({kafka}), before the offset at which the group began to read{began}")
            }
            Loss::PassedInKafka => format!("it is in Kafka ({kafka}), and the group went on beyond it"),
            Loss::LeftInKafka => format!("it is in Kafka ({kafka}), and the group never came to it"),
        }
    }

    fn began_at(&self, group: GroupId, partition: TopicPartition) -> Option<Offset> {
        let reach = self.kafka.get(partition)?.groups.get(usize::from(group.0))?;
        Some(reach.lowest.map_or(reach.committed, |(lowest, _)| lowest))
    }
}

/// How a record stands in one log, for one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InLog {
    /// The log lost it.
    Truncated,
    /// It was deleted, and whoever was to read it went on behind it.
    Deleted,
    /// The group began behind it.
    Before,
    /// The group began before it and went on beyond it.
    Passed,
    /// The group has not come to it.
    Left,
}
