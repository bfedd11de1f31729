//! Checks of the plan's names and numbers. Whether it is a *sound* plan is for the plan rules to say.

use super::{known_group, known_topic, place, unique, way};
use crate::case::Case;
use crate::case::error::Problem;
use crate::case::tree::{Entry, Node, Value};
use cutover_model::plan::Step;

pub(super) fn check(case: &Case, tree: &Node) -> Result<(), Problem> {
    let phases = &case.plan.phases;
    unique(phases.iter().map(|phase| phase.name.as_str()), "phase", |at| {
        place(tree, way!["plan", "phases", at, "name"])
    })?;
    for (at, phase) in phases.iter().enumerate() {
        if phase.not_before > case.duration {
            return Err(Problem::new(
                place(tree, way!["plan", "phases", at, "not-before"]),
                format!("the phase begins at {}, and the case ends at {}", phase.not_before, case.duration),
                "write an earlier `not-before`, or a longer `duration`",
            ));
        }
        if phase.steps.is_empty() {
            let there = place(tree, way!["plan", "phases", at, "steps"]);
            return Err(Problem::new(
                there,
                "a phase without steps does nothing",
                "add a step, or remove the phase",
            ));
        }
        for (number, step) in phase.steps.iter().enumerate() {
            if let Step::Wait(wait) = step
                && wait.back > number
            {
                let there = place(tree, way!["plan", "phases", at, "steps", number, "back"]);
                let message =
                    format!("the phase has {number} lines before this one, and `back` is {}", wait.back);
                return Err(Problem::new(there, message, "go back by fewer lines"));
            }
        }
    }
    names(case, tree)
}

/// Every group, topic and partition that a step names, wherever in it.
fn names(case: &Case, tree: &Node) -> Result<(), Problem> {
    let phases = tree.get("plan").and_then(|plan| plan.get("phases")).map_or(&[][..], Node::items);
    let mut first = None;
    for steps in phases.iter().filter_map(|phase| phase.get("steps")) {
        steps.walk(&mut |entry: &Entry| {
            if first.is_none() {
                first = name(case, entry).err();
            }
        });
    }
    first.map_or(Ok(()), Err)
}

fn name(case: &Case, entry: &Entry) -> Result<(), Problem> {
    match entry.key.as_str() {
        "group" => known_group(case, entry.node.text().unwrap_or_default(), entry.node.place),
        "topics" => {
            let mut items = entry.node.items().iter();
            items.try_for_each(|item| known_topic(case, item.text().unwrap_or_default(), item.place))
        }
        "partitions" => {
            let most = case.topics.iter().map(|topic| topic.partitions).max().unwrap_or(0);
            let mut items = entry.node.items().iter();
            items.try_for_each(|item| match item.value {
                Value::Integer(number) if number >= i64::from(most) => Err(Problem::new(
                    item.place,
                    format!("no topic has a partition {number}"),
                    format!("write numbers from 0 to {}", most - 1),
                )),
                _ => Ok(()),
            })
        }
        _ => Ok(()),
    }
}
