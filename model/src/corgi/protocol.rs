//! Corgi's requests and answers. Corgi's own documents are not public: the vocabulary is assumed, after its
//! nearest public relative (RocketMQ).
//!
//! Replication: a slave asks to `Follow`, is told from where, and then gets `Append`s, which it answers with
//! `Replicated`. Groups: `Heartbeat`, `Lock`, `Offsets`, `Pull`, `Commit`, `Unlock`, `Leave`.

use crate::corgi::log::{Beginning, Entry, Waiting};
use crate::corgi::wiring::Topic;
use crate::record::{GroupId, NodeId, Offset, Record, TopicId, TopicPartition};
use crate::units::{Span, Time};
use serde::Serialize;

/// Counts the masters of a broker set, from 1.
pub type Epoch = u32;

/// A consumer instance: one life of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Instance {
    /// Its node.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: u32,
}

/// The groups' committed offsets.
pub type OffsetTable = Vec<(GroupId, TopicPartition, Offset)>;

/// What a client, a broker or the on-call asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Request {
    /// To the name service: where the masters and the topics are.
    Route,
    /// To the name service: a broker reports itself.
    Register {
        /// Its set.
        set: u16,
        /// Whether it takes itself for the master.
        master: bool,
        /// Its epoch.
        epoch: Epoch,
    },
    /// To the name service: what it last heard of a set's master.
    Seen {
        /// The set.
        set: u16,
    },
    /// To a master: store these records, in this order.
    Send {
        /// In which partition.
        partition: TopicPartition,
        /// The records.
        records: Vec<Record>,
    },
    /// To a master: read. Answered when there is something, or after the master's pull wait.
    Pull {
        /// For which group.
        group: GroupId,
        /// Which partition.
        partition: TopicPartition,
        /// From where.
        offset: Offset,
        /// At most so many records.
        max_records: u32,
    },
    /// To a master: what a group has committed.
    Offsets {
        /// The group.
        group: GroupId,
        /// Of which partitions.
        partitions: Vec<TopicPartition>,
    },
    /// To a master: commit.
    Commit {
        /// The group.
        group: GroupId,
        /// The next offset to read of each partition.
        offsets: Vec<(TopicPartition, Offset)>,
    },
    /// To a master: lease partitions, or renew their leases.
    Lock {
        /// The group.
        group: GroupId,
        /// The partitions, each with whether the caller says that it holds it already.
        partitions: Vec<(TopicPartition, bool)>,
    },
    /// To a master: give leases back, committing the last offset in the same breath.
    Unlock {
        /// The group.
        group: GroupId,
        /// The partitions, each with what is still to be committed of it.
        partitions: Vec<(TopicPartition, Option<Offset>)>,
    },
    /// To a master: a member of the group lives here.
    Heartbeat {
        /// The group.
        group: GroupId,
    },
    /// To a master: the caller leaves the group, commits this, and gives all its leases back. Not answered.
    Leave {
        /// The group.
        group: GroupId,
        /// The next offset to read of each partition.
        offsets: Vec<(TopicPartition, Offset)>,
    },
    /// From a master to the members of a group: who they are, or that a lease was given back. Not answered.
    Members {
        /// The group.
        group: GroupId,
        /// The members, in order; none while the master's list is not complete yet.
        members: Option<Vec<Instance>>,
    },
    /// From a slave to its master: send me the log.
    Follow {
        /// The slave's epoch.
        epoch: Epoch,
        /// Its log's length.
        end: u64,
        /// Its log's epochs, each with the position where it begins.
        history: Vec<(Epoch, u64)>,
    },
    /// From a master to a slave: append these. Without entries it asks how far the slave is.
    Append {
        /// The master's epoch.
        epoch: Epoch,
        /// The position of the first entry.
        position: u64,
        /// The entries.
        entries: Vec<Entry>,
    },
    /// From a slave to its master: it has everything up to there.
    Replicated {
        /// The slave's epoch.
        epoch: Epoch,
        /// Its log's length.
        end: u64,
        /// Whether it wants an answer, as a sign of life.
        heartbeat: bool,
    },
    /// From a slave to its master: the groups' offsets.
    CopyOffsets {
        /// The master's version of the table that the slave has; 0 for none.
        version: u64,
    },
    /// From the on-call: how do you stand.
    Status,
    /// From the on-call: follow nobody of an earlier epoch any more, and step down if you are a master.
    Fence {
        /// The epoch that is to come.
        epoch: Epoch,
    },
    /// From the on-call: be the master.
    Promote {
        /// Of that epoch.
        epoch: Epoch,
    },
    /// From the on-call: be that master's slave.
    FollowMaster {
        /// The master.
        master: NodeId,
        /// Its epoch.
        epoch: Epoch,
    },
    /// From a slave to its master: which delayed records were stored in their partitions.
    CopyDelays,
    /// From the operator: a topic has more partitions from now on. Answered `Widened`.
    Widen {
        /// The topic, with the set of each of its partitions.
        topic: Topic,
    },
    /// From a broker to the name service, and from a master to a slave that copies its offsets: the topics that were
    /// widened, as it knows them. Not answered.
    Shapes {
        /// The topics.
        topics: Vec<Topic>,
    },
    /// From the operator's tool, to a master: set what a group has committed of all partitions of some topics. Answered
    /// `OffsetsReset`.
    ResetOffsets {
        /// The group.
        group: GroupId,
        /// The topics.
        topics: Vec<TopicId>,
        /// Where to.
        to: ResetTo,
    },
}

