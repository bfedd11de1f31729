//! One question after the other to whichever broker is in charge, asked again until it is answered for good.

use crate::kafka::protocol::{CoordinatorKey, ErrorCode, Request, Response, TransactionalId};
use crate::machine::{Effects, RequestId, RequestIds};
use crate::message::Message;
use crate::mirror::Settings;
use crate::mirror::transaction::counts::Counts;
use crate::mirror::transaction::positions::Positions;
use crate::record::{GroupId, NodeId, TopicPartition};
use crate::units::Time;
use serde::Serialize;
use std::collections::BTreeMap;

/// How one conversation stands. At most one of its questions is open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) enum Talk {
    /// There is nothing to ask.
    #[default]
    Silent,
    /// To be asked then.
    Due(Time),
    /// Asked, and asked anew when no answer has come by then.
    Asked { id: RequestId, to: NodeId, expires: Time },
}

/// A conversation, and how often it failed since it last went well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Conversation {
    pub talk: Talk,
    failures: u32,
}

impl Conversation {
    /// Ask at once, unless there is something open already.
    pub(super) fn wish(&mut self, now: Time) {
        if self.talk == Talk::Silent {
            self.talk = Talk::Due(now);
        }
    }

    /// The question is answered.
    pub(super) fn settle(&mut self) {
        *self = Conversation::default();
    }

    /// The question must be asked again, a while later. The while doubles up to ten times its first length.
    pub(super) fn ask_again(&mut self, now: Time, settings: &Settings) {
        let factor = (1_u64 << self.failures.min(4)).min(10);
        self.failures += 1;
        self.talk = Talk::Due(now + settings.retry_backoff * factor);
    }

    /// Whether it is time to ask.
    pub(super) fn is_due(&self, now: Time) -> bool {
        matches!(self.talk, Talk::Due(at) if at <= now)
    }

    /// The broker that owes the answer, if it is overdue.
    pub(super) fn overdue(&self, now: Time) -> Option<NodeId> {
        match self.talk {
            Talk::Asked { to, expires, .. } if expires <= now => Some(to),
            _ => None,
        }
    }

    /// When it needs attention next.
    pub(super) fn wakes_at(&self) -> Time {
        match self.talk {
            Talk::Silent => Time::NEVER,
            Talk::Due(at) => at,
            Talk::Asked { expires, .. } => expires,
        }
    }

    /// Whether that is the answer that it waits for.
    pub(super) fn awaits(&self, answer: RequestId) -> bool {
        matches!(self.talk, Talk::Asked { id, .. } if id == answer)
    }
}

/// Whose conversation it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Party {
    /// Reads a source partition's position.
    Position(TopicPartition),
    /// A transactional producer, with its coordinators.
    Writer(TransactionalId),
    /// The same, with the leader of a target partition.
    Lane(TransactionalId, TopicPartition),
    /// Asks how many partitions the topics have.
    Cluster,
    /// Has the positions' topics widened.
    Positions,
}

/// Who is in charge of what, as far as is known, and which questions are open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Switchboard {
    pub settings: Settings,
    pub group: GroupId,
    brokers: Vec<NodeId>,
    next_broker: usize,
    ids: RequestIds,
    open: BTreeMap<u32, Party>,
    pub leaders: BTreeMap<TopicPartition, NodeId>,
    pub group_coordinator: Option<NodeId>,
    pub counts: Counts,
    pub positions: Positions,
}

impl Switchboard {
    pub(super) fn new(
        settings: Settings,
        group: GroupId,
        brokers: Vec<NodeId>,
        ids: RequestIds,
    ) -> Switchboard {
        let (open, leaders) = (BTreeMap::new(), BTreeMap::new());
        Switchboard {
            settings,
            group,
            brokers,
            next_broker: 0,
            ids,
            open,
            leaders,
            group_coordinator: None,
            counts: Counts::default(),
            positions: Positions::default(),
        }
    }

