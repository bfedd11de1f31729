//! The replicas in sync: followers that lag are taken out, those that have caught up are taken in again, each by
//! the controller's leave.

use super::{Broker, Context, Role, Task};
use crate::kafka::internal::{Internal, IsrChange};
use crate::kafka::protocol::{BrokerId, ErrorCode};
use crate::record::TopicPartition;
use crate::units::Span;
use serde::Serialize;
use std::collections::BTreeSet;

/// Requests for other replicas in sync: one is under way at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct IsrRequests {
    last_number: u64,
    under_way: Option<u64>,
    waiting: BTreeSet<TopicPartition>,
    asked: BTreeSet<TopicPartition>,
}

impl Broker {
    /// The partition's state changed while this broker leads on: another ISR, or other replicas.
    pub(super) fn take_isr(&mut self, cx: &mut Context<'_>, at: TopicPartition) {
        let Some(state) = self.durable.image.partitions.get(at) else { return };
        let end = self.durable.replicas.get(at).map_or(0, |replica| replica.log.end());
        let Some(hosted) = self.volatile.roles.get_mut(at) else { return };
        let Role::Leader(leader) = &mut hosted.role else { return };
        let fresh = super::leader::Leader::new(state, self.id, end, cx.time());
        leader.isr = fresh.isr;
        leader.replicas = fresh.replicas;
        leader.partition_epoch = fresh.partition_epoch;
        leader.proposed = None;
        leader.followers.retain(|id, _| fresh.followers.contains_key(id));
        for (id, follower) in fresh.followers {
            leader.followers.entry(id).or_insert(follower);
        }
        self.volatile.isr.waiting.remove(&at);
        self.advance_high_watermark(cx, at);
        self.touch(at);
        self.expand_with_all(cx, at);
    }

    /// Only one change is under way at a time: others may have caught up meanwhile.
    fn expand_with_all(&mut self, cx: &mut Context<'_>, at: TopicPartition) {
        let Ok((_, leader, _)) = self.led(at) else { return };
        let outside: Vec<BrokerId> =
            leader.followers.keys().copied().filter(|id| !leader.isr.contains(id)).collect();
        for broker in outside {
            self.expand_isr(cx, at, broker);
        }
    }

    pub(super) fn forget_isr_request(&mut self, at: TopicPartition) {
        self.volatile.isr.waiting.remove(&at);
        self.volatile.isr.asked.remove(&at);
    }

    /// Look for followers that have lagged for too long, every half of what they are allowed.
    pub(super) fn check_isr(&mut self, cx: &mut Context<'_>) {
        let patience = self.settings.replica_lag_time_max;
        self.volatile.deadlines.set(Task::CheckIsr, cx.time() + Span(patience.0 / 2));
        let mut lagging = Vec::new();
        let mut incomplete = Vec::new();
        for (at, hosted) in self.volatile.roles.iter() {
            let Some(leader) = hosted.leader().filter(|leader| leader.proposed.is_none()) else { continue };
            let Some(replica) = self.durable.replicas.get(at) else { continue };
            let end = replica.log.end();
            let kept: Vec<BrokerId> = leader
                .isr
                .iter()
                .copied()
                .filter(|id| {
                    leader
                        .followers
                        .get(id)
                        .is_none_or(|follower| follower.is_caught_up(end, cx.time(), patience))
                })
                .collect();
            if kept.len() < leader.isr.len() {
                lagging.push((at, kept));
            } else if leader.isr.len() < leader.replicas {
                incomplete.push(at);
            }
        }
        for (at, kept) in lagging {
            self.propose_isr(cx, at, kept);
        }
        // A request that was refused may be granted by now.
        for at in incomplete {
            self.expand_with_all(cx, at);
        }
    }

    /// A broker is known to be alive (or not) from now on: it may have caught up before that.
    pub(super) fn expand_with(&mut self, cx: &mut Context<'_>, broker: BrokerId) {
        if !self.durable.image.is_active(broker) || broker == self.id {
            return;
        }
        let led: Vec<TopicPartition> = self
            .volatile
            .roles
            .iter()
            .filter(|(_, hosted)| {
                hosted.leader().is_some_and(|leader| {
                    leader.followers.contains_key(&broker) && !leader.isr.contains(&broker)
                })
            })
            .map(|(at, _)| at)
            .collect();
        for at in led {
            self.expand_isr(cx, at, broker);
        }
    }

