//! Properties of a consumer application under any order of assignments, records, switches and crashes.

use super::*;
use crate::application::consumer_settings::CommitPolicy;
use crate::application::scripted::ScriptedConsumer;
use crate::client::{Assigned, Received};
use crate::history::Event;
use crate::record::{Offset, Record, RecordId};
use crate::switch::{self, Switches};
use crate::units::{Span, Time};
use proptest::prelude::*;
use std::collections::BTreeMap;

const CENTRE: NodeId = NodeId(3);
const GROUP: GroupId = GroupId(0);
const PARTITIONS: u16 = 3;
const LOG_END: Offset = 12;

/// What may happen to an instance.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Grant(u16),
    Revoke(u16),
    Lose(u16),
    Finish(u64),
    Commit,
    Switch { queue: Queue, paused: bool },
    Crash,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (0..PARTITIONS).prop_map(Happening::Grant),
        2 => (0..PARTITIONS).prop_map(Happening::Revoke),
        1 => (0..PARTITIONS).prop_map(Happening::Lose),
        12 => (0..4u64).prop_map(Happening::Finish),
        2 => Just(Happening::Commit),
        2 => (any::<bool>(), any::<bool>()).prop_map(|(kafka, paused)| Happening::Switch {
            queue: if kafka { Queue::Kafka } else { Queue::Corgi },
            paused,
        }),
        1 => Just(Happening::Crash),
    ]
}

type Application = ConsumerApplication<ScriptedConsumer, ScriptedConsumer>;

/// The world around one instance: what each queue has committed, and what was seen.
struct Surroundings {
    application: Application,
    ordered: bool,
    incarnation: u32,
    version: u64,
    committed: BTreeMap<(Queue, TopicPartition), Offset>,
    processed: BTreeSet<(Queue, TopicPartition, Offset)>,
    in_process: BTreeMap<RecordId, (Queue, TopicPartition, Offset)>,
    /// Where the next delivery of each assigned partition has to be.
    next: BTreeMap<TopicPartition, Offset>,
    paused: bool,
    heard: usize,
}

impl Surroundings {
    fn new(ordered: bool, commit_interval: Span) -> Surroundings {
        let settings = Settings { commit_interval, workers: 4, ..Settings::default() };
        let setup = ConsumerSetup {
            group: GROUP,
            ordered,
            switch_centre: Some(CENTRE),
            deployment: NodeId(4),
            registry: None,
        };
        let library = ScriptedConsumer::default();
        let mut surroundings = Surroundings {
            application: ConsumerApplication::new(settings, setup, library.clone(), library),
            ordered,
            incarnation: 0,
            version: 0,
            committed: BTreeMap::new(),
            processed: BTreeSet::new(),
            in_process: BTreeMap::new(),
            next: BTreeMap::new(),
            paused: false,
            heard: 0,
        };
        surroundings.restart();
        surroundings
    }

    fn restart(&mut self) {
        self.application.crash();
        self.in_process.clear();
        self.next.clear();
        self.paused = false;
        self.incarnation += 1;
        self.step(Input::Start { incarnation: self.incarnation });
        self.switch(Queue::Corgi, false);
    }

    fn opened(&mut self) -> Option<(Queue, &mut ScriptedConsumer)> {
        match self.application.volatile.opened.as_mut()? {
            Library::Corgi(library) => Some((Queue::Corgi, library)),
            Library::Kafka(library) => Some((Queue::Kafka, library)),
        }
    }

    fn switch(&mut self, queue: Queue, paused: bool) {
        self.version += 1;
        let paused = if paused { vec![GROUP] } else { vec![] };
        let read = vec![(GROUP, queue)];
        let switches = Switches { version: self.version, read, paused, ..Switches::default() };
        let message = Message::Switch(Box::new(switch::Message::Push(switches)));
        self.step(Input::Message { from: CENTRE, message });
    }

    fn tell(&mut self, change: Assigned) {
        if let Some((_, library)) = self.opened() {
            library.changes.push_back(change);
            self.step(Input::Disconnected(NodeId(99)));
        }
    }

