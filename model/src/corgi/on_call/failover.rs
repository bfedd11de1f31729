//! A failover by hand, from the decision to the new master's word: who is asked for his length, who is chosen, who is told.

use super::{BTreeMap, Effects, Epoch, Failover, Length, NodeId, OnCall, Request, Time, Watch};
use crate::corgi::settings::Promote;

impl OnCall {
    /// From when on he goes on without who has not answered, if he begins to wait now.
    fn patient_until(&self, now: Time) -> Time {
        self.settings.on_call.patience.map_or(Time::NEVER, |patience| now + patience)
    }

    /// Decides for a failover and notes it.
    pub(super) fn begin(&mut self, now: Time, set: usize, effects: &mut Effects) {
        // Where he has waited for a slave in vain already, he does not do it again.
        let all_answer = self.slaves(set).into_iter().all(|slave| self.lately(now, set, slave).is_some());
        let waited = !all_answer && self.is_out_of_patience(now, set);
        let patient_until =
            if waited { now + self.settings.on_call.answer_wait } else { self.patient_until(now) };
        let watch = &mut self.volatile.sets[set];
        watch.orders.clear();
        watch.wanted = false;
        let known = watch.statuses.values().map(|(_, status)| status.epoch).max().unwrap_or(0);
        let notes = &self.durable.sets[set];
        let told = watch.statuses.iter().filter(|(node, _)| **node != notes.master);
        let lengths = told.map(|(node, (_, status))| (*node, status.length)).collect();
        let epoch = known.max(notes.epoch) + 1;
        // With a fence only what the slaves report after they have stopped counts.
        let lengths = if self.settings.on_call.fence { BTreeMap::new() } else { lengths };
        let notes = &mut self.durable.sets[set];
        notes.to_tell.clear();
        notes.failover = Some(Failover { epoch, lengths, chosen: None, patient_until });
        self.pursue(now, set, effects);
    }

    /// Does, or does again, what a failover needs next.
    pub(super) fn pursue(&mut self, now: Time, set: usize, effects: &mut Effects) {
        self.give_up_chosen(now, set);
        let (choice, patient_until) = (self.choice(now, set), self.patient_until(now));
        let (master, slaves) = (self.durable.sets[set].master, self.slaves(set));
        let Some(failover) = &mut self.durable.sets[set].failover else { return };
        if failover.chosen.is_none() && choice.is_some() {
            failover.chosen = choice;
            failover.patient_until = patient_until;
        }
        let epoch = failover.epoch;
        if let Some(chosen) = failover.chosen {
            return self.order(set, chosen, Request::Promote { epoch }, effects);
        }
        let missing = slaves.into_iter().filter(|slave| !failover.lengths.contains_key(slave));
        // The old master is told as well; nobody waits for its answer unless it alone has anything.
        let asked: Vec<NodeId> = missing.chain([master]).collect();
        for node in asked {
            if self.settings.on_call.fence {
                self.order(set, node, Request::Fence { epoch }, effects);
            } else {
                self.ask(node, Request::Status, effects);
            }
        }
    }

    /// Who was chosen and has not answered for so long is given up: he begins again with a greater epoch, so that the other one, should
    /// it be a master by now, is none any more once it hears of that.
    fn give_up_chosen(&mut self, now: Time, set: usize) {
        let answered_by = now + self.settings.on_call.answer_wait;
        if let Some(failover) = &mut self.durable.sets[set].failover
            && failover.chosen.is_some()
            && now >= failover.patient_until
        {
            let epoch = failover.epoch + 1;
            *failover =
                Failover { epoch, lengths: BTreeMap::new(), chosen: None, patient_until: answered_by };
        }
    }

    /// Whom he promotes, as far as he knows enough.
    fn choice(&self, now: Time, set: usize) -> Option<NodeId> {
        let notes = &self.durable.sets[set];
        let failover = notes.failover.as_ref()?;
        let slaves = self.slaves(set);
        let answered: Vec<NodeId> =
            slaves.iter().copied().filter(|slave| failover.lengths.contains_key(slave)).collect();
        let is_patient = now < failover.patient_until;
        if is_patient && answered.len() < slaves.len() {
            return None;
        }
        let promote = self.settings.on_call.promote;
        let chosen = choose(promote, self.settings.epochs, &answered, &failover.lengths)?;
        let end = |node: NodeId| failover.lengths.get(&node).map_or(0, |length| length.end);
        if promote == Promote::Freshest && end(chosen) == 0 && notes.length.end > 0 {
            // Both slaves are empty, and he was told of a log that was not: its disk is the only one that still has it. He
            // waits for its process, and makes it the master again.
            if end(notes.master) > 0 {
                return Some(notes.master);
            }
            if is_patient {
                return None;
            }
        }
        Some(chosen)
    }

