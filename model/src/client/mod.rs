//! The client libraries: Corgi's and Kafka's consumers and producers as embeddable machines. An application, a
//! mirror worker or the NewClient owns them, hands them its inputs, and takes what they hand out.
//!
//! A library never calls back: what it has to say is queued in it as plain data and taken by its owner after each
//! call. It sends and sets timers through the owner's effects. Its timers' names begin with the library's name.

pub mod corgi_consumer;
pub mod corgi_consumer_settings;
pub mod corgi_producer;
pub mod corgi_producer_settings;
mod corgi_route;
pub mod kafka_consumer;
pub mod kafka_consumer_settings;
#[cfg(test)]
mod kafka_dialogue;
mod kafka_metadata;
mod kafka_network;
pub mod kafka_producer;
pub mod kafka_producer_settings;
pub mod partition_hash;

pub use corgi_consumer::CorgiConsumer;
pub use corgi_producer::CorgiProducer;
pub use kafka_consumer::KafkaConsumer;
pub use kafka_producer::KafkaProducer;

use crate::machine::{Effects, Input, Now};
use crate::mirror::PartitionMap;
use crate::record::{Offset, Record, TopicId, TopicPartition};
use serde::Serialize;

/// A record on its way to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Received {
    /// The partition that it was read from, in the queue of that library.
    pub partition: TopicPartition,
    /// Its offset there.
    pub offset: Offset,
    /// The record.
    pub record: Record,
}

/// What a consumer library tells its owner, besides records.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Assigned {
    /// These partitions are the owner's from now on, to be read from there.
    Granted(Vec<(TopicPartition, Offset)>),
    /// These are taken away in good order: what was processed of them may still be committed by the call in which
    /// this is taken; afterwards they belong to somebody else. Buffered records of theirs are dropped by the library.
    Revoked(Vec<TopicPartition>),
    /// These were lost: somebody else may have them already, and nothing can be committed for them any more.
    Lost(Vec<TopicPartition>),
}

/// A consumer library, Corgi's or Kafka's.
///
/// The owner calls `step` with each input that is not its own (messages of the library's protocol, timers that
/// begin with the library's name, broken connections), then takes `assigned` until there is none, then `received`.
pub trait Consumer {
    /// Start, in that life of the process; the consumer joins its group.
    fn start(&mut self, now: Now, incarnation: u32, effects: &mut Effects);

    /// Take an input. Returns whether it was this library's.
    fn step(&mut self, now: Now, input: &Input, effects: &mut Effects) -> bool;

    /// The oldest assignment change that the owner has not taken. In good order a rebalance waits until the owner
    /// has taken a `Revoked` and has called [`Consumer::release`] for it.
    fn assigned(&mut self) -> Option<Assigned>;

    /// Whether there is surely nothing to take, neither of the assignment nor a record, and asking would change nothing: an
    /// owner asks after each of its own inputs, and mostly in vain.
    fn is_quiet(&self) -> bool {
        false
    }

    /// The owner has finished with (processed or dropped, and committed) revoked partitions: the library goes on with
    /// the rebalance.
    fn release(&mut self, now: Now, effects: &mut Effects);

    /// The next record of a partition that is assigned and not paused, if one is buffered; the library fetches ahead
    /// of it. Records of one partition come in the order of their offsets.
    fn receive(&mut self, now: Now, effects: &mut Effects) -> Option<Received>;

    /// Like [`Consumer::receive`], from that partition alone.
    fn receive_from(
        &mut self,
        now: Now,
        partition: TopicPartition,
        effects: &mut Effects,
    ) -> Option<Received>;

    /// Commit: the next offset to read of each partition. Asynchronous; the last one issued wins.
    fn commit(&mut self, now: Now, offsets: &[(TopicPartition, Offset)], effects: &mut Effects);

    /// Whether commits are still unanswered.
    fn committing(&self) -> bool;

    /// The partitions that are assigned now.
    fn assignment(&self) -> Vec<TopicPartition>;

