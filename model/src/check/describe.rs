//! One readable line for each entry of the history, with the case's names: for stories and traces.

mod faults;
mod plan;

use super::Subject;
use crate::history::{Entry, Event};
use crate::record::{NodeId, Offset, Queue, RecordId, TopicPartition};
use crate::rewind::{Address, HostId};
use crate::switch::{Hold, WriteTo};
use faults::{fault_begun, fault_ended, rare};
use plan::of_plan;

/// A sentence names so many of a batch's records.
pub(super) const RECORDS_NAMED: usize = 3;

/// One readable line for an entry: `producer-2 sends p2#117 (key 12) to payments/3`.
pub fn describe(entry: &Entry, subject: &Subject) -> String {
    let node = subject.node_name(entry.node);
    of_record(&node, &entry.event, subject)
        .or_else(|| of_copy(&node, &entry.event, subject))
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
        Event::DelayedLost { records } => {
            format!("the log of {node} in Corgi loses {}, not due yet", record_names(records))
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
        _ => return None,
    })
}

/// What mirror workers do with a record, and with their transactions.
fn of_copy(node: &str, event: &Event, subject: &Subject) -> Option<String> {
    Some(match event {
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
        Event::CopyFailed { record, from, source, source_offset } => {
            let from = position(subject, *from, *source, *source_offset);
            format!("{node} cannot copy {record} at {from}, and will try again")
        }
        Event::StoppedAt { record, source, source_offset } => {
            let from = position(subject, Queue::Corgi, *source, *source_offset);
            format!("{node} cannot copy {record} at {from} into Kafka, and exits")
        }
        Event::StoppedBackAt { record, source, source_offset } => {
            let from = position(subject, Queue::Kafka, *source, *source_offset);
            format!("{node} cannot copy {record} at {from} back into Corgi, and exits")
        }
        Event::TransactionsRefused { error } => {
            format!("Kafka refuses the transactions of {node} with {error}, and it exits")
        }
        Event::WorkerFenced { partitions } => {
            let partitions = partition_names(subject, partitions);
            format!("{node} is fenced by Kafka: what it had not committed of {partitions} is gone")
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
        Event::FaultBegun { fault, kind, target, figure, .. } => {
            format!("fault {fault} begins: {}", fault_begun(kind, target, figure))
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

/// Who leads and who follows, where somebody listens, and how many partitions a topic has.
fn of_replicas(node: &str, event: &Event, subject: &Subject) -> String {
    match event {
        Event::LeaderChanged { queue, partition, leader, epoch } => {
            let led = led(subject, *queue, *partition);
            match leader.map(|leader| subject.node_name(leader)) {
                Some(leader) => format!("{led} is led by {leader} (epoch {epoch})"),
                None => format!("{led} has no leader (epoch {epoch})"),
            }
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
        Event::LeasesAwaited { span, .. } => format!(
            "{node} is master and grants no partition for {span}: what its predecessor granted may still be held"
        ),
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
        event => of_logs(node, event, subject),
    }
}

/// Where logs begin and end, and what they lose.
fn of_logs(node: &str, event: &Event, subject: &Subject) -> String {
    match event {
        Event::LeadershipTaken { partition, epoch, end } => {
            let partition = subject.partition_name(*partition);
            format!(
                "{node} begins to lead {partition} in Kafka (epoch {epoch}); its log ends at offset {end}"
            )
        }
        Event::MastershipTaken { partitions } => {
            let end = |(partition, end): &(TopicPartition, Offset)| {
                format!("{end} of {}", subject.partition_name(*partition))
            };
            let ends = first_named(partitions, end, "elsewhere in");
            format!("{node} is master in Corgi with a log that ends at offset {ends}")
        }
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
            let lost = first_named(partitions, lost, "something of");
            format!("the disk of {node} in {} has lost {lost}", queue.name())
        }
        // The rest was described before; a line that says little is better than a broken trace.
        _ => format!("{node} did something"),
    }
}

/// What a leader leads: in Kafka a partition, in Corgi a broker set with all that it has.
fn led(subject: &Subject, queue: Queue, partition: TopicPartition) -> String {
    let name = subject.partition_name(partition);
    match subject.corgi_set(partition).filter(|_| queue == Queue::Corgi) {
        Some(set) => format!("corgi-{set} ({name} in Corgi and others)"),
        None => format!("{name} in {}", queue.name()),
    }
}

/// What is said of the first partitions, and of how many more there is something to say.
fn first_named<P>(partitions: &[P], said: impl Fn(&P) -> String, of_others: &str) -> String {
    let named: Vec<String> = partitions.iter().take(RECORDS_NAMED).map(said).collect();
    let more = match partitions.len().saturating_sub(RECORDS_NAMED) {
        0 => String::new(),
        more => format!(" and {of_others} {more} more partitions"),
    };
    format!("{}{more}", named.join(", "))
}

/// The offsets from one on up to another, which is not among them.
pub(super) fn offsets(first: Offset, end: Offset) -> String {
    if first + 1 == end { format!("offset {first}") } else { format!("offsets {first} to {}", end - 1) }
}

fn node_names(subject: &Subject, nodes: &[NodeId]) -> String {
    nodes.iter().map(|node| subject.node_name(*node)).collect::<Vec<_>>().join(", ")
}
