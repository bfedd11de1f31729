//! A leader's picture of its partition: who is in sync, how far each follower is, and how far all are.

use super::{Broker, Context, Role};
use crate::kafka::cluster::PartitionState;
use crate::kafka::protocol::BrokerId;
use crate::record::{Offset, TopicPartition};
use crate::units::{Span, Time};
use litemap::LiteMap;
use serde::Serialize;

/// What a leader knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Leader {
    /// Its epoch.
    pub epoch: i32,
    /// Where the log ended when it began to lead.
    pub epoch_start: Offset,
    /// The replicas in sync, as agreed.
    pub isr: Vec<BrokerId>,
    /// How many replicas there are.
    pub replicas: usize,
    /// Counts the changes of the partition's state.
    pub partition_epoch: i32,
    /// The replicas in sync that it has asked for and not been granted yet.
    pub proposed: Option<Vec<BrokerId>>,
    /// The other replicas.
    pub followers: LiteMap<BrokerId, Follower>,
}

/// What a leader knows of a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Follower {
    /// The end of its log; -1 before its first fetch.
    pub end: Offset,
    /// When it last had everything.
    pub caught_up_at: Time,
    /// When it last fetched something new.
    pub fetched_at: Time,
    /// Where the leader's log ended then.
    pub end_at_fetch: Offset,
    /// Its log's start.
    pub log_start: Offset,
    /// The epoch of its broker when it last fetched.
    pub broker_epoch: u64,
}

impl Follower {
    /// Whether it has everything, or had so a short time ago.
    pub fn is_caught_up(&self, end: Offset, now: Time, patience: Span) -> bool {
        self.end == end || now.since(self.caught_up_at) <= patience
    }
}

impl Leader {
    pub fn new(state: &PartitionState, own: BrokerId, end: Offset, now: Time) -> Leader {
        let followers = state
            .replicas
            .iter()
            .filter(|id| **id != own)
            .map(|id| {
                // A replica in sync is given the benefit of the doubt for a while.
                let caught_up_at = if state.isr.contains(id) { now } else { Time::ZERO };
                let follower = Follower {
                    end: -1,
                    caught_up_at,
                    fetched_at: Time::ZERO,
                    end_at_fetch: -1,
                    log_start: -1,
                    broker_epoch: 0,
                };
                (*id, follower)
            })
            .collect();
        Leader {
            epoch: state.leader_epoch,
            epoch_start: end,
            isr: state.isr.clone(),
            replicas: state.replicas.len(),
            partition_epoch: state.partition_epoch,
            proposed: None,
            followers,
        }
    }

    /// Whether a broker counts as in sync for the high watermark: by agreement, or because it is proposed.
    pub fn counts(&self, broker: BrokerId) -> bool {
        self.isr.contains(&broker)
            || self.proposed.as_ref().is_some_and(|proposed| proposed.contains(&broker))
    }
}

impl Broker {
    /// How many replicas in sync a partition needs: never more than it has.
    pub(super) fn min_isr(&self, at: TopicPartition, leader: &Leader) -> usize {
        let config = self.durable.image.topics.get(&at.topic).map(|topic| topic.config);
        let least =
            config.and_then(|config| config.min_insync_replicas).unwrap_or(self.settings.min_insync_replicas);
        (least as usize).min(leader.replicas)
    }

    /// Whether a replica's broker may be in sync at all: alive, and in the life in which it fetched.
    pub(super) fn is_eligible(&self, broker: BrokerId, follower: &Follower) -> bool {
        let known = self.durable.image.brokers.get(&broker);
        known.is_some_and(|known| !known.fenced && !known.stopping && known.epoch == follower.broker_epoch)
    }

    /// Move the high watermark of a partition that this broker leads as far as its replicas allow: not at all below
    /// the minimum of replicas in sync (recorded: "Producing", 1).
    pub(super) fn advance_high_watermark(&mut self, cx: &mut Context<'_>, at: TopicPartition) {
        let Ok((hosted, leader, replica)) = self.led(at) else { return };
        if leader.isr.len() < self.min_isr(at, leader) {
            return;
        }
        let end = replica.log.end();
        let mut reached = end;
        for (id, follower) in &leader.followers {
            let waits_for = leader.counts(*id)
                || follower.is_caught_up(end, cx.time(), self.settings.replica_lag_time_max)
                    && self.is_eligible(*id, follower);
            if waits_for {
                reached = reached.min(follower.end);
            }
        }
        if reached > hosted.high_watermark {
            self.set_high_watermark(cx, at, reached);
        }
    }

    pub(super) fn set_high_watermark(&mut self, cx: &Context<'_>, at: TopicPartition, to: Offset) {
        let every = self.settings.high_watermark_checkpoint;
        let Some(hosted) = self.volatile.roles.get_mut(at) else { return };
        let Some(replica) = self.durable.replicas.get_mut(at) else { return };
        let to = to.clamp(replica.log.start(), replica.log.end());
        if hosted.high_watermark != to {
            hosted.high_watermark = to;
            replica.note_high_watermark(to, cx.time(), every);
            self.touch(at);
        }
    }

    /// The leader's log grew from `before`: followers that had everything until now have begun to lag.
    pub(super) fn note_growth(&mut self, at: TopicPartition, before: Offset) {
        let Some(hosted) = self.volatile.roles.get_mut(at) else { return };
        let Role::Leader(leader) = &mut hosted.role else { return };
        for (id, follower) in &mut leader.followers {
            if follower.end == before {
                let heard = self.volatile.followers.get(id).map_or(Time::ZERO, |session| session.heard_at);
                follower.caught_up_at = follower.caught_up_at.max(heard);
            }
        }
    }
}
