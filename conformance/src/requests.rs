//! Builds the model's request for a step of a script.

use crate::names::Names;
use cutover_model::kafka::admin::{AdminRequest, Layout, Setting};
use cutover_model::kafka::protocol::{
    Acks, Assignment, AssignmentProtocol, BrokerId, CommitPartition, CoordinatorKey, FetchPartition,
    GroupInstanceId, Isolation, MemberId, OffsetAt, ProduceBatch, ProducerId, ProducerStamp, ProtocolType,
    Request, Subscription, TransactionalId,
};
use cutover_model::record::{GroupId, Key, Record, RecordId, TopicPartition};
use cutover_model::units::{Span, Time};
use serde_json::{Value, json};

pub type Built = Result<Request, String>;

pub fn text<'a>(step: &'a Value, field: &str, default: &'a str) -> &'a str {
    step[field].as_str().unwrap_or(default)
}

pub fn number(step: &Value, field: &str, default: i64) -> i64 {
    step[field].as_i64().unwrap_or(default)
}

pub fn partition(step: &Value, names: &mut Names) -> TopicPartition {
    let topic = names.topic(text(step, "topic", "t"));
    TopicPartition { topic, partition: number(step, "partition", 0) as u16 }
}

pub fn group(step: &Value, names: &mut Names) -> GroupId {
    GroupId(names.group(text(step, "group", "g")))
}

pub fn transaction(step: &Value, names: &mut Names) -> TransactionalId {
    TransactionalId(names.transaction(text(step, "transaction", "x")))
}

fn named_partition(text: &str, names: &mut Names) -> TopicPartition {
    let (topic, partition) = text.rsplit_once('/').unwrap_or((text, "0"));
    TopicPartition { topic: names.topic(topic), partition: partition.parse().unwrap_or(0) }
}

fn brokers(list: &Value) -> Vec<BrokerId> {
    list.as_array().into_iter().flatten().map(|id| BrokerId(id.as_i64().unwrap_or(0) as u32)).collect()
}

fn millis(step: &Value, field: &str, default: i64) -> Span {
    Span::millis(number(step, field, default).max(0) as u64)
}

fn member(step: &Value, names: &Names) -> MemberId {
    match step["member"].as_str() {
        Some("") => MemberId::NONE,
        Some(name) => names.members.get(name).copied().unwrap_or(MemberId(u64::MAX)),
        None => names.members.get(text(step, "client", "c")).copied().unwrap_or(MemberId::NONE),
    }
}

fn generation(step: &Value, names: &Names) -> i32 {
    let who = step["member"].as_str().filter(|name| !name.is_empty()).unwrap_or(text(step, "client", "c"));
    step["generation"]
        .as_i64()
        .map_or_else(|| names.generations.get(who).copied().unwrap_or(-1), |generation| generation as i32)
}

fn instance(step: &Value, names: &mut Names) -> Option<GroupInstanceId> {
    step["instance"].as_str().map(|name| GroupInstanceId(names.instances.number(name) as u32))
}

fn knows_producer(step: &Value, names: &Names) -> bool {
    names.producers.contains_key(step["as"].as_str().unwrap_or(text(step, "client", "c")))
}

pub fn producer(step: &Value, names: &Names) -> (ProducerId, i16) {
    let who = step["as"].as_str().unwrap_or(text(step, "client", "c"));
    let (id, epoch) = names.producers.get(who).copied().unwrap_or((ProducerId(u64::MAX), -1));
    (id, step["epoch"].as_i64().map_or(epoch, |epoch| epoch as i16))
}

fn isolation(step: &Value) -> Isolation {
    if text(step, "isolation", "") == "read_committed" {
        Isolation::ReadCommitted
    } else {
        Isolation::ReadUncommitted
    }
}

fn offsets(step: &Value, names: &mut Names) -> Vec<CommitPartition> {
    let metadata_bytes = text(step, "metadata", "").len() as u32;
    let mut list: Vec<(String, i64)> = step["offsets"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(at, offset)| (at.clone(), offset.as_i64().unwrap_or(-1)))
        .collect();
    list.sort();
    list.into_iter()
        .map(|(at, offset)| CommitPartition {
            partition: named_partition(&at, names),
            offset,
            leader_epoch: -1,
            metadata_bytes,
        })
        .collect()
}

