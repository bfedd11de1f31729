//! What the operator does, as a sentence.

use super::target_name;
use crate::check::Subject;
use crate::deployment::RollOrder;
use crate::history::Event;
use crate::plan::words::rewound;
use crate::plan::{Act, PreparedFrom, Site, Tell};
use crate::record::{Offset, Queue, TopicPartition};

/// What the operator does.
pub(super) fn of_plan(event: &Event, subject: &Subject) -> Option<String> {
    let line = |phase: u32, step: u32| format!("line {step} of {}", subject.phase_name(phase));
    Some(match event {
        Event::PhaseBegun { name, .. } => format!("the operator begins {name}"),
        Event::StepDone { act, .. } => format!("the operator {}", act_done(act)),
        Event::GateOpened { phase, step, waited } => {
            format!("the gate at {} is open after {waited}", line(*phase, *step))
        }
        Event::GateTimedOut { phase, step } => {
            format!("the operator gives up waiting at {}", line(*phase, *step))
        }
        Event::GateWaiting { phase, step, gate, because } => {
            format!("the operator waits at {} for {gate}: {because}", line(*phase, *step))
        }
        Event::RewindAsked { rewind, group, offsets, instance, moment } => {
            let group = subject.group_name(*group);
            let whose =
                instance.map_or_else(String::new, |node| format!(" that {} has", subject.node_name(node)));
            let at = |(partition, offset): &(TopicPartition, Offset)| {
                format!("{} to offset {offset}", subject.partition_name(*partition))
            };
            let offsets: Vec<String> = offsets.iter().map(at).collect();
            format!(
                "the operator begins rewind {rewind} of {group}{}: of the partitions{whose} {}",
                moment.map_or_else(String::new, |moment| format!(" to {moment}")),
                offsets.join(", ")
            )
        }
        Event::Rewound { rewind, group, partition, by } => {
            let (group, partition) = (subject.group_name(*group), subject.partition_name(*partition));
            let by = format!("{}, life {}", subject.node_name(by.node), by.incarnation);
            format!(
                "the operator is told by whoever has the address of {by} that {group} has gone back in {partition}, for rewind {rewind}"
            )
        }
        Event::PlanCompleted => "the plan is complete".to_owned(),
        _ => return None,
    })
}

fn place_in_log(from: &PreparedFrom) -> String {
    match from {
        PreparedFrom::Earliest => "the start of the log".to_owned(),
        PreparedFrom::Latest => "the end of the log".to_owned(),
        PreparedFrom::Ago(span) => format!("the records of {span} ago"),
    }
}

fn act_done(act: &Act) -> String {
    let rolling = |order: &RollOrder| match order {
        RollOrder::StartFirst => "each new instance before the old one stops",
        RollOrder::StopFirst => "each old instance stopped first",
    };
    match act {
        Act::StartMirror => "starts the mirror".to_owned(),
        Act::StopMirror => "stops the mirror".to_owned(),
        Act::StartReverseMirror => "starts the reverse mirror".to_owned(),
        Act::StopReverseMirror => "stops the reverse mirror".to_owned(),
        Act::RollOut { group, order } => format!("rolls {group} to the NewClient, {}", rolling(order)),
        Act::RollBack { group, order } => format!("rolls {group} back to the OldClient, {}", rolling(order)),
        Act::PrepareOffsets { group, from } => {
            format!("prepares the offsets of {group} in Kafka at {}", place_in_log(from))
        }
        Act::ResetOffsets { group, from } => {
            format!("sets the offsets of {group} in Corgi to {}", place_in_log(from))
        }
        Act::SwitchRead { group, to } => format!("switches {group} to read from {}", to.name()),
        Act::Pause { group } => format!("pauses {group}"),
        Act::Resume { group } => format!("lets {group} go on"),
        Act::SwitchWrite { to } => format!("switches the producers to write to {}", target_name(*to)),
        Act::Hold { topics, partitions } => {
            let topics = if topics.is_empty() {
                "every topic".to_owned()
            } else {
                format!("topics {}", topics.join(", "))
            };
            let numbers: Vec<_> = partitions.iter().map(u16::to_string).collect();
            let partitions = if numbers.is_empty() {
                String::new()
            } else {
                format!(", source partitions {}", numbers.join(", "))
            };
            format!("has the producers hold their sends back ({topics}{partitions})")
        }
        Act::Release => "lets the producers send again".to_owned(),
        Act::Rewind { group, topics, partitions, instance, to, .. } => {
            format!("is told that {group}{} is rewound to {to}", rewound(topics, partitions, *instance))
        }
        Act::StopCorgi => "stops Corgi for good".to_owned(),
        Act::Narrow { topic, partitions, purpose } => {
            format!(
                "has told every broker of Corgi that topic {topic} has {partitions} partitions for {purpose}"
            )
        }
        Act::AddBrokerSet { set } => format!("has ordered Corgi's broker set {set} to be started"),
        Act::Widen { topic, partitions, site: Site { tell: Tell::Masters, .. } } => {
            format!("has told Corgi's masters that topic {topic} has {partitions} partitions, and no slave")
        }
        Act::Widen { topic, partitions, site: Site { queue: Queue::Corgi, .. } } => {
            format!("has told every broker of Corgi that topic {topic} has {partitions} partitions")
        }
        Act::Widen { topic, partitions, site: Site { queue: Queue::Kafka, .. } } => {
            format!("has had topic {topic} widened to {partitions} partitions in Kafka")
        }
    }
}
