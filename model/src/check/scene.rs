//! Hand-made histories for the tests of the checkers. Each event comes a millisecond after the one before.

use super::{Checker, Ground, Judgement, Objectives, Subject, SubjectGroup, SubjectTopic};
use crate::history::{EndReason, Entry, Event};
use crate::plan::Act;
use crate::record::{GroupId, NodeId, Offset, Queue, Record, RecordId, TopicId, TopicPartition};
use crate::units::{Span, Time};
use std::sync::Arc;

/// The group `billing`, which needs order and reads `orders`.
pub(super) const BILLING: GroupId = GroupId(0);
/// The group `search`, which needs no order and reads `clicks`.
pub(super) const SEARCH: GroupId = GroupId(1);
/// An instance.
pub(super) const A: NodeId = NodeId(1);
/// Another instance.
pub(super) const B: NodeId = NodeId(2);
/// A third instance.
pub(super) const C: NodeId = NodeId(3);
/// A mirror worker.
pub(super) const MIRROR: NodeId = NodeId(4);
/// The operator.
pub(super) const OPERATOR: NodeId = NodeId(5);
/// The first producer; the next nodes are the others.
pub(super) const PRODUCER: u32 = 6;

/// What the hand-made histories are about.
pub(super) fn subject() -> Subject {
    let topic = |name: &str| SubjectTopic { name: name.to_owned(), partitions: 4 };
    let group = |name: &str, ordered, topic| SubjectGroup {
        harmed_by_duplicates: false,
        name: name.to_owned(),
        ordered,
        topics: vec![TopicId(topic)],
    };
    let nodes = [
        "corgi-1",
        "billing-1",
        "billing-2",
        "billing-3",
        "mirror-1",
        "operator",
        "producer-0",
        "producer-1",
    ];
    Subject {
        topics: vec![topic("orders"), topic("clicks")],
        groups: vec![group("billing", true, 0), group("search", false, 1)],
        nodes: nodes.map(str::to_owned).to_vec(),
        producers: vec![NodeId(PRODUCER), NodeId(PRODUCER + 1)],
        phases: ["dual-write", "cut-read", "cut-write"].map(str::to_owned).to_vec(),
        objectives: Objectives::default(),
        ..Subject::default()
    }
}

/// A history in the making.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) entries: Vec<Entry>,
    pub(super) now: Time,
    pub(super) group: GroupId,
    pub(super) partition: TopicPartition,
}

/// The record of that producer with that sequence.
pub(super) fn id((producer, sequence): (u32, u32)) -> RecordId {
    RecordId { producer, sequence }
}

impl Scene {
    pub(super) fn new() -> Scene {
        Scene { entries: Vec::new(), now: Time::ZERO, group: BILLING, partition: TopicPartition::new(0, 0) }
    }

    /// What follows concerns that group and partition.
    pub(super) fn with(&mut self, group: GroupId, partition: TopicPartition) -> &mut Scene {
        (self.group, self.partition) = (group, partition);
        self
    }

    pub(super) fn wait(&mut self, span: Span) -> &mut Scene {
        self.now += span;
        self
    }

    pub(super) fn event(&mut self, node: NodeId, event: Event) -> &mut Scene {
        self.now += Span::millis(1);
        self.entries.push(Entry { at: self.now, node, event });
        self
    }

    pub(super) fn invoke(&mut self, record: (u32, u32)) -> &mut Scene {
        let node = NodeId(PRODUCER + record.0);
        let TopicPartition { topic, partition } = self.partition;
        let record =
            Record { id: id(record), topic, source: partition, copied_from: -1, ..Record::default() };
        self.event(node, Event::Invoked { record })
    }

    pub(super) fn acknowledge(&mut self, record: (u32, u32), queue: Queue, offset: Offset) -> &mut Scene {
        let partition = self.partition;
        let node = NodeId(PRODUCER + record.0);
        self.event(node, Event::Acknowledged { record: id(record), queue, partition, offset })
    }

    /// Sent and acknowledged by Corgi at that offset.
    pub(super) fn send(&mut self, record: (u32, u32), offset: Offset) -> &mut Scene {
        self.invoke(record).acknowledge(record, Queue::Corgi, offset)
    }

    /// The first so many records of producer 0, at the offsets of their sequences.
    pub(super) fn sends(&mut self, records: u32) -> &mut Scene {
        for sequence in 0..records {
            self.send((0, sequence), i64::from(sequence));
        }
        self
    }

    pub(super) fn copy(&mut self, record: (u32, u32), from: Offset, to: Offset) -> &mut Scene {
        let (source, target) = (self.partition, self.partition);
        let record = id(record);
        self.event(MIRROR, Event::Copied { record, source, source_offset: from, target, target_offset: to })
    }