fn partitions(step: &Value, names: &mut Names) -> Vec<TopicPartition> {
    match step["partitions"].as_array() {
        Some(list) => list.iter().map(|at| named_partition(at.as_str().unwrap_or(""), names)).collect(),
        None => vec![partition(step, names)],
    }
}

/// Settings as texts, whatever the script writes them as.
fn config(values: &Value) -> Vec<Setting> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    values.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn record(value: &Value, names: &mut Names, at: TopicPartition) -> Record {
    let (key, content, at_ms, bytes) = match value {
        Value::String(text) => {
            let (content, at) = text.split_once('@').unwrap_or((text, "0"));
            let (key, content) = content.split_once('=').unwrap_or(("", content));
            let at_ms = at.parse::<i64>().unwrap_or(0);
            let key_shown = if key.is_empty() { Value::Null } else { json!(key) };
            (key_shown, json!(content), at_ms, key.len() + content.len())
        }
        object => {
            let bytes = object["bytes"].as_u64();
            let content = text(object, "value", "");
            let shown = match bytes {
                Some(count) if count > 40 => json!({"bytes": count}),
                Some(count) => json!("x".repeat(count as usize)),
                None => json!(content),
            };
            let length = bytes.map_or(content.len(), |count| count as usize);
            (object["key"].clone(), shown, number(object, "at_ms", 0), length)
        }
    };
    let has_key = !key.is_null();
    names.records.push((key, content));
    let sequence = names.records.len() as u32;
    let created = names.base.0 as i64 + at_ms * 1_000;
    Record {
        id: RecordId { producer: 0, sequence },
        topic: at.topic,
        source: at.partition,
        key: if has_key { Key::default() } else { Key::NONE },
        // What the record format adds to key and value.
        bytes: bytes as u32 + if bytes > 100 { 10 } else { 7 },
        created_at: Time(created.max(0) as u64),
        copied_from: -1,
        delay: Span::ZERO,
    }
}

fn produce(step: &Value, names: &mut Names) -> Built {
    let at = partition(step, names);
    let acks = match &step["acks"] {
        Value::String(_) | Value::Null => Acks::All,
        value => match value.as_i64() {
            Some(0) => Acks::None,
            Some(1) => Acks::Leader,
            Some(-1) => Acks::All,
            Some(other) => Acks::Other(i16::try_from(other).map_err(|_| format!("acks {value}"))?),
            None => return Err(format!("acks {value}")),
        },
    };
    let sequence = step["sequence"].as_i64();
    let is_transactional = step["transaction"].is_string();
    let stamped = step["as"].is_string() || sequence.is_some();
    let stamp = stamped.then(|| {
        let (id, epoch) = producer(step, names);
        ProducerStamp {
            id,
            epoch,
            base_sequence: sequence.unwrap_or(-1) as i32,
            transactional: is_transactional,
        }
    });
    let list = step["records"].as_array().cloned().unwrap_or_default();
    let records = list.iter().map(|value| record(value, names, at)).collect();
    let transaction = is_transactional.then(|| transaction(step, names));
    Ok(Request::Produce {
        acks,
        timeout: millis(step, "timeout_ms", 10_000),
        transaction,
        batches: vec![ProduceBatch { partition: at, stamp, records }],
    })
}

fn fetch(step: &Value, names: &mut Names) -> Built {
    let max_bytes = number(step, "max_bytes", 1 << 20) as u32;
    Ok(Request::Fetch {
        isolation: isolation(step),
        max_wait: millis(step, "max_wait_ms", 200),
        min_bytes: number(step, "min_bytes", 1) as u32,
        max_bytes,
        partitions: vec![FetchPartition {
            partition: partition(step, names),
            offset: number(step, "offset", 0),
            leader_epoch: number(step, "leader_epoch", -1) as i32,
            last_fetched_epoch: number(step, "last_fetched_epoch", -1) as i32,
            max_bytes,
        }],
    })
}

