//! Writing and reading.

use super::{Draft, Drawing, Move};
use serde_json::{Value, json};

const IDEMPOTENT: [&str; 2] = ["p", "q"];

#[derive(Clone, Copy)]
enum Kind {
    Plain,
    Idempotent,
    Init,
    Fetch,
    FollowerFetch,
    Offsets,
    Epoch,
    Delete,
    Producers,
}

impl Drawing {
    pub fn log(&mut self) -> Move {
        let kind = self.dice.weighted(&[
            (18, Kind::Plain),
            (22, Kind::Idempotent),
            (5, Kind::Init),
            (20, Kind::Fetch),
            (5, Kind::FollowerFetch),
            (12, Kind::Offsets),
            (7, Kind::Epoch),
            (5, Kind::Delete),
            (6, Kind::Producers),
        ]);
        let (topic, partition) = self.partition();
        match kind {
            Kind::Plain => self.plain(&topic, partition),
            Kind::Idempotent => self.idempotent(&topic, partition),
            Kind::Init => {
                let client = *self.dice.pick(&IDEMPOTENT);
                Move::step(json!({"call": "init_producer", "client": client}))
            }
            Kind::Fetch => self.fetch(&topic, partition),
            Kind::FollowerFetch => self.follower_fetch(&topic, partition),
            Kind::Offsets => self.list_offsets(&topic, partition),
            Kind::Epoch => self.end_of_epoch(&topic, partition),
            Kind::Delete => {
                let end = self.offset(&topic, partition, "latest");
                let before = self.dice.between(-1, end + 1);
                Move::step(
                    json!({"call": "delete_records", "topic": topic, "partition": partition, "before": before}),
                )
            }
            Kind::Producers => {
                Move::step(json!({"call": "describe_producers", "topic": topic, "partition": partition}))
            }
        }
    }

    /// A produce, and unless it waits for the followers itself, waiting for them.
    pub fn produced(&mut self, mut step: Value, topic: &str, partition: i64) -> Move {
        // Where the followers do not come, both wait for so long.
        step["timeout_ms"] = json!(1_500);
        match self.dice.weighted(&[(6, "all"), (3, "1"), (1, "0")]) {
            "1" => step["acks"] = json!(1),
            "0" => {
                step["acks"] = json!(0);
                step["no_answer"] = json!(true);
            }
            _ => {}
        }
        Move::new(vec![Draft::Step(step), Drawing::settled(topic, partition)])
    }

    fn plain(&mut self, topic: &str, partition: i64) -> Move {
        let count = self.dice.between(1, 3);
        let records = self.records(count);
        let mut step = json!({"call": "produce", "topic": topic, "partition": partition, "records": records});
        if self.dice.percent(10) {
            // Too large by default, or only where the limit was lowered.
            step["records"] = json!([{"bytes": *self.dice.pick(&[2_000_000, 1_000]), "at_ms": -1}]);
        }
        self.produced(step, topic, partition)
    }

    fn idempotent(&mut self, topic: &str, partition: i64) -> Move {
        let client = *self.dice.pick(&IDEMPOTENT);
        if !self.realiser.player.names.producers.contains_key(client) {
            return Move::step(json!({"call": "init_producer", "client": client}));
        }
        let (first, count) = self.sequence(client, topic, partition);
        let records = self.records(count);
        let mut step = json!({"call": "produce", "client": client, "topic": topic, "partition": partition,
            "sequence": first, "records": records});
        if self.dice.percent(8) {
            step["epoch"] = json!(self.dice.between(0, 2));
        }
        self.produced(step, topic, partition)
    }

    /// The next sequence mostly, or one that was sent, or a wrong one; and how many records.
    pub fn sequence(&mut self, client: &str, topic: &str, partition: i64) -> (i64, i64) {
        let step = json!({"call": "describe_producers", "topic": topic, "partition": partition});
        let known = self.realiser.peek(&step).and_then(|answer| {
            let list = answer["producers"].as_array()?;
            list.iter().find(|producer| producer["producer"] == client)?["last_sequence"].as_i64()
        });
        let next = known.map_or(0, |last| last + 1);
        let sent = self.batches.entry((client.to_owned(), topic.to_owned(), partition)).or_default();
        if !sent.is_empty() && self.dice.percent(15) {
            // One of the last seven: five are remembered.
            let near = sent.len().saturating_sub(7);
            return *self.dice.pick(&sent[near..]);
        }
        let first = if self.dice.percent(10) { self.dice.between(0, next + 2) } else { next };
        let count = self.dice.between(1, 3);
        sent.push((first, count));
        (first, count)
    }

    fn isolation(&mut self, step: &mut Value) {
        if self.dice.percent(50) {
            step["isolation"] = json!("read_committed");
        }
    }

    /// The caller's leader epoch: mostly none, else the right one or one beside it.
    fn caller_epoch(&mut self, step: &mut Value, topic: &str, partition: i64) {
        if self.dice.percent(25) {
            let epoch = self.leader_epoch(topic, partition);
            step["leader_epoch"] = json!(self.dice.between((epoch - 1).max(0), epoch + 1));
        }
    }

    fn fetch(&mut self, topic: &str, partition: i64) -> Move {
        let start = self.offset(topic, partition, "earliest");
        let end = self.offset(topic, partition, "latest");
        let offset = self.dice.between((start - 1).max(0), end + 1);
        let mut step = json!({"call": "fetch", "topic": topic, "partition": partition, "offset": offset, "max_wait_ms": 20});
        self.isolation(&mut step);
        self.caller_epoch(&mut step, topic, partition);
        if self.dice.percent(15) {
            step["max_bytes"] = json!(1);
        }
        if self.dice.percent(15) {
            let epoch = self.leader_epoch(topic, partition);
            step["last_fetched_epoch"] = json!(self.dice.between(0, epoch + 1));
        }
        Move::step(step)
    }

    /// A read from a replica that may follow, once it has come as far as the model's.
    fn follower_fetch(&mut self, topic: &str, partition: i64) -> Move {
        let broker = self.dice.between(1, 3);
        if self.realiser.player.is_struck(broker as u32) {
            return self.fetch(topic, partition);
        }
        let offset = self.offset(topic, partition, "earliest");
        let mut step = json!({"call": "fetch", "to": broker, "topic": topic, "partition": partition, "offset": offset,
            "max_wait_ms": 20});
        self.isolation(&mut step);
        Move::new(vec![Draft::Settled(step, &["error", "high_watermark", "last_stable", "log_start"])])
    }

    fn list_offsets(&mut self, topic: &str, partition: i64) -> Move {
        let at = match self.dice.below(4) {
            0 => json!("earliest"),
            1 => json!("latest"),
            2 => json!("max_timestamp"),
            _ => json!(-1_000 * self.dice.between(0, 101)),
        };
        let mut step = json!({"call": "list_offsets", "topic": topic, "partition": partition, "at": at});
        self.isolation(&mut step);
        self.caller_epoch(&mut step, topic, partition);
        Move::step(step)
    }

    fn end_of_epoch(&mut self, topic: &str, partition: i64) -> Move {
        let epoch = self.leader_epoch(topic, partition);
        let mut step = json!({"call": "offset_for_leader_epoch", "topic": topic, "partition": partition,
            "epoch": self.dice.between(0, epoch + 1)});
        self.caller_epoch(&mut step, topic, partition);
        Move::step(step)
    }
}
