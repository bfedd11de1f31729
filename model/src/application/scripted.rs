//! Client libraries that do what a test tells them, and remember what they were asked.

use crate::client::{Assigned, Consumer, Producer, Received, SendOutcome};
use crate::machine::{Effects, Input, Now};
use crate::record::{Offset, Record, TopicId, TopicPartition};
use serde::Serialize;
use std::collections::VecDeque;

/// What a library was asked, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Asked {
    Start(u32),
    Release,
    Commit(Vec<(TopicPartition, Offset)>),
    Pause,
    Resume,
    Close,
    Seek(TopicPartition, Offset),
    Send(u64, TopicPartition, Record),
}

/// A consumer library whose assignments and records come from the test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ScriptedConsumer {
    pub asked: Vec<Asked>,
    pub changes: VecDeque<Assigned>,
    pub buffered: VecDeque<Received>,
    pub unanswered_commits: bool,
    /// Counts the assignments of which `changes` tell.
    pub assignments: u64,
    /// The partitions whose commits are acknowledged.
    pub acknowledged: Vec<TopicPartition>,
}

impl Consumer for ScriptedConsumer {
    fn start(&mut self, _now: Now, incarnation: u32, _effects: &mut Effects) {
        self.asked.push(Asked::Start(incarnation));
    }

    fn step(&mut self, _now: Now, _input: &Input, _effects: &mut Effects) -> bool {
        false
    }

    fn assigned(&mut self) -> Option<Assigned> {
        let change = self.changes.pop_front();
        if let Some(Assigned::Revoked(partitions) | Assigned::Lost(partitions)) = &change {
            self.buffered.retain(|received| !partitions.contains(&received.partition));
        }
        change
    }

    fn release(&mut self, _now: Now, _effects: &mut Effects) {
        self.asked.push(Asked::Release);
    }

    fn receive(&mut self, _now: Now, _effects: &mut Effects) -> Option<Received> {
        self.buffered.pop_front()
    }

    fn receive_from(
        &mut self,
        _now: Now,
        partition: TopicPartition,
        _effects: &mut Effects,
    ) -> Option<Received> {
        let place = self.buffered.iter().position(|received| received.partition == partition)?;
        self.buffered.remove(place)
    }

    fn commit(&mut self, _now: Now, offsets: &[(TopicPartition, Offset)], _effects: &mut Effects) {
        self.asked.push(Asked::Commit(offsets.to_vec()));
    }

    fn committing(&self) -> bool {
        self.unanswered_commits
    }

    fn assignment(&self) -> Vec<TopicPartition> {
        Vec::new()
    }

    fn assignments(&self) -> u64 {
        self.assignments
    }

    fn pause(&mut self, _now: Now, _effects: &mut Effects) {
        self.asked.push(Asked::Pause);
    }

    fn resume(&mut self, _now: Now, _effects: &mut Effects) {
        self.asked.push(Asked::Resume);
    }

    fn seek(&mut self, _now: Now, partition: TopicPartition, offset: Offset, _effects: &mut Effects) -> bool {
        self.asked.push(Asked::Seek(partition, offset));
        self.buffered.retain(|received| received.partition != partition);
        true
    }

    fn watch_commit(&mut self, partition: TopicPartition) {
        self.acknowledged.retain(|acknowledged| *acknowledged != partition);
    }

    fn watched_commit_is_acknowledged(&self, partition: TopicPartition) -> bool {
        self.acknowledged.contains(&partition)
    }

    fn close(&mut self, _now: Now, _effects: &mut Effects) {
        self.asked.push(Asked::Close);
    }
}

/// A producer library whose outcomes come from the test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ScriptedProducer {
    pub asked: Vec<Asked>,
    pub outcomes: VecDeque<(u64, SendOutcome)>,
    /// How many partitions each topic has, if that is told.
    pub partitions: Option<u16>,
}

impl Producer for ScriptedProducer {
    fn start(&mut self, _now: Now, incarnation: u32, _effects: &mut Effects) {
        self.asked.push(Asked::Start(incarnation));
    }

    fn step(&mut self, _now: Now, _input: &Input, _effects: &mut Effects) -> bool {
        false
    }

    fn send(
        &mut self,
        _now: Now,
        token: u64,
        partition: TopicPartition,
        record: Record,
        _effects: &mut Effects,
    ) {
        self.asked.push(Asked::Send(token, partition, record));
    }

    fn outcome(&mut self) -> Option<(u64, SendOutcome)> {
        self.outcomes.pop_front()
    }

    fn in_flight(&self) -> usize {
        0
    }

    fn partitions(&self, _topic: TopicId) -> Option<u16> {
        self.partitions
    }
}
