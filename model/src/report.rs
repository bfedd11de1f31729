//! What a node tells the operator of itself when he asks. The operator judges by these alone, never by the truth.

use crate::deployment::Target;
use crate::record::{GroupId, Offset, Queue, TopicPartition};
use crate::switch::WriteTo;
use serde::Serialize;
use std::hash::{Hash, Hasher};

/// A node's report of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Report {
    /// A producer application.
    Producer {
        /// The version of the switches that it obeys.
        switch_version: u64,
        /// Where it writes.
        write: WriteTo,
        /// Whether a hold is in force and no send that the hold covers is still in flight.
        held: bool,
        /// Sends that are neither acknowledged nor given up.
        in_flight: u32,
    },
    /// A consumer application.
    Consumer {
        /// Its group.
        group: GroupId,
        /// Whether it runs the NewClient.
        new_client: bool,
        /// The version of the switches that it obeys; 0 for the OldClient.
        switch_version: u64,
        /// Where it reads.
        reading: Queue,
        /// Whether it is paused and processes nothing.
        paused: bool,
        /// The partitions that it has been assigned.
        assigned: u32,
    },
    /// A mirror worker.
    Mirror {
        /// The source partitions that it has copied since its start: everything below that offset is acknowledged by
        /// the target.
        copied: Vec<(TopicPartition, Offset)>,
        /// The source's ends as it last saw them.
        source_ends: Vec<(TopicPartition, Offset)>,
        /// The source partitions that it holds now.
        held: Vec<TopicPartition>,
    },
    /// A Corgi master. A slave answers too, with `master` false.
    Corgi {
        /// Whether it takes itself for a master.
        master: bool,
        /// The end of each partition's log.
        ends: Vec<(TopicPartition, Offset)>,
        /// What each group has committed.
        committed: Vec<(GroupId, TopicPartition, Offset)>,
        /// How many live members each group has; the mirror reads as a group of its own.
        members: Vec<(GroupId, u32)>,
        /// How many records it keeps back because they are not due yet.
        delayed: Delayed,
    },
    /// The deployment.
    Deployment {
        /// A target each: old processes that run, new processes that are ready, processes there are in all of each kind.
        targets: Vec<DeployedTarget>,
    },
}

/// A number of records that are not due yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Delayed(pub u64);

/// Most services have none, and a report that says so is what it was before there were any.
impl Hash for Delayed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.0 > 0 {
            self.0.hash(state);
        }
    }
}

/// How a deployment target stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct DeployedTarget {
    /// Which.
    pub target: Target,
    /// Old processes that have not exited, as far as the deployment knows.
    pub old_running: u32,
    /// New processes that said they are ready.
    pub new_ready: u32,
    /// New processes there are to be.
    pub new_expected: u32,
}
