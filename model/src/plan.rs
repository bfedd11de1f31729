//! A migration plan: phases of steps and gates. Plain data; `operator` executes it.
//!
//! `reading` takes it from a file, `words` says it to a reader, `lint` finds what cannot be executed. Whether a plan is
//! *safe* is not judged here: that is for the plan rules and the runs.

pub mod lint;
mod reading;
pub(crate) mod words;

pub use lint::{Names, PlanProblem, Severity};

use crate::corgi::wiring::Topic;
use crate::deployment::RollOrder;
use crate::record::{Offset, Queue, TopicId};
use crate::switch::WriteTo;
use crate::units::Span;
use serde::{Deserialize, Serialize};

/// A whole plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Plan {
    /// The phases, in order.
    #[serde(default)]
    pub phases: Vec<Phase>,
}

impl Plan {
    /// How many steps it has.
    pub fn steps(&self) -> usize {
        self.phases.iter().map(|phase| phase.steps.len()).sum()
    }

    /// All acts of the plan, those too that follow a gate given up.
    pub fn acts(&self) -> impl Iterator<Item = &Act> {
        self.phases.iter().flat_map(|phase| &phase.steps).flat_map(|step| match step {
            Step::Act(act) => std::slice::from_ref(act).iter(),
            Step::Wait(wait) => wait.otherwise.iter(),
        })
    }

    /// Whether a group is to go back in Kafka at some line.
    pub fn rewinds(&self) -> bool {
        self.acts().any(|act| matches!(act, Act::Rewind { .. }))
    }

    /// Whether anything is to be copied from Kafka back into Corgi at some line.
    pub fn copies_back(&self) -> bool {
        self.acts().any(|act| matches!(act, Act::StartReverseMirror))
    }

    /// The lines that wait for nothing but time: phase and step, each from 1.
    pub fn waits_for_time(&self) -> Vec<(u32, u32)> {
        let of_phase = |(phase, number): (&Phase, u32)| {
            let steps = phase.steps.iter().zip(1..);
            let waits =
                steps.filter(|(step, _)| matches!(step, Step::Wait(Wait { wait: Gate::Elapsed { .. }, .. })));
            waits.map(move |(_, step)| (number, step)).collect::<Vec<_>>()
        };
        self.phases.iter().zip(1..).flat_map(of_phase).collect()
    }

    /// Whether a topic of Corgi is to be widened or narrowed at some line, so that keys move between source partitions.
    pub fn widens(&self) -> bool {
        self.acts().any(|act| match act {
            Act::Widen { site, .. } => site.queue == Queue::Corgi,
            act => matches!(act, Act::Narrow { .. }),
        })
    }

    /// The broker set of each source partition of a topic when everything is widened: a topic that has so many partitions at first,
    /// spread over so many sets.
    pub fn placed(&self, topic: &str, partitions: u16, sets: u16) -> Vec<u16> {
        let mut running: Vec<u16> = (0..sets).collect();
        let mut shape = Topic::spread(TopicId::default(), partitions, sets);
        for act in self.acts() {
            match act {
                Act::AddBrokerSet { set } if !running.contains(set) => running.push(*set),
                Act::Widen { topic: named, partitions, site }
                    if named == topic && site.queue == Queue::Corgi =>
                {
                    let on = site.on.map_or_else(|| running.clone(), |set| vec![set]);
                    shape = shape.widened(*partitions, &on);
                }
                _ => {}
            }
        }
        shape.sets
    }

    /// To how many partitions a topic is widened at most in that queue.
    pub fn widest(&self, topic: &str, in_queue: Queue) -> Option<u16> {
        let widened = |act: &Act| match act {
            Act::Widen { topic: named, partitions, site } if named == topic && site.queue == in_queue => {
                Some(*partitions)
            }
            _ => None,
        };
        self.acts().filter_map(widened).max()
    }

    /// The groups that the plan names, as often as it names them.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.phases.iter().flat_map(|phase| &phase.steps).flat_map(|step| match step {
            Step::Act(act) => act.group().into_iter().collect::<Vec<_>>(),
            Step::Wait(wait) => {
                wait.wait.group().into_iter().chain(wait.otherwise.iter().filter_map(Act::group)).collect()
            }
        })
    }
}

/// One phase of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Phase {
    /// Its name: dual-write, cut-read, cut-write, retire, or another.
    pub name: String,
    /// Not begun before this much of the run has passed.
    #[serde(default)]
    pub not_before: Span,
    /// What the operator does, in order.
    pub steps: Vec<Step>,
}

/// One line of a phase: an act, or a condition to wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Step {
    /// Something the operator does.
    Act(Act),
    /// Something the operator waits for.
    Wait(Wait),
}

