//! One process of the mirror: it receives from Corgi, routes, produces to Kafka and commits the source offset.
//!
//! Nothing of it survives a crash: it joins anew and begins at the committed offsets, so that what was copied and not
//! committed comes again (mirror 2a, 10a). It fences nobody by itself: after a pause it writes on what it has until the
//! lease library tells it that its partitions are lost (mirror 6b, 6c, 10d).

use super::ledger::{Ledger, Transfer};
use super::settings::{Commit, OnFailure, Settings};
use crate::client::{Assigned, Consumer, Producer, Received, SendOutcome};
use crate::deployment;
use crate::history::Event;
use crate::machine::{Effects, Input, Machine, Now, Process, Timer};
use crate::message::Message;
use crate::record::{GroupId, NodeId, Offset, Queue, TopicId, TopicPartition};
use crate::report::Report;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

const COMMIT: Timer = Timer::new("mirror/commit", 0);
const RETRY: Timer = Timer::new("mirror/retry", 0);

/// A topic that is mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct MirroredTopic {
    /// Which; it has the same id in both queues.
    pub topic: TopicId,
    /// How many partitions it has in Kafka, at least 1.
    pub target_partitions: u16,
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
    /// The mirror's own group, in which the workers share Corgi's partitions.
    pub group: GroupId,
    /// What is mirrored.
    pub topics: Vec<MirroredTopic>,
}

/// A worker of the mirror, with its Corgi consumer and its Kafka producer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Worker<C, P> {
    settings: Settings,
    wiring: Wiring,
    /// The libraries as they are before they start.
    corgi: C,
    kafka: P,
    /// Everything else; none while the process does not run.
    volatile: Option<Volatile<C, P>>,
}

/// One life of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Volatile<C, P> {
    corgi: C,
    kafka: P,
    ledger: Ledger,
    /// How many records of each topic were routed, for the scattered map.
    routed: BTreeMap<TopicId, u64>,
    /// The partition that was received from last, while some are blocked.
    received_from: TopicPartition,
    /// Commits that were issued and are not known to be through.
    committing: BTreeMap<TopicPartition, Offset>,
    commit_timer_set: bool,
    retry_timer_set: bool,
    /// Partitions that are to be given back in good order.
    revocation: Option<Giving>,
    /// The process was asked to stop.
    stopping: Option<Giving>,
}

/// Partitions on their way back: first the flush, then the commit, then they are released.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Giving {
    partitions: BTreeSet<TopicPartition>,
    committed: bool,
}

impl<C: Consumer + Clone, P: Producer + Clone> Worker<C, P> {
    /// A worker that is not started. `corgi` and `kafka` are its libraries as they are before they start; each life of
    /// the process begins with clones of them.
    pub fn new(settings: Settings, wiring: Wiring, corgi: C, kafka: P) -> Worker<C, P> {
        Worker { settings, wiring, corgi, kafka, volatile: None }
    }

    fn start(&mut self, now: Now, incarnation: u32, effects: &mut Effects) {
        let mut volatile = Volatile {
            corgi: self.corgi.clone(),
            kafka: self.kafka.clone(),
            ledger: Ledger::default(),
            routed: BTreeMap::new(),
            received_from: TopicPartition::default(),
            committing: BTreeMap::new(),
            commit_timer_set: false,
            retry_timer_set: false,
            revocation: None,
            stopping: None,
        };
        volatile.kafka.start(now, incarnation, effects);
        volatile.corgi.start(now, incarnation, effects);
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
        let (settings, wiring) = (&self.settings, &self.wiring);
        let mut turn = Turn { settings, wiring, now, effects, exits: false, worker: volatile };
        turn.take(input);
        turn.go_on();
        if turn.exits {
            effects.processes.push(Process::Exit);
            self.volatile = None;
        }
    }

    fn crash(&mut self) {
        self.volatile = None;
    }
}

/// One step of a worker that runs.
struct Turn<'a, C, P> {
    settings: &'a Settings,
    wiring: &'a Wiring,
    now: Now,
    effects: &'a mut Effects,
    /// The process ends with this step.
    exits: bool,
    worker: &'a mut Volatile<C, P>,
}

