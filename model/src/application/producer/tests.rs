use super::*;
use crate::application::producer_settings::{DualAck, Retry, Selector};
use crate::application::scripted::{Asked, ScriptedProducer};
use crate::client::SendOutcome;
use crate::machine::{After, RequestId, TimerEffect};
use crate::mirror::PartitionMap;
use crate::record::Queue;
use crate::record::{Key, RecordId};
use crate::switch::{self, Switches};
use crate::units::Span;

const CENTRE: NodeId = NodeId(3);
const OPERATOR: NodeId = NodeId(1);
const SOURCE: TopicPartition = TopicPartition::new(0, 1);

struct Bench {
    application: ProducerApplication<ScriptedProducer, ScriptedProducer>,
    at: Time,
    events: Vec<Event>,
    processes: Vec<Process>,
    timers: Vec<TimerEffect>,
    version: u64,
}

impl Bench {
    /// Records every second from 0, all of source partition 0/1 (of two), which is target partition 2 by the key's
    /// murmur2 (of four).
    fn new(settings: Settings, records: u32) -> Bench {
        let key = Key { java_hash: 1, murmur2: 2, ..Key::default() };
        let record =
            |sequence| Record { id: RecordId { producer: 0, sequence }, source: 1, key, ..Record::default() };
        let scheduled =
            |place| Scheduled { at: Time::ZERO + Span::secs(u64::from(place)), record: record(place) };
        let setup = ProducerSetup {
            schedule: (0..records).map(scheduled).collect(),
            topics: [TopicShape { corgi_partitions: 2, kafka_partitions: 4 }].into(),
            partitioner: Partitioner::JavaHash,
            mirror_map: PartitionMap::Same,
            switch_centre: Some(CENTRE),
        };
        let library = ScriptedProducer::default();
        let application = ProducerApplication::new(settings, setup, library.clone(), library);
        let mut bench = Bench {
            application,
            at: Time::ZERO,
            events: vec![],
            processes: vec![],
            timers: vec![],
            version: 0,
        };
        bench.step(Input::Start { incarnation: 1 });
        bench
    }

    fn step(&mut self, input: Input) -> Effects {
        let mut effects = Effects::default();
        self.application.step(Now::exact(self.at), input, &mut effects);
        self.events.extend(effects.events.iter().cloned());
        self.processes.extend(effects.processes.iter().copied());
        self.timers.extend(effects.timers.iter().copied());
        effects
    }

    fn push(&mut self, write: WriteTo, hold: Hold) {
        self.version += 1;
        let switches = Switches { version: self.version, write, hold, ..Switches::default() };
        let message = Message::Switch(Box::new(switch::Message::Push(switches)));
        self.step(Input::Message { from: CENTRE, message });
    }

    fn at_second(&mut self, second: u64) {
        self.at = Time::ZERO + Span::secs(second);
        self.step(Input::Timer(NEXT));
    }

    fn library(&mut self, queue: Queue) -> &mut ScriptedProducer {
        match queue {
            Queue::Corgi => self.application.volatile.corgi.as_mut().unwrap(),
            Queue::Kafka => self.application.volatile.kafka.as_mut().unwrap(),
        }
    }

    /// What was sent to that queue: the record's sequence and the partition.
    fn sent(&mut self, queue: Queue) -> Vec<(u32, u16)> {
        let sent = |asked: &Asked| match asked {
            Asked::Send(_, partition, record) => Some((record.id.sequence, partition.partition)),
            _ => None,
        };
        self.library(queue).asked.iter().filter_map(sent).collect()
    }

    /// The last send to that queue comes to that end.
    fn ends(&mut self, queue: Queue, outcome: SendOutcome) {
        let token = |asked: &Asked| match asked {
            Asked::Send(token, ..) => Some(*token),
            _ => None,
        };
        let token = self.library(queue).asked.iter().rev().find_map(token).unwrap();
        self.library(queue).outcomes.push_back((token, outcome));
        self.step(Input::Disconnected(NodeId(99)));
    }

    fn acknowledges(&mut self, queue: Queue) {
        self.ends(queue, SendOutcome::Acknowledged(SOURCE, 0));
    }

    fn retry(&mut self) {
        self.step(Input::Timer(Timer::new(RETRY, timer_index(SOURCE))));
    }

    fn report(&mut self) -> (WriteTo, bool, u32) {
        let message = Message::ReportRequest(RequestId::default());
        let effects = self.step(Input::Message { from: OPERATOR, message });
        let [(OPERATOR, Message::Report(_, report))] = &effects.sends[..] else { panic!("one report") };
        let Report::Producer { write, held, in_flight, .. } = **report else { panic!("a producer's report") };
        (write, held, in_flight)
    }

