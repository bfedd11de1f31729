//! Kafka's producer library, as Java's client 3.9 was observed to behave: it batches per partition, keeps several
//! requests in flight to a broker, retries, gives batches up by their age, and, if idempotent, numbers them.
//!
//! Left out: compression, the sticky choice of a partition for records without a key (the owner chooses), adaptive
//! partitioning, and the splitting of compressed batches.

mod accumulator;
mod delivery;
mod sending;
mod sequences;
#[cfg(test)]
mod tests;

use super::kafka_metadata::{Metadata, RefreshSettings};
use super::kafka_network::{Alarm, Heard, Network, TimerNames, backoff};
use super::kafka_producer_settings::Settings;
use super::{Producer, Route, SendOutcome};
use crate::kafka::protocol::{ErrorCode, ProducerId, Request, Response};
use crate::machine::{Effects, Input, Now, Timer};
use crate::message::Message;
use crate::record::{NodeId, Record, TopicId, TopicPartition};
use crate::units::Time;
use accumulator::{Batch, BatchId, Queue, Waiting};
use litemap::LiteMap;
use sequences::Idempotence;
use serde::Serialize;
use std::collections::VecDeque;

const NAMES: TimerNames = TimerNames {
    request: "kafka-producer/request",
    reconnect: "kafka-producer/reconnect",
    metadata: "kafka-producer/metadata",
};
const RETRY: &str = "kafka-producer/retry";
const PRODUCER_ID: Timer = Timer::new("kafka-producer/producer-id", 0);

/// What a request was for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
enum Purpose {
    Metadata,
    ProducerId,
    Produce(Vec<(TopicPartition, BatchId)>),
}

/// Kafka's producer library, embedded in a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KafkaProducer {
    settings: Settings,
    bootstrap: Vec<NodeId>,
    lane: u16,
    volatile: Volatile,
}

/// All of it dies with the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Volatile {
    network: Network<Purpose>,
    metadata: Metadata,
    /// None where the settings switch idempotence off.
    idempotence: Option<Idempotence>,
    queues: LiteMap<TopicPartition, Queue>,
    batches: LiteMap<BatchId, Batch>,
    last_batch: BatchId,
    /// Sends that block for memory or metadata, the oldest first.
    waiting: VecDeque<Waiting>,
    memory_bytes: u64,
    outcomes: VecDeque<(u64, SendOutcome)>,
    undecided: usize,
    linger: Alarm,
    expiry: Alarm,
    block: Alarm,
}

impl Volatile {
    fn new(settings: &Settings, bootstrap: &[NodeId], incarnation: u32, lane: u16) -> Volatile {
        let refresh = RefreshSettings {
            retry_backoff: settings.retry_backoff,
            retry_backoff_max: settings.retry_backoff_max,
            max_age: settings.metadata_max_age,
        };
        Volatile {
            network: Network::new(NAMES, settings.request_timeout, incarnation, lane),
            metadata: Metadata::new(refresh, NAMES.metadata, bootstrap.to_vec()),
            idempotence: settings.idempotent().then(Idempotence::default),
            queues: LiteMap::new(),
            batches: LiteMap::new(),
            last_batch: 0,
            waiting: VecDeque::new(),
            memory_bytes: 0,
            outcomes: VecDeque::new(),
            undecided: 0,
            linger: Alarm::new("kafka-producer/linger"),
            expiry: Alarm::new("kafka-producer/expiry"),
            block: Alarm::new("kafka-producer/block"),
        }
    }
}

impl KafkaProducer {
    /// A producer that finds its cluster through these nodes; `lane` tells it apart from its process's other clients.
    pub fn new(settings: Settings, bootstrap: Vec<NodeId>, lane: u16) -> KafkaProducer {
        let volatile = Volatile::new(&settings, &bootstrap, 0, lane);
        KafkaProducer { settings, bootstrap, lane, volatile }
    }

    /// Learn about topics before the first send, as `partitionsFor` does.
    pub fn learn(&mut self, now: Now, topics: &[TopicId], effects: &mut Effects) {
        for topic in topics {
            self.volatile.metadata.add_topic(*topic);
        }
        self.pump(now, effects);
    }

    /// How many partitions a topic has, as of this producer's last refresh: a new one goes unnoticed for up to
    /// `metadata-max-age` (observed row 8). None before the first answer.
    pub fn partition_count(&self, topic: TopicId) -> Option<u16> {
        self.volatile.metadata.partition_count(topic)
    }

    /// Take a record in, or refuse it.
    fn take(&mut self, now: Now, mut send: Waiting, effects: &mut Effects) {
        self.volatile.undecided += 1;
        if u64::from(send.record.bytes) > self.settings.max_request_size.0 {
            return self.decide(send.token, SendOutcome::TooLarge);
        }
        self.volatile.metadata.add_topic(send.partition.topic);
        send.until = now.elapsed + self.settings.max_block;
        self.volatile.waiting.push_back(send);
        self.pump(now, effects);
    }

    /// Do whatever can be done now.
    fn pump(&mut self, now: Now, effects: &mut Effects) {
        self.admit(now, effects);
        self.settle_sequences();
        self.ask_producer_id(now, effects);
        while self.send_round(now, effects) {}
        let own = &mut self.volatile;
        own.metadata.ask_if_wanted(now, Purpose::Metadata, &mut own.network, effects);
    }

