//! Corgi's producer library. In the order of `send`, each partition by itself: later records wait behind a batch that
//! is tried again. Nothing tells the broker that an attempt repeats an earlier one, so a retry can store twice.

use super::corgi_producer_settings::{Accept, Settings};
use super::corgi_route::{Errand, Route};
use super::{Producer, SendOutcome};
use crate::corgi::protocol::{Refusal, Request, Response, SendStatus};
use crate::machine::{Effects, Input, Now, RequestId, RequestIds, Timer};
use crate::message::Message;
use crate::partition_map::PartitionMap;
use crate::record::{NodeId, Offset, Record, TopicId, TopicPartition};
use crate::units::{Span, Time};
use litemap::LiteMap;
use serde::Serialize;
use std::collections::VecDeque;

const WAKE: &str = "corgi-producer/wake";

/// The library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CorgiProducer {
    settings: Settings,
    name_service: NodeId,
    lane: u16,
    volatile: Volatile,
}

/// All that it holds, which ends with its process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Volatile {
    ids: RequestIds,
    route: Route,
    /// By partition; one that is empty is kept, for the memory that the next send needs.
    queues: PartitionMap<Queue>,
    /// The partition that each request on its way is for.
    asked: LiteMap<RequestId, TopicPartition>,
    outcomes: VecDeque<(u64, SendOutcome)>,
    unfinished: usize,
    /// When the timer runs out, if it is set.
    wake_at: Option<Time>,
}

/// The sends to one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Queue {
    /// On their way, or waiting to be tried again, the oldest first.
    batches: VecDeque<Batch>,
    waiting: VecDeque<Pending>,
    /// So many of those that wait go each by itself: one of them is too large, and took the others' batch with it.
    alone: usize,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.waiting.is_empty()
    }
}

/// One send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Pending {
    token: u64,
    record: Record,
    since: Time,
}

/// Some sends in one request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Batch {
    sends: Vec<Pending>,
    errand: Errand,
    to: Option<NodeId>,
    failures: u32,
    /// Whether an attempt may have been stored.
    may_be_stored: bool,
}

impl Batch {
    /// Whether its oldest send has waited for so long; never, where that is nothing.
    fn is_overdue(&self, now: Time, delivery_timeout: Span) -> bool {
        let oldest = self.sends.first();
        delivery_timeout > Span::ZERO && oldest.is_some_and(|send| now.since(send.since) >= delivery_timeout)
    }
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// It was not stored.
    NotStored,
    /// It may have been, or was, but not as the sender wants it.
    Unknown,
    /// It was not stored and never will be.
    Hopeless,
    /// The same, for its size.
    TooLarge,
}

impl CorgiProducer {
    /// A producer that asks that name service; `lane` tells its requests and timers from those of the process's other
    /// libraries.
    pub fn new(settings: Settings, lane: u16, name_service: NodeId) -> CorgiProducer {
        CorgiProducer { settings, name_service, lane, volatile: Volatile::default() }
    }

    fn timer(&self) -> Timer {
        Timer::new(WAKE, u64::from(self.lane))
    }

    /// Does whatever is due.
    fn drive(&mut self, now: Time, effects: &mut Effects) {
        let volatile = &mut self.volatile;
        volatile.route.drive(now, self.name_service, &mut volatile.ids, effects);
        // Driving a queue adds none, and takes none away.
        for place in 0..self.volatile.queues.len() {
            let queue = self.volatile.queues.at_place(place).filter(|(_, queue)| !queue.is_empty());
            if let Some((partition, _)) = queue {
                self.drive_queue(now, partition, effects);
            }
        }
        self.rearm(now, effects);
    }

    fn rearm(&mut self, now: Time, effects: &mut Effects) {
        let mut due = self.volatile.route.due();
        for queue in self.volatile.queues.values().filter(|queue| !queue.batches.is_empty()) {
            due = queue.batches.iter().fold(due, |due, batch| due.min(batch.errand.due()));
        }
        // Waking too early is harmless, so a timer is never put off.
        if due < Time::NEVER && self.volatile.wake_at.is_none_or(|at| due < at) {
            self.volatile.wake_at = Some(due);
            effects.set_timer(self.timer(), due.since(now));
        }
    }

