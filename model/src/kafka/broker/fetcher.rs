//! A follower copies from its leaders: one fetch per leader over all partitions, again as soon as it is answered.
//! Where its log is not the leader's it cuts it off, guided by epochs (KIP-595's truncation on fetch).

use super::{Broker, Context, Hosted, Role, Task, Volatile};
use crate::history::Event;
use crate::kafka::internal::{
    CopiedPartition, Internal, ReplicaFetch, ReplicaFetchAnswer, ReplicaFetchPartition,
};
use crate::kafka::protocol::{BrokerId, ErrorCode};
use crate::kafka::replica::Replica;
use crate::kafka::wiring::is_of_the_case;
use crate::record::{NodeId, Offset, Queue, TopicPartition};
use crate::small_set::SmallSet;
use serde::Serialize;
use std::collections::BTreeSet;

/// The fetching from one leader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Fetcher {
    session: u64,
    /// The place of the next fetch in its row.
    number: u32,
    /// Whether a fetch is under way.
    asked: bool,
    /// After a failure: not before the pause is over.
    rests: bool,
    partitions: BTreeSet<TopicPartition>,
    /// Partitions that the leader must be told the position of.
    changed: SmallSet<TopicPartition>,
    /// Partitions that the leader must be told to forget.
    forgotten: SmallSet<TopicPartition>,
    /// Partitions that rest after an error.
    resting: BTreeSet<TopicPartition>,
}

/// How far this broker's copy of a partition is.
fn position(at: TopicPartition, hosted: &Hosted, replica: &Replica) -> ReplicaFetchPartition {
    ReplicaFetchPartition {
        partition: at,
        leader_epoch: hosted.leader_epoch(),
        offset: replica.log.end(),
        last_epoch: replica.log.last_epoch(),
        log_start: replica.log.start(),
    }
}

impl Broker {
    /// Begin to follow a leader in a partition.
    pub(super) fn follow(&mut self, at: TopicPartition, leader: BrokerId) {
        let fetcher = self.volatile.fetchers.entry(leader).or_default();
        fetcher.partitions.insert(at);
        fetcher.changed.insert(at);
        fetcher.forgotten.remove(at);
    }

    /// A followed log begins elsewhere now, by itself: its leader must be told, or a deletion waits for it for ever.
    pub(super) fn tell_start(&mut self, at: TopicPartition) {
        let fetchers = self.volatile.fetchers.iter_mut().map(|(_, fetcher)| fetcher);
        for fetcher in fetchers.filter(|fetcher| fetcher.partitions.contains(&at)) {
            fetcher.changed.insert(at);
        }
    }

    /// Fetch a partition from nobody any more.
    pub(super) fn stop_following(&mut self, at: TopicPartition) {
        for (_, fetcher) in self.volatile.fetchers.iter_mut() {
            if fetcher.partitions.remove(&at) {
                fetcher.changed.remove(at);
                fetcher.resting.remove(&at);
                fetcher.forgotten.insert(at);
            }
        }
        // A leader that nothing is copied from any more may be silent for good: its answer is not waited for.
        self.volatile.fetchers.retain(|_, fetcher| !fetcher.partitions.is_empty());
    }

    /// Fetch wherever no fetch is under way.
    pub(super) fn send_fetches(&mut self, cx: &mut Context<'_>) {
        let idle: Vec<BrokerId> = self
            .volatile
            .fetchers
            .iter()
            .filter(|(_, fetcher)| !fetcher.asked && !fetcher.rests)
            .map(|(leader, _)| *leader)
            .collect();
        for leader in idle {
            self.send_fetch(cx, leader);
        }
    }