    fn given_up(&self) -> Vec<Event> {
        let given_up = |event: &&Event| matches!(event, Event::Indeterminate { .. } | Event::Refused { .. });
        self.events.iter().filter(given_up).cloned().collect()
    }
}

fn record(sequence: u32) -> RecordId {
    RecordId { producer: 0, sequence }
}

#[test]
fn the_schedule_is_sent_in_order_one_record_at_a_time() {
    let mut bench = Bench::new(Settings::default(), 3);
    bench.push(WriteTo::Corgi, Hold::Nothing);
    bench.at_second(1);
    assert_eq!(bench.sent(Queue::Corgi), vec![(0, 1)]);
    bench.acknowledges(Queue::Corgi);
    assert_eq!(bench.sent(Queue::Corgi), vec![(0, 1), (1, 1)]);
    bench.acknowledges(Queue::Corgi);
    assert!(!bench.application.is_done());
    bench.at_second(2);
    bench.acknowledges(Queue::Corgi);
    assert!(bench.application.is_done());
    let Some(Event::Invoked { record }) =
        bench.events.iter().rev().find(|event| matches!(event, Event::Invoked { .. }))
    else {
        panic!("invoked")
    };
    assert_eq!((record.created_at, record.copied_from), (Time::ZERO + Span::secs(2), -1));
}

#[test]
fn nothing_is_sent_before_the_switches_are_heard() {
    let mut bench = Bench::new(Settings::default(), 2);
    bench.at_second(1);
    assert_eq!(bench.sent(Queue::Corgi), vec![]);
    bench.push(WriteTo::Kafka, Hold::Nothing);
    assert_eq!(bench.sent(Queue::Corgi), vec![]);
    assert_eq!(bench.sent(Queue::Kafka), vec![(0, 1)]);
    let settings = Settings { start_without_switches: true, ..Settings::default() };
    let mut bench = Bench::new(settings, 2);
    assert_eq!(bench.sent(Queue::Corgi), vec![(0, 1)]);
}

#[test]
fn a_failed_record_blocks_its_partition_until_it_is_acknowledged() {
    let mut bench = Bench::new(Settings::default(), 2);
    bench.push(WriteTo::Corgi, Hold::Nothing);
    bench.at_second(1);
    bench.ends(Queue::Corgi, SendOutcome::Indeterminate);
    assert_eq!(bench.sent(Queue::Corgi), vec![(0, 1)]);
    let again = TimerEffect::Set(Timer::new(RETRY, timer_index(SOURCE)), After::Exactly(Span::secs(1)));
    assert!(bench.timers.contains(&again));
    bench.retry();
    assert_eq!(bench.sent(Queue::Corgi), vec![(0, 1), (0, 1)]);
    assert_eq!(bench.given_up(), vec![]);
}

#[test]
fn a_record_that_failed_on_the_old_way_is_sent_again_on_the_new_one() {
    let mut bench = Bench::new(Settings::default(), 1);
    bench.push(WriteTo::Corgi, Hold::Nothing);
    bench.push(WriteTo::Kafka, Hold::Nothing);
    assert_eq!(bench.sent(Queue::Kafka), vec![]);
    bench.ends(Queue::Corgi, SendOutcome::Indeterminate);
    bench.retry();
    assert_eq!(bench.sent(Queue::Kafka), vec![(0, 1)]);
}

#[test]
fn a_producer_that_skips_says_what_it_knows() {
    let settings = Settings { retry: Retry::Skip, ..Settings::default() };
    let mut bench = Bench::new(settings, 2);
    bench.push(WriteTo::Corgi, Hold::Nothing);
    bench.at_second(1);
    bench.ends(Queue::Corgi, SendOutcome::Indeterminate);
    bench.ends(Queue::Corgi, SendOutcome::Refused);
    let expected = [Event::Indeterminate { record: record(0) }, Event::Refused { record: record(1) }];
    assert_eq!(bench.given_up(), expected);
    assert!(bench.application.is_done());
}

#[test]
fn a_hold_keeps_back_what_is_invoked_and_is_reported_when_nothing_covered_is_in_flight() {
    let mut bench = Bench::new(Settings::default(), 2);
    bench.push(WriteTo::Corgi, Hold::Nothing);
    assert_eq!(bench.report(), (WriteTo::Corgi, false, 1));
    bench.push(WriteTo::Corgi, Hold::Partitions(vec![SOURCE]));
    bench.at_second(1);
    assert_eq!(bench.report(), (WriteTo::Corgi, false, 1));
    bench.acknowledges(Queue::Corgi);
    assert_eq!(bench.report(), (WriteTo::Corgi, true, 0));
    assert_eq!(bench.sent(Queue::Corgi), vec![(0, 1)]);
    bench.push(WriteTo::Kafka, Hold::Nothing);
    assert_eq!(bench.sent(Queue::Kafka), vec![(1, 1)]);
    assert_eq!(bench.report(), (WriteTo::Kafka, false, 1));
    let invoked = |event: &&Event| matches!(event, Event::Invoked { .. });
    assert_eq!(bench.events.iter().filter(invoked).count(), 2);
}

