//! Plays a script against the real cluster, step by step.

use super::brokers::Key;
use super::calls::{Call, LOADING, learn};
use super::kafka::Kafka;
use super::names::Names;
use super::{Live, LiveError};
use crate::compare::matches;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const PAUSE: Duration = Duration::from_millis(60);
const SETTLED: Duration = Duration::from_secs(20);
const FINISHED: Duration = Duration::from_secs(60);

/// A call that waits for others may wait for as long as a conversation lasts.
const STARTED: Duration = Duration::from_secs(900);

/// Conversations of this process so far: each has names of its own.
static CONVERSATIONS: AtomicU32 = AtomicU32::new(0);

/// One conversation with the cluster.
pub struct LivePlayer<'a> {
    kafka: &'a mut Kafka,
    names: Names,
    /// Calls that were sent and not awaited.
    waiting: BTreeMap<String, (Value, Receiver<Live<Value>>)>,
    topics: Vec<String>,
}

/// Milliseconds since 1970: what records carry.
#[allow(clippy::disallowed_methods, reason = "a real Kafka goes by the wall clock")]
fn wall_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

fn uses_group(call: &str) -> bool {
    call.ends_with("_group")
        || matches!(
            call,
            "heartbeat"
                | "offset_commit"
                | "offset_fetch"
                | "offset_delete"
                | "txn_offset_commit"
                | "add_offsets_to_txn"
        )
}

fn uses_transaction(step: &Value) -> bool {
    match step["call"].as_str().unwrap_or("") {
        "produce" | "init_producer" => step["transaction"].is_string(),
        call => call.ends_with("_txn") || call == "txn_offset_commit",
    }
}

/// Whether an answer says only that a coordinator is loading.
fn is_loading(answer: &Value) -> bool {
    let shown = answer.to_string();
    LOADING.iter().any(|word| shown.contains(word))
}

