//! Plays one script against the model, step by step, as the recorder did.

use crate::cluster::{Cluster, WALL};
use crate::compare::{difference, matches};
use crate::names::Names;
use crate::requests::{self, number, text};
use crate::responses::show;
use cutover_model::kafka::protocol::{CoordinatorKey, Request, Response};
use cutover_model::kafka::{Settings, Version};
use cutover_model::machine::RequestId;
use cutover_model::record::{TopicId, TopicPartition};
use cutover_model::units::Span;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use thiserror::Error;

/// The recorder asks a probe again elsewhere after so long.
const PROBE_PATIENCE: Span = Span::millis(800);
const CALL_PATIENCE: Span = Span::secs(60);
const PAUSE: Span = Span::millis(60);
const UNTIL_PATIENCE: Span = Span::secs(15);

/// Why a step has no answer.
#[derive(Debug, Error)]
pub enum Failure {
    /// A repeated call never had the wanted fields.
    #[error("never {wanted}; last {last}")]
    Never {
        /// The fields.
        wanted: Box<Value>,
        /// The last answer.
        last: Box<Value>,
    },
    /// Anything else: no answer, a broken connection, a word that the model does not know.
    #[error("{0}")]
    Other(String),
}

impl From<String> for Failure {
    fn from(reason: String) -> Failure {
        Failure::Other(reason)
    }
}

impl From<&str> for Failure {
    fn from(reason: &str) -> Failure {
        Failure::Other(reason.to_owned())
    }
}

/// One conversation with the model.
#[derive(Clone)]
pub struct Player {
    cluster: Cluster,
    /// What the script's names stand for.
    pub names: Names,
    /// So long an answer is awaited.
    pub patience: Span,
    waiting: BTreeMap<String, (Value, RequestId)>,
    down: BTreeMap<u32, &'static str>,
}

/// The version that a script was recorded with: its own word, whatever folder it is in.
fn version(script: &Value) -> Result<Version, String> {
    match script["kafka"].as_str() {
        None => Ok(Version::default()),
        Some(text) if text.starts_with("3.9") => Ok(Version::V3_9),
        Some(text) if text.starts_with("4.1") => Ok(Version::V4_1),
        Some(text) => Err(format!("not in the model: Kafka {text}")),
    }
}

fn settings(script: &Value) -> Result<Settings, String> {
    let mut settings = Settings {
        version: version(script)?,
        broker_session: Span::millis(2_500),
        broker_heartbeat: Span::millis(300),
        replica_lag_time_max: Span::secs(2),
        replica_fetch_wait: Span::millis(100),
        high_watermark_checkpoint: Span::millis(500),
        retention_check: Span::secs(1),
        producer_id_expiration_check: Span::secs(1),
        offsets_retention_check: Span::secs(1),
        offsets_partitions: 3,
        group_initial_rebalance_delay: Span::ZERO,
        group_min_session: Span::millis(200),
        transaction_partitions: 3,
        transaction_timeout_check: Span::millis(500),
        ..Settings::default()
    };
    for (name, value) in script["settings"].as_object().into_iter().flatten() {
        match name.as_str() {
            "producer.id.expiration.ms" => {
                settings.producer_id_expiration = Span::millis(value.as_u64().unwrap_or(0));
            }
            _ => return Err(format!("not in the model: the setting {name}")),
        }
    }
    Ok(settings)
}

impl Player {
    /// A cluster that stands, with the script's topics.
    pub fn open(script: &Value) -> Result<Player, String> {
        let cluster = Cluster::new(&settings(script)?);
        let names = Names { base: cluster.now + WALL, ..Names::default() };
        let mut player = Player {
            cluster,
            names,
            patience: CALL_PATIENCE,
            waiting: BTreeMap::new(),
            down: BTreeMap::new(),
        };
        for (name, topic) in script["topics"].as_object().into_iter().flatten() {
            let mut step = topic.clone();
            step["call"] = json!("create_topic");
            step["topic"] = json!(name);
            let answer = player.call(&step)?;
            if answer["error"] != "NONE" {
                return Err(format!("topic {name}: {answer}"));
            }
        }
        player.cluster.run_for(Span::millis(700));
        player.names.base = player.cluster.now + WALL;
        Ok(player)
    }

    /// Play a script; the first difference is the error.
    pub fn play(script: &Value) -> Result<(), String> {
        let mut player = Player::open(script)?;
        let varies: Vec<String> = script["varies"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|path| path.as_str().unwrap_or("").to_owned())
            .collect();
        for (place, step) in script["steps"].as_array().into_iter().flatten().enumerate() {
            let answer = player.step(step).map_err(|error| format!("step {place}: {error}"))?;
            if let Some(answer) = answer {
                let path = format!("/{place}/answer");
                if let Some(difference) = difference(&path, &step["answer"], &answer, &varies) {
                    return Err(format!("step {place} {}: {difference}", text(step, "call", "finish")));
                }
            }
        }
        Ok(())
    }