#[test]
fn a_failed_record_under_a_hold_waits_for_its_end() {
    let mut bench = Bench::new(Settings::default(), 1);
    bench.push(WriteTo::Corgi, Hold::Nothing);
    bench.push(WriteTo::Corgi, Hold::Everything);
    bench.ends(Queue::Corgi, SendOutcome::Refused);
    bench.retry();
    assert_eq!(bench.sent(Queue::Corgi).len(), 1);
    assert_eq!(bench.report(), (WriteTo::Corgi, true, 0));
    bench.push(WriteTo::Kafka, Hold::Nothing);
    assert_eq!(bench.sent(Queue::Kafka), vec![(0, 1)]);
}

#[test]
fn after_a_crash_the_outbox_is_sent_again_before_anything_newer() {
    let mut bench = Bench::new(Settings::default(), 3);
    bench.push(WriteTo::Corgi, Hold::Nothing);
    bench.at_second(1);
    bench.application.crash();
    bench.at += Span::secs(5);
    bench.step(Input::Start { incarnation: 2 });
    bench.push(WriteTo::Corgi, Hold::Nothing);
    for _ in 0..3 {
        bench.acknowledges(Queue::Corgi);
    }
    assert_eq!(bench.sent(Queue::Corgi), vec![(0, 1), (1, 1), (2, 1)]);
    assert_eq!(bench.library(Queue::Corgi).asked[0], Asked::Start(2));
    assert_eq!(bench.given_up(), vec![]);
}

#[test]
fn without_an_outbox_a_crash_gives_up_what_was_open() {
    let settings = Settings { outbox: false, ..Settings::default() };
    let mut bench = Bench::new(settings, 3);
    bench.push(WriteTo::Corgi, Hold::Nothing);
    bench.at_second(1);
    bench.application.crash();
    bench.step(Input::Start { incarnation: 2 });
    let expected = [0, 1].map(|sequence| Event::Indeterminate { record: record(sequence) });
    assert_eq!(bench.given_up(), expected);
    bench.push(WriteTo::Corgi, Hold::Nothing);
    bench.at_second(2);
    assert_eq!(bench.sent(Queue::Corgi), vec![(2, 1)]);
}

#[test]
fn a_dual_write_sends_again_only_what_failed() {
    let mut bench = Bench::new(Settings::default(), 2);
    bench.push(WriteTo::Both, Hold::Nothing);
    bench.acknowledges(Queue::Corgi);
    bench.ends(Queue::Kafka, SendOutcome::Refused);
    bench.retry();
    bench.acknowledges(Queue::Kafka);
    assert_eq!(bench.sent(Queue::Corgi), vec![(0, 1)]);
    assert_eq!(bench.sent(Queue::Kafka), vec![(0, 1), (0, 1)]);
    bench.at_second(1);
    assert_eq!(bench.sent(Queue::Corgi), vec![(0, 1), (1, 1)]);
}

#[test]
fn a_dual_write_that_waits_for_the_first_answer_does_not_look_after_the_second() {
    for (dual_ack, settled_by) in [(DualAck::First, Queue::Kafka), (DualAck::Corgi, Queue::Corgi)] {
        let settings = Settings { dual_ack, ..Settings::default() };
        let mut bench = Bench::new(settings, 1);
        bench.push(WriteTo::Both, Hold::Nothing);
        bench.acknowledges(settled_by);
        assert_eq!(bench.report().2, 1);
        let other = if settled_by == Queue::Kafka { Queue::Corgi } else { Queue::Kafka };
        bench.ends(other, SendOutcome::Refused);
        assert!(bench.application.is_done());
        assert_eq!(bench.given_up(), vec![]);
    }
}

#[test]
fn a_plain_selector_takes_another_partition_than_the_mirror() {
    let settings = Settings { selector: Selector::Default, ..Settings::default() };
    let mut bench = Bench::new(settings, 1);
    bench.push(WriteTo::Kafka, Hold::Nothing);
    assert_eq!(bench.sent(Queue::Kafka), vec![(0, 2)]);
}

#[test]
fn asked_to_stop_it_flushes_and_exits() {
    let mut bench = Bench::new(Settings::default(), 3);
    bench.push(WriteTo::Corgi, Hold::Nothing);
    bench.at_second(1);
    bench.step(Input::Terminate);
    bench.acknowledges(Queue::Corgi);
    assert_eq!(bench.processes, vec![]);
    bench.acknowledges(Queue::Corgi);
    assert_eq!(bench.processes, vec![Process::Exit]);
    assert_eq!(bench.sent(Queue::Corgi), vec![(0, 1), (1, 1)]);
}