impl<'a> LivePlayer<'a> {
    /// Create the script's topics, and wait until each has its leaders and replicas.
    ///
    /// # Errors
    /// Where a topic cannot be created.
    pub fn open(kafka: &'a mut Kafka, script: &Value) -> Live<LivePlayer<'a>> {
        let number = CONVERSATIONS.fetch_add(1, Ordering::Relaxed);
        let names = Names::new(format!("r{number}-"), wall_ms());
        let mut player = LivePlayer { kafka, names, waiting: BTreeMap::new(), topics: Vec::new() };
        let topics: Vec<(&String, &Value)> = script["topics"].as_object().into_iter().flatten().collect();
        for (name, topic) in &topics {
            let mut step = (*topic).clone();
            step["call"] = json!("create_topic");
            step["topic"] = json!(name);
            let answer = player.call(&step)?;
            if answer["error"] != "NONE" {
                return Err(LiveError::Script(format!("topic {name}: {answer}")));
            }
        }
        for (name, _) in &topics {
            player.settle(name)?;
        }
        player.names.base_ms = wall_ms();
        Ok(player)
    }

    /// Wait until every partition of a new topic has a leader and all its replicas, and every broker knows.
    fn settle(&mut self, topic: &str) -> Live<()> {
        let end = Instant::now() + SETTLED;
        while Instant::now() < end {
            if self.is_settled(topic) {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
        Err(LiveError::Silent(format!("some replica of {topic}")))
    }

    fn is_settled(&mut self, topic: &str) -> bool {
        for broker in 1..=3 {
            let view = self.call(&json!({"call": "metadata", "topic": topic, "to": broker}));
            let Ok(view) = view else { return false };
            let partitions = view["partitions"].as_array().cloned().unwrap_or_default();
            let whole = |partition: &Value| {
                let count = |field: &str| partition[field].as_array().map_or(0, Vec::len);
                partition["leader"].as_i64().is_some_and(|leader| leader > 0)
                    && count("isr") == count("replicas")
            };
            if view["error"] != "NONE" || partitions.is_empty() || !partitions.iter().all(whole) {
                return false;
            }
            for partition in &partitions {
                let served =
                    partition["replicas"].as_array().is_some_and(|list| list.contains(&json!(broker)));
                let step = json!({"call": "fetch", "topic": topic, "partition": partition["partition"],
                    "to": broker, "max_wait_ms": 0});
                if served && !self.call(&step).is_ok_and(|answer| answer["error"] == "NONE") {
                    return false;
                }
            }
        }
        true
    }

    /// Delete the conversation's topics, so that the cluster stays small.
    pub fn close(mut self) {
        for topic in std::mem::take(&mut self.topics) {
            // The script may have deleted it already; one that stays does no harm.
            let _ = self.call(&json!({"call": "delete_topic", "topic": topic}));
        }
    }

    fn prepare(&mut self, step: &Value) {
        let call = step["call"].as_str().unwrap_or("");
        let by_kind = call == "find_coordinator";
        let is_transaction = step["kind"] == "transaction";
        if uses_group(call) || by_kind && !is_transaction {
            self.names.use_group(step["group"].as_str().unwrap_or("g"));
        }
        if uses_transaction(step) || by_kind && is_transaction {
            self.names.use_transaction(step["transaction"].as_str().unwrap_or("x"));
        }
        if call == "create_topic" {
            let name = step["topic"].as_str().unwrap_or("t").to_owned();
            if !self.topics.contains(&name) {
                self.topics.push(name);
            }
        }
    }

    fn call(&mut self, step: &Value) -> Live<Value> {
        self.prepare(step);
        let answer = Call { brokers: &self.kafka.brokers, names: &self.names, step }.answer()?;
        Ok(learn(step, answer, &mut self.names))
    }

    /// Play one step; the answer is none where the step asks nothing.
    ///
    /// # Errors
    /// What the cluster did instead of answering.
    pub fn step(&mut self, step: &Value) -> Live<Option<Value>> {
        if let Some(ms) = step["wait_ms"].as_u64() {
            thread::sleep(Duration::from_millis(ms));
            return Ok(None);
        }
        if let Some(fault) = step["fault"].as_str() {
            return self.fault(fault, step).map(|()| None);
        }
        if let Some(name) = step["pending"].as_str() {
            return self.pending(name, step["ms"].as_u64().unwrap_or(300)).map(|()| None);
        }
        if let Some(name) = step["finish"].as_str() {
            return self.finish(name).map(Some);
        }
        if let Some(name) = step["start"].as_str() {
            self.start(name, step);
            return Ok(None);
        }
        self.repeat(step).map(Some)
    }

    fn start(&mut self, name: &str, step: &Value) {
        self.prepare(step);
        let (sender, receiver) = mpsc::channel();
        let (mut brokers, names, asked) = (self.kafka.brokers.clone(), self.names.clone(), step.clone());
        brokers.patience = STARTED;
        thread::spawn(move || {
            // The script may end before the answer comes.
            let _ = sender.send(Call { brokers: &brokers, names: &names, step: &asked }.answer());
        });
        self.waiting.insert(name.to_owned(), (step.clone(), receiver));
        thread::sleep(Duration::from_millis(step["lead_ms"].as_u64().unwrap_or(150)));
    }

    fn pending(&mut self, name: &str, ms: u64) -> Live<()> {
        let (_, receiver) =
            self.waiting.get(name).ok_or_else(|| LiveError::Script(format!("no call {name}")))?;
        match receiver.recv_timeout(Duration::from_millis(ms)) {
            Err(_) => Ok(()),
            Ok(Ok(answer)) => Err(LiveError::Answered(name.to_owned(), answer)),
            Ok(Err(error)) => Err(error),
        }
    }

    fn finish(&mut self, name: &str) -> Live<Value> {
        let (step, receiver) =
            self.waiting.remove(name).ok_or_else(|| LiveError::Script(format!("no call {name}")))?;
        let answer = receiver.recv_timeout(FINISHED).map_err(|_| LiveError::Silent(name.to_owned()))??;
        Ok(learn(&step, answer, &mut self.names))
    }

    /// A call, repeated until its answer has the fields that the step wants, or says more than "loading".
    fn repeat(&mut self, step: &Value) -> Live<Value> {
        let end = Instant::now() + Duration::from_millis(step["within_ms"].as_u64().unwrap_or(15_000));
        loop {
            let answer = self.call(step);
            let late = Instant::now() >= end;
            match (answer, step.get("until")) {
                (Ok(answer), None) if late || step["transient"] == true || !is_loading(&answer) => {
                    return Ok(answer);
                }
                (Ok(answer), Some(wanted)) if matches(&answer, wanted) => return Ok(answer),
                (Ok(last), Some(wanted)) if late => {
                    return Err(LiveError::Never { wanted: Box::new(wanted.clone()), last: Box::new(last) });
                }
                (Err(_), None) if step["no_answer"] == true => return Ok(json!("no answer")),
                (Err(error), wanted) if late || wanted.is_none() => return Err(error),
                _ => thread::sleep(PAUSE),
            }
        }
    }

    fn fault(&mut self, fault: &str, step: &Value) -> Live<()> {
        if fault == "heal" {
            self.kafka.undo_faults()?;
            return self.kafka.heal();
        }
        let broker = self.struck(&step["broker"])?;
        self.kafka.strike(fault, broker)
    }

    fn struck(&mut self, named: &Value) -> Live<i64> {
        if let Some(broker) = named.as_i64() {
            return Ok(broker);
        }
        if let Some(group) = named["coordinator_of"].as_str() {
            self.names.use_group(group);
            return self.kafka.brokers.coordinator(Key::Group(&self.names.group(group)));
        }
        if let Some(transaction) = named["transaction_coordinator_of"].as_str() {
            self.names.use_transaction(transaction);
            return self.kafka.brokers.coordinator(Key::Transaction(&self.names.transaction(transaction)));
        }
        self.kafka.first_struck().ok_or_else(|| LiveError::Script("which broker?".to_owned()))
    }
}
