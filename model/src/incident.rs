//! What befalls a machine from outside its protocols, beyond a crash, a pause and a broken network: the state of its disk, an order
//! that somebody gives by hand, more traffic than usual. A machine takes the incidents that it knows and passes over the others;
//! who strikes whom, and when, is the world's.

use crate::units::Bytes;
use serde::{Deserialize, Serialize};

/// What a disk lost while its host was down. Told after [`crate::machine::Machine::crash`], before the next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskLoss {
    /// What the system had not written to the platter yet: the host died, and not the process alone.
    UnsyncedTail,
    /// Everything: the disk was replaced by an empty one.
    Everything,
}

/// One incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Incident {
    /// The disk is full: nothing can be appended. Told again to a process that starts meanwhile.
    DiskFilled,
    /// There is room on the disk again.
    DiskFreed,
    /// Somebody orders that another broker of that Corgi broker set be its master, though nothing is wrong (to the on-call).
    FailOver {
        /// The broker set.
        set: u16,
    },
    /// Somebody orders an election of all partitions' leaders (to Kafka's controller).
    ElectLeaders {
        /// Whether a replica that is not in sync may win.
        unclean: bool,
    },
    /// The cloud grants so many bytes a second from now on (to a Kafka broker); what its settings say, where there are none.
    Quota {
        /// Bytes a second and broker.
        bytes_per_second: Option<Bytes>,
    },
    /// What is due within that span is due now (to a producer application).
    Burst {
        /// How far ahead.
        ahead: crate::units::Span,
    },
    /// The next record is that large (to a producer application).
    Oversized {
        /// Its size.
        bytes: Bytes,
    },
    /// From now on everybody is told what stood before the last change (to the switch centre).
    SwitchesStale,
    /// From now on everybody is told what stands (to the switch centre).
    SwitchesFresh,
    /// From now on he is shown what he was shown last (to the operator): the monitoring stands still.
    ReportsStale,
    /// The monitoring goes on (to the operator).
    ReportsFresh,
}

/// A branch that is seldom taken in the systems' own timing: nothing is wrong, and what is allowed at any time happens.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    strum::Display,
    strum::EnumIter,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum RareBranch {
    /// A broker answers a fetch with less than it could.
    ShortFetch,
    /// The acknowledgement of a send or a commit comes late.
    LateAcknowledgement,
    /// Who waits for an acknowledgement times out, although everything was done.
    SpuriousTimeOut,
}