impl<C: Consumer, P: Producer> Turn<'_, C, P> {
    fn take(&mut self, input: Input) {
        match input {
            Input::Message { from, message: Message::ReportRequest(id) } => {
                let report = Box::new(self.report());
                self.effects.send(from, Message::Report(id, report));
            }
            Input::Terminate => {
                self.worker.stopping.get_or_insert_default();
            }
            Input::Timer(COMMIT) => {
                self.worker.commit_timer_set = false;
                self.commit();
            }
            Input::Timer(RETRY) => self.send_again(),
            Input::Disconnected(_) => {
                self.worker.corgi.step(self.now, &input, self.effects);
                self.worker.kafka.step(self.now, &input, self.effects);
            }
            other => {
                let taken = self.worker.corgi.step(self.now, &other, self.effects);
                if !taken {
                    self.worker.kafka.step(self.now, &other, self.effects);
                }
            }
        }
    }

    /// Everything that the input may have made possible.
    fn go_on(&mut self) {
        self.take_assigned();
        self.take_outcomes();
        while self.may_receive()
            && let Some(received) = self.receive()
        {
            self.pass_on(received);
            self.take_outcomes();
        }
        self.take_assigned();
        self.note_commits();
        if !self.exits {
            self.settle_revocation();
            self.settle_stop();
        }
    }

    fn take_assigned(&mut self) {
        while let Some(assigned) = self.worker.corgi.assigned() {
            match assigned {
                Assigned::Granted(granted) => self.granted(&granted),
                Assigned::Revoked(partitions) => {
                    self.worker.revocation.get_or_insert_default().partitions.extend(partitions);
                }
                Assigned::Lost(partitions) => self.lost(partitions),
            }
        }
    }

    fn granted(&mut self, granted: &[(TopicPartition, Offset)]) {
        for (partition, start) in granted {
            self.worker.ledger.grant(*partition, *start);
        }
        let partitions = granted.iter().map(|(partition, _)| *partition).collect();
        self.effects.record(Event::Granted { group: self.wiring.group, queue: Queue::Corgi, partitions });
    }

    /// Somebody else may copy these already: nothing of them is committed or sent again. What the producer has been
    /// given lands (mirror 6b, 6c).
    fn lost(&mut self, partitions: Vec<TopicPartition>) {
        for partition in &partitions {
            self.worker.committing.remove(partition);
            if let Some(revocation) = &mut self.worker.revocation {
                revocation.partitions.remove(partition);
            }
        }
        self.leave(partitions, false);
    }

    fn leave(&mut self, partitions: Vec<TopicPartition>, orderly: bool) {
        for partition in &partitions {
            self.worker.ledger.leave(*partition);
        }
        let (group, queue) = (self.wiring.group, Queue::Corgi);
        self.effects.record(Event::Revoked { group, queue, partitions, orderly });
    }

    /// A rebalance, or an exit, in good order lets nothing new in while it waits for what is in flight.
    fn may_receive(&self) -> bool {
        let worker = &self.worker;
        !self.exits
            && worker.revocation.is_none()
            && worker.stopping.is_none()
            && worker.ledger.unacknowledged() < self.settings.in_flight as usize
    }

    fn receive(&mut self) -> Option<Received> {
        let worker = &mut *self.worker;
        if !worker.ledger.any_blocked() {
            return worker.corgi.receive(self.now, self.effects);
        }
        let free: Vec<TopicPartition> =
            worker.ledger.held().filter(|partition| !worker.ledger.is_blocked(*partition)).collect();
        let after = free.partition_point(|partition| *partition <= worker.received_from);
        let order = free[after..].iter().chain(&free[..after]);
        for partition in order {
            let received = worker.corgi.receive_from(self.now, *partition, self.effects);
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
        let partition = self.settings.partition_map.target(&record, source, count, batch);
        record.copied_from = received.offset;
        if !self.settings.carry_create_time {
            record.created_at = self.now.wall;
        }
        let target = TopicPartition { topic: source.topic, partition };
        Transfer { source, source_offset: received.offset, target, record }
    }

    fn send(&mut self, transfer: Transfer) {
        let token = self.worker.ledger.sent(transfer);
        self.worker.kafka.send(self.now, token, transfer.target, transfer.record, self.effects);
    }

    fn take_outcomes(&mut self) {
        while !self.exits
            && let Some((token, outcome)) = self.worker.kafka.outcome()
        {
            let Some((transfer, counts)) = self.worker.ledger.settled(token) else {
                continue;
            };
            match outcome {
                SendOutcome::Acknowledged(target, offset) => {
                    self.acknowledged(&transfer, counts, target, offset)
                }
                SendOutcome::Refused | SendOutcome::Indeterminate => self.given_up(transfer, counts),
            }
        }
    }

    fn acknowledged(
        &mut self,
        transfer: &Transfer,
        counts: bool,
        target: TopicPartition,
        target_offset: Offset,
    ) {
        let Transfer { source, source_offset, record, .. } = *transfer;
        self.effects.record(Event::Copied {
            record: record.id,
            source,
            source_offset,
            target,
            target_offset,
        });
        if counts {
            self.worker.ledger.done(source, source_offset);
            self.set_commit_timer();
        }
    }

    /// The producer gave a record up. An indeterminate one may be in the log all the same (mirror 3c).
    fn given_up(&mut self, transfer: Transfer, counts: bool) {
        let Transfer { source, source_offset, record, .. } = transfer;
        match self.settings.on_failure {
            OnFailure::Stop => self.exits = true,
            OnFailure::Skip => {
                self.effects.record(Event::Skipped { record: record.id, source, source_offset });
                if counts {
                    self.worker.ledger.done(source, source_offset);
                    self.set_commit_timer();
                }
            }
            OnFailure::Retry if counts => {
                self.worker.ledger.failed(transfer);
                self.set_retry_timer();
            }
            // The new owner copies it: a retry belongs to the worker, which has dropped the partition.
            OnFailure::Retry => {}
        }
    }

    /// In order: a partition's failed records go again when the producer has nothing more of that partition.
    fn send_again(&mut self) {
        self.worker.retry_timer_set = false;
        for transfer in self.worker.ledger.take_failed() {
            self.send(transfer);
        }
        if self.worker.ledger.any_blocked() {
            self.set_retry_timer();
        }
    }

    fn set_retry_timer(&mut self) {
        if !self.worker.retry_timer_set {
            self.worker.retry_timer_set = true;
            self.effects.set_timer(RETRY, self.settings.retry_after);
        }
    }

    /// The interval runs from the first position that is not committed; a worker with nothing to commit sleeps.
    fn set_commit_timer(&mut self) {
        if !self.worker.commit_timer_set {
            self.worker.commit_timer_set = true;
            self.effects.set_timer(COMMIT, self.settings.commit_interval);
        }
    }

    fn commit(&mut self) {
        let acknowledged_alone = self.settings.commit != Commit::BeforeAcknowledgement;
        let positions = self.worker.ledger.take_positions(acknowledged_alone);
        if positions.is_empty() {
            return;
        }
        self.worker.committing.extend(positions.iter().copied());
        self.worker.corgi.commit(self.now, &positions, self.effects);
    }

    /// Commits that are through go into the history.
    fn note_commits(&mut self) {
        if self.worker.committing.is_empty() || self.worker.corgi.committing() {
            return;
        }
        for (source, offset) in std::mem::take(&mut self.worker.committing) {
            self.effects.record(Event::MirrorCommitted { source, offset });
        }
    }

    /// Gives partitions back in good order: flush, commit, release (mirror 6a).
    fn settle_revocation(&mut self) {
        let Some(mut revocation) = self.worker.revocation.take() else {
            return;
        };
        let flushed = !self.settings.flush_on_revoke || self.worker.ledger.unacknowledged() == 0;
        // Partitions that were lost while they waited are nobody's to flush for.
        if !(revocation.partitions.is_empty() || self.settled(&mut revocation, flushed)) {
            self.worker.revocation = Some(revocation);
            return;
        }
        if !revocation.partitions.is_empty() {
            self.leave(revocation.partitions.into_iter().collect(), true);
        }
        self.worker.corgi.release(self.now, self.effects);
        // What the release set free, and what waited behind the rebalance.
        self.go_on();
    }

    /// Stops in good order: flush, commit, leave the group (mirror 7, 10b).
    fn settle_stop(&mut self) {
        if self.exits || self.worker.revocation.is_some() {
            return;
        }
        let Some(mut stopping) = self.worker.stopping.take() else {
            return;
        };
        let flushed = self.worker.ledger.unacknowledged() == 0;
        if !self.settled(&mut stopping, flushed) {
            self.worker.stopping = Some(stopping);
            return;
        }
        let held: Vec<TopicPartition> = self.worker.ledger.held().collect();
        if !held.is_empty() {
            self.leave(held, true);
        }
        self.worker.corgi.close(self.now, self.effects);
        let exiting = Message::Deployment(Box::new(deployment::Message::Exiting));
        self.effects.send(self.wiring.deployment, exiting);
        self.exits = true;
    }

    /// Whether everything is flushed and committed; commits when the flush is through.
    fn settled(&mut self, giving: &mut Giving, flushed: bool) -> bool {
        if flushed && !giving.committed {
            giving.committed = true;
            self.commit();
        }
        self.note_commits();
        giving.committed && !self.worker.corgi.committing()
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

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
