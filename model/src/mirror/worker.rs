//! One process of a mirror: it receives from one queue, routes, produces to the other and commits the source offset. The
//! mirror reads Corgi and writes Kafka, the reverse mirror reads Kafka and writes Corgi.
//!
//! Nothing of it survives a crash: it joins anew and begins at the committed offsets, so that what was copied and not
//! committed comes again (mirror 2a, 10a). It fences nobody by itself: after a pause it writes on what it has until the
//! lease library tells it that its partitions are lost (mirror 6b, 6c, 10d).

mod holding;
mod outcomes;
#[cfg(test)]
mod tests;

use super::ledger::{Ledger, Transfer};
use super::settings::{Commit, Settings};
use super::transaction::Transactions;
use crate::client::{Consumer, Producer, Received, Route};
use crate::deployment;
use crate::machine::{Effects, Input, Machine, Now, Process, Timer};
use crate::message::Message;
use crate::record::{GroupId, NodeId, Queue, Record, TopicId, TopicPartition};
use crate::report::Report;
use crate::units::Span;
use holding::Leaving;
use litemap::LiteMap;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Debug;

const COMMIT: Timer = Timer::new("mirror/commit", 0);
const RETRY: Timer = Timer::new("mirror/retry", 0);

/// A topic that is mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct MirroredTopic {
    /// Which; it has the same id in both queues.
    pub topic: TopicId,
    /// How many partitions it has in the queue that is written when everything begins, at least 1.
    pub target_partitions: u16,
}

/// Which way a worker copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Direction {
    /// From Corgi into Kafka: the mirror.
    #[default]
    IntoKafka,
    /// From Kafka back into Corgi: the reverse mirror.
    BackIntoCorgi,
}

impl Direction {
    /// The queue that is read.
    pub(super) fn source(self) -> Queue {
        match self {
            Direction::IntoKafka => Queue::Corgi,
            Direction::BackIntoCorgi => Queue::Kafka,
        }
    }
}

/// What a worker is connected with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wiring {
    /// Which of the workers this is, from 0.
    pub worker: u16,
    /// Who started it and is told when it is ready and when it exits.
    pub deployment: NodeId,
    /// Kafka's brokers.
    pub brokers: Vec<NodeId>,
    /// The mirror's own group, in which the workers share the source's partitions.
    pub group: GroupId,
    /// What is mirrored.
    pub topics: Vec<MirroredTopic>,
    /// Which way.
    pub direction: Direction,
    /// Whether what another mirror brought into the source, as the copy's header says, is left alone. Without it two mirrors in
    /// both directions copy each record round and round (mirror 16, apache/kafka#10652).
    pub leaves_copies: bool,
}

/// A worker of the mirror, with the libraries that read the one queue and write the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Worker<C, P> {
    settings: Settings,
    wiring: Wiring,
    /// The libraries as they are before they start.
    consumer: C,
    producer: P,
    /// Everything else; none while the process does not run.
    volatile: Option<Volatile<C, P>>,
}

/// One life of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Volatile<C, P> {
    consumer: C,
    producer: P,
    ledger: Ledger,
    /// How many records of each topic were routed, for the scattered map.
    routed: LiteMap<TopicId, u64>,
    /// The partition that was received from last, while some are blocked.
    received_from: TopicPartition,
    commit_timer_set: bool,
    retry_timer_set: bool,
    /// Partitions that are to be given back in good order.
    revocation: Option<BTreeSet<TopicPartition>>,
    /// The worker is to leave the group, to exit or to join anew.
    leaving: Option<Leaving>,
    /// The atomic mode's, instead of the producer.
    transactions: Option<Transactions>,
    /// In the atomic mode: partitions that are not taken over yet, from which nothing is received.
    adopting: BTreeSet<TopicPartition>,
    /// The process's life, and how often it has joined the group anew in it.
    incarnation: u32,
    rejoins: u32,
}

impl<C: Consumer, P> Volatile<C, P> {
    fn start_consumer(&mut self, now: Now, incarnation: u32, effects: &mut Effects) {
        self.consumer.start(now, incarnation, effects);
        // In the atomic mode the position in the target counts; the source's is for those who look at the source alone.
        if self.transactions.is_none() {
            self.consumer.report_commits();
        }
    }
}

impl<C: Consumer + Clone, P: Producer + Clone> Worker<C, P> {
    /// A worker that is not started. `consumer` and `producer` are its libraries as they are before they start; each life
    /// of the process begins with clones of them.
    pub fn new(settings: Settings, wiring: Wiring, consumer: C, producer: P) -> Worker<C, P> {
        Worker { settings, wiring, consumer, producer, volatile: None }
    }