/// Something the operator does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, strum::IntoStaticStr, strum::VariantNames)]
#[serde(
    tag = "do",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    try_from = "reading::ActLine"
)]
#[strum(serialize_all = "kebab-case")]
pub enum Act {
    /// Start the mirror's workers.
    StartMirror,
    /// Stop the mirror's workers.
    StopMirror,
    /// Roll a group's instances to the NewClient.
    RollOut {
        /// The group's name.
        group: String,
        /// Start first, or stop first.
        #[serde(default)]
        order: RollOrder,
    },
    /// Roll a group's instances back to the OldClient.
    RollBack {
        /// The group's name.
        group: String,
        /// Start first, or stop first.
        #[serde(default)]
        order: RollOrder,
    },
    /// Commit offsets in Kafka for a group that has no members there yet.
    PrepareOffsets {
        /// The group's name.
        group: String,
        /// Where they point.
        from: PreparedFrom,
    },
    /// Switch where a group reads.
    SwitchRead {
        /// The group's name.
        group: String,
        /// From now on from there.
        to: Queue,
    },
    /// Pause a group's NewClients.
    Pause {
        /// The group's name.
        group: String,
    },
    /// Let a paused group go on.
    Resume {
        /// The group's name.
        group: String,
    },
    /// Switch where producers write.
    SwitchWrite {
        /// From now on there.
        to: WriteTo,
    },
    /// Have producers hold their sends back.
    Hold {
        /// The topics' names; every topic where none is named.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        topics: Vec<String>,
        /// The source partitions' numbers within those topics; every partition where none is named.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        partitions: Vec<u16>,
    },
    /// Let producers send what they held back, and go on.
    Release,
    /// Stop Corgi for good.
    StopCorgi,
    /// Have a group's NewClients go back in Kafka, while they run.
    Rewind {
        /// The group's name.
        group: String,
        /// The topics' names; every topic of the group where none is named.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        topics: Vec<String>,
        /// The numbers of the partitions of Kafka within those topics; every partition where none is named.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        partitions: Vec<u16>,
        /// The number of the NewClient instance, from 0, whose partitions alone are meant.
        #[serde(skip_serializing_if = "Option::is_none")]
        instance: Option<u32>,
        /// Where to.
        to: RewindTo,
        /// When the operator takes it for done.
        confirm: Confirm,
    },
    /// Start the reverse mirror's workers, which copy from Kafka back into Corgi.
    StartReverseMirror,
    /// Stop the reverse mirror's workers.
    StopReverseMirror,
    /// Have a topic widened in one of the queues. The other queue's topic stays as it is.
    Widen {
        /// The topic's name.
        topic: String,
        /// How many partitions it has from then on.
        partitions: u16,
        /// In which queue, and where in it.
        #[serde(flatten)]
        site: Site,
    },
    /// Start a broker set of Corgi's that stands by. No topic is on it until one is widened there.
    AddBrokerSet {
        /// Its number, from 0: those that stand by come behind those that run from the beginning.
        set: u16,
    },
    /// Have fewer partitions of a topic of Corgi used.
    Narrow {
        /// The topic's name.
        topic: String,
        /// How many are used from then on, from 0.
        partitions: u16,
        /// For what: `for` in a plan file.
        #[serde(rename = "for")]
        purpose: Purpose,
    },
    /// Set where a group begins to read in Corgi.
    ResetOffsets {
        /// The group's name.
        group: String,
        /// Where that is.
        from: PreparedFrom,
    },
}

/// What partitions are used for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Purpose {
    /// Producers send to them.
    Writing,
    /// Consumers and the mirror read them.
    Reading,
}

/// Where a topic is widened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Site {
    /// In which queue: `in` in a plan file.
    #[serde(rename = "in", skip_serializing_if = "is_default")]
    pub queue: Queue,
    /// In Corgi: the broker set that has the new partitions; none where they are spread over those that run.
    #[serde(skip_serializing_if = "is_default")]
    pub on: Option<u16>,
    /// In Corgi: who is told.
    #[serde(skip_serializing_if = "is_default")]
    pub tell: Tell,
}

/// Which of Corgi's brokers the operator tells of a topic's new shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tell {
    /// Every broker, masters and slaves.
    #[default]
    All,
    /// The masters alone, as RocketMQ's `updateTopic -c` does: the slaves copy it in their own time (e17).
    Masters,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl std::hash::Hash for Site {
    /// What a plan leaves out leaves no trace: the digest of a plan that widens Corgi's topics as ever is as ever.
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        if *self != Site::default() {
            (self.queue, self.on, self.tell).hash(state);
        }
    }
}

/// Where a rewind goes back to. A partition that is not so far yet stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RewindTo {
    /// That offset of each partition.
    Offset(Offset),
    /// The first record created at or after that moment of the run (`{ at = "7m" }`).
    At(Span),
    /// The first record created at or after this long ago, by the operator's clock (`{ ago = "60s" }`).
    Ago(Span),
}

/// When the operator takes a rewind for done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirm {
    /// When each partition was confirmed by an instance that has it; where one instance is meant, when it has answered.
    #[default]
    Partitions,
    /// When each instance that Redis lists has answered, or cannot be reached: whoever is not listed is forgotten.
    Instances,
}

/// Where prepared offsets point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreparedFrom {
    /// The start of the log.
    Earliest,
    /// Its end: for groups that may miss what is behind.
    Latest,
    /// The first record created at or after this long ago, by the operator's clock (`{ ago = "60s" }`).
    Ago(Span),
}