    /// Let the model's time pass.
    pub fn run_for(&mut self, span: Span) {
        self.cluster.run_for(span);
    }

    /// Whether a call that was not awaited has its answer, or will never have one.
    pub fn is_answered(&self, name: &str) -> bool {
        self.waiting.get(name).is_some_and(|(_, id)| self.cluster.is_answered(*id))
    }

    /// The calls that were not awaited and are not finished.
    pub fn waiting(&self) -> impl Iterator<Item = &str> {
        self.waiting.keys().map(String::as_str)
    }

    /// The brokers that are struck.
    pub fn is_struck(&self, broker: u32) -> bool {
        self.down.contains_key(&broker)
    }

    /// Play one step; the answer is none where the step asks nothing.
    pub fn step(&mut self, step: &Value) -> Result<Option<Value>, Failure> {
        if let Some(ms) = step["wait_ms"].as_u64() {
            self.cluster.run_for(Span::millis(ms));
            return Ok(None);
        }
        if let Some(fault) = step["fault"].as_str() {
            self.fault(fault, step)?;
            return Ok(None);
        }
        if let Some(name) = step["pending"].as_str() {
            self.cluster.run_for(Span::millis(number(step, "ms", 300) as u64));
            let (_, id) = self.waiting.get(name).ok_or("no such call")?;
            let answered = self.cluster.is_answered(*id);
            return if answered { Err(format!("{name} was answered").into()) } else { Ok(None) };
        }
        if let Some(name) = step["finish"].as_str() {
            let (call, id) = self.waiting.remove(name).ok_or("no such call")?;
            let response = self.cluster.wait(id, self.patience)?;
            return Ok(Some(show(&call, response, &mut self.names)));
        }
        if let Some(name) = step["start"].as_str() {
            let node = self.target(step)?;
            let request = requests::build(step, &mut self.names)?;
            let id = self.cluster.send(node, request);
            self.waiting.insert(name.to_owned(), (step.clone(), id));
            self.cluster.run_for(Span::millis(number(step, "lead_ms", 150) as u64));
            return Ok(None);
        }
        self.repeat(step).map(Some)
    }

    /// A call, repeated as the recorder repeats it.
    fn repeat(&mut self, step: &Value) -> Result<Value, Failure> {
        let end = self.cluster.now + Span::millis(number(step, "within_ms", 15_000) as u64);
        let until = step.get("until");
        loop {
            let answer = self.call(step);
            let late = self.cluster.now >= end;
            match (&answer, until) {
                (Ok(found), None) => {
                    let shown = found.to_string();
                    let loading =
                        ["COORDINATOR_LOAD_IN_PROGRESS", "\"NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE"]
                            .iter()
                            .any(|word| shown.contains(word));
                    if !loading || step["transient"] == true || late {
                        return Ok(found.clone());
                    }
                }
                (Ok(found), Some(wanted)) if matches(found, wanted) => return Ok(found.clone()),
                (Ok(found), Some(wanted)) if late => {
                    return Err(Failure::Never {
                        wanted: Box::new(wanted.clone()),
                        last: Box::new(found.clone()),
                    });
                }
                (Err(error), Some(_)) if late || error.starts_with("not in the model") => {
                    return Err(format!("never answered: {error}").into());
                }
                (Err(_), None) if step["no_answer"] == true => return Ok(json!("no answer")),
                (Err(error), None) => return Err(error.clone().into()),
                _ => {}
            }
            self.cluster.run_for(PAUSE);
        }
    }

    fn call(&mut self, step: &Value) -> Result<Value, String> {
        if text(step, "call", "") == "metadata" && step["to"].is_null() {
            let topic = self.names.topic(text(step, "topic", "t"));
            let response = self.view(topic)?;
            return Ok(show(step, response, &mut self.names));
        }
        let request = requests::build(step, &mut self.names)?;
        let node = self.target(step)?;
        let id = self.cluster.send(node, request);
        if step["acks"] == 0 {
            self.cluster.run_for(Span::millis(5));
            let closed = self.cluster.is_answered(id);
            return if closed { Err("closed".to_owned()) } else { Ok(json!("no answer, as asked")) };
        }
        let response = self.cluster.wait(id, self.patience)?;
        Ok(show(step, response, &mut self.names))
    }

    /// A topic's metadata from the first broker that answers.
    fn view(&mut self, topic: TopicId) -> Result<Response, String> {
        for node in 1..=3 {
            if self.cluster.is_down(node) {
                continue;
            }
            let id = self.cluster.send(node, Request::Metadata { topics: vec![topic] });
            if let Ok(response) = self.cluster.wait(id, PROBE_PATIENCE) {
                return Ok(response);
            }
        }
        Err("no broker answers".to_owned())
    }