/// What the records that were sent look like in the history: sequence, creation and size.
fn invoked(bench: &Bench) -> Vec<(u32, u64, u32)> {
    let invoked = |event: &Event| match event {
        Event::Invoked { record } => {
            Some((record.id.sequence, record.created_at.as_millis() / 1_000, record.bytes))
        }
        _ => None,
    };
    bench.events.iter().filter_map(invoked).collect()
}

#[test]
fn in_a_burst_what_is_due_soon_is_due_now_and_created_now() {
    let mut bench = Bench::new(Settings::default(), 9);
    bench.push(WriteTo::Corgi, Hold::Nothing);
    bench.at_second(1);
    bench.timers.clear();
    bench.step(Input::Incident(Incident::Burst { ahead: Span::secs(3) }));
    assert_eq!(invoked(&bench), [(0, 0, 0), (1, 1, 0), (2, 1, 0), (3, 1, 0), (4, 1, 0)]);
    assert!(bench.timers.contains(&TimerEffect::Set(NEXT, After::Exactly(Span::secs(4)))));
    bench.at_second(4);
    assert_eq!(invoked(&bench).len(), 5, "what came early does not come twice");
    assert_eq!(bench.sent(Queue::Corgi).len(), 1, "one lane sends one after the other");
}

#[test]
fn who_has_sent_everything_heeds_no_burst_and_no_oversized_record() {
    let mut bench = Bench::new(Settings::default(), 3);
    bench.push(WriteTo::Corgi, Hold::Nothing);
    let heeds = |bench: &Bench| {
        [
            Incident::Burst { ahead: Span::secs(3) },
            Incident::Oversized { bytes: Bytes(9) },
            Incident::DiskFilled,
        ]
        .map(|incident| bench.application.heeds(&incident))
    };
    bench.at_second(1);
    assert_eq!(heeds(&bench), [true; 3]);
    bench.at_second(9);
    assert_eq!(heeds(&bench), [false, false, true]);
}

#[test]
fn the_next_record_alone_is_oversized_even_behind_a_crash() {
    let mut bench = Bench::new(Settings::default(), 4);
    bench.push(WriteTo::Corgi, Hold::Nothing);
    bench.step(Input::Incident(Incident::Oversized { bytes: Bytes(3_000_000) }));
    bench.application.crash();
    bench.at = Time::ZERO + Span::millis(500);
    bench.step(Input::Start { incarnation: 2 });
    bench.at_second(2);
    assert_eq!(invoked(&bench), [(0, 0, 0), (1, 2, 3_000_000), (2, 2, 0)]);
}

#[test]
fn a_record_that_is_too_large_is_given_up_and_the_next_goes_on_unless_it_is_to_block() {
    for give_up_too_large in [true, false] {
        let mut bench = Bench::new(Settings { give_up_too_large, ..Settings::default() }, 2);
        bench.push(WriteTo::Corgi, Hold::Nothing);
        bench.at_second(1);
        bench.ends(Queue::Corgi, SendOutcome::TooLarge);
        bench.retry();
        let (given_up, sent): (Vec<Event>, _) = match give_up_too_large {
            true => (vec![Event::Refused { record: record(0) }], [(0, 1), (1, 1)]),
            false => (vec![], [(0, 1), (0, 1)]),
        };
        assert_eq!((bench.given_up(), bench.sent(Queue::Corgi)), (given_up, sent.to_vec()));
    }
}

#[test]
fn a_topic_that_was_widened_moves_the_keys_of_records_that_are_sent_from_then_on() {
    let mut bench = Bench::new(Settings::default(), 4);
    // Of three partitions the key has number 1 as well, of one number 0.
    bench.push(WriteTo::Corgi, Hold::Nothing);
    bench.ends(Queue::Corgi, SendOutcome::Refused);
    bench.library(Queue::Corgi).partitions = Some(1);
    bench.at_second(1);
    assert_eq!(
        bench.sent(Queue::Corgi),
        vec![(0, 1), (1, 0)],
        "its new partition does not wait for the old one"
    );
    bench.retry();
    assert_eq!(bench.sent(Queue::Corgi).last(), Some(&(0, 1)), "a record keeps its partition");
    // A process that starts anew and was told nothing yet remembers it.
    bench.application.crash();
    bench.step(Input::Start { incarnation: 2 });
    bench.at_second(2);
    let sources: Vec<u16> = bench
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Invoked { record } => Some(record.source),
            _ => None,
        })
        .collect();
    assert_eq!(sources, [1, 0, 0]);
    // The mirror's map goes by the source partition that it has now.
    bench.push(WriteTo::Kafka, Hold::Nothing);
    assert_eq!(bench.sent(Queue::Kafka), [(1, 0), (0, 1)]);
}
