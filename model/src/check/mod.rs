//! The checkers: one file a guarantee, each reads only the history and answers held, violated or unknown.
//!
//! They are online: the world feeds them each entry as it is written, so that a sweep need not keep histories.

mod at_least_once;
mod bounded_replay;
mod conditions;
mod cuts;
mod describe;
mod exclusive;
mod ledger;
mod order;
#[cfg(test)]
mod page_tests;
mod pauses;
mod progress;
mod replay_log;
mod rewind;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod scene;
mod story;
mod suite;
mod tables;
mod tally;
pub mod zero_downtime;

pub use at_least_once::{AtLeastOnce, Fate};
pub use bounded_replay::BoundedReplay;
pub use conditions::{Conditions, Outline};
pub use describe::describe;
pub use exclusive::Exclusive;
pub use ledger::Loss;
pub use order::Order;
pub use progress::Progress;
pub use rewind::Rewind;
pub use story::{StoryLine, story};
pub use suite::Suite;
pub use tables::Hop;
pub use zero_downtime::{ZeroDowntime, compare};

use crate::client::corgi_producer_settings::Accept;
use crate::corgi::settings::Replication;
use crate::history::Entry;
use crate::kafka::protocol::Acks;
use crate::record::{GroupId, NodeId, RecordId, TopicId, TopicPartition};
use crate::units::{Span, Time};
use serde::{Deserialize, Serialize};
use tables::Course;

/// The time before the plan's first phase, as a figure's name has it: no phase is called so.
pub const BEFORE_THE_PLAN: &str = "before-the-plan";
/// The time after its last.
pub const AFTER_THE_PLAN: &str = "after-the-plan";

/// What the simulator judges.
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
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Guarantee {
    /// Every acknowledged record is processed by every group of its topic; no refused record appears.
    AtLeastOnce,
    /// First deliveries in an ordered group respect the source order.
    Order,
    /// Redelivery goes on without a hole, and duplicates stay within the declared bound.
    BoundedReplay,
    /// No two instances of an ordered group process one source partition at the same time.
    Exclusive,
    /// Producers are acknowledged and records processed within the objectives.
    ZeroDowntime,
    /// After the faults the plan completes and every lag drains.
    Progress,
    /// After a rewind each record from there on is delivered again, in order. Judged only where the plan has a rewind.
    Rewind,
}

/// What a checker, a run or a sweep concludes. The order is that of badness: the worst wins.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Verdict {
    /// Exercised, and nothing found.
    Held,
    /// Not exercised, or the run did not come to its end.
    Unknown,
    /// Found.
    Violated,
}

/// On what ground a finding stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Ground {
    /// Acknowledged, and never processed by a group.
    Lost,
    /// Definitely refused, and delivered all the same.
    Phantom,
    /// Delivered behind a later record of the same producer.
    Session,
    /// Delivered behind a record that was sent after its acknowledgement.
    RealTime,
    /// A replay or a hand-over left a hole.
    Skipped,
    /// More duplicates than the plan declares.
    OverReplayed,
    /// Processed by two instances at the same time.
    Overlapped,
    /// Producers tried longer than the objective and got no acknowledgement.
    WriteUnavailable,
    /// A record waited longer than the objective for its processing.
    ReadUnavailable,
    /// The plan's own share of the downtime is over the objective.
    PlanAdded,
    /// The plan or a lag did not come to its end.
    Stuck,
    /// Confirmed as rewound, and not delivered again.
    NotRewound,
    /// Rewound, and not meant.
    Misdirected,
}

/// An anomaly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which guarantee it breaks.
    pub guarantee: Guarantee,
    /// On what ground.
    pub ground: Ground,
    /// The phase of the plan in which it happened: its place, from 1; 0 before the plan.
    pub phase: u32,
    /// When.
    pub at: Time,
    /// The group that is wronged, if one is.
    pub group: Option<GroupId>,
    /// The source partition.
    pub partition: Option<TopicPartition>,
    /// The records concerned, the wronged one first; at most 20 of them.
    pub records: Vec<RecordId>,
    /// How bad it is, to find the worst of a kind: records, or milliseconds.
    pub weight: u64,
    /// One sentence: who, what, when.
    pub summary: String,
}

