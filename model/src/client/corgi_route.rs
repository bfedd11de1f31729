//! What Corgi's clients know of where the masters are: asked of the name service every so often, and at once, but
//! not more than once a second, after an error that suggests that it is wrong.

use crate::corgi::protocol::{Epoch, Request, Response};
use crate::corgi::wiring::{Topic, set_of};
use crate::machine::{Effects, RequestId, RequestIds};
use crate::message::Message;
use crate::record::{NodeId, TopicId, TopicPartition};
use crate::units::{Span, Time};
use serde::Serialize;

/// How long an answer of the name service is waited for.
const ANSWER_WAIT: Span = Span::secs(3);
/// How often the name service is asked at most.
const LEAST_INTERVAL: Span = Span::secs(1);

/// Something that is asked, answered or not, and done again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Errand {
    /// The question that is out.
    asked: Option<RequestId>,
    /// When it was asked.
    asked_at: Time,
    /// When the answer is overdue, or, with no question out, when to ask.
    due: Time,
}

impl Errand {
    /// Nothing is to be asked until it is called for.
    pub(super) const IDLE: Errand = Errand { asked: None, asked_at: Time::ZERO, due: Time::NEVER };

    /// The question was put, and is to be answered within so long.
    pub(super) fn put(&mut self, id: RequestId, now: Time, wait: Span) {
        *self = Errand { asked: Some(id), asked_at: now, due: now + wait };
    }

    /// Takes an answer. Returns when its question was asked, if it is the one that is out.
    pub(super) fn take(&mut self, id: RequestId, next: Time) -> Option<Time> {
        let is_out = self.asked == Some(id);
        is_out.then(|| {
            self.asked = None;
            self.due = next;
            self.asked_at
        })
    }

    /// No answer is waited for any more; the next time to ask is then.
    pub(super) fn again_at(&mut self, at: Time) {
        self.asked = None;
        self.due = at;
    }

    /// With no question out, ask at that time at the latest.
    pub(super) fn hurry(&mut self, at: Time) {
        if self.asked.is_none() {
            self.due = self.due.min(at);
        }
    }

    /// The question that is out, if one is.
    pub(super) fn question(&self) -> Option<RequestId> {
        self.asked
    }

    /// Whether an answer is waited for.
    pub(super) fn is_out(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether the answer is overdue.
    pub(super) fn is_overdue(&self, now: Time) -> bool {
        self.is_out() && now >= self.due
    }

    /// Whether to ask now.
    pub(super) fn is_due(&self, now: Time) -> bool {
        !self.is_out() && now >= self.due
    }

    /// When to look at it again.
    pub(super) fn due(&self) -> Time {
        self.due
    }
}

/// What a client knows of the way to the masters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Route {
    errand: Errand,
    known: bool,
    masters: Vec<Option<(NodeId, Epoch)>>,
    topics: Vec<Topic>,
}

impl Route {
    /// Whether the name service has ever answered.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// The topics.
    pub(super) fn topics(&self) -> &[Topic] {
        &self.topics
    }

    /// How many partitions a topic has to write to, if that is known.
    pub(super) fn partitions(&self, topic: TopicId) -> Option<u16> {
        self.topics.iter().find(|known| known.topic == topic).map(Topic::writable)
    }

    /// The set of a partition, if there is such a partition.
    pub(super) fn set_of(&self, partition: TopicPartition) -> Option<u16> {
        set_of(&self.topics, partition)
    }

    /// The master of a set and its epoch, if one is known.
    pub(super) fn master(&self, set: u16) -> Option<(NodeId, Epoch)> {
        self.masters.get(usize::from(set)).copied().flatten()
    }

    /// When to call [`Route::drive`] again.
    pub(super) fn due(&self) -> Time {
        self.errand.due()
    }

    /// The route may be wrong: ask soon.
    pub(super) fn suspect(&mut self, now: Time) {
        let soon = (self.errand.asked_at + LEAST_INTERVAL).max(now);
        self.errand.hurry(soon);
    }

    /// Asks where it is time to.
    pub(super) fn drive(
        &mut self,
        now: Time,
        name_service: NodeId,
        ids: &mut RequestIds,
        effects: &mut Effects,
    ) {
        if self.errand.is_overdue(now) {
            self.errand.again_at(now + LEAST_INTERVAL);
        }
        if self.errand.is_due(now) {
            let id = ids.next_id();
            self.errand.put(id, now, ANSWER_WAIT);
            effects.send(name_service, Message::CorgiRequest(id, Box::new(Request::Route)));
        }
    }

    /// Takes an answer. Returns whether it was one to the question that is out.
    pub(super) fn take(&mut self, now: Time, id: RequestId, response: &Response, refresh: Span) -> bool {
        let Response::Route { masters, topics } = response else { return false };
        // Where a master is missing, its successor is looked for sooner.
        let missing = masters.iter().any(Option::is_none);
        let next = if missing { now + LEAST_INTERVAL * 2 } else { now + refresh };
        if self.errand.take(id, next).is_none() {
            return false;
        }
        self.known = true;
        self.masters.clone_from(masters);
        // A name service that has not heard of every master yet knows less than was known: a partition is not forgotten
        // for that.
        let knows_less = |known: &Topic| {
            let told = topics.iter().find(|told| told.topic == known.topic);
            // What a topic was narrowed to is not forgotten either.
            told.is_some_and(|told| {
                let limits = told.limits.with(known.limits);
                limits != told.limits || told.limits.read.is_none() && told.sets.len() < known.sets.len()
            })
        };
        if !missing || !self.topics.iter().any(knows_less) {
            self.topics.clone_from(topics);
        }
        true
    }

    /// The connection to a node broke: if it was the name service, the question is lost.
    pub(super) fn disconnected(&mut self, now: Time, lost_name_service: bool) {
        if lost_name_service && self.errand.is_out() {
            self.errand.again_at(now + LEAST_INTERVAL);
        }
    }
}
