//! Checks of the faults.

use super::{ordered, place, positive, way, within};
use crate::case::Case;
use crate::case::error::{Problem, advice};
use crate::case::tree::{Node, Place};
use crate::faults::NodeKind;
use crate::faults::settings::{Aim, Distribution, Drawn, Kind, Listed};
use cutover_model::units::Span;
use strum::IntoEnumIterator;

/// The most faults of a run.
const MOST_FAULTS: u64 = 10_000;

pub(super) fn check(case: &Case, tree: &Node) -> Result<(), Problem> {
    let there = place(tree, way!["faults", "list"]);
    within(case.faults.list.len() as u64, 0, MOST_FAULTS, "the number of faults", there)?;
    for (at, fault) in case.faults.list.iter().enumerate() {
        listed(case, tree, at, fault)?;
    }
    match &case.faults.draw {
        Some(distribution) => drawn(case, tree, distribution),
        None => Ok(()),
    }
}

fn listed(case: &Case, tree: &Node, at: usize, fault: &Listed) -> Result<(), Problem> {
    let there = |key: &'static str| place(tree, way!["faults", "list", at, key]);
    match (fault.at, &fault.phase) {
        (Some(moment), None) if moment >= case.duration => {
            return Err(Problem::new(
                there("at"),
                format!("the fault strikes at {moment}, and the case ends at {}", case.duration),
                "write an earlier `at`, or a longer `duration`",
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
            let phases = case.plan.phases.iter().map(|phase| phase.name.as_str());
            if !phases.clone().any(|name| name == phase) {
                let message = format!("the plan has no phase `{phase}`");
                return Err(Problem::new(there("phase"), message, advice(phase, phases)));
            }
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
    figures(fault.kind, &Figures::from(fault), there)?;
    aim(case, &fault.target, fault.kind.on_links(), there("target"))?;
    fault.to.iter().try_for_each(|to| aim(case, to, true, there("to")))
}

fn drawn(case: &Case, tree: &Node, distribution: &Distribution) -> Result<(), Problem> {
    let there = |key: &'static str| place(tree, way!["faults", "draw", key]);
    within(u64::from(distribution.count), 1, MOST_FAULTS, "`count`", there("count"))?;
    window(case, distribution.start, distribution.end, there("end"))?;
    if distribution.kinds.is_empty() {
        return Err(Problem::new(there("kinds"), "nothing to draw from", "add [[faults.draw.kinds]]"));
    }
    if distribution.kinds.iter().all(|kind| kind.weight == 0) {
        let there = place(tree, way!["faults", "draw", "kinds", 0, "weight"]);
        return Err(Problem::new(there, "all weights are 0", "give one kind a weight of at least 1"));
    }
    for (at, kind) in distribution.kinds.iter().enumerate() {
        drawn_kind(case, tree, at, kind, distribution)?;
    }
    Ok(())
}

fn drawn_kind(
    case: &Case,
    tree: &Node,
    at: usize,
    kind: &Drawn,
    distribution: &Distribution,
) -> Result<(), Problem> {
    let there = |key: &'static str| place(tree, way!["faults", "draw", "kinds", at, key]);
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
    figures(kind.kind, &Figures::from(kind), there)?;
    if kind.targets.is_empty() {
        return Err(Problem::new(there("targets"), "no targets", "name one, such as \"kafka-broker\""));
    }
    for (number, target) in kind.targets.iter().enumerate() {
        let place = place(tree, way!["faults", "draw", "kinds", at, "targets", number]);
        aim(case, target, kind.kind.on_links(), place)?;
    }
    kind.to.iter().try_for_each(|to| aim(case, to, true, there("to")))
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

/// The figures of a fault that only some kinds take.
struct Figures {
    to: bool,
    one_way: bool,
    latency: Option<Span>,
    per_million: Option<u32>,
    skew: Option<Span>,
    behind: bool,
}

impl From<&Listed> for Figures {
    fn from(fault: &Listed) -> Figures {
        Figures {
            to: fault.to.is_some(),
            one_way: fault.one_way,
            latency: fault.latency,
            per_million: fault.per_million,
            skew: fault.skew,
            behind: fault.behind,
        }
    }
}

impl From<&Drawn> for Figures {
    fn from(fault: &Drawn) -> Figures {
        Figures {
            to: fault.to.is_some(),
            one_way: fault.one_way,
            latency: fault.latency,
            per_million: fault.per_million,
            skew: fault.skew,
            behind: false,
        }
    }
}

fn figures(kind: Kind, figures: &Figures, there: impl Fn(&'static str) -> Place) -> Result<(), Problem> {
    let given = [
        ("to", figures.to, kind.on_links()),
        ("one-way", figures.one_way, kind.on_links()),
        ("latency", figures.latency.is_some(), kind == Kind::SlowLink),
        ("per-million", figures.per_million.is_some(), kind.takes_rate()),
        ("skew", figures.skew.is_some(), kind == Kind::ClockSkew),
        ("behind", figures.behind, kind == Kind::ClockSkew),
    ];
    for (key, given, taken) in given {
        if given && !taken {
            return Err(Problem::new(
                there(key),
                format!("`{key}` means nothing for a `{kind}`"),
                "remove it",
            ));
        }
        let needed = matches!(key, "latency" | "per-million" | "skew");
        if taken && needed && !given {
            let help = format!("add `{key} = ...`");
            return Err(Problem::new(there("kind"), format!("a `{kind}` needs `{key}`"), help));
        }
    }
    if let Some(rate) = figures.per_million {
        within(u64::from(rate), 1, 1_000_000, "`per-million`", there("per-million"))?;
    }
    figures.latency.iter().try_for_each(|latency| positive(*latency, there("latency")))?;
    figures.skew.iter().try_for_each(|skew| positive(*skew, there("skew")))
}

/// Whether an aim can be hit in this case. How many brokers Corgi and Kafka have is known when the world is built: a
/// broker too many is told then.
fn aim(case: &Case, aim: &Aim, on_links: bool, there: Place) -> Result<(), Problem> {
    let Aim::Named(name) = aim else {
        return match aim {
            Aim::Everybody if !on_links => {
                Err(Problem::new(there, "`everybody` is a side of a link", "name a node, a kind or a role"))
            }
            _ => Ok(()),
        };
    };
    let site = case.network.site_named(name).is_some();
    if (site && on_links) || names_a_node(case, name) {
        return Ok(());
    }
    let mut words: Vec<String> = NodeKind::iter().map(|kind| kind.to_string()).collect();
    words.extend(["corgi-master", "corgi-slave"].map(str::to_owned));
    if on_links {
        words.push("everybody".to_owned());
        words.extend(case.network.sites.keys().cloned());
    }
    let message = format!("there is no fault target `{name}`");
    Err(Problem::new(there, message, advice(name, words.iter().map(String::as_str))))
}

/// Whether a name is that of a node as the world names them: `kafka-2`, `corgi-0-1`, `producer-0`, `billing-new-1`.
fn names_a_node(case: &Case, name: &str) -> bool {
    let Some((stem, number)) = name.rsplit_once('-') else { return false };
    let Ok(number) = number.parse::<u32>() else { return false };
    let of_group = |suffix: &str| {
        let group = stem.strip_suffix(suffix).and_then(|group| case.group(group));
        group.is_some_and(|group| number < case.groups[usize::from(group.0)].instances)
    };
    let of_set = || stem.strip_prefix("corgi-").is_some_and(|set| set.parse::<u16>().is_ok());
    match stem {
        "producer" => number < case.producers.count,
        "mirror" => number < u32::from(case.mirror.workers),
        "kafka" => true,
        _ => of_set() || of_group("-old") || of_group("-new"),
    }
}
