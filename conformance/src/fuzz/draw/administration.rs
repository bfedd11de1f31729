//! Topics, settings, replicas and leaders that change while the conversation goes on.

use super::{CHANGE_MS, Draft, Drawing, Move, TOPICS, layout, replica_count, replicas};
use serde_json::{Value, json};

/// Retention that no drawn record meets, and one that every record meets.
const OLD_MS: u64 = 50;

#[derive(Clone, Copy)]
enum Kind {
    Widen,
    MinIsr,
    MaxBytes,
    Retention,
    Reassign,
    Elect,
    Recreate,
    Refused,
}

impl Drawing {
    pub fn administration(&mut self) -> Move {
        let kind = self.dice.weighted(&[
            (3, Kind::Widen),
            (5, Kind::MinIsr),
            (3, Kind::MaxBytes),
            (4, Kind::Retention),
            (5, Kind::Reassign),
            (6, Kind::Elect),
            (2, Kind::Recreate),
            (3, Kind::Refused),
        ]);
        let (topic, partition) = self.partition();
        match kind {
            Kind::Widen => self.widen(&topic),
            Kind::MinIsr => {
                let least = self.dice.between(1, 3);
                self.altered(&topic, &json!({"min.insync.replicas": least}))
            }
            Kind::MaxBytes => {
                let most = *self.dice.pick(&[300, 1_048_588]);
                self.altered(&topic, &json!({"max.message.bytes": most}))
            }
            Kind::Retention => self.retention(&topic, partition),
            Kind::Reassign => {
                let count = replica_count(&mut self.dice);
                let list = replicas(&mut self.dice, count);
                self.changed(
                    json!({"call": "reassign", "topic": topic, "partition": partition, "replicas": list}),
                )
            }
            Kind::Elect => {
                let election = *self.dice.pick(&["preferred", "preferred", "unclean"]);
                self.changed(
                    json!({"call": "elect_leader", "topic": topic, "partition": partition, "election": election}),
                )
            }
            Kind::Recreate => self.recreate(),
            Kind::Refused => self.refused(&topic),
        }
    }

    /// A change, and the rest that shows that every broker has heard of it.
    fn changed(&mut self, step: Value) -> Move {
        Move::new(vec![Draft::Step(step), Draft::Rest(CHANGE_MS)])
    }

    fn altered(&mut self, topic: &str, config: &Value) -> Move {
        let step = json!({"call": "alter_config", "topic": topic, "config": config});
        // Nothing that a client could ask shows when a broker has heard of a setting.
        Move::new(vec![Draft::Step(step), Draft::Step(json!({"wait_ms": 300})), Draft::Rest(CHANGE_MS)])
    }

    fn widen(&mut self, topic: &str) -> Move {
        let view = self.realiser.peek(&json!({"call": "metadata", "topic": topic}));
        let count = view.as_ref().map_or(0, |view| view["partitions"].as_array().map_or(0, Vec::len)) as i64;
        let lists = view.as_ref().and_then(|view| view["partitions"][0]["replicas"].as_array().map(Vec::len));
        let list = replicas(&mut self.dice, lists.unwrap_or(1));
        if self.dice.percent(25) || count > 2 {
            return Move::step(json!({"call": "create_partitions", "topic": topic, "count": count,
                "replicas": [list]}));
        }
        self.changed(
            json!({"call": "create_partitions", "topic": topic, "count": count + 1, "replicas": [list]}),
        )
    }

    /// Retention in force for as long as it takes to delete what it deletes.
    fn retention(&mut self, topic: &str, partition: i64) -> Move {
        let config =
            |value: i64| json!({"call": "alter_config", "topic": topic, "config": {"retention.ms": value}});
        let kept_ms = *self.dice.pick(&[OLD_MS as i64, 1_800_000]);
        let earliest =
            json!({"call": "list_offsets", "topic": topic, "partition": partition, "at": "earliest"});
        Move::new(vec![
            Draft::Step(config(kept_ms)),
            Draft::Step(json!({"wait_ms": 3_000})),
            Draft::Settled(earliest, &["error", "offset"]),
            Draft::Step(config(-1)),
            Draft::Step(json!({"wait_ms": 300})),
            Draft::Rest(CHANGE_MS),
        ])
    }

    /// The same name, another topic.
    fn recreate(&mut self) -> Move {
        let topic = *self.dice.pick(&TOPICS);
        let lists = layout(&mut self.dice);
        Move::new(vec![
            Draft::Step(json!({"call": "delete_topic", "topic": topic})),
            Draft::Rest(CHANGE_MS),
            Draft::Step(json!({"wait_ms": 1_000})),
            Draft::Step(json!({"call": "create_topic", "topic": topic, "replicas": lists})),
            Draft::Rest(CHANGE_MS),
        ])
    }

    /// What the controller refuses.
    fn refused(&mut self, topic: &str) -> Move {
        let steps = [
            json!({"call": "create_topic", "topic": topic, "replicas": [[1]]}),
            json!({"call": "create_topic", "topic": "no name", "replicas": [[1]]}),
            json!({"call": "create_topic", "topic": "new", "replicas": [[1, 4]]}),
            json!({"call": "delete_topic", "topic": "nowhere"}),
            json!({"call": "alter_config", "topic": topic, "config": {"min.insync.replicas": 0}}),
            json!({"call": "reassign", "topic": topic, "partition": 7, "replicas": [1]}),
            json!({"call": "reassign", "topic": topic}),
            json!({"call": "elect_leader", "topic": "nowhere"}),
        ];
        Move::step(self.dice.pick(&steps).clone())
    }
}
