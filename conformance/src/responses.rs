//! Writes the model's answer down as the recordings do, with names for ids.

use crate::names::Names;
use crate::requests::{number, text};
use cutover_model::kafka::admin::{AdminResponse, GroupState};
use cutover_model::kafka::protocol::{
    Assignment, AssignmentProtocol, Body, ErrorCode, FetchedPartition, FetchedRecord, MemberId, Response,
};
use cutover_model::record::{Offset, TopicPartition};
use serde_json::{Map, Value, json};

fn error(code: ErrorCode) -> Value {
    json!(code.to_string())
}

fn each<T>(list: Vec<(TopicPartition, T)>, names: &Names, show: impl Fn(T) -> Value) -> Value {
    let mut map = Map::new();
    for (at, result) in list {
        map.insert(format!("{}/{}", names.topic_name(at.topic), at.partition), show(result));
    }
    Value::Object(map)
}

fn protocol_name(protocol: Option<AssignmentProtocol>, names: &Names) -> Value {
    match protocol {
        None => Value::Null,
        Some(AssignmentProtocol::Other(number)) => json!(names.protocols.text(number as usize)),
        Some(known) => json!(known.to_string()),
    }
}

fn fetched_record(record: &FetchedRecord, names: &Names, append_time: bool) -> Value {
    let mut shown = json!({"offset": record.offset, "epoch": record.leader_epoch});
    match record.body {
        Body::Marker { commit } => shown["control"] = json!(if commit { "commit" } else { "abort" }),
        Body::Record(body) => {
            let (key, value) = names.records.get(body.id.sequence as usize - 1).cloned().unwrap_or_default();
            shown["key"] = key;
            shown["value"] = value;
            if append_time && record.timestamp != body.created_at {
                shown["append_time"] = json!(true);
            } else {
                shown["at_ms"] = json!(names.at_ms(record.timestamp));
            }
        }
    }
    if let Some(stamp) = record.stamp {
        shown["producer"] = names.producer_name(stamp.id);
        shown["producer_epoch"] = json!(stamp.epoch);
        if matches!(record.body, Body::Record(_)) {
            shown["sequence"] = json!(stamp.base_sequence);
            if stamp.transactional {
                shown["transactional"] = json!(true);
            }
        }
    }
    shown
}

fn fetched(step: &Value, partition: &FetchedPartition, names: &Names) -> Value {
    // The recorder leaves out what its batch has before the asked offset, unless told.
    let from = if step["whole_batches"] == true { 0 } else { number(step, "offset", 0) };
    let records: Vec<Value> = partition
        .records
        .iter()
        .filter(|record| record.offset >= from)
        .map(|record| fetched_record(record, names, true))
        .collect();
    let mut shown = json!({
        "error": error(partition.error),
        "high_watermark": partition.high_watermark,
        "last_stable": partition.last_stable,
        "log_start": partition.log_start,
        "records": records,
    });
    if !partition.aborted.is_empty() {
        let list: Vec<Value> = partition
            .aborted
            .iter()
            .map(|(id, first)| json!({"producer": names.producer_name(*id), "first_offset": first}))
            .collect();
        shown["aborted"] = json!(list);
    }
    if let Some((epoch, end_offset)) = partition.diverging {
        shown["diverging"] = json!({"epoch": epoch, "end_offset": end_offset});
    }
    shown
}

fn joined(step: &Value, response: Response, names: &mut Names) -> Value {
    let Response::JoinGroup { error: code, generation, protocol, leader, member, members, skip_assignment } =
        response
    else {
        return Value::Null;
    };
    let client = text(step, "client", "c").to_owned();
    if member == MemberId(u64::MAX) {
        names.members.insert(client.clone(), member);
    }
    if member != MemberId::NONE && !names.members.values().any(|known| *known == member) {
        names.members.insert(client.clone(), member);
    }
    if code == ErrorCode::None {
        names.generations.insert(client, generation);
    }
    let mut list: Vec<Value> = members.iter().map(|member| names.member_name(member.member)).collect();
    list.sort_by_key(Value::to_string);
    let mut shown = json!({
        "error": error(code),
        "generation": generation,
        "protocol": protocol_name(protocol, names),
        "leader": names.member_name(leader),
        "member": names.member_name(member),
        "members": list,
    });
    if number(step, "api_version", 7) >= 9 {
        shown["skip_assignment"] = json!(skip_assignment);
    }
    shown
}

fn initialised(step: &Value, response: Response, names: &mut Names) -> Value {
    let Response::InitProducerId { error: code, producer } = response else { return Value::Null };
    let client = text(step, "client", "c").to_owned();
    match producer {
        Some((id, epoch)) if code == ErrorCode::None => {
            let known = names.producers.get(&client).map(|known| known.0);
            let other = names.producers.iter().find(|(name, known)| known.0 == id && **name != client);
            let shown = match (known, other) {
                (Some(known), _) if known == id => json!("own"),
                (_, Some((name, _))) => json!(name),
                _ => json!("new"),
            };
            names.producers.insert(client, (id, epoch));
            json!({"error": error(code), "epoch": epoch, "id": shown})
        }
        _ => json!({"error": error(code), "id": -1, "epoch": -1}),
    }
}

fn assignment(assigned: &Assignment, names: &Names) -> Value {
    json!(names.opaque.text(assigned.opaque as usize))
}