fn list_offsets(step: &Value, names: &mut Names) -> Built {
    let at = match &step["at"] {
        Value::String(word) => match word.as_str() {
            "earliest" => OffsetAt::Earliest,
            "latest" => OffsetAt::Latest,
            _ => OffsetAt::MaxTimestamp,
        },
        value => {
            let time = names.base.0 as i64 + value.as_i64().unwrap_or(0) * 1_000;
            OffsetAt::Time(Time(time.max(0) as u64))
        }
    };
    let current = number(step, "leader_epoch", -1) as i32;
    let partitions = vec![(partition(step, names), current, at)];
    Ok(Request::ListOffsets { isolation: isolation(step), partitions })
}

fn protocol(name: &str, names: &mut Names) -> AssignmentProtocol {
    match name {
        "range" => AssignmentProtocol::Range,
        "roundrobin" => AssignmentProtocol::RoundRobin,
        "sticky" => AssignmentProtocol::Sticky,
        "cooperative-sticky" => AssignmentProtocol::CooperativeSticky,
        other => AssignmentProtocol::Other(names.protocols.number(other) as u32),
    }
}

fn protocol_type(step: &Value, names: &mut Names) -> ProtocolType {
    match text(step, "protocol_type", "consumer") {
        "consumer" => ProtocolType::Consumer,
        "" => ProtocolType::Unnamed,
        other => ProtocolType::Other(names.protocols.number(other) as u32),
    }
}

fn join(step: &Value, names: &mut Names) -> Built {
    let subscription = match step["subscribe"].as_array() {
        Some(topics) => Subscription {
            topics: topics.iter().map(|topic| names.topic(topic.as_str().unwrap_or(""))).collect(),
            ..Subscription::default()
        },
        None => Subscription {
            opaque: names.opaque_number(text(step, "subscription", "")),
            ..Subscription::default()
        },
    };
    let default = json!(["range"]);
    let list = step.get("protocols").unwrap_or(&default).as_array().cloned().unwrap_or_default();
    let protocols = list
        .iter()
        .map(|name| (protocol(name.as_str().unwrap_or(""), names), subscription.clone()))
        .collect();
    Ok(Request::JoinGroup {
        group: group(step, names),
        member: member(step, names),
        instance: instance(step, names),
        session_timeout: millis(step, "session_ms", 30_000),
        rebalance_timeout: millis(step, "rebalance_ms", 30_000),
        protocol_type: protocol_type(step, names),
        may_skip_assignment: number(step, "api_version", 7) >= 9,
        protocols,
    })
}

fn sync(step: &Value, names: &mut Names) -> Built {
    let list: Vec<(String, String)> = step["assignments"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(who, what)| (who.clone(), what.as_str().unwrap_or("").to_owned()))
        .collect();
    let assignments = list
        .into_iter()
        .map(|(who, what)| {
            let id = names.members.get(&who).copied().unwrap_or(MemberId(u64::MAX));
            (id, Assignment { opaque: names.opaque_number(&what), ..Assignment::default() })
        })
        .collect();
    Ok(Request::SyncGroup {
        group: group(step, names),
        generation: generation(step, names),
        member: member(step, names),
        instance: instance(step, names),
        protocol: Some((protocol_type(step, names), protocol(text(step, "protocol", "range"), names))),
        assignments,
    })
}

fn create_topic(step: &Value, names: &mut Names) -> Built {
    let layout = match step["replicas"].as_array() {
        Some(lists) => Layout::Chosen(lists.iter().map(brokers).collect()),
        None => Layout::Spread {
            partitions: step["partitions"].as_i64().map(|count| count as i32),
            replication: step["replication"].as_i64().map(|count| count as i32),
        },
    };
    let name = text(step, "topic", "t");
    let (topic, name, config) = (names.topic(name), name.into(), config(&step["config"]));
    Ok(Request::Admin(AdminRequest::CreateTopic { topic, name, layout, config }))
}

