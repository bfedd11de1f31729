//! Checks of the faults.

use super::{ordered, place, positive, way, within};
use crate::build::Layout;
use crate::case::Case;
use crate::case::error::{Problem, advice, nearest};
use crate::case::tree::{Node, Place};
use crate::faults::draw::{can_hit, each, lacking, listed_fault};
use crate::faults::reach::is_one_node;
use crate::faults::settings::{Aim, Distribution, Drawn, Given, Listed};
use crate::faults::{Figure, Kind, NodeKind, Nodes, Reach};
use cutover_model::units::Span;
use strum::IntoEnumIterator;

/// The most faults of a run.
const MOST_FAULTS: u64 = 10_000;
/// The longest that a fault holds up a message, or what needs a disk: as long as a message takes at most.
const MOST_LATENCY: Span = Span::secs(60);
/// The most that a fault makes a clock wrong.
const MOST_SKEW: Span = Span::secs(3_600);
/// The most faults that are aimed at a phase, or at steps.
const MOST_AIMED: u64 = 1_000;

pub(super) fn check(case: &Case, tree: &Node) -> Result<(), Problem> {
    let nodes = &Layout::of(case).nodes;
    let there = place(tree, way!["faults", "list"]);
    within(case.faults.list.len() as u64, 0, MOST_FAULTS, "the number of faults", there)?;
    for (at, fault) in case.faults.list.iter().enumerate() {
        listed(case, nodes, tree, at, fault)?;
    }
    if let Some(distribution) = &case.faults.draw {
        drawn(case, nodes, tree, distribution)?;
    }
    if let Some(rare) = &case.faults.rare {
        let there = |key: &'static str| place(tree, way!["faults", "rare", key]);
        within(
            u64::from(rare.live_per_million),
            0,
            1_000_000,
            "`live-per-million`",
            there("live-per-million"),
        )?;
        within(u64::from(rare.per_million), 1, 1_000_000, "`per-million`", there("per-million"))?;
        positive(rare.late, there("late"))?;
    }
    Ok(())
}

fn listed(case: &Case, nodes: &Nodes, tree: &Node, at: usize, fault: &Listed) -> Result<(), Problem> {
    let there = |key: &'static str| place(tree, way!["faults", "list", at, key]);
    match (fault.at, &fault.phase) {
        (Some(moment), None) if moment >= case.duration => {
            return Err(Problem::new(
                there("at"),
                format!("the fault strikes at {moment}, and the case ends at {}", case.duration),
                "write an earlier `at`, or a longer `duration`",
            ));
        }
        (Some(_), None) if fault.step.is_some() => {
            return Err(Problem::new(
                there("step"),
                "`step` is a line of a phase",
                "remove it, or write `phase` for `at`",
            ));
        }
        (Some(_), None) if fault.after > Span::ZERO => {
            return Err(Problem::new(
                there("after"),
                "`after` counts from a phase",
                "remove it, or write `phase` for `at`",
            ));
        }
        (Some(_), None) => {}
        (None, Some(phase)) => {
            let Some(planned) = case.plan.phases.iter().find(|planned| planned.name == *phase) else {
                let phases = case.plan.phases.iter().map(|phase| phase.name.as_str());
                let message = format!("the plan has no phase `{phase}`");
                return Err(Problem::new(there("phase"), message, advice(phase, phases)));
            };
            let lines = planned.steps.len() as u64;
            fault.step.iter().try_for_each(|step| {
                within(u64::from(*step), 1, lines, "the line of the phase", there("step"))
            })?;
            in_time(case, fault, phase, there("after"))?;
        }
        (Some(_), Some(_)) => {
            return Err(Problem::new(there("phase"), "`at` is given as well", "remove one of them"));
        }
        (None, None) => {
            return Err(Problem::new(
                there("kind"),
                "this fault has no time",
                "add at = \"2m\", or phase = \"cut-read\"",
            ));
        }
    }
    positive(fault.duration, there("duration"))?;
    if let Some(end) = fault.at.map(|at| at + fault.duration).filter(|end| *end > case.duration) {
        return Err(Problem::new(
            there("duration"),
            format!("the fault lasts until {end}, and the case ends at {}", case.duration),
            "write a shorter one, an earlier `at`, or a longer `duration` of the case",
        ));
    }
    figures(fault.kind, &fault.given(), fault.duration, there)?;
    aim(case, nodes, &fault.target, fault.kind, there("target"))?;
    strikes(nodes, fault.kind, &fault.target, there("target"))?;
    fault.to.iter().try_for_each(|to| aim(case, nodes, to, fault.kind, there("to")))?;
    if let Some(lacking) = lacking(fault.kind, nodes) {
        let message = format!("`{}` does nothing here: there is no {lacking}", fault.kind);
        return Err(Problem::new(there("kind"), message, format!("remove the fault, or add a {lacking}")));
    }
    match listed_fault(case, nodes, (at, fault)) {
        Some(fault) if fault.kind.on_links() && is_one_node(case, nodes, &fault.on) => {
            Err(to_itself(there("to")))
        }
        _ => Ok(()),
    }
}

