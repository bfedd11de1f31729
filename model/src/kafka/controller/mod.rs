//! Kafka's controller: one node that decides which broker lives, who leads and who is in sync, and tells it to the
//! brokers as an ordered log. A quorum of several controllers is deliberately absent.

mod admin;
mod alter;
mod elections;
mod sessions;
#[cfg(test)]
mod tests;

use super::cluster::{BrokerState, Image, MetadataRecord};
use super::internal::Internal;
use super::protocol::BrokerId;
use super::settings::Settings;
use super::wiring::{Wiring, is_internal};
use crate::history::Event;
use crate::incident::Incident;
use crate::machine::{Effects, Input, Machine, Now, Process, Timer};
use crate::message::Message;
use crate::record::{NodeId, Queue};
use crate::units::Time;
use serde::Serialize;
use std::collections::BTreeMap;

const SESSION_TIMER: Timer = Timer::new("kafka-controller/session", 0);

/// So many producer ids a broker gets at a time (KIP-730).
const PRODUCER_ID_BLOCK: u64 = 1_000;

/// Kafka's controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Controller {
    settings: Settings,
    wiring: Wiring,
    durable: Durable,
    volatile: Volatile,
}

/// What the controller keeps on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Durable {
    records: Vec<MetadataRecord>,
    image: Image,
    next_producer_id: u64,
    next_topic_incarnation: u64,
}

/// What the controller forgets when it dies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Volatile {
    sessions: BTreeMap<BrokerId, Session>,
    timer: Option<Time>,
}

/// What the controller knows of a broker's process at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Session {
    heard_at: Time,
    /// How many metadata records the broker said that it has.
    applied: u64,
    /// How many were sent to it.
    sent: u64,
    sent_at: Time,
    /// Whether its process is there, as far as its connection tells.
    reachable: bool,
    /// A new life of the broker that waits until the session of the one before is over.
    waiting: Option<(u32, u64)>,
    /// The end of the metadata log when the broker began to stop: all others must have seen it before it may go.
    stopping_at: Option<u64>,
}

impl Controller {
    /// The controller of a cluster.
    pub fn new(settings: Settings, wiring: Wiring) -> Controller {
        Controller { settings, wiring, durable: Durable::default(), volatile: Volatile::default() }
    }

    fn start(&mut self, now: Now) {
        if self.durable.records.is_empty() {
            self.create_cluster();
        }
        for (broker, _) in &self.wiring.brokers {
            let session = Session { heard_at: now.elapsed, ..Session::default() };
            self.volatile.sessions.insert(*broker, session);
        }
    }

    /// The cluster as it is first seen: every broker alive, every topic placed, every replica in sync.
    fn create_cluster(&mut self) {
        for (broker, node) in self.wiring.brokers.clone() {
            let state = BrokerState { node, epoch: 0, incarnation: 0, fenced: false, stopping: false };
            self.write(MetadataRecord::Broker(broker, state));
        }
        for (place, topic) in self.wiring.topics_with_internal(&self.settings).into_iter().enumerate() {
            let (mut state, partitions) = self.wiring.created(&self.settings, place, topic);
            state.incarnation = self.topic_incarnation();
            self.write(MetadataRecord::Topic(topic.topic, state));
            for (at, partition) in partitions {
                self.write(MetadataRecord::Partition(at, partition));
            }
        }
    }

    fn topic_incarnation(&mut self) -> u64 {
        self.durable.next_topic_incarnation += 1;
        self.durable.next_topic_incarnation
    }

    fn write(&mut self, record: MetadataRecord) {
        self.durable.image.apply(&record);
        self.durable.records.push(record);
    }

    /// Write a partition's new state down, and say so in the history where the leader or the replicas in sync changed.
    fn write_partition(
        &mut self,
        at: crate::record::TopicPartition,
        state: super::cluster::PartitionState,
        effects: &mut Effects,
    ) {
        if let Some(before) = self.durable.image.partitions.get(at).filter(|_| !is_internal(at.topic)) {
            if before.leader_epoch != state.leader_epoch {
                effects.record(Event::LeaderChanged {
                    queue: Queue::Kafka,
                    partition: at,
                    leader: state.leader.and_then(|leader| self.wiring.node(leader)),
                    epoch: i64::from(state.leader_epoch),
                });
            }
            if before.isr != state.isr {
                effects.record(Event::InSyncChanged {
                    partition: at,
                    in_sync: state.isr.iter().filter_map(|id| self.wiring.node(*id)).collect(),
                    unclean: state.leader.is_some_and(|leader| !before.isr.contains(&leader)),
                });
            }
        }
        self.write(MetadataRecord::Partition(at, state));
    }

    fn message(&mut self, now: Now, from: NodeId, message: Internal, effects: &mut Effects) {
        match message {
            Internal::Register { broker, incarnation, next } => {
                self.register(now, broker, incarnation, next, effects);
            }
            Internal::BrokerHeartbeat { broker, epoch, next, stopping } => {
                self.heartbeat(now, broker, epoch, next, stopping, effects);
            }
            Internal::AlterPartition { broker, epoch, number, changes } => {
                let results = self.alter_partitions(broker, epoch, &changes, effects);
                effects.send(from, Internal::AlterPartitionAnswer { number, results });
            }
            Internal::AllocateProducerIds { .. } => {
                let first = self.durable.next_producer_id;
                self.durable.next_producer_id += PRODUCER_ID_BLOCK;
                effects.send(from, Internal::ProducerIds { first, count: PRODUCER_ID_BLOCK });
            }
            Internal::Forwarded { number, request } => {
                let error = self.administer(&request, effects);
                effects.send(from, Internal::ForwardedAnswer { number, error });
            }
            _ => {}
        }
    }

    /// Send every broker that can be reached what it has not been sent yet.
    fn publish(&mut self, now: Now, effects: &mut Effects) {
        let end = self.durable.image.next;
        for (broker, session) in &mut self.volatile.sessions {
            let Some(node) = self.wiring.node(*broker) else { continue };
            if session.reachable && session.sent < end {
                let records = self.durable.records[session.sent as usize..].to_vec();
                effects.send(node, Internal::Metadata { from: session.sent, records });
                session.sent = end;
                session.sent_at = now.elapsed;
            }
        }
    }
}

impl Machine for Controller {
    fn step(&mut self, now: Now, input: Input, effects: &mut Effects) {
        match input {
            Input::Start { .. } => self.start(now),
            Input::Message { from, message: Message::KafkaInternal(message) } => {
                self.message(now, from, *message, effects);
            }
            Input::Message { .. } => {}
            Input::Timer(_) => {
                self.forgive_own_pause(now);
                self.volatile.timer = None;
                self.expire_sessions(now, effects);
            }
            Input::Disconnected(node) => {
                let broker = self.wiring.broker(node);
                if let Some(session) = broker.and_then(|broker| self.volatile.sessions.get_mut(&broker)) {
                    session.reachable = false;
                }
            }
            Input::Terminate => effects.processes.push(Process::Exit),
            Input::Incident(Incident::ElectLeaders { unclean }) => self.elect_everywhere(unclean, effects),
            Input::Incident(_) | Input::Placed(_) | Input::Unreachable(_) => {}
        }
        self.publish(now, effects);
        self.arm(now, effects);
    }

    fn crash(&mut self) {
        self.volatile = Volatile::default();
    }

    fn lose(&mut self, _now: Now, _loss: crate::incident::DiskLoss) {}
}
