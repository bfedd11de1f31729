//! The history of a run: what was invoked, acknowledged, delivered, processed and committed, by whom and when; and
//! around it what was done to the systems. It is all that a checker reads.

use crate::incident::RareBranch;
use crate::kafka::protocol::ErrorCode;
use crate::plan::Act;
use crate::record::{GroupId, NodeId, Offset, Queue, Record, RecordId, TopicId, TopicPartition};
use crate::rewind::{InstanceId, Refusal};
use crate::units::{Span, Time};
use serde::Serialize;

/// One line of the history.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Entry {
    /// When, in simulated time (the world's, not a node's clock).
    pub at: Time,
    /// Where: the node whose step wrote it (for faults: the node that it strikes first).
    pub node: NodeId,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub enum Event {
    /// The application called send for the first time for this record. A record that is held back by a produce hold
    /// was invoked all the same.
    Invoked {
        /// The record; its source partition is `record.topic`/`record.source`.
        record: Record,
    },
    /// The application was told that a queue has the record.
    Acknowledged {
        /// Which record.
        record: RecordId,
        /// The queue.
        queue: Queue,
        /// Where it is said to be; a partition of that queue.
        partition: TopicPartition,
        /// At which offset.
        offset: Offset,
    },
    /// The application was told that a record was definitely refused, and does not try again.
    Refused {
        /// Which record.
        record: RecordId,
    },
    /// The application gave a record up without knowing whether it is in a log.
    Indeterminate {
        /// Which record.
        record: RecordId,
    },
    /// A consumer handed a record to its application, which begins to process it.
    Delivered {
        /// The group.
        group: GroupId,
        /// Which record.
        record: RecordId,
        /// The record's source partition.
        source: TopicPartition,
        /// The queue that it was read from.
        queue: Queue,
        /// The partition of that queue.
        partition: TopicPartition,
        /// Its offset there.
        offset: Offset,
        /// The Corgi offset that it was copied from; -1 if it was not copied.
        copied_from: Offset,
    },
    /// The application has processed a record: its effect is there.
    Processed {
        /// The group.
        group: GroupId,
        /// Which record.
        record: RecordId,
        /// The record's source partition.
        source: TopicPartition,
    },
    /// A group's offset was committed, as the consumer was told.
    Committed {
        /// The group.
        group: GroupId,
        /// The queue.
        queue: Queue,
        /// The partition of that queue.
        partition: TopicPartition,
        /// The next offset to read.
        offset: Offset,
    },
    /// A consumer was assigned partitions of a queue.
    Granted {
        /// The group.
        group: GroupId,
        /// The queue.
        queue: Queue,
        /// The partitions.
        partitions: Vec<TopicPartition>,
    },
    /// A consumer lost partitions of a queue, in good order or not.
    Revoked {
        /// The group.
        group: GroupId,
        /// The queue.
        queue: Queue,
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// Whether in good order.
        orderly: bool,
    },
    /// A consumer paused, or went on.
    Paused {
        /// The group.
        group: GroupId,
        /// Paused, or resumed.
        paused: bool,
    },
    /// A mirror worker was told by the target that it has a copy of a record.
    Copied {
        /// Which record.
        record: RecordId,
        /// The source partition that it was read from.
        source: TopicPartition,
        /// At which offset.
        source_offset: Offset,
        /// The target partition.
        target: TopicPartition,
        /// The copy's offset there.
        target_offset: Offset,
    },
    /// A mirror worker gave a record up and goes on without it.
    Skipped {
        /// Which record.
        record: RecordId,
        /// The source partition.
        source: TopicPartition,
        /// At which offset.
        source_offset: Offset,
    },
    /// A mirror worker committed its source offset.
    MirrorCommitted {
        /// The source partition.
        source: TopicPartition,
        /// The next offset to copy.
        offset: Offset,
    },
    /// A producer obeys another setting of the switches.
    Writing {
        /// Where it writes.
        to: crate::switch::WriteTo,
        /// What it holds back.
        hold: crate::switch::Hold,
    },
    /// A system's leadership moved: a Kafka partition has another leader, a Corgi broker set another master.
    LeaderChanged {
        /// The queue.
        queue: Queue,
        /// A partition that it concerns (all of a broker set's: the first).
        partition: TopicPartition,
        /// The new leader, if there is one.
        leader: Option<NodeId>,
        /// The new epoch.
        epoch: i64,
    },
    /// A Kafka partition has other replicas in sync.
    InSyncChanged {
        /// The partition.
        partition: TopicPartition,
        /// The nodes whose replicas are in sync now.
        in_sync: Vec<NodeId>,
        /// Whether the set is new because a replica was elected that was not in it (an unclean election).
        unclean: bool,
    },
    /// A Kafka broker begins to lead a partition, with the log that it has.
    LeadershipTaken {
        /// The partition.
        partition: TopicPartition,
        /// Its epoch.
        epoch: i64,
        /// The end of its log: what stood at this offset or beyond it does not have.
        end: Offset,
    },
    /// A Corgi broker became master and does not know what its predecessor granted to whom: it grants nothing before
    /// that has run out.
    LeasesAwaited {
        /// A partition of the broker set: the first.
        partition: TopicPartition,
        /// For how long.
        span: Span,
    },
    /// A Kafka producer library puts records back that it had sent, to send them again.
    PutBack {
        /// The partition of Kafka.
        partition: TopicPartition,
        /// The records, one batch.
        records: Vec<RecordId>,
        /// Why.
        because: Setback,
    },
    /// A log lost its tail: a replica was truncated, or a slave promoted that did not have it.
    Truncated {
        /// The queue.
        queue: Queue,
        /// The partition.
        partition: TopicPartition,
        /// The log's end before.
        from: Offset,
        /// And after.
        to: Offset,
    },
    /// A Kafka group got a generation.
    Rebalanced {
        /// The group.
        group: GroupId,
        /// The generation.
        generation: i32,
        /// Its members.
        members: u32,
    },
    /// The operator began a phase of the plan.
    PhaseBegun {
        /// Its place in the plan, from 1; 0 is the time before the plan.
        phase: u32,
        /// Its name.
        name: String,
    },
    /// The operator did a step.
    StepDone {
        /// The phase's place, from 1.
        phase: u32,
        /// The line of the phase, from 1.
        step: u32,
        /// What he did.
        act: Act,
    },
    /// The operator found a gate open.
    GateOpened {
        /// The phase's place, from 1.
        phase: u32,
        /// The line of the phase, from 1.
        step: u32,
        /// How long he waited.
        waited: Span,
    },
    /// The operator gave up waiting at a gate.
    GateTimedOut {
        /// The phase's place, from 1.
        phase: u32,
        /// The line of the phase, from 1.
        step: u32,
    },
    /// The operator waits at a gate (said again every minute of waiting).
    GateWaiting {
        /// The phase's place, from 1.
        phase: u32,
        /// The line of the phase, from 1.
        step: u32,
        /// What the gate waits for.
        gate: String,
        /// Why it is not open, from the reports.
        because: String,
    },
    /// The plan is complete.
    PlanCompleted,
    /// A process started.
    Started {
        /// Counts the starts of this node.
        incarnation: u32,
    },
    /// A process ended: crashed, killed, or stopped in good order.
    Stopped {
        /// Whether in good order.
        orderly: bool,
    },
    /// A fault began.
    FaultBegun {
        /// Its place among the run's faults, from 0.
        fault: u32,
        /// Its kind: the word of the case file.
        kind: String,
        /// What it strikes, readable.
        target: String,
        /// The nodes that it strikes; on links those of the side that has the fewest. None: it may strike anybody.
        struck: Vec<NodeId>,
        /// By how much, readable; empty where there is nothing to say.
        figure: String,
    },
    /// A fault ended.
    FaultEnded {
        /// Its place among the run's faults, from 0.
        fault: u32,
        /// Its kind: the word of the case file.
        kind: String,
        /// What it struck, readable.
        target: String,
    },
    /// A branch that is seldom taken was, without a fault: the node sent what the branch is about.
    Rare {
        /// Which.
        branch: RareBranch,
    },
    /// The faults are over and everything is started and connected again.
    Healed,
    /// The producers have sent everything.
    WorkloadEnded,
    /// The run ended.
    Ended {
        /// Why: drained, time-budget, step-budget.
        because: EndReason,
    },
    // The digest of a run counts the events from the first: what is added is added behind.
    /// The operator began a rewind: he knows now where to.
    RewindAsked {
        /// His number of the rewind.
        rewind: u64,
        /// The group.
        group: GroupId,
        /// The next offset to read of each partition of Kafka that it is about.
        offsets: Vec<(TopicPartition, Offset)>,
        /// The node whose partitions alone are meant, where it is about one instance.
        instance: Option<NodeId>,
        /// The moment that he was to go back to, in simulated time, whatever his clock made of it; none for an offset.
        moment: Option<Time>,
    },
    /// A consumer sought an earlier offset of a partition of Kafka, for a rewind.
    Sought {
        /// The operator's number of the rewind.
        rewind: u64,
        /// The group.
        group: GroupId,
        /// The instance for which the command was, by Redis.
        meant: InstanceId,
        /// The partition.
        partition: TopicPartition,
        /// The next offset that it would have delivered.
        from: Offset,
        /// The next offset that it delivers.
        to: Offset,
    },
    /// The operator was told that a partition is rewound.
    Rewound {
        /// His number of the rewind.
        rewind: u64,
        /// The group.
        group: GroupId,
        /// The partition of Kafka.
        partition: TopicPartition,
        /// For which instance he was told, by what Redis had: whoever has its address answered.
        by: InstanceId,
    },
    /// A mirror worker exits, since its producer gave a record up.
    StoppedAt {
        /// The record.
        record: RecordId,
        /// The partition of Corgi.
        source: TopicPartition,
        /// Its offset there.
        source_offset: Offset,
    },
    /// A broker starts, and its disk has lost what it had of some partitions: the host died before it was written, or the
    /// disk was replaced. Other brokers may have it still.
    DiskLost {
        /// The queue.
        queue: Queue,
        /// The partitions, each with the end of its log at that broker before and after.
        partitions: Vec<(TopicPartition, Offset, Offset)>,
    },
    /// A delayed record was due: Corgi has stored it in its partition, and it can be read.
    Due {
        /// Which record.
        record: RecordId,
        /// The partition of Corgi.
        partition: TopicPartition,
        /// Its offset there.
        offset: Offset,
    },
    /// A broker's log of a partition begins later than before: its oldest records were deleted, or it was filled from a
    /// later place.
    StartMoved {
        /// The queue.
        queue: Queue,
        /// The partition.
        partition: TopicPartition,
        /// The offset of its first record before.
        from: Offset,
        /// And after.
        to: Offset,
    },
    /// A reverse mirror's worker was told by Corgi that it has a copy of a record of Kafka's.
    CopiedBack {
        /// Which record.
        record: RecordId,
        /// The partition of Kafka that it was read from.
        source: TopicPartition,
        /// At which offset.
        source_offset: Offset,
        /// The partition of Corgi.
        target: TopicPartition,
        /// The copy's offset there.
        target_offset: Offset,
    },
    /// A reverse mirror's worker gave a record up and goes on without it.
    SkippedBack {
        /// Which record.
        record: RecordId,
        /// The partition of Kafka.
        source: TopicPartition,
        /// At which offset.
        source_offset: Offset,
    },
    /// A reverse mirror's worker exits, since its producer gave a record up.
    StoppedBackAt {
        /// The record.
        record: RecordId,
        /// The partition of Kafka.
        source: TopicPartition,
        /// Its offset there.
        source_offset: Offset,
    },
    /// A reverse mirror's worker committed its offset in Kafka.
    CommittedBack {
        /// The partition of Kafka.
        source: TopicPartition,
        /// The next offset to copy back.
        offset: Offset,
    },
    /// From now on clients are told that a topic has so many partitions. Each learns it when it asks next.
    Widened {
        /// The queue.
        queue: Queue,
        /// The topic.
        topic: TopicId,
        /// Its partitions.
        partitions: u16,
    },
    /// From now on producers are told that a topic of Corgi has so many partitions to write to.
    Narrowed {
        /// The topic.
        topic: TopicId,
        /// So many.
        partitions: u16,
    },
    /// A process that has started listens at an address of a host that instances share.
    Listening {
        /// The host.
        host: u32,
        /// The port, which it has until it ends.
        port: u16,
        /// Whose process had that address last, if another instance's did.
        before: Option<NodeId>,
    },
    /// A consumer refused a command to go back that came to its address.
    RewindRefused {
        /// The operator's number of the rewind.
        rewind: u64,
        /// Its group.
        group: GroupId,
        /// The instance for which the command was, by Redis.
        meant: InstanceId,
        /// Why.
        because: Refusal,
    },
    /// A mirror's worker exits: the target refuses its transactions altogether.
    TransactionsRefused {
        /// With which error.
        error: ErrorCode,
    },
    /// A mirror worker could not copy a record, and will try again.
    CopyFailed {
        /// Which record.
        record: RecordId,
        /// The queue from which it is copied into the other one.
        from: Queue,
        /// The partition of that queue.
        source: TopicPartition,
        /// Its offset there.
        source_offset: Offset,
    },
    /// Kafka fenced a mirror worker: it has no say any more in the transactions of these partitions.
    WorkerFenced {
        /// The source partitions that it copied in them.
        partitions: Vec<TopicPartition>,
    },
    /// A log of Corgi's lost records that were not due yet: by its disk, or since it follows another that lacks them.
    DelayedLost {
        /// The records.
        records: Vec<RecordId>,
    },
    /// A Corgi broker became master, with the log that it has.
    MastershipTaken {
        /// The partitions of its set, each with the end of its log there: what stood at this offset or beyond it does not have.
        partitions: Vec<(TopicPartition, Offset)>,
    },
}

/// Why a producer sends records again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
pub enum Setback {
    /// No answer came in time, or the connection broke: the records may be in the log.
    #[strum(to_string = "no answer came")]
    NoAnswer,
    /// The broker refused them with that error.
    #[serde(untagged)]
    #[strum(to_string = "{0}")]
    Refused(ErrorCode),
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum EndReason {
    /// The plan is complete and nothing is left to do.
    Drained,
    /// The time to drain ran out.
    TimeBudget,
    /// The steps ran out.
    StepBudget,
}