/// A measured figure of a guarantee: "longest write gap, 4200 ms".
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// What was measured, unit last: `longest_write_gap_ms`.
    pub name: String,
    /// The figure.
    pub value: u64,
    /// Where and when it was measured, readable.
    pub place: String,
}

/// A *sometimes* condition: something a sweep should have reached at least once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Condition {
    /// What it is: `instance-took-over-during-cut-read`.
    pub name: String,
    /// Whether this run reached it.
    pub reached: bool,
    /// Whether a run of the case's plan could, as far as the plan decides it.
    pub possible: bool,
}

/// What a checker concludes of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// Of which guarantee.
    pub guarantee: Guarantee,
    /// What.
    pub verdict: Verdict,
    /// Whether the run exercised it.
    pub exercised: bool,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// What it wants a sweep to reach.
    pub conditions: Vec<Condition>,
    /// The anomalies, the worst first; at most 50, and how many there were is in `findings_total`.
    pub findings: Vec<Finding>,
    /// How many anomalies there were in all.
    pub findings_total: u64,
    /// The longest write gap and the greatest record age, whether they are over an objective or not: what the plan added to
    /// them is known only beside the run without the migration. Of zero downtime alone.
    #[serde(skip)]
    pub longest: Vec<Finding>,
}

/// A checker of one guarantee.
pub trait Checker {
    /// Take the next entry of the history.
    fn observe(&mut self, entry: &Entry);

    /// Conclude. The last entry that was observed is [`crate::history::Event::Ended`].
    fn judge(&self) -> Judgement;
}

/// What a checker may know beside the history: the case's names and its promises.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// The topics, by id.
    pub topics: Vec<SubjectTopic>,
    /// The groups, by id.
    pub groups: Vec<SubjectGroup>,
    /// The nodes' names, by id.
    pub nodes: Vec<String>,
    /// The producers' nodes, by the producer's number.
    pub producers: Vec<NodeId>,
    /// The plan's phases' names; phase 1 is the first.
    pub phases: Vec<String>,
    /// The brokers of Corgi's sets, over which its partitions are spread in turn.
    pub corgi_sets: Vec<Vec<NodeId>>,
    /// By topic: the broker set of each source partition, where a plan places them; a partition that is not in it lies on
    /// its number modulo the sets.
    pub placed: Vec<Vec<u16>>,
    /// How the producers write to Kafka.
    pub producer: Sending,
    /// How the mirror does.
    pub mirror: Sending,
    /// What Corgi's acknowledgements are worth.
    pub corgi: Storing,
    /// Who tells the switches.
    pub switch_centre: Option<NodeId>,
    /// What the case promises.
    pub objectives: Objectives,
    /// Whether the plan has a rewind.
    pub rewinds: bool,
    /// Whether it has a topic widened.
    pub widens: bool,
    /// The plan's lines that wait for nothing but time: phase and step, each from 1.
    pub waits_for_time: Vec<(u32, u32)>,
    /// What the plan can reach of the conditions; without it all of them.
    pub outline: Option<Outline>,
}

impl Subject {
    /// How many duplicates a group may be delivered.
    pub(crate) fn duplicates_allowed(&self, group: GroupId) -> u64 {
        let harmed = self.groups.get(usize::from(group.0)).is_some_and(|group| group.harmed_by_duplicates);
        if harmed { 0 } else { self.objectives.duplicates_per_group }
    }

    /// The place of the Corgi broker set that a partition lies on.
    pub(crate) fn corgi_set(&self, partition: TopicPartition) -> Option<usize> {
        let of_topic = self.placed.get(usize::from(partition.topic.0));
        let placed = of_topic.and_then(|sets| sets.get(usize::from(partition.partition)));
        let number = usize::from(partition.partition);
        placed.map(|set| usize::from(*set)).or_else(|| number.checked_rem(self.corgi_sets.len()))
    }

    /// A group's name, readable where the case has none for it; the mirror reads as one more group.
    pub fn group_name(&self, group: GroupId) -> String {
        if usize::from(group.0) == self.groups.len() {
            return "the mirror".to_owned();
        }
        if usize::from(group.0) == self.groups.len() + 1 {
            return "the reverse mirror".to_owned();
        }
        self.groups
            .get(usize::from(group.0))
            .map_or_else(|| format!("group {}", group.0), |it| it.name.clone())
    }