    fn drive_queue(&mut self, now: Time, partition: TopicPartition, effects: &mut Effects) {
        self.fail_overdue(now, partition);
        let Some(queue) = self.volatile.queues.get_mut(partition) else { return };
        while !queue.waiting.is_empty() && queue.batches.len() < self.settings.max_in_flight.max(1) as usize {
            let most = if queue.alone > 0 { 1 } else { self.settings.batch_records.max(1) as usize };
            let most = queue.waiting.len().min(most);
            // Delayed records are in no batch with others.
            let plain = queue.waiting.iter().take(most).take_while(|send| !send.record.is_delayed());
            let count = plain.count().max(1);
            queue.alone = queue.alone.saturating_sub(1);
            let sends = queue.waiting.drain(..count).collect();
            let mut errand = Errand::IDLE;
            errand.hurry(now);
            queue.batches.push_back(Batch { sends, errand, to: None, failures: 0, may_be_stored: false });
        }
        let mut place = 0;
        while let Some(queue) = self.volatile.queues.get(partition) {
            let Some(batch) = queue.batches.get(place) else { break };
            if batch.errand.is_due(now) && !self.attempt(now, partition, place, effects) {
                // The batch was given up; the next one has its place now.
                continue;
            }
            place += 1;
        }
        if let Some(queue) = self.volatile.queues.get_mut(partition).filter(|queue| queue.is_empty()) {
            queue.alone = 0;
        }
    }

    /// Tries a batch. Returns whether it is still there.
    fn attempt(&mut self, now: Time, partition: TopicPartition, place: usize, effects: &mut Effects) -> bool {
        let volatile = &mut self.volatile;
        if !volatile.route.is_known() {
            // Not an attempt yet: nothing is known of where to send it.
            volatile.route.suspect(now);
            let batch = volatile.queues.get_mut(partition).and_then(|queue| queue.batches.get_mut(place));
            let Some(batch) = batch else { return false };
            if batch.is_overdue(now, self.settings.delivery_timeout) {
                return self.failed(now, partition, place, Failure::NotStored);
            }
            batch.errand.again_at(now + Span::secs(1));
            return true;
        }
        let Some(set) = volatile.route.set_of(partition) else {
            return self.failed(now, partition, place, Failure::Hopeless);
        };
        let Some((master, _)) = volatile.route.master(set) else {
            volatile.route.suspect(now);
            return self.failed(now, partition, place, Failure::NotStored);
        };
        let batch = volatile.queues.get_mut(partition).and_then(|queue| queue.batches.get_mut(place));
        let Some(batch) = batch else { return false };
        let id = volatile.ids.next_id();
        batch.errand.put(id, now, self.settings.send_timeout);
        batch.to = Some(master);
        volatile.asked.insert(id, partition);
        let records = batch.sends.iter().map(|send| send.record).collect();
        effects.send(master, Message::CorgiRequest(id, Box::new(Request::Send { partition, records })));
        true
    }

    /// An attempt failed: it is tried again, or given up. Returns whether the batch is still there.
    fn failed(&mut self, now: Time, partition: TopicPartition, place: usize, failure: Failure) -> bool {
        let settings = &self.settings;
        let Some(queue) = self.volatile.queues.get_mut(partition) else { return false };
        let Some(batch) = queue.batches.get_mut(place) else { return false };
        batch.may_be_stored |= failure == Failure::Unknown;
        let over = batch.is_overdue(now, settings.delivery_timeout);
        let spent = settings.retries.is_some_and(|retries| batch.failures >= retries);
        if matches!(failure, Failure::Hopeless | Failure::TooLarge) || over || spent {
            let Some(batch) = queue.batches.remove(place) else { return false };
            let outcome = match (batch.may_be_stored, failure) {
                (true, _) => SendOutcome::Indeterminate,
                (false, Failure::TooLarge) => SendOutcome::TooLarge,
                (false, _) => SendOutcome::Refused,
            };
            self.finish(&batch, |_| outcome);
            return false;
        }
        let doubled = settings.retry_backoff * (1 << batch.failures.min(16));
        batch.failures += 1;
        batch.errand.again_at(now + Span(doubled.0.min(settings.retry_backoff_max.0).max(1)));
        true
    }

    /// One of a batch's records is too large: they go again, each by itself.
    fn too_large(&mut self, now: Time, partition: TopicPartition, place: usize) {
        let Some(queue) = self.volatile.queues.get_mut(partition) else { return };
        let several = queue.batches.get(place).is_some_and(|batch| batch.sends.len() > 1);
        if !several {
            self.failed(now, partition, place, Failure::TooLarge);
        } else if let Some(batch) = queue.batches.remove(place) {
            queue.alone = queue.alone.max(batch.sends.len());
            batch.sends.into_iter().rev().for_each(|send| queue.waiting.push_front(send));
        }
    }

    fn finish(&mut self, batch: &Batch, outcome: impl Fn(usize) -> SendOutcome) {
        let told = batch.sends.iter().enumerate().map(|(place, send)| (send.token, outcome(place)));
        self.volatile.outcomes.extend(told);
        self.volatile.unfinished -= batch.sends.len();
    }

    fn fail_overdue(&mut self, now: Time, partition: TopicPartition) {
        self.fail_where(now, partition, |batch| batch.errand.is_overdue(now));
    }

