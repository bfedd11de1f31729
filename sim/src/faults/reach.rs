//! Which kinds of node a case's faults may strike at all: so that what never did shows as a zero.

use super::draw::{each, listed_fault};
use super::settings::Drawn;
use super::{Kind, NodeKind, Nodes, Side, Target, When};
use crate::case::Case;
use cutover_model::units::Time;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The kinds of a side's nodes, one a node; none for everybody.
type Kinds = Option<Vec<NodeKind>>;

/// When a fault may strike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// From when on.
    pub from: Time,
    /// Until when; a fault that strikes at one moment does so then.
    pub until: Time,
    /// In that phase alone.
    pub phase: Option<String>,
}

impl Window {
    /// At any time.
    pub const ALWAYS: Window = Window { from: Time::ZERO, until: Time::NEVER, phase: None };
}

/// Each kind of fault with each kind of node that it may strike, and when it may; with none where it may strike anybody. Struck
/// is who the history says is struck: on links the nodes of the side that has the fewest.
pub fn reach(case: &Case, nodes: &Nodes) -> BTreeMap<(Kind, Option<NodeKind>), Vec<Window>> {
    let mut reached: BTreeMap<(Kind, Option<NodeKind>), Vec<Window>> = BTreeMap::new();
    if let Some(draw) = &case.faults.draw {
        for drawn in draw.drawn().filter(|drawn| drawn.weight > 0) {
            let (start, end) = (drawn.start.unwrap_or(draw.start), drawn.end.unwrap_or(draw.end));
            // It has to end within the window.
            let until = Time::ZERO + end.saturating_sub(drawn.least);
            let window = Window { from: Time::ZERO + start, until, phase: None };
            for struck in drawn_at(case, nodes, drawn) {
                reached.entry((drawn.kind, struck)).or_default().push(window.clone());
            }
        }
    }
    for listed in case.faults.list.iter().enumerate() {
        let Some(fault) = listed_fault(case, nodes, listed) else { continue };
        let (from, to) = (kinds(case, nodes, &fault.on.from), kinds(case, nodes, &fault.on.to));
        let window = match fault.when {
            When::At(at) => Window { from: at, until: at, phase: None },
            When::InPhase { phase, .. } | When::AtStep { phase, .. } => {
                Window { phase: Some(phase), ..Window::ALWAYS }
            }
        };
        for key in struck_by(fault.kind, &from, &to, fault.on.one_way) {
            reached.entry(key).or_default().push(window.clone());
        }
    }
    reached
}

/// The kinds of node that a kind of the distribution may strike.
fn drawn_at(case: &Case, nodes: &Nodes, drawn: &Drawn) -> BTreeSet<Option<NodeKind>> {
    // The nodes of one kind are all the same here: a case may have two thousand of them.
    let sides_of = |aim| {
        each(case, nodes, aim, drawn.kind.reach()).into_iter().map(|(side, _)| kinds(case, nodes, &side))
    };
    let sides: BTreeSet<Kinds> = drawn.targets.iter().flat_map(sides_of).collect();
    let others: BTreeSet<Kinds> = match &drawn.to {
        Some(aim) if drawn.kind.on_links() => sides_of(aim).collect(),
        _ => BTreeSet::from([None]),
    };
    let mut struck = BTreeSet::new();
    for side in &sides {
        for other in &others {
            struck.extend(struck_by(drawn.kind, side, other, drawn.one_way).map(|(_, node)| node));
        }
    }
    struck
}

fn struck_by(
    kind: Kind,
    side: &Kinds,
    other: &Kinds,
    one_way: bool,
) -> impl Iterator<Item = (Kind, Option<NodeKind>)> + use<> {
    let struck = match kind {
        // The on-call does it, to the broker set.
        Kind::FailOver => BTreeSet::from([Some(NodeKind::OnCall)]),
        Kind::LostSwitches | Kind::LateSwitches => BTreeSet::from([Some(NodeKind::SwitchCentre)]),
        _ if kind.on_links() => struck(side, other, one_way),
        _ => struck(side, side, true),
    };
    struck.into_iter().map(move |node| (kind, node))
}

fn kinds(case: &Case, nodes: &Nodes, side: &Side) -> Kinds {
    match side {
        Side::One(Target::Node(node)) => Some(vec![nodes.0[node.0 as usize].kind]),
        Side::One(Target::Role(_)) => Some(vec![NodeKind::CorgiBroker]),
        Side::Kind(kind) => Some(nodes.of_kind(*kind).map(|node| node.kind).collect()),
        Side::Part(kind, part) => {
            let of_part = nodes.of_kind(*kind).filter(|node| node.part == *part);
            Some(of_part.map(|node| node.kind).collect())
        }
        Side::Site(site) => {
            let there = nodes.0.iter().filter(|node| case.network.site_of(node.kind) == *site);
            Some(there.map(|node| node.kind).collect())
        }
        Side::Everybody => None,
    }
}

/// Of either direction the side that has the fewest nodes, and of two that have as many the one that sends.
fn struck(from: &Kinds, to: &Kinds, one_way: bool) -> BTreeSet<Option<NodeKind>> {
    let fewest = |one: &Kinds, other: &Kinds| match (one, other) {
        (Some(one), Some(other)) if other.len() < one.len() => Some(other.clone()),
        (Some(one), _) => Some(one.clone()),
        (None, other) => other.clone(),
    };
    let ways = [Some(fewest(from, to)), (!one_way).then(|| fewest(to, from))];
    let kinds: BTreeSet<NodeKind> = ways.into_iter().flatten().flatten().flatten().collect();
    if kinds.is_empty() { BTreeSet::from([None]) } else { kinds.into_iter().map(Some).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NodeKind::{KafkaBroker, Mirror};

    #[test]
    fn both_ends_of_a_link_are_struck_where_they_are_as_many() {
        let (mirror, kafka) = (Some(vec![Mirror]), Some(vec![KafkaBroker]));
        assert_eq!(struck(&mirror, &kafka, false), BTreeSet::from([Some(Mirror), Some(KafkaBroker)]));
        assert_eq!(struck(&mirror, &kafka, true), BTreeSet::from([Some(Mirror)]));
    }

    #[test]
    fn the_side_that_has_the_fewest_nodes_is_struck_and_of_everybody_nobody_in_particular() {
        let (mirror, brokers) = (Some(vec![Mirror]), Some(vec![KafkaBroker; 3]));
        assert_eq!(struck(&brokers, &mirror, false), BTreeSet::from([Some(Mirror)]));
        assert_eq!(struck(&None, &brokers, true), BTreeSet::from([Some(KafkaBroker)]));
        assert_eq!(struck(&None, &None, false), BTreeSet::from([None]));
    }
}
