//! One readable line for each entry of the history, with the case's names: for stories and traces.

use super::Subject;
use crate::deployment::RollOrder;
use crate::history::{Entry, Event};
use crate::incident::RareBranch;
use crate::plan::words::rewound;
use crate::plan::{Act, PreparedFrom, Site, Tell};
use crate::record::{NodeId, Offset, Queue, RecordId, TopicPartition};
use crate::rewind::{Address, HostId};
use crate::switch::{Hold, WriteTo};

/// A sentence names so many of a batch's records.
pub(super) const RECORDS_NAMED: usize = 3;

/// One readable line for an entry: `producer-2 sends p2#117 (key 12) to payments/3`.
pub fn describe(entry: &Entry, subject: &Subject) -> String {
    let node = subject.node_name(entry.node);
    of_record(&node, &entry.event, subject)
        .or_else(|| of_reader(&node, &entry.event, subject))
        .or_else(|| of_plan(&entry.event, subject))
        .unwrap_or_else(|| of_system(&node, &entry.event, subject))
}

fn position(subject: &Subject, queue: Queue, partition: TopicPartition, offset: Offset) -> String {
    format!("{} {} offset {offset}", queue.name(), subject.partition_name(partition))
}

fn partition_names(subject: &Subject, partitions: &[TopicPartition]) -> String {
    if partitions.is_empty() {
        return "no partition".to_owned();
    }
    partitions.iter().map(|partition| subject.partition_name(*partition)).collect::<Vec<_>>().join(", ")
}

/// What becomes of a record.
fn of_record(node: &str, event: &Event, subject: &Subject) -> Option<String> {
    Some(match event {
        Event::Invoked { record } => {
            let source = subject.partition_name(record.source_partition());
            let delayed = if record.is_delayed() {
                format!(", to be read after {}", record.delay)
            } else {
                String::new()
            };
            format!("{node} sends {} (key {}) to {source}{delayed}", record.id, record.key.id)
        }
        Event::Acknowledged { record, queue, partition, offset } => {
            let (queue, partition) = (queue.name(), subject.partition_name(*partition));
            format!("{queue} acknowledges {record} to {node}: {partition} offset {offset}")
        }
        Event::Due { record, partition, offset } => {
            let position = position(subject, Queue::Corgi, *partition, *offset);
            format!("{record} is due, and {node} has stored it at {position}")
        }
        Event::Refused { record } => format!("{node} is told that {record} is refused"),
        Event::Indeterminate { record } => {
            format!("{node} gives {record} up without knowing whether it is in a log")
        }
        Event::Delivered { group, record, source, queue, partition, offset, copied_from } => {
            let (group, source) = (subject.group_name(*group), subject.partition_name(*source));
            let position = position(subject, *queue, *partition, *offset);
            let copy = if *copied_from >= 0 {
                let other = if *queue == Queue::Kafka { Queue::Corgi } else { Queue::Kafka };
                format!(", a copy of {} offset {copied_from}", other.name())
            } else {
                String::new()
            };
            format!("{node} ({group}) is delivered {record} of {source} from {position}{copy}")
        }
        Event::Processed { group, record, source } => {
            let (group, source) = (subject.group_name(*group), subject.partition_name(*source));
            format!("{node} ({group}) has processed {record} of {source}")
        }
        Event::Copied { record, source, source_offset, target, target_offset } => {
            let from = position(subject, Queue::Corgi, *source, *source_offset);
            let to = position(subject, Queue::Kafka, *target, *target_offset);
            format!("{node} has copied {record} from {from} to {to}")
        }
        Event::CopiedBack { record, source, source_offset, target, target_offset } => {
            let from = position(subject, Queue::Kafka, *source, *source_offset);
            let to = position(subject, Queue::Corgi, *target, *target_offset);
            format!("{node} has copied {record} back from {from} to {to}")
        }
        Event::Skipped { record, source, source_offset } => {
            let from = position(subject, Queue::Corgi, *source, *source_offset);
            format!("{node} gives {record} at {from} up and goes on without it")
        }
        Event::SkippedBack { record, source, source_offset } => {
            let from = position(subject, Queue::Kafka, *source, *source_offset);
            format!("{node} gives {record} at {from} up and goes on without it")
        }
        Event::StoppedAt { record, source, source_offset } => {
            let from = position(subject, Queue::Corgi, *source, *source_offset);
            format!("{node} cannot copy {record} at {from} into Kafka, and exits")
        }
        Event::StoppedBackAt { record, source, source_offset } => {
            let from = position(subject, Queue::Kafka, *source, *source_offset);
            format!("{node} cannot copy {record} at {from} back into Corgi, and exits")
        }
        _ => return None,
    })
}