/// A link from a node to itself.
fn to_itself(there: Place) -> Problem {
    Problem::new(there, "that is the target itself", "name another node, or a kind")
}

/// When a fault of a phase strikes at the earliest.
fn in_time(case: &Case, fault: &Listed, phase: &str, there: Place) -> Result<(), Problem> {
    let place = case.plan.phases.iter().position(|planned| planned.name == phase);
    let before = &case.plan.phases[..=place.unwrap_or_default()];
    let begins = before.iter().map(|planned| planned.not_before).max().unwrap_or_default();
    let moment = begins + fault.after;
    if moment < case.duration {
        return Ok(());
    }
    Err(Problem::new(
        there,
        format!("the fault strikes at {moment} at the earliest, and the case ends at {}", case.duration),
        "write a shorter `after`, or a longer `duration` of the case",
    ))
}

fn drawn(case: &Case, nodes: &Nodes, tree: &Node, distribution: &Distribution) -> Result<(), Problem> {
    let there = |key: &'static str| place(tree, way!["faults", "draw", key]);
    within(u64::from(distribution.count), 0, MOST_FAULTS, "`count`", there("count"))?;
    window(case, distribution.start, distribution.end, there("end"))?;
    if distribution.kinds.is_empty() && distribution.more_kinds.is_empty() {
        return Err(Problem::new(there("kinds"), "nothing to draw from", "add [[faults.draw.kinds]]"));
    }
    within(u64::from(distribution.each_phase), 0, MOST_AIMED, "`each-phase`", there("each-phase"))?;
    within(u64::from(distribution.at_steps), 0, MOST_AIMED, "`at-steps`", there("at-steps"))?;
    if distribution.kinds.iter().chain(&distribution.more_kinds).all(|kind| kind.weight == 0) {
        let there = place(tree, way!["faults", "draw", "kinds", 0, "weight"]);
        return Err(Problem::new(there, "all weights are 0", "give one kind a weight of at least 1"));
    }
    for (list, kinds) in [("kinds", &distribution.kinds), ("more-kinds", &distribution.more_kinds)] {
        for (at, kind) in kinds.iter().enumerate() {
            drawn_kind((case, nodes), tree, (list, at), kind, distribution)?;
        }
    }
    Ok(())
}

