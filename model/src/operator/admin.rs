//! The operator's Kafka tool: what `kafka-consumer-groups` does when it describes a group and when it resets its offsets, and
//! `kafka-topics` when it gives a topic more partitions.
//! It goes as far as its answers let it, from whatever is known: leaders, coordinator, offsets, commit, reading back.
//! Left out: authorisation, and the tool's own start.

use crate::kafka::admin::AdminResponse;
use crate::kafka::protocol::{CoordinatorKey, ErrorCode, Isolation, OffsetAt, Request, Response};
use crate::machine::{Effects, Now, RequestId, RequestIds};
use crate::message::Message;
use crate::operator::kafka_widening::KafkaWidening;
use crate::operator::preparation::Preparation;
use crate::operator::wiring::{GroupWiring, Wiring};
use crate::record::{GroupId, NodeId, Offset, TopicId, TopicPartition};
use crate::units::{Span, Time};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A partition's part of the answer to `ListOffsets`: error, offset, timestamp, epoch.
pub(super) type Listed = (TopicPartition, ErrorCode, Offset, Option<Time>, i32);

/// The tool. It lives as long as the operator's process does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Admin {
    leaders: BTreeMap<TopicPartition, NodeId>,
    coordinators: BTreeMap<GroupId, NodeId>,
    /// Whose turn it is, among the bootstrap brokers, to be asked about the cluster.
    turn: usize,
    pending: Vec<Asked>,
    pub(super) goal: Goal,
    /// How many partitions the topics have that were widened.
    pub(super) targets: BTreeMap<TopicId, u16>,
    /// The ends of partitions, and when they were asked for.
    latest: BTreeMap<TopicPartition, (Offset, Time)>,
    /// What groups have committed, and when that was asked for.
    committed: BTreeMap<GroupId, (Vec<(TopicPartition, Offset)>, Time)>,
}

/// What the tool is at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) enum Goal {
    /// Nothing.
    #[default]
    Idle,
    /// One round of figures of a group.
    Figures(Figures),
    /// Committing a group's offsets.
    Prepare(Preparation),
    /// Giving a topic more partitions.
    Widen(KafkaWidening),
}

/// A reader of Kafka of whom there are figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Reader {
    /// A group: what it has committed belongs to them.
    Group(GroupId),
    /// The reverse mirror, which reads every partition: how far it is, its workers say themselves.
    ReverseMirror,
}

/// How far a round of figures is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Figures {
    of: Reader,
    leaders_asked: bool,
    coordinator_asked: bool,
    listed: bool,
    fetched: bool,
}

/// A request without an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Asked {
    id: RequestId,
    to: NodeId,
    at: Time,
    question: Question,
}

/// What was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Question {
    Leaders,
    Coordinator(GroupId),
    Offsets,
    Commit(GroupId),
    Committed(GroupId),
    Widen(TopicId),
    Count(TopicId),
}

/// What a call of the tool may use.
pub(super) struct Desk<'a> {
    pub(super) now: Now,
    pub(super) wiring: &'a Wiring,
    pub(super) ids: &'a mut RequestIds,
    pub(super) effects: &'a mut Effects,
}

impl Desk<'_> {
    /// The wiring of that group.
    pub(super) fn group(&self, group: GroupId) -> &GroupWiring {
        self.wiring.groups.get(usize::from(group.0)).expect("the tool is asked about groups of the case only")
    }
}

impl Admin {
    /// Begin a round of figures: the ends of the reader's partitions, and what a group has committed.
    pub(super) fn ask_figures(&mut self, of: Reader, desk: &mut Desk<'_>) {
        self.goal = Goal::Figures(Figures {
            of,
            leaders_asked: false,
            coordinator_asked: false,
            listed: false,
            fetched: false,
        });
        self.advance(desk);
    }

    /// Begin to prepare a group's offsets.
    pub(super) fn prepare(&mut self, preparation: Preparation, desk: &mut Desk<'_>) {
        self.rest();
        self.goal = Goal::Prepare(preparation);
        self.advance(desk);
    }

    /// Begin to give a topic more partitions.
    pub(super) fn widen(&mut self, widening: KafkaWidening, desk: &mut Desk<'_>) {
        self.rest();
        self.goal = Goal::Widen(widening);
        self.advance(desk);
    }

    /// Stop what the tool is at. What it found out is kept.
    pub(super) fn rest(&mut self) {
        self.goal = Goal::Idle;
        self.pending.clear();
    }

