//! A broker's life: it registers, catches up, serves, tells the controller that it lives, and stops in good order.

use super::{Broker, Context, Task};
use crate::kafka::cluster::MetadataRecord;
use crate::kafka::internal::Internal;
use crate::machine::Process;
use crate::record::TopicPartition;

impl Broker {
    pub(super) fn start(&mut self, cx: &mut Context<'_>, incarnation: u32) {
        self.volatile.incarnation = incarnation;
        self.report_loss(cx);
        self.find_high_watermarks();
        self.durable.orderly = false;
        self.beat(cx);
        let every = self.settings.replica_lag_time_max.0 / 2;
        self.volatile.deadlines.set(Task::CheckIsr, cx.time() + crate::units::Span(every));
        let every = self.settings.producer_id_expiration_check;
        self.volatile.deadlines.set(Task::ExpireProducers, cx.time() + every);
        let every = self.settings.retention_check;
        self.volatile.deadlines.set(Task::DeleteOldRecords, cx.time() + every);
        let every = self.settings.transactional_id_expiration_check;
        self.volatile.deadlines.set(Task::ExpireTransactionalIds, cx.time() + every);
        let every = self.settings.offsets_retention_check;
        self.volatile.deadlines.set(Task::ExpireGroups, cx.time() + every);
    }

    /// Tell the controller that this process lives: register it, or send a heartbeat.
    pub(super) fn beat(&mut self, cx: &mut Context<'_>) {
        let next = self.durable.image.next;
        let message = match self.volatile.epoch {
            None => Internal::Register { broker: self.id, incarnation: self.volatile.incarnation, next },
            Some(epoch) => {
                let stopping = self.volatile.stopping;
                Internal::BrokerHeartbeat { broker: self.id, epoch, next, stopping }
            }
        };
        cx.effects.send(self.wiring.controller, message);
        self.volatile.deadlines.set(Task::Heartbeat, cx.time() + self.settings.broker_heartbeat);
    }

    pub(super) fn registered(&mut self, cx: &mut Context<'_>, incarnation: u32, epoch: u64) {
        if incarnation != self.volatile.incarnation || self.volatile.epoch.is_some() {
            return;
        }
        self.volatile.epoch = Some(epoch);
        if self.volatile.active {
            // It registered anew while it ran: go on with what needs an epoch.
            self.send_fetches(cx);
            self.repeat_alter_partition(cx);
        }
        self.catch_up(cx);
    }

    /// Take up the roles when everything up to the own registration is known, and ask to be let in.
    fn catch_up(&mut self, cx: &mut Context<'_>) {
        let caught_up = self.volatile.epoch.is_some_and(|epoch| self.durable.image.next >= epoch);
        if !caught_up || self.volatile.active {
            return;
        }
        self.volatile.active = true;
        let partitions: Vec<TopicPartition> = self.durable.image.partitions.keys().collect();
        self.drop_deleted_replicas();
        for partition in partitions {
            self.take_role(cx, partition);
        }
        self.send_fetches(cx);
        self.beat(cx);
    }

    pub(super) fn heartbeat_answered(
        &mut self,
        cx: &mut Context<'_>,
        epoch: u64,
        stale: bool,
        fenced: bool,
        may_stop: bool,
    ) {
        if self.volatile.epoch != Some(epoch) {
            return;
        }
        if stale {
            self.volatile.epoch = None;
            self.beat(cx);
        } else if may_stop && self.volatile.stopping {
            self.exit(cx);
        } else if !fenced && self.volatile.active && !self.volatile.serving {
            self.volatile.serving = true;
            for (from, id, request) in std::mem::take(&mut self.volatile.backlog) {
                self.request(cx, from, id, *request);
            }
        }
    }

    /// The controller's log goes on. A hole is filled when the controller hears of it by a heartbeat.
    pub(super) fn take_metadata(&mut self, cx: &mut Context<'_>, from: u64, records: Vec<MetadataRecord>) {
        let next = self.durable.image.next;
        if from > next {
            self.beat(cx);
            return;
        }
        for record in records.into_iter().skip((next - from) as usize) {
            self.durable.image.apply(&record);
            if self.volatile.active {
                self.obey(cx, &record);
            }
        }
        self.send_fetches(cx);
        self.catch_up(cx);
    }

    fn obey(&mut self, cx: &mut Context<'_>, record: &MetadataRecord) {
        match record {
            MetadataRecord::Partition(at, _) => self.take_role(cx, *at),
            MetadataRecord::TopicGone(topic) => self.drop_topic(cx, *topic),
            MetadataRecord::Broker(broker, _) => self.expand_with(cx, *broker),
            MetadataRecord::Topic(..) => {}
        }
    }

    /// The process is asked to stop: leaderships move first, then the controller lets it go.
    pub(super) fn terminate(&mut self, cx: &mut Context<'_>) {
        if self.volatile.stopping {
            return;
        }
        self.volatile.stopping = true;
        if self.volatile.epoch.is_none() {
            self.exit(cx);
            return;
        }
        let patience = self.settings.controlled_shutdown_timeout;
        self.volatile.deadlines.set(Task::GiveUpStopping, cx.time() + patience);
        self.beat(cx);
    }

    pub(super) fn exit(&mut self, cx: &mut Context<'_>) {
        self.durable.orderly = true;
        cx.effects.processes.push(Process::Exit);
    }
}
