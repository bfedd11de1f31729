//! Giving a topic of Kafka more partitions, as `kafka-topics --alter --partitions` does: one request, which any broker passes on to
//! the controller. Its answer may be lost though it was done; a second try is then refused with INVALID_PARTITIONS
//! (recorded: partitions-added), and the topic's description shows that the count is there already.
//! Left out: on which brokers the new partitions are put, which Kafka chooses.

use crate::kafka::admin::AdminRequest;
use crate::kafka::protocol::{ErrorCode, Request};
use crate::operator::admin::Question;
use crate::record::{TopicId, TopicPartition};
use serde::Serialize;

/// How far a widening is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct KafkaWidening {
    topic: TopicId,
    /// How many partitions the topic is to have.
    count: u16,
    /// Kafka does not take the count: look how many there are.
    looking: bool,
    pub(super) done: bool,
    /// What went wrong last; until the next try nothing is asked.
    pub(super) trouble: Option<String>,
    pub(super) blocked: bool,
}

impl KafkaWidening {
    /// That topic is to have so many partitions.
    pub(super) fn new(topic: TopicId, count: u16) -> KafkaWidening {
        KafkaWidening { topic, count, looking: false, done: false, trouble: None, blocked: false }
    }

    /// Something went wrong: rest until the next try.
    pub(super) fn fail(&mut self, trouble: String) {
        self.trouble = Some(trouble);
        self.blocked = true;
    }

    /// What is to be asked now, if anything is.
    pub(super) fn next(&self) -> Option<(Question, Request)> {
        let KafkaWidening { topic, count, .. } = *self;
        if self.done || self.blocked {
            None
        } else if self.looking {
            Some((Question::Count(topic), Request::Metadata { topics: vec![topic] }))
        } else {
            let request = AdminRequest::CreatePartitions { topic, count, replicas: None };
            Some((Question::Widen(topic), Request::Admin(request)))
        }
    }

    /// The controller answered.
    pub(super) fn answered(&mut self, error: ErrorCode) {
        match error {
            ErrorCode::None => self.done = true,
            ErrorCode::InvalidPartitions => self.looking = true,
            _ => self.fail(format!("Kafka answers {error} when asked for more partitions")),
        }
    }

    /// A broker told which partitions there are. One that has not heard of it yet tells of too few: the next try asks again.
    pub(super) fn counted(&mut self, partitions: impl Iterator<Item = TopicPartition>) {
        let there = partitions.filter(|partition| partition.topic == self.topic).count();
        self.looking = false;
        if there >= usize::from(self.count) {
            self.done = true;
        } else {
            self.fail(format!("Kafka answers {} and has {there} partitions", ErrorCode::InvalidPartitions));
        }
    }
}