    /// Send the next fetch to a leader. Returns whether there was one to send.
    fn send_fetch(&mut self, cx: &mut Context<'_>, leader: BrokerId) -> bool {
        let (Some(node), Some(replica_epoch)) = (self.wiring.node(leader), self.volatile.epoch) else {
            return false;
        };
        let Volatile { fetchers, roles, last_fetcher_session, incarnation, .. } = &mut self.volatile;
        let Some(fetcher) = fetchers.get_mut(&leader) else { return false };
        if fetcher.number == 0 {
            *last_fetcher_session += 1;
            fetcher.session = u64::from(*incarnation) << 32 | u64::from(*last_fetcher_session);
            fetcher.changed = fetcher.partitions.difference(&fetcher.resting).copied().collect();
            fetcher.forgotten.clear();
        }
        let replicas = &self.durable.replicas;
        let position = |at| Some(position(at, roles.get(at)?, replicas.get(at)?));
        let partitions = fetcher.changed.iter().filter_map(position).collect();
        let fetch = ReplicaFetch {
            replica: self.id,
            replica_epoch,
            session: fetcher.session,
            number: fetcher.number,
            wait: self.settings.replica_fetch_wait,
            partitions,
            forgotten: fetcher.forgotten.iter().collect(),
        };
        fetcher.changed.clear();
        fetcher.forgotten.clear();
        fetcher.asked = true;
        cx.effects.send(node, Internal::ReplicaFetch(fetch));
        let patience = self.settings.replica_fetch_timeout;
        self.volatile.deadlines.set(Task::GiveFetchUp(leader), cx.time() + patience);
        true
    }

    pub(super) fn take_copies(&mut self, cx: &mut Context<'_>, from: NodeId, answer: ReplicaFetchAnswer) {
        let Some(leader) = self.wiring.broker(from) else { return };
        let Some(fetcher) = self.volatile.fetchers.get_mut(&leader) else { return };
        let expected = fetcher.asked && fetcher.session == answer.session && fetcher.number == answer.number;
        if !expected {
            return;
        }
        fetcher.asked = false;
        fetcher.number = if answer.unknown_session { 0 } else { fetcher.number + 1 };
        for copied in answer.partitions {
            self.take_copy(cx, leader, copied);
        }
        if !self.send_fetch(cx, leader) {
            self.volatile.deadlines.cancel(Task::GiveFetchUp(leader));
        }
    }

    fn take_copy(&mut self, cx: &mut Context<'_>, leader: BrokerId, copied: CopiedPartition) {
        let at = copied.partition;
        let Some(hosted) = self.volatile.roles.get(at) else { return };
        // What was asked under another leader or epoch says nothing now.
        let current = Role::Follower(Some(leader), copied.leader_epoch);
        if hosted.role != current {
            return;
        }
        match copied.error {
            ErrorCode::None => {}
            ErrorCode::OffsetOutOfRange => {
                self.follow_from_start(cx, leader, &copied);
                return;
            }
            _ => {
                self.rest(cx, leader, at);
                return;
            }
        }
        let start = self.durable.replicas.get(at).map(|replica| replica.log.start());
        if let Some((epoch, end)) = copied.diverging {
            self.cut_off(cx, at, epoch, end);
        } else {
            self.append_copies(cx, &copied);
        }
        let moved = copied.diverging.is_some()
            || !copied.entries.is_empty()
            || self.durable.replicas.get(at).map(|replica| replica.log.start()) != start;
        if let Some(fetcher) = self.volatile.fetchers.get_mut(&leader).filter(|_| moved) {
            fetcher.changed.insert(at);
        }
    }

    fn append_copies(&mut self, cx: &mut Context<'_>, copied: &CopiedPartition) {
        let at = copied.partition;
        let Some(replica) = self.durable.replicas.get_mut(at) else { return };
        if copied.from != replica.log.end() && !copied.entries.is_empty() {
            return;
        }
        for entry in &copied.entries {
            replica.push(entry.clone(), cx.now.elapsed);
        }
        if copied.log_start > replica.log.start() {
            replica.log.advance_start(copied.log_start);
        }
        let reached = copied.high_watermark.min(replica.log.end());
        self.set_high_watermark(cx, at, reached);
    }

