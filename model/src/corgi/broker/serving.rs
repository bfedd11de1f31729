//! What a master does for producers and readers: store and show.

use super::{
    Ask, Broker, DEADLINE, GroupId, Offset, ParkedPull, Refusal, Response, Time, TopicPartition, WaitingSend,
};
use crate::corgi::log::Entry;
use crate::corgi::protocol::SendStatus;
use crate::corgi::settings::{BeyondEnd, Replication, Visible};
use crate::machine::Effects;
use crate::record::Record;

impl Broker {
    fn serves(&self, partition: TopicPartition) -> Result<(), Refusal> {
        if !self.is_master() {
            return Err(Refusal::NotMaster);
        }
        if self.set_of(partition) != Some(self.set) {
            return Err(Refusal::UnknownPartition);
        }
        Ok(())
    }

    /// Stores records. In each of the three answers they are stored (e1).
    pub(super) fn store(
        &mut self,
        now: Time,
        ask: Ask,
        partition: TopicPartition,
        records: Vec<Record>,
        effects: &mut Effects,
    ) {
        if let Err(refusal) = self.serves(partition) {
            return ask.refuse(refusal, effects);
        }
        if self.volatile.disk_is_full {
            return ask.refuse(Refusal::DiskFull, effects);
        }
        if records.iter().any(|record| u64::from(record.bytes) > self.settings.max_record_bytes.0) {
            return ask.refuse(Refusal::TooLarge, effects);
        }
        let before = self.durable.log.end();
        let mut first = None;
        for record in records {
            let due = self.due(now, &record);
            let entry = Entry { epoch: self.durable.epoch, partition, record, due };
            let offset = self.durable.log.append(entry);
            first.get_or_insert(offset);
            if due.is_some() {
                self.arm_due(now, effects);
            }
        }
        let offset = first.unwrap_or_else(|| self.durable.log.partition_end(partition));
        self.note_files(now);
        let position = self.durable.log.end();
        self.drop_silent(now, effects);
        let wanted = self.settings.replication;
        if wanted == Replication::None {
            ask.answer(Response::Send { status: SendStatus::Ok, offset }, effects);
            self.advance(effects);
        } else if self.volatile.master.followers.len() < wanted.slaves() {
            ask.answer(Response::Send { status: SendStatus::SlaveNotAvailable, offset }, effects);
        } else {
            let deadline = now + self.settings.replica_wait;
            self.volatile.master.waiting.push_back(WaitingSend { ask, position, offset, deadline });
            self.arm_deadline(now, deadline, effects);
        }
        if self.settings.visible == Visible::Stored {
            self.show(before, position, effects);
        }
        self.push(effects);
    }

    /// Answers the sends that as many slaves have as wanted.
    pub(super) fn answer_sends(&mut self, effects: &mut Effects) {
        let reached = self.volatile.master.acknowledged;
        let waiting = &mut self.volatile.master.waiting;
        let count = waiting.partition_point(|send| send.position <= reached);
        for send in waiting.drain(..count) {
            send.ask.answer(Response::Send { status: SendStatus::Ok, offset: send.offset }, effects);
        }
    }

    /// Before which position readers are shown records.
    fn shown_before(&self) -> u64 {
        match self.settings.visible {
            Visible::Stored => self.durable.log.end(),
            Visible::Acknowledged => self.volatile.master.acknowledged,
        }
    }