    /// Counts the assignments that the group has given: one may be told piece by piece, as it becomes known from where each
    /// partition is read. Corgi's has one for all: what its client pauses it pauses as a whole.
    fn assignments(&self) -> u64 {
        0
    }

    /// Hand out no more records of any partition, also of those that come later, until resumed.
    fn pause(&mut self, now: Now, effects: &mut Effects);

    /// Hand out records again.
    fn resume(&mut self, now: Now, effects: &mut Effects);

    /// Go on at that offset of an assigned partition. Returns whether it could: only in a partition that is assigned. The
    /// position lasts until the next rebalance unless it is committed.
    fn seek(
        &mut self,
        _now: Now,
        _partition: TopicPartition,
        _offset: Offset,
        _effects: &mut Effects,
    ) -> bool {
        false
    }

    /// Remember the answer to the next commit of that partition, in place of the one remembered before.
    fn watch_commit(&mut self, _partition: TopicPartition) {}

    /// Whether a commit of a watched partition was acknowledged since it was watched.
    fn watched_commit_is_acknowledged(&self, _partition: TopicPartition) -> bool {
        false
    }

    /// From now on remember which commits are acknowledged, for [`Consumer::acknowledged_commit`].
    fn report_commits(&mut self) {}

    /// A commit that was acknowledged and that the owner has not taken, the oldest first. A commit that is refused, or whose
    /// answer is lost, is none.
    fn acknowledged_commit(&mut self) -> Option<(TopicPartition, Offset)> {
        None
    }

    /// Leave the group in good order: after this the library is silent. The owner has committed before.
    fn close(&mut self, now: Now, effects: &mut Effects);
}

/// How a send ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum SendOutcome {
    /// Acknowledged at that place.
    Acknowledged(TopicPartition, Offset),
    /// Definitely refused: the record is in no log.
    Refused,
    /// The same, and it would be refused again: it is larger than what the queue takes.
    TooLarge,
    /// Given up: the record may be in the log, or appear there later.
    Indeterminate,
}

/// How the partition of a record is found: by a map over as many as its topic has, which the library knows better than its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// The map.
    pub map: PartitionMap,
    /// The partition that the record comes from; its topic is the one that is written.
    pub source: TopicPartition,
    /// The number of the batch, for a map that scatters.
    pub counter: u64,
    /// How many partitions the topic had when everything began, for as long as nobody was told.
    pub at_first: u16,
}

impl Route {
    /// The record's partition among so many.
    pub fn target(&self, record: &Record, count: u16) -> TopicPartition {
        let partition = self.map.target(record, self.source, count, self.counter);
        TopicPartition { topic: self.source.topic, partition }
    }
}

/// A producer library, Corgi's or Kafka's. It batches, retries and gives up as its settings say.
pub trait Producer {
    /// Start, in that life of the process.
    fn start(&mut self, now: Now, incarnation: u32, effects: &mut Effects);

    /// Take an input. Returns whether it was this library's.
    fn step(&mut self, now: Now, input: &Input, effects: &mut Effects) -> bool;

    /// Send a record to that partition. The owner's `token` comes back with the outcome.
    fn send(
        &mut self,
        now: Now,
        token: u64,
        partition: TopicPartition,
        record: Record,
        effects: &mut Effects,
    );

    /// Send a record to the partition that a route gives, among as many as the topic has by what the library knows when it
    /// takes the record in.
    fn send_by(&mut self, now: Now, token: u64, route: Route, record: Record, effects: &mut Effects) {
        let count = self.partitions(route.source.topic).unwrap_or(route.at_first);
        self.send(now, token, route.target(&record, count), record, effects);
    }

    /// The oldest outcome that the owner has not taken.
    fn outcome(&mut self) -> Option<(u64, SendOutcome)>;

    /// Sends whose outcome is not known yet.
    fn in_flight(&self) -> usize;

    /// How many partitions a topic has by what the library was told last; none where it was told nothing, or leaves the
    /// counting to its owner.
    fn partitions(&self, _topic: TopicId) -> Option<u16> {
        None
    }
}