    fn heard(&mut self, now: Now, heard: Heard<Purpose>, response: Option<&Response>, effects: &mut Effects) {
        match (heard, response) {
            (Heard::Answer(purpose), Some(response)) => self.answered(now, purpose, response, effects),
            (Heard::Broken(_, lost), _) => {
                // Java asks for metadata after every broken connection.
                self.volatile.metadata.want();
                for purpose in lost {
                    self.lost(now, purpose, effects);
                }
            }
            _ => {}
        }
        self.pump(now, effects);
    }

    fn answered(&mut self, now: Now, purpose: Purpose, response: &Response, effects: &mut Effects) {
        match (purpose, response) {
            (Purpose::Metadata, response) => {
                if self.volatile.metadata.answered(now, response, effects) {
                    self.leaders_changed();
                }
            }
            (Purpose::ProducerId, Response::InitProducerId { error, producer }) => {
                self.take_producer_id(*error, *producer, effects);
            }
            (Purpose::Produce(batches), Response::Produce { partitions, .. }) => {
                self.produced(now, &batches, partitions, effects);
            }
            (purpose, _) => self.lost(now, purpose, effects),
        }
    }

    fn lost(&mut self, now: Now, purpose: Purpose, effects: &mut Effects) {
        match purpose {
            Purpose::Metadata => self.volatile.metadata.failed(now),
            Purpose::ProducerId => self.take_producer_id(ErrorCode::RequestTimedOut, None, effects),
            Purpose::Produce(batches) => self.produce_lost(now, &batches, effects),
        }
    }

    fn ask_producer_id(&mut self, now: Now, effects: &mut Effects) {
        let own = &mut self.volatile;
        let Some(idempotence) = own.idempotence.as_mut().filter(|state| state.needs_id()) else { return };
        let Some(node) = own.network.least_loaded(&own.metadata.nodes()) else { return };
        idempotence.asking = true;
        let request = Request::InitProducerId {
            transaction: None,
            transaction_timeout: self.settings.transaction_timeout,
            current: None,
        };
        own.network.ask(now, node, Purpose::ProducerId, request, effects);
    }

    fn take_producer_id(
        &mut self,
        error: ErrorCode,
        producer: Option<(ProducerId, i16)>,
        effects: &mut Effects,
    ) {
        let Some(idempotence) = &mut self.volatile.idempotence else { return };
        if let (ErrorCode::None, Some(producer)) = (error, producer) {
            idempotence.asking = false;
            idempotence.failures = 0;
            idempotence.producer = Some(producer);
            return;
        }
        // It counts as being asked for until the back-off is over.
        let settings = &self.settings;
        let (least, most) = backoff(settings.retry_backoff, settings.retry_backoff_max, idempotence.failures);
        idempotence.failures += 1;
        effects.set_timer_between(PRODUCER_ID, least, most);
    }

    fn timer(&mut self, now: Now, timer: Timer, effects: &mut Effects) {
        let own = &mut self.volatile;
        if let Some(heard) = own.network.timer(now, timer, effects) {
            return self.heard(now, heard, None, effects);
        }
        if timer == PRODUCER_ID {
            if let Some(idempotence) = &mut own.idempotence {
                idempotence.asking = false;
            }
        } else if timer.name == RETRY {
            self.retry_due(timer.index);
        } else if own.expiry.ran_out(timer) {
            self.expire(now, effects);
        } else if own.block.ran_out(timer) {
            self.refuse_blocked(now, effects);
        } else if !own.metadata.ran_out(timer) {
            own.linger.ran_out(timer);
        }
        self.pump(now, effects);
    }

    fn decide(&mut self, token: u64, outcome: SendOutcome) {
        self.volatile.undecided -= 1;
        self.volatile.outcomes.push_back((token, outcome));
    }
}

impl Producer for KafkaProducer {
    fn start(&mut self, now: Now, incarnation: u32, effects: &mut Effects) {
        self.volatile = Volatile::new(&self.settings, &self.bootstrap, incarnation, self.lane);
        self.pump(now, effects);
    }

    fn step(&mut self, now: Now, input: &Input, effects: &mut Effects) -> bool {
        match input {
            Input::Message { from, message: Message::KafkaResponse(id, response) }
                if self.volatile.network.issued(*id) =>
            {
                let heard = self.volatile.network.answered(*from, *id);
                self.volatile.network.throttle(*from, response.throttle(), effects);
                self.heard(now, heard, Some(response), effects);
                true
            }
            Input::Timer(timer) if timer.name.starts_with("kafka-producer/") => {
                self.timer(now, *timer, effects);
                true
            }
            Input::Disconnected(node) => {
                let heard = self.volatile.network.disconnected(*node, effects);
                let concerned = heard != Heard::Nothing;
                if concerned {
                    self.heard(now, heard, None, effects);
                }
                // Another library of the process may have talked with that node as well.
                false
            }
            _ => false,
        }
    }

    fn send(
        &mut self,
        now: Now,
        token: u64,
        partition: TopicPartition,
        record: Record,
        effects: &mut Effects,
    ) {
        self.take(now, Waiting { token, partition, route: None, record, until: Time::ZERO }, effects);
    }

    fn send_by(&mut self, now: Now, token: u64, route: Route, record: Record, effects: &mut Effects) {
        let partition = route.target(&record, route.at_first);
        self.take(now, Waiting { token, partition, route: Some(route), record, until: Time::ZERO }, effects);
    }

    fn partitions(&self, topic: TopicId) -> Option<u16> {
        self.partition_count(topic)
    }

    fn outcome(&mut self) -> Option<(u64, SendOutcome)> {
        self.volatile.outcomes.pop_front()
    }

    fn in_flight(&self) -> usize {
        self.volatile.undecided
    }
}
