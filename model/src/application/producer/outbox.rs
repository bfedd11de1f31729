//! The records that a producer application looks after, and what becomes of a send.

use super::{ProducerApplication, RETRY, timer_index};
use crate::application::ProducerLibrary;
use crate::application::producer_settings::{DualAck, Retry};
use crate::client::SendOutcome;
use crate::history::Event;
use crate::machine::{Effects, Now, Timer};
use crate::record::{Queue, Record, RecordId, TopicPartition};
use crate::switch::WriteTo;
use litemap::LiteMap;
use serde::Serialize;
use std::collections::VecDeque;

/// The open records of each source partition, in the order in which they were sent first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Outbox {
    lanes: LiteMap<TopicPartition, VecDeque<Open>>,
}

/// A record that is neither acknowledged nor given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Open {
    record: Record,
    /// Which queues acknowledged it.
    in_corgi: bool,
    in_kafka: bool,
}

/// A send whose outcome is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Flight {
    pub record: Record,
    pub queue: Queue,
}

/// One attempt to send a record, by one way or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Attempt {
    way: WriteTo,
    in_flight: u8,
    /// Whether one of its sends was given up without knowing.
    is_indeterminate: bool,
    /// Whether one of its sends was refused for the record's size.
    is_too_large: bool,
}

impl Open {
    fn is_in(&self, queue: Queue) -> bool {
        match queue {
            Queue::Corgi => self.in_corgi,
            Queue::Kafka => self.in_kafka,
        }
    }

    fn is_settled(&self, way: WriteTo, dual_ack: DualAck) -> bool {
        match (way, dual_ack) {
            (WriteTo::Corgi, _) | (WriteTo::Both, DualAck::Corgi) => self.in_corgi,
            (WriteTo::Kafka, _) => self.in_kafka,
            (WriteTo::Both, DualAck::Both) => self.in_corgi && self.in_kafka,
            (WriteTo::Both, DualAck::First) => self.in_corgi || self.in_kafka,
        }
    }
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.values().all(VecDeque::is_empty)
    }

    pub(super) fn add(&mut self, record: Record) {
        let open = Open { record, in_corgi: false, in_kafka: false };
        self.lanes.entry(record.source_partition()).or_default().push_back(open);
    }

    /// The source partitions that have, or had, open records.
    pub(super) fn sources(&self) -> Vec<TopicPartition> {
        self.lanes.keys().copied().collect()
    }

    /// The process that knew of them is gone, and nothing remembers them.
    pub(super) fn give_everything_up(&mut self, effects: &mut Effects) {
        for open in std::mem::take(&mut self.lanes).into_iter().flat_map(|(_, lane)| lane) {
            if !open.in_corgi && !open.in_kafka {
                effects.record(Event::Indeterminate { record: open.record.id });
            }
        }
    }

    /// The lane of a record and its place there. Lanes are filled in the order of the records' numbers.
    fn place(&mut self, record: &Record) -> Option<(&mut VecDeque<Open>, usize)> {
        let lane = self.lanes.get_mut(&record.source_partition())?;
        let place = lane.binary_search_by_key(&record.id, |open| open.record.id).ok()?;
        Some((lane, place))
    }

    fn find(&mut self, record: &Record) -> Option<&mut Open> {
        let (lane, place) = self.place(record)?;
        lane.get_mut(place)
    }

    fn remove(&mut self, record: &Record) {
        if let Some((lane, place)) = self.place(record) {
            lane.remove(place);
        }
    }
}

impl<C: ProducerLibrary, K: ProducerLibrary> ProducerApplication<C, K> {
    /// Send what may be sent now of that source partition, in order.
    pub(super) fn send_due(&mut self, now: Now, source: TopicPartition, effects: &mut Effects) {
        let Some(switches) = self.volatile.subscription.switches() else { return };
        let way = switches.write;
        if switches.hold.covers(source) || self.volatile.resting.contains(source) {
            return;
        }
        while let Some(open) = self.next_to_send(source) {
            if open.is_settled(way, self.settings.dual_ack) {
                // The switch moved after it failed on a way that is no longer wanted.
                self.durable.outbox.remove(&open.record);
                continue;
            }
            self.send(now, way, &open, effects);
        }
    }

