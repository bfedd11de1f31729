//! The faults of a case, as its file gives them: a list, a distribution to draw from, or both.

use super::kind::Figure;
pub use super::kind::Kind;
use super::{Figures, NodeKind};
use cutover_model::units::{Bytes, Span};
use serde::{Deserialize, Serialize};

/// `[faults]`: none, where the table is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// Faults that strike in every run.
    pub list: Vec<Listed>,
    /// Faults that each run draws from its seed.
    pub draw: Option<Distribution>,
    /// Branches of the systems' own timing that are seldom taken.
    pub rare: Option<Rare>,
    /// Whether they go beyond what the systems tolerate, the distribution and the list: as `--beyond` has it.
    pub beyond: bool,
}

impl Settings {
    /// The faults of the list that strike, with their places in it: those that are `beyond` only where the case goes beyond.
    pub fn listed(&self) -> impl Iterator<Item = (usize, &Listed)> {
        let beyond = self.goes_beyond();
        self.list.iter().enumerate().filter(move |(_, listed)| beyond || !listed.beyond)
    }

    /// Whether anything goes beyond what the systems tolerate.
    pub fn goes_beyond(&self) -> bool {
        self.beyond || self.draw.as_ref().is_some_and(|draw| draw.beyond)
    }
}

/// Rare branches: `[faults.rare]`. Nothing is wrong where one is taken: a fetch is answered with less than there is
/// (`short-fetch`), an acknowledgement comes late (`late-acknowledgement`), or its receiver times out (`spurious-time-out`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Rare {
    /// How many of a million seeds have a given branch at all. Default 250,000.
    pub live_per_million: u32,
    /// Of a million occasions in such a run, so many take the branch at most; a seed draws how many. Default 20,000.
    pub per_million: u32,
    /// How late a late acknowledgement is at most. Default 3s.
    pub late: Span,
}

impl Default for Rare {
    fn default() -> Rare {
        Rare { live_per_million: 250_000, per_million: 20_000, late: Span::secs(3) }
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
    /// A worker of the reverse mirror: `reverse-mirror`. It is a `mirror` as well.
    ReverseMirror,
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
            "reverse-mirror" => Aim::ReverseMirror,
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
            Aim::ReverseMirror => "reverse-mirror".to_owned(),
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
    /// The line of the phase, from 1, at whose end it strikes; at the phase's beginning where it is not given.
    #[serde(default)]
    pub step: Option<u32>,
    /// How long after that.
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
    /// For slow links and disks and late switches: how much longer each message takes at most.
    #[serde(default)]
    pub latency: Option<Span>,
    /// For lossy, duplicating and reordering links and lost switches: how many messages in a million.
    #[serde(default)]
    pub per_million: Option<u32>,
    /// For wrong clocks: how wrong the clock is.
    #[serde(default)]
    pub skew: Option<Span>,
    /// For wrong clocks: whether the clock is behind; it is ahead otherwise.
    #[serde(default)]
    pub behind: bool,
    /// For `burst`: what is due within that span is sent at once.
    #[serde(default)]
    pub ahead: Option<Span>,
    /// For `oversized-record`: how large it is. For `quota`: bytes a second and broker.
    #[serde(default)]
    pub bytes: Option<Bytes>,
    /// Whether it is beyond what the systems tolerate: it strikes only where the case goes beyond.
    #[serde(default)]
    pub beyond: bool,
}

impl Listed {
    /// The figures that are given.
    pub fn given(&self) -> Given {
        Given {
            to: self.to.is_some(),
            one_way: self.one_way,
            behind: self.behind,
            latency: self.latency,
            per_million: self.per_million,
            skew: self.skew,
            ahead: self.ahead,
            bytes: self.bytes,
        }
    }
}

/// The figures of a fault as its file gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// Whether there is another side.
    pub to: bool,
    /// Whether only one direction is struck.
    pub one_way: bool,
    /// Whether a clock is behind.
    pub behind: bool,
    /// How much longer something takes.
    pub latency: Option<Span>,
    /// How many of a million.
    pub per_million: Option<u32>,
    /// How wrong a clock is.
    pub skew: Option<Span>,
    /// How far ahead.
    pub ahead: Option<Span>,
    /// How many bytes.
    pub bytes: Option<Bytes>,
}

