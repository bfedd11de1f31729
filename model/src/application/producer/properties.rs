//! Properties of a producer application under any order of outcomes, switches, holds and crashes.

use super::*;
use crate::application::producer_settings::{DualAck, Retry};
use crate::application::scripted::{Asked, ScriptedProducer};
use crate::client::SendOutcome;
use crate::record::Queue;
use crate::record::{Key, RecordId};
use crate::switch::{self, Switches};
use crate::units::Span;
use proptest::prelude::*;
use std::collections::BTreeSet;

const CENTRE: NodeId = NodeId(3);
const SOURCES: u16 = 2;
const RECORDS: u32 = 12;

/// What may happen to a producer.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Tick,
    /// A send in flight, by its place, comes to that end.
    End(usize, Ending),
    Retry(u16),
    Switch(WriteTo, Option<u16>),
    Crash,
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Acknowledged,
    Refused,
    Indeterminate,
}

fn happening() -> impl Strategy<Value = Happening> {
    let ending = prop_oneof![
        4 => Just(Ending::Acknowledged),
        1 => Just(Ending::Refused),
        1 => Just(Ending::Indeterminate),
    ];
    let write = prop_oneof![Just(WriteTo::Corgi), Just(WriteTo::Kafka), Just(WriteTo::Both)];
    prop_oneof![
        4 => Just(Happening::Tick),
        8 => (0..6usize, ending).prop_map(|(place, ending)| Happening::End(place, ending)),
        4 => (0..SOURCES).prop_map(Happening::Retry),
        2 => (write, proptest::option::of(0..SOURCES)).prop_map(|(to, held)| Happening::Switch(to, held)),
        1 => Just(Happening::Crash),
    ]
}

struct Surroundings {
    application: ProducerApplication<ScriptedProducer, ScriptedProducer>,
    at: Time,
    incarnation: u32,
    version: u64,
    hold: Hold,
    /// Sends without an outcome, in the order of their tokens.
    flights: Vec<(u64, Queue, Record)>,
    /// The newest record of each source partition that was ever sent.
    newest: BTreeMap<u16, u32>,
    acknowledged: BTreeSet<RecordId>,
    given_up: BTreeSet<RecordId>,
    invoked: Vec<RecordId>,
}

impl Surroundings {
    fn new(settings: Settings) -> Surroundings {
        let scheduled = |sequence: u32| {
            let source = (sequence % u32::from(SOURCES)) as u16;
            let key = Key { java_hash: i32::from(source), ..Key::default() };
            let id = RecordId { producer: 0, sequence };
            Scheduled {
                at: Time::ZERO + Span::secs(u64::from(sequence)),
                record: Record { id, source, key, ..Record::default() },
            }
        };
        let setup = ProducerSetup {
            schedule: (0..RECORDS).map(scheduled).collect(),
            topics: [TopicShape { corgi_partitions: SOURCES, kafka_partitions: SOURCES }].into(),
            partitioner: Partitioner::JavaHash,
            mirror_map: PartitionMap::Same,
            switch_centre: Some(CENTRE),
        };
        let library = ScriptedProducer::default();
        let mut surroundings = Surroundings {
            application: ProducerApplication::new(settings, setup, library.clone(), library),
            at: Time::ZERO,
            incarnation: 0,
            version: 0,
            hold: Hold::Nothing,
            flights: Vec::new(),
            newest: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            given_up: BTreeSet::new(),
            invoked: Vec::new(),
        };
        surroundings.restart();
        surroundings
    }

    fn restart(&mut self) {
        self.application.crash();
        self.flights.clear();
        self.incarnation += 1;
        self.step(Input::Start { incarnation: self.incarnation });
        self.switch(WriteTo::Corgi, None);
    }