    /// The first record of that source partition that is not on its way, if one more may be.
    fn next_to_send(&self, source: TopicPartition) -> Option<Open> {
        let lane = self.durable.outbox.lanes.get(&source)?;
        let most = self.settings.max_outstanding.max(1) as usize;
        let is_idle = |open: &&Open| !self.volatile.attempts.contains_key(&open.record.id);
        lane.iter().take(most).find(is_idle).copied()
    }

    fn send(&mut self, now: Now, way: WriteTo, open: &Open, effects: &mut Effects) {
        let queues: &[Queue] = match way {
            WriteTo::Corgi => &[Queue::Corgi],
            WriteTo::Kafka => &[Queue::Kafka],
            WriteTo::Both => &[Queue::Corgi, Queue::Kafka],
        };
        let mut attempt = Attempt { way, in_flight: 0, is_indeterminate: false, is_too_large: false };
        for queue in queues.iter().copied().filter(|queue| !open.is_in(*queue)) {
            attempt.in_flight += 1;
            self.volatile.last_token += 1;
            let token = self.volatile.last_token;
            self.volatile.flights.insert(token, Flight { record: open.record, queue });
            match queue {
                Queue::Corgi => {
                    let corgi =
                        self.volatile.corgi.as_mut().expect("Corgi's library runs while the process does");
                    corgi.send(now, token, open.record.source_partition(), open.record, effects);
                }
                Queue::Kafka => {
                    let route = self.route(&open.record);
                    let kafka =
                        self.volatile.kafka.as_mut().expect("only a NewClient hears of Kafka, and it has it");
                    kafka.send_by(now, token, route, open.record, effects);
                }
            }
        }
        self.volatile.attempts.insert(open.record.id, attempt);
    }

    /// A send came to its end.
    pub(super) fn landed(&mut self, now: Now, flight: Flight, outcome: SendOutcome, effects: &mut Effects) {
        let Flight { record, queue } = flight;
        if let SendOutcome::Acknowledged(partition, offset) = outcome {
            effects.record(Event::Acknowledged { record: record.id, queue, partition, offset });
            if let Some(open) = self.durable.outbox.find(&record) {
                match queue {
                    Queue::Corgi => open.in_corgi = true,
                    Queue::Kafka => open.in_kafka = true,
                }
            }
        }
        // A record that is settled already has no attempt: the other queue's answer came late.
        let Some(attempt) = self.volatile.attempts.get_mut(&record.id) else { return };
        attempt.in_flight -= 1;
        attempt.is_indeterminate |= outcome == SendOutcome::Indeterminate;
        attempt.is_too_large |= outcome == SendOutcome::TooLarge;
        let attempt = *attempt;
        let open = *self.durable.outbox.find(&record).expect("a record on its way is in the outbox");
        if open.is_settled(attempt.way, self.settings.dual_ack) {
            self.settle(&record);
        } else if attempt.in_flight > 0 {
            return;
        } else {
            self.failed(&open, attempt, effects);
        }
        self.send_due(now, record.source_partition(), effects);
    }

    fn settle(&mut self, record: &Record) {
        self.durable.outbox.remove(record);
        self.volatile.attempts.remove(&record.id);
    }

    fn failed(&mut self, open: &Open, attempt: Attempt, effects: &mut Effects) {
        let source = open.record.source_partition();
        let is_hopeless = attempt.is_too_large && self.settings.give_up_too_large;
        match self.settings.retry {
            Retry::Block if !is_hopeless => {
                self.volatile.attempts.remove(&open.record.id);
                self.volatile.resting.insert(source);
                effects.set_timer(Timer::new(RETRY, timer_index(source)), self.settings.retry_backoff);
            }
            Retry::Block | Retry::Skip => {
                self.settle(&open.record);
                given_up(open, attempt, effects);
            }
        }
    }
}

/// Say that a record was given up, unless one of the two queues has it: then it counts as acknowledged.
fn given_up(open: &Open, attempt: Attempt, effects: &mut Effects) {
    let record: RecordId = open.record.id;
    if open.in_corgi || open.in_kafka {
        return;
    }
    effects.record(match attempt.is_indeterminate {
        true => Event::Indeterminate { record },
        false => Event::Refused { record },
    });
}
