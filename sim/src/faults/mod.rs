//! Faults as plain data: what can go wrong, where, when and for how long; and how a run's faults are drawn.
//! Applying them is the world's part.

mod choose;
pub mod draw;
pub(crate) mod reach;
pub mod settings;

pub use draw::draw;
pub use settings::Settings;

use cutover_model::record::NodeId;
use cutover_model::units::{Span, Time};
use serde::{Deserialize, Serialize};

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Fault {
    /// When it strikes.
    pub when: When,
    /// How long it lasts. A restart and a crash end with the process started again.
    pub duration: Span,
    /// What it does, and to whom.
    pub kind: FaultKind,
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
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum FaultKind {
    /// The process dies at once, and is started again at the end.
    Crash {
        /// Whose.
        target: Target,
    },
    /// The process stands still (a long collection, a frozen machine) and goes on at the end: what came meanwhile
    /// comes then.
    Pause {
        /// Whose.
        target: Target,
    },
    /// The process is stopped in good order and started again at the end.
    Restart {
        /// Whose.
        target: Target,
    },
    /// Messages between the two sides are dropped, and nobody is told.
    Cut {
        /// Between which.
        link: Link,
    },
    /// Messages take longer.
    SlowLink {
        /// Between which.
        link: Link,
        /// How much longer each takes.
        added: Span,
    },
    /// Some messages are dropped.
    LossyLink {
        /// Between which.
        link: Link,
        /// How many in a million.
        per_million: u32,
    },
    /// Some messages arrive twice.
    DuplicatingLink {
        /// Between which.
        link: Link,
        /// How many in a million.
        per_million: u32,
    },
    /// Some messages are overtaken by later ones.
    ReorderingLink {
        /// Between which.
        link: Link,
        /// How many in a million.
        per_million: u32,
    },
    /// The node's wall clock is wrong, on top of its usual skew.
    ClockSkew {
        /// Whose.
        target: Target,
        /// By how much.
        skew: Span,
        /// Whether it is behind; ahead otherwise.
        behind: bool,
    },
}

/// The links that a network fault is on.
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
