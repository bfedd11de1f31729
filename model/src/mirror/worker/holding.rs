//! What a worker holds: partitions granted, given back in good order and lost, positions committed, the group left.

use super::{COMMIT, Turn};
use crate::client::{Assigned, Consumer, Producer};
use crate::deployment;
use crate::history::Event;
use crate::message::Message;
use crate::mirror::settings::Commit;
use crate::record::{Offset, TopicPartition};
use serde::Serialize;

/// How many lives of a consumer there may be in one life of the process: each has an incarnation of its own.
const MOST_REJOINS: u32 = 1 << 12;

/// The worker leaves its group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Leaving {
    committed: bool,
    /// To exit, rather than to join anew.
    for_good: bool,
}

impl<C: Consumer + Clone, P: Producer> Turn<'_, C, P> {
    pub(super) fn take_assigned(&mut self) {
        while let Some(assigned) = self.worker.consumer.assigned() {
            match assigned {
                Assigned::Granted(granted) => self.granted(&granted),
                Assigned::Revoked(partitions) => {
                    self.worker.revocation.get_or_insert_default().extend(partitions);
                }
                Assigned::Lost(partitions) => self.lost(partitions),
            }
        }
    }

    fn granted(&mut self, granted: &[(TopicPartition, Offset)]) {
        for (partition, start) in granted {
            self.worker.ledger.grant(*partition, *start);
            if let Some(transactions) = &mut self.worker.transactions {
                transactions.adopt(*partition);
                self.worker.adopting.insert(*partition);
            }
        }
        let partitions = granted.iter().map(|(partition, _)| *partition).collect();
        let (group, queue) = (self.wiring.group, self.wiring.direction.source());
        self.effects.record(Event::Granted { group, queue, partitions });
    }

    /// Somebody else may copy these already: nothing of them is committed or sent again. What the producer has been
    /// given lands (mirror 6b, 6c).
    fn lost(&mut self, mut partitions: Vec<TopicPartition>) {
        if let Some(revocation) = &mut self.worker.revocation {
            revocation.retain(|partition| !partitions.contains(partition));
        }
        // Those that the target has fenced are gone already.
        partitions.retain(|partition| self.worker.ledger.holds(*partition));
        self.let_go(partitions, false);
    }

    fn let_go(&mut self, partitions: Vec<TopicPartition>, orderly: bool) {
        if partitions.is_empty() {
            return;
        }
        for partition in &partitions {
            self.worker.ledger.leave(*partition);
            self.worker.adopting.remove(partition);
        }
        if let Some(transactions) = &mut self.worker.transactions {
            transactions.forsake(self.now.elapsed, &partitions);
        }
        let (group, queue) = (self.wiring.group, self.wiring.direction.source());
        self.effects.record(Event::Revoked { group, queue, partitions, orderly });
    }

    /// The target has fenced the producer of these partitions: another owner copies them, or the transaction timed out.
    /// In either case the worker knows no more what is copied: it joins anew (mirror 10d).
    pub(super) fn fenced(&mut self, partitions: Vec<TopicPartition>) {
        self.effects.record(Event::WorkerFenced { partitions: partitions.clone() });
        if partitions.iter().any(|partition| self.worker.ledger.holds(*partition)) {
            self.lost(partitions);
            self.worker.leaving.get_or_insert_default();
        }
    }

    pub(super) fn leave_for_good(&mut self) {
        self.worker.leaving.get_or_insert_default().for_good = true;
    }

    /// The interval runs from the first position that is not committed; a worker with nothing to commit sleeps.
    pub(super) fn set_commit_timer(&mut self) {
        if !self.worker.commit_timer_set {
            self.worker.commit_timer_set = true;
            self.effects.set_timer(COMMIT, self.settings.commit_interval);
        }
    }

    pub(super) fn commit(&mut self) {
        let acknowledged_alone = self.settings.commit != Commit::BeforeAcknowledgement;
        let positions = self.worker.ledger.take_positions(acknowledged_alone);
        if positions.is_empty() {
            return;
        }
        self.worker.consumer.commit(self.now, &positions, self.effects);
    }

    /// Commits go into the history as the queue acknowledges them, each partition's with its own answer. What was on its way when
    /// the partition was lost may have been taken all the same: nothing fences a commit in Corgi (mirror 10d).
    pub(super) fn note_commits(&mut self) {
        while let Some((source, offset)) = self.worker.consumer.acknowledged_commit() {
            self.effects.record(self.committed_event(source, offset));
        }
    }

    /// Whether nothing is on its way any more; open transactions are ended for it.
    fn is_flushed(&mut self) -> bool {
        if let Some(transactions) = &mut self.worker.transactions {
            transactions.finish();
        }
        self.worker.ledger.unacknowledged() == 0
    }

    /// Gives partitions back in good order: flush, commit, release (mirror 6a). The library gives them back together
    /// with what was committed last.
    pub(super) fn settle_revocation(&mut self) {
        let Some(revocation) = self.worker.revocation.take() else {
            return;
        };
        let must_flush = self.settings.flush_on_revoke || self.settings.commit == Commit::Atomic;
        // Partitions that were lost while they waited are nobody's to flush for.
        if !revocation.is_empty() && must_flush && !self.is_flushed() {
            self.worker.revocation = Some(revocation);
            return;
        }
        self.commit();
        self.let_go(revocation.into_iter().collect(), true);
        self.worker.consumer.release(self.now, self.effects);
        // What the release set free, and what waited behind the rebalance.
        self.go_on();
    }

    /// Leaves the group in good order: flush, commit, close; then exits (mirror 7, 10b) or joins anew.
    pub(super) fn settle_leaving(&mut self) {
        if self.exits || self.worker.revocation.is_some() {
            return;
        }
        let Some(mut leaving) = self.worker.leaving.take() else {
            return;
        };
        if !leaving.committed && self.is_flushed() {
            leaving.committed = true;
            self.commit();
        }
        self.note_commits();
        if !leaving.committed || self.worker.consumer.committing() {
            self.worker.leaving = Some(leaving);
            return;
        }
        let held = self.worker.ledger.held().collect();
        self.let_go(held, true);
        self.worker.consumer.close(self.now, self.effects);
        if leaving.for_good {
            let exiting = Message::Deployment(Box::new(deployment::Message::Exiting));
            self.effects.send(self.wiring.deployment, exiting);
            self.exits = true;
        } else {
            self.join_anew();
        }
    }

    /// A consumer that was closed is gone: another takes its place, in a life of its own, so that no answer to the
    /// former reaches it.
    fn join_anew(&mut self) {
        self.worker.rejoins += 1;
        assert!(self.worker.rejoins < MOST_REJOINS, "a worker that is fenced so often never had a lease");
        let incarnation = self.worker.incarnation + self.worker.rejoins * (u32::MAX / MOST_REJOINS);
        self.worker.consumer = self.template.clone();
        self.worker.start_consumer(self.now, incarnation, self.effects);
    }
}
