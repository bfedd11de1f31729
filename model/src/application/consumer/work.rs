//! The work of a consumer application: handing records to workers, processing and committing.

use super::{COMMIT, ConsumerApplication, PROCESS, Volatile};
use crate::application::consumer_settings::CommitPolicy;
use crate::application::{ConsumerLibrary, timer_index};
use crate::client::Received;
use crate::history::Event;
use crate::machine::{Effects, Now, Timer};
use crate::record::{Offset, TopicPartition};
use crate::small_set::SmallSet;
use crate::units::Span;
use serde::Serialize;

/// A record in process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Task {
    pub received: Received,
}

/// How far a partition was worked through since it was assigned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Track {
    /// The offset behind the last record that was handed to a worker.
    delivered: Offset,
    in_process: SmallSet<Offset>,
    /// Where it was assigned.
    assigned: Offset,
    /// What was committed last, or where it was assigned.
    committed: Offset,
    pub is_paused: bool,
    pub is_revoked: bool,
}

impl Track {
    pub(super) fn new(offset: Offset, is_paused: bool) -> Track {
        Track {
            delivered: offset,
            in_process: SmallSet::default(),
            assigned: offset,
            committed: offset,
            is_paused,
            is_revoked: false,
        }
    }

    /// The next offset that would be handed to a worker.
    pub(super) fn next(&self) -> Offset {
        self.delivered
    }

    /// Go on at that offset. What is in process is finished, and moves nothing any more.
    pub(super) fn go_back(&mut self, offset: Offset) {
        self.delivered = offset;
        self.in_process.clear();
    }

    /// Whether its records may be handed out.
    fn is_open(&self) -> bool {
        !self.is_paused && !self.is_revoked
    }

    fn position(&self, policy: CommitPolicy) -> Offset {
        match (policy, self.in_process.first()) {
            // Offsets may have holes, so "contiguous" is judged by what was handed out.
            (CommitPolicy::Processed, Some(first)) => first,
            (CommitPolicy::Processed, None) | (CommitPolicy::Delivered, _) => self.delivered,
        }
    }
}

impl<C: ConsumerLibrary, K: ConsumerLibrary> ConsumerApplication<C, K> {
    /// Hand records to all workers that are free.
    pub(super) fn hand_out(&mut self, now: Now, effects: &mut Effects) {
        if self.setup.ordered {
            self.feed_workers(now, effects);
        } else {
            self.feed_pool(now, effects);
        }
    }

    /// Each partition that is open has a worker of its own.
    fn feed_workers(&mut self, now: Now, effects: &mut Effects) {
        // This is done after every input, and mostly finds nothing: it goes through the partitions without a list.
        // Beginning a record may add to the tracks' records, and not to the tracks.
        for place in 0..self.volatile.tracks.len() {
            let Volatile { tracks, tasks, opened, .. } = &mut self.volatile;
            let (Some((at, track)), Some(library)) = (tracks.get_indexed(place), opened) else { return };
            let worker = timer_index(*at);
            // Busy also with a record from before the partition was lost and came back.
            if !track.is_open() || tasks.contains_key(&worker) {
                continue;
            }
            if let Some(received) = library.consumer().receive_from(now, *at, effects) {
                self.begin(worker, received, effects);
            }
        }
    }

    fn feed_pool(&mut self, now: Now, effects: &mut Effects) {
        let workers = u64::from(self.settings.workers.max(1));
        let mut worker = 0;
        while worker < workers {
            if self.volatile.tasks.contains_key(&worker) {
                worker += 1;
                continue;
            }
            let Some(received) = self.receive_any(now, effects) else { return };
            self.begin(worker, received, effects);
        }
    }

    fn receive_any(&mut self, now: Now, effects: &mut Effects) -> Option<Received> {
        // What comes late for partitions that were taken away is nobody's.
        if self.volatile.tracks.is_empty() {
            return None;
        }
        let Volatile { tracks, opened, .. } = &mut self.volatile;
        let consumer = opened.as_mut()?.consumer();
        if tracks.values().all(Track::is_open) {
            return consumer.receive(now, effects);
        }
        let mut open = tracks.iter().filter(|(_, track)| track.is_open());
        open.find_map(|(partition, _)| consumer.receive_from(now, *partition, effects))
    }

