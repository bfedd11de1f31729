//! Which kinds of node a case's faults may strike at all: so that what never did shows as a zero.

use super::draw::{each, listed_fault};
use super::settings::Kind;
use super::{FaultKind, NodeKind, Nodes, Side, Target};
use crate::case::Case;
use std::collections::BTreeSet;

/// The kinds of a side's nodes, one a node; none for everybody.
type Kinds = Option<Vec<NodeKind>>;

/// Each kind of fault with each kind of node that it may strike; with none where it may strike anybody. Struck is who
/// the history says is struck: on links the nodes of the side that has the fewest.
pub fn reach(case: &Case, nodes: &Nodes) -> BTreeSet<(Kind, Option<NodeKind>)> {
    let mut reached = BTreeSet::new();
    for drawn in case.faults.draw.iter().flat_map(|draw| &draw.kinds).filter(|drawn| drawn.weight > 0) {
        // The nodes of one kind are all the same here: a case may have two thousand of them.
        let sides_of = |aim| each(case, nodes, aim).into_iter().map(|(side, _)| kinds(case, nodes, &side));
        let sides: BTreeSet<Kinds> = drawn.targets.iter().flat_map(sides_of).collect();
        let others: BTreeSet<Kinds> = match &drawn.to {
            Some(aim) if drawn.kind.on_links() => sides_of(aim).collect(),
            _ => BTreeSet::from([None]),
        };
        for side in &sides {
            for other in &others {
                let struck = struck(side, if drawn.kind.on_links() { other } else { side }, drawn.one_way);
                reached.extend(struck.into_iter().map(|kind| (drawn.kind, kind)));
            }
        }
    }
    for listed in &case.faults.list {
        let Some((fault, _)) = listed_fault(case, nodes, listed) else { continue };
        let struck = match &fault.kind {
            FaultKind::Crash { target }
            | FaultKind::Pause { target }
            | FaultKind::Restart { target }
            | FaultKind::ClockSkew { target, .. } => {
                let side = kinds(case, nodes, &Side::One(*target));
                struck(&side, &side, true)
            }
            FaultKind::Cut { link }
            | FaultKind::SlowLink { link, .. }
            | FaultKind::LossyLink { link, .. }
            | FaultKind::DuplicatingLink { link, .. }
            | FaultKind::ReorderingLink { link, .. } => {
                struck(&kinds(case, nodes, &link.from), &kinds(case, nodes, &link.to), link.one_way)
            }
        };
        reached.extend(struck.into_iter().map(|kind| (listed.kind, kind)));
    }
    reached
}

fn kinds(case: &Case, nodes: &Nodes, side: &Side) -> Kinds {
    match side {
        Side::One(Target::Node(node)) => Some(vec![nodes.0[node.0 as usize].kind]),
        Side::One(Target::Role(_)) => Some(vec![NodeKind::CorgiBroker]),
        Side::Kind(kind) => Some(nodes.of_kind(*kind).map(|node| node.kind).collect()),
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
