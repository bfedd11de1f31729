//! Retention: whole segments are deleted from the front of a log, by the age of their latest record or by the log's
//! size, the active segment included (recorded: "Producing", 20).
//!
//! Segments are not kept as such: their borders follow from the entries' sizes.

use super::{Broker, Context, Task};
use crate::history::Event;
use crate::kafka::cluster::TopicConfig;
use crate::kafka::log::Log;
use crate::kafka::wiring::is_internal;
use crate::record::{Offset, Queue, TopicPartition};
use crate::units::Time;

/// A segment as its size cuts it out of the log.
struct Segment {
    end: Offset,
    bytes: u64,
    latest: Time,
}

fn segments(log: &Log, most: u64) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut next = log.base();
    while next < log.end() {
        let end = log.batch_end(next);
        let bytes = log.bytes_between(next, end, u64::MAX);
        let latest = log.range(next, end).iter().map(|entry| entry.timestamp).max().unwrap_or(Time::ZERO);
        match segments.last_mut().filter(|last| last.bytes + bytes <= most) {
            Some(last) => {
                last.end = end;
                last.bytes += bytes;
                last.latest = last.latest.max(latest);
            }
            None => segments.push(Segment { end, bytes, latest }),
        }
        next = end;
    }
    segments
}

impl Broker {
    pub(super) fn delete_old_records(&mut self, cx: &mut Context<'_>) {
        let again = cx.time() + self.settings.retention_check;
        self.volatile.deadlines.set(Task::DeleteOldRecords, again);
        let hosted: Vec<(TopicPartition, Offset, bool)> = self
            .volatile
            .roles
            .iter()
            .filter(|(at, _)| !is_internal(at.topic))
            .map(|(at, hosted)| (at, hosted.high_watermark, hosted.leader().is_some()))
            .collect();
        for (at, high_watermark, leads) in hosted {
            let config = self.durable.image.topics.get(&at.topic).map(|topic| topic.config);
            let Some(config) = config.filter(|config| config.compacted != Some(true)) else { continue };
            if let Some(to) = self.old_until(at, config, high_watermark, cx.now.wall) {
                if let Some(replica) = self.durable.replicas.get_mut(at) {
                    let from = replica.log.start();
                    replica.log.delete_before(to);
                    if leads && from < to {
                        cx.effects.record(Event::StartMoved { queue: Queue::Kafka, partition: at, from, to });
                    }
                }
                self.tell_start(at);
                self.touch(at);
            }
        }
    }

    /// Up to where a log may be deleted now, if anywhere.
    fn old_until(
        &self,
        at: TopicPartition,
        config: TopicConfig,
        high_watermark: Offset,
        wall: Time,
    ) -> Option<Offset> {
        let replica = self.durable.replicas.get(at)?;
        let log = &replica.log;
        if log.base() == log.end() {
            return None;
        }
        let retention = config.retention.unwrap_or(self.settings.retention);
        // The first entry is rarely the oldest by far: one look spares the walk over a log that is young.
        let young = log.get(log.base()).is_some_and(|entry| wall.since(entry.timestamp) <= retention);
        if young && config.retention_bytes.is_none() && log.start() == log.base() {
            return None;
        }
        let most = config.segment.unwrap_or(self.settings.segment).0;
        let mut left: u64 = log.bytes_between(log.base(), log.end(), u64::MAX);
        let mut until = None;
        for segment in segments(log, most) {
            let old = wall.since(segment.latest) > retention;
            let many =
                config.retention_bytes.is_some_and(|bytes| left.saturating_sub(segment.bytes) >= bytes.0);
            // Records below the start alone do not take the active segment along.
            let unreadable = segment.end <= log.start() && segment.end < log.end();
            if segment.end > high_watermark || !(old || many || unreadable) {
                break;
            }
            left -= segment.bytes;
            until = Some(segment.end);
        }
        until
    }
}
