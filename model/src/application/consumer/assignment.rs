//! What a consumer application does when partitions come and go.

use super::{ConsumerApplication, work::Track};
use crate::application::ConsumerLibrary;
use crate::client::Assigned;
use crate::history::Event;
use crate::machine::{Effects, Now};
use crate::record::{Offset, TopicPartition};
use std::collections::BTreeSet;

impl<C: ConsumerLibrary, K: ConsumerLibrary> ConsumerApplication<C, K> {
    /// Take all changes of the assignment that the library has to tell. Returns whether there were any.
    pub(super) fn take_assignments(&mut self, now: Now, effects: &mut Effects) -> bool {
        let mut were_any = false;
        while let Some(change) =
            self.volatile.opened.as_mut().and_then(|library| library.consumer().assigned())
        {
            were_any = true;
            match change {
                Assigned::Granted(partitions) => self.granted(now, partitions, effects),
                Assigned::Revoked(partitions) => self.revoked(now, partitions, effects),
                Assigned::Lost(partitions) => self.lost(partitions, effects),
            }
        }
        were_any
    }

    fn revoked(&mut self, now: Now, partitions: Vec<TopicPartition>, effects: &mut Effects) {
        for partition in &partitions {
            if let Some(track) = self.volatile.tracks.get_mut(partition) {
                track.is_revoked = true;
            }
        }
        self.volatile.revoked.extend(partitions);
        if self.volatile.revoked.is_empty()
            && let Some(library) = &mut self.volatile.opened
        {
            // Of nothing, there is nothing to finish.
            library.consumer().release(now, effects);
        }
        self.release_revoked(now, effects);
    }

    fn granted(&mut self, now: Now, partitions: Vec<(TopicPartition, Offset)>, effects: &mut Effects) {
        let Some(library) = &mut self.volatile.opened else { return };
        let queue = library.queue();
        // Where the pause belongs to the client, a partition that comes is paused as well; where it belongs to the
        // assignment, it is set in the first one and lost in the next (observed with Kafka's client, row 13). One
        // assignment may come in several pieces: Kafka's client tells it by one call.
        let assignment = library.consumer().assignments();
        let is_first = self.volatile.first_assignment.is_none_or(|first| first == assignment);
        let keeps_pause = self.settings.pause_survives_reassignment || is_first;
        let is_paused = self.volatile.obeyed_pause && keeps_pause;
        if !keeps_pause {
            library.consumer().resume(now, effects);
        }
        if !partitions.is_empty() {
            self.volatile.first_assignment.get_or_insert(assignment);
        }
        for (partition, offset) in &partitions {
            self.volatile.tracks.insert(*partition, Track::new(*offset, is_paused));
            self.volatile.rewinds.forget(*partition);
        }
        if !partitions.is_empty() {
            let partitions = partitions.into_iter().map(|(partition, _)| partition).collect();
            effects.record(Event::Granted { group: self.setup.group, queue, partitions });
        }
    }

    /// Let go what was taken away in good order, all in one: the library gives back everything that it has told of. An
    /// ordered group finishes the records in process before; an unordered one does not wait: they are processed again
    /// by the next owner (observed e6, e13).
    pub(super) fn release_revoked(&mut self, now: Now, effects: &mut Effects) {
        let (revoked, tasks) = (&self.volatile.revoked, &self.volatile.tasks);
        let is_busy = || tasks.values().any(|task| revoked.contains(&task.received.partition));
        if revoked.is_empty() || (self.setup.ordered && is_busy()) {
            return;
        }
        let partitions: Vec<TopicPartition> =
            std::mem::take(&mut self.volatile.revoked).into_iter().collect();
        self.commit(now, &partitions, effects);
        let Some(library) = &mut self.volatile.opened else { return };
        let queue = library.queue();
        library.consumer().release(now, effects);
        partitions.iter().for_each(|partition| drop(self.volatile.tracks.remove(partition)));
        effects.record(Event::Revoked { group: self.setup.group, queue, partitions, orderly: true });
    }

    /// Somebody else may have them already. What is in process is finished: nothing can call it back.
    fn lost(&mut self, partitions: Vec<TopicPartition>, effects: &mut Effects) {
        let Some(library) = &self.volatile.opened else { return };
        let queue = library.queue();
        let lost: BTreeSet<TopicPartition> = partitions.iter().copied().collect();
        self.volatile.tracks.retain(|partition, _| !lost.contains(partition));
        // A release that is still owed for them has nobody left to wait for it.
        self.volatile.revoked.retain(|partition| !lost.contains(partition));
        if !partitions.is_empty() {
            let group = self.setup.group;
            effects.record(Event::Revoked { group, queue, partitions, orderly: false });
        }
    }
}
