//! A producer application: sends records as its schedule says, one lane a source partition, and looks after each until
//! it is acknowledged or given up.
//!
//! The client is a drop-in: each call of send goes where the switch says at that moment, and so does the call that
//! sends a failed record again. So a record whose old way answered nothing may be in Corgi (and come to Kafka by the
//! mirror) and be sent to Kafka as well: a duplicate, and with a slow mirror an old copy behind newer records. In one
//! source partition no record overtakes another within the application (with `max-outstanding` 1); what the mirror has
//! not copied yet can still be overtaken.
//!
//! Left out: transactions of the application's own database, and the time its send call takes.

mod outbox;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use super::producer_settings::Settings;
use super::subscription::{SUBSCRIBE, Subscription};
use super::topic_shape::TopicShape;
use super::{ProducerLibrary, timer_index};
use crate::client::Route;
use crate::history::Event;
use crate::incident::Incident;
use crate::machine::{Effects, Input, Machine, Now, Process, Timer};
use crate::message::Message;
use crate::mirror::PartitionMap;
use crate::record::{NodeId, Partitioner, Record, TopicId, TopicPartition};
use crate::report::Report;
use crate::small_set::SmallSet;
use crate::switch::{Hold, WriteTo};
use crate::units::{Bytes, Time};
use litemap::LiteMap;
use outbox::{Attempt, Flight, Outbox};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

const NEXT: Timer = Timer::new("application/next", 0);
const RETRY: &str = "application/retry";
const FLUSH: Timer = Timer::new("application/flush", 0);

/// A record of the workload, and when it is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Scheduled {
    /// When, in simulated time.
    pub at: Time,
    /// The record; `created_at` is filled in when it is sent.
    pub record: Record,
}

/// What a producer application is built for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProducerSetup {
    /// The workload, sorted by time.
    pub schedule: Arc<[Scheduled]>,
    /// The topics, by [`crate::record::TopicId`].
    pub topics: Arc<[TopicShape]>,
    /// How Corgi's client chooses the partition.
    pub partitioner: Partitioner,
    /// How the mirror maps source partitions, which the NewClient mimics.
    pub mirror_map: PartitionMap,
    /// The switch centre that the NewClient obeys; none for the OldClient, which writes to Corgi.
    pub switch_centre: Option<NodeId>,
}

/// A producer application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProducerApplication<C, K> {
    settings: Settings,
    setup: ProducerSetup,
    corgi_template: C,
    kafka_template: K,
    durable: Durable,
    volatile: Volatile<C, K>,
}

/// What is in the application's database, and what its callers know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Durable {
    /// How much of the schedule was sent.
    invoked: usize,
    /// The size that the next record has, where it is not the schedule's.
    oversized: Option<Bytes>,
    /// How many source partitions the topics that were widened have, by what Corgi's library said last.
    widened: BTreeMap<TopicId, u16>,
    outbox: Outbox,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Volatile<C, K> {
    corgi: Option<C>,
    kafka: Option<K>,
    subscription: Subscription,
    /// What was said to be obeyed last: where it writes and what it holds.
    obeyed: Option<(WriteTo, Hold)>,
    /// Sends whose outcome is not known yet, by token.
    flights: LiteMap<u64, Flight>,
    last_token: u64,
    /// The records that are on their way and not settled.
    attempts: LiteMap<crate::record::RecordId, Attempt>,
    /// The source partitions that wait before they send a failed record again.
    resting: SmallSet<TopicPartition>,
    stopping: bool,
}

impl<C, K> Default for Volatile<C, K> {
    fn default() -> Volatile<C, K> {
        Volatile {
            corgi: None,
            kafka: None,
            subscription: Subscription::default(),
            obeyed: None,
            flights: LiteMap::new(),
            last_token: 0,
            attempts: LiteMap::new(),
            resting: SmallSet::default(),
            stopping: false,
        }
    }
}

impl<C: ProducerLibrary, K: ProducerLibrary> ProducerApplication<C, K> {
    /// An application that has sent nothing. The libraries were never started: each life of the process begins with
    /// copies of them.
    pub fn new(
        settings: Settings,
        setup: ProducerSetup,
        corgi_template: C,
        kafka_template: K,
    ) -> ProducerApplication<C, K> {
        ProducerApplication {
            settings,
            setup,
            corgi_template,
            kafka_template,
            durable: Durable::default(),
            volatile: Volatile::default(),
        }
    }

