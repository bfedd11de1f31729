//! Takes what the cluster handed out (producer ids, member ids, epochs) out of an answer and binds it to the names of
//! the script.

use crate::live::names::Names;
use serde_json::{Value, json};

fn sort(list: &mut [Value], field: &str) {
    list.sort_by_key(|entry| entry[field].to_string());
}

fn initialised(client: &str, answer: &mut Value, names: &mut Names) {
    let (Some(id), Some(epoch)) = (answer["id"].as_i64(), answer["epoch"].as_i64()) else { return };
    let known = names.producers.get(client).map(|known| known.0);
    let other = names.producers.iter().find(|(name, known)| known.0 == id && *name != client);
    let shown = match (known, other) {
        (Some(known), _) if known == id => json!("own"),
        (_, Some((name, _))) => json!(name),
        _ => json!("new"),
    };
    names.producers.insert(client.to_owned(), (id, epoch as i16));
    *answer = json!({"error": answer["error"], "epoch": epoch, "id": shown});
}

fn ended(step: &Value, client: &str, answer: &mut Value, names: &mut Names) {
    let (Some(id), Some(epoch)) = (answer["new_id"].as_i64(), answer["new_epoch"].as_i64()) else { return };
    if epoch >= 0 {
        let owner = step["as"].as_str().unwrap_or(client).to_owned();
        names.producers.insert(owner, (id, epoch as i16));
        *answer = json!({"error": answer["error"], "new_epoch": epoch});
    }
}

fn joined(client: &str, answer: &mut Value, names: &mut Names) {
    let member = answer["member"].as_str().unwrap_or("").to_owned();
    if !member.is_empty() && !names.members.values().any(|known| *known == member) {
        names.members.insert(client.to_owned(), member);
    }
    if let (true, Some(generation)) = (answer["error"] == "NONE", answer["generation"].as_i64()) {
        names.generations.insert(client.to_owned(), generation as i32);
    }
    for field in ["member", "leader"] {
        answer[field] = names.member_name(answer[field].as_str().unwrap_or(""));
    }
    let members = answer["members"].as_array().cloned().unwrap_or_default();
    let mut shown: Vec<Value> =
        members.iter().map(|member| names.member_name(member.as_str().unwrap_or(""))).collect();
    shown.sort_by_key(Value::to_string);
    answer["members"] = json!(shown);
}

fn described(answer: &mut Value, names: &Names) {
    for member in answer["members"].as_array_mut().into_iter().flatten() {
        member["member"] = names.member_name(member["member"].as_str().unwrap_or(""));
    }
    if let Some(members) = answer["members"].as_array_mut() {
        members.sort_by_key(Value::to_string);
    }
}

/// The answer to a step as it is written down.
pub fn learn(step: &Value, mut answer: Value, names: &mut Names) -> Value {
    let client = step["client"].as_str().unwrap_or("c");
    match step["call"].as_str().unwrap_or("") {
        "init_producer" if answer["error"] == "NONE" => initialised(client, &mut answer, names),
        "end_txn" if answer["error"] == "NONE" => ended(step, client, &mut answer, names),
        "join_group" => joined(client, &mut answer, names),
        "describe_group" => described(&mut answer, names),
        _ => {}
    }
    for field in ["records", "aborted", "producers"] {
        for entry in answer.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Some(id) = entry["producer"].as_i64() {
                entry["producer"] = names.producer_name(id);
            }
        }
    }
    // Producer ids come from a block per broker, so their order says nothing.
    if let Some(producers) = answer.get_mut("producers").and_then(Value::as_array_mut) {
        sort(producers, "producer");
    }
    answer
}