    /// A node's name.
    pub fn node_name(&self, node: NodeId) -> String {
        self.nodes.get(node.0 as usize).cloned().unwrap_or_else(|| format!("node {}", node.0))
    }

    /// A partition as people write it: `orders/3`.
    pub fn partition_name(&self, partition: TopicPartition) -> String {
        format!("{}/{}", self.topic_name(partition.topic), partition.partition)
    }

    /// A topic's name.
    pub fn topic_name(&self, topic: TopicId) -> String {
        let topic = usize::from(topic.0);
        self.topics.get(topic).map_or_else(|| format!("topic {topic}"), |it| it.name.clone())
    }

    /// A phase as a sentence has it: `cut-read`, or `the time before the plan`.
    pub fn phase_name(&self, phase: u32) -> String {
        match phase {
            0 => "the time before the plan".to_owned(),
            phase if phase == self.after_the_plan() => "the time after the plan".to_owned(),
            phase => self.phase_key(phase),
        }
    }

    /// A phase as a figure's name has it: `before-the-plan`, `cut-read`, `after-the-plan`.
    pub fn phase_key(&self, phase: u32) -> String {
        let Some(place) = phase.checked_sub(1) else { return BEFORE_THE_PLAN.to_owned() };
        if phase == self.after_the_plan() {
            return AFTER_THE_PLAN.to_owned();
        }
        self.phases.get(place as usize).cloned().unwrap_or_else(|| format!("phase-{phase}"))
    }

    /// The number of the time after the plan, which follows that of its last phase.
    pub fn after_the_plan(&self) -> u32 {
        self.phases.len() as u32 + 1
    }
}

/// How somebody writes to Kafka, as far as a story tells it: no verdict rests on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sending {
    /// When Kafka acknowledges.
    pub acks: Acks,
    /// Whether records are numbered, so that none stands twice or behind a later one.
    pub idempotent: bool,
}

impl Default for Sending {
    fn default() -> Sending {
        Sending { acks: Acks::All, idempotent: true }
    }
}

/// How Corgi acknowledges, as far as a story tells it: no verdict rests on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Storing {
    /// How many slaves have a record before Corgi says that all is well.
    pub replication: Replication,
    /// What the producers take for an acknowledgement.
    pub accept: Accept,
    /// And the reverse mirror.
    pub accept_back: Accept,
}

/// A topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SubjectTopic {
    /// Its name.
    pub name: String,
    /// Its source partitions.
    pub partitions: u16,
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SubjectGroup {
    /// Its name.
    pub name: String,
    /// Whether it needs order.
    pub ordered: bool,
    /// Whether its application is not idempotent: then no duplicate is allowed, whatever the objectives say.
    pub harmed_by_duplicates: bool,
    /// Its topics.
    pub topics: Vec<TopicId>,
}

/// What a case promises beside the guarantees that need no figure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Objectives {
    /// On which grounds order is promised: `session`, `real-time`, or both.
    pub order: Vec<Ground>,
    /// The longest stretch in which producers of a source partition try and get no acknowledgement.
    pub write_gap: Span,
    /// The greatest age of an acknowledged record that a group has not processed, the planned pause apart.
    pub record_age: Span,
    /// How long the plan may pause an ordered group on purpose; that much is taken off the record's age.
    pub planned_pause: Span,
    /// How much longer the write gap may be than without the migration.
    pub plan_added_write_gap: Span,
    /// How much greater the record age may be than without the migration, the planned pause apart.
    pub plan_added_record_age: Span,
    /// By how much the clocks of who stamps records and who asks for a moment may be wrong together: a rewind to a moment
    /// owes what was sent so long after it, whatever its stamp.
    pub rewind_clock_tolerance: Span,
    /// How many redeliveries and copies a group may see in all, if its application is idempotent; else none.
    pub duplicates_per_group: u64,
    /// In what time after the end of the faults and of the workload everything is done.
    pub drain: Span,
}

impl Default for Objectives {
    fn default() -> Objectives {
        Objectives {
            order: vec![Ground::Session, Ground::RealTime],
            write_gap: Span::secs(120),
            record_age: Span::secs(180),
            planned_pause: Span::secs(120),
            plan_added_write_gap: Span::secs(60),
            plan_added_record_age: Span::secs(120),
            rewind_clock_tolerance: Span::secs(5),
            duplicates_per_group: 2_000,
            drain: Span::secs(300),
        }
    }
}