    /// Tells those who have not confirmed yet whom they follow.
    pub(super) fn tell(&mut self, set: usize, effects: &mut Effects) {
        let notes = &self.durable.sets[set];
        let (master, epoch) = (notes.master, notes.epoch);
        for node in notes.to_tell.clone() {
            self.order(set, node, Request::FollowMaster { master, epoch }, effects);
        }
    }

    pub(super) fn done(
        &mut self,
        now: Time,
        (set, node): (usize, NodeId),
        (epoch, length): (Epoch, Length),
        effects: &mut Effects,
    ) {
        let fence = self.settings.on_call.fence;
        let notes = &mut self.durable.sets[set];
        let Some(failover) = notes.failover.as_mut().filter(|failover| failover.epoch == epoch) else {
            if notes.epoch == epoch {
                notes.to_tell.remove(&node);
            }
            return;
        };
        match failover.chosen {
            None => self.told_length(now, (set, node), length, effects),
            Some(chosen) if chosen == node => {
                let old = notes.master;
                notes.master = chosen;
                notes.epoch = epoch;
                notes.length = length;
                notes.failover = None;
                let others = self.wiring.sets[set].iter().copied().filter(|other| *other != chosen);
                notes.to_tell = others.filter(|other| fence || *other != old).collect();
                self.volatile.sets[set] = Watch::default();
                self.tell(set, effects);
            }
            Some(_) => {}
        }
    }

    /// A broker says how far its log goes, which he has asked for in a failover.
    pub(super) fn told_length(
        &mut self,
        now: Time,
        (set, node): (usize, NodeId),
        length: Length,
        effects: &mut Effects,
    ) {
        let Some(failover) = &mut self.durable.sets[set].failover else { return };
        if failover.chosen.is_none() {
            failover.lengths.insert(node, length);
            if self.choice(now, set).is_some() {
                self.pursue(now, set, effects);
            }
        }
    }

    /// An order was refused: its epoch is over. Only a failover with a greater one can succeed.
    pub(super) fn outdated(&mut self, now: Time, (set, node): (usize, NodeId), epoch: Epoch) {
        let patient_until = self.patient_until(now);
        let notes = &mut self.durable.sets[set];
        match &mut notes.failover {
            Some(failover) if epoch >= failover.epoch => {
                failover.epoch = epoch + 1;
                failover.chosen = None;
                failover.lengths.clear();
                failover.patient_until = patient_until;
            }
            Some(_) => {}
            None => {
                notes.to_tell.remove(&node);
            }
        }
    }
}

/// Chooses whom to promote.
fn choose(
    promote: Promote,
    by_epoch: bool,
    slaves: &[NodeId],
    lengths: &BTreeMap<NodeId, Length>,
) -> Option<NodeId> {
    let worth = |slave: &NodeId| {
        let length = lengths.get(slave).copied().unwrap_or_default();
        if by_epoch { length } else { Length { epoch: 0, end: length.end } }
    };
    match promote {
        Promote::First => slaves.first().copied(),
        Promote::Stalest => slaves.iter().copied().min_by_key(worth),
        // Of equals the first in the list.
        Promote::Freshest => slaves.iter().rev().copied().max_by_key(worth),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(epoch: Epoch, end: u64) -> Length {
        Length { epoch, end }
    }

    #[test]
    fn the_freshest_knows_the_latest_epoch_or_else_is_longest() {
        let slaves = [NodeId(1), NodeId(2)];
        let lengths = |first, second| BTreeMap::from([(NodeId(1), first), (NodeId(2), second)]);
        let cases = [
            (length(2, 5), length(1, 9), true, NodeId(1)),
            (length(2, 5), length(1, 9), false, NodeId(2)),
            (length(1, 5), length(1, 9), true, NodeId(2)),
            (length(1, 5), length(1, 5), true, NodeId(1)),
        ];
        for (first, second, by_epoch, expected) in cases {
            let chosen = choose(Promote::Freshest, by_epoch, &slaves, &lengths(first, second));
            assert_eq!(chosen, Some(expected), "{first:?} {second:?} {by_epoch}");
        }
        let lengths = lengths(length(1, 5), length(1, 9));
        assert_eq!(choose(Promote::Stalest, true, &slaves, &lengths), Some(NodeId(1)));
        assert_eq!(choose(Promote::First, true, &slaves, &lengths), Some(NodeId(1)));
    }
}
