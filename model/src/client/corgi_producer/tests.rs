use super::*;
use crate::corgi::wiring::Topic;
use crate::record::{RecordId, TopicId};

const MASTER: NodeId = NodeId(1);
const NAME_SERVICE: NodeId = NodeId(2);
const PLACE: TopicPartition = TopicPartition::new(0, 0);

/// The library beside a master that takes records of up to a thousand bytes.
struct Dialogue {
    library: CorgiProducer,
    effects: Effects,
    /// The sequences of each send that the master saw.
    seen: Vec<Vec<u32>>,
}

impl Dialogue {
    fn new() -> Dialogue {
        let library = CorgiProducer::new(Settings::default(), 0, NAME_SERVICE);
        let mut dialogue = Dialogue { library, effects: Effects::default(), seen: Vec::new() };
        dialogue.library.start(Now::exact(Time::ZERO), 1, &mut dialogue.effects);
        dialogue.answer();
        dialogue
    }

    fn send(&mut self, sequence: u32, bytes: u32) {
        let id = RecordId { producer: 0, sequence };
        let record = Record { id, bytes, ..Record::default() };
        let now = Now::exact(Time::ZERO);
        self.library.send(now, u64::from(sequence), PLACE, record, &mut self.effects);
    }

    /// Everything that was asked is answered, and what is asked in turn.
    fn answer(&mut self) {
        while !self.effects.sends.is_empty() {
            for (from, message) in std::mem::take(&mut self.effects.sends) {
                let Message::CorgiRequest(id, request) = message else { panic!("{message:?}") };
                let response = match *request {
                    Request::Send { records, .. } => self.take(&records),
                    _ => Response::Route {
                        masters: vec![Some((MASTER, 1))],
                        topics: vec![Topic::spread(TopicId(0), 1, 1)],
                    },
                };
                let message = Message::CorgiResponse(id, Box::new(response));
                let input = Input::Message { from, message };
                self.library.step(Now::exact(Time::ZERO), &input, &mut self.effects);
            }
        }
    }

    fn take(&mut self, records: &[Record]) -> Response {
        self.seen.push(records.iter().map(|record| record.id.sequence).collect());
        if records.iter().any(|record| record.bytes > 1_000) {
            return Response::Refused(Refusal::TooLarge);
        }
        Response::Send { status: SendStatus::Ok, offset: 0 }
    }

    fn outcomes(&mut self) -> Vec<(u64, bool)> {
        let outcomes = std::iter::from_fn(|| self.library.outcome());
        outcomes.map(|(token, outcome)| (token, outcome == SendOutcome::TooLarge)).collect()
    }
}

#[test]
fn a_record_that_is_too_large_is_refused_for_good() {
    let mut dialogue = Dialogue::new();
    dialogue.send(0, 1_001);
    dialogue.answer();
    assert_eq!(dialogue.outcomes(), [(0, true)]);
    dialogue.send(1, 1_000);
    dialogue.answer();
    assert_eq!(dialogue.outcomes(), [(1, false)]);
}

#[test]
fn the_others_of_its_batch_go_one_by_one_and_in_order() {
    let mut dialogue = Dialogue::new();
    dialogue.send(0, 10);
    // These wait behind the first, and make a batch.
    (1..5).for_each(|sequence| dialogue.send(sequence, if sequence == 2 { 2_000 } else { 10 }));
    dialogue.answer();
    assert_eq!(dialogue.seen, [vec![0], vec![1, 2, 3, 4], vec![1], vec![2], vec![3], vec![4]]);
    assert_eq!(dialogue.outcomes(), [(0, false), (1, false), (2, true), (3, false), (4, false)]);
    (5..8).for_each(|sequence| dialogue.send(sequence, 10));
    dialogue.answer();
    assert_eq!(dialogue.seen[6..], [vec![5], vec![6, 7]]);
}

#[test]
fn a_send_that_never_learns_where_to_go_is_given_up_in_the_end() {
    let mut producer = CorgiProducer::new(Settings::default(), 0, NodeId(1));
    let mut effects = Effects::default();
    producer.start(Now::exact(Time::ZERO), 1, &mut effects);
    let (place, record) = (TopicPartition::new(0, 0), Record::default());
    producer.send(Now::exact(Time::ZERO), 7, place, record, &mut effects);
    let mut given_up_at = None;
    for second in 1..200 {
        let now = Now::exact(Time::ZERO + Span::secs(second));
        producer.step(now, &Input::Timer(producer.timer()), &mut effects);
        if let Some(outcome) = producer.outcome() {
            assert_eq!(outcome, (7, SendOutcome::Refused), "it was never sent");
            given_up_at = Some(second);
        }
    }
    assert_eq!((given_up_at, producer.in_flight()), (Some(120), 0));
}
