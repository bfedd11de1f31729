//! One replica of a partition, as it stands on a broker's disk: its log, what it knows of producers, and the
//! high watermark that was saved last.

use super::log::{Entry, Log, Payload};
use super::producer_state::ProducerStates;
use super::protocol::ProducerId;
use crate::record::Offset;
use crate::units::{Span, Time};
use serde::Serialize;

/// A transaction that was aborted, as readers are told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AbortedTransaction {
    /// Its producer.
    pub producer: ProducerId,
    /// Its first offset.
    pub first: Offset,
    /// Its marker's offset.
    pub last: Offset,
    /// The last stable offset after it.
    pub last_stable: Offset,
}

/// The high watermark on disk. It is saved at every full interval, so what a restarted broker finds is the value
/// at the last such moment before its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Checkpoint {
    saved: Offset,
    latest: Offset,
    interval: u64,
}

/// The end of the log as far as it is on the platter. Kafka leaves that to the operating system (`log.flush.interval.messages` is
/// off), which writes a page down when it has been dirty for [`DIRTY_EXPIRE`]: what is younger than the last full interval is lost
/// with the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Synced {
    end: Offset,
    latest: Offset,
    /// When the system writes the next time.
    next: Time,
}

/// Linux's `vm.dirty_expire_centisecs`.
const DIRTY_EXPIRE: Span = Span::secs(30);

impl Synced {
    fn appended(&mut self, end: Offset, now: Time) {
        self.pass(now);
        self.latest = end;
    }

    fn pass(&mut self, now: Time) {
        if now >= self.next {
            self.end = self.latest;
            self.next = Time(now.0 - now.0 % DIRTY_EXPIRE.0) + DIRTY_EXPIRE;
        }
    }

    fn truncated(&mut self, end: Offset) {
        self.end = self.end.min(end);
        self.latest = self.latest.min(end);
    }
}

/// One replica of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replica {
    /// Which of the topics of this name it belongs to.
    pub topic_incarnation: u64,
    /// The log.
    pub log: Log,
    /// What it knows of producers.
    pub producers: ProducerStates,
    /// The transactions that were aborted, in the order of their markers.
    pub aborted: Vec<AbortedTransaction>,
    /// Transactions whose markers are in the log: first offset and marker's. Until the marker is replicated the
    /// records stay hidden.
    ended: Vec<(Offset, Offset)>,
    checkpoint: Checkpoint,
    synced: Synced,
}

impl Replica {
    /// An empty replica of a topic.
    pub fn new(topic_incarnation: u64) -> Replica {
        Replica { topic_incarnation, ..Replica::default() }
    }

    /// Add an entry at the end; producers and transactions are noted.
    pub fn push(&mut self, entry: Entry, now: Time) {
        let offset = self.log.end();
        self.note(&entry, offset, now);
        self.log.push(entry);
        self.synced.appended(offset + 1, now);
    }

    fn note(&mut self, entry: &Entry, offset: Offset, at: Time) {
        let Some(stamp) = entry.stamp else { return };
        match &entry.payload {
            Payload::Marker { commit, coordinator_epoch } => {
                let first = self.producers.marked(stamp.id, stamp.epoch, *coordinator_epoch, at);
                if let Some(first) = first {
                    self.ended.push((first, offset));
                }
                if let (Some(first), false) = (first, *commit) {
                    let last_stable = self.producers.first_open().unwrap_or(offset + 1);
                    self.aborted.push(AbortedTransaction {
                        producer: stamp.id,
                        first,
                        last: offset,
                        last_stable,
                    });
                }
            }
            _ => self.producers.appended(&stamp, entry.place, offset, at),
        }
    }

    /// Drop everything from an offset on; what is known of producers is read anew from what is left.
    pub fn truncate(&mut self, to: Offset, now: Time) {
        self.log.truncate(to);
        self.synced.truncated(to);
        self.checkpoint.saved = self.checkpoint.saved.min(to);
        self.checkpoint.latest = self.checkpoint.latest.min(to);
        self.producers = ProducerStates::default();
        self.aborted.clear();
        self.ended.clear();
        let log = std::mem::take(&mut self.log);
        for offset in log.base()..log.end() {
            if let Some(entry) = log.get(offset) {
                self.note(entry, offset, now);
            }
        }
        self.log = log;
    }