    fn switch(&mut self, write: WriteTo, held: Option<u16>) {
        self.version += 1;
        self.hold = held.map_or(Hold::Nothing, |held| Hold::Partitions(vec![TopicPartition::new(0, held)]));
        let hold = self.hold.clone();
        let switches = Switches { version: self.version, write, hold, ..Switches::default() };
        let message = Message::Switch(Box::new(switch::Message::Push(switches)));
        self.step(Input::Message { from: CENTRE, message });
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Tick => {
                self.at += Span::secs(1);
                self.step(Input::Timer(NEXT));
            }
            Happening::End(place, ending) => self.end(place, ending),
            Happening::Retry(source) => {
                let index = timer_index(TopicPartition::new(0, source));
                self.step(Input::Timer(Timer::new(RETRY, index)));
            }
            Happening::Switch(to, held) => self.switch(to, held),
            Happening::Crash => self.restart(),
        }
    }

    fn end(&mut self, place: usize, ending: Ending) {
        if place >= self.flights.len() {
            return;
        }
        let (token, queue, record) = self.flights.remove(place);
        let outcome = match ending {
            Ending::Acknowledged => SendOutcome::Acknowledged(record.source_partition(), 0),
            Ending::Refused => SendOutcome::Refused,
            Ending::Indeterminate => SendOutcome::Indeterminate,
        };
        let volatile = &mut self.application.volatile;
        let library = match queue {
            Queue::Corgi => volatile.corgi.as_mut(),
            Queue::Kafka => volatile.kafka.as_mut(),
        };
        library.unwrap().outcomes.push_back((token, outcome));
        self.step(Input::Disconnected(NodeId(99)));
    }

    fn step(&mut self, input: Input) {
        let mut effects = Effects::default();
        self.application.step(Now::exact(self.at), input, &mut effects);
        for event in &effects.events {
            match event {
                Event::Invoked { record } => self.invoked.push(record.id),
                Event::Acknowledged { record, .. } => {
                    self.acknowledged.insert(*record);
                }
                Event::Indeterminate { record } | Event::Refused { record } => {
                    assert!(!self.acknowledged.contains(record), "{record} was given up and is acknowledged");
                    assert!(self.given_up.insert(*record), "{record} was given up twice");
                }
                _ => {}
            }
        }
        self.take_sends();
    }

    fn take_sends(&mut self) {
        let volatile = &mut self.application.volatile;
        let libraries = [(Queue::Corgi, &mut volatile.corgi), (Queue::Kafka, &mut volatile.kafka)];
        for (queue, library) in libraries {
            for asked in library.iter_mut().flat_map(|library| library.asked.drain(..)) {
                let Asked::Send(token, _, record) = asked else { continue };
                assert!(!self.hold.covers(record.source_partition()), "{} was sent in a hold", record.id);
                assert!(!self.given_up.contains(&record.id), "{} was given up and sent again", record.id);
                let newest = self.newest.entry(record.source).or_insert(record.id.sequence);
                assert!(record.id.sequence >= *newest, "{} was sent behind a newer record", record.id);
                *newest = record.id.sequence;
                self.flights.push((token, queue, record));
            }
        }
        self.flights.sort_by_key(|(token, ..)| *token);
    }

    fn drain(&mut self) {
        self.switch(WriteTo::Kafka, None);
        for _ in 0..RECORDS * 3 {
            self.happen(Happening::Tick);
            (0..SOURCES).for_each(|source| self.happen(Happening::Retry(source)));
            while !self.flights.is_empty() {
                self.end(0, Ending::Acknowledged);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_record_overtakes_and_each_comes_to_an_end(
        outbox: bool,
        blocks: bool,
        dual_ack in prop_oneof![Just(DualAck::Both), Just(DualAck::First), Just(DualAck::Corgi)],
        happenings in proptest::collection::vec(happening(), 0..100),
    ) {
        let retry = if blocks { Retry::Block } else { Retry::Skip };
        let mut surroundings = Surroundings::new(Settings { outbox, retry, dual_ack, ..Settings::default() });
        for happening in happenings {
            surroundings.happen(happening);
        }
        surroundings.drain();
        prop_assert!(surroundings.application.is_done());
        prop_assert_eq!(surroundings.invoked.len(), RECORDS as usize);
        for record in &surroundings.invoked {
            let is_acknowledged = surroundings.acknowledged.contains(record);
            let is_given_up = surroundings.given_up.contains(record);
            prop_assert!(is_acknowledged || is_given_up);
            if outbox && blocks {
                prop_assert!(is_acknowledged && !is_given_up);
            }
        }
    }
}
