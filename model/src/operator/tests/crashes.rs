//! Whenever the operator crashes, and whatever is lost on the way to him, the plan is executed to its end, each line once.

use super::*;
use crate::record::Queue;
use crate::switch::{Change, WriteTo};
use proptest::prelude::*;
use std::collections::BTreeMap;

const PLAN: &str = "
    { do = \"start-mirror\" },
    { wait = { for = \"mirror-ready\" }, fresh = true },
    { do = \"pause\", group = \"billing\" },
    { do = \"roll-out\", group = \"billing\" },
    { wait = { for = \"upgraded\", group = \"billing\" } },
    { do = \"switch-read\", group = \"billing\", to = \"kafka\" },
    { wait = { for = \"reading\", group = \"billing\", from = \"kafka\" }, fresh = true, max-age = \"10s\" },
    { do = \"resume\", group = \"billing\" },
    { do = \"hold\" },
    { wait = { for = \"held\" }, timeout = \"40s\", otherwise = [{ do = \"release\" }], retry-after = \"10s\", back = 1 },
    { do = \"switch-write\", to = \"kafka\" },
    { do = \"release\" }";

/// A world in which everything obeys, as far as it hears of it.
#[derive(Default)]
struct World {
    orders: BTreeMap<u64, (Target, Order)>,
    changes: BTreeMap<u64, Vec<Change>>,
}

impl World {
    fn answer(&mut self, message: &Message) -> Option<Message> {
        match message {
            Message::Deployment(message) => match **message {
                deployment::Message::Order { number, target, order } => {
                    let known = self.orders.insert(number, (target, order));
                    assert!(
                        known.is_none_or(|known| known == (target, order)),
                        "a number stands for one order"
                    );
                    Some(Message::Deployment(Box::new(deployment::Message::Accepted { number })))
                }
                _ => None,
            },
            Message::Switch(message) => match &**message {
                switch::Message::Change { number, changes } => {
                    let known = self.changes.insert(*number, changes.clone());
                    assert!(known.is_none_or(|known| known == *changes), "a number stands for one change");
                    let changed = switch::Message::Changed { number: *number, version: *number };
                    Some(Message::Switch(Box::new(changed)))
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn report(node: NodeId) -> Report {
        match node {
            _ if PRODUCERS.contains(&node) => {
                Report::Producer { switch_version: 1, write: WriteTo::Corgi, held: true, in_flight: 0 }
            }
            _ if INSTANCES.contains(&node) => Report::Consumer {
                group: BILLING,
                new_client: true,
                switch_version: 1,
                reading: Queue::Kafka,
                paused: false,
                assigned: 1,
            },
            _ => deployment_report(0, 2),
        }
    }
}

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Happening {
    Pass(u64),
    /// Everything sent so far arrives and is answered.
    Answer,
    /// Everything sent so far is lost.
    Lose,
    /// Everything sent so far arrives, and the answers are lost.
    LoseAnswers,
    Crash,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let happening = prop_oneof![
        4 => (100u64..8_000).prop_map(Happening::Pass),
        3 => Just(Happening::Answer),
        1 => Just(Happening::Lose),
        1 => Just(Happening::LoseAnswers),
        1 => Just(Happening::Crash),
    ];
    prop::collection::vec(happening, 0..80)
}

impl Dialogue {
    fn happen(&mut self, world: &mut World, happening: Happening) {
        match happening {
            Happening::Pass(millis) => self.pass(Span::millis(millis)),
            Happening::Lose => drop(self.sent()),
            Happening::LoseAnswers => self.sent().iter().for_each(|(_, message)| drop(world.answer(message))),
            Happening::Crash => {
                self.crash();
                self.start();
            }
            Happening::Answer => {
                for (to, message) in self.sent() {
                    let answer = match &message {
                        Message::ReportRequest(id) => Some(Message::Report(*id, Box::new(World::report(to)))),
                        _ => world.answer(&message),
                    };
                    if let Some(answer) = answer {
                        // Each answer comes twice: a duplicate is harmless.
                        self.hear(to, answer.clone());
                        self.hear(to, answer);
                    }
                }
            }
        }
    }

    /// The lines done, in their order; those of a gate given up are left out.
    fn lines_done(&self) -> Vec<u32> {
        let line = |event: &Event| match event {
            Event::StepDone { step, act, .. } if *act != Act::Release || *step == 12 => Some(*step),
            Event::GateOpened { step, .. } => Some(*step),
            _ => None,
        };
        self.events.iter().filter_map(line).collect()
    }
}

proptest! {
    #[test]
    fn a_plan_is_executed_line_by_line_whatever_is_lost(happenings in happenings()) {
        let mut dialogue = Dialogue::of(plan(PLAN));
        let mut world = World::default();
        for happening in happenings {
            dialogue.happen(&mut world, happening);
        }
        for _ in 0..200 {
            dialogue.happen(&mut world, Happening::Pass(1_000));
            dialogue.happen(&mut world, Happening::Answer);
        }
        prop_assert!(dialogue.operator.is_complete());
        let mut done = dialogue.lines_done();
        // Whenever the gate of line 10 was given up, line 9 was done again.
        done.dedup();
        prop_assert_eq!(done, (1..=12).collect::<Vec<u32>>());
        let (orders, changes) = (dialogue.operator.durable.orders, dialogue.operator.durable.changes);
        prop_assert_eq!(world.orders.keys().copied().collect::<Vec<_>>(), (1..=orders).collect::<Vec<_>>());
        prop_assert_eq!(world.changes.keys().copied().collect::<Vec<_>>(), (1..=changes).collect::<Vec<_>>());
    }
}
