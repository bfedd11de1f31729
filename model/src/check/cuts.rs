//! Where a log was cut down, and what is lost by it. Offsets are no identities: a leader that lacks the end of its
//! predecessor's log gives the offsets out again. So a record is lost to a log only if its leader had it, and one that
//! lacks it leads from then on; what another broker's log loses before that, or after, is its own.

use crate::history::{Entry, Event};
use crate::record::{NodeId, Offset, Queue, TopicPartition};
use crate::units::Time;
use serde::Serialize;
use std::collections::BTreeSet;

/// What happened to a broker's log of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Cause {
    /// It leads the partition from then on, with what it has.
    Leadership,
    /// Its disk lost it.
    Disk,
    /// It follows another, and gave up what that one does not have.
    Following,
}

/// A log that is without its tail from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Cut {
    pub(super) at: Time,
    pub(super) node: NodeId,
    /// The end of the log before: [`Offset::MAX`] where nobody says it.
    from: Offset,
    /// And after.
    pub(super) to: Offset,
    pub(super) cause: Cause,
}

impl Cut {
    /// Whether that offset was cut off, or is not there.
    pub(super) fn takes(&self, offset: Offset) -> bool {
        (self.to..self.from).contains(&offset)
    }
}

/// All cuts of one log, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Cuts {
    list: Vec<Cut>,
}

/// The cuts that an entry of the history tells of: the queue, the partition and the cut.
pub(super) fn cuts_of(entry: &Entry) -> Vec<(Queue, TopicPartition, Cut)> {
    let cut = |cause, from, to| Cut { at: entry.at, node: entry.node, from, to, cause };
    match &entry.event {
        Event::LeadershipTaken { partition, end, .. } => {
            vec![(Queue::Kafka, *partition, cut(Cause::Leadership, Offset::MAX, *end))]
        }
        Event::MastershipTaken { partitions } => {
            let taken = |(partition, end): &(TopicPartition, Offset)| {
                (Queue::Corgi, *partition, cut(Cause::Leadership, Offset::MAX, *end))
            };
            partitions.iter().map(taken).collect()
        }
        Event::DiskLost { queue, partitions } => {
            let lost = |(partition, from, to): &(TopicPartition, Offset, Offset)| {
                (*queue, *partition, cut(Cause::Disk, *from, *to))
            };
            partitions.iter().map(lost).collect()
        }
        Event::Truncated { queue, partition, from, to } => {
            vec![(*queue, *partition, cut(Cause::Following, *from, *to))]
        }
        _ => Vec::new(),
    }
}

impl Cuts {
    pub(super) fn push(&mut self, cut: Cut) {
        self.list.push(cut);
    }

    /// The last time up to that moment that somebody began to lead.
    pub(super) fn last_leadership(&self, until: Time) -> Option<&Cut> {
        let taken = |cut: &&Cut| cut.cause == Cause::Leadership && cut.at <= until;
        self.list.iter().rev().find(taken)
    }

    /// Whether somebody began to lead between those moments with a log that ends before that offset: then what has it later has
    /// it after the other, and not beside it in the log of a second leader.
    pub(super) fn gives_out_again(&self, offset: Offset, one: Time, other: Time) -> bool {
        let (earlier, later) = (one.min(other), one.max(other));
        let taken = |cut: &Cut| cut.cause == Cause::Leadership && cut.takes(offset);
        self.list.iter().any(|cut| taken(cut) && earlier < cut.at && cut.at <= later)
    }

    /// The cut by which a record was lost that stood at that offset since then; none if the log has it still, as far as the
    /// history tells.
    pub(super) fn lost_by(&self, first: Option<NodeId>, offset: Offset, since: Time) -> Option<Cut> {
        let behind = self.list.partition_point(|cut| cut.at <= since);
        let may_take = |cut: &Cut| cut.cause != Cause::Following && cut.takes(offset);
        if !self.list[behind..].iter().any(may_take) {
            return None;
        }
        let mut leader = self.last_leadership(since).map(|taken| taken.node).or(first);
        // Who surely has it, and who surely has not; of the others nobody knows.
        let mut keepers: BTreeSet<NodeId> = leader.into_iter().collect();
        let mut lacking = BTreeSet::new();
        let mut lost: Option<Cut> = None;
        for cut in &self.list[behind..] {
            if cut.takes(offset) {
                keepers.remove(&cut.node);
                lacking.insert(cut.node);
                if cut.cause == Cause::Leadership || (cut.cause == Cause::Disk && leader == Some(cut.node)) {
                    lost.get_or_insert(*cut);
                }
            } else if cut.cause == Cause::Leadership {
                // A leader's disk takes nothing that a follower has who leads next.
                let copied = |lost: &Cut| lost.cause == Cause::Disk && !lacking.contains(&cut.node);
                if lost.as_ref().is_none_or(|lost| keepers.contains(&cut.node) || copied(lost)) {
                    lost = None;
                    keepers.insert(cut.node);
                }
            }
            if cut.cause == Cause::Leadership {
                leader = Some(cut.node);
            }
        }
        lost
    }

