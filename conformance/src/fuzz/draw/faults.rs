//! Brokers that die, stop and freeze, at most two at a time, and come back.

use super::{Draft, Drawing, FAULT_MS, Move};
use serde_json::json;

impl Drawing {
    pub fn fault(&mut self) -> Move {
        let struck = self.struck();
        let mends = !struck.is_empty() && (struck.len() == 2 || self.dice.percent(65));
        let (fault, broker) = if mends {
            let broker = *self.dice.pick(&struck);
            (self.cure(broker), broker)
        } else {
            let whole: Vec<i64> = (1..=3).filter(|broker| !struck.contains(broker)).collect();
            let broker = *self.dice.pick(&whole);
            // What a frozen coordinator does with a waiting call when it thaws is a race.
            let waits = self.realiser.player.waiting().next().is_some();
            let fault = if waits { "kill" } else { *self.dice.pick(&["kill", "stop", "freeze"]) };
            (fault, broker)
        };
        Move::new(vec![
            Draft::Rest(0),
            Draft::Step(json!({"fault": fault, "broker": broker})),
            Draft::Rest(FAULT_MS),
        ])
    }

    /// How a broker comes back: by what struck it last.
    fn cure(&self, broker: i64) -> &'static str {
        let struck = self.realiser.said.iter().rev().find(|said| {
            said.step["broker"] == broker
                && ["kill", "stop", "freeze"].iter().any(|fault| said.step["fault"] == *fault)
        });
        if struck.is_some_and(|said| said.step["fault"] == "freeze") { "thaw" } else { "start" }
    }
}
