//! Transactions of several clients, some with the same transactional id.

use super::{Draft, Drawing, GROUPS, LONG_MS, Move, TOPICS, TRANSACTIONS};
use serde_json::{Value, json};

/// Who uses which transactional id: two take turns with the first.
const CLIENTS: [(&str, &str); 3] = [("u", "x"), ("v", "x"), ("w", "y")];

/// Where markers cannot be written at all, both say so for as long.
const MARKERS_MS: u64 = 4_000;

#[derive(Clone, Copy)]
enum Kind {
    Init,
    Add,
    Produce,
    AddOffsets,
    CommitOffsets,
    End,
    TimeOut,
}

/// Repeated until the markers of the transaction before are written.
fn unhurried(mut step: Value) -> Value {
    step["until"] = json!({"error": {"not": "CONCURRENT_TRANSACTIONS"}});
    step["within_ms"] = json!(MARKERS_MS);
    step["transient"] = json!(true);
    step
}

impl Drawing {
    pub fn transaction(&mut self) -> Move {
        let kind = self.dice.weighted(&[
            (10, Kind::Init),
            (22, Kind::Add),
            (30, Kind::Produce),
            (8, Kind::AddOffsets),
            (8, Kind::CommitOffsets),
            (20, Kind::End),
            (1, Kind::TimeOut),
        ]);
        let (client, own) = *self.dice.pick(&CLIENTS);
        // Seldom another's: a wrong id.
        let transaction = if self.dice.percent(3) { *self.dice.pick(&TRANSACTIONS) } else { own };
        if !self.realiser.player.names.producers.contains_key(client) {
            return self.init(client, transaction);
        }
        match kind {
            Kind::Init => self.init(client, transaction),
            Kind::Add => self.add(client, transaction),
            Kind::Produce => self.produce_in(client, transaction),
            Kind::AddOffsets => {
                let group = *self.dice.pick(&GROUPS);
                Move::step(unhurried(
                    json!({"call": "add_offsets_to_txn", "client": client, "transaction": transaction,
                    "group": group}),
                ))
            }
            Kind::CommitOffsets => self.commit_offsets(client, transaction),
            Kind::End => self.end(client, transaction),
            Kind::TimeOut => self.time_out(client, own),
        }
    }

    fn init(&mut self, client: &str, transaction: &str) -> Move {
        let mut step = json!({"call": "init_producer", "client": client, "transaction": transaction,
            "timeout_ms": LONG_MS});
        if self.dice.percent(20) {
            step["resume"] = json!(true);
        }
        if self.dice.percent(3) {
            step["timeout_ms"] = json!(LONG_MS + 1);
        }
        let mut drafts = vec![Draft::Step(unhurried(step))];
        // A takeover aborts what was open.
        drafts.extend(self.markers());
        Move::new(drafts)
    }