    fn start(&mut self, now: Now, incarnation: u32, effects: &mut Effects) {
        let atomic = self.settings.commit == Commit::Atomic;
        let transactions = || Transactions::new(&self.settings, &self.wiring, incarnation);
        let mut volatile = Volatile {
            consumer: self.consumer.clone(),
            producer: self.producer.clone(),
            ledger: Ledger::default(),
            routed: LiteMap::new(),
            received_from: TopicPartition::default(),
            commit_timer_set: false,
            retry_timer_set: false,
            revocation: None,
            leaving: None,
            transactions: atomic.then(transactions),
            adopting: BTreeSet::new(),
            incarnation,
            rejoins: 0,
        };
        // The atomic mode has transactional producers of its own.
        if !atomic {
            volatile.producer.start(now, incarnation, effects);
        }
        volatile.start_consumer(now, incarnation, effects);
        self.volatile = Some(volatile);
        effects.send(self.wiring.deployment, Message::Deployment(Box::new(deployment::Message::Ready)));
    }
}

impl<C, P> Machine for Worker<C, P>
where
    C: Consumer + Clone + Debug + Eq + Serialize,
    P: Producer + Clone + Debug + Eq + Serialize,
{
    fn step(&mut self, now: Now, input: Input, effects: &mut Effects) {
        if let Input::Start { incarnation } = input {
            self.start(now, incarnation, effects);
        }
        let Some(volatile) = &mut self.volatile else {
            return;
        };
        let (settings, wiring, template) = (&self.settings, &self.wiring, &self.consumer);
        let mut turn = Turn { settings, wiring, template, now, effects, exits: false, worker: volatile };
        turn.catch_up();
        turn.take(input);
        turn.go_on();
        while !turn.exits && turn.run_transactions() {
            turn.go_on();
        }
        if turn.exits {
            effects.processes.push(Process::Exit);
            self.volatile = None;
        }
    }

    fn crash(&mut self) {
        self.volatile = None;
    }

    fn lose(&mut self, _now: Now, _loss: crate::incident::DiskLoss) {}
}

/// One step of a worker that runs.
struct Turn<'a, C, P> {
    settings: &'a Settings,
    wiring: &'a Wiring,
    /// The consumer as it is before it starts.
    template: &'a C,
    now: Now,
    effects: &'a mut Effects,
    /// The process ends with this step.
    exits: bool,
    worker: &'a mut Volatile<C, P>,
}

