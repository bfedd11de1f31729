//! Each call of a script: how its request is built, and what of the answer is written down.

mod administration;
mod answers;
mod groups;
mod log;
mod records;
mod transactions;

pub use answers::learn;

use super::brokers::{Brokers, Key};
use super::names::Names;
use super::wire::{ask, error, text};
use super::{Live, LiveError};
use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::{Request, StrBytes};
use serde_json::{Map, Value, json};

/// What a coordinator says that has not read its log yet: it is asked again.
pub const LOADING: [&str; 3] =
    ["COORDINATOR_LOAD_IN_PROGRESS", "\"NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE"];

/// A step that asks something, and what its names stand for.
pub struct Call<'a> {
    pub brokers: &'a Brokers,
    pub names: &'a Names,
    pub step: &'a Value,
}

/// A list of Kafka's brokers from one of the script's.
fn broker_ids(list: &Value) -> Vec<kafka_protocol::messages::BrokerId> {
    let ids = list.as_array().into_iter().flatten().filter_map(Value::as_i64);
    ids.map(|id| kafka_protocol::messages::BrokerId(id as i32)).collect()
}

/// A setting's value as a text, whatever the script writes it as.
fn setting(value: &Value) -> StrBytes {
    text(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// An answer that has none of what was asked about.
fn lacking(what: &str) -> LiveError {
    LiveError::Wire(format!("the answer names no {what}"))
}

/// A list per partition as the recordings write it.
fn each<T>(list: impl Iterator<Item = (String, i32, T)>, show: impl Fn(T) -> Value) -> Value {
    let mut map = Map::new();
    for (topic, partition, found) in list {
        map.insert(format!("{topic}/{partition}"), show(found));
    }
    Value::Object(map)
}

fn shown_error(code: i16) -> Value {
    json!(error(code))
}

impl Call<'_> {
    fn field(&self, field: &str, default: &str) -> String {
        self.step[field].as_str().unwrap_or(default).to_owned()
    }

    fn number(&self, field: &str, default: i64) -> i64 {
        self.step[field].as_i64().unwrap_or(default)
    }

    fn client(&self) -> String {
        self.field("client", "c")
    }

    fn topic(&self) -> TopicName {
        TopicName(text(&self.names.topic(&self.field("topic", "t"))))
    }

    fn partition(&self) -> i32 {
        self.number("partition", 0) as i32
    }

    fn group(&self) -> StrBytes {
        text(&self.names.group(&self.field("group", "g")))
    }

    fn transaction(&self) -> StrBytes {
        text(&self.names.transaction(&self.field("transaction", "x")))
    }

    fn optional(&self, field: &str) -> Option<StrBytes> {
        self.step[field].as_str().map(text)
    }

    fn isolation(&self) -> i8 {
        i8::from(self.field("isolation", "") == "read_committed")
    }

    /// The id and epoch that a transactional call sends.
    fn producer(&self) -> (i64, i16) {
        let who = self.field("as", &self.client());
        let (id, epoch) = self.names.producers.get(&who).copied().unwrap_or((-1, -1));
        (id, self.step["epoch"].as_i64().map_or(epoch, |epoch| epoch as i16))
    }

    fn member(&self) -> StrBytes {
        let members = &self.names.members;
        match self.step["member"].as_str() {
            Some("") => text(""),
            Some(name) => text(members.get(name).map_or(name, String::as_str)),
            None => text(members.get(&self.client()).map_or("", String::as_str)),
        }
    }

    fn generation(&self) -> i32 {
        let client = self.client();
        let who = self.step["member"].as_str().filter(|name| !name.is_empty()).unwrap_or(&client);
        let known = self.names.generations.get(who).copied().unwrap_or(-1);
        self.step["generation"].as_i64().map_or(known, |generation| generation as i32)
    }

    /// The asked partitions by their real topics; the step's own where it lists none.
    fn partitions(&self) -> Live<Vec<(String, i32)>> {
        let Some(list) = self.step["partitions"].as_array() else {
            return Ok(vec![(self.topic().0.to_string(), self.partition())]);
        };
        list.iter().map(|at| self.named_partition(at.as_str().unwrap_or(""))).collect()
    }

    fn named_partition(&self, at: &str) -> Live<(String, i32)> {
        let parts = at.rsplit_once('/').and_then(|(topic, number)| Some((topic, number.parse().ok()?)));
        let (topic, number) = parts.ok_or_else(|| LiveError::Script(format!("no partition: {at}")))?;
        Ok((self.names.topic(topic), number))
    }

    /// The offsets to commit, in the order of their partitions' names.
    fn offsets(&self) -> Live<Vec<(String, i32, i64)>> {
        let mut list: Vec<(&String, i64)> = self.step["offsets"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(at, offset)| (at, offset.as_i64().unwrap_or(-1)))
            .collect();
        list.sort();
        list.into_iter()
            .map(|(at, offset)| self.named_partition(at).map(|(topic, number)| (topic, number, offset)))
            .collect()
    }

    /// The broker that the step names, or else that one.
    fn port(&self, otherwise: impl FnOnce() -> Live<i64>) -> Live<u16> {
        let broker = self.step["to"].as_i64().map_or_else(otherwise, Ok)?;
        self.brokers.port(broker)
    }

    fn leader(&self) -> Live<u16> {
        self.port(|| self.brokers.leader(&self.topic().0, self.partition()))
    }

    fn group_coordinator(&self) -> Live<u16> {
        self.port(|| self.brokers.coordinator(Key::Group(&self.group())))
    }

    fn transaction_coordinator(&self) -> Live<u16> {
        self.port(|| self.brokers.coordinator(Key::Transaction(&self.transaction())))
    }

    fn any(&self) -> Live<u16> {
        self.port(|| self.brokers.any())
    }

    fn ask<R: Request>(&self, port: u16, version: i16, request: &R) -> Live<R::Response> {
        ask(port, version, &self.client(), self.brokers.patience, request)
    }

    /// Ask, and write the answer down with the ids that the cluster handed out.
    pub fn answer(&self) -> Live<Value> {
        match self.step["call"].as_str().unwrap_or("") {
            "create_topic" => self.create_topic(),
            "delete_topic" => self.delete_topic(),
            "create_partitions" => self.create_partitions(),
            "alter_config" => self.alter_config(),
            "elect_leader" => self.elect_leader(),
            "reassign" => self.reassign(),
            "delete_records" => self.delete_records(),
            "metadata" => self.metadata(),
            "describe_producers" => self.describe_producers(),
            "produce" => self.produce(),
            "fetch" => self.fetch(),
            "list_offsets" => self.list_offsets(),
            "offset_for_leader_epoch" => self.offset_for_leader_epoch(),
            "init_producer" => self.init_producer(),
            "add_partitions_to_txn" => self.add_partitions_to_txn(),
            "add_offsets_to_txn" => self.add_offsets_to_txn(),
            "txn_offset_commit" => self.txn_offset_commit(),
            "end_txn" => self.end_txn(),
            "find_coordinator" => self.find_coordinator(),
            "join_group" => self.join_group(),
            "sync_group" => self.sync_group(),
            "heartbeat" => self.heartbeat(),
            "leave_group" => self.leave_group(),
            "offset_commit" => self.offset_commit(),
            "offset_fetch" => self.offset_fetch(),
            "offset_delete" => self.offset_delete(),
            "describe_group" => self.describe_group(),
            "delete_group" => self.delete_group(),
            other => Err(LiveError::Script(format!("no call {other}"))),
        }
    }
}
