//! What a fault does, as the world is told: a list of strikes, each with its time within the fault. What faults there are to be, and
//! whom they strike, is decided elsewhere.

use super::network::{Impairment, NodeSet};
use crate::faults::{Domains, Tolerance};
use cutover_model::incident::{DiskLoss, Incident};
use cutover_model::record::NodeId;
use cutover_model::units::Span;
use serde::Serialize;

/// Whom a fault strikes: a node, or whoever has a role when it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Struck {
    /// That node.
    Node(NodeId),
    /// The leader of that circle at the time.
    Leader(u16),
    /// The first of that circle who is not its leader at the time.
    Follower(u16),
}

/// Nodes of which one leads: a broker set. Who leads is taken from the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Circle {
    /// The nodes, in ascending order.
    pub members: Vec<NodeId>,
    /// Who leads.
    pub leader: NodeId,
}

/// One side of a network fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Side {
    /// These nodes.
    Nodes(NodeSet),
    /// One node, by what it is when the fault strikes.
    One(Struck),
}

/// One thing that a fault does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Strike {
    /// The process dies, and its disk may lose something; at the end the process is started, if it is meant to run then.
    Crash(Struck, Option<DiskLoss>),
    /// The process is asked to stop; at the end it is started, if it is meant to run then.
    Restart(Struck),
    /// The process is started; at the end it is asked to stop.
    Start(Struck),
    /// The process stands still.
    Pause(Struck),
    /// What needs the disk takes up to so much longer.
    SlowDisk(Struck, Span),
    /// The wall clock is wrong by so many microseconds.
    Skew(Struck, i64),
    /// The wall clock jumps by so many microseconds, and stays wrong.
    Jump(Struck, i64),
    /// The machine meets an incident, and another one at the end. One that has an end is told again to a process that
    /// starts meanwhile; a process that ended of itself meanwhile is started at the end.
    Incident(Struck, Incident, Option<Incident>),
    /// Messages from one side to the other are impaired.
    Network {
        /// Who sends.
        from: Side,
        /// Who receives.
        to: Side,
        /// How.
        impairment: Impairment,
    },
}

impl Strike {
    pub(super) fn struck(&self) -> Option<Struck> {
        match self {
            Strike::Crash(struck, _)
            | Strike::Restart(struck)
            | Strike::Start(struck)
            | Strike::Pause(struck)
            | Strike::SlowDisk(struck, _)
            | Strike::Skew(struck, _)
            | Strike::Jump(struck, _)
            | Strike::Incident(struck, ..) => Some(*struck),
            Strike::Network { .. } => None,
        }
    }
}

/// A strike within a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Staged {
    /// How long after the fault's beginning.
    pub after: Span,
    /// For how long.
    pub lasting: Span,
    /// What it is.
    pub strike: Strike,
}

impl Staged {
    /// A strike that lasts as long as its fault.
    pub fn whole(strike: Strike, lasting: Span) -> Staged {
        Staged { after: Span::ZERO, lasting, strike }
    }
}

/// A fault that is ready to strike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReadyFault {
    /// Its kind, the word of the case file.
    pub kind: String,
    /// What it strikes, readable.
    pub target: String,
    /// By how much, readable; empty where there is nothing to say.
    pub figure: String,
    /// How long it lasts.
    pub duration: Span,
    /// What it does.
    pub strikes: Vec<Staged>,
    /// Whom it is meant for, where that is somebody else than its strikes hit: what the on-call is told befalls a broker set.
    pub meant: Option<Struck>,
    /// The failure domains that it strikes.
    pub domains: Domains,
    /// Where it gives way: it does not strike outside its window, nor where another fault has not ended and settled. Without, it
    /// strikes in any case.
    pub tolerance: Option<Tolerance>,
}

/// What of the plan a fault waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Moment {
    /// That the phase begins.
    Phase(String),
    /// That the operator has done that line of that phase, or found its gate open.
    Step(String, u32),
}