    /// The leader says that its log has nothing of that epoch beyond `end`: cut off what this one has there. An
    /// epoch that this log does not know either is narrowed down by the next fetch.
    fn cut_off(&mut self, cx: &mut Context<'_>, at: TopicPartition, epoch: i32, end: Offset) {
        let Some(replica) = self.durable.replicas.get(at) else { return };
        let own_end = replica.log.end();
        let to = match replica.log.end_of_epoch(epoch) {
            Some((own_epoch, own)) if own_epoch != epoch => own.min(own_end),
            Some((_, own)) => own.min(end).min(own_end),
            None => end.min(own_end),
        };
        self.truncate(cx, at, to);
    }

    fn truncate(&mut self, cx: &mut Context<'_>, at: TopicPartition, to: Offset) {
        let Some(replica) = self.durable.replicas.get_mut(at) else { return };
        let from = replica.log.end();
        if to >= from {
            // An epoch in which this broker led and wrote nothing is known to nobody else: it is forgotten, or the
            // leader would find the logs diverging for ever (Kafka: `UnifiedLog.truncateTo`).
            replica.log.truncate(from);
            return;
        }
        replica.truncate(to, cx.now.elapsed);
        if is_of_the_case(at.topic) {
            cx.effects.record(Event::Truncated { queue: Queue::Kafka, partition: at, from, to });
        }
        let high_watermark = self.volatile.roles.get(at).map_or(0, |hosted| hosted.high_watermark);
        self.set_high_watermark(cx, at, high_watermark);
        self.touch(at);
    }

    /// The leader's log does not hold this follower's position: below the leader's end it begins anew at the
    /// leader's start, beyond it, it is cut off at the leader's end.
    fn follow_from_start(&mut self, cx: &mut Context<'_>, leader: BrokerId, copied: &CopiedPartition) {
        let at = copied.partition;
        let (start, end) = (copied.log_start, copied.from);
        let Some(replica) = self.durable.replicas.get_mut(at) else { return };
        if replica.log.end() > end {
            self.truncate(cx, at, end);
        } else if replica.log.end() < start {
            replica.restart_at(start);
            self.set_high_watermark(cx, at, start);
        } else {
            self.rest(cx, leader, at);
            return;
        }
        if let Some(fetcher) = self.volatile.fetchers.get_mut(&leader) {
            fetcher.changed.insert(at);
        }
    }

    /// Leave a partition alone for a while.
    fn rest(&mut self, cx: &mut Context<'_>, leader: BrokerId, at: TopicPartition) {
        if let Some(fetcher) = self.volatile.fetchers.get_mut(&leader) {
            fetcher.changed.remove(at);
            fetcher.forgotten.insert(at);
            fetcher.resting.insert(at);
            let again = cx.time() + self.settings.replica_fetch_backoff;
            self.volatile.deadlines.set_at_latest(Task::RepeatFetch(leader), again);
        }
    }

    /// A pause is over: partitions that rested are fetched again.
    pub(super) fn repeat_fetch(&mut self, cx: &mut Context<'_>, leader: BrokerId) {
        let Some(fetcher) = self.volatile.fetchers.get_mut(&leader) else { return };
        fetcher.rests = false;
        for at in std::mem::take(&mut fetcher.resting) {
            fetcher.forgotten.remove(at);
            fetcher.changed.insert(at);
        }
        if !fetcher.asked {
            self.send_fetch(cx, leader);
        }
    }

    /// The leader has been silent for too long: ask anew.
    pub(super) fn give_fetch_up(&mut self, cx: &mut Context<'_>, leader: BrokerId) {
        if let Some(fetcher) = self.volatile.fetchers.get_mut(&leader) {
            fetcher.asked = false;
            fetcher.number = 0;
            self.send_fetch(cx, leader);
        }
    }

    /// The leader's process is gone: ask anew after a pause.
    pub(super) fn leader_disconnected(&mut self, cx: &mut Context<'_>, leader: BrokerId) {
        if let Some(fetcher) = self.volatile.fetchers.get_mut(&leader) {
            fetcher.asked = false;
            fetcher.number = 0;
            fetcher.rests = true;
            let again = cx.time() + self.settings.replica_fetch_backoff;
            self.volatile.deadlines.cancel(Task::GiveFetchUp(leader));
            self.volatile.deadlines.set(Task::RepeatFetch(leader), again);
        }
    }
}
