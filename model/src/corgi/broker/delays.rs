//! Delayed records: the master keeps them apart, in the log and in no partition, and stores each in its partition when it
//! is due (e8). Only then it has an offset, and only then anybody can read it: the mirror neither.
//!
//! RocketMQ has eighteen levels of delay with a queue each; here they wait in one queue, in the order in which they are due.

use super::{
    Ask, Broker, DUE, Effects, Event, FLUSH_DELAYS, NodeId, Offset, Refusal, Response, Role, Span, Time,
    TopicPartition,
};
use crate::corgi::log::{Entry, Waiting};
use crate::corgi::settings::Visible;
use crate::record::{Record, RecordId};
use crate::report::Delayed;
use serde::Serialize;
use std::collections::VecDeque;

/// How soon a master with a full disk tries again.
const FULL_WAIT: Span = Span::secs(1);

/// How far a master is with its delayed records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Delays {
    /// The last that it has stored in its partition.
    stored: Waiting,
    /// The last of which as many slaves as wanted have that.
    confirmed: Waiting,
    /// Those between the two.
    unconfirmed: VecDeque<Stored>,
    /// When the timer runs out, if it is set.
    armed: Option<Time>,
    flush_is_due: bool,
}

/// A record that was due and is in its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Stored {
    waited: Waiting,
    /// The position behind its entry.
    position: u64,
    record: RecordId,
    partition: TopicPartition,
    offset: Offset,
}

impl Broker {
    /// How many records are not due yet.
    pub(super) fn delayed(&self) -> Delayed {
        let log = &self.durable.log;
        let waits = self.is_master() && log.knows_delays();
        Delayed(if waits { log.waiting_after(self.volatile.master.delays.stored).count() as u64 } else { 0 })
    }

    /// A new master goes on where it knows that its predecessor was.
    pub(super) fn begin_delays(&mut self, now: Time, effects: &mut Effects) {
        let stored = self.durable.delays_stored;
        self.volatile.master.delays = Delays { stored, confirmed: stored, ..Delays::default() };
        self.arm_due(now, effects);
    }

    /// When a record that is stored now is due, if it is to wait.
    pub(super) fn due(&self, now: Time, record: &Record) -> Option<Time> {
        record.is_delayed().then(|| now + record.delay)
    }

    /// Has the timer run out when the next record is due.
    pub(super) fn arm_due(&mut self, now: Time, effects: &mut Effects) {
        if !self.durable.log.knows_delays() {
            return;
        }
        let delays = &mut self.volatile.master.delays;
        let Some((due, _)) = self.durable.log.waiting_after(delays.stored).next() else { return };
        if delays.armed.is_none_or(|armed| due < armed) {
            delays.armed = Some(due);
            effects.set_timer(DUE, due.since(now));
        }
    }

    /// Stores in their partitions the records that are due.
    pub(super) fn store_due(&mut self, now: Time, effects: &mut Effects) {
        if !self.is_master() {
            return;
        }
        self.volatile.master.delays.armed = None;
        if self.volatile.disk_is_full {
            self.volatile.master.delays.armed = Some(now + FULL_WAIT);
            effects.set_timer(DUE, FULL_WAIT);
            return;
        }
        let before = self.durable.log.end();
        let waiting = self.durable.log.waiting_after(self.volatile.master.delays.stored);
        let due: Vec<Waiting> = waiting.take_while(|(due, _)| *due <= now).collect();
        for waited in due {
            let Some(entry) = self.durable.log.entry(waited.1).copied() else { continue };
            let entry = Entry { epoch: self.durable.epoch, due: None, ..entry };
            let offset = self.durable.log.append(entry);
            let (record, partition, position) = (entry.record.id, entry.partition, self.durable.log.end());
            let delays = &mut self.volatile.master.delays;
            delays.stored = waited;
            delays.unconfirmed.push_back(Stored { waited, position, record, partition, offset });
        }
        let end = self.durable.log.end();
        if end > before {
            self.note_files(now);
            self.advance(effects);
            if self.settings.visible == Visible::Stored {
                self.show(before, end, effects);
            }
            self.push(effects);
        }
        self.arm_due(now, effects);
    }

    /// The slaves have everything up to there: what was due and lies before it can be read now.
    pub(super) fn confirm_delays(&mut self, reached: u64, effects: &mut Effects) {
        let delays = &mut self.volatile.master.delays;
        while let Some(first) = delays.unconfirmed.front().filter(|first| first.position <= reached) {
            delays.confirmed = first.waited;
            let (record, partition, offset) = (first.record, first.partition, first.offset);
            effects.record(Event::Due { record, partition, offset });
            delays.unconfirmed.pop_front();
            if !delays.flush_is_due {
                delays.flush_is_due = true;
                effects.set_timer(FLUSH_DELAYS, self.settings.delay_flush_interval);
            }
        }
    }

    pub(super) fn flush_delays(&mut self) {
        if self.is_master() {
            self.volatile.master.delays.flush_is_due = false;
            self.durable.delays_stored = self.volatile.master.delays.confirmed;
        }
    }

    // Apart from the log, as the offsets.

    pub(super) fn copy_delays(&mut self, master: NodeId, effects: &mut Effects) {
        if self.durable.log.knows_delays() {
            self.ask(master, super::Request::CopyDelays, effects);
        }
    }

    pub(super) fn tell_delays(&self, ask: Ask, effects: &mut Effects) {
        if !self.is_master() {
            return ask.refuse(Refusal::NotMaster, effects);
        }
        ask.answer(Response::CopyDelays { stored: self.volatile.master.delays.confirmed }, effects);
    }

    pub(super) fn take_delays(&mut self, from: NodeId, stored: Waiting) {
        if self.durable.role == Role::Slave(Some(from)) {
            self.durable.delays_stored = stored;
        }
    }
}