    /// Wait until the markers are where they belong.
    fn markers(&self) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for topic in TOPICS {
            let view = self.realiser.peek(&json!({"call": "metadata", "topic": topic}));
            let count = view.map_or(0, |view| view["partitions"].as_array().map_or(0, Vec::len));
            for partition in 0..count {
                for isolation in ["read_uncommitted", "read_committed"] {
                    let step = json!({"call": "list_offsets", "topic": topic, "partition": partition, "at": "latest",
                        "isolation": isolation});
                    drafts.push(Draft::Settled(step, &["error", "offset"]));
                }
            }
        }
        for group in GROUPS {
            let step = json!({"call": "offset_fetch", "group": group, "require_stable": true,
                "partitions": ["a/0", "b/0"]});
            drafts.push(Draft::Settled(step, &["error", "offsets"]));
        }
        drafts
    }

    fn add(&mut self, client: &str, transaction: &str) -> Move {
        let mut partitions = Vec::new();
        for _ in 0..self.dice.between(1, 2) {
            let (topic, partition) = self.partition();
            let named = format!("{topic}/{partition}");
            if !partitions.contains(&named) {
                partitions.push(named);
            }
        }
        if self.dice.percent(3) {
            partitions.push("nowhere/0".to_owned());
        }
        let until: serde_json::Map<String, Value> = partitions
            .iter()
            .map(|named| (named.clone(), json!({"not": "CONCURRENT_TRANSACTIONS"})))
            .collect();
        let mut step = json!({"call": "add_partitions_to_txn", "client": client, "transaction": transaction,
            "partitions": partitions, "until": {"partitions": until}, "within_ms": MARKERS_MS,
            "transient": true});
        self.old_epoch(&mut step);
        Move::step(step)
    }

    fn old_epoch(&mut self, step: &mut Value) {
        if self.dice.percent(5) {
            step["epoch"] = json!(self.dice.between(0, 2));
        }
    }

    fn produce_in(&mut self, client: &str, transaction: &str) -> Move {
        let (topic, partition) = self.partition();
        let (first, count) = self.sequence(client, &topic, partition);
        let records = self.records(count);
        let mut step = json!({"call": "produce", "client": client, "transaction": transaction, "topic": topic,
            "partition": partition, "sequence": first, "records": records, "timeout_ms": 1_500});
        self.old_epoch(&mut step);
        let mut drafts = Vec::new();
        if self.dice.percent(60) {
            let named = format!("{topic}/{partition}");
            drafts.push(Draft::Step(json!({"call": "add_partitions_to_txn", "client": client,
                "transaction": transaction, "partitions": [named],
                "until": {"partitions": {named: {"not": "CONCURRENT_TRANSACTIONS"}}},
                "within_ms": MARKERS_MS, "transient": true})));
        }
        drafts.push(Draft::Step(step));
        drafts.push(Drawing::settled(&topic, partition));
        Move::new(drafts)
    }

    fn commit_offsets(&mut self, client: &str, transaction: &str) -> Move {
        let group = *self.dice.pick(&GROUPS);
        let topic = *self.dice.pick(&TOPICS);
        let offset = self.dice.between(0, 9);
        let mut step = json!({"call": "txn_offset_commit", "client": client, "transaction": transaction,
            "group": group, "offsets": {format!("{topic}/0"): offset}, "transient": true});
        match self.dice.below(3) {
            0 => {
                let member = self.member_of(group);
                step["member"] = json!(member);
            }
            1 => {
                step["member"] = json!("");
                step["generation"] = json!(-1);
            }
            _ => {}
        }
        let mut drafts = Vec::new();
        if self.dice.percent(60) {
            drafts.push(Draft::Step(unhurried(json!({"call": "add_offsets_to_txn", "client": client,
                "transaction": transaction, "group": group}))));
        }
        drafts.push(Draft::Step(step));
        Move::new(drafts)
    }

    fn end(&mut self, client: &str, transaction: &str) -> Move {
        let commit = self.dice.percent(60);
        let mut step =
            json!({"call": "end_txn", "client": client, "transaction": transaction, "commit": commit});
        self.old_epoch(&mut step);
        let mut drafts = vec![Draft::Step(unhurried(step.clone()))];
        drafts.extend(self.markers());
        // The coordinator knows a little later than the partitions that the transaction has ended.
        drafts.push(Draft::Step(unhurried(step)));
        Move::new(drafts)
    }

    /// A transaction that is left open until its time is up.
    fn time_out(&mut self, client: &str, transaction: &str) -> Move {
        let (topic, partition) = self.partition();
        let named = format!("{topic}/{partition}");
        let records = self.records(1);
        let mut drafts = vec![
            Draft::Step(unhurried(
                json!({"call": "init_producer", "client": client, "transaction": transaction,
                "timeout_ms": 4_000}),
            )),
            Draft::Step(
                json!({"call": "add_partitions_to_txn", "client": client, "transaction": transaction,
                "partitions": [named], "until": {"partitions": {named: {"not": "CONCURRENT_TRANSACTIONS"}}},
                "within_ms": MARKERS_MS, "transient": true}),
            ),
            Draft::Step(
                json!({"call": "produce", "client": client, "transaction": transaction, "topic": topic,
                "partition": partition, "sequence": 0, "records": records}),
            ),
            Draft::Step(json!({"wait_ms": 5_500})),
        ];
        drafts.extend(self.markers());
        drafts.push(Draft::Step(unhurried(
            json!({"call": "init_producer", "client": client, "transaction": transaction,
            "timeout_ms": LONG_MS}),
        )));
        Move::new(drafts)
    }
}
