//! Look-ups of offsets: by time, at the ends, and by leader epoch. Only the leader answers.

use super::Broker;
use crate::kafka::protocol::{ErrorCode, Isolation, OffsetAt};
use crate::record::{Offset, TopicPartition};
use crate::units::Time;

type FoundOffset = (TopicPartition, ErrorCode, Offset, Option<Time>, i32);

impl Broker {
    pub(super) fn list_offset(
        &self,
        at: TopicPartition,
        isolation: Isolation,
        current: i32,
        what: OffsetAt,
    ) -> FoundOffset {
        match self.find_offset(at, isolation, current, what) {
            Ok((offset, timestamp, epoch)) => (at, ErrorCode::None, offset, timestamp, epoch),
            Err(error) => (at, error, -1, None, -1),
        }
    }

    fn find_offset(
        &self,
        at: TopicPartition,
        isolation: Isolation,
        current: i32,
        what: OffsetAt,
    ) -> Result<(Offset, Option<Time>, i32), ErrorCode> {
        self.check_current_epoch(at, current)?;
        let (hosted, leader, replica) = self.led(at)?;
        let log = &replica.log;
        let until = match isolation {
            Isolation::ReadUncommitted => hosted.high_watermark,
            Isolation::ReadCommitted => replica.last_stable(hosted.high_watermark),
        };
        // A new leader does not know yet how far its predecessor was acknowledged (KIP-207; clients older than version 5 of
        // the request are told LEADER_NOT_AVAILABLE, and none of these is so old).
        let unknown = hosted.high_watermark < leader.epoch_start;
        let found = match what {
            OffsetAt::Earliest => return Ok((log.start(), None, log.epoch_at(log.start()))),
            OffsetAt::Latest if unknown => return Err(ErrorCode::OffsetNotAvailable),
            OffsetAt::Latest => return Ok((until, None, leader.epoch)),
            OffsetAt::MaxTimestamp => latest_timestamp(log),
            OffsetAt::Time(time) => {
                let entries = log.range(log.start(), log.end()).iter().zip(log.start()..);
                entries.into_iter().find(|(entry, _)| entry.timestamp >= time).map(|(_, offset)| offset)
            }
        };
        match found.and_then(|offset| log.get(offset).map(|entry| (offset, entry))) {
            Some((offset, entry)) if offset < until => {
                Ok((offset, Some(entry.timestamp), entry.leader_epoch))
            }
            Some(_) if unknown => Err(ErrorCode::OffsetNotAvailable),
            _ => Ok((-1, None, -1)),
        }
    }

    /// What a caller knows of a partition's leadership is what this broker knows, whether or not it leads.
    fn check_current_epoch(&self, at: TopicPartition, current: i32) -> Result<(), ErrorCode> {
        let hosted = self.volatile.roles.get(at).ok_or_else(|| self.not_hosted(at))?;
        Broker::check_epoch(hosted, current)
    }

    /// Where an epoch ends: the epoch found, and its end; -1 for an epoch that is not known.
    pub(super) fn end_of_epoch(
        &self,
        at: TopicPartition,
        current: i32,
        epoch: i32,
    ) -> (TopicPartition, ErrorCode, i32, Offset) {
        match self.check_current_epoch(at, current).and_then(|()| self.led(at)) {
            Err(error) => (at, error, -1, -1),
            Ok((_, _, replica)) => {
                let (epoch, end) = replica.log.end_of_epoch(epoch).unwrap_or((-1, -1));
                (at, ErrorCode::None, epoch, end)
            }
        }
    }
}

/// The first of the records with the greatest timestamp, also where it was deleted but is still on disk.
fn latest_timestamp(log: &crate::kafka::log::Log) -> Option<Offset> {
    let mut latest: Option<(Time, Offset)> = None;
    for (entry, offset) in log.range(log.base(), log.end()).iter().zip(log.base()..) {
        if latest.is_none_or(|(time, _)| entry.timestamp > time) {
            latest = Some((entry.timestamp, offset));
        }
    }
    latest.map(|(_, offset)| offset)
}