/// What consumers, mirror workers and producers do besides.
fn of_reader(node: &str, event: &Event, subject: &Subject) -> Option<String> {
    Some(match event {
        Event::Committed { group, queue, partition, offset } => {
            let group = subject.group_name(*group);
            format!("{node} commits {} for {group}", position(subject, *queue, *partition, *offset))
        }
        Event::MirrorCommitted { source, offset } => {
            format!("{node} commits {} for the mirror", position(subject, Queue::Corgi, *source, *offset))
        }
        Event::CommittedBack { source, offset } => {
            let position = position(subject, Queue::Kafka, *source, *offset);
            format!("{node} commits {position} for the reverse mirror")
        }
        Event::Granted { group, queue, partitions } => {
            let (queue, group) = (queue.name(), subject.group_name(*group));
            format!("{node} ({group}) is granted {} in {queue}", partition_names(subject, partitions))
        }
        Event::Revoked { group, queue, partitions, orderly } => {
            let (queue, group) = (queue.name(), subject.group_name(*group));
            let partitions = partition_names(subject, partitions);
            let how = if *orderly { "hands back" } else { "loses" };
            format!("{node} ({group}) {how} {partitions} in {queue}")
        }
        Event::Paused { group, paused } => {
            let group = subject.group_name(*group);
            format!("{node} ({group}) {}", if *paused { "pauses" } else { "goes on after a pause" })
        }
        Event::Sought { rewind, group, meant, partition, from, to } => {
            let (group, partition) = (subject.group_name(*group), subject.partition_name(*partition));
            let meant = format!("{}, life {}", subject.node_name(meant.node), meant.incarnation);
            format!(
                "{node} ({group}) goes back in {partition} from offset {from} to {to}, for rewind {rewind} (sent to {meant})"
            )
        }
        Event::RewindRefused { rewind, group, meant, because } => {
            let group = subject.group_name(*group);
            let meant = format!("{}, life {}", subject.node_name(meant.node), meant.incarnation);
            format!("{node} ({group}) does not go back for rewind {rewind}, sent to {meant}: {because}")
        }
        Event::Writing { to, hold } => {
            format!(
                "{node} writes to {} from now on and holds {} back",
                target_name(*to),
                held(subject, hold)
            )
        }
        Event::PutBack { partition, records, because } => {
            let partition = subject.partition_name(*partition);
            format!("{node} will send {} to {partition} in Kafka again: {because}", record_names(records))
        }
        _ => return None,
    })
}

