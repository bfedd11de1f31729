//! A consumer application: one instance of a group, around the OldClient (Corgi alone) or the NewClient (either queue,
//! by the switches; pause).
//!
//! An ordered group has one worker for each partition, which takes the next record when the former is processed; an
//! unordered group has a pool. A record whose partition was lost meanwhile is processed to its end all the same: its
//! effect is there, whoever owns the partition by then.
//!
//! Left out: processing that fails, and retry topics.

mod assignment;
mod lifecycle;
#[cfg(test)]
mod properties;
mod rewinding;
#[cfg(test)]
mod tests;
mod work;

use super::ConsumerLibrary;
use super::consumer_settings::Settings;
use super::subscription::{SUBSCRIBE, Subscription};
use crate::client::Consumer;
use crate::machine::{Effects, Input, Machine, Now, Timer};
use crate::message::Message;
use crate::record::{GroupId, NodeId, Queue, TopicPartition};
use crate::report::Report;
use lifecycle::Stage;
use litemap::LiteMap;
use rewinding::{REGISTER, Rewinds};
use serde::Serialize;
use std::collections::BTreeSet;
use work::{Task, Track};

const PROCESS: &str = "application/process";
const COMMIT: Timer = Timer::new("application/commit", 0);
const CLOSE: Timer = Timer::new("application/close", 0);
const STOP: Timer = Timer::new("application/stop", 0);

/// What a consumer application is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ConsumerSetup {
    /// Its group.
    pub group: GroupId,
    /// Whether the group needs order.
    pub ordered: bool,
    /// The switch centre that the NewClient obeys; none for the OldClient, which reads from Corgi.
    pub switch_centre: Option<NodeId>,
    /// The deployment that started it.
    pub deployment: NodeId,
    /// Where the NewClient says how it can be reached; none for the OldClient, and where there is no Redis.
    pub registry: Option<Registry>,
}

/// Where an instance says how it can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Registry {
    /// Redis.
    pub redis: NodeId,
    /// The instance's own node.
    pub node: NodeId,
}

/// A consumer application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsumerApplication<C, K> {
    settings: Settings,
    setup: ConsumerSetup,
    corgi_template: C,
    kafka_template: K,
    durable: Durable,
    volatile: Volatile<C, K>,
}

/// What is in the application's database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Durable {
    /// How often a record was processed.
    effects_count: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Volatile<C, K> {
    incarnation: u32,
    /// Counts the libraries that this process has started.
    libraries_started: u32,
    stage: Stage,
    /// The library that it opened for the queue that it reads from, or leaves.
    opened: Option<Library<C, K>>,
    subscription: Subscription,
    /// Whether the pause was last set, or lifted.
    obeyed_pause: bool,
    /// Whether it was said to be paused.
    said_paused: bool,
    /// Which of the library's assignments was the first that gave it partitions.
    first_assignment: Option<u64>,
    /// Whether it was asked to stop; it may go on for a while.
    is_asked_to_stop: bool,
    /// Whether it hands nothing more out, and exits when it has finished.
    stopping: bool,
    /// The partitions that it was assigned and that were not taken away.
    tracks: LiteMap<TopicPartition, Track>,
    /// What was taken away in good order and is not released yet.
    revoked: BTreeSet<TopicPartition>,
    /// The records in process, by worker.
    tasks: LiteMap<u64, Task>,
    /// Whether the commit timer runs for something new, rather than for a repetition.
    commit_due: bool,
    rewinds: Rewinds,
}

/// A started library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
enum Library<C, K> {
    Corgi(C),
    Kafka(K),
}

impl<C: Consumer, K: Consumer> Library<C, K> {
    fn queue(&self) -> Queue {
        match self {
            Library::Corgi(_) => Queue::Corgi,
            Library::Kafka(_) => Queue::Kafka,
        }
    }

    fn consumer(&mut self) -> &mut dyn Consumer {
        match self {
            Library::Corgi(corgi) => corgi,
            Library::Kafka(kafka) => kafka,
        }
    }

    fn is_quiet(&self) -> bool {
        match self {
            Library::Corgi(corgi) => corgi.is_quiet(),
            Library::Kafka(kafka) => kafka.is_quiet(),
        }
    }
}