impl Given {
    /// Whether that figure is given.
    pub fn has(&self, figure: Figure) -> bool {
        match figure {
            Figure::To => self.to,
            Figure::OneWay => self.one_way,
            Figure::Behind => self.behind,
            Figure::Latency => self.latency.is_some(),
            Figure::PerMillion => self.per_million.is_some(),
            Figure::Skew => self.skew.is_some(),
            Figure::Ahead => self.ahead.is_some(),
            Figure::Bytes => self.bytes.is_some(),
        }
    }
}

impl From<Given> for Figures {
    fn from(given: Given) -> Figures {
        Figures {
            latency: given.latency.unwrap_or_default(),
            per_million: given.per_million.unwrap_or_default(),
            skew: given.skew.unwrap_or_default(),
            behind: given.behind,
            ahead: given.ahead.unwrap_or_default(),
            bytes: given.bytes.unwrap_or_default(),
        }
    }
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
    /// How many faults more strike in each phase of the plan, up to `into-phase` after its beginning.
    #[serde(default)]
    pub each_phase: u32,
    /// How late after its beginning a fault still strikes a phase.
    #[serde(default = "default_into_phase")]
    pub into_phase: Span,
    /// How many faults more strike at the edges of steps: within two seconds of the moment when the operator did one.
    #[serde(default)]
    pub at_steps: u32,
    /// Whether a seed draws from a part of the kinds only, each of them more or less likely than its weight says: so that some
    /// runs have much of one thing and nothing of another.
    #[serde(default)]
    pub swarm: bool,
    /// Whether to go beyond what the systems tolerate: more than one fault at a time may strike a failure domain, and kinds
    /// that are `beyond` are drawn too.
    #[serde(default)]
    pub beyond: bool,
    /// What is drawn.
    pub kinds: Vec<Drawn>,
    /// What is drawn besides: a case that extends another one adds to its `kinds` without telling them again.
    #[serde(default)]
    pub more_kinds: Vec<Drawn>,
}

fn default_into_phase() -> Span {
    Span::secs(60)
}

fn default_settle() -> Span {
    Span::secs(60)
}

impl Distribution {
    /// The kinds that are drawn, those beyond what the systems tolerate only where that is wanted.
    pub fn drawn(&self, beyond: bool) -> impl Iterator<Item = &Drawn> {
        self.kinds.iter().chain(&self.more_kinds).filter(move |kind| beyond || !kind.beyond)
    }
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
    /// For slow links and disks and late switches: how much longer each message takes at most.
    #[serde(default)]
    pub latency: Option<Span>,
    /// For lossy, duplicating and reordering links and lost switches: how many messages in a million.
    #[serde(default)]
    pub per_million: Option<u32>,
    /// For wrong clocks: how wrong the clock is at most, ahead or behind.
    #[serde(default)]
    pub skew: Option<Span>,
    /// For `burst`: what is due within that span is sent at once.
    #[serde(default)]
    pub ahead: Option<Span>,
    /// For `oversized-record`: how large it is. For `quota`: bytes a second and broker.
    #[serde(default)]
    pub bytes: Option<Bytes>,
    /// Whether it is beyond what the systems tolerate: it is drawn only where the whole distribution goes beyond.
    #[serde(default)]
    pub beyond: bool,
}

impl Drawn {
    /// The figures that are given. Whether a clock is behind is drawn.
    pub fn given(&self) -> Given {
        Given {
            to: self.to.is_some(),
            one_way: self.one_way,
            behind: false,
            latency: self.latency,
            per_million: self.per_million,
            skew: self.skew,
            ahead: self.ahead,
            bytes: self.bytes,
        }
    }
}

fn default_weight() -> u32 {
    1
}
