//! A consumer and a producer that do just what a test says, and remember what they were asked.

use crate::client::{Assigned, Consumer, Producer, Received, SendOutcome};
use crate::machine::{Effects, Input, Now};
use crate::record::{Offset, Record, RecordId, TopicPartition};
use serde::Serialize;
use std::collections::VecDeque;

/// A record of a source partition, with its offset as its sequence.
pub(super) fn received(partition: TopicPartition, offset: Offset) -> Received {
    let id = RecordId { producer: u32::from(partition.partition), sequence: offset as u32 };
    let record = Record {
        id,
        topic: partition.topic,
        source: partition.partition,
        bytes: 100,
        copied_from: -1,
        delay: crate::units::Span::ZERO,
        ..Record::default()
    };
    Received { partition, offset, record }
}

/// Hands out what a test has put into it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct FakeCorgi {
    pub lives: Vec<u32>,
    pub assigned: VecDeque<Assigned>,
    pub records: VecDeque<Received>,
    pub commits: Vec<Vec<(TopicPartition, Offset)>>,
    /// Whether the last commit is not answered yet.
    pub committing: bool,
    /// Whether commits wait for a test to answer them.
    pub slow_commits: bool,
    /// Commits that were acknowledged and not taken.
    pub acknowledged: VecDeque<(TopicPartition, Offset)>,
    /// Where it was told to go on.
    pub sought: Vec<(TopicPartition, Offset)>,
    pub releases: u32,
    pub closes: u32,
}

impl FakeCorgi {
    /// What a test hands out anew is read from where the worker went on last.
    fn drop_what_lies_before(&mut self) {
        let start = |at: TopicPartition| self.sought.iter().rev().find(|(partition, _)| *partition == at);
        let lies_behind = |received: &Received| {
            start(received.partition).is_none_or(|(_, offset)| received.offset >= *offset)
        };
        self.records.retain(lies_behind);
    }

    /// All commits are answered.
    pub(super) fn answer(&mut self) {
        self.committing = false;
        self.acknowledged.extend(self.commits.iter().flatten());
    }
}

impl Consumer for FakeCorgi {
    fn start(&mut self, _: Now, incarnation: u32, _: &mut Effects) {
        self.lives.push(incarnation);
    }

    fn step(&mut self, _: Now, _: &Input, _: &mut Effects) -> bool {
        false
    }

    fn assigned(&mut self) -> Option<Assigned> {
        self.assigned.pop_front()
    }

    fn release(&mut self, _: Now, _: &mut Effects) {
        self.releases += 1;
    }

    fn receive(&mut self, _: Now, _: &mut Effects) -> Option<Received> {
        self.drop_what_lies_before();
        self.records.pop_front()
    }

    fn receive_from(&mut self, _: Now, partition: TopicPartition, _: &mut Effects) -> Option<Received> {
        self.drop_what_lies_before();
        let place = self.records.iter().position(|received| received.partition == partition)?;
        self.records.remove(place)
    }

    fn commit(&mut self, _: Now, offsets: &[(TopicPartition, Offset)], _: &mut Effects) {
        self.commits.push(offsets.to_vec());
        self.committing = self.slow_commits;
        if !self.slow_commits {
            self.acknowledged.extend(offsets);
        }
    }

    fn acknowledged_commit(&mut self) -> Option<(TopicPartition, Offset)> {
        self.acknowledged.pop_front()
    }

    fn seek(&mut self, _: Now, partition: TopicPartition, offset: Offset, _: &mut Effects) -> bool {
        self.sought.push((partition, offset));
        true
    }

    fn committing(&self) -> bool {
        self.committing
    }

    fn assignment(&self) -> Vec<TopicPartition> {
        Vec::new()
    }

    fn pause(&mut self, _: Now, _: &mut Effects) {}

    fn resume(&mut self, _: Now, _: &mut Effects) {}

    fn close(&mut self, _: Now, _: &mut Effects) {
        self.closes += 1;
    }
}

/// Keeps what it is sent until a test says how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct FakeKafka {
    pub sent: Vec<(u64, TopicPartition, Record)>,
    pub outcomes: VecDeque<(u64, SendOutcome)>,
}

impl FakeKafka {
    /// The outcome of the oldest send of that source offset.
    pub(super) fn settle(&mut self, offset: Offset, outcome: SendOutcome) {
        let place = self.sent.iter().position(|(_, _, record)| record.copied_from == offset).unwrap();
        let (token, ..) = self.sent.remove(place);
        self.outcomes.push_back((token, outcome));
    }

    /// The source offsets of what is with the producer, in the order of the sends.
    pub(super) fn offsets(&self) -> Vec<Offset> {
        self.sent.iter().map(|(_, _, record)| record.copied_from).collect()
    }
}

impl Producer for FakeKafka {
    fn start(&mut self, _: Now, _: u32, _: &mut Effects) {}

    fn step(&mut self, _: Now, _: &Input, _: &mut Effects) -> bool {
        false
    }

    fn send(&mut self, _: Now, token: u64, partition: TopicPartition, record: Record, _: &mut Effects) {
        self.sent.push((token, partition, record));
    }

    fn outcome(&mut self) -> Option<(u64, SendOutcome)> {
        self.outcomes.pop_front()
    }

    fn in_flight(&self) -> usize {
        self.sent.len()
    }
}
