//! The monitor of a run: how long sends and their processing took, how many succeeded, what running the systems took, and
//! which faults struck whom. It reads the history alone, beside the checkers, and judges nothing.
//!
//! A record counts for the phase in which it was sent, whenever its acknowledgement or its processing came; cost
//! and faults count for the phase in which they arose. All times are the world's, never a node's clock.

mod cost;
mod coverage;
mod distribution;
mod measures;
#[cfg(test)]
mod tests;

pub use cost::{Cost, QueueCost};
use coverage::PhaseSpan;
pub use coverage::{Cell, Coverage};
pub use distribution::Distribution;
pub use measures::{Measures, Part, PhaseMeasures, Processing, Production};

use crate::build::{Layout, SET_BROKERS};
use crate::case::Case;
use crate::faults::NodeKind;
use cutover_model::check::Subject;
use cutover_model::history::{Entry, Event};
use cutover_model::plan::Act;
use cutover_model::record::{GroupId, NodeId, Queue, Record, RecordId, TopicId};
use cutover_model::units::Time;

/// What is known of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Account {
    sent_at: Time,
    /// A bit a group that has processed it; a case has at most 64.
    processed: u64,
    bytes: u32,
    topic: TopicId,
    /// The phase in which it was sent.
    phase: u16,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fate {
    /// Never sent.
    #[default]
    None,
    Unanswered,
    Acknowledged,
    Refused,
    Indeterminate,
}

/// How many processes of a kind run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Running {
    corgi: u64,
    kafka: u64,
    mirror: u64,
}

/// The monitor of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    measures: Measures,
    coverage: Coverage,
    /// By producer and sequence.
    accounts: Vec<Vec<Account>>,
    /// By topic and group: the place in a phase's `processing`.
    places: Vec<Vec<Option<u16>>>,
    /// By node.
    kinds: Vec<NodeKind>,
    kafka_replicas: u64,
    phase: usize,
    /// By phase that the run has come to: how long it lasted, and what ran in it.
    spans: Vec<Option<PhaseSpan>>,
    /// By node: whether its process runs.
    up: Vec<bool>,
    running: Running,
    /// Until when the cost has been counted.
    counted_until: Time,
}

impl Monitor {
    /// A monitor of a run that has not begun.
    pub fn new(case: &Case, subject: &Subject) -> Monitor {
        let layout = Layout::of(case);
        let measures = Measures::of(subject);
        let mut places = vec![vec![None; subject.groups.len()]; subject.topics.len()];
        for (it, place) in measures.phases[0].processing.iter().zip(0..) {
            places[usize::from(it.topic.0)][usize::from(it.group.0)] = Some(place);
        }
        Monitor {
            coverage: Coverage::of(case, subject, &layout.nodes, measures.phases.len()),
            spans: first_span(measures.phases.len()),
            up: vec![false; layout.nodes.0.len()],
            measures,
            accounts: Vec::new(),
            places,
            kinds: layout.nodes.0.iter().map(|node| node.kind).collect(),
            kafka_replicas: u64::from(case.kafka.replication_factor.min(case.kafka.brokers)),
            phase: 0,
            running: Running::default(),
            counted_until: Time::ZERO,
        }
    }

