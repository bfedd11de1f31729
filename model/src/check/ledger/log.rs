//! How far the readers of a log went, what the log lost, and how a record stands in it for one of its groups.

use super::Placed;
use crate::check::cuts::{Cause, Cut, Cuts};
use crate::check::tables::grown;
use crate::record::{GroupId, NodeId, Offset, RecordId};
use crate::units::Time;
use serde::Serialize;

/// How far a reader went in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Reach {
    /// The lowest offset that was read.
    pub(super) lowest: Option<(Offset, Time)>,
    /// The highest offset that was read, and when.
    pub(super) highest: (Offset, Time),
    /// The greatest offset that was committed: everything below it counts as done.
    pub(super) committed: Offset,
    /// Where it stood when the log was last cut down behind it.
    pub(super) beyond: Option<Beyond>,
}

/// A reader stood beyond the end of the log with which another leader began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Beyond {
    /// The end of that leader's log.
    end: Offset,
    /// The offset that the reader would have read next.
    pub(super) position: Offset,
}

impl Default for Reach {
    fn default() -> Reach {
        Reach { lowest: None, highest: (-1, Time::ZERO), committed: -1, beyond: None }
    }
}

impl Reach {
    pub(super) fn read(&mut self, offset: Offset, at: Time) {
        if offset > self.highest.0 {
            self.highest = (offset, at);
        }
        if self.lowest.is_none_or(|(lowest, _)| offset < lowest) {
            self.lowest = Some((offset, at));
        }
    }

    /// Whether the reader is beyond that offset, by what it did since the log was last cut down behind it.
    fn is_beyond(&self, offset: Offset) -> bool {
        self.committed > offset || self.highest.0 > offset
    }

    /// Whether the reader committed beyond that offset at any time.
    pub(super) fn has_committed(&self, offset: Offset) -> bool {
        self.committed > offset || self.beyond.is_some_and(|beyond| beyond.position > offset)
    }

    /// The log ends there now: what was read and committed beyond are other records than those that come.
    fn cut_down(&mut self, end: Offset) {
        let position = self.committed.max(self.highest.0 + 1);
        if position > end {
            self.beyond = Some(Beyond { end, position });
            self.lowest = None;
            self.highest.0 = self.highest.0.min(end - 1);
            self.committed = self.committed.min(end);
        }
    }
}

/// What happened to one log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Log {
    /// Where it was cut down.
    pub(super) cuts: Cuts,
    /// Beginnings that were deleted from it: when, from where and up to where.
    pub(super) deleted: Vec<(Time, Offset, Offset)>,
    /// How far each group went.
    pub(super) groups: Vec<Reach>,
    /// How far the mirror that reads it committed.
    pub(super) mirrored: Offset,
    /// What the mirror copied from which offset of it; nothing of a log of Kafka's.
    pub(super) copied: Vec<(Offset, RecordId)>,
    /// The first that the reverse mirror copied of it.
    pub(super) copied_back_from: Option<Offset>,
}

/// How a record stands in one log, for one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InLog {
    /// The log lost it.
    Truncated,
    /// It was deleted, and whoever was to read it went on behind it.
    Deleted,
    /// The group began behind it.
    Before,
    /// The group began before it and went on beyond it.
    Passed,
    /// A new leader took it at an offset that the group had read beyond under the one before; whether the group has read on
    /// from there.
    Behind(bool),
    /// The group has not come to it.
    Left,
}

impl InLog {
    /// Whether it does not come to the group any more.
    pub(super) fn is_gone(self) -> bool {
        !matches!(self, InLog::Left | InLog::Behind(false))
    }
}

impl Log {
    pub(super) fn group(&mut self, group: GroupId) -> &mut Reach {
        grown(&mut self.groups, usize::from(group.0))
    }

    pub(super) fn reach(&self, group: GroupId) -> Reach {
        self.groups.get(usize::from(group.0)).copied().unwrap_or_default()
    }

    pub(super) fn cut(&mut self, cut: Cut) {
        self.cuts.push(cut);
        if cut.cause == Cause::Leadership {
            self.groups.iter_mut().for_each(|reach| reach.cut_down(cut.to));
            self.mirrored = self.mirrored.min(cut.to);
        }
    }

    /// By which cut a record was lost for certain.
    pub(super) fn lost_by(&self, first: Option<NodeId>, placed: &Placed) -> Option<Cut> {
        self.cuts.lost_by(first, placed.offset, placed.at)
    }

    /// How a record that the group was not delivered stands in the log, and since when, where the history tells.
    pub(super) fn standing(
        &self,
        first: Option<NodeId>,
        group: GroupId,
        sent_at: Time,
        placed: &Placed,
    ) -> (InLog, Option<Time>) {
        let offset = placed.offset;
        if let Some(cut) = self.lost_by(first, placed) {
            return (InLog::Truncated, Some(cut.at));
        }
        let reach = self.reach(group);
        let deleted = self.deleted.iter().filter(|(_, from, to)| (*from..*to).contains(&offset));
        let deleted = deleted.map(|(at, ..)| *at).find(|at| *at >= placed.at);
        let was_beyond = reach.beyond.filter(|beyond| beyond.position > offset);
        let went_on = reach.is_beyond(offset) || was_beyond.is_some() || self.mirrored > offset;
        if deleted.is_some() && went_on {
            return (InLog::Deleted, deleted);
        }
        // A leader that was replaced may have acknowledged it when it was none any more, or have lost it before the producer
        // heard of it.
        let may_be_lost = || {
            let cut = self.cuts.may_be_lost_by(first, offset, (sent_at, placed.at))?;
            Some((InLog::Truncated, Some(cut.at)))
        };
        let began_behind = reach.lowest.is_none_or(|(lowest, _)| lowest > offset);
        match was_beyond {
            Some(beyond) if beyond.end > offset => (InLog::Passed, None),
            Some(_) if began_behind => (InLog::Behind(reach.is_beyond(offset)), None),
            _ if !reach.is_beyond(offset) => {
                // Then nobody is ever delivered anything at its place.
                let unread = self.groups.iter().all(|it| it.committed <= offset && it.highest.0 < offset);
                may_be_lost().filter(|_| unread).unwrap_or((InLog::Left, None))
            }
            None if began_behind && reach.beyond.is_none() => (InLog::Before, reach.lowest.map(|(_, at)| at)),
            // The group went over that offset and did not see it there.
            _ => may_be_lost().unwrap_or((InLog::Passed, None)),
        }
    }
}