fn administered(response: AdminResponse, names: &Names) -> Value {
    match response {
        AdminResponse::Done { error: code } => json!({"error": error(code)}),
        AdminResponse::DeleteRecords { error: code, low_watermark } => {
            json!({"error": error(code), "low_watermark": low_watermark})
        }
        AdminResponse::DescribeProducers { error: code, producers } => {
            let mut list: Vec<Value> = producers
                .into_iter()
                .map(|(id, epoch, last, start): (_, i16, i32, Offset)| {
                    json!({
                        "producer": names.producer_name(id),
                        "epoch": epoch,
                        "last_sequence": last,
                        "transaction_start": start,
                    })
                })
                .collect();
            list.sort_by_key(|producer| producer["producer"].to_string());
            json!({"error": error(code), "producers": list})
        }
        AdminResponse::DescribeGroup { error: code, state, protocol, members } => {
            let protocol =
                if state == GroupState::Stable { protocol_name(protocol, names) } else { json!("") };
            let mut list: Vec<Value> = members
                .iter()
                .map(|(member, instance, assigned)| {
                    json!({
                        "member": names.member_name(*member),
                        "instance": instance.map(|instance| names.instances.text(instance.0 as usize)),
                        "assignment": assignment(assigned, names),
                    })
                })
                .collect();
            list.sort_by_key(Value::to_string);
            json!({"error": error(code), "state": state.to_string(), "protocol": protocol, "members": list})
        }
        AdminResponse::DeleteOffset { .. } => Value::Null,
    }
}

fn metadata(step: &Value, response: Response) -> Value {
    let Response::Metadata { brokers, unknown, partitions } = response else { return Value::Null };
    let code = if unknown.is_empty() { ErrorCode::None } else { ErrorCode::UnknownTopicOrPartition };
    let list: Vec<Value> = partitions
        .into_iter()
        .map(|partition| {
            let mut isr: Vec<u32> = partition.isr.iter().map(|id| id.0).collect();
            let mut offline: Vec<u32> = partition.offline.iter().map(|id| id.0).collect();
            isr.sort_unstable();
            offline.sort_unstable();
            let mut shown = json!({
                "partition": partition.partition.partition,
                "error": error(partition.error),
                "leader": partition.leader.map_or(-1, |id| i64::from(id.0)),
                "leader_epoch": partition.leader_epoch,
                "replicas": partition.replicas.iter().map(|id| id.0).collect::<Vec<_>>(),
                "isr": isr,
                "offline": offline,
            });
            // The recorder leaves it out: an internal topic outlives a conversation, and its epochs say nothing of it.
            if let (true, Some(fields)) = (text(step, "topic", "t").starts_with("__"), shown.as_object_mut())
            {
                fields.shift_remove("leader_epoch");
            }
            shown
        })
        .collect();
    json!({"error": error(code), "brokers": brokers.len(), "partitions": list})
}

/// The answer as a recording writes it; ids that it brings are bound to names.
pub fn show(step: &Value, response: Response, names: &mut Names) -> Value {
    match response {
        Response::Metadata { .. } => metadata(step, response),
        Response::Produce { partitions, .. } => {
            let (_, code, base, start) = partitions[0];
            json!({"error": error(code), "base_offset": base, "log_start": start})
        }
        Response::Fetch { partitions, .. } => fetched(step, &partitions[0], names),
        Response::ListOffsets { partitions } => {
            let (_, code, offset, at, epoch) = partitions[0];
            let mut shown = json!({"error": error(code), "offset": offset, "leader_epoch": epoch});
            if let Some(at) = at {
                shown["at_ms"] = json!(names.at_ms(at));
            }
            shown
        }
        Response::OffsetForLeaderEpoch { partitions } => {
            let (_, code, epoch, end) = partitions[0];
            json!({"error": error(code), "epoch": epoch, "end_offset": end})
        }
        Response::InitProducerId { .. } => initialised(step, response, names),
        Response::FindCoordinator { error: code, .. } => json!({"error": error(code)}),
        Response::JoinGroup { .. } => joined(step, response, names),
        Response::SyncGroup { error: code, assignment: assigned } => {
            json!({"error": error(code), "assignment": assignment(&assigned, names)})
        }
        Response::Heartbeat { error: code }
        | Response::AddOffsetsToTxn { error: code }
        | Response::EndTxn { error: code } => {
            json!({"error": error(code)})
        }
        Response::LeaveGroup { error: code } => {
            let members =
                matches!(code, ErrorCode::None | ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId);
            let whole = if members { ErrorCode::None } else { code };
            json!({"error": error(whole), "member_error": if members { error(code) } else { Value::Null }})
        }
        Response::OffsetCommit { partitions } | Response::TxnOffsetCommit { partitions } => {
            json!({"offsets": each(partitions, names, error)})
        }
        Response::OffsetFetch { error: code, partitions } => {
            let list = partitions
                .into_iter()
                .map(|(at, code, offset, _)| {
                    (at, if code == ErrorCode::None { json!(offset) } else { error(code) })
                })
                .collect();
            json!({"error": error(code), "offsets": each(list, names, |value| value)})
        }
        Response::AddPartitionsToTxn { partitions } => json!({"partitions": each(partitions, names, error)}),
        Response::Admin(AdminResponse::DeleteOffset { error: code, partition }) => {
            let at = crate::requests::partition(step, names);
            let list = partition.map(|code| (at, code)).into_iter().collect();
            json!({"error": error(code), "offsets": each(list, names, error)})
        }
        Response::Admin(response) => administered(response, names),
    }
}