    fn leader(&mut self, at: TopicPartition) -> Result<u32, String> {
        let Response::Metadata { partitions, .. } = self.view(at.topic)? else { return Ok(1) };
        let found = partitions.iter().find(|partition| partition.partition == at);
        match found.map(|partition| partition.leader) {
            None => Ok(1),
            Some(Some(leader)) => Ok(leader.0),
            Some(None) => Err("no leader".to_owned()),
        }
    }

    fn coordinator(&mut self, key: CoordinatorKey) -> Result<u32, String> {
        let end = self.cluster.now + Span::secs(20);
        while self.cluster.now < end {
            for node in 1..=3 {
                if self.cluster.is_down(node) {
                    continue;
                }
                let id = self.cluster.send(node, Request::FindCoordinator { key });
                if let Ok(Response::FindCoordinator { coordinator: Some((broker, _)), .. }) =
                    self.cluster.wait(id, PROBE_PATIENCE)
                {
                    return Ok(broker.0);
                }
            }
            self.cluster.run_for(Span::millis(100));
        }
        Err("no coordinator".to_owned())
    }

    /// The broker that a step's call goes to.
    fn target(&mut self, step: &Value) -> Result<u32, String> {
        if let Some(to) = step["to"].as_u64() {
            return Ok(to as u32);
        }
        let call = text(step, "call", "");
        match call {
            "produce"
            | "fetch"
            | "list_offsets"
            | "offset_for_leader_epoch"
            | "delete_records"
            | "describe_producers" => {
                let at = requests::partition(step, &mut self.names);
                self.leader(at)
            }
            "join_group" | "sync_group" | "heartbeat" | "leave_group" | "offset_commit" | "offset_fetch"
            | "offset_delete" | "describe_group" | "delete_group" | "txn_offset_commit" => {
                let group = requests::group(step, &mut self.names);
                self.coordinator(CoordinatorKey::Group(group))
            }
            "init_producer" if !step["transaction"].is_string() => self.any(),
            "init_producer" | "add_partitions_to_txn" | "add_offsets_to_txn" | "end_txn" => {
                let transaction = requests::transaction(step, &mut self.names);
                self.coordinator(CoordinatorKey::Transaction(transaction))
            }
            _ => self.any(),
        }
    }

    fn any(&mut self) -> Result<u32, String> {
        match self.view(TopicId(0))? {
            Response::Metadata { brokers, .. } => {
                brokers.iter().map(|(broker, _)| broker.0).min().ok_or_else(|| "no broker".to_owned())
            }
            _ => Ok(1),
        }
    }

    fn fault(&mut self, fault: &str, step: &Value) -> Result<(), String> {
        if fault == "heal" {
            for (node, how) in std::mem::take(&mut self.down) {
                self.strike(how, node);
            }
            self.cluster.run_for(Span::secs(6));
            return Ok(());
        }
        let node = match &step["broker"] {
            Value::Number(node) => node.as_u64().unwrap_or(0) as u32,
            key if key["coordinator_of"].is_string() => {
                let group = self.names.group(text(key, "coordinator_of", ""));
                self.coordinator(CoordinatorKey::Group(cutover_model::record::GroupId(group)))?
            }
            key if key["transaction_coordinator_of"].is_string() => {
                let name = text(key, "transaction_coordinator_of", "");
                let transaction = self.names.transaction(name);
                self.coordinator(CoordinatorKey::Transaction(
                    cutover_model::kafka::protocol::TransactionalId(transaction),
                ))?
            }
            _ => *self.down.keys().next().ok_or("which broker?")?,
        };
        if !["kill", "stop", "start", "freeze", "thaw"].contains(&fault) {
            return Err(format!("not in the model: the fault {fault}"));
        }
        self.strike(fault, node);
        match fault {
            "kill" | "stop" => self.down.insert(node, "start"),
            "freeze" => self.down.insert(node, "thaw"),
            _ => self.down.remove(&node),
        };
        Ok(())
    }

    fn strike(&mut self, fault: &str, node: u32) {
        match fault {
            "kill" => self.cluster.kill(node),
            "freeze" => self.cluster.freeze(node),
            "thaw" => self.cluster.thaw(node),
            "stop" => {
                self.cluster.terminate(node);
                let end = self.cluster.now + UNTIL_PATIENCE;
                while !self.cluster.is_down(node) && self.cluster.now < end {
                    self.cluster.run_for(Span::millis(100));
                }
            }
            _ => {
                // A process takes a while until it is there.
                self.cluster.run_for(Span::millis(1_500));
                self.cluster.start(node);
                self.cluster.run_for(Span::millis(200));
            }
        }
        self.cluster.run_for(Span::millis(10));
    }
}