fn admin(call: &str, step: &Value, names: &mut Names) -> Built {
    let at = partition(step, names);
    Ok(Request::Admin(match call {
        "delete_topic" => AdminRequest::DeleteTopic { topic: at.topic },
        "create_partitions" => AdminRequest::CreatePartitions {
            topic: at.topic,
            count: number(step, "count", 0) as u16,
            replicas: step["replicas"].as_array().map(|lists| lists.iter().map(brokers).collect()),
        },
        "alter_config" => AdminRequest::AlterConfig { topic: at.topic, config: config(&step["config"]) },
        "reassign" => AdminRequest::Reassign {
            partition: at,
            replicas: step["replicas"].as_array().map(|_| brokers(&step["replicas"])),
        },
        "elect_leader" => {
            AdminRequest::ElectLeader { partition: at, unclean: text(step, "election", "") == "unclean" }
        }
        "delete_records" => AdminRequest::DeleteRecords {
            partition: at,
            before: number(step, "before", -1),
            timeout: Span::secs(10),
        },
        "describe_producers" => AdminRequest::DescribeProducers { partition: at },
        "describe_group" => AdminRequest::DescribeGroup { group: group(step, names) },
        "delete_group" => AdminRequest::DeleteGroup { group: group(step, names) },
        "offset_delete" => AdminRequest::DeleteOffset { group: group(step, names), partition: at },
        other => return Err(format!("not in the model: the call {other}")),
    }))
}

/// The request of a step.
pub fn build(step: &Value, names: &mut Names) -> Built {
    if step["protocol"] == 2 {
        return Err("not in the model: the second transaction protocol".to_owned());
    }
    let call = text(step, "call", "");
    Ok(match call {
        "metadata" => Request::Metadata { topics: vec![names.topic(text(step, "topic", "t"))] },
        "produce" => return produce(step, names),
        "fetch" => return fetch(step, names),
        "list_offsets" => return list_offsets(step, names),
        "offset_for_leader_epoch" => Request::OffsetForLeaderEpoch {
            partitions: vec![(
                partition(step, names),
                number(step, "leader_epoch", -1) as i32,
                number(step, "epoch", 0) as i32,
            )],
        },
        "init_producer" => Request::InitProducerId {
            transaction: step["transaction"].is_string().then(|| transaction(step, names)),
            transaction_timeout: millis(step, "timeout_ms", 60_000),
            // Who has no id yet has nothing to resume: as the recorder, it sends none.
            current: (step["resume"] == true && knows_producer(step, names)).then(|| producer(step, names)),
        },
        "find_coordinator" if text(step, "kind", "group") == "transaction" => {
            Request::FindCoordinator { key: CoordinatorKey::Transaction(transaction(step, names)) }
        }
        "find_coordinator" => Request::FindCoordinator { key: CoordinatorKey::Group(group(step, names)) },
        "join_group" => return join(step, names),
        "sync_group" => return sync(step, names),
        "heartbeat" => Request::Heartbeat {
            group: group(step, names),
            generation: generation(step, names),
            member: member(step, names),
            instance: instance(step, names),
        },
        "leave_group" => Request::LeaveGroup {
            group: group(step, names),
            member: member(step, names),
            instance: instance(step, names),
        },
        "offset_commit" => Request::OffsetCommit {
            group: group(step, names),
            generation: generation(step, names),
            member: member(step, names),
            instance: instance(step, names),
            offsets: offsets(step, names),
        },
        "offset_fetch" => Request::OffsetFetch {
            group: group(step, names),
            partitions: partitions(step, names),
            require_stable: step["require_stable"] == true,
        },
        "add_partitions_to_txn" => Request::AddPartitionsToTxn {
            transaction: transaction(step, names),
            producer: producer(step, names),
            partitions: partitions(step, names),
        },
        "add_offsets_to_txn" => Request::AddOffsetsToTxn {
            transaction: transaction(step, names),
            producer: producer(step, names),
            group: group(step, names),
        },
        "txn_offset_commit" => Request::TxnOffsetCommit {
            transaction: transaction(step, names),
            producer: producer(step, names),
            group: group(step, names),
            generation: generation(step, names),
            member: member(step, names),
            offsets: offsets(step, names),
        },
        "end_txn" => Request::EndTxn {
            transaction: transaction(step, names),
            producer: producer(step, names),
            commit: step["commit"] == true,
        },
        "create_topic" => return create_topic(step, names),
        call => return admin(call, step, names),
    })
}
