//! Which kinds of node a case's faults may strike at all: so that what never did shows as a zero.

use super::draw::{each, lacking, listed_fault};
use super::settings::Drawn;
use super::{Kind, Link, Node, NodeKind, Nodes, Side, Target, When};
use crate::case::Case;
use cutover_model::units::{Span, Time};
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
    /// A node of one of these kinds must run as well: the other side of a link. Nobody need, where there is none.
    pub beside: Vec<NodeKind>,
}

impl Window {
    /// At any time.
    pub const ALWAYS: Window =
        Window { from: Time::ZERO, until: Time::NEVER, phase: None, beside: Vec::new() };
}

/// Whom a fault strikes: a kind of node (anybody, where there is none), and the kinds of which a node must run beside it.
type Struck = (Option<NodeKind>, Vec<NodeKind>);

/// Each kind of fault with each kind of node that it may strike, and when it may; with none where it may strike anybody. Struck
/// is who the history says is struck: on links the nodes of the side that has the fewest, and both where they have as many.
pub fn reach(case: &Case, nodes: &Nodes) -> BTreeMap<(Kind, Option<NodeKind>), Vec<Window>> {
    let mut reached: BTreeMap<(Kind, Option<NodeKind>), Vec<Window>> = BTreeMap::new();
    if let Some(draw) = &case.faults.draw {
        let may_be_drawn = |drawn: &&Drawn| drawn.weight > 0 && lacking(drawn.kind, nodes).is_none();
        for drawn in draw.drawn(case.faults.goes_beyond()).filter(may_be_drawn) {
            let (start, end) = (drawn.start.unwrap_or(draw.start), drawn.end.unwrap_or(draw.end));
            let end = end.min(last_moment(case, drawn.kind));
            // It has to end within the window.
            let until = Time::ZERO + end.saturating_sub(drawn.least);
            for (struck, beside) in drawn_at(case, nodes, drawn) {
                let window = Window { from: Time::ZERO + start, until, phase: None, beside };
                reached.entry((drawn.kind, struck)).or_default().push(window);
            }
        }
    }
    for listed in case.faults.listed() {
        let Some(fault) = listed_fault(case, nodes, listed) else { continue };
        let (from, to) = (kinds(case, nodes, &fault.on.from), kinds(case, nodes, &fault.on.to));
        let window = match fault.when {
            When::At(at) => Window { from: at, until: at, ..Window::ALWAYS },
            When::InPhase { phase, .. } | When::AtStep { phase, .. } => {
                Window { phase: Some(phase), ..Window::ALWAYS }
            }
        };
        for (struck, beside) in struck_by(fault.kind, &from, &to) {
            let window = Window { beside, ..window.clone() };
            reached.entry((fault.kind, struck)).or_default().push(window);
        }
    }
    reached
}

/// The kinds of node that a kind of the distribution may strike.
fn drawn_at(case: &Case, nodes: &Nodes, drawn: &Drawn) -> BTreeSet<Struck> {
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
            struck.extend(struck_by(drawn.kind, side, other));
        }
    }
    struck
}

/// Until when that kind finds somebody whom it can strike: who sends nothing any more is not hurried.
fn last_moment(case: &Case, kind: Kind) -> Span {
    match kind {
        Kind::Burst | Kind::OversizedRecord => match &case.workload.sends {
            Some(sends) => sends.iter().map(|send| send.at).max().unwrap_or_default(),
            None => case.workload_end(),
        },
        _ => case.duration,
    }
}

fn struck_by(kind: Kind, side: &Kinds, other: &Kinds) -> BTreeSet<Struck> {
    match kind.on_links() {
        true => struck(side, other),
        false => struck(side, &None),
    }
}

fn kinds(case: &Case, nodes: &Nodes, side: &Side) -> Kinds {
    match side {
        Side::One(Target::Role(_)) => Some(vec![NodeKind::CorgiBroker]),
        _ => members(case, nodes, side).map(|members| members.into_iter().map(|node| node.kind).collect()),
    }
}

/// The nodes of a side; none for everybody, and for a role, which is now this one's and now that one's.
fn members<'a>(case: &Case, nodes: &'a Nodes, side: &Side) -> Option<Vec<&'a Node>> {
    Some(match side {
        Side::One(Target::Node(node)) => vec![&nodes.0[node.0 as usize]],
        Side::Kind(kind) => nodes.of_kind(*kind).collect(),
        Side::Part(kind, part) => nodes.of_kind(*kind).filter(|node| node.part == *part).collect(),
        Side::Site(site) => nodes.0.iter().filter(|node| case.network.site_of(node.kind) == *site).collect(),
        Side::One(Target::Role(_)) | Side::Everybody => return None,
    })
}

/// Whether both ends of a link are one and the same node, whoever that is.
pub(crate) fn is_one_node(case: &Case, nodes: &Nodes, link: &Link) -> bool {
    let (from, to) = (members(case, nodes, &link.from), members(case, nodes, &link.to));
    match (from, to) {
        (Some(from), Some(to)) => from.len() == 1 && to.len() == 1 && from[0].id == to[0].id,
        _ => link.from == link.to && link.from != Side::Everybody,
    }
}

/// The side of a link that has the fewest nodes, and both where they have as many, each beside the other.
fn struck(from: &Kinds, to: &Kinds) -> BTreeSet<Struck> {
    let kinds = |side: &Kinds| side.iter().flatten().copied().collect::<BTreeSet<NodeKind>>();
    let count = |side: &Kinds| side.as_ref().map_or(usize::MAX, Vec::len);
    let least = count(from).min(count(to));
    let struck: BTreeSet<Struck> = [(from, to), (to, from)]
        .into_iter()
        .filter(|(side, _)| count(side) == least)
        .flat_map(|(side, other)| {
            let beside: Vec<NodeKind> = kinds(other).into_iter().collect();
            kinds(side).into_iter().map(move |kind| (Some(kind), beside.clone()))
        })
        .collect();
    if struck.is_empty() { BTreeSet::from([(None, Vec::new())]) } else { struck }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NodeKind::{KafkaBroker, Mirror};

    #[test]
    fn both_ends_of_a_link_are_struck_where_they_are_as_many() {
        let (mirror, kafka) = (Some(vec![Mirror]), Some(vec![KafkaBroker]));
        let both = [(Some(Mirror), vec![KafkaBroker]), (Some(KafkaBroker), vec![Mirror])];
        assert_eq!(struck(&mirror, &kafka), BTreeSet::from(both));
    }

    #[test]
    fn the_side_that_has_the_fewest_nodes_is_struck_and_of_everybody_nobody_in_particular() {
        let (mirror, brokers) = (Some(vec![Mirror]), Some(vec![KafkaBroker; 3]));
        assert_eq!(struck(&brokers, &mirror), BTreeSet::from([(Some(Mirror), vec![KafkaBroker])]));
        assert_eq!(struck(&None, &brokers), BTreeSet::from([(Some(KafkaBroker), vec![])]));
        assert_eq!(struck(&None, &None), BTreeSet::from([(None, vec![])]));
    }
}