    /// Whether the whole schedule was sent and nothing is left to look after.
    pub fn is_done(&self) -> bool {
        self.durable.invoked == self.setup.schedule.len()
            && self.durable.outbox.is_empty()
            && self.volatile.flights.is_empty()
    }

    fn start(&mut self, now: Now, incarnation: u32, effects: &mut Effects) {
        if !self.settings.outbox {
            self.durable.outbox.give_everything_up(effects);
        }
        let corgi = self.volatile.corgi.insert(self.corgi_template.clone());
        corgi.start(now, incarnation, effects);
        match self.setup.switch_centre {
            // The OldClient knows no switches and no Kafka.
            None => self.volatile.subscription.assume_defaults(),
            Some(centre) => {
                let kafka = self.volatile.kafka.insert(self.kafka_template.clone());
                kafka.start(now, incarnation, effects);
                self.volatile.subscription.ask(centre, &self.settings.switches, effects);
                if self.settings.start_without_switches {
                    self.volatile.subscription.assume_defaults();
                }
            }
        }
        self.send_everything_due(now, effects);
        self.invoke(now, now.elapsed, effects);
    }

    /// Call send for what is due by the schedule at `until`, and wake for the next.
    fn invoke(&mut self, now: Now, until: Time, effects: &mut Effects) {
        if self.volatile.stopping {
            return;
        }
        let schedule = Arc::clone(&self.setup.schedule);
        while let Some(next) = schedule.get(self.durable.invoked) {
            if next.at > until {
                effects.set_timer(NEXT, next.at.since(now.elapsed));
                return;
            }
            self.durable.invoked += 1;
            let mut record = Record { created_at: now.wall, copied_from: -1, ..next.record };
            if let Some(bytes) = self.durable.oversized.take() {
                record.bytes = u32::try_from(bytes.0).unwrap_or(u32::MAX);
            }
            record.source = self.source(&record);
            effects.record(Event::Invoked { record });
            self.durable.outbox.add(record);
            self.send_due(now, record.source_partition(), effects);
        }
    }

    /// The source partition of a record that is sent now: its key's, among as many as Corgi's library knows by now (e9). A
    /// record keeps its source partition, however often it is tried again.
    fn source(&mut self, record: &Record) -> u16 {
        let at_first = self.setup.topics[usize::from(record.topic.0)].corgi_partitions;
        let told = self.volatile.corgi.as_ref().and_then(|corgi| corgi.partitions(record.topic));
        let known = self.durable.widened.get(&record.topic).copied();
        let count = told.or(known).unwrap_or(at_first);
        if count != known.unwrap_or(at_first) {
            self.durable.widened.insert(record.topic, count);
        }
        if count == at_first { record.source } else { self.setup.partitioner.partition(&record.key, count) }
    }

    fn send_everything_due(&mut self, now: Now, effects: &mut Effects) {
        for source in self.durable.outbox.sources() {
            self.send_due(now, source, effects);
        }
    }

    /// Other switches than before: say so, and send what they let go.
    fn obey(&mut self, now: Now, effects: &mut Effects) {
        let Some(switches) = self.volatile.subscription.switches() else { return };
        let obeyed = (switches.write, switches.hold.clone());
        if self.volatile.obeyed.as_ref() == Some(&obeyed) {
            return;
        }
        let (to, hold) = obeyed.clone();
        self.volatile.obeyed = Some(obeyed);
        effects.record(Event::Writing { to, hold });
        self.send_everything_due(now, effects);
    }

    fn library_step(&mut self, now: Now, input: &Input, effects: &mut Effects) {
        let volatile = &mut self.volatile;
        let to_all = matches!(input, Input::Disconnected(_));
        let taken = volatile.corgi.as_mut().is_some_and(|corgi| corgi.step(now, input, effects));
        if to_all || !taken {
            volatile.kafka.as_mut().map(|kafka| kafka.step(now, input, effects));
        }
    }

    /// Take what the libraries have to say until they have nothing more: settling a record may send the next.
    fn take_outcomes(&mut self, now: Now, effects: &mut Effects) {
        loop {
            let corgi = self.volatile.corgi.as_mut().and_then(|corgi| corgi.outcome());
            let outcome = corgi.or_else(|| self.volatile.kafka.as_mut().and_then(|kafka| kafka.outcome()));
            let Some((token, outcome)) = outcome else { return };
            if let Some(flight) = self.volatile.flights.remove(&token) {
                self.landed(now, flight, outcome, effects);
            }
        }
    }

