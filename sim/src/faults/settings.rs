//! The faults of a case, as its file gives them: a list, a distribution to draw from, or both.

use super::NodeKind;
use cutover_model::units::Span;
use serde::{Deserialize, Serialize};

/// `[faults]`: none, where the table is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// Faults that strike in every run.
    pub list: Vec<Listed>,
    /// Faults that each run draws from its seed.
    pub draw: Option<Distribution>,
}

/// The kinds of fault, by the words of the case file.
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
    /// The process dies and is started again at the end.
    Crash,
    /// The process stands still until the end.
    Pause,
    /// The process is stopped in good order, and started again at the end.
    Restart,
    /// Messages between `target` and `to` are dropped.
    Cut,
    /// Messages between `target` and `to` take `latency` longer.
    SlowLink,
    /// `per-million` of the messages between `target` and `to` are dropped.
    LossyLink,
    /// `per-million` of the messages between `target` and `to` arrive twice.
    DuplicatingLink,
    /// `per-million` of the messages between `target` and `to` are overtaken.
    ReorderingLink,
    /// The wall clock of `target` is `skew` ahead, or behind.
    ClockSkew,
}

impl Kind {
    /// Whether it is on links rather than on a node, and takes `to` and `one-way`.
    pub fn on_links(self) -> bool {
        matches!(
            self,
            Kind::Cut | Kind::SlowLink | Kind::LossyLink | Kind::DuplicatingLink | Kind::ReorderingLink
        )
    }

    /// Whether it takes `per-million`.
    pub fn takes_rate(self) -> bool {
        matches!(self, Kind::LossyLink | Kind::DuplicatingLink | Kind::ReorderingLink)
    }
}

/// What a fault strikes, by the words of the case file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Aim {
    /// The present master of a Corgi broker set: `corgi-master` (of the first set, or of any that is drawn).
    CorgiMaster,
    /// A slave of a Corgi broker set: `corgi-slave`.
    CorgiSlave,
    /// A node of a kind: `kafka-broker`, `mirror`, `old-consumer`, ...
    Kind(NodeKind),
    /// Everybody else: `everybody`.
    Everybody,
    /// A node by its name, or a site by its name.
    Named(String),
}

impl From<String> for Aim {
    fn from(word: String) -> Aim {
        match word.as_str() {
            "corgi-master" => Aim::CorgiMaster,
            "corgi-slave" => Aim::CorgiSlave,
            "everybody" => Aim::Everybody,
            _ => word.parse().map_or(Aim::Named(word), Aim::Kind),
        }
    }
}

impl From<Aim> for String {
    fn from(aim: Aim) -> String {
        match aim {
            Aim::CorgiMaster => "corgi-master".to_owned(),
            Aim::CorgiSlave => "corgi-slave".to_owned(),
            Aim::Everybody => "everybody".to_owned(),
            Aim::Kind(kind) => kind.to_string(),
            Aim::Named(name) => name,
        }
    }
}

/// A fault of the list: `[[faults.list]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Listed {
    /// When it strikes, since the start of the run. Either this or `phase`.
    #[serde(default)]
    pub at: Option<Span>,
    /// The phase in which it strikes.
    #[serde(default)]
    pub phase: Option<String>,
    /// How long after the phase has begun.
    #[serde(default)]
    pub after: Span,
    /// How long it lasts.
    pub duration: Span,
    /// What it is.
    pub kind: Kind,
    /// What it strikes: a role, a kind of node, or a node's name. Of several nodes the first; for a fault on links all.
    pub target: Aim,
    /// The kind's own figures.
    #[serde(default)]
    pub to: Option<Aim>,
    /// Whether only what `target` sends to `to` is struck.
    #[serde(default)]
    pub one_way: bool,
    /// For `slow-link`: how much longer each message takes.
    #[serde(default)]
    pub latency: Option<Span>,
    /// For lossy, duplicating and reordering links: how many messages in a million.
    #[serde(default)]
    pub per_million: Option<u32>,
    /// For `clock-skew`: how wrong the clock is.
    #[serde(default)]
    pub skew: Option<Span>,
    /// For `clock-skew`: whether the clock is behind; it is ahead otherwise.
    #[serde(default)]
    pub behind: bool,
}

/// A distribution of faults: `[faults.draw]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Distribution {
    /// How many faults a run draws, or as many as fit.
    pub count: u32,
    /// No fault strikes before.
    pub start: Span,
    /// No fault lasts longer than until then.
    pub end: Span,
    /// How long after its end a fault still counts as one in its failure domain: the time that a system is given to
    /// recover before the next one.
    #[serde(default = "default_settle")]
    pub settle: Span,
    /// Whether more than one fault at a time may strike a failure domain: beyond what the systems tolerate.
    #[serde(default)]
    pub beyond: bool,
    /// What is drawn.
    pub kinds: Vec<Drawn>,
}

fn default_settle() -> Span {
    Span::secs(60)
}

/// A kind of fault in a distribution: `[[faults.draw.kinds]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Drawn {
    /// What it is.
    pub kind: Kind,
    /// What it strikes: one of these, each node as likely as the other.
    pub targets: Vec<Aim>,
    /// For faults on links: the other side; everybody where it is not given.
    #[serde(default)]
    pub to: Option<Aim>,
    /// Whether only what the target sends is struck.
    #[serde(default)]
    pub one_way: bool,
    /// How likely it is among the kinds.
    #[serde(default = "default_weight")]
    pub weight: u32,
    /// How long it lasts at least.
    pub least: Span,
    /// How long it lasts at most.
    pub most: Span,
    /// Its own settling time, where it is not the distribution's.
    #[serde(default)]
    pub settle: Option<Span>,
    /// It does not strike before: for what does not run earlier.
    #[serde(default)]
    pub start: Option<Span>,
    /// It does not last longer than until then: for what does not run later.
    #[serde(default)]
    pub end: Option<Span>,
    /// For `slow-link`: how much longer each message takes.
    #[serde(default)]
    pub latency: Option<Span>,
    /// For lossy, duplicating and reordering links: how many messages in a million.
    #[serde(default)]
    pub per_million: Option<u32>,
    /// For `clock-skew`: how wrong the clock is at most, ahead or behind.
    #[serde(default)]
    pub skew: Option<Span>,
}

fn default_weight() -> u32 {
    1
}
