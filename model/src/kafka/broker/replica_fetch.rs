//! A leader serves its followers: one fetch per follower over all their partitions, answered when one of them has
//! something new. Each fetch tells how far the follower is, and so moves the high watermark.

use super::{Broker, Context, Hosted, Role, Task};
use crate::kafka::internal::{
    CopiedPartition, Internal, ReplicaFetch, ReplicaFetchAnswer, ReplicaFetchPartition,
};
use crate::kafka::protocol::{BrokerId, ErrorCode};
use crate::kafka::replica::Replica;
use crate::partition_map::PartitionMap;
use crate::record::{NodeId, Offset, TopicPartition};
use crate::small_set::SmallSet;
use crate::units::Time;
use serde::Serialize;

/// A row of fetches of one follower.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct FollowerSession {
    session: u64,
    /// The place of the last fetch in the row.
    number: u32,
    node: NodeId,
    /// The last time that it fetched.
    pub heard_at: Time,
    partitions: PartitionMap<Asked>,
    /// Partitions that may have something new for it.
    changed: SmallSet<TopicPartition>,
    /// Whether a fetch waits for records.
    waits: bool,
    /// Whether something came for the fetch that waits.
    woken: bool,
}

/// From where a follower fetches, and what it was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Asked {
    leader_epoch: i32,
    offset: Offset,
    last_epoch: i32,
    told_high_watermark: Offset,
    told_log_start: Offset,
}

/// A partition as a follower finds it whose fetch is in order.
struct Examined<'a> {
    hosted: &'a Hosted,
    replica: &'a Replica,
    /// Where the follower's log is not the leader's any more, if it is not.
    diverging: Option<(i32, Offset)>,
}

impl Broker {
    pub(super) fn serve_replica(&mut self, cx: &mut Context<'_>, from: NodeId, fetch: ReplicaFetch) {
        if !self.volatile.active {
            return;
        }
        let follower = fetch.replica;
        let known = self.volatile.followers.get(&follower);
        let waited = known.is_some_and(|known| known.waits);
        if fetch.number > 0 {
            match known.filter(|known| known.session == fetch.session) {
                // A fetch that was served already was delivered twice.
                Some(known) if fetch.number <= known.number => return,
                Some(known) if fetch.number == known.number + 1 => {}
                _ => {
                    let answer = ReplicaFetchAnswer {
                        session: fetch.session,
                        number: fetch.number,
                        unknown_session: true,
                        partitions: Vec::new(),
                    };
                    cx.effects.send(from, Internal::ReplicaFetchAnswer(answer));
                    return;
                }
            }
        } else {
            let session = FollowerSession {
                session: fetch.session,
                number: 0,
                node: from,
                heard_at: cx.time(),
                partitions: PartitionMap::default(),
                changed: SmallSet::default(),
                waits: false,
                woken: false,
            };
            self.volatile.followers.insert(follower, session);
        }
        self.take_positions(cx, &fetch);
        if let Some(session) = self.volatile.followers.get_mut(&follower) {
            session.number = fetch.number;
            session.heard_at = cx.time();
            session.waits = true;
            session.woken = false;
        }
        if !self.answer_follower(cx, follower, false) {
            self.volatile.deadlines.set(Task::EndReplicaFetch(follower), cx.time() + fetch.wait);
        } else if waited {
            self.volatile.deadlines.cancel(Task::EndReplicaFetch(follower));
        }
    }

    fn take_positions(&mut self, cx: &mut Context<'_>, fetch: &ReplicaFetch) {
        let Some(session) = self.volatile.followers.get_mut(&fetch.replica) else { return };
        for at in &fetch.forgotten {
            session.partitions.remove(*at);
            session.changed.remove(*at);
        }
        for position in &fetch.partitions {
            let asked = Asked {
                leader_epoch: position.leader_epoch,
                offset: position.offset,
                last_epoch: position.last_epoch,
                told_high_watermark: -1,
                told_log_start: -1,
            };
            // What it was told before it may have dropped, having changed leaders meanwhile: it is told again.
            session.partitions.insert(position.partition, asked);
            session.changed.insert(position.partition);
        }
        for position in &fetch.partitions {
            self.note_position(cx, fetch.replica, fetch.replica_epoch, position);
        }
    }

    /// A follower has everything below the offset that it fetches from.
    fn note_position(
        &mut self,
        cx: &mut Context<'_>,
        broker: BrokerId,
        broker_epoch: u64,
        position: &ReplicaFetchPartition,
    ) {
        let at = position.partition;
        let asked = Asked {
            leader_epoch: position.leader_epoch,
            offset: position.offset,
            last_epoch: position.last_epoch,
            told_high_watermark: -1,
            told_log_start: -1,
        };
        let Ok(Examined { diverging: None, replica, .. }) = self.examine(at, &asked) else { return };
        let end = replica.log.end();
        let Some(hosted) = self.volatile.roles.get_mut(at) else { return };
        let Role::Leader(leader) = &mut hosted.role else { return };
        let Some(follower) = leader.followers.get_mut(&broker) else { return };
        if position.offset >= end {
            follower.caught_up_at = follower.caught_up_at.max(cx.now.elapsed);
        } else if position.offset >= follower.end_at_fetch && follower.end_at_fetch >= 0 {
            follower.caught_up_at = follower.caught_up_at.max(follower.fetched_at);
        }
        follower.end = position.offset;
        follower.end_at_fetch = end;
        follower.fetched_at = cx.now.elapsed;
        follower.log_start = position.log_start;
        follower.broker_epoch = broker_epoch;
        self.expand_isr(cx, at, broker);
        self.advance_high_watermark(cx, at);
        self.settle_deletions(cx, at);
    }

