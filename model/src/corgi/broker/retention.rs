//! What a broker deletes from its log, and where a log begins that was not filled from the start.
//!
//! Each broker deletes by itself, so that a master and its slaves begin at different offsets (e10). Nobody is asked who
//! has read what is deleted, and a reader below the start is sent to it without a word.

use super::{Broker, Effects, Epoch, Event, NodeId, RETENTION, RequestId, Role, Time, TopicPartition};
use crate::corgi::log::{Beginning, Stretch};
use crate::corgi::settings::Fill;
use crate::record::Queue;
use serde::Serialize;

/// When something was last added to each file of the log, from the oldest on. Files lie at fixed positions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Files {
    /// The number of the oldest.
    first: u64,
    written_at: Vec<Time>,
}

impl Broker {
    fn retains(&self) -> bool {
        let retention = &self.settings.retention;
        retention.age.is_some() || retention.when_full
    }

    fn file_entries(&self) -> u64 {
        u64::from(self.settings.retention.file_entries.max(1))
    }

    pub(super) fn arm_retention(&self, effects: &mut Effects) {
        if self.retains() {
            effects.set_timer(RETENTION, self.settings.retention.check_interval);
        }
    }

    /// Something was added to the log.
    pub(super) fn note_files(&mut self, now: Time) {
        if !self.retains() {
            return;
        }
        let (start, end) = (self.durable.log.start(), self.durable.log.end());
        let entries = self.file_entries();
        let files = &mut self.durable.files;
        let (oldest, behind) = (start / entries, end.div_ceil(entries));
        if files.first < oldest {
            let gone = ((oldest - files.first) as usize).min(files.written_at.len());
            files.written_at.drain(..gone);
        } else if files.first > oldest {
            files.written_at.clear();
        }
        files.first = oldest;
        let count = (behind.max(oldest) - oldest) as usize;
        files.written_at.truncate(count);
        if let Some(last) = files.written_at.last_mut() {
            *last = now;
        }
        files.written_at.resize(count, now);
    }

    /// Deletes the files that are too old, or the oldest of a full disk; never the last.
    pub(super) fn delete_old_files(&mut self, now: Time, effects: &mut Effects) {
        self.arm_retention(effects);
        let retention = &self.settings.retention;
        let hour = retention
            .hours
            .is_none_or(|hours| now >= Time::ZERO + hours.start && now < Time::ZERO + hours.end);
        let files = &self.durable.files;
        let is_old = |at: &&Time| retention.age.is_some_and(|age| now.since(**at) > age);
        let old = if hour { files.written_at.iter().take_while(is_old).count() } else { 0 };
        let forced = usize::from(retention.when_full && self.volatile.disk_is_full);
        let count = old.max(forced).min(files.written_at.len().saturating_sub(1));
        if count == 0 {
            return;
        }
        let position = (files.first + count as u64) * self.file_entries();
        self.durable.files.first += count as u64;
        self.durable.files.written_at.drain(..count);
        let deleted = self.durable.log.delete_before(position);
        report(deleted, effects);
        if forced > 0 {
            self.disk_freed(now, effects);
        }
    }

    /// From where on a master gives its log to a slave whose log ends there.
    pub(super) fn filled_from(&self, end: u64) -> u64 {
        let log = &self.durable.log;
        let last_file = log.end().saturating_sub(1) / self.file_entries() * self.file_entries();
        let least = if end == 0 && self.settings.fill == Fill::LastFile { last_file } else { 0 };
        least.max(log.start())
    }

    /// The master gives no more than what lies behind that position.
    pub(super) fn begin_late(
        &mut self,
        (from, id): (NodeId, RequestId),
        epoch: Epoch,
        beginning: &Beginning,
        effects: &mut Effects,
    ) {
        let asked = self.volatile.slave.asked.is_some_and(|(asked, _)| asked == id);
        if !asked || self.durable.role != Role::Slave(Some(from)) || !self.obeys(epoch) {
            return;
        }
        let log = &mut self.durable.log;
        let before = |partition: TopicPartition| log.partition_start(partition);
        let moved =
            beginning.offsets.iter().map(|(partition, start)| (*partition, before(*partition), *start));
        let moved: Vec<Stretch> = moved.filter(|(_, before, after)| before < after).collect();
        log.restart(beginning);
        self.durable.disk.restart();
        report(moved, effects);
    }
}

fn report(moved: Vec<Stretch>, effects: &mut Effects) {
    for (partition, from, to) in moved {
        effects.record(Event::StartMoved { queue: Queue::Corgi, partition, from, to });
    }
}
