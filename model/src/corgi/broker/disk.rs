//! A broker's disk: what of the log is on the platter, what a dead host or a replaced disk takes, and a full one.
//!
//! RocketMQ writes its log asynchronously every half second, and refuses sends above nine tenths of the disk. The small
//! files beside the log (role, epoch, groups' offsets) are taken to be written through, and to find room on a full disk.

use super::retention::Files;
use super::{Broker, Effects, Event, Role, Time};
use crate::corgi::log::{Log, Stretch, Waiting};
use crate::corgi::settings::AfterDiskLoss;
use crate::incident::DiskLoss;
use crate::record::{Queue, RecordId};
use crate::units::Span;
use litemap::LiteMap;
use serde::Serialize;

/// How far the log is on the platter, and what the disk has lost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Disk {
    /// Everything before this position is on the platter.
    synced: u64,
    /// When the rest will be, if there is a rest.
    sync_due: Time,
    /// What was lost and not told yet: each partition's end before and after.
    lost: Vec<Stretch>,
    /// Likewise the records that were not due yet.
    lost_delayed: Vec<RecordId>,
}

impl Disk {
    /// The log was thrown away: nothing of it is on the platter.
    pub(super) fn restart(&mut self) {
        self.synced = 0;
    }
}

impl Broker {
    /// An input is about to be taken, or the host dies: what is due by now has been written meanwhile. No timer is needed for it.
    /// Returns whether the whole log is on the platter.
    pub(super) fn sync_begins(&mut self, now: Time) -> bool {
        let end = self.durable.log.end();
        let disk = &mut self.durable.disk;
        if now >= disk.sync_due {
            disk.synced = end;
        }
        disk.synced >= end
    }

    /// An input was taken: what it added to the log is written an interval later.
    pub(super) fn sync_ends(&mut self, now: Time, all_was_synced: bool) {
        let end = self.durable.log.end();
        let disk = &mut self.durable.disk;
        disk.synced = disk.synced.min(end);
        if all_was_synced && end > disk.synced {
            disk.sync_due = now + self.settings.flush_interval;
        }
        if self.settings.flush_interval == Span::ZERO {
            disk.synced = end;
        }
    }

    /// The disk lost something while the host was down.
    pub(super) fn lose_from_disk(&mut self, loss: DiskLoss) {
        match loss {
            DiskLoss::UnsyncedTail if self.settings.flush_interval == Span::ZERO => return,
            DiskLoss::UnsyncedTail => self.lose_tail(),
            DiskLoss::Everything => self.lose_everything(),
        }
        if self.settings.after_disk_loss == AfterDiskLoss::Follow && self.is_master() {
            // It was the master, and what it acknowledged may stand on the slaves alone.
            self.durable.role = Role::Slave(None);
            self.durable.fenced = false;
        }
    }

    fn lose_tail(&mut self) {
        let synced = self.durable.disk.synced;
        let undue = self.durable.log.undue(synced);
        let cut = self.durable.log.truncate(synced);
        if cut.is_empty() && undue.is_empty() {
            return;
        }
        self.durable.disk.lost.extend(cut);
        self.durable.disk.lost_delayed.extend(undue);
        self.durable.epoch_start = self.durable.epoch_start.min(synced);
        // What it has of an epoch it has from that epoch's beginning.
        let last = self.durable.log.history().last().map_or(0, |(epoch, _)| *epoch);
        self.durable.log_epoch = self.durable.log_epoch.min(last);
    }

    fn lose_everything(&mut self) {
        let ends = self.durable.log.partition_ends().filter(|(_, end)| *end > 0);
        self.durable.disk.lost.extend(ends.map(|(partition, end)| (partition, end, 0)));
        self.durable.disk.lost_delayed.extend(self.durable.log.undue(0));
        self.durable.files = Files::default();
        self.durable.delays_stored = Waiting::default();
        let first = self.wiring.brokers(self.set).first().copied();
        // What a configuration says is what it said on the first day; it knows of no failover since.
        let (role, epoch) = match self.settings.after_disk_loss {
            AfterDiskLoss::Follow => (Role::Slave(None), 0),
            AfterDiskLoss::Serve if first == Some(self.node) => (Role::Master, 1),
            AfterDiskLoss::Serve => (Role::Slave(first), 1),
        };
        self.durable.role = role;
        self.durable.epoch = epoch;
        self.durable.log_epoch = epoch;
        self.durable.epoch_start = 0;
        self.durable.fenced = false;
        self.durable.log = Log::default();
        self.durable.offsets = LiteMap::new();
        self.durable.widened = Vec::new();
        self.durable.disk.synced = 0;
    }

    /// Tells the history what the disk lost. Returns whether it lost anything.
    pub(super) fn report_loss(&mut self, effects: &mut Effects) -> bool {
        let partitions = std::mem::take(&mut self.durable.disk.lost);
        let records = std::mem::take(&mut self.durable.disk.lost_delayed);
        let lost = !partitions.is_empty() || !records.is_empty();
        if !partitions.is_empty() {
            effects.record(Event::DiskLost { queue: Queue::Corgi, partitions });
        }
        if !records.is_empty() {
            effects.record(Event::DelayedLost { records });
        }
        lost
    }

    /// There is room again: a slave gets what it could not keep.
    pub(super) fn disk_freed(&mut self, now: Time, effects: &mut Effects) {
        self.volatile.disk_is_full = false;
        self.ask_to_follow(now, effects);
    }
}
