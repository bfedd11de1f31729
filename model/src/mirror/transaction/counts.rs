//! How many partitions the target's topics have, by what a broker told last: asked before the first record of a topic, as the real
//! producer waits for metadata, and again when that is old (`metadata.max.age.ms`). Until then a topic that was widened is as
//! wide as it was (java-client 8).
//! Left out: a topic that is made while the mirror runs.

use super::conversation::{Conversation, Party, Switchboard, Talk};
use crate::kafka::protocol::{Request, Response};
use crate::machine::{Effects, RequestId};
use crate::record::{NodeId, TopicId};
use crate::units::Time;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is known, and what is being asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    known: BTreeMap<TopicId, u16>,
    /// Everything that was ever asked for.
    topics: BTreeSet<TopicId>,
    /// When what is known is too old.
    expires: Option<Time>,
    conversation: Conversation,
}

impl Counts {
    /// How many partitions a topic has; if nobody has told, it is asked.
    pub(super) fn of(&mut self, now: Time, topic: TopicId) -> Option<u16> {
        let count = self.known.get(&topic).copied();
        if count.is_none() && self.topics.insert(topic) {
            self.conversation.talk = Talk::Due(now);
        }
        count
    }

    /// When it needs attention next.
    pub(super) fn wakes_at(&self) -> Time {
        self.conversation.wakes_at().min(self.expires.unwrap_or(Time::NEVER))
    }
}

impl Switchboard {
    /// Ask any broker, if that is due.
    pub(super) fn ask_cluster(&mut self, now: Time, effects: &mut Effects) {
        if self.counts.expires.is_some_and(|at| at <= now) {
            self.counts.expires = None;
            self.counts.conversation.wish(now);
        }
        if let Some(node) = self.counts.conversation.overdue(now) {
            self.forget(node);
            self.counts.conversation.talk = Talk::Due(now);
        }
        if self.counts.conversation.is_due(now) {
            let request = Request::Metadata { topics: self.counts.topics.iter().copied().collect() };
            let mut conversation = self.counts.conversation.clone();
            self.ask(now, Party::Cluster, &mut conversation, (None, request), effects);
            self.counts.conversation = conversation;
        }
    }

    /// A broker told of the topics. One that does not know them all is asked again.
    pub(super) fn cluster_answered(&mut self, now: Time, id: RequestId, response: &Response) {
        let Response::Metadata { partitions, .. } = response else { return };
        if !self.counts.conversation.awaits(id) {
            return;
        }
        self.learn_leaders(response);
        let counts = &mut self.counts;
        for topic in &counts.topics {
            let told = partitions.iter().filter(|told| told.partition.topic == *topic).count();
            if let Some(count) = u16::try_from(told).ok().filter(|count| *count > 0) {
                counts.known.insert(*topic, count);
            }
        }
        if counts.topics.iter().all(|topic| counts.known.contains_key(topic)) {
            counts.conversation.settle();
            counts.expires = Some(now + self.settings.kafka.metadata_max_age);
        } else {
            counts.conversation.ask_again(now, &self.settings);
        }
    }

    /// A connection broke.
    pub(super) fn cluster_disconnected(&mut self, now: Time, node: NodeId) {
        if matches!(self.counts.conversation.talk, Talk::Asked { to, .. } if to == node) {
            self.counts.conversation.ask_again(now, &self.settings);
        }
    }
}