/// The first of some records, and how many more.
fn record_names(records: &[RecordId]) -> String {
    let named: Vec<String> = records.iter().take(RECORDS_NAMED).map(RecordId::to_string).collect();
    match records.len().saturating_sub(RECORDS_NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn target_name(to: WriteTo) -> &'static str {
    match to {
        WriteTo::Corgi => "Corgi",
        WriteTo::Kafka => "Kafka",
        WriteTo::Both => "Corgi and Kafka",
    }
}

fn held(subject: &Subject, hold: &Hold) -> String {
    match hold {
        Hold::Nothing => "nothing".to_owned(),
        Hold::Everything => "everything".to_owned(),
        Hold::Topics(topics) => {
            let name = |topic: usize| {
                subject.topics.get(topic).map_or_else(|| format!("topic {topic}"), |it| it.name.clone())
            };
            topics.iter().map(|topic| name(usize::from(topic.0))).collect::<Vec<_>>().join(", ")
        }
        Hold::Partitions(partitions) => partition_names(subject, partitions),
    }
}

/// What the operator does.
fn of_plan(event: &Event, subject: &Subject) -> Option<String> {
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

/// What happens to the systems.
fn of_system(node: &str, event: &Event, subject: &Subject) -> String {
    match event {
        Event::Rebalanced { group, generation, members } => {
            let group = subject.group_name(*group);
            format!("{group} is at generation {generation} in Kafka, with {members} members")
        }
        Event::Started { incarnation } => format!("{node} starts (life {incarnation})"),
        Event::Stopped { orderly: true } => format!("{node} stops in good order"),
        Event::Stopped { orderly: false } => format!("{node} dies"),
        Event::FaultBegun { fault, kind, target, .. } => {
            format!("fault {fault} begins: {}", fault_begun(kind, target))
        }
        Event::FaultEnded { fault, kind, target } => {
            format!("fault {fault} ends: {}", fault_ended(kind, target))
        }
        Event::Rare { branch } => rare(node, *branch),
        Event::Healed => "the faults are over and everything runs again".to_owned(),
        Event::WorkloadEnded => "the producers have sent everything".to_owned(),
        Event::Ended { because } => format!("the run ends: {because}"),
        event => of_replicas(node, event, subject),
    }
}

/// A fault as a sentence, by the word of the case file; a word that is not known stands for itself.
fn fault_begun(kind: &str, target: &str) -> String {
    let messages = || format!("messages {}", ways(target));
    match kind {
        "crash" => format!("{target} crashes"),
        "pause" => format!("{target} stands still"),
        "restart" => format!("{target} is restarted"),
        "cut" => format!("nothing passes {}", ways(target)),
        "slow-link" => format!("{} come late", messages()),
        "lossy-link" => format!("{} get lost at times", messages()),
        "duplicating-link" => format!("{} come twice at times", messages()),
        "reordering-link" => format!("{} are overtaken at times", messages()),
        "clock-skew" => format!("the clock of {target} is wrong"),
        "host-crash" => format!("the host of {target} dies, and with it what was not on the disk yet"),
        "disk-loss" => format!("{target} dies, and its disk with it"),
        "rolling-restart" => format!("{target} is restarted, one after the other"),
        "scale-down" => format!("of {target} half are stopped"),
        "scale-up" => format!("{target} gets more instances"),
        "isr-shrink" => format!("nothing passes {}", ways(target)),
        "slow-disk" => format!("the disk of {target} is slow"),
        "full-disk" => format!("the disk of {target} is full"),
        "clock-jump" => format!("the clock of {target} jumps"),
        "fail-over" => format!("the on-call is told to fail {target} over, though nothing is wrong"),
        "leader-election" => format!("{target} is told to elect the preferred leaders"),
        "unclean-election" => format!("{target} is told to elect leaders that are not in sync"),
        "lost-switches" => format!("switches {} get lost", ways(target)),
        "late-switches" => format!("switches {} come late", ways(target)),
        "stale-switches" => format!("{target} tells what stood before the last change"),
        "stale-reports" => format!("the monitoring of {target} stands still"),
        "quota" => format!("the cloud grants {target} fewer bytes"),
        "burst" => format!("{target} sends ahead of time what was due later"),
        "oversized-record" => format!("the next record of {target} is too large"),
        _ => format!("{kind} at {target}"),
    }
}

/// A branch that is seldom taken.
fn rare(node: &str, branch: RareBranch) -> String {
    match branch {
        RareBranch::ShortFetch => format!("{node} fetches, and is to get less than there is"),
        RareBranch::LateAcknowledgement => format!("{node} acknowledges late"),
        RareBranch::SpuriousTimeOut => format!("{node} acknowledges, and it does not arrive"),
    }
}

fn fault_ended(kind: &str, target: &str) -> String {
    match kind {
        "crash" | "restart" | "host-crash" => format!("{target} starts again"),
        "disk-loss" => format!("{target} starts again with an empty disk"),
        "rolling-restart" | "scale-down" => format!("{target} is whole again"),
        "scale-up" => format!("{target} loses the instances that were added"),
        "slow-disk" => format!("the disk of {target} is as fast as before"),
        "full-disk" => format!("there is room on the disk of {target} again"),
        "quota" => format!("the cloud grants {target} what it did before"),
        "stale-switches" => format!("{target} tells what stands"),
        "stale-reports" => format!("the monitoring of {target} goes on"),
        // Done when it began, or not put right.
        "fail-over" | "leader-election" | "unclean-election" | "burst" | "oversized-record"
        | "clock-jump" => {
            format!("{kind} at {target} is over")
        }
        "pause" => format!("{target} goes on"),
        "clock-skew" => format!("the clock of {target} is as it was"),
        "cut" | "isr-shrink" | "lost-switches" | "late-switches" | "slow-link" | "lossy-link"
        | "duplicating-link" | "reordering-link" => {
            format!("messages {} pass as before", ways(target))
        }
        _ => format!("{kind} at {target}"),
    }
}

/// The links of a fault: both ways, or one.
fn ways(target: &str) -> String {
    if target.contains(" to ") { format!("from {target}") } else { format!("between {target}") }
}

/// Who leads, who follows, and what their logs lose.
fn of_replicas(node: &str, event: &Event, subject: &Subject) -> String {
    match event {
        Event::LeaderChanged { queue, partition, leader: Some(leader), epoch } => {
            let (partition, leader) = (subject.partition_name(*partition), subject.node_name(*leader));
            format!("{partition} in {} is led by {leader} (epoch {epoch})", queue.name())
        }
        Event::LeaderChanged { queue, partition, leader: None, epoch } => {
            let partition = subject.partition_name(*partition);
            format!("{partition} in {} has no leader (epoch {epoch})", queue.name())
        }
        Event::InSyncChanged { partition, in_sync, unclean } => {
            let (partition, in_sync) = (subject.partition_name(*partition), node_names(subject, in_sync));
            if *unclean {
                format!(
                    "an unclean election makes {in_sync} the leader of {partition} in Kafka: it was not in \
                     sync, and what it lacks is lost"
                )
            } else {
                format!("in sync for {partition} in Kafka: {in_sync}")
            }
        }
        Event::LeadershipTaken { partition, epoch, end } => {
            let partition = subject.partition_name(*partition);
            format!(
                "{node} begins to lead {partition} in Kafka (epoch {epoch}); its log ends at offset {end}"
            )
        }
        Event::LeasesAwaited { span, .. } => format!(
            "{node} is master and grants no partition for {span}: what its predecessor granted may still be held"
        ),
        Event::Truncated { queue, partition, from, to } => {
            let partition = subject.partition_name(*partition);
            let lost = offsets(*to, *from);
            format!("the log of {partition} in {} at {node} loses {lost}", queue.name())
        }
        Event::StartMoved { queue, partition, from, to } => {
            let partition = subject.partition_name(*partition);
            let gone = offsets(*from, *to);
            format!(
                "the log of {partition} in {} at {node} begins at offset {to} now, without {gone}",
                queue.name()
            )
        }
        Event::DiskLost { queue, partitions } => {
            let lost = |(partition, from, to): &(TopicPartition, Offset, Offset)| {
                format!("{} of {}", offsets(*to, *from), subject.partition_name(*partition))
            };
            let named: Vec<String> = partitions.iter().take(RECORDS_NAMED).map(lost).collect();
            let more = match partitions.len().saturating_sub(RECORDS_NAMED) {
                0 => String::new(),
                more => format!(" and something of {more} more partitions"),
            };
            format!("the disk of {node} in {} has lost {}{more}", queue.name(), named.join(", "))
        }
        Event::Listening { host, port, before } => {
            let host = HostId(*host);
            let address = Address { host, port: *port };
            let had = |before: NodeId| format!(", the address that {} had", subject.node_name(before));
            format!("{node} listens at {address}{}", before.map(had).unwrap_or_default())
        }
        Event::Widened { queue, topic, partitions } => {
            let (topic, queue) = (subject.topic_name(*topic), queue.name());
            format!("{node} tells from now on that topic {topic} has {partitions} partitions in {queue}")
        }
        Event::Narrowed { topic, partitions } => {
            let topic = subject.topic_name(*topic);
            format!(
                "{node} tells from now on that topic {topic} has {partitions} partitions to write to in Corgi"
            )
        }
        // The rest was described before; a line that says little is better than a broken trace.
        _ => format!("{node} did something"),
    }
}

/// The offsets from one on up to another, which is not among them.
pub(super) fn offsets(first: Offset, end: Offset) -> String {
    if first + 1 == end { format!("offset {first}") } else { format!("offsets {first} to {}", end - 1) }
}

fn node_names(subject: &Subject, nodes: &[NodeId]) -> String {
    nodes.iter().map(|node| subject.node_name(*node)).collect::<Vec<_>>().join(", ")
}
