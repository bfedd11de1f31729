//! One of each event, for the tests of what must know them all.

use crate::history::{EndReason, Event, Setback};
use crate::incident::RareBranch;
use crate::kafka::protocol::ErrorCode;
use crate::plan::Act;
use crate::record::{GroupId, NodeId, Queue, Record, RecordId, TopicPartition};
use crate::rewind::{InstanceId, Refusal};
use crate::switch::{Hold, WriteTo};
use crate::units::{Span, Time};

/// One of each event.
pub(super) fn events() -> Vec<Event> {
    let mut events = of_records();
    events.extend(of_systems());
    events.extend(of_the_plan());
    events
}

/// Fails to compile when an event is added: add a sample of it too.
pub(super) fn known(event: &Event) {
    match event {
        Event::Invoked { .. } | Event::Acknowledged { .. } | Event::Refused { .. } => {}
        Event::Indeterminate { .. } | Event::Delivered { .. } | Event::Processed { .. } => {}
        Event::Committed { .. } | Event::Granted { .. } | Event::Revoked { .. } | Event::Paused { .. } => {}
        Event::Copied { .. } | Event::Skipped { .. } | Event::MirrorCommitted { .. } => {}
        Event::StoppedAt { .. } | Event::StoppedBackAt { .. } | Event::CopyFailed { .. } => {}
        Event::CopiedBack { .. } | Event::SkippedBack { .. } | Event::CommittedBack { .. } => {}
        Event::RewindAsked { .. } | Event::Sought { .. } | Event::Rewound { .. } => {}
        Event::Writing { .. } | Event::LeaderChanged { .. } | Event::Truncated { .. } => {}
        Event::Rebalanced { .. } | Event::PhaseBegun { .. } | Event::StepDone { .. } => {}
        Event::GateOpened { .. } | Event::GateTimedOut { .. } | Event::GateWaiting { .. } => {}
        Event::PlanCompleted | Event::Started { .. } | Event::Stopped { .. } => {}
        Event::FaultBegun { .. } | Event::FaultEnded { .. } | Event::Healed => {}
        Event::Rare { .. } => {}
        Event::WorkloadEnded | Event::Ended { .. } => {}
        Event::InSyncChanged { .. } | Event::LeadershipTaken { .. } => {}
        Event::LeasesAwaited { .. } | Event::PutBack { .. } | Event::DiskLost { .. } => {}
        Event::MastershipTaken { .. } => {}
        Event::StartMoved { .. } | Event::Due { .. } => {}
        Event::Widened { .. } | Event::Narrowed { .. } => {}
        Event::Listening { .. } | Event::RewindRefused { .. } => {}
        Event::TransactionsRefused { .. } | Event::WorkerFenced { .. } => {}
        Event::DelayedLost { .. } => {}
    }
}

fn of_records() -> Vec<Event> {
    let record = RecordId { producer: 1, sequence: 7 };
    let (group, queue, source) = (GroupId(0), Queue::Kafka, TopicPartition::new(0, 3));
    let partition = TopicPartition::new(0, 2);
    vec![
        Event::Invoked { record: Record { id: record, ..Record::default() } },
        Event::Acknowledged { record, queue, partition, offset: 5 },
        Event::Refused { record },
        Event::Indeterminate { record },
        Event::Delivered { group, record, source, queue, partition, offset: 5, copied_from: 4 },
        Event::Processed { group, record, source },
        Event::Committed { group, queue, partition, offset: 6 },
        Event::Copied { record, source, source_offset: 4, target: partition, target_offset: 5 },
        Event::Skipped { record, source, source_offset: 4 },
        Event::StoppedAt { record, source, source_offset: 4 },
        Event::CopyFailed { record, from: queue, source, source_offset: 4 },
        Event::MirrorCommitted { source, offset: 5 },
        Event::CopiedBack { record, source, source_offset: 5, target: partition, target_offset: 4 },
        Event::SkippedBack { record, source, source_offset: 5 },
        Event::StoppedBackAt { record, source, source_offset: 5 },
        Event::CommittedBack { source, offset: 6 },
    ]
}

fn of_systems() -> Vec<Event> {
    let (group, queue, partition) = (GroupId(0), Queue::Corgi, TopicPartition::new(0, 3));
    vec![
        Event::Granted { group, queue, partitions: vec![partition] },
        Event::Revoked { group, queue, partitions: vec![partition], orderly: true },
        Event::Paused { group, paused: true },
        Event::RewindAsked {
            rewind: 1,
            group,
            offsets: vec![(partition, 5)],
            instance: Some(NodeId(1)),
            moment: Some(Time::ZERO),
        },
        Event::Sought { rewind: 1, group, meant: InstanceId::default(), partition, from: 9, to: 5 },
        Event::Rewound { rewind: 1, group, partition, by: InstanceId::default() },
        Event::Writing { to: WriteTo::Both, hold: Hold::Partitions(vec![partition]) },
        Event::LeaderChanged { queue, partition, leader: Some(NodeId(1)), epoch: 3 },
        Event::Truncated { queue, partition, from: 9, to: 7 },
        Event::Rebalanced { group, generation: 4, members: 3 },
        Event::Started { incarnation: 2 },
        Event::Stopped { orderly: false },
        Event::InSyncChanged { partition, in_sync: vec![NodeId(1)], unclean: true },
        Event::LeadershipTaken { partition, epoch: 3, end: 7 },
        Event::LeasesAwaited { partition, span: Span::secs(60) },
        Event::MastershipTaken { partitions: vec![(partition, 7)] },
        Event::DiskLost { queue, partitions: vec![(partition, 9, 0)] },
        Event::StartMoved { queue, partition, from: 0, to: 9 },
        Event::Widened { queue, topic: partition.topic, partitions: 12 },
        Event::Narrowed { topic: partition.topic, partitions: 4 },
        Event::RewindRefused {
            rewind: 1,
            group,
            meant: InstanceId::default(),
            because: Refusal::OtherInstance,
        },
        Event::Listening { host: 1, port: 9_000, before: Some(NodeId(1)) },
        Event::TransactionsRefused { error: ErrorCode::InvalidTransactionTimeout },
        Event::WorkerFenced { partitions: vec![partition] },
        Event::DelayedLost { records: vec![RecordId::default()] },
        Event::Due { record: RecordId::default(), partition, offset: 4 },
        Event::PutBack { partition, records: vec![RecordId::default()], because: Setback::NoAnswer },
        Event::FaultBegun {
            fault: 0,
            kind: "crash".to_owned(),
            target: "corgi-1".to_owned(),
            struck: vec![NodeId(0)],
            figure: String::new(),
        },
        Event::FaultEnded { fault: 0, kind: "crash".to_owned(), target: "corgi-1".to_owned() },
        Event::Rare { branch: RareBranch::ShortFetch },
        Event::Healed,
        Event::WorkloadEnded,
        Event::Ended { because: EndReason::TimeBudget },
    ]
}

fn of_the_plan() -> Vec<Event> {
    let (phase, step) = (2, 3);
    vec![
        Event::PhaseBegun { phase, name: "cut-read".to_owned() },
        Event::StepDone { phase, step, act: Act::Pause { group: "billing".to_owned() } },
        Event::GateOpened { phase, step, waited: Span::secs(9) },
        Event::GateTimedOut { phase, step },
        Event::GateWaiting { phase, step, gate: "held".to_owned(), because: "no report".to_owned() },
        Event::PlanCompleted,
    ]
}