    /// Reads, or waits for something to read.
    pub(super) fn pull(
        &mut self,
        now: Time,
        ask: Ask,
        (group, partition, offset, max_records): (GroupId, TopicPartition, Offset, u32),
        effects: &mut Effects,
    ) {
        if let Err(refusal) = self.serves(partition) {
            return ask.refuse(refusal, effects);
        }
        if !self.reads(partition) {
            return ask.refuse(Refusal::UnknownPartition, effects);
        }
        let end = self.durable.log.partition_end(partition);
        let start = self.durable.log.partition_start(partition);
        if offset < start {
            // Deleted, and nobody says so (e10).
            return ask.answer(Response::Moved { offset: start }, effects);
        }
        if offset > end {
            // Beyond what is stored, not merely beyond what is shown (e5, e12).
            let offset = if self.settings.beyond_end == BeyondEnd::End { end } else { start };
            return ask.answer(Response::Moved { offset }, effects);
        }
        // An instance asks once at a time; an earlier question that still waits was given up by it.
        let parked = self.volatile.master.parked.or_default(partition);
        parked.retain(|pull| pull.ask.from != ask.from || pull.group != group);
        let pull = ParkedPull { ask, group, offset, max_records, deadline: now + self.settings.pull_wait };
        if !self.answer_pull(partition, &pull, false, effects) {
            self.volatile.master.parked.or_default(partition).push(pull);
            self.arm_deadline(now, pull.deadline, effects);
        }
    }

    /// Answers a pull if there is something to show, or else if it must be answered now. Returns whether it did.
    fn answer_pull(
        &self,
        partition: TopicPartition,
        pull: &ParkedPull,
        must: bool,
        effects: &mut Effects,
    ) -> bool {
        let at_most = pull.max_records.max(1) as usize;
        let records = self.durable.log.read(partition, pull.offset, self.shown_before(), at_most);
        if records.is_empty() && !must {
            return false;
        }
        pull.ask.answer(Response::Pull { offset: pull.offset, records }, effects);
        true
    }

    /// Entries between two positions are shown from now on: answers the pulls that wait for them.
    pub(super) fn show(&mut self, from: u64, to: u64, effects: &mut Effects) {
        if self.volatile.master.parked.is_empty() {
            return;
        }
        let shown = self.durable.log.from(from, (to - from) as usize);
        let mut partitions: Vec<TopicPartition> = shown.iter().map(|entry| entry.partition).collect();
        partitions.sort_unstable();
        partitions.dedup();
        for partition in partitions {
            let parked = self.volatile.master.parked.get_mut(partition).map(std::mem::take);
            let Some(mut parked) = parked.filter(|parked| !parked.is_empty()) else { continue };
            parked.retain(|pull| !self.answer_pull(partition, pull, false, effects));
            // Where none is left, the row is kept for its memory: the next pull comes at once.
            self.volatile.master.parked.insert(partition, parked);
        }
    }

    /// Has the deadline timer run out at that time at the latest. It is never put off: running out early is harmless.
    fn arm_deadline(&mut self, now: Time, at: Time, effects: &mut Effects) {
        if self.volatile.master.deadline.is_none_or(|armed| at < armed) {
            self.volatile.master.deadline = Some(at);
            effects.set_timer(DEADLINE, at.since(now));
        }
    }

    /// Answers sends that waited for the slaves too long, and pulls that waited for a record too long.
    pub(super) fn meet_deadlines(&mut self, now: Time, effects: &mut Effects) {
        self.volatile.master.deadline = None;
        let waiting = &mut self.volatile.master.waiting;
        let overdue = waiting.partition_point(|send| send.deadline <= now);
        for send in waiting.drain(..overdue) {
            let status = SendStatus::FlushSlaveTimeout;
            send.ask.answer(Response::Send { status, offset: send.offset }, effects);
        }
        let mut parked = std::mem::take(&mut self.volatile.master.parked);
        for (partition, pulls) in parked.iter_mut() {
            pulls.retain(|pull| pull.deadline > now || !self.answer_pull(partition, pull, true, effects));
        }
        let pulls = parked.values().flatten().map(|pull| pull.deadline);
        let sends = self.volatile.master.waiting.front().map(|send| send.deadline);
        let next = pulls.chain(sends).min();
        self.volatile.master.parked = parked;
        if let Some(next) = next {
            self.arm_deadline(now, next, effects);
        }
    }
}