    /// The same where a leader may have acknowledged the record when it was none any more, or have lost it before the producer
    /// heard of it: the first cut since the record was sent, at one who had led by the time of the acknowledgement.
    pub(super) fn may_be_lost_by(
        &self,
        first: Option<NodeId>,
        offset: Offset,
        (sent_at, acknowledged_at): (Time, Time),
    ) -> Option<Cut> {
        let had_led = |node: NodeId| {
            first == Some(node)
                || self.list.iter().any(|cut| {
                    cut.cause == Cause::Leadership && cut.node == node && cut.at <= acknowledged_at
                })
        };
        // Of what the leader of that time lost later `lost_by` knows.
        let leader = self.last_leadership(acknowledged_at).map(|taken| taken.node).or(first);
        let undecided = |cut: &Cut| cut.at <= acknowledged_at || leader != Some(cut.node);
        let lost = |cut: &&Cut| {
            cut.at >= sent_at
                && cut.cause != Cause::Leadership
                && cut.takes(offset)
                && had_led(cut.node)
                && undecided(cut)
        };
        self.list.iter().find(lost).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(1);
    const B: NodeId = NodeId(2);
    const C: NodeId = NodeId(3);

    fn cuts(cuts: &[(u64, NodeId, Cause, Offset, Offset)]) -> Cuts {
        let cut = |(at, node, cause, from, to): &(u64, NodeId, Cause, Offset, Offset)| Cut {
            at: Time(*at),
            node: *node,
            from: *from,
            to: *to,
            cause: *cause,
        };
        Cuts { list: cuts.iter().map(cut).collect() }
    }

    fn lost_at(list: &Cuts, offset: Offset, since: u64) -> Option<u64> {
        list.lost_by(Some(A), offset, Time(since)).map(|cut| cut.at.0)
    }

    #[test]
    fn what_the_new_leader_lacks_is_lost_and_what_stands_in_its_place_is_not() {
        use Cause::{Following, Leadership};
        let list =
            cuts(&[(10, B, Leadership, Offset::MAX, 5), (11, C, Following, 9, 5), (30, A, Following, 9, 5)]);
        assert_eq!(lost_at(&list, 7, 1), Some(10));
        assert_eq!(lost_at(&list, 4, 1), None, "the new leader has it");
        assert_eq!(lost_at(&list, 7, 20), None, "the new leader took it; the old one's tail was its own");
    }

    #[test]
    fn a_disk_takes_what_nobody_who_leads_next_has() {
        use Cause::{Disk, Following, Leadership};
        let alone = cuts(&[(10, A, Disk, 9, 0)]);
        assert_eq!(lost_at(&alone, 7, 1), Some(10));
        assert_eq!(lost_at(&alone, 7, 20), None);
        let followed = cuts(&[(10, A, Disk, 9, 0), (20, B, Leadership, Offset::MAX, 9)]);
        assert_eq!(lost_at(&followed, 7, 1), None);
        let obeyed =
            cuts(&[(10, A, Disk, 9, 0), (11, B, Following, 9, 0), (20, B, Leadership, Offset::MAX, 9)]);
        assert_eq!(lost_at(&obeyed, 7, 1), Some(10), "what it leads with is not what it had");
        let of_a_follower = cuts(&[(10, B, Disk, 9, 0)]);
        assert_eq!(lost_at(&of_a_follower, 7, 1), None);
    }

    #[test]
    fn what_an_old_leader_kept_comes_back_with_it() {
        use Cause::{Following, Leadership};
        let kept = cuts(&[(10, B, Leadership, Offset::MAX, 5), (20, A, Leadership, Offset::MAX, 9)]);
        assert_eq!(lost_at(&kept, 7, 1), None);
        let cut = cuts(&[
            (10, B, Leadership, Offset::MAX, 5),
            (15, A, Following, 9, 5),
            (20, A, Leadership, Offset::MAX, 9),
        ]);
        assert_eq!(lost_at(&cut, 7, 1), Some(10));
    }

    #[test]
    fn only_one_who_led_may_have_acknowledged_what_it_lost() {
        use Cause::{Following, Leadership};
        let list =
            cuts(&[(10, B, Leadership, Offset::MAX, 5), (11, C, Following, 9, 5), (12, A, Following, 9, 5)]);
        let by = |first, sent_at| {
            list.may_be_lost_by(Some(first), 7, (Time(sent_at), Time(13))).map(|cut| cut.node)
        };
        assert_eq!(by(A, 8), Some(A));
        assert_eq!(by(B, 8), None);
        assert_eq!(by(A, 13), None, "it was sent later");
    }
}