impl<C, K> Default for Volatile<C, K> {
    fn default() -> Volatile<C, K> {
        Volatile {
            incarnation: 0,
            libraries_started: 0,
            stage: Stage::Waiting,
            opened: None,
            subscription: Subscription::default(),
            obeyed_pause: false,
            said_paused: false,
            first_assignment: None,
            is_asked_to_stop: false,
            stopping: false,
            tracks: LiteMap::new(),
            revoked: BTreeSet::new(),
            tasks: LiteMap::new(),
            commit_due: false,
            rewinds: Rewinds::default(),
        }
    }
}

impl<C: ConsumerLibrary, K: ConsumerLibrary> ConsumerApplication<C, K> {
    /// An instance that never ran. The libraries were never started: each that it starts is a copy of them.
    pub fn new(
        settings: Settings,
        setup: ConsumerSetup,
        corgi_template: C,
        kafka_template: K,
    ) -> ConsumerApplication<C, K> {
        ConsumerApplication {
            settings,
            setup,
            corgi_template,
            kafka_template,
            durable: Durable::default(),
            volatile: Volatile::default(),
        }
    }

    /// Whether the switches have its group paused.
    fn is_to_pause(&self) -> bool {
        self.volatile.subscription.switches().is_some_and(|switches| switches.pauses(self.setup.group))
    }

    /// From where the switches have it read.
    fn is_to_read(&self) -> Queue {
        self.volatile
            .subscription
            .switches()
            .map_or(Queue::Corgi, |switches| switches.reads_from(self.setup.group))
    }

    fn report(&self) -> Report {
        let reading = self.volatile.opened.as_ref().map_or(self.is_to_read(), Library::queue);
        Report::Consumer {
            group: self.setup.group,
            new_client: self.setup.switch_centre.is_some(),
            switch_version: self.volatile.subscription.version(),
            reading,
            paused: self.is_to_pause() && self.volatile.tasks.is_empty(),
            assigned: u32::try_from(self.volatile.tracks.len()).unwrap_or(u32::MAX),
        }
    }

    fn hand_to_library(&mut self, now: Now, input: &Input, effects: &mut Effects) {
        if let Some(library) = &mut self.volatile.opened {
            library.consumer().step(now, input, effects);
        }
    }
}

impl<C: ConsumerLibrary, K: ConsumerLibrary> Machine for ConsumerApplication<C, K> {
    fn step(&mut self, now: Now, input: Input, effects: &mut Effects) {
        match input {
            Input::Start { incarnation } => self.start(now, incarnation, effects),
            Input::Terminate => self.asked_to_stop(effects),
            Input::Timer(STOP) => self.volatile.stopping = true,
            Input::Timer(Timer { name: PROCESS, index }) => self.processed(now, index, effects),
            Input::Timer(COMMIT) => self.commit_or_repeat(now, effects),
            Input::Timer(CLOSE) => self.close_library(now, effects),
            Input::Timer(SUBSCRIBE) => self.subscribe(effects),
            Input::Timer(REGISTER) => self.register(effects),
            Input::Placed(address) => {
                self.volatile.rewinds.placed(address);
                return;
            }
            Input::Message { message: Message::Redis(_), .. } => return,
            Input::Message { from, message: Message::Rewind(message) } => {
                self.take_command(now, from, *message, effects);
            }
            Input::Message { from, message: Message::Switch(message) } => {
                if self.setup.switch_centre == Some(from) {
                    self.volatile.subscription.hear(from, *message, effects);
                    self.obey_pause(now, effects);
                }
            }
            Input::Message { from, message: Message::ReportRequest(id) } => {
                effects.send(from, Message::Report(id, Box::new(self.report())));
                if from == self.setup.deployment {
                    self.say_ready(effects);
                }
                return;
            }
            _ => {
                if self.setup.switch_centre.is_some_and(|centre| input == Input::Disconnected(centre)) {
                    self.volatile.subscription.lose(&self.settings.switches, effects);
                }
                self.hand_to_library(now, &input, effects);
                self.answer_commands(effects);
            }
        }
        self.go_on(now, effects);
    }

    fn crash(&mut self) {
        self.volatile = Volatile::default();
    }

    fn lose(&mut self, _now: Now, _loss: crate::incident::DiskLoss) {}
}
