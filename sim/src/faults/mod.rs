//! Faults as plain data: what can go wrong, where, when and for how long; and how a run's faults are drawn.
//! Applying them is the world's part.

mod choose;
pub mod draw;
pub mod kind;
pub(crate) mod reach;
pub mod settings;

pub use draw::draw;
pub use kind::{Figure, Kind, Reach};
pub use settings::Settings;

use cutover_model::record::NodeId;
use cutover_model::units::{Bytes, Span, Time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Fault {
    /// When it strikes.
    pub when: When,
    /// How long it lasts. What it stopped is started again at its end.
    pub duration: Span,
    /// What it does.
    pub kind: Kind,
    /// To whom: for a fault on nodes `from` alone counts.
    pub on: Link,
    /// How much of it.
    pub figures: Figures,
    /// The failure domains that it strikes.
    pub domains: Domains,
    /// Whether it gives way: it does not strike where an earlier one has not ended and settled in one of its failure domains. What
    /// a case lists strikes nevertheless.
    pub tolerance: Option<Tolerance>,
    /// Its place in the case's list, if it is listed.
    pub listed: Option<usize>,
}

/// The figures of a fault; those that its kind does not take are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Figures {
    /// How much longer something takes at most.
    pub latency: Span,
    /// How many of a million.
    pub per_million: u32,
    /// How wrong a clock is.
    pub skew: Span,
    /// Whether it is behind; ahead otherwise.
    pub behind: bool,
    /// How far ahead.
    pub ahead: Span,
    /// How many bytes.
    pub bytes: Bytes,
}

impl Figures {
    /// By how much a fault of that kind strikes, as a sentence has it; empty where its kind takes no figure.
    pub fn in_words(&self, kind: Kind) -> String {
        let word = |figure: &Figure| match figure {
            Figure::Latency => Some(format!("up to {}", self.latency)),
            Figure::PerMillion => Some(format!("{} of a million", self.per_million)),
            Figure::Skew => Some(format!("{} {}", self.skew, if self.behind { "behind" } else { "ahead" })),
            Figure::Behind | Figure::To | Figure::OneWay => None,
            Figure::Ahead => Some(format!("by {}", self.ahead)),
            Figure::Bytes => Some(self.bytes.to_string()),
        };
        kind.figures().iter().filter_map(word).collect::<Vec<_>>().join(", ")
    }
}

/// The failure domains that a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Domains {
    /// These.
    These(BTreeSet<String>),
    /// All there are.
    All,
}

impl Domains {
    /// No domain at all.
    pub fn none() -> Domains {
        Domains::These(BTreeSet::new())
    }

    /// That domain alone.
    pub fn one(domain: &str) -> Domains {
        Domains::These(BTreeSet::from([domain.to_owned()]))
    }

    /// Whether they have a domain in common.
    pub fn meet(&self, other: &Domains) -> bool {
        match (self, other) {
            (Domains::These(one), Domains::These(other)) => !one.is_disjoint(other),
            _ => true,
        }
    }

    /// These and those.
    pub fn with(self, other: Domains) -> Domains {
        match (self, other) {
            (Domains::These(one), Domains::These(other)) => {
                Domains::These(one.into_iter().chain(other).collect())
            }
            _ => Domains::All,
        }
    }
}

/// What keeps a fault inside what the systems tolerate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tolerance {
    /// How long the domains need to recover from it.
    pub settle: Span,
    /// It does not strike before.
    pub start: Time,
    /// It does not last longer than until then.
    pub end: Time,
}

/// When a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// At that moment.
    At(Time),
    /// So long after the operator has begun that phase; never, if he does not begin it.
    InPhase {
        /// The phase's name.
        phase: String,
        /// How long after its beginning.
        after: Span,
    },
    /// So long after the operator has done that step for the first time; never, if he does not.
    AtStep {
        /// The phase's name.
        phase: String,
        /// The line of the phase, from 1.
        step: u32,
        /// How long after it.
        after: Span,
    },
}

/// The links that a network fault is on; of any other fault, `from` is whom it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Link {
    /// One side.
    pub from: Side,
    /// The other.
    pub to: Side,
    /// Whether only what `from` sends to `to` is struck.
    pub one_way: bool,
}

/// One side of a network fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// One node.
    One(Target),
    /// All nodes of a kind.
    Kind(NodeKind),
    /// All nodes of a part of a kind: a group's instances.
    Part(NodeKind, u16),
    /// All nodes of a site, by the site's place in the case.
    Site(u16),
    /// Everybody else.
    Everybody,
}

/// The node that a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// That node.
    Node(NodeId),
    /// The node that has that role when the fault strikes.
    Role(Role),
}

/// A role that moves from node to node, so that only the world knows who has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The master of that Corgi broker set.
    CorgiMaster(u16),
    /// The first slave of that Corgi broker set: of the nodes that are not its master, the one with the lowest id.
    CorgiSlave(u16),
}

/// What a node is.
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
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum NodeKind {
    /// A broker of a Corgi broker set.
    CorgiBroker,
    /// Corgi's name service.
    NameService,
    /// The people and scripts that fail Corgi over.
    OnCall,
    /// A Kafka broker.
    KafkaBroker,
    /// Kafka's controller.
    KafkaController,
    /// A mirror worker.
    Mirror,
    /// A producer application.
    Producer,
    /// A consumer application with the OldClient.
    OldConsumer,
    /// A consumer application with the NewClient.
    NewConsumer,
    /// The switch centre.
    SwitchCentre,
    /// The deployment.
    Deployment,
    /// The operator.
    Operator,
    /// Redis.
    Redis,
}

/// A node as the drawing of faults needs to know it; the builder of the world makes the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// Its name: `corgi-0-1`. A fault of the list form may name it.
    pub name: String,
    /// What it is.
    pub kind: NodeKind,
    /// Which of its kind's parts it belongs to: its broker set, its group; 0 where there is but one.
    pub part: u16,
    /// Its failure domain: the nodes of one domain tolerate one fault at a time among them.
    pub domain: String,
    /// Whether it stands by: nobody starts it but a fault that scales its group up.
    pub spare: bool,
}

/// All nodes of a world, in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Nodes(pub Vec<Node>);

impl Nodes {
    /// The node of that name.
    pub fn named(&self, name: &str) -> Option<&Node> {
        self.0.iter().find(|node| node.name == name)
    }

    /// The nodes of that kind.
    pub fn of_kind(&self, kind: NodeKind) -> impl Iterator<Item = &Node> {
        self.0.iter().filter(move |node| node.kind == kind)
    }
}
