//! For tests: a library, its clock and its timers, and hand-written answers to what it asks.

use super::kafka_consumer::KafkaConsumer;
use super::kafka_producer::KafkaProducer;
use super::{Consumer, Producer};
use crate::kafka::protocol::{BrokerId, ErrorCode, PartitionMetadata, Request, Response};
use crate::machine::{After, Effects, Input, Now, RequestId, Timer, TimerEffect};
use crate::message::Message;
use crate::record::{NodeId, Record, RecordId, TopicPartition};
use crate::units::{Span, Time};
use litemap::LiteMap;

pub(crate) trait Library {
    fn input(&mut self, now: Now, input: &Input, effects: &mut Effects);
}

impl Library for KafkaProducer {
    fn input(&mut self, now: Now, input: &Input, effects: &mut Effects) {
        self.step(now, input, effects);
    }
}

impl Library for KafkaConsumer {
    fn input(&mut self, now: Now, input: &Input, effects: &mut Effects) {
        self.step(now, input, effects);
    }
}

/// A request that was sent and not answered.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) to: NodeId,
    pub(crate) id: RequestId,
    pub(crate) request: Request,
}

pub(crate) struct Dialogue<L> {
    pub(crate) library: L,
    pub(crate) at: Time,
    pub(crate) asked: Vec<Asked>,
    pub(crate) timers: LiteMap<Timer, Time>,
}

impl<L: Library> Dialogue<L> {
    pub(crate) fn new(library: L) -> Dialogue<L> {
        Dialogue { library, at: Time::ZERO, asked: vec![], timers: LiteMap::new() }
    }

    /// Call the library, and keep what it asks and sets. A drawn timer is the longest.
    pub(crate) fn call<R>(&mut self, call: impl FnOnce(&mut L, Now, &mut Effects) -> R) -> R {
        let mut effects = Effects::default();
        let result = call(&mut self.library, Now::exact(self.at), &mut effects);
        for (to, message) in effects.sends {
            let Message::KafkaRequest(id, request) = message else { panic!("not a request: {message:?}") };
            self.asked.push(Asked { to, id, request: *request });
        }
        for timer in effects.timers {
            match timer {
                TimerEffect::Set(timer, After::Exactly(span) | After::Between(_, span)) => {
                    self.timers.insert(timer, self.at + span);
                }
                TimerEffect::Cancel(timer) => drop(self.timers.remove(&timer)),
            }
        }
        result
    }

    pub(crate) fn input(&mut self, input: &Input) {
        self.call(|library, now, effects| library.input(now, input, effects));
    }

    /// The kinds of the unanswered requests.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.asked.iter().map(|asked| asked.request.name().trim_start_matches("kafka-")).collect()
    }

    /// Take the oldest unanswered request of that kind.
    pub(crate) fn take(&mut self, name: &str) -> Asked {
        let names = self.names();
        let place = names.iter().position(|other| *other == name);
        self.asked.remove(place.unwrap_or_else(|| panic!("no {name} among {names:?} at {}", self.at)))
    }

    pub(crate) fn answer(&mut self, asked: &Asked, response: Response) {
        let message = Message::KafkaResponse(asked.id, Box::new(response));
        self.input(&Input::Message { from: asked.to, message });
    }

    /// Take the oldest unanswered request of that kind, and answer it.
    pub(crate) fn reply(&mut self, name: &str, response: Response) -> Request {
        let asked = self.take(name);
        self.answer(&asked, response);
        asked.request
    }

    /// The node's process dies: its connections break, and its requests are gone.
    pub(crate) fn disconnect(&mut self, node: NodeId) {
        self.asked.retain(|asked| asked.to != node);
        self.input(&Input::Disconnected(node));
    }

    /// Let time pass, and timers run out.
    pub(crate) fn pass(&mut self, span: Span) {
        let until = self.at + span;
        while let Some((timer, at)) =
            self.timers.iter().map(|(timer, at)| (*timer, *at)).min_by_key(|(timer, at)| (*at, *timer))
        {
            if at > until {
                break;
            }
            self.timers.remove(&timer);
            self.at = self.at.max(at);
            self.input(&Input::Timer(timer));
        }
        self.at = until;
    }
}

pub(crate) fn record(sequence: u32) -> Record {
    Record { id: RecordId { producer: 0, sequence }, bytes: 100, ..Record::default() }
}

/// Brokers 1 to 3 at nodes 1 to 3; partition p of topic 0 led by broker p % 3 + 1 unless `leaders` says otherwise.
pub(crate) fn metadata(leaders: &[(u32, i32)]) -> Response {
    let partitions = (0..)
        .zip(leaders)
        .map(|(partition, (leader, epoch))| PartitionMetadata {
            partition: TopicPartition::new(0, partition),
            error: ErrorCode::None,
            leader: (*leader > 0).then_some(BrokerId(*leader)),
            leader_epoch: *epoch,
            replicas: vec![],
            isr: vec![],
            offline: vec![],
        })
        .collect();
    let brokers = (1..=3).map(|broker| (BrokerId(broker), NodeId(broker))).collect();
    Response::Metadata { brokers, unknown: vec![], partitions }
}