    /// How the partition of a record in Kafka is chosen, by as many as Kafka's library knows of.
    fn route(&self, record: &Record) -> Route {
        Route {
            map: self.settings.selector.map(self.setup.mirror_map),
            source: record.source_partition(),
            // The mirror's batches are its own: where it scatters, nothing mimics it.
            counter: u64::from(record.id.sequence),
            at_first: self.setup.topics[usize::from(record.topic.0)].kafka_partitions,
        }
    }

    fn report(&self) -> Report {
        let (write, hold) = match self.volatile.subscription.switches() {
            Some(switches) => (switches.write, switches.hold.clone()),
            None => (WriteTo::default(), Hold::Nothing),
        };
        let in_flight = |source: &TopicPartition| !hold.covers(*source);
        let covered =
            self.volatile.flights.values().any(|flight| hold.covers(flight.record.source_partition()));
        let resting = self.volatile.resting.iter().filter(in_flight).count();
        Report::Producer {
            switch_version: self.volatile.subscription.version(),
            write,
            held: hold != Hold::Nothing && !covered,
            in_flight: u32::try_from(self.volatile.flights.len() + resting).unwrap_or(u32::MAX),
        }
    }

    fn stop(&mut self, effects: &mut Effects) {
        if !self.volatile.stopping {
            self.volatile.stopping = true;
            effects.cancel_timer(NEXT);
            effects.set_timer(FLUSH, self.settings.flush_timeout);
        }
    }

    fn exit_if_flushed(&self, effects: &mut Effects) {
        let is_flushed = || self.durable.outbox.is_empty() && self.volatile.flights.is_empty();
        if self.volatile.stopping && is_flushed() {
            effects.processes.push(Process::Exit);
        }
    }
}

impl<C: ProducerLibrary, K: ProducerLibrary> Machine for ProducerApplication<C, K> {
    fn step(&mut self, now: Now, input: Input, effects: &mut Effects) {
        match input {
            Input::Start { incarnation } => self.start(now, incarnation, effects),
            Input::Timer(NEXT) => self.invoke(now, now.elapsed, effects),
            // The callers come early, all at once.
            Input::Incident(Incident::Burst { ahead }) => self.invoke(now, now.elapsed + ahead, effects),
            Input::Incident(Incident::Oversized { bytes }) => self.durable.oversized = Some(bytes),
            Input::Incident(_) | Input::Placed(_) | Input::Unreachable(_) => {}
            Input::Timer(Timer { name: RETRY, index }) => {
                let source = self.volatile.resting.iter().find(|source| timer_index(*source) == index);
                if let Some(source) = source {
                    self.volatile.resting.remove(source);
                    self.send_due(now, source, effects);
                }
            }
            Input::Timer(FLUSH) => effects.processes.push(Process::Exit),
            Input::Timer(SUBSCRIBE) => {
                if let Some(centre) = self.setup.switch_centre {
                    self.volatile.subscription.ask(centre, &self.settings.switches, effects);
                }
            }
            Input::Message { from, message: Message::Switch(message) } => {
                if self.setup.switch_centre == Some(from) {
                    self.volatile.subscription.hear(from, *message, effects);
                    self.obey(now, effects);
                }
            }
            Input::Message { from, message: Message::ReportRequest(id) } => {
                effects.send(from, Message::Report(id, Box::new(self.report())));
                return;
            }
            Input::Terminate => self.stop(effects),
            _ => {
                if self.setup.switch_centre.is_some_and(|centre| input == Input::Disconnected(centre)) {
                    self.volatile.subscription.lose(&self.settings.switches, effects);
                }
                self.library_step(now, &input, effects);
            }
        }
        self.take_outcomes(now, effects);
        self.exit_if_flushed(effects);
    }

    fn crash(&mut self) {
        self.volatile = Volatile::default();
    }

    fn lose(&mut self, _now: Now, _loss: crate::incident::DiskLoss) {}

    /// Who has sent all that he ever sends can neither hurry nor send something too large.
    fn heeds(&self, incident: &Incident) -> bool {
        match incident {
            Incident::Burst { .. } | Incident::Oversized { .. } => {
                self.durable.invoked < self.setup.schedule.len()
            }
            _ => true,
        }
    }
}