    fn begin(&mut self, worker: u64, received: Received, effects: &mut Effects) {
        let Received { partition, offset, record } = received;
        if let Some(track) = self.volatile.tracks.get_mut(&partition) {
            track.delivered = offset + 1;
            track.in_process.insert(offset);
        }
        self.volatile.tasks.insert(worker, Task { received });
        let queue = self.volatile.opened.as_ref().expect("a record comes from a library").queue();
        let (group, source, copied_from) = (self.setup.group, record.source_partition(), record.copied_from);
        effects.record(Event::Delivered {
            group,
            record: record.id,
            source,
            queue,
            partition,
            offset,
            copied_from,
        });
        let [least, most] = self.settings.processing;
        effects.set_timer_between(Timer::new(PROCESS, worker), least, most);
        if self.settings.commit == CommitPolicy::Delivered {
            self.commit_soon(effects);
        }
    }

    /// A worker has processed its record.
    pub(super) fn processed(&mut self, now: Now, worker: u64, effects: &mut Effects) {
        let Some(task) = self.volatile.tasks.remove(&worker) else { return };
        let Received { partition, offset, record } = task.received;
        self.durable.effects_count += 1;
        let (group, source) = (self.setup.group, record.source_partition());
        effects.record(Event::Processed { group, record: record.id, source });
        // It may be finished for nobody: the partition was lost meanwhile, or lost and assigned anew.
        let Some(track) = self.volatile.tracks.get_mut(&partition) else { return };
        if track.in_process.remove(offset) {
            if self.settings.commit_interval == Span::ZERO {
                self.commit(now, &[partition], effects);
                effects.set_timer(COMMIT, self.settings.commit_repeat);
            } else {
                self.commit_soon(effects);
            }
        }
    }

    fn commit_soon(&mut self, effects: &mut Effects) {
        if !self.volatile.commit_due {
            self.volatile.commit_due = true;
            effects.set_timer(COMMIT, self.settings.commit_interval);
        }
    }

    pub(super) fn commit_everything(&mut self, now: Now, effects: &mut Effects) {
        let partitions: Vec<TopicPartition> = self.volatile.tracks.keys().copied().collect();
        self.commit(now, &partitions, effects);
    }

    /// The commit timer ran out: commit what is new, or else what was committed last, in case that was lost.
    pub(super) fn commit_or_repeat(&mut self, now: Now, effects: &mut Effects) {
        if std::mem::take(&mut self.volatile.commit_due) {
            self.commit_everything(now, effects);
        } else {
            let tracks = self.volatile.tracks.iter().filter(|(_, track)| track.committed != track.assigned);
            let offsets: Vec<_> = tracks.map(|(partition, track)| (*partition, track.committed)).collect();
            if offsets.is_empty() {
                return;
            }
            if let Some(library) = &mut self.volatile.opened {
                library.consumer().commit(now, &offsets, effects);
            }
        }
        effects.set_timer(COMMIT, self.settings.commit_repeat);
    }

    /// Commit the position of a partition, whatever was committed of it before.
    pub(super) fn commit_again(&mut self, now: Now, partition: TopicPartition, effects: &mut Effects) {
        let Some(library) = &mut self.volatile.opened else { return };
        let (group, queue) = (self.setup.group, library.queue());
        let Some(track) = self.volatile.tracks.get_mut(&partition) else { return };
        let offset = track.position(self.settings.commit);
        track.committed = offset;
        effects.record(Event::Committed { group, queue, partition, offset });
        library.consumer().commit(now, &[(partition, offset)], effects);
    }

    /// Commit how far those partitions were worked through, where it is not committed yet.
    pub(super) fn commit(&mut self, now: Now, partitions: &[TopicPartition], effects: &mut Effects) {
        let Some(library) = &mut self.volatile.opened else { return };
        let (group, queue) = (self.setup.group, library.queue());
        let mut offsets = Vec::new();
        for partition in partitions {
            let Some(track) = self.volatile.tracks.get_mut(partition) else { continue };
            let offset = track.position(self.settings.commit);
            if offset != track.committed {
                track.committed = offset;
                offsets.push((*partition, offset));
                effects.record(Event::Committed { group, queue, partition: *partition, offset });
            }
        }
        if !offsets.is_empty() {
            library.consumer().commit(now, &offsets, effects);
        }
    }
}