    pub(super) fn deliver(
        &mut self,
        node: NodeId,
        record: (u32, u32),
        queue: Queue,
        offset: Offset,
    ) -> &mut Scene {
        self.deliver_copy(node, record, queue, offset, -1)
    }

    pub(super) fn deliver_copy(
        &mut self,
        node: NodeId,
        record: (u32, u32),
        queue: Queue,
        offset: Offset,
        copied_from: Offset,
    ) -> &mut Scene {
        let (group, source, partition) = (self.group, self.partition, self.partition);
        let record = id(record);
        self.event(node, Event::Delivered { group, record, source, queue, partition, offset, copied_from })
    }

    pub(super) fn process(&mut self, node: NodeId, record: (u32, u32)) -> &mut Scene {
        let (group, source) = (self.group, self.partition);
        self.event(node, Event::Processed { group, record: id(record), source })
    }

    /// Delivered from Corgi and processed.
    pub(super) fn read(&mut self, node: NodeId, record: (u32, u32), offset: Offset) -> &mut Scene {
        self.deliver(node, record, Queue::Corgi, offset).process(node, record)
    }

    /// Delivered from Kafka, a copy of that offset, and processed.
    pub(super) fn read_copy(
        &mut self,
        node: NodeId,
        record: (u32, u32),
        offset: Offset,
        from: Offset,
    ) -> &mut Scene {
        self.deliver_copy(node, record, Queue::Kafka, offset, from).process(node, record)
    }

    /// These records of producer 0 are read from Corgi at the offsets of their sequences.
    pub(super) fn reads(&mut self, node: NodeId, sequences: &[u32]) -> &mut Scene {
        for sequence in sequences {
            self.read(node, (0, *sequence), i64::from(*sequence));
        }
        self
    }

    /// These records of producer 0 are read from Kafka, copies at the offsets of their sequences.
    pub(super) fn reads_copies(&mut self, node: NodeId, sequences: &[u32]) -> &mut Scene {
        for sequence in sequences {
            self.read_copy(node, (0, *sequence), i64::from(*sequence), i64::from(*sequence));
        }
        self
    }

    /// The first so many records of producer 0 are copied, to the offsets of their sequences.
    pub(super) fn copies(&mut self, records: u32) -> &mut Scene {
        for sequence in 0..records {
            self.copy((0, sequence), i64::from(sequence), i64::from(sequence));
        }
        self
    }

    /// From now on that broker leads the partition, with a log that ends there.
    pub(super) fn leads(&mut self, node: NodeId, queue: Queue, end: Offset) -> &mut Scene {
        let partition = self.partition;
        self.event(
            node,
            match queue {
                Queue::Corgi => Event::MastershipTaken { partitions: vec![(partition, end)] },
                Queue::Kafka => Event::LeadershipTaken { partition, epoch: 1, end },
            },
        )
    }

    pub(super) fn phase(&mut self, phase: u32) -> &mut Scene {
        let name = subject().phases[phase as usize - 1].clone();
        self.event(OPERATOR, Event::PhaseBegun { phase, name })
    }

    pub(super) fn act(&mut self, act: Act) -> &mut Scene {
        self.event(OPERATOR, Event::StepDone { phase: 1, step: 1, act })
    }

    pub(super) fn quiet(&mut self) -> &mut Scene {
        self.event(OPERATOR, Event::Healed).event(OPERATOR, Event::WorkloadEnded)
    }

    pub(super) fn end(&mut self, because: EndReason) -> &mut Scene {
        self.event(OPERATOR, Event::Ended { because })
    }

    /// Healed, the plan complete, drained.
    pub(super) fn drained(&mut self) -> &mut Scene {
        self.quiet().event(OPERATOR, Event::PlanCompleted).end(EndReason::Drained)
    }

    /// What a checker makes of it.
    pub(super) fn judged<C: Checker>(&self, checker: impl Fn(Arc<Subject>) -> C) -> Judgement {
        self.judged_of(checker, subject())
    }

    /// The same where the subject is another.
    pub(super) fn judged_of<C: Checker>(
        &self,
        checker: impl Fn(Arc<Subject>) -> C,
        subject: Subject,
    ) -> Judgement {
        let mut checker = checker(Arc::new(subject));
        self.entries.iter().for_each(|entry| checker.observe(entry));
        checker.judge()
    }
}

/// The grounds of a judgement's findings, each with its first record.
pub(super) fn grounds(judgement: &Judgement) -> Vec<(Ground, RecordId)> {
    let first = |records: &[RecordId]| records.first().copied().unwrap_or_default();
    judgement.findings.iter().map(|finding| (finding.ground, first(&finding.records))).collect()
}

/// A figure's value.
pub(super) fn value(judgement: &Judgement, name: &str) -> u64 {
    judgement.figures.iter().find(|figure| figure.name == name).unwrap_or_else(|| panic!("no {name}")).value
}
