//! The kinds of fault, by the words of the case file: what each does, whom it can strike, and which figures it needs.

use super::NodeKind;
use serde::{Deserialize, Serialize};

/// The kinds of fault.
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
    Deserialize,
    strum::Display,
    strum::EnumIter,
    strum::EnumString,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Kind {
    /// The process dies at once and is started again at the end; its disk keeps everything.
    Crash,
    /// The whole host dies: what was not written to the platter yet is lost with the process.
    HostCrash,
    /// The process dies, and its disk with it: it comes back with an empty one.
    DiskLoss,
    /// The process stands still (a long collection, a frozen machine) until the end: what came meanwhile comes then.
    Pause,
    /// The process is stopped in good order, and started again at the end.
    Restart,
    /// The processes of a kind (of a group: a deploy) are stopped in good order and started again, one after the other.
    RollingRestart,
    /// Half of a group's instances are stopped in good order at once, and come back one after the other.
    ScaleDown,
    /// A group's spare instances join it, and leave at the end.
    ScaleUp,
    /// Messages between `target` and `to` are dropped, and nobody is told.
    Cut,
    /// A Kafka broker is cut from the other brokers, and from nobody else: it falls out of sync, or those that follow it do.
    IsrShrink,
    /// Messages between `target` and `to` take up to `latency` longer.
    SlowLink,
    /// `per-million` of the messages between `target` and `to` are dropped.
    LossyLink,
    /// `per-million` of the messages between `target` and `to` arrive twice.
    DuplicatingLink,
    /// `per-million` of the messages between `target` and `to` are overtaken by later ones.
    ReorderingLink,
    /// What needs the disk of `target` takes up to `latency` longer; it still answers whatever does not.
    SlowDisk,
    /// The disk of `target` is full: nothing can be appended.
    FullDisk,
    /// The wall clock of `target` is `skew` ahead, or behind.
    ClockSkew,
    /// The wall clock of `target` jumps by `skew`, and nobody puts it right before the faults are healed.
    ClockJump,
    /// Somebody has the on-call make a slave of that Corgi broker set its master, though nothing is wrong.
    FailOver,
    /// Somebody has Kafka's controller elect the preferred leaders.
    LeaderElection,
    /// Somebody has Kafka's controller elect a leader wherever there is none, in sync or not.
    UncleanElection,
    /// `per-million` of what the switch centre says to `target` is lost.
    LostSwitches,
    /// What the switch centre says to `target` comes up to `latency` later.
    LateSwitches,
    /// The switch centre tells everybody what stood before the last change.
    StaleSwitches,
    /// The operator's monitoring stands still.
    StaleReports,
    /// The cloud grants Kafka no more than `bytes` a second and broker.
    Quota,
    /// Producers send at once what would be due within `ahead`.
    Burst,
    /// The next record of a producer is `bytes` long.
    OversizedRecord,
}

/// The figures that only some kinds of fault take.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::Display, strum::EnumIter, strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Figure {
    /// The other side of a link.
    To,
    /// Whether only one direction of a link is struck.
    OneWay,
    /// How much longer something takes.
    Latency,
    /// How many of a million.
    PerMillion,
    /// How wrong a clock is.
    Skew,
    /// Whether it is behind.
    Behind,
    /// How far ahead.
    Ahead,
    /// How many bytes.
    Bytes,
}

impl Figure {
    /// Whether a kind that takes it can do without.
    pub fn is_optional(self) -> bool {
        matches!(self, Figure::To | Figure::OneWay | Figure::Behind)
    }
}

/// Whom a kind of fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The links between two sides.
    Links,
    /// One node.
    Node,
    /// All nodes of a part of a kind: Kafka's brokers, a group's instances, the producers.
    Part,
}

impl Kind {
    /// Whom it strikes.
    pub fn reach(self) -> Reach {
        match self {
            Kind::Cut | Kind::SlowLink | Kind::LossyLink | Kind::DuplicatingLink | Kind::ReorderingLink => {
                Reach::Links
            }
            Kind::RollingRestart | Kind::ScaleDown | Kind::ScaleUp | Kind::Quota | Kind::Burst => Reach::Part,
            _ => Reach::Node,
        }
    }

    /// Whether it is on links rather than on nodes.
    pub fn on_links(self) -> bool {
        self.reach() == Reach::Links
    }

    /// Which figures it takes.
    pub fn figures(self) -> &'static [Figure] {
        match self {
            Kind::Cut => &[Figure::To, Figure::OneWay],
            Kind::SlowLink => &[Figure::To, Figure::OneWay, Figure::Latency],
            Kind::LossyLink | Kind::DuplicatingLink | Kind::ReorderingLink => {
                &[Figure::To, Figure::OneWay, Figure::PerMillion]
            }
            Kind::SlowDisk | Kind::LateSwitches => &[Figure::Latency],
            Kind::LostSwitches => &[Figure::PerMillion],
            Kind::ClockSkew | Kind::ClockJump => &[Figure::Skew, Figure::Behind],
            Kind::Burst => &[Figure::Ahead],
            Kind::Quota | Kind::OversizedRecord => &[Figure::Bytes],
            _ => &[],
        }
    }

    /// Whether it means anything for a node of that kind.
    pub fn can_strike(self, node: NodeKind) -> bool {
        let instance = matches!(node, NodeKind::OldConsumer | NodeKind::NewConsumer);
        let is_store = matches!(node, NodeKind::CorgiBroker | NodeKind::KafkaBroker | NodeKind::Redis);
        // They answer when what they answer for is on the platter: a host that dies takes no more than a process that does.
        let writes_through =
            matches!(node, NodeKind::KafkaController | NodeKind::SwitchCentre | NodeKind::Deployment);
        match self {
            Kind::DiskLoss | Kind::FullDisk => is_store,
            // Redis answers from memory, and writes in the background.
            Kind::SlowDisk => is_store && node != NodeKind::Redis,
            Kind::HostCrash => is_store || writes_through,
            Kind::ScaleDown => instance,
            Kind::ScaleUp => node == NodeKind::NewConsumer,
            Kind::IsrShrink | Kind::Quota => node == NodeKind::KafkaBroker,
            Kind::FailOver => node == NodeKind::CorgiBroker,
            Kind::LeaderElection | Kind::UncleanElection => node == NodeKind::KafkaController,
            Kind::LostSwitches | Kind::LateSwitches => {
                matches!(node, NodeKind::NewConsumer | NodeKind::Producer)
            }
            Kind::StaleSwitches => node == NodeKind::SwitchCentre,
            Kind::StaleReports => node == NodeKind::Operator,
            Kind::Burst | Kind::OversizedRecord => node == NodeKind::Producer,
            _ => true,
        }
    }
}
