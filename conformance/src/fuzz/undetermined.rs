//! What the real cluster does not determine, so that it is not compared. `docs/fidelity.md` has the same list, and
//! with it what is not drawn.
//!
//! - Producer ids and member ids that no client of the conversation has any more: they come from blocks and random
//!   numbers. They are shown as `#`.
//! - The time of a marker, or of a record that the broker stamps: the wall clock's. Drawn records are from before the
//!   conversation, so that a time after its start is the broker's.
//! - The text of a failure: whether a connection breaks or stays silent depends on when the process died.

use super::realise::Outcome;
use crate::compare::difference;
use serde_json::{Value, json};

/// A value without what is not determined.
fn determined(value: &Value) -> Value {
    match value {
        Value::String(text) if text.starts_with('#') => json!("#"),
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(determined).collect();
            // Entries that only differ by an id that is not shown have no order.
            if list.iter().any(|entry| entry["producer"] == "#" && entry.get("last_sequence").is_some()) {
                list.sort_by_key(Value::to_string);
            }
            Value::Array(list)
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let is_brokers_time = name == "at_ms" && value.as_i64().is_some_and(|at_ms| at_ms > 0);
                (name.clone(), if is_brokers_time { json!("the broker's") } else { determined(value) })
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

fn shown(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Nothing => json!({}),
        Outcome::Answer(answer) => json!({"answer": determined(answer)}),
        Outcome::Never(last) => json!({"never": determined(last)}),
        Outcome::Failed(_) => json!({"failed": true}),
    }
}

/// The first field in which what the real cluster says differs from what the model says: "expected" is reality.
pub fn differs(real: &Outcome, model: &Outcome) -> Option<String> {
    difference("", &shown(real), &shown(model), &[])
}

#[cfg(test)]
mod tests {
    use super::{Outcome, differs};
    use serde_json::json;

    fn answer(value: serde_json::Value) -> Outcome {
        Outcome::Answer(value)
    }

    #[test]
    fn what_the_cluster_hands_out_is_not_compared() {
        let real = answer(
            json!({"producers": [{"producer": "#4000", "last_sequence": 2}, {"producer": "#7", "last_sequence": 1}]}),
        );
        let model = answer(
            json!({"producers": [{"producer": "#1", "last_sequence": 1}, {"producer": "#2", "last_sequence": 2}]}),
        );
        assert_eq!(differs(&real, &model), None);
    }

    #[test]
    fn a_time_of_the_script_is_compared_and_one_of_the_broker_is_not() {
        let at = |at_ms: i64| answer(json!({"offset": 1, "at_ms": at_ms}));
        assert_eq!(differs(&at(17), &at(2_000)), None);
        assert!(differs(&at(-17), &at(-18)).is_some());
        assert!(differs(&at(-17), &at(17)).is_some());
    }

    #[test]
    fn an_answer_is_not_a_failure() {
        let failed = Outcome::Failed("the connection broke".to_owned());
        assert_eq!(differs(&failed, &Outcome::Failed("no answer".to_owned())), None);
        assert!(differs(&failed, &answer(json!({"error": "NONE"}))).is_some());
        assert!(differs(&Outcome::Never(json!(1)), &answer(json!(1))).is_some());
    }
}