    /// Begin anew at an offset: what a follower does that is behind its leader's start.
    pub fn restart_at(&mut self, offset: Offset) {
        self.log.restart_at(offset);
        self.synced = Synced { end: offset, latest: offset, next: self.synced.next };
        self.producers = ProducerStates::default();
        self.aborted.clear();
        self.checkpoint = Checkpoint { saved: offset, latest: offset, interval: self.checkpoint.interval };
    }

    /// Below this everything is decided: the first offset of the oldest open transaction, or the high watermark.
    pub fn last_stable(&self, high_watermark: Offset) -> Offset {
        let ended =
            self.ended.iter().filter(|(_, marker)| *marker >= high_watermark).map(|(first, _)| *first);
        match ended.chain(self.producers.first_open()).min() {
            Some(first) => first.max(self.log.start()).min(high_watermark),
            None => high_watermark,
        }
    }

    /// The host dies: what the system has not written down is gone.
    pub fn lose_unsynced(&mut self, now: Time) {
        self.synced.pass(now);
        if self.synced.end < self.log.end() {
            self.truncate(self.synced.end.max(self.log.base()), now);
        }
    }

    /// The high watermark moved.
    pub fn note_high_watermark(&mut self, high_watermark: Offset, now: Time, every: Span) {
        let interval = now.0 / every.0.max(1);
        if interval > self.checkpoint.interval {
            self.checkpoint.saved = self.checkpoint.latest;
            self.checkpoint.interval = interval;
        }
        self.checkpoint.latest = high_watermark;
        self.ended.retain(|(_, marker)| *marker >= high_watermark);
    }

    /// The process starts again, having last done something at `last_seen`; it stopped in good order, or not.
    /// Returns the high watermark that it finds on disk.
    pub fn restarted(&mut self, last_seen: Time, every: Span, orderly: bool) -> Offset {
        self.producers.restarted();
        if orderly || last_seen.0 / every.0.max(1) > self.checkpoint.interval {
            self.checkpoint.saved = self.checkpoint.latest;
        }
        let found = self.checkpoint.saved.clamp(self.log.start(), self.log.end());
        self.checkpoint.latest = found;
        self.checkpoint.saved = found;
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;

    const EVERY: Span = Span::secs(5);

    fn replica(count: usize) -> Replica {
        let mut replica = Replica::new(1);
        for _ in 0..count {
            let payload = Payload::Record(Record::default());
            replica
                .push(Entry { leader_epoch: 0, timestamp: Time(0), stamp: None, place: 0, payload }, Time(0));
        }
        replica
    }

    #[test]
    fn a_killed_broker_finds_the_high_watermark_of_the_last_full_interval() {
        let mut replica = replica(9);
        replica.note_high_watermark(3, Time(1_000_000), EVERY);
        replica.note_high_watermark(5, Time(4_000_000), EVERY);
        replica.note_high_watermark(8, Time(6_000_000), EVERY);
        assert_eq!(replica.clone().restarted(Time(7_000_000), EVERY, false), 5);
        assert_eq!(replica.clone().restarted(Time(11_000_000), EVERY, false), 8);
        assert_eq!(replica.restarted(Time(7_000_000), EVERY, true), 8);
    }

    #[test]
    fn a_host_that_dies_loses_what_was_appended_since_the_system_last_wrote() {
        let mut replica = replica(9);
        let mut younger = replica.clone();
        replica.lose_unsynced(Time(31_000_000));
        assert_eq!(replica.log.end(), 9, "written down half a minute after it was appended");
        younger.lose_unsynced(Time(29_000_000));
        assert_eq!(younger.log.end(), 0);
        let payload = Payload::Record(Record::default());
        let entry = Entry { leader_epoch: 0, timestamp: Time(0), stamp: None, place: 0, payload };
        replica.push(entry, Time(32_000_000));
        replica.lose_unsynced(Time(40_000_000));
        assert_eq!(replica.log.end(), 9);
    }

    #[test]
    fn truncation_takes_the_saved_high_watermark_back() {
        let mut replica = replica(9);
        replica.note_high_watermark(9, Time(0), EVERY);
        replica.truncate(4, Time(0));
        assert_eq!(replica.restarted(Time(0), EVERY, true), 4);
    }
}