/// A gate: something the operator waits for, judged on what he is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Wait {
    /// What he waits for.
    pub wait: Gate,
    /// A report older than this counts as none.
    pub max_age: Span,
    /// Whether only reports count that were asked for after the gate was reached. Without it a report from before the
    /// last step may open the gate.
    pub fresh: bool,
    /// After so long he gives up waiting; without it he waits for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Span>,
    /// What he does when he gives up, before he begins again.
    pub otherwise: Vec<Act>,
    /// How long he rests before he begins again.
    pub retry_after: Span,
    /// How many lines of the phase he goes back to begin again, this gate not counted; 0 waits at this gate again.
    pub back: usize,
}

impl Wait {
    /// A report older than this counts as none, where the plan does not say otherwise.
    pub const DEFAULT_MAX_AGE: Span = Span::secs(30);

    /// A wait at that gate with every default.
    pub fn at(gate: Gate) -> Wait {
        Wait {
            wait: gate,
            max_age: Wait::DEFAULT_MAX_AGE,
            fresh: false,
            timeout: None,
            otherwise: Vec::new(),
            retry_after: Span::ZERO,
            back: 0,
        }
    }
}

impl Act {
    /// The act's word in a plan file: `roll-out`.
    pub fn word(&self) -> &'static str {
        self.into()
    }

    /// The group that it concerns, if it concerns one.
    pub fn group(&self) -> Option<&str> {
        match self {
            Act::RollOut { group, .. }
            | Act::RollBack { group, .. }
            | Act::PrepareOffsets { group, .. }
            | Act::ResetOffsets { group, .. }
            | Act::SwitchRead { group, .. }
            | Act::Pause { group }
            | Act::Resume { group }
            | Act::Rewind { group, .. } => Some(group),
            Act::StartMirror
            | Act::StopMirror
            | Act::StartReverseMirror
            | Act::StopReverseMirror
            | Act::SwitchWrite { .. }
            | Act::Hold { .. }
            | Act::Release
            | Act::StopCorgi
            | Act::Widen { .. }
            | Act::AddBrokerSet { .. }
            | Act::Narrow { .. } => None,
        }
    }
}

impl Gate {
    /// The gate's word in a plan file: `mirror-drained`.
    pub fn word(&self) -> &'static str {
        self.into()
    }

    /// The group that it concerns, if it concerns one.
    pub fn group(&self) -> Option<&str> {
        match self {
            Gate::GroupLag { group, .. }
            | Gate::Upgraded { group }
            | Gate::OldStopped { group }
            | Gate::Paused { group }
            | Gate::Reading { group, .. } => Some(group),
            Gate::Elapsed { .. }
            | Gate::MirrorReady
            | Gate::MirrorLag { .. }
            | Gate::MirrorDrained
            | Gate::Held
            | Gate::Writing { .. }
            | Gate::OnlyMirrorReads
            | Gate::NobodyReads
            | Gate::NoDelayed
            | Gate::ReverseMirrorLag { .. }
            | Gate::ReverseMirrorDrained => None,
        }
    }
}

/// What a gate waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, strum::IntoStaticStr, strum::VariantNames)]
#[serde(
    tag = "for",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    try_from = "reading::GateLine"
)]
#[strum(serialize_all = "kebab-case")]
pub enum Gate {
    /// So much time has passed since the gate was reached.
    Elapsed {
        /// How long.
        span: Span,
    },
    /// The mirror's workers are ready.
    MirrorReady,
    /// The mirror is at most so many records behind, over all source partitions.
    MirrorLag {
        /// Records.
        at_most: u64,
    },
    /// The mirror has copied, and had acknowledged, everything up to the source's end, in every source partition.
    MirrorDrained,
    /// A group is at most so many records behind, in the queue that it reads from.
    GroupLag {
        /// The group's name.
        group: String,
        /// Records.
        at_most: u64,
    },
    /// All NewClient instances of a group said they are ready.
    Upgraded {
        /// The group's name.
        group: String,
    },
    /// All OldClient instances of a group have exited.
    OldStopped {
        /// The group's name.
        group: String,
    },
    /// Every NewClient instance of a group reports itself paused.
    Paused {
        /// The group's name.
        group: String,
    },
    /// Every NewClient instance of a group reports that it reads from that queue.
    Reading {
        /// The group's name.
        group: String,
        /// The queue.
        from: Queue,
    },
    /// Every producer reports its sends held and none in flight.
    Held,
    /// Every producer reports that it writes there.
    Writing {
        /// Where.
        to: WriteTo,
    },
    /// Corgi's only readers are the mirror's workers.
    OnlyMirrorReads,
    /// Nobody reads from Corgi, the mirror included.
    NobodyReads,
    /// Corgi's masters keep back no record that is not due yet.
    NoDelayed,
    /// The reverse mirror is at most so many records behind, over all partitions of Kafka.
    ReverseMirrorLag {
        /// Records.
        at_most: u64,
    },
    /// The reverse mirror has copied back, or left alone, everything up to Kafka's ends, and had it acknowledged.
    ReverseMirrorDrained,
}

#[cfg(test)]
mod tests;