/// Where a group's offsets are set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum ResetTo {
    /// The first record that the log has.
    Earliest,
    /// The end of the log.
    Latest,
    /// The first record created at or after that moment; the end where none is so young.
    CreatedAt(Time),
}

/// How a stored send ended (e1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum SendStatus {
    /// As many slaves have it as wanted.
    Ok,
    /// Stored on the master; the slaves did not answer in time.
    FlushSlaveTimeout,
    /// Stored on the master; there are not as many slaves as wanted.
    SlaveNotAvailable,
}

/// Why a request was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Refusal {
    /// The node that was asked is no master.
    NotMaster,
    /// There is no such partition on that set.
    UnknownPartition,
    /// The caller's epoch is over.
    Stale(Epoch),
    /// The master does not know this slave: it has to ask to follow.
    NotFollowing,
    /// Somebody else holds the lease of a partition whose offset was to be committed.
    Fenced,
    /// A record is larger than `max-record-bytes`: nothing of the send is stored.
    TooLarge,
    /// The broker's disk is full: nothing was stored.
    DiskFull,
}

/// How a broker stands, for the on-call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Status {
    /// Whether it takes itself for the master.
    pub master: bool,
    /// Its epoch.
    pub epoch: Epoch,
    /// How far its log goes.
    pub length: Length,
    /// How long a slave has not heard of its master.
    pub master_silent_for: Span,
}

/// How far a log goes; the greater has more of what was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Length {
    /// The last epoch whose beginning the log is known to contain.
    pub epoch: Epoch,
    /// The number of entries.
    pub end: u64,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Response {
    /// To any request.
    Refused(Refusal),
    /// To `Route`.
    Route {
        /// The master of each set, with its epoch.
        masters: Vec<Option<(NodeId, Epoch)>>,
        /// The topics.
        topics: Vec<Topic>,
    },
    /// To `Register`: the set's present master and its epoch, as far as the name service compares epochs.
    Register {
        #[doc = "The master."]
        master: Option<(NodeId, Epoch)>,
    },
    /// To `Seen`: the master's node and how long it has been silent, if one is listed.
    Seen {
        /// The set.
        set: u16,
        /// The master.
        master: Option<(NodeId, Span)>,
    },
    /// To `Send`.
    Send {
        /// How it ended.
        status: SendStatus,
        /// The first record's offset.
        offset: Offset,
    },
    /// To `Pull`.
    Pull {
        /// The first record's offset.
        offset: Offset,
        /// The records; none after the pull wait.
        records: Vec<Record>,
    },
    /// To `Pull`: read from there instead.
    Moved {
        /// From where.
        offset: Offset,
    },
    /// To `Offsets`.
    Offsets {
        /// The committed offset of each partition, if there is one.
        offsets: Vec<(TopicPartition, Option<Offset>)>,
    },
    /// To `Commit`.
    Commit,
    /// To `Lock`.
    Lock {
        /// What the caller holds now.
        granted: Vec<TopicPartition>,
    },
    /// To `Unlock`.
    Unlock,
    /// To `Heartbeat`.
    Heartbeat {
        /// The members, in order; none while the master's list is not complete yet.
        members: Option<Vec<Instance>>,
    },
    /// To `Follow`: appends follow.
    Follow {
        /// The master's epoch.
        epoch: Epoch,
        /// From which position; what the slave has beyond it, it has to cut off.
        position: u64,
        /// The position where the master's epoch began.
        epoch_start: u64,
    },
    /// To `Replicated`, as a sign of life.
    Replicated,
    /// To `CopyOffsets`: nothing where the slave has the present version.
    CopyOffsets {
        /// The table's version.
        version: u64,
        /// The table.
        offsets: Option<OffsetTable>,
    },
    /// To `Status`.
    Status(Status),
    /// To `Fence`, `Promote` and `FollowMaster`: done.
    Done {
        /// The epoch.
        epoch: Epoch,
        /// How far the log goes.
        length: Length,
    },
    /// To `Follow`: appends follow, but the master does not give what lies before: throw away what you have, and begin
    /// there.
    FollowFrom {
        /// The master's epoch.
        epoch: Epoch,
        /// The position where the master's epoch began.
        epoch_start: u64,
        /// Where.
        beginning: Beginning,
    },
    /// To `CopyDelays`: all up to there.
    CopyDelays {
        /// The last of them.
        stored: Waiting,
    },
    /// To `Widen`: so many partitions has the topic by what the broker knows now.
    Widened {
        /// The topic.
        topic: TopicId,
        /// Its partitions.
        partitions: u16,
    },
    /// To `ResetOffsets`: what the group has committed now of those partitions that this master has.
    OffsetsReset {
        /// The offsets.
        offsets: Vec<(TopicPartition, Offset)>,
    },
}

