//! Plays moves on the model and writes them out as the steps of a script, each with the model's answer.

use super::moves::{Draft, Move};
use crate::player::{Failure, Player};
use cutover_model::units::Span;
use serde_json::{Map, Value, json};

/// The real cluster shows what the model shows within so long, or it is a difference.
const WITHIN_MS: u64 = 20_000;
/// Both wait for so long for an answer: the longest that a drawn call takes is far shorter.
pub const PATIENCE_MS: u64 = 5_000;
/// A call that waits in the model must wait for so long in reality.
const PENDING_MS: u64 = 100;
/// The time between two moves: what is on its way in the model arrives.
const BREATH: Span = Span::millis(20);
/// What a settled call gives the model.
const SETTLING: Span = Span::millis(700);

/// What came of a step: an answer, the last of the repeated calls' answers, or a failure.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The step asks nothing.
    Nothing,
    /// The answer.
    Answer(Value),
    /// A repeated call never had the wanted fields.
    Never(Value),
    /// No answer, or a broken connection.
    Failed(String),
}

/// A step of a conversation and what the model says to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// As a script writes it.
    pub step: Value,
    /// What came of it in the model.
    pub outcome: Outcome,
}

/// A conversation while it is being made.
pub struct Realiser {
    /// The model, where the conversation stands.
    pub player: Player,
    /// The conversation so far.
    pub said: Vec<Said>,
    /// The topics of which the cluster's rest is judged.
    topics: Vec<String>,
    groups: Vec<String>,
    transactions: Vec<String>,
    started: u32,
}

/// The outcome of a step in the model.
fn outcome(result: Result<Option<Value>, Failure>) -> Outcome {
    match result {
        Ok(None) => Outcome::Nothing,
        Ok(Some(answer)) => Outcome::Answer(answer),
        Err(Failure::Never { last, .. }) => Outcome::Never(*last),
        Err(Failure::Other(error)) => Outcome::Failed(error),
    }
}

/// Those fields of an answer.
fn part(answer: &Value, fields: &[&str]) -> Value {
    let kept = fields.iter().filter_map(|field| Some(((*field).to_owned(), answer.get(*field)?.clone())));
    Value::Object(kept.collect::<Map<_, _>>())
}

