//! Checks of the plan's names and numbers. Whether it is a *sound* plan is for the plan rules to say.

use super::{LONGEST, MOST_PARTITIONS, known_group, known_topic, place, unique, way, within};
use crate::case::error::Problem;
use crate::case::tree::{Entry, Node, Place, Value};
use crate::case::{Case, Topic};
use cutover_model::check::{AFTER_THE_PLAN, BEFORE_THE_PLAN};
use cutover_model::plan::{Act, Gate, Phase, PlanProblem, Severity, Step, Wait};
use cutover_model::record::Queue;
use cutover_model::units::Span;

pub(super) fn check(case: &Case, tree: &Node) -> Result<(), Problem> {
    let phases = &case.plan.phases;
    unique(phases.iter().map(|phase| phase.name.as_str()), "phase", |at| {
        place(tree, way!["plan", "phases", at, "name"])
    })?;
    not_reserved(case, tree)?;
    in_time(case, tree)?;
    names(case, tree)?;
    lint(case, tree)?;
    rewinds(case, tree)?;
    widenings(case, tree)
}

/// What is measured before and after the plan stands under names of its own.
fn not_reserved(case: &Case, tree: &Node) -> Result<(), Problem> {
    let reserved = |phase: &Phase| [BEFORE_THE_PLAN, AFTER_THE_PLAN].contains(&phase.name.as_str());
    match case.plan.phases.iter().position(reserved) {
        Some(at) => Err(Problem::new(
            place(tree, way!["plan", "phases", at, "name"]),
            format!(
                "no phase is called `{}`: results have the time outside of the plan under it",
                case.plan.phases[at].name
            ),
            "give the phase another name",
        )),
        None => Ok(()),
    }
}

/// The plan can be complete when the case ends: what must pass at the least is each phase's `not-before`, and each span that
/// is waited for behind it.
fn in_time(case: &Case, tree: &Node) -> Result<(), Problem> {
    let mut reached = Span::ZERO;
    for (at, phase) in case.plan.phases.iter().enumerate() {
        if phase.not_before > case.duration {
            return Err(Problem::new(
                place(tree, way!["plan", "phases", at, "not-before"]),
                format!("the phase begins at {}, and the case ends at {}", phase.not_before, case.duration),
                "write an earlier `not-before`, or a longer `duration`",
            ));
        }
        reached = reached.max(phase.not_before);
        for (line, step) in phase.steps.iter().enumerate() {
            let Step::Wait(Wait { wait: Gate::Elapsed { span }, .. }) = step else { continue };
            reached = reached + *span;
            if reached > case.duration {
                let help = match reached > LONGEST {
                    true => format!("write a shorter `span`: a case lasts at most {LONGEST}"),
                    false => {
                        format!("write a longer `duration`, at least \"{reached}\", or a shorter `span`")
                    }
                };
                return Err(Problem::new(
                    place(tree, way!["plan", "phases", at, "steps", line]),
                    format!(
                        "this wait is over at {reached} at the earliest, and the case ends at {}",
                        case.duration
                    ),
                    help,
                ));
            }
        }
    }
    Ok(())
}

/// No topic is widened beyond what a topic may have.
fn widenings(case: &Case, tree: &Node) -> Result<(), Problem> {
    for (at, phase) in case.plan.phases.iter().enumerate() {
        for (line, step) in phase.steps.iter().enumerate() {
            let there = place(tree, way!["plan", "phases", at, "steps", line]);
            for act in acts(step) {
                if let Act::Widen { partitions, .. } = act {
                    let most = u64::from(MOST_PARTITIONS);
                    within(u64::from(*partitions), 1, most, "`partitions`", there)?;
                }
            }
        }
    }
    Ok(())
}

/// The acts of a step, those too that follow a gate given up.
fn acts(step: &Step) -> &[Act] {
    match step {
        Step::Act(act) => std::slice::from_ref(act),
        Step::Wait(wait) => &wait.otherwise,
    }
}

/// Each rewind goes to instances, topics and partitions that its group has: without one, nobody would ever confirm it.
fn rewinds(case: &Case, tree: &Node) -> Result<(), Problem> {
    for (at, phase) in case.plan.phases.iter().enumerate() {
        for (line, step) in phase.steps.iter().enumerate() {
            let there = place(tree, way!["plan", "phases", at, "steps", line]);
            acts(step).iter().try_for_each(|act| rewind(case, act, there))?;
        }
    }
    Ok(())
}

fn rewind(case: &Case, act: &Act, there: Place) -> Result<(), Problem> {
    let Act::Rewind { group, topics, partitions, instance, .. } = act else { return Ok(()) };
    let Some(group) = case.groups.iter().find(|known| known.name == *group) else { return Ok(()) };
    if let Some(number) = instance.filter(|number| *number >= group.instances) {
        return Err(Problem::new(
            there,
            format!("`{}` has no instance {number}", group.name),
            format!("write a number from 0 to {}", group.instances - 1),
        ));
    }
    if let Some(topic) = topics.iter().find(|topic| !group.topics.contains(topic)) {
        return Err(Problem::new(
            there,
            format!("`{}` does not read the topic `{topic}`", group.name),
            format!("it reads {}", group.topics.join(", ")),
        ));
    }
    let meant = |topic: &&Topic| {
        group.topics.contains(&topic.name) && (topics.is_empty() || topics.contains(&topic.name))
    };
    let width = |topic: &Topic| widest(case, topic, Queue::Kafka, topic.target_partitions());
    let most = case.topics.iter().filter(meant).map(width).max().unwrap_or(0);
    match partitions.iter().find(|partition| **partition >= most) {
        Some(partition) => Err(Problem::new(
            there,
            format!("the topics that `{}` is rewound in have no partition {partition} in Kafka", group.name),
            format!("write numbers from 0 to {}", most.saturating_sub(1)),
        )),
        None => Ok(()),
    }
}

/// How many partitions a topic has in a queue when the plan has had it widened.
fn widest(case: &Case, topic: &Topic, queue: Queue, at_first: u16) -> u16 {
    case.plan.widest(&topic.name, queue).unwrap_or(0).max(at_first)
}

/// The first thing that the plan's own lint calls an error. Its warnings are for who asks for them.
fn lint(case: &Case, tree: &Node) -> Result<(), Problem> {
    let problems = case.plan_problems();
    let Some(found) = problems.into_iter().find(|found| found.severity == Severity::Error) else {
        return Ok(());
    };
    let there = place_of(&found, tree);
    Err(Problem::new(there, found.message, found.help))
}

/// Where the phase or the step stands that the plan's lint speaks of.
pub(crate) fn place_of(found: &PlanProblem, tree: &Node) -> Place {
    let phase = found.phase.saturating_sub(1);
    match found.step {
        Some(step) => place(tree, way!["plan", "phases", phase, "steps", step.saturating_sub(1)]),
        None => place(tree, way!["plan", "phases", phase]),
    }
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
        "topic" => known_topic(case, entry.node.text().unwrap_or_default(), entry.node.place),
        "topics" => {
            let mut items = entry.node.items().iter();
            items.try_for_each(|item| known_topic(case, item.text().unwrap_or_default(), item.place))
        }
        "partitions" => {
            let most = case
                .topics
                .iter()
                .map(|topic| {
                    let in_corgi = widest(case, topic, Queue::Corgi, topic.partitions);
                    in_corgi.max(widest(case, topic, Queue::Kafka, topic.target_partitions()))
                })
                .max()
                .unwrap_or(0);
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