    /// Whether a follower may copy from its position: an error, or where its log diverges, or neither.
    fn examine(&self, at: TopicPartition, asked: &Asked) -> Result<Examined<'_>, ErrorCode> {
        let hosted = self.volatile.roles.get(at).ok_or_else(|| self.not_hosted(at))?;
        Broker::check_epoch(hosted, asked.leader_epoch)?;
        hosted.leader().ok_or(ErrorCode::NotLeaderOrFollower)?;
        let replica = self.durable.replicas.get(at).ok_or(ErrorCode::NotLeaderOrFollower)?;
        if asked.last_epoch >= 0 {
            let (epoch, end) =
                replica.log.end_of_epoch(asked.last_epoch).ok_or(ErrorCode::OffsetOutOfRange)?;
            if epoch < asked.last_epoch || end < asked.offset {
                return Ok(Examined { hosted, replica, diverging: Some((epoch, end)) });
            }
        }
        if asked.offset < replica.log.start() || asked.offset > replica.log.end() {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        Ok(Examined { hosted, replica, diverging: None })
    }

    /// A partition changed: note it for every follower that fetches it.
    pub(super) fn wake_followers(&mut self, _cx: &mut Context<'_>, at: TopicPartition) {
        let log_end = self.durable.replicas.get(at).map_or(0, |replica| replica.log.end());
        let leads = self.volatile.roles.get(at).is_some_and(|hosted| hosted.leader().is_some());
        for (_, session) in self.volatile.followers.iter_mut() {
            if let Some(asked) = session.partitions.get(at) {
                session.changed.insert(at);
                session.woken |= !leads || asked.offset < log_end;
            }
        }
    }

    pub(super) fn answer_followers(&mut self, cx: &mut Context<'_>) {
        let woken: Vec<BrokerId> = self
            .volatile
            .followers
            .iter()
            .filter(|(_, session)| session.waits && session.woken)
            .map(|(follower, _)| *follower)
            .collect();
        for follower in woken {
            if self.answer_follower(cx, follower, false) {
                self.volatile.deadlines.cancel(Task::EndReplicaFetch(follower));
            }
        }
    }

    /// The time of a follower's fetch is over.
    pub(super) fn end_replica_fetch(&mut self, cx: &mut Context<'_>, follower: BrokerId) {
        self.answer_follower(cx, follower, true);
    }

    /// Answer a follower's fetch if it waits and there are records or errors, or if it must be answered now. Returns whether it
    /// was: then its deadline is nobody's any more.
    fn answer_follower(&mut self, cx: &mut Context<'_>, follower: BrokerId, now: bool) -> bool {
        let Some(session) = self.volatile.followers.get(&follower).filter(|session| session.waits) else {
            return false;
        };
        let changed = session.changed.iter();
        let asked = changed.filter_map(|at| session.partitions.get(at).map(|asked| (at, asked)));
        // Most fetches find nothing urgent: the answer is not drawn up for them.
        let urgent = now || asked.clone().any(|(at, asked)| self.is_urgent(at, asked));
        let partitions: Vec<CopiedPartition> =
            if urgent { asked.filter_map(|(at, asked)| self.copy(at, asked)).collect() } else { Vec::new() };
        let Some(session) = self.volatile.followers.get_mut(&follower) else { return false };
        session.woken = false;
        if !urgent {
            return false;
        }
        session.changed.clear();
        session.waits = false;
        for copied in &partitions {
            if let Some(asked) = session.partitions.get_mut(copied.partition) {
                asked.told_high_watermark = copied.high_watermark;
                asked.told_log_start = copied.log_start;
            }
        }
        let answer = ReplicaFetchAnswer {
            session: session.session,
            number: session.number,
            unknown_session: false,
            partitions,
        };
        cx.effects.send(session.node, Internal::ReplicaFetchAnswer(answer));
        true
    }

    /// Whether a follower is to be told of a partition at once: of records, or that something is wrong.
    fn is_urgent(&self, at: TopicPartition, asked: &Asked) -> bool {
        match self.examine(at, asked) {
            Ok(examined) => examined.diverging.is_some() || asked.offset < examined.replica.log.end(),
            Err(_) => true,
        }
    }

    /// What a follower is told of a partition, if there is anything that it has not been told.
    fn copy(&self, at: TopicPartition, asked: &Asked) -> Option<CopiedPartition> {
        let mut copied = CopiedPartition {
            partition: at,
            error: ErrorCode::None,
            leader_epoch: asked.leader_epoch,
            high_watermark: -1,
            log_start: -1,
            diverging: None,
            from: asked.offset,
            entries: Vec::new(),
        };
        match self.examine(at, asked) {
            Err(error) => {
                copied.error = error;
                // A follower that is out of range begins anew at the leader's start.
                if let Ok((_, _, replica)) = self.led(at) {
                    copied.log_start = replica.log.start();
                    copied.from = replica.log.end();
                }
                return Some(copied);
            }
            Ok(Examined { hosted, replica, diverging }) => {
                copied.diverging = diverging;
                copied.high_watermark = hosted.high_watermark;
                copied.log_start = replica.log.start();
                if diverging.is_none() {
                    copied.entries = replica.log.range(asked.offset, replica.log.end()).to_vec();
                }
            }
        }
        let is_news = copied.diverging.is_some()
            || !copied.entries.is_empty()
            || copied.high_watermark != asked.told_high_watermark
            || copied.log_start != asked.told_log_start;
        is_news.then_some(copied)
    }

    pub(super) fn follower_disconnected(&mut self, follower: BrokerId) {
        self.volatile.followers.remove(&follower);
        self.volatile.deadlines.cancel(Task::EndReplicaFetch(follower));
    }
}