fn drawn_kind(
    (case, nodes): (&Case, &Nodes),
    tree: &Node,
    (list, at): (&'static str, usize),
    kind: &Drawn,
    distribution: &Distribution,
) -> Result<(), Problem> {
    let there = |key: &'static str| place(tree, way!["faults", "draw", list, at, key]);
    positive(kind.least, there("least"))?;
    ordered(kind.least, kind.most, there("most"))?;
    within(u64::from(kind.weight), 0, 1_000_000, "`weight`", there("weight"))?;
    let (start, end) = (kind.start.unwrap_or(distribution.start), kind.end.unwrap_or(distribution.end));
    window(case, start, end, there(if kind.end.is_some() { "end" } else { "start" }))?;
    if kind.most > end.saturating_sub(start) {
        return Err(Problem::new(
            there("most"),
            format!("a fault of {} does not fit between {start} and {end}", kind.most),
            "write a shorter `most`, or a longer window",
        ));
    }
    figures(kind.kind, &kind.given(), kind.least, there)?;
    if kind.targets.is_empty() {
        return Err(Problem::new(there("targets"), "no targets", "name one, such as \"kafka-broker\""));
    }
    for (number, target) in kind.targets.iter().enumerate() {
        let place = place(tree, way!["faults", "draw", list, at, "targets", number]);
        aim(case, nodes, target, kind.kind, place)?;
        strikes(nodes, kind.kind, target, place)?;
    }
    let Some(to) = &kind.to else { return Ok(()) };
    aim(case, nodes, to, kind.kind, there("to"))?;
    let others = each(case, nodes, to, Reach::Links);
    let sides = kind.targets.iter().flat_map(|target| each(case, nodes, target, Reach::Links));
    let mut links = sides.flat_map(|(from, _)| others.iter().map(move |(to, _)| (from, *to)));
    match links.any(|(from, to)| from != to) {
        true => Ok(()),
        false => Err(to_itself(there("to"))),
    }
}

fn window(case: &Case, start: Span, end: Span, there: Place) -> Result<(), Problem> {
    if start >= end {
        let message = format!("the faults end at {end}, and start at {start}");
        return Err(Problem::new(there, message, "write an `end` that is later than `start`"));
    }
    if end > case.duration {
        let message = format!("the faults end at {end}, and the case at {}", case.duration);
        return Err(Problem::new(there, message, "write an earlier `end`, or a longer `duration`"));
    }
    Ok(())
}

/// Each figure is one that the kind takes, and each one that it needs is there. None makes a fault outlast its end, which is so
/// long after its beginning at the least.
fn figures(
    kind: Kind,
    given: &Given,
    lasting: Span,
    there: impl Fn(&'static str) -> Place,
) -> Result<(), Problem> {
    for figure in Figure::iter() {
        let (is_given, is_taken) = (given.has(figure), kind.figures().contains(&figure));
        if is_given && !is_taken {
            let message = format!("`{figure}` means nothing for `{kind}`");
            return Err(Problem::new(there(figure.into()), message, "remove it"));
        }
        if is_taken && !is_given && !figure.is_optional() {
            let help = format!("add `{figure} = ...`");
            return Err(Problem::new(there("kind"), format!("`{kind}` needs `{figure}`"), help));
        }
    }
    if let Some(rate) = given.per_million {
        within(u64::from(rate), 1, 1_000_000, "`per-million`", there("per-million"))?;
    }
    given.latency.iter().try_for_each(|late| latency(*late, lasting, there("latency")))?;
    given.ahead.iter().try_for_each(|ahead| positive(*ahead, there("ahead")))?;
    if let Some(bytes) = given.bytes {
        within(bytes.0, 1, u64::from(u32::MAX), "`bytes`", there("bytes"))?;
    }
    given.skew.iter().try_for_each(|skew| match *skew > MOST_SKEW {
        true => Err(Problem::new(there("skew"), "a clock is wrong by at most an hour", "write less")),
        false => positive(*skew, there("skew")),
    })
}

/// What is held up comes soon after the fault is over.
fn latency(late: Span, lasting: Span, there: Place) -> Result<(), Problem> {
    positive(late, there)?;
    if late > MOST_LATENCY {
        let help = "write a shorter `latency`; what never arrives is a `cut`";
        return Err(Problem::new(there, format!("nothing is held up for longer than {MOST_LATENCY}"), help));
    }
    if late > lasting {
        let message = format!("a fault of {lasting} holds up what it strikes for {late}, beyond its own end");
        return Err(Problem::new(there, message, "write a shorter `latency`, or a longer fault"));
    }
    Ok(())
}

/// Whether a kind of fault means anything for what it is aimed at.
fn strikes(nodes: &Nodes, kind: Kind, aim: &Aim, there: Place) -> Result<(), Problem> {
    let struck = |node: NodeKind| match kind.can_strike(node) {
        true => Ok(()),
        false => {
            let kinds: Vec<String> =
                NodeKind::iter().filter(|node| kind.can_strike(*node)).map(|node| node.to_string()).collect();
            let help = format!("write one of: {}", kinds.join(", "));
            Err(Problem::new(there, format!("`{kind}` does nothing to a `{node}`"), help))
        }
    };
    match aim {
        Aim::CorgiMaster | Aim::CorgiSlave
            if kind.reach() == Reach::Part && kind.can_strike(NodeKind::CorgiBroker) =>
        {
            let message =
                format!("`{kind}` strikes all of a kind, and `{}` is one broker", String::from(aim.clone()));
            Err(Problem::new(there, message, format!("write \"{}\"", NodeKind::CorgiBroker)))
        }
        Aim::CorgiMaster | Aim::CorgiSlave => struck(NodeKind::CorgiBroker),
        Aim::Kind(node) => struck(*node),
        Aim::ReverseMirror => struck(NodeKind::Mirror),
        Aim::Named(name) => nodes.named(name).map_or(Ok(()), |node| struck(node.kind)),
        Aim::Everybody => Ok(()),
    }
}

/// Whether an aim can be hit in this case.
fn aim(case: &Case, nodes: &Nodes, aim: &Aim, kind: Kind, there: Place) -> Result<(), Problem> {
    let hits = can_hit(case, nodes, aim);
    let word = String::from(aim.clone());
    let is_site = matches!(aim, Aim::Named(name) if nodes.named(name).is_none());
    match aim {
        Aim::Everybody | Aim::Named(_)
            if hits && (kind.on_links() || (!is_site && *aim != Aim::Everybody)) =>
        {
            Ok(())
        }
        Aim::Everybody => {
            Err(Problem::new(there, "`everybody` is a side of a link", "name a node, a kind or a role"))
        }
        Aim::Named(_) if hits => {
            let message = format!("`{word}` is a site, and `{kind}` does not strike links");
            Err(Problem::new(there, message, "name a node, a kind or a role"))
        }
        Aim::Named(_) => Err(unknown(case, nodes, &word, kind.on_links(), there)),
        _ if hits => Ok(()),
        _ => {
            let table = match aim {
                Aim::ReverseMirror | Aim::Kind(NodeKind::Redis) => format!("add a table [{word}]"),
                _ => "give the case one".to_owned(),
            };
            let message = format!("there is no `{word}` in this case");
            Err(Problem::new(there, message, format!("{table}, or name another target")))
        }
    }
}

/// A target that nothing is called, with what may be meant.
fn unknown(case: &Case, nodes: &Nodes, word: &str, on_links: bool, there: Place) -> Problem {
    let mut words: Vec<String> = NodeKind::iter().map(|kind| kind.to_string()).collect();
    words.extend(["corgi-master", "corgi-slave", "reverse-mirror"].map(str::to_owned));
    if on_links {
        words.push("everybody".to_owned());
        words.extend(case.network.sites.keys().cloned());
    }
    let names = words.iter().chain(nodes.0.iter().map(|node| &node.name)).map(String::as_str);
    let numbered = word.rsplit_once('-').filter(|(_, number)| number.parse::<u32>().is_ok());
    let beside = |node: &&crate::faults::Node| {
        let kin = numbered.zip(node.name.rsplit_once('-'));
        kin.is_some_and(|((wanted, _), (name, _))| wanted == name)
    };
    let kin: Vec<&str> = nodes.0.iter().filter(beside).map(|node| node.name.as_str()).collect();
    let help = match nearest(word, names) {
        _ if !kin.is_empty() => format!("there are {}", kin.join(", ")),
        Some(near) => format!("did you mean `{near}`?"),
        // All names of nodes would be a long list: their kinds say enough.
        None => advice(word, words.iter().map(String::as_str)),
    };
    Problem::new(there, format!("there is no fault target `{word}`"), help)
}