impl<C: Consumer + Clone, P: Producer> Turn<'_, C, P> {
    /// A process that stood still has a producer that sends at once what it was about to, before the worker hears from its queue
    /// that its partitions are lost.
    fn catch_up(&mut self) {
        if let Some(transactions) = &mut self.worker.transactions {
            transactions.catch_up(self.now.elapsed, self.effects);
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Message { from, message: Message::ReportRequest(id) } => {
                let report = Box::new(self.report());
                self.effects.send(from, Message::Report(id, report));
            }
            Input::Terminate => self.leave_for_good(),
            Input::Timer(COMMIT) => {
                self.worker.commit_timer_set = false;
                self.commit();
            }
            Input::Timer(RETRY) => self.send_again(),
            Input::Disconnected(_) => {
                self.worker.consumer.step(self.now, &input, self.effects);
                self.step_producer(&input);
            }
            _ => {
                if !self.worker.consumer.step(self.now, &input, self.effects) {
                    self.step_producer(&input);
                }
            }
        }
    }

    fn step_producer(&mut self, input: &Input) {
        match &mut self.worker.transactions {
            Some(transactions) => transactions.take(self.now.elapsed, input),
            None => self.worker.producer.step(self.now, input, self.effects),
        };
    }

    /// Everything that the input may have made possible.
    fn go_on(&mut self) {
        self.take_assigned();
        self.take_notices();
        self.take_outcomes();
        while self.may_receive()
            && let Some(received) = self.receive()
        {
            self.pass_on(received);
            self.take_outcomes();
        }
        self.end_full_transactions();
        self.take_assigned();
        self.note_commits();
        if !self.exits {
            self.settle_revocation();
            self.settle_leaving();
        }
    }

    /// Returns whether the transactions have something to say.
    fn run_transactions(&mut self) -> bool {
        let Some(transactions) = &mut self.worker.transactions else {
            return false;
        };
        transactions.run(self.now.elapsed, self.effects);
        transactions.has_notice()
    }

    /// A rebalance, or an exit, in good order lets nothing new in while it waits for what is in flight.
    fn may_receive(&self) -> bool {
        let worker = &self.worker;
        !self.exits
            && worker.revocation.is_none()
            && worker.leaving.is_none()
            && worker.ledger.unacknowledged() < self.settings.most_unacknowledged()
    }

    /// A transaction that may take no more is ended at once, as a poll's is in MirrorMaker 2.
    fn end_full_transactions(&mut self) {
        let is_full = self.worker.ledger.unacknowledged() >= self.settings.most_unacknowledged();
        if let Some(transactions) = self.worker.transactions.as_mut().filter(|_| is_full) {
            transactions.finish();
        }
    }

    fn receive(&mut self) -> Option<Received> {
        let worker = &mut *self.worker;
        if !worker.ledger.any_blocked() && worker.adopting.is_empty() {
            return worker.consumer.receive(self.now, self.effects);
        }
        let is_free = |partition: &TopicPartition| {
            !worker.ledger.is_blocked(*partition) && !worker.adopting.contains(partition)
        };
        let free: Vec<TopicPartition> = worker.ledger.held().filter(is_free).collect();
        let after = free.partition_point(|partition| *partition <= worker.received_from);
        let order = free[after..].iter().chain(&free[..after]);
        for partition in order {
            let received = worker.consumer.receive_from(self.now, *partition, self.effects);
            if received.is_some() {
                worker.received_from = *partition;
                return received;
            }
        }
        None
    }

    fn pass_on(&mut self, received: Received) {
        let Received { partition: source, offset, .. } = received;
        if !self.worker.ledger.holds(source) {
            return;
        }
        if self.wiring.leaves_copies && is_copy(&received.record) {
            self.worker.ledger.received(source, offset);
            self.worker.ledger.done(source, offset);
            self.set_commit_timer();
            return;
        }
        let transfer = self.route(&received);
        self.worker.ledger.received(source, offset);
        if self.settings.commit == Commit::BeforeAcknowledgement {
            self.set_commit_timer();
        }
        self.send(transfer);
    }

    /// The copy of a record, and where it goes.
    fn route(&mut self, received: &Received) -> Transfer {
        let (source, mut record) = (received.partition, received.record);
        let mirrored = self.wiring.topics.iter().find(|mirrored| mirrored.topic == source.topic);
        let count =
            mirrored.expect("the mirror subscribes to the topics that it mirrors alone").target_partitions;
        let routed = self.worker.routed.entry(source.topic).or_default();
        let batch = *routed / u64::from(self.settings.scatter_after.max(1));
        *routed += 1;
        let route = Route { map: self.settings.partition_map, source, counter: batch, at_first: count };
        record.copied_from = received.offset;
        if self.wiring.direction == Direction::BackIntoCorgi {
            // Kafka has no place for a delay: what comes out of it is due.
            record.delay = Span::ZERO;
        }
        if !self.settings.carry_create_time {
            record.created_at = self.now.wall;
        }
        Transfer { source, source_offset: received.offset, route, record }
    }

    fn send(&mut self, transfer: Transfer) {
        let token = self.worker.ledger.sent(transfer);
        match &mut self.worker.transactions {
            Some(transactions) => transactions.send(token, transfer),
            None => {
                self.worker.producer.send_by(self.now, token, transfer.route, transfer.record, self.effects)
            }
        }
    }

    fn report(&self) -> Report {
        let progress = self.worker.ledger.progress();
        Report::Mirror {
            copied: progress.iter().map(|(partition, (copied, _))| (*partition, *copied)).collect(),
            source_ends: progress.iter().map(|(partition, (_, end))| (*partition, *end)).collect(),
            held: self.worker.ledger.held().collect(),
        }
    }
}

/// Whether a mirror brought it: each marks its copies by a header that names where they come from.
fn is_copy(record: &Record) -> bool {
    record.copied_from >= 0
}

#[cfg(test)]
impl<C, P> Worker<C, P> {
    /// The running consumer.
    pub(super) fn corgi_in_test(&mut self) -> &mut C {
        &mut self.volatile.as_mut().expect("a test looks at a worker that runs").consumer
    }

    /// The running transactions.
    pub(super) fn transactions_in_test(&self) -> &Transactions {
        let volatile = self.volatile.as_ref().expect("a test looks at a worker that runs");
        volatile.transactions.as_ref().expect("a test looks at the atomic mode")
    }
}