    /// Ask for a follower to be in sync again if it has caught up with the high watermark and with this leader's
    /// epoch.
    pub(super) fn expand_isr(&mut self, cx: &mut Context<'_>, at: TopicPartition, broker: BrokerId) {
        let Ok((hosted, leader, _)) = self.led(at) else { return };
        let Some(follower) = leader.followers.get(&broker) else { return };
        let may = leader.proposed.is_none()
            && !leader.isr.contains(&broker)
            && follower.end >= hosted.high_watermark
            && follower.end >= leader.epoch_start
            && self.is_eligible(broker, follower);
        if may {
            let mut isr = leader.isr.clone();
            isr.push(broker);
            self.propose_isr(cx, at, isr);
        }
    }

    fn propose_isr(&mut self, cx: &mut Context<'_>, at: TopicPartition, isr: Vec<BrokerId>) {
        if let Some(Role::Leader(leader)) = self.volatile.roles.get_mut(at).map(|hosted| &mut hosted.role) {
            leader.proposed = Some(isr);
            self.volatile.isr.waiting.insert(at);
            self.send_alter_partition(cx);
        }
    }

    fn send_alter_partition(&mut self, cx: &mut Context<'_>) {
        let Some(epoch) = self.volatile.epoch else { return };
        if self.volatile.isr.under_way.is_some() || self.volatile.isr.waiting.is_empty() {
            return;
        }
        let asked = std::mem::take(&mut self.volatile.isr.waiting);
        let changes: Vec<IsrChange> = asked.iter().filter_map(|at| self.isr_change(*at)).collect();
        let requests = &mut self.volatile.isr;
        requests.last_number += 1;
        requests.under_way = Some(requests.last_number);
        requests.asked = asked;
        let number = requests.last_number;
        let message = Internal::AlterPartition { broker: self.id, epoch, number, changes };
        cx.effects.send(self.wiring.controller, message);
        let patience = self.settings.broker_heartbeat;
        self.volatile.deadlines.set(Task::RepeatAlterPartition, cx.time() + patience);
    }

    fn isr_change(&self, at: TopicPartition) -> Option<IsrChange> {
        let (_, leader, _) = self.led(at).ok()?;
        let isr = leader.proposed.as_ref()?;
        let with_epochs = isr
            .iter()
            .map(|id| {
                let known = self.durable.image.brokers.get(id).map_or(0, |known| known.epoch);
                (*id, leader.followers.get(id).map_or(known, |follower| follower.broker_epoch.max(known)))
            })
            .collect();
        Some(IsrChange {
            partition: at,
            leader_epoch: leader.epoch,
            partition_epoch: leader.partition_epoch,
            isr: with_epochs,
        })
    }

    /// The controller answered. What it granted comes (or came) as metadata; what it refused is taken back, and
    /// asked for again when there is still reason to.
    pub(super) fn isr_answered(
        &mut self,
        cx: &mut Context<'_>,
        number: u64,
        results: &[(TopicPartition, ErrorCode)],
    ) {
        if self.volatile.isr.under_way != Some(number) {
            return;
        }
        self.volatile.isr.under_way = None;
        self.volatile.isr.asked.clear();
        self.volatile.deadlines.cancel(Task::RepeatAlterPartition);
        for (at, error) in results {
            if *error != ErrorCode::None {
                self.withdraw_isr(*at);
            }
        }
        self.send_alter_partition(cx);
    }

    /// No answer came: whether the controller has done it will be seen in the metadata.
    pub(super) fn repeat_alter_partition(&mut self, cx: &mut Context<'_>) {
        self.volatile.isr.under_way = None;
        for at in std::mem::take(&mut self.volatile.isr.asked) {
            let still = self.led(at).is_ok_and(|(_, leader, _)| leader.proposed.is_some());
            if still {
                self.volatile.isr.waiting.insert(at);
            }
        }
        self.send_alter_partition(cx);
    }

    fn withdraw_isr(&mut self, at: TopicPartition) {
        if let Some(Role::Leader(leader)) = self.volatile.roles.get_mut(at).map(|hosted| &mut hosted.role) {
            leader.proposed = None;
        }
    }
}
