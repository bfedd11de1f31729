//! How a run's faults are drawn: those of the list, and those of the distribution, spread over the run, one at a time in each
//! failure domain.

mod drawing;

use super::settings::{Aim, Listed};
use super::{Domains, Fault, Kind, Link, NodeKind, Nodes, Reach, Role, Side, Target, When};
use crate::build::REVERSE_MIRROR;
use crate::case::Case;
use crate::random::Stream;
use cutover_model::units::Time;
use drawing::Drawing;
use std::collections::BTreeSet;

/// The faults of a run: those of the list, and those drawn from the distribution, in the order of time; those that
/// wait for a phase or a step come last. A listed fault on what this world does not have is left out: a case that is loaded has
/// none, but one that is shrunk may have lost the node.
pub fn draw(case: &Case, nodes: &Nodes, stream: &mut Stream) -> Vec<Fault> {
    let mut faults: Vec<Fault> =
        case.faults.listed().filter_map(|listed| listed_fault(case, nodes, listed)).collect();
    if let Some(distribution) = &case.faults.draw {
        let mut taken = Taken::default();
        for fault in &faults {
            if let When::At(at) = fault.when {
                taken.take(&fault.domains, at, at + fault.duration + distribution.settle);
            }
        }
        let drawing = Drawing::new(case, nodes, distribution, stream);
        drawing.spread(&mut taken, &mut faults, stream);
        drawing.aim_at_the_plan(case, &mut faults, stream);
    }
    faults.sort_by_key(|fault| match fault.when {
        When::At(at) => at,
        When::InPhase { .. } | When::AtStep { .. } => Time::NEVER,
    });
    faults
}

/// Whether an aim has anything to hit in a world of these nodes.
pub(crate) fn can_hit(case: &Case, nodes: &Nodes, aim: &Aim) -> bool {
    [Reach::Node, Reach::Part].into_iter().any(|reach| !each(case, nodes, aim, reach).is_empty())
}

/// What this case lacks that the kind needs to do anything.
pub(crate) fn lacking(kind: Kind, nodes: &Nodes) -> Option<&'static str> {
    let is_lacking = match kind {
        Kind::IsrShrink => nodes.of_kind(NodeKind::KafkaBroker).nth(1).is_none(),
        Kind::ScaleUp => !nodes.of_kind(NodeKind::NewConsumer).any(|node| node.spare),
        _ => return None,
    };
    let what = if kind == Kind::IsrShrink { "second Kafka broker" } else { "spare instance of a group" };
    is_lacking.then_some(what)
}

/// When which failure domains are struck, the time to settle included.
#[derive(Default)]
pub(super) struct Taken {
    stretches: Vec<(Domains, Time, Time)>,
}

impl Taken {
    fn take(&mut self, domains: &Domains, from: Time, until: Time) {
        self.stretches.push((domains.clone(), from, until));
    }

    fn free(&self, domains: &Domains, from: Time, until: Time) -> bool {
        self.stretches
            .iter()
            .all(|(taken, begin, end)| until <= *begin || from >= *end || !taken.meet(domains))
    }
}

/// A fault of the list. Nothing keeps it from striking.
pub(crate) fn listed_fault(case: &Case, nodes: &Nodes, (place, listed): (usize, &Listed)) -> Option<Fault> {
    let side = |aim: &Aim| -> Option<(Side, Domains)> {
        let all = each(case, nodes, aim, listed.kind.reach());
        match (aim, listed.kind.on_links()) {
            (Aim::ReverseMirror, true) => {
                parts(nodes, NodeKind::Mirror).into_iter().find(|(side, _)| *side == reverse_mirror())
            }
            (Aim::Kind(kind), true) if !all.is_empty() => {
                let domains = all.into_iter().fold(Domains::none(), |sum, (_, domains)| sum.with(domains));
                Some((Side::Kind(*kind), domains))
            }
            _ => all.into_iter().next(),
        }
    };
    let (from, domains) = side(&listed.target)?;
    let (to, others) = match &listed.to {
        Some(aim) => side(aim)?,
        None => (Side::Everybody, Domains::none()),
    };
    let when = match (&listed.phase, listed.at) {
        (Some(phase), _) => match listed.step {
            Some(step) => When::AtStep { phase: phase.clone(), step, after: listed.after },
            None => When::InPhase { phase: phase.clone(), after: listed.after },
        },
        (None, at) => When::At(Time::ZERO + at.unwrap_or_default()),
    };
    Some(Fault {
        when,
        duration: listed.duration,
        kind: listed.kind,
        on: Link { from, to, one_way: listed.one_way },
        figures: listed.given().into(),
        domains: domains.with(others),
        tolerance: None,
        listed: Some(place),
    })
}

/// Each thing that an aim can mean, with its failure domains: each node, or each part of a kind.
pub(crate) fn each(case: &Case, nodes: &Nodes, aim: &Aim, reach: Reach) -> Vec<(Side, Domains)> {
    let role = |role: fn(u16) -> Role| {
        let sets: BTreeSet<(u16, &str)> =
            nodes.of_kind(NodeKind::CorgiBroker).map(|node| (node.part, node.domain.as_str())).collect();
        let side = |set| Side::One(Target::Role(role(set)));
        sets.into_iter().map(|(set, of)| (side(set), Domains::one(of))).collect::<Vec<_>>()
    };
    match aim {
        Aim::CorgiMaster => role(Role::CorgiMaster),
        Aim::CorgiSlave => role(Role::CorgiSlave),
        Aim::Kind(kind) if reach == Reach::Part => parts(nodes, *kind),
        Aim::Kind(kind) => {
            // A broker set that stands by may run when the fault strikes, and is passed over where it does not.
            let of_kind =
                nodes.of_kind(*kind).filter(|node| !node.spare || node.kind == NodeKind::CorgiBroker);
            of_kind.map(|node| (Side::One(Target::Node(node.id)), Domains::one(&node.domain))).collect()
        }
        Aim::ReverseMirror if reach == Reach::Part => {
            parts(nodes, NodeKind::Mirror).into_iter().filter(|(side, _)| *side == reverse_mirror()).collect()
        }
        Aim::ReverseMirror => {
            let workers = nodes.of_kind(NodeKind::Mirror).filter(|node| node.part == REVERSE_MIRROR);
            workers.map(|node| (Side::One(Target::Node(node.id)), Domains::one(&node.domain))).collect()
        }
        Aim::Everybody => vec![(Side::Everybody, Domains::none())],
        Aim::Named(name) => match (nodes.named(name), case.network.site_named(name)) {
            (Some(node), _) => vec![(Side::One(Target::Node(node.id)), Domains::one(&node.domain))],
            (None, Some(site)) => vec![(Side::Site(site), Domains::All)],
            (None, None) => Vec::new(),
        },
    }
}

fn reverse_mirror() -> Side {
    Side::Part(NodeKind::Mirror, REVERSE_MIRROR)
}

/// The parts of a kind, each with the domains of its nodes.
fn parts(nodes: &Nodes, kind: NodeKind) -> Vec<(Side, Domains)> {
    let parts: BTreeSet<u16> = nodes.of_kind(kind).map(|node| node.part).collect();
    let domains = |part: u16| {
        let of_part = nodes.of_kind(kind).filter(|node| node.part == part);
        of_part.fold(Domains::none(), |sum, node| sum.with(Domains::one(&node.domain)))
    };
    parts.into_iter().map(|part| (Side::Part(kind, part), domains(part))).collect()
}

#[cfg(test)]
mod tests;