impl Realiser {
    /// The model with the script's topics.
    ///
    /// # Errors
    /// Where a topic cannot be created.
    pub fn open(header: &Value) -> Result<Realiser, String> {
        let mut player = Player::open(header)?;
        player.patience = Span::millis(PATIENCE_MS);
        let topics =
            header["topics"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        let names = |field: &str| {
            let list = header[field].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let (groups, transactions) = (names("groups"), names("transactions"));
        Ok(Realiser { player, said: Vec::new(), topics, groups, transactions, started: 0 })
    }

    /// What the model would answer now, without asking it.
    pub fn peek(&self, step: &Value) -> Option<Value> {
        match outcome(self.player.clone().step(step)) {
            Outcome::Answer(answer) => Some(answer),
            _ => None,
        }
    }

    /// Play a move.
    pub fn perform(&mut self, played: &Move) {
        for draft in &played.drafts {
            match draft {
                Draft::Step(step) => self.say(step.clone()),
                Draft::Settled(step, fields) => self.settle(step, fields),
                Draft::Waiting(step) => self.start(step),
                Draft::Rest(ms) => self.rest(*ms),
            }
            self.player.run_for(BREATH);
            self.finish_answered();
        }
    }

    /// A batch with a sequence needs its producer's id: without one there is nothing to send.
    fn lacks_producer(&self, step: &Value) -> bool {
        let is_stamped =
            step["call"] == "produce" && (step["as"].is_string() || step["sequence"].is_number());
        let who = step["as"].as_str().or(step["client"].as_str()).unwrap_or("c");
        is_stamped && !self.player.names.producers.contains_key(who)
    }

    fn say(&mut self, step: Value) {
        if self.lacks_producer(&step) {
            return;
        }
        let outcome = outcome(self.player.step(&step));
        self.said.push(Said { step, outcome });
    }

    fn settle(&mut self, step: &Value, fields: &[&'static str]) {
        self.player.run_for(SETTLING);
        let Some(answer) = self.peek(step) else { return };
        let mut step = step.clone();
        step["until"] = part(&answer, fields);
        step["within_ms"] = json!(WITHIN_MS);
        self.say(step);
    }

    /// Send a call. Where the model answers at once it is an ordinary one.
    fn start(&mut self, step: &Value) {
        let name = format!("call{}", self.started);
        self.started += 1;
        let mut started = step.clone();
        started["start"] = json!(name);
        let sent = outcome(self.player.step(&started));
        if self.player.is_answered(&name) {
            let outcome = outcome(self.player.step(&json!({"finish": name})));
            self.said.push(Said { step: step.clone(), outcome });
            return;
        }
        self.said.push(Said { step: started, outcome: sent });
        self.say(json!({"pending": name, "ms": PENDING_MS}));
    }

    fn finish_answered(&mut self) {
        let names: Vec<String> = self.player.waiting().map(str::to_owned).collect();
        for name in names {
            if self.player.is_answered(&name) {
                self.say(json!({"finish": name}));
            }
        }
    }

    fn rest_of_internal(&mut self, topic: &str, broker: u32) {
        let mut step = json!({"call": "metadata", "topic": topic, "to": broker});
        if let Some(view) = self.peek(&step) {
            step["until"] = json!({"brokers": view["brokers"], "partitions": led(&view)});
            step["within_ms"] = json!(WITHIN_MS);
            self.say(step);
        }
    }

    /// Let the model come to rest and say how the real cluster shows that it has.
    fn rest(&mut self, ms: u64) {
        self.player.run_for(Span::millis(ms));
        let live: Vec<u32> = (1..=3).filter(|broker| !self.player.is_struck(*broker)).collect();
        let mut partitions = Vec::new();
        for topic in self.topics.clone() {
            for broker in &live {
                let step = json!({"call": "metadata", "topic": topic, "to": broker});
                if let Some(view) = self.peek(&step) {
                    let list = view["partitions"].as_array().into_iter().flatten();
                    partitions.extend(list.map(|partition| (topic.clone(), partition["partition"].clone())));
                    self.say(json!({"call": "metadata", "topic": topic, "to": broker, "until": view, "within_ms": WITHIN_MS}));
                }
            }
        }
        for topic in ["__consumer_offsets", "__transaction_state"] {
            for broker in &live {
                self.rest_of_internal(topic, *broker);
            }
        }
        // A broker shows new metadata a moment before it acts on them.
        self.say(json!({"wait_ms": 100}));
        partitions.sort_by_key(|(topic, partition)| (topic.clone(), partition.as_i64()));
        partitions.dedup();
        for (topic, partition) in partitions {
            let latest = self.peek(
                &json!({"call": "list_offsets", "topic": topic, "partition": partition, "at": "latest"}),
            );
            let Some(offset) =
                latest.filter(|latest| latest["error"] == "NONE").map(|latest| latest["offset"].clone())
            else {
                continue;
            };
            let step = json!({"call": "fetch", "topic": topic, "partition": partition, "offset": offset, "max_wait_ms": 0});
            self.settle(&step, &["error", "high_watermark", "last_stable", "log_start"]);
        }
        // A broker that was started has no producer ids yet, and says that it is loading.
        for broker in &live {
            self.say(json!({"call": "init_producer", "client": "warm", "to": broker}));
        }
        for group in self.groups.clone() {
            self.say(json!({"call": "describe_group", "group": group}));
        }
        for transaction in self.transactions.clone() {
            self.say(
                json!({"call": "end_txn", "client": "nobody", "transaction": transaction, "commit": false}),
            );
        }
    }
}

/// Who leads each partition and which replicas are in sync.
fn led(view: &Value) -> Value {
    let partitions = view["partitions"].as_array().into_iter().flatten();
    partitions.map(|partition| json!({"leader": partition["leader"], "isr": partition["isr"]})).collect()
}

/// The conversation that these moves make.
///
/// # Errors
/// Where the model cannot create the script's topics.
pub fn realise(header: &Value, moves: &[Move]) -> Result<Vec<Said>, String> {
    let mut realiser = Realiser::open(header)?;
    for played in moves {
        realiser.perform(played);
    }
    Ok(realiser.said)
}
