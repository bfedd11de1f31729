//! Steps and gates as a reader of a trace or a report wants them: in words.

use crate::plan::{Act, Gate, PreparedFrom, RewindTo, Site, Step};
use std::fmt;

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Act(act) => write!(formatter, "{act}"),
            Step::Wait(wait) => write!(formatter, "wait until {}", wait.wait),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::StartMirror => write!(formatter, "start the mirror"),
            Act::StopMirror => write!(formatter, "stop the mirror"),
            Act::StartReverseMirror => write!(formatter, "start the reverse mirror"),
            Act::StopReverseMirror => write!(formatter, "stop the reverse mirror"),
            Act::RollOut { group, order } => write!(formatter, "roll {group} out to the NewClient, {order}"),
            Act::RollBack { group, order } => {
                write!(formatter, "roll {group} back to the OldClient, {order}")
            }
            Act::PrepareOffsets { group, from } => {
                write!(formatter, "prepare the offsets of {group} in Kafka from {from}")
            }
            Act::ResetOffsets { group, from } => {
                write!(formatter, "set the offsets of {group} in Corgi to {from}")
            }
            Act::SwitchRead { group, to } => write!(formatter, "switch the reads of {group} to {to}"),
            Act::Pause { group } => write!(formatter, "pause {group}"),
            Act::Resume { group } => write!(formatter, "resume {group}"),
            Act::SwitchWrite { to } => write!(formatter, "switch the writes to {to}"),
            Act::Hold { topics, partitions } => {
                write!(formatter, "hold ")?;
                match (topics.is_empty(), partitions.is_empty()) {
                    (true, true) => write!(formatter, "all sends"),
                    (false, true) => write!(formatter, "the sends to {}", topics.join(", ")),
                    (true, false) => {
                        write!(formatter, "the sends to the source partitions {}", list(partitions))
                    }
                    (false, false) => write!(
                        formatter,
                        "the sends to the source partitions {} of {}",
                        list(partitions),
                        topics.join(", ")
                    ),
                }
            }
            Act::Release => write!(formatter, "release the held sends"),
            Act::Rewind { group, topics, partitions, instance, to, .. } => {
                write!(formatter, "rewind {group}{} to {to}", rewound(topics, partitions, *instance))
            }
            Act::StopCorgi => write!(formatter, "stop Corgi"),
            Act::Narrow { topic, partitions, purpose } => {
                write!(formatter, "narrow {topic} to {partitions} partitions for {purpose}")
            }
            Act::AddBrokerSet { set } => write!(formatter, "add the broker set {set} to Corgi"),
            Act::Widen { topic, partitions, site: Site { queue, on, .. } } => {
                write!(formatter, "widen {topic} to {partitions} partitions in {}", queue.name())?;
                match on {
                    Some(set) => write!(formatter, " on the broker set {set}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for PreparedFrom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PreparedFrom::Earliest => write!(formatter, "the start of the log"),
            PreparedFrom::Latest => write!(formatter, "the end of the log"),
            PreparedFrom::Ago(span) => write!(formatter, "{span} ago"),
        }
    }
}

impl fmt::Display for RewindTo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RewindTo::Offset(offset) => write!(formatter, "offset {offset}"),
            RewindTo::At(moment) => write!(formatter, "the records of the moment {moment}"),
            RewindTo::Ago(span) => write!(formatter, "the records of {span} ago"),
        }
    }
}

/// What of a group is rewound: `, instance 1 alone`, `, partitions 0, 1 of orders`; nothing where all of it is.
pub(crate) fn rewound(topics: &[String], partitions: &[u16], instance: Option<u32>) -> String {
    let mut of = match (topics.is_empty(), partitions.is_empty()) {
        (true, true) => String::new(),
        (false, true) => format!(", {}", topics.join(", ")),
        (true, false) => format!(", partitions {}", list(partitions)),
        (false, false) => format!(", partitions {} of {}", list(partitions), topics.join(", ")),
    };
    if let Some(instance) = instance {
        of += &format!(", instance {instance} alone");
    }
    of
}

impl fmt::Display for Gate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gate::Elapsed { span } => write!(formatter, "{span} have passed"),
            Gate::MirrorReady => write!(formatter, "the mirror's workers are ready"),
            Gate::MirrorLag { at_most } => {
                write!(formatter, "the mirror is at most {at_most} records behind")
            }
            Gate::MirrorDrained => write!(formatter, "the mirror has copied everything"),
            Gate::GroupLag { group, at_most } => {
                write!(formatter, "{group} is at most {at_most} records behind")
            }
            Gate::Upgraded { group } => write!(formatter, "all NewClients of {group} are ready"),
            Gate::OldStopped { group } => write!(formatter, "all OldClients of {group} have stopped"),
            Gate::Paused { group } => write!(formatter, "all NewClients of {group} are paused"),
            Gate::Reading { group, from } => write!(formatter, "all NewClients of {group} read from {from}"),
            Gate::Held => write!(formatter, "all producers hold their sends"),
            Gate::Writing { to } => write!(formatter, "all producers write to {to}"),
            Gate::OnlyMirrorReads => write!(formatter, "only the mirror reads from Corgi"),
            Gate::NobodyReads => write!(formatter, "nobody reads from Corgi"),
            Gate::NoDelayed => write!(formatter, "Corgi keeps no delayed record back"),
            Gate::ReverseMirrorLag { at_most } => {
                write!(formatter, "the reverse mirror is at most {at_most} records behind")
            }
            Gate::ReverseMirrorDrained => write!(formatter, "the reverse mirror has brought everything back"),
        }
    }
}

fn list(partitions: &[u16]) -> String {
    partitions.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}