    /// Attempts that nobody will answer any more failed, as far as is known.
    fn fail_where(&mut self, now: Time, partition: TopicPartition, which: impl Fn(&Batch) -> bool) {
        let mut place = 0;
        while let Some(batch) = self.volatile.queues.get(partition).and_then(|queue| queue.batches.get(place))
        {
            if which(batch) {
                if let Some(id) = batch.errand.question() {
                    self.volatile.asked.remove(&id);
                }
                self.volatile.route.suspect(now);
                if !self.failed(now, partition, place, Failure::Unknown) {
                    continue;
                }
            }
            place += 1;
        }
    }

    fn answered(&mut self, now: Time, id: RequestId, response: &Response) {
        let Some(partition) = self.volatile.asked.remove(&id) else { return };
        let Some(queue) = self.volatile.queues.get_mut(partition) else { return };
        let place = queue.batches.iter_mut().position(|batch| batch.errand.take(id, Time::NEVER).is_some());
        let Some(place) = place else { return };
        let accepts = self.settings.accept;
        match response {
            Response::Send { status, offset }
                if *status == SendStatus::Ok || accepts == Accept::AnyStatus =>
            {
                if let Some(batch) = queue.batches.remove(place) {
                    let at = |place: usize| SendOutcome::Acknowledged(partition, offset + place as Offset);
                    self.finish(&batch, at);
                }
            }
            Response::Refused(Refusal::TooLarge) => self.too_large(now, partition, place),
            Response::Refused(Refusal::UnknownPartition) => {
                self.failed(now, partition, place, Failure::Hopeless);
            }
            Response::Refused(Refusal::DiskFull) => {
                self.failed(now, partition, place, Failure::NotStored);
            }
            Response::Refused(Refusal::NotMaster) => {
                self.volatile.route.suspect(now);
                self.failed(now, partition, place, Failure::NotStored);
            }
            _ => {
                // Stored, but the slaves do not have it: perhaps this is no master any more.
                self.volatile.route.suspect(now);
                self.failed(now, partition, place, Failure::Unknown);
            }
        }
    }

    /// The route was told anew: what waits to be tried again need not wait where there is a master.
    fn follow_route(&mut self, now: Time, before: &Route) {
        let Volatile { route, queues, .. } = &mut self.volatile;
        for (partition, queue) in queues.iter_mut() {
            let master = |route: &Route| route.set_of(partition).and_then(|set| route.master(set));
            if !before.is_known() || (master(route).is_some() && master(route) != master(before)) {
                for batch in &mut queue.batches {
                    batch.errand.hurry(now);
                }
            }
        }
    }

    fn disconnected(&mut self, now: Time, node: NodeId) {
        self.volatile.route.disconnected(now, node == self.name_service);
        let partitions: Vec<TopicPartition> = self.volatile.queues.keys().collect();
        for partition in partitions {
            self.fail_where(now, partition, |batch| batch.errand.is_out() && batch.to == Some(node));
        }
    }
}

impl Producer for CorgiProducer {
    fn start(&mut self, now: Now, incarnation: u32, effects: &mut Effects) {
        let ids = RequestIds::new(incarnation, self.lane);
        self.volatile = Volatile { ids, ..Volatile::default() };
        self.drive(now.elapsed, effects);
    }

    fn step(&mut self, now: Now, input: &Input, effects: &mut Effects) -> bool {
        let now = now.elapsed;
        match input {
            Input::Timer(timer) if *timer == self.timer() => self.volatile.wake_at = None,
            Input::Message { message: Message::CorgiResponse(id, response), .. }
                if self.volatile.ids.issued(*id) =>
            {
                let is_route = matches!(**response, Response::Route { .. });
                let before = is_route.then(|| self.volatile.route.clone());
                if self.volatile.route.take(now, *id, response, self.settings.route_refresh) {
                    self.follow_route(now, &before.unwrap_or_default());
                } else {
                    self.answered(now, *id, response);
                }
            }
            Input::Disconnected(node) => {
                self.disconnected(now, *node);
                self.drive(now, effects);
                // Others may want to know as well.
                return false;
            }
            _ => return false,
        }
        self.drive(now, effects);
        true
    }

    fn send(
        &mut self,
        now: Now,
        token: u64,
        partition: TopicPartition,
        record: Record,
        effects: &mut Effects,
    ) {
        let pending = Pending { token, record, since: now.elapsed };
        self.volatile.queues.or_default(partition).waiting.push_back(pending);
        self.volatile.unfinished += 1;
        self.drive_queue(now.elapsed, partition, effects);
        self.rearm(now.elapsed, effects);
    }

    fn outcome(&mut self) -> Option<(u64, SendOutcome)> {
        self.volatile.outcomes.pop_front()
    }

    fn in_flight(&self) -> usize {
        self.volatile.unfinished
    }

    fn partitions(&self, topic: TopicId) -> Option<u16> {
        self.volatile.route.partitions(topic)
    }
}

#[cfg(test)]
mod tests;