    /// Time has passed: give up what was not answered in time, and try again what was refused.
    pub(super) fn try_again(&mut self, request_timeout: Span, desk: &mut Desk<'_>) {
        let (late, pending) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|asked: &Asked| desk.now.elapsed.since(asked.at) >= request_timeout);
        self.pending = pending;
        for asked in late {
            self.forget(asked.to, desk.wiring);
            self.refused("a Kafka broker does not answer".to_owned());
        }
        match &mut self.goal {
            Goal::Prepare(preparation) => preparation.blocked = false,
            Goal::Widen(widening) => widening.blocked = false,
            Goal::Idle | Goal::Figures(_) => {}
        }
        self.advance(desk);
    }

    /// That broker's process is gone. Whoever was to be asked there is sought elsewhere, at the next try.
    pub(super) fn disconnected(&mut self, gone: NodeId, wiring: &Wiring) {
        let before = self.pending.len();
        self.pending.retain(|asked| asked.to != gone);
        self.forget(gone, wiring);
        if self.pending.len() < before {
            self.refused("a Kafka broker went away".to_owned());
        }
    }

    fn forget(&mut self, broker: NodeId, wiring: &Wiring) {
        self.leaders.retain(|_, leader| *leader != broker);
        self.coordinators.retain(|_, coordinator| *coordinator != broker);
        if self.bootstrap(wiring) == Some(broker) {
            self.turn += 1;
        }
    }

    /// Forget who leads a partition: it answered that it does not.
    pub(super) fn forget_leader(&mut self, partition: TopicPartition) {
        self.leaders.remove(&partition);
    }

    /// The target partitions that a group reads: those of the address book, and what Kafka told of besides (a topic may have
    /// been widened).
    pub(super) fn partitions_of(&self, group: &GroupWiring, wiring: &Wiring) -> Vec<TopicPartition> {
        let told = self.leaders.keys().copied().filter(|partition| group.topics.contains(&partition.topic));
        let widened = self.targets.iter().filter(|(topic, _)| group.topics.contains(topic));
        let widened = widened.flat_map(|(topic, count)| {
            (0..*count).map(|partition| TopicPartition { topic: *topic, partition })
        });
        let all: BTreeSet<TopicPartition> = wiring.targets_of(group).chain(told).chain(widened).collect();
        all.into_iter().collect()
    }

    /// Every target partition, in the same way.
    pub(super) fn all_partitions(&self, wiring: &Wiring) -> Vec<TopicPartition> {
        let all: BTreeSet<TopicPartition> = wiring.targets().chain(self.leaders.keys().copied()).collect();
        all.into_iter().collect()
    }

    /// The end of a partition, if it was asked for at or after `since`.
    pub(super) fn latest(&self, partition: TopicPartition, since: Time) -> Option<(Offset, Time)> {
        self.latest.get(&partition).copied().filter(|(_, asked_at)| *asked_at >= since)
    }

    /// What a group has committed, if that was asked for at or after `since`.
    pub(super) fn committed(
        &self,
        group: GroupId,
        since: Time,
    ) -> Option<&(Vec<(TopicPartition, Offset)>, Time)> {
        self.committed.get(&group).filter(|(_, asked_at)| *asked_at >= since)
    }

    /// An answer came. Returns whether it was one that is waited for.
    pub(super) fn answer(
        &mut self,
        from: NodeId,
        id: RequestId,
        response: Response,
        desk: &mut Desk<'_>,
    ) -> bool {
        let Some(place) = self.pending.iter().position(|asked| asked.id == id && asked.to == from) else {
            return false;
        };
        let asked = self.pending.remove(place);
        match (asked.question, response) {
            (Question::Leaders, Response::Metadata { brokers, partitions, .. }) => {
                for partition in partitions {
                    let leader =
                        partition.leader.and_then(|id| brokers.iter().find(|(broker, _)| *broker == id));
                    match leader {
                        Some((_, node)) => self.leaders.insert(partition.partition, *node),
                        None => self.leaders.remove(&partition.partition),
                    };
                }
            }
            (Question::Coordinator(group), Response::FindCoordinator { error, coordinator }) => {
                match coordinator {
                    Some((_, node)) if error == ErrorCode::None => {
                        self.coordinators.insert(group, node);
                    }
                    _ => {
                        self.refused(format!("Kafka answers {error} when asked for the group's coordinator"))
                    }
                }
            }
            (Question::Offsets, Response::ListOffsets { partitions }) => {
                self.listed(asked.at, partitions, desk)
            }
            (Question::Commit(group), Response::OffsetCommit { partitions }) => {
                self.commit_answered(group, &partitions)
            }
            (Question::Committed(group), Response::OffsetFetch { error, partitions }) => {
                self.fetched(group, asked.at, error, &partitions);
            }
            (Question::Widen(_), Response::Admin(AdminResponse::Done { error })) => {
                if let Goal::Widen(widening) = &mut self.goal {
                    widening.answered(error);
                }
            }
            (Question::Count(_), Response::Metadata { partitions, .. }) => {
                if let Goal::Widen(widening) = &mut self.goal {
                    widening.counted(partitions.iter().map(|told| told.partition));
                }
            }
            _ => self.refused("Kafka answers something else than was asked".to_owned()),
        }
        self.advance(desk);
        true
    }

    fn refused(&mut self, trouble: String) {
        match &mut self.goal {
            Goal::Prepare(preparation) => preparation.fail(trouble),
            Goal::Widen(widening) => widening.fail(trouble),
            Goal::Idle | Goal::Figures(_) => {}
        }
    }

    fn listed(&mut self, asked_at: Time, partitions: Vec<Listed>, desk: &Desk<'_>) {
        for listed @ (partition, error, offset, ..) in partitions {
            if error != ErrorCode::None {
                self.forget_leader(partition);
            }
            match &mut self.goal {
                Goal::Prepare(preparation) => preparation.listed(listed, &desk.wiring.say(partition)),
                Goal::Figures(_) if error == ErrorCode::None => {
                    self.latest.insert(partition, (offset, asked_at));
                }
                Goal::Figures(_) | Goal::Idle | Goal::Widen(_) => {}
            }
        }
    }

    fn commit_answered(&mut self, group: GroupId, partitions: &[(TopicPartition, ErrorCode)]) {
        let error = partitions.iter().map(|(_, error)| *error).find(|error| *error != ErrorCode::None);
        self.forget_coordinator(group, error);
        if let Goal::Prepare(preparation) = &mut self.goal {
            preparation.commit_answered(error);
        }
    }

    fn fetched(
        &mut self,
        group: GroupId,
        asked_at: Time,
        error: ErrorCode,
        partitions: &[(TopicPartition, ErrorCode, Offset, i32)],
    ) {
        let of_a_partition = partitions.iter().map(|(_, error, ..)| *error);
        let error = std::iter::once(error).chain(of_a_partition).find(|error| *error != ErrorCode::None);
        self.forget_coordinator(group, error);
        let offsets: Vec<_> =
            partitions.iter().map(|(partition, _, offset, _)| (*partition, *offset)).collect();
        if let Goal::Prepare(preparation) = &mut self.goal {
            preparation.read_back(error, &offsets);
        }
        if error.is_none() {
            self.committed.insert(group, (offsets, asked_at));
        }
    }

    fn forget_coordinator(&mut self, group: GroupId, error: Option<ErrorCode>) {
        let moved = matches!(error, Some(ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable));
        if moved {
            self.coordinators.remove(&group);
        }
    }

    /// Ask whatever can be asked now.
    fn advance(&mut self, desk: &mut Desk<'_>) {
        match self.goal.clone() {
            Goal::Idle => {}
            Goal::Figures(figures) => self.advance_figures(figures, desk),
            // One wave after the other: what is in flight may change what is to be asked next.
            Goal::Prepare(preparation) if self.pending.is_empty() && !preparation.blocked => {
                self.advance_preparation(preparation, desk);
            }
            Goal::Widen(widening) if self.pending.is_empty() => {
                if let (Some((question, request)), Some(broker)) =
                    (widening.next(), self.bootstrap(desk.wiring))
                {
                    self.ask(broker, question, request, desk);
                }
            }
            Goal::Prepare(_) | Goal::Widen(_) => {}
        }
    }

    fn advance_figures(&mut self, mut figures: Figures, desk: &mut Desk<'_>) {
        let (partitions, topics) = match figures.of {
            Reader::Group(group) => {
                let group = desk.group(group);
                (self.partitions_of(group, desk.wiring), group.topics.clone())
            }
            Reader::ReverseMirror => (self.all_partitions(desk.wiring), desk.wiring.topics(&[])),
        };
        let unknown = partitions.iter().any(|partition| !self.leaders.contains_key(partition));
        if unknown && !figures.leaders_asked {
            figures.leaders_asked = true;
            self.ask_leaders(topics, desk);
        } else if !figures.listed && !self.asking(Question::Leaders) {
            figures.listed = true;
            let wanted: Vec<_> = partitions.iter().map(|partition| (*partition, OffsetAt::Latest)).collect();
            self.ask_offsets(&wanted, desk);
        }
        if let Reader::Group(group) = figures.of {
            match self.coordinators.get(&group).copied() {
                None if !figures.coordinator_asked => {
                    figures.coordinator_asked = true;
                    self.ask_coordinator(group, desk);
                }
                Some(coordinator) if !figures.fetched => {
                    figures.fetched = true;
                    self.ask_committed(group, coordinator, partitions, desk);
                }
                _ => {}
            }
        }
        self.goal = Goal::Figures(figures);
    }

    fn advance_preparation(&mut self, mut preparation: Preparation, desk: &mut Desk<'_>) {
        let group = preparation.group;
        let partitions = self.partitions_of(desk.group(group), desk.wiring);
        let wanted = preparation.wanted(&partitions, desk.now.wall);
        if let Some((leaderless, _)) =
            wanted.iter().find(|(partition, _)| !self.leaders.contains_key(partition))
        {
            // Asked once a try: a partition without a leader is to be asked for again only after a rest.
            if preparation.leaders_asked {
                preparation.fail(format!("{} has no leader", desk.wiring.say(*leaderless)));
            } else {
                preparation.leaders_asked = true;
                self.ask_leaders(desk.group(group).topics.clone(), desk);
            }
        } else if !wanted.is_empty() {
            self.ask_offsets(&wanted, desk);
        } else if preparation.only_looks_up() {
            preparation.done = true;
        } else if let Some(coordinator) = self.coordinators.get(&group).copied() {
            match preparation.commit(&partitions) {
                Some(request) => self.ask(coordinator, Question::Commit(group), request, desk),
                None if !preparation.done => self.ask_committed(group, coordinator, partitions, desk),
                None => {}
            }
        } else {
            self.ask_coordinator(group, desk);
        }
        self.goal = Goal::Prepare(preparation);
    }

    fn asking(&self, question: Question) -> bool {
        self.pending.iter().any(|asked| asked.question == question)
    }

    fn ask(&mut self, to: NodeId, question: Question, request: Request, desk: &mut Desk<'_>) {
        // A broker that does not answer is not asked the same again until the request has timed out.
        if self.pending.iter().any(|asked| asked.to == to && asked.question == question) {
            return;
        }
        let id = desk.ids.next_id();
        self.pending.push(Asked { id, to, at: desk.now.elapsed, question });
        desk.effects.send(to, Message::KafkaRequest(id, Box::new(request)));
    }

    /// A broker to ask about the cluster: each in turn, as they fail.
    fn bootstrap(&self, wiring: &Wiring) -> Option<NodeId> {
        let brokers = &wiring.kafka_brokers;
        brokers.get(self.turn % brokers.len().max(1)).copied()
    }

    fn ask_leaders(&mut self, topics: Vec<TopicId>, desk: &mut Desk<'_>) {
        if let (false, Some(broker)) = (self.asking(Question::Leaders), self.bootstrap(desk.wiring)) {
            self.ask(broker, Question::Leaders, Request::Metadata { topics }, desk);
        }
    }

    fn ask_coordinator(&mut self, group: GroupId, desk: &mut Desk<'_>) {
        let question = Question::Coordinator(group);
        if let (false, Some(broker)) = (self.asking(question), self.bootstrap(desk.wiring)) {
            let request = Request::FindCoordinator { key: CoordinatorKey::Group(group) };
            self.ask(broker, question, request, desk);
        }
    }

    fn ask_offsets(&mut self, wanted: &[(TopicPartition, OffsetAt)], desk: &mut Desk<'_>) {
        let mut by_leader: BTreeMap<NodeId, Vec<(TopicPartition, i32, OffsetAt)>> = BTreeMap::new();
        for (partition, at) in wanted {
            if let Some(leader) = self.leaders.get(partition) {
                by_leader.entry(*leader).or_default().push((*partition, -1, *at));
            }
        }
        for (leader, partitions) in by_leader {
            let request = Request::ListOffsets { isolation: Isolation::ReadUncommitted, partitions };
            self.ask(leader, Question::Offsets, request, desk);
        }
    }

    fn ask_committed(
        &mut self,
        group: GroupId,
        coordinator: NodeId,
        partitions: Vec<TopicPartition>,
        desk: &mut Desk<'_>,
    ) {
        let request = Request::OffsetFetch { group, partitions, require_stable: false };
        self.ask(coordinator, Question::Committed(group), request, desk);
    }
}
