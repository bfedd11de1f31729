//! What two versions of Kafka do differently, as far as it was recorded: all of it is decided here, and asked where it
//! matters. The rest of the model is 3.9.

use super::cluster::PartitionState;
use super::protocol::{AssignmentProtocol, BrokerId};
use crate::units::Span;
use serde::{Deserialize, Serialize};

/// Which Kafka a cluster runs.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
pub enum Version {
    /// 3.9, as 3.9.1 was recorded.
    #[default]
    #[serde(rename = "3.9")]
    #[strum(serialize = "3.9")]
    V3_9,
    /// 4.1, as 4.1.0 was recorded with the clients of 3.9: the first transaction protocol, the classic groups.
    #[serde(rename = "4.1")]
    #[strum(serialize = "4.1")]
    V4_1,
}

impl Version {
    fn is_4(self) -> bool {
        self >= Version::V4_1
    }

    /// How far ahead of the broker's clock a record may be where its topic does not say (`log.message.timestamp.after.max.ms`):
    /// an hour since 4.0, without a limit before (recorded: `timestamp-limits`).
    pub fn timestamp_after(self) -> Option<Span> {
        self.is_4().then_some(Span::secs(3_600))
    }

    /// The replicas in sync as `Metadata` tells them: 4.1 shows none where nobody leads, 3.9 the last one (recorded: `no-leader`).
    pub fn shown_isr(self, state: &PartitionState) -> Vec<BrokerId> {
        if self.is_4() && state.leader.is_none() { Vec::new() } else { state.isr.clone() }
    }

    /// Whether `DescribeGroup` tells what members had before a rebalance while it goes on (recorded: `two-members-join`).
    pub fn shows_last_assignments(self) -> bool {
        self.is_4()
    }

    /// The epoch before, which a producer may go on from whose transaction was aborted because it took too long; -1 for
    /// none: it is fenced (recorded: `open-transaction-times-out`).
    pub fn epoch_before_a_timeout(self, epoch: i16) -> i16 {
        if self.is_4() { epoch } else { -1 }
    }

    /// Whether an open transaction of another epoch of the same producer is none, so that the coordinator is asked, which
    /// refuses the old epoch before the log is looked at (recorded: `zombie-producer-is-fenced`).
    pub fn tells_epochs_apart(self) -> bool {
        self.is_4()
    }

    /// Of protocols that are liked alike the one with the greater key is chosen. Kafka goes by the order of a hash map;
    /// 3.9.1 chose `roundrobin` over `range`, 4.1.0 the other way (recorded: "Groups", 15).
    pub fn wins_tie(self, one: AssignmentProtocol, other: AssignmentProtocol) -> bool {
        let later = one.to_string() > other.to_string();
        later != self.is_4()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_fall_the_other_way_in_4_1() {
        let (range, round_robin) = (AssignmentProtocol::Range, AssignmentProtocol::RoundRobin);
        assert!(Version::V3_9.wins_tie(round_robin, range) && !Version::V3_9.wins_tie(range, round_robin));
        assert!(Version::V4_1.wins_tie(range, round_robin) && !Version::V4_1.wins_tie(round_robin, range));
    }
}