    /// Ask the broker in charge, or any broker who that is.
    pub(super) fn ask(
        &mut self,
        now: Time,
        party: Party,
        conversation: &mut Conversation,
        question: (Option<NodeId>, Request),
        effects: &mut Effects,
    ) {
        let (to, request) = question;
        let to = to.unwrap_or_else(|| self.any_broker());
        let id = self.ids.next_id();
        self.open.insert(id.number(), party);
        conversation.talk = Talk::Asked { id, to, expires: now + self.settings.request_timeout };
        effects.send(to, Message::KafkaRequest(id, Box::new(request)));
    }

    fn any_broker(&mut self) -> NodeId {
        assert!(!self.brokers.is_empty(), "a mirror knows at least one broker of the target");
        self.next_broker = (self.next_broker + 1) % self.brokers.len();
        self.brokers[self.next_broker]
    }

    /// Whose answer that is; none for an answer that nobody waits for any more.
    pub(super) fn party(&mut self, id: RequestId) -> Option<Party> {
        if self.ids.issued(id) { self.open.remove(&id.number()) } else { None }
    }

    /// That node is not in charge of anything any more, as far as is known.
    pub(super) fn forget(&mut self, node: NodeId) {
        self.leaders.retain(|_, leader| *leader != node);
        self.group_coordinator = self.group_coordinator.filter(|coordinator| *coordinator != node);
    }

    /// The group's coordinator, or the question who it is.
    pub(super) fn to_group(&self, request: Request) -> (Option<NodeId>, Request) {
        match self.group_coordinator {
            Some(coordinator) => (Some(coordinator), request),
            None => (None, Request::FindCoordinator { key: CoordinatorKey::Group(self.group) }),
        }
    }

    /// Learn who leads which partition.
    pub(super) fn learn_leaders(&mut self, response: &Response) {
        let Response::Metadata { brokers, partitions, .. } = response else {
            return;
        };
        for metadata in partitions {
            let leader = metadata.leader.and_then(|leader| brokers.iter().find(|(id, _)| *id == leader));
            match leader {
                Some((_, node)) => self.leaders.insert(metadata.partition, *node),
                None => self.leaders.remove(&metadata.partition),
            };
        }
    }
}

/// What an error means to the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is done.
    Done,
    /// Ask the same broker again, later.
    Again,
    /// Another broker is in charge, or soon will be.
    Elsewhere,
    /// Another owner has taken over, or the transaction timed out: this producer is dead.
    Fenced,
    /// The transaction is spoilt: abort it and begin anew.
    Abort,
    /// It is refused for good.
    Refused,
}

/// What an error means (the protocol guide's "retriable", and the Java client's treatment of the others).
pub(super) fn meaning(error: ErrorCode) -> Meaning {
    use ErrorCode as E;
    match error {
        E::None | E::DuplicateSequenceNumber => Meaning::Done,
        E::ConcurrentTransactions
        | E::CoordinatorLoadInProgress
        | E::NotEnoughReplicas
        | E::NotEnoughReplicasAfterAppend
        | E::OffsetNotAvailable
        | E::OperationNotAttempted
        | E::RebalanceInProgress
        | E::UnstableOffsetCommit => Meaning::Again,
        E::BrokerNotAvailable
        | E::CoordinatorNotAvailable
        | E::FencedLeaderEpoch
        | E::LeaderNotAvailable
        | E::NotCoordinator
        | E::NotLeaderOrFollower
        | E::ReplicaNotAvailable
        | E::RequestTimedOut
        | E::TransactionCoordinatorFenced
        | E::UnknownLeaderEpoch
        | E::UnknownServerError
        | E::UnknownTopicOrPartition => Meaning::Elsewhere,
        E::InvalidProducerEpoch | E::ProducerFenced => Meaning::Fenced,
        E::InvalidProducerIdMapping
        | E::InvalidTxnState
        | E::OutOfOrderSequenceNumber
        | E::TransactionalIdNotFound
        | E::UnknownProducerId => Meaning::Abort,
        _ => Meaning::Refused,
    }
}

/// The error that speaks for an answer about several partitions: the first that says why it failed.
pub(super) fn worst(errors: impl Iterator<Item = ErrorCode> + Clone) -> ErrorCode {
    let mut wrong = errors.filter(|error| *error != ErrorCode::None);
    let first = wrong.clone().next().unwrap_or_default();
    wrong.find(|error| *error != ErrorCode::OperationNotAttempted).unwrap_or(first)
}