    /// Take the next entry of the history.
    pub fn observe(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Invoked { record } => self.invoked(entry.at, record),
            Event::Acknowledged { record, queue, .. } => {
                self.acknowledges(*queue);
                self.acknowledged(entry.at, *record, *queue);
            }
            Event::Refused { record } => self.given_up(*record, Fate::Refused),
            Event::Indeterminate { record } => self.given_up(*record, Fate::Indeterminate),
            Event::Delivered { record, queue, .. } => {
                let bytes = self.bytes(*record);
                self.queue_cost(*queue).consumed_bytes += bytes;
            }
            Event::Processed { group, record, .. } => self.processed(entry.at, *group, *record),
            Event::Copied { record, .. } => {
                self.acknowledges(Queue::Kafka);
                self.copied(*record, Queue::Kafka);
            }
            Event::CopiedBack { record, .. } => {
                self.acknowledges(Queue::Corgi);
                self.copied(*record, Queue::Corgi);
            }
            Event::CommittedBack { .. } => self.acknowledges(Queue::Kafka),
            Event::Committed { queue, .. } => self.acknowledges(*queue),
            Event::MirrorCommitted { .. } => self.acknowledges(Queue::Corgi),
            Event::PutBack { records, .. } => self.put_back(entry.node, records),
            _ => self.observe_systems(entry),
        }
    }

    fn observe_systems(&mut self, entry: &Entry) {
        match &entry.event {
            Event::Started { .. } => {
                self.count_until(entry.at);
                if let Some(count) = self.running_of(entry.node) {
                    *count += 1;
                }
                self.goes(entry.at, entry.node, true);
            }
            Event::Stopped { .. } => {
                self.count_until(entry.at);
                if let Some(count) = self.running_of(entry.node) {
                    *count = count.saturating_sub(1);
                }
                self.goes(entry.at, entry.node, false);
            }
            Event::PhaseBegun { phase, .. } => self.enter(entry.at, *phase as usize),
            Event::PlanCompleted => self.enter(entry.at, self.measures.phases.len() - 1),
            Event::FaultBegun { kind, struck, .. } => {
                self.coverage.strike(self.phase, kind, struck, &self.kinds);
            }
            Event::StepDone { act: Act::StopCorgi, .. } => self.retire_corgi(entry.at),
            Event::Rare { branch } => {
                let kind = self.kinds.get(entry.node.0 as usize).copied();
                self.coverage.take(self.phase, *branch, kind);
            }
            Event::Ended { .. } => {
                self.count_until(entry.at);
                self.end_phase(entry.at);
            }
            _ => {}
        }
    }

    /// Conclude: what was measured, and which faults struck.
    pub fn finish(mut self) -> (Measures, Coverage) {
        for account in self.accounts.iter().flatten().filter(|account| account.fate != Fate::None) {
            let phase = &mut self.measures.phases[usize::from(account.phase)];
            let production = &mut phase.production[usize::from(account.topic.0)];
            production.sent += 1;
            match account.fate {
                Fate::Acknowledged => production.acknowledged += 1,
                Fate::Refused => production.refused += 1,
                Fate::Indeterminate => production.indeterminate += 1,
                Fate::Unanswered | Fate::None => {}
            }
            if account.fate != Fate::Acknowledged {
                continue;
            }
            for (place, group) in self.places[usize::from(account.topic.0)].iter().zip(0..) {
                if let (Some(place), 0) = (place, account.processed & 1 << group) {
                    phase.processing[usize::from(*place)].unprocessed += 1;
                }
            }
        }
        self.coverage.conclude(&self.spans);
        (self.measures, self.coverage)
    }

    fn account(&mut self, record: RecordId) -> &mut Account {
        grown(grown(&mut self.accounts, record.producer as usize), record.sequence as usize)
    }

    fn bytes(&mut self, record: RecordId) -> u64 {
        u64::from(self.account(record).bytes)
    }

    fn invoked(&mut self, at: Time, record: &Record) {
        let phase = self.phase as u16;
        let account = self.account(record.id);
        if account.fate == Fate::None {
            *account = Account {
                sent_at: at,
                processed: 0,
                bytes: record.bytes,
                topic: record.topic,
                phase,
                fate: Fate::Unanswered,
            };
        }
    }

    fn acknowledged(&mut self, at: Time, record: RecordId, queue: Queue) {
        let account = self.account(record);
        let before = *account;
        if before.fate == Fate::None {
            return;
        }
        account.fate = Fate::Acknowledged;
        let bytes = u64::from(before.bytes);
        if before.fate != Fate::Acknowledged {
            let phase = &mut self.measures.phases[usize::from(before.phase)];
            phase.production[usize::from(before.topic.0)].latency.record(at.since(before.sent_at));
            self.cost().acknowledged_bytes += bytes;
        }
        let replicas = self.replicas(queue);
        let cost = self.queue_cost(queue);
        cost.produced_bytes += bytes;
        cost.store(bytes, replicas);
    }

    fn given_up(&mut self, record: RecordId, fate: Fate) {
        let account = self.account(record);
        if account.fate == Fate::Unanswered {
            account.fate = fate;
        }
    }

    fn processed(&mut self, at: Time, group: GroupId, record: RecordId) {
        let account = self.account(record);
        let bit = 1 << group.0;
        if account.fate == Fate::None || account.processed & bit != 0 {
            return;
        }
        account.processed |= bit;
        let account = *account;
        let place = self.places[usize::from(account.topic.0)].get(usize::from(group.0));
        if let Some(Some(place)) = place {
            let phase = &mut self.measures.phases[usize::from(account.phase)];
            phase.processing[usize::from(*place)].end_to_end.record(at.since(account.sent_at));
        }
    }

    fn copied(&mut self, record: RecordId, to: Queue) {
        let (bytes, replicas) = (self.bytes(record), self.replicas(to));
        self.queue_cost(Queue::Corgi).mirrored_bytes += bytes;
        self.queue_cost(Queue::Kafka).mirrored_bytes += bytes;
        self.queue_cost(to).store(bytes, replicas);
    }

    /// What is taken back to be sent again was sent once more than is acknowledged.
    fn put_back(&mut self, node: NodeId, records: &[RecordId]) {
        let bytes: u64 = records.iter().map(|record| self.bytes(*record)).sum();
        let mirrors = self.kinds.get(node.0 as usize) == Some(&NodeKind::Mirror);
        let kafka = self.queue_cost(Queue::Kafka);
        *(if mirrors { &mut kafka.mirrored_bytes } else { &mut kafka.produced_bytes }) += bytes;
    }

    fn cost(&mut self) -> &mut Cost {
        &mut self.measures.phases[self.phase].cost
    }

    fn queue_cost(&mut self, queue: Queue) -> &mut QueueCost {
        let cost = self.cost();
        match queue {
            Queue::Corgi => &mut cost.corgi,
            Queue::Kafka => &mut cost.kafka,
        }
    }

    fn replicas(&self, queue: Queue) -> u64 {
        match queue {
            Queue::Corgi => u64::from(SET_BROKERS),
            Queue::Kafka => self.kafka_replicas,
        }
    }

    fn running_of(&mut self, node: NodeId) -> Option<&mut u64> {
        match self.kinds.get(node.0 as usize)? {
            NodeKind::CorgiBroker => Some(&mut self.running.corgi),
            NodeKind::KafkaBroker => Some(&mut self.running.kafka),
            NodeKind::Mirror => Some(&mut self.running.mirror),
            _ => None,
        }
    }

    /// Who ran until now ran in this phase.
    fn count_until(&mut self, at: Time) {
        let (span, running) = (at.since(self.counted_until), self.running);
        self.counted_until = at;
        let cost = self.cost();
        cost.simulated = cost.simulated + span;
        cost.corgi.brokers_up = cost.corgi.brokers_up + span * running.corgi;
        cost.kafka.brokers_up = cost.kafka.brokers_up + span * running.kafka;
        cost.mirror_up = cost.mirror_up + span * running.mirror;
    }

    fn enter(&mut self, at: Time, phase: usize) {
        self.count_until(at);
        self.end_phase(at);
        self.phase = phase.min(self.measures.phases.len() - 1);
        let running =
            self.kinds.iter().zip(&self.up).filter(|(_, up)| **up).map(|(kind, _)| (*kind, (at, at)));
        let ran = running.collect();
        self.spans[self.phase] = Some(PhaseSpan { begin: at, end: at, ran, ..PhaseSpan::default() });
    }

    fn end_phase(&mut self, at: Time) {
        if let Some(span) = &mut self.spans[self.phase] {
            span.end = at;
            for (kind, _) in self.kinds.iter().zip(&self.up).filter(|(_, up)| **up) {
                span.ran.entry(*kind).or_insert((at, at)).1 = at;
            }
        }
    }

    /// A process starts or ends.
    fn goes(&mut self, at: Time, node: NodeId, up: bool) {
        *grown(&mut self.up, node.0 as usize) = up;
        if let (Some(span), Some(kind)) = (&mut self.spans[self.phase], self.kinds.get(node.0 as usize)) {
            span.ran.entry(*kind).or_insert((at, at)).1 = at;
        }
    }

    /// Corgi is told to stop: one that is frozen just then still has to hear of it, but nothing can befall Corgi any more.
    fn retire_corgi(&mut self, at: Time) {
        for node in 0..self.kinds.len() {
            let of_corgi =
                matches!(self.kinds[node], NodeKind::CorgiBroker | NodeKind::NameService | NodeKind::OnCall);
            if of_corgi && self.up.get(node) == Some(&true) {
                self.goes(at, NodeId(node as u32), false);
            }
        }
    }

    /// A queue's brokers acknowledged something.
    fn acknowledges(&mut self, queue: Queue) {
        if let Some(span) = &mut self.spans[self.phase] {
            span.acknowledged.insert(match queue {
                Queue::Corgi => NodeKind::CorgiBroker,
                Queue::Kafka => NodeKind::KafkaBroker,
            });
        }
    }
}

/// The run begins in the first phase.
fn first_span(phases: usize) -> Vec<Option<PhaseSpan>> {
    let mut spans = vec![None; phases];
    spans[0] = Some(PhaseSpan::default());
    spans
}

/// The place with that index, made if it is not there.
fn grown<T: Clone + Default>(row: &mut Vec<T>, index: usize) -> &mut T {
    if row.len() <= index {
        row.resize(index + 1, T::default());
    }
    &mut row[index]
}