impl Request {
    /// What kind of request it is, for traces.
    pub fn name(&self) -> &'static str {
        match self {
            Request::Route => "corgi-route",
            Request::Register { .. } => "corgi-register",
            Request::Seen { .. } => "corgi-seen",
            Request::Send { .. } => "corgi-send",
            Request::Pull { .. } => "corgi-pull",
            Request::Offsets { .. } => "corgi-offsets",
            Request::Commit { .. } => "corgi-commit",
            Request::Lock { .. } => "corgi-lock",
            Request::Unlock { .. } => "corgi-unlock",
            Request::Heartbeat { .. } => "corgi-heartbeat",
            Request::Leave { .. } => "corgi-leave",
            Request::Members { .. } => "corgi-members",
            Request::Follow { .. } => "corgi-follow",
            Request::Append { .. } => "corgi-append",
            Request::Replicated { .. } => "corgi-replicated",
            Request::CopyOffsets { .. } => "corgi-copy-offsets",
            Request::Status => "corgi-status",
            Request::Fence { .. } => "corgi-fence",
            Request::Promote { .. } => "corgi-promote",
            Request::FollowMaster { .. } => "corgi-follow-master",
            Request::CopyDelays => "corgi-copy-delays",
            Request::Widen { .. } => "corgi-widen",
            Request::Shapes { .. } => "corgi-shapes",
            Request::ResetOffsets { .. } => "corgi-reset-offsets",
        }
    }
}

impl Response {
    /// What kind of answer it is, for traces.
    pub fn name(&self) -> &'static str {
        match self {
            Response::Refused(_) => "corgi-refused",
            Response::Route { .. } => "corgi-route-answer",
            Response::Register { .. } => "corgi-register-answer",
            Response::Seen { .. } => "corgi-seen-answer",
            Response::Send { .. } => "corgi-send-answer",
            Response::Pull { .. } => "corgi-pull-answer",
            Response::Moved { .. } => "corgi-pull-moved",
            Response::Offsets { .. } => "corgi-offsets-answer",
            Response::Commit => "corgi-commit-answer",
            Response::Lock { .. } => "corgi-lock-answer",
            Response::Unlock => "corgi-unlock-answer",
            Response::Heartbeat { .. } => "corgi-heartbeat-answer",
            Response::Follow { .. } => "corgi-follow-answer",
            Response::Replicated => "corgi-replicated-answer",
            Response::CopyOffsets { .. } => "corgi-copy-offsets-answer",
            Response::Status(_) => "corgi-status-answer",
            Response::Done { .. } => "corgi-done",
            Response::FollowFrom { .. } => "corgi-follow-from",
            Response::CopyDelays { .. } => "corgi-copy-delays-answer",
            Response::Widened { .. } => "corgi-widened",
            Response::OffsetsReset { .. } => "corgi-offsets-reset",
        }
    }
}