    fn happen(&mut self, happening: Happening) {
        let assigned = |application: &Application, partition| {
            let tracks = &application.volatile.tracks;
            tracks.get(&partition).is_some_and(|track| !track.is_revoked)
        };
        match happening {
            Happening::Grant(number) => {
                let partition = TopicPartition::new(0, number);
                if !self.application.volatile.tracks.contains_key(&partition) {
                    self.grant(partition);
                }
            }
            Happening::Revoke(number) => {
                let partition = TopicPartition::new(0, number);
                if assigned(&self.application, partition) {
                    self.tell(Assigned::Revoked(vec![partition]));
                }
            }
            Happening::Lose(number) => {
                let partition = TopicPartition::new(0, number);
                if assigned(&self.application, partition) {
                    self.next.remove(&partition);
                    self.tell(Assigned::Lost(vec![partition]));
                }
            }
            Happening::Finish(worker) => self.step(Input::Timer(Timer::new(PROCESS, worker))),
            Happening::Commit => self.step(Input::Timer(COMMIT)),
            Happening::Switch { queue, paused } => self.switch(queue, paused),
            Happening::Crash => self.restart(),
        }
    }

    fn grant(&mut self, partition: TopicPartition) {
        let Some((queue, _)) = self.opened() else { return };
        let from = self.committed.get(&(queue, partition)).copied().unwrap_or(0);
        let (_, library) = self.opened().unwrap();
        for offset in from..LOG_END {
            let sequence = u32::try_from(offset).unwrap();
            let id = RecordId { producer: u32::from(partition.partition), sequence };
            let record = Record { id, source: partition.partition, copied_from: -1, ..Record::default() };
            library.buffered.push_back(Received { partition, offset, record });
        }
        self.next.insert(partition, from);
        self.tell(Assigned::Granted(vec![(partition, from)]));
    }

    fn step(&mut self, input: Input) {
        let mut effects = Effects::default();
        self.application.step(Now::exact(Time::ZERO), input, &mut effects);
        for event in &effects.events {
            self.observe(event);
        }
    }

    fn observe(&mut self, event: &Event) {
        match event {
            Event::Delivered { record, queue, partition, offset, .. } => {
                assert!(!self.paused, "{record} was delivered in a pause");
                assert_eq!(self.next.get(partition), Some(offset), "a delivery leaves a hole or goes back");
                self.next.insert(*partition, offset + 1);
                let is_busy = self.in_process.values().any(|(_, busy, _)| busy == partition);
                assert!(!self.ordered || !is_busy, "two records of {partition} are in process");
                self.in_process.insert(*record, (*queue, *partition, *offset));
            }
            // A pool may have the same record in process twice, after a loss and a new grant.
            Event::Processed { record, .. } => {
                let place = self.in_process.remove(record);
                self.processed.extend(place);
            }
            Event::Committed { queue, partition, offset, .. } => {
                let all = (0..*offset).all(|below| self.processed.contains(&(*queue, *partition, below)));
                assert!(all, "{offset} of {partition} was committed and something below is not processed");
                self.committed.insert((*queue, *partition), *offset);
            }
            Event::Revoked { partitions, orderly: true, .. } => {
                let is_busy = |(_, busy, _): &(Queue, TopicPartition, Offset)| partitions.contains(busy);
                let busy = self.in_process.values().any(is_busy);
                assert!(!self.ordered || !busy, "a partition was released with a record in process");
            }
            Event::Paused { paused, .. } => {
                assert!(!paused || self.in_process.is_empty(), "paused with a record in process");
                self.paused = *paused;
            }
            _ => self.heard += 1,
        }
    }
}

proptest! {
    #[test]
    fn nothing_is_committed_unprocessed_and_nothing_is_delivered_out_of_order(
        ordered: bool,
        commits_each: bool,
        happenings in proptest::collection::vec(happening(), 0..120),
    ) {
        let commit_interval = if commits_each { Span::ZERO } else { Span::secs(5) };
        let mut surroundings = Surroundings::new(ordered, commit_interval);
        for happening in happenings {
            surroundings.happen(happening);
        }
        // Whatever happened, an instance that is let go works everything off, and owes no release.
        surroundings.switch(Queue::Kafka, false);
        for _ in 0..LOG_END * 4 {
            (0..4).for_each(|worker| surroundings.happen(Happening::Finish(worker)));
        }
        (0..PARTITIONS).for_each(|partition| surroundings.happen(Happening::Grant(partition)));
        for _ in 0..LOG_END * 4 {
            (0..4).for_each(|worker| surroundings.happen(Happening::Finish(worker)));
        }
        surroundings.happen(Happening::Commit);
        prop_assert!(surroundings.application.volatile.revoked.is_empty());
        for partition in 0..PARTITIONS {
            let committed = surroundings.committed.get(&(Queue::Kafka, TopicPartition::new(0, partition)));
            prop_assert_eq!(committed, Some(&LOG_END));
        }
        prop_assert_eq!(surroundings.application.settings.commit, CommitPolicy::Processed);
    }
}
