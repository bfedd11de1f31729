//! How a run's faults are drawn: spread over the run, and one at a time in each failure domain.

use super::choose::{pick, weighted};
use super::settings::{Aim, Distribution, Drawn, Kind, Listed};
use super::{Fault, FaultKind, Link, NodeKind, Nodes, Role, Side, Target, When};
use crate::case::Case;
use crate::random::Stream;
use cutover_model::units::{Span, Time};
use std::collections::BTreeSet;

/// How often a draw is tried again before the window is searched from its start.
const TRIES: u32 = 200;

/// The faults of a run: those of the list, and those drawn from the distribution, in the order of time; those that
/// wait for a phase come last. A listed fault on what this world does not have is left out: a case that is loaded has
/// none, but one that is shrunk may have lost the node.
pub fn draw(case: &Case, nodes: &Nodes, stream: &mut Stream) -> Vec<Fault> {
    let mut taken = Taken::default();
    let mut faults = Vec::new();
    let settle = case.faults.draw.as_ref().map_or(Span::ZERO, |draw| draw.settle);
    for (fault, domains) in case.faults.list.iter().filter_map(|listed| listed_fault(case, nodes, listed)) {
        if let When::At(at) = fault.when {
            taken.take(&domains, at, at + fault.duration + settle);
        }
        faults.push(fault);
    }
    if let Some(distribution) = &case.faults.draw {
        Drawing::new(case, nodes, distribution).draw(&mut taken, &mut faults, stream);
    }
    faults.sort_by_key(|fault| match fault.when {
        When::At(at) => at,
        When::InPhase { .. } => Time::NEVER,
    });
    faults
}

/// Whether an aim has anything to hit in a world of these nodes.
pub(crate) fn can_hit(case: &Case, nodes: &Nodes, aim: &Aim) -> bool {
    !each(case, nodes, aim).is_empty()
}

/// The failure domains that a fault strikes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Domains {
    These(BTreeSet<String>),
    All,
}

impl Domains {
    fn meet(&self, other: &Domains) -> bool {
        match (self, other) {
            (Domains::These(one), Domains::These(other)) => !one.is_disjoint(other),
            _ => true,
        }
    }

    fn with(self, other: Domains) -> Domains {
        match (self, other) {
            (Domains::These(one), Domains::These(other)) => {
                Domains::These(one.into_iter().chain(other).collect())
            }
            _ => Domains::All,
        }
    }
}

/// When which failure domains are struck, the time to settle included.
#[derive(Default)]
struct Taken {
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

/// Everything that one kind of the distribution can strike.
struct Choice<'a> {
    kind: &'a Drawn,
    sides: Vec<(Side, Domains)>,
    others: Vec<(Side, Domains)>,
    start: Time,
    end: Time,
    settle: Span,
}

struct Drawing<'a> {
    distribution: &'a Distribution,
    choices: Vec<Choice<'a>>,
}

impl<'a> Drawing<'a> {
    fn new(case: &Case, nodes: &Nodes, distribution: &'a Distribution) -> Drawing<'a> {
        let choice = |kind: &'a Drawn| {
            let sides = kind.targets.iter().flat_map(|aim| each(case, nodes, aim)).collect();
            let others = match &kind.to {
                Some(aim) if kind.kind.on_links() => each(case, nodes, aim),
                _ => vec![(Side::Everybody, Domains::These(BTreeSet::new()))],
            };
            Choice {
                kind,
                sides,
                others,
                start: Time::ZERO + kind.start.unwrap_or(distribution.start),
                end: Time::ZERO + kind.end.unwrap_or(distribution.end),
                settle: kind.settle.unwrap_or(distribution.settle),
            }
        };
        // What this case does not have (no mirror, no such group) is not drawn.
        let choices = distribution.kinds.iter().map(choice);
        let choices =
            choices.filter(|choice| !choice.sides.is_empty() && !choice.others.is_empty()).collect();
        Drawing { distribution, choices }
    }

    /// Draw one fault in each of as many stretches of the window as there are faults, so that every phase gets some.
    fn draw(&self, taken: &mut Taken, faults: &mut Vec<Fault>, stream: &mut Stream) {
        let start = Time::ZERO + self.distribution.start;
        let end = Time::ZERO + self.distribution.end;
        let stretch = Span(end.since(start).0 / u64::from(self.distribution.count));
        for number in 0..u64::from(self.distribution.count) {
            let from = start + stretch * number;
            let drawn = self
                .tried(TRIES, from, from + stretch, taken, stream)
                .or_else(|| self.tried(TRIES, start, end, taken, stream))
                .or_else(|| self.searched(taken));
            let Some((fault, domains, until)) = drawn else { return };
            if let When::At(at) = fault.when {
                taken.take(&domains, at, until);
            }
            faults.push(fault);
        }
    }

    fn tried(
        &self,
        tries: u32,
        from: Time,
        until: Time,
        taken: &Taken,
        stream: &mut Stream,
    ) -> Option<(Fault, Domains, Time)> {
        for _ in 0..tries {
            let choice = &self.choices[weighted(stream, self.weights())?];
            let side = pick(stream, &choice.sides)?.clone();
            let other = pick(stream, &choice.others)?.clone();
            let duration = stream.between(choice.kind.least, choice.kind.most);
            let at = from + stream.between(Span::ZERO, until.since(from));
            let behind = stream.chance(500_000);
            let skew = stream.between(Span::millis(1), choice.kind.skew.unwrap_or(Span::ZERO));
            if let Some(found) = self.fitting(choice, side, other, at, duration, taken) {
                return Some(with_skew(found, skew, behind));
            }
        }
        None
    }

    /// The first place in the window where anything fits, at its shortest: so that a run has as many faults as it can.
    fn searched(&self, taken: &Taken) -> Option<(Fault, Domains, Time)> {
        for choice in self.choices.iter().filter(|choice| choice.kind.weight > 0) {
            for side in &choice.sides {
                for other in &choice.others {
                    let mut at = choice.start;
                    while at < choice.end {
                        let least = choice.kind.least;
                        let found = self.fitting(choice, side.clone(), other.clone(), at, least, taken);
                        if found.is_some() {
                            return found
                                .map(|found| with_skew(found, choice.kind.skew.unwrap_or_default(), false));
                        }
                        at += Span::secs(1);
                    }
                }
            }
        }
        None
    }

    fn weights(&self) -> impl Iterator<Item = u64> + Clone {
        self.choices.iter().map(|choice| u64::from(choice.kind.weight))
    }

    fn fitting(
        &self,
        choice: &Choice<'_>,
        (side, side_domains): (Side, Domains),
        (other, other_domains): (Side, Domains),
        at: Time,
        duration: Span,
        taken: &Taken,
    ) -> Option<(Fault, Domains, Time)> {
        let domains = side_domains.with(other_domains);
        let until = at + duration + choice.settle;
        let in_window = at >= choice.start && at + duration <= choice.end;
        // A link to itself, or from a site to itself, is none.
        let real = !choice.kind.kind.on_links() || side != other;
        let free = self.distribution.beyond || taken.free(&domains, at, until);
        if !in_window || !real || !free {
            return None;
        }
        let figures = Figures {
            latency: choice.kind.latency.unwrap_or_default(),
            per_million: choice.kind.per_million.unwrap_or_default(),
            skew: Span::ZERO,
            behind: false,
        };
        let link = Link { from: side, to: other, one_way: choice.kind.one_way };
        let kind = fault_kind(choice.kind.kind, link, figures)?;
        Some((Fault { when: When::At(at), duration, kind }, domains, until))
    }
}

fn with_skew(found: (Fault, Domains, Time), drawn: Span, drawn_behind: bool) -> (Fault, Domains, Time) {
    let (mut fault, domains, until) = found;
    if let FaultKind::ClockSkew { skew, behind, .. } = &mut fault.kind {
        *skew = drawn;
        *behind = drawn_behind;
    }
    (fault, domains, until)
}

struct Figures {
    latency: Span,
    per_million: u32,
    skew: Span,
    behind: bool,
}

/// The fault of that kind on a link, or on the node that is the link's one side.
fn fault_kind(kind: Kind, link: Link, figures: Figures) -> Option<FaultKind> {
    let per_million = figures.per_million;
    let on_link = match kind {
        Kind::Cut => FaultKind::Cut { link },
        Kind::SlowLink => FaultKind::SlowLink { link, added: figures.latency },
        Kind::LossyLink => FaultKind::LossyLink { link, per_million },
        Kind::DuplicatingLink => FaultKind::DuplicatingLink { link, per_million },
        Kind::ReorderingLink => FaultKind::ReorderingLink { link, per_million },
        Kind::Crash | Kind::Pause | Kind::Restart | Kind::ClockSkew => {
            let Side::One(target) = link.from else { return None };
            return Some(match kind {
                Kind::Crash => FaultKind::Crash { target },
                Kind::Pause => FaultKind::Pause { target },
                Kind::Restart => FaultKind::Restart { target },
                _ => FaultKind::ClockSkew { target, skew: figures.skew, behind: figures.behind },
            });
        }
    };
    Some(on_link)
}

/// A fault of the list, and the failure domains that it strikes.
pub(super) fn listed_fault(case: &Case, nodes: &Nodes, listed: &Listed) -> Option<(Fault, Domains)> {
    let none = || Domains::These(BTreeSet::new());
    let side = |aim: &Aim| -> Option<(Side, Domains)> {
        let all = each(case, nodes, aim);
        match (aim, listed.kind.on_links()) {
            (Aim::Kind(kind), true) if !all.is_empty() => {
                Some((Side::Kind(*kind), all.into_iter().fold(none(), |sum, (_, domains)| sum.with(domains))))
            }
            _ => all.into_iter().next(),
        }
    };
    let (from, domains) = side(&listed.target)?;
    let (to, others) = match &listed.to {
        Some(aim) => side(aim)?,
        None => (Side::Everybody, none()),
    };
    let figures = Figures {
        latency: listed.latency.unwrap_or_default(),
        per_million: listed.per_million.unwrap_or_default(),
        skew: listed.skew.unwrap_or_default(),
        behind: listed.behind,
    };
    let link = Link { from, to, one_way: listed.one_way };
    let kind = fault_kind(listed.kind, link, figures)?;
    let when = match (&listed.phase, listed.at) {
        (Some(phase), _) => When::InPhase { phase: phase.clone(), after: listed.after },
        (None, at) => When::At(Time::ZERO + at.unwrap_or_default()),
    };
    Some((Fault { when, duration: listed.duration, kind }, domains.with(others)))
}

/// Each thing that an aim can mean, with its failure domains.
pub(super) fn each(case: &Case, nodes: &Nodes, aim: &Aim) -> Vec<(Side, Domains)> {
    let domain = |domain: &str| Domains::These(BTreeSet::from([domain.to_owned()]));
    let role = |role: fn(u16) -> Role| {
        let sets: BTreeSet<(u16, &str)> =
            nodes.of_kind(NodeKind::CorgiBroker).map(|node| (node.part, node.domain.as_str())).collect();
        let sides = sets.into_iter().map(|(set, of)| (Side::One(Target::Role(role(set))), domain(of)));
        sides.collect::<Vec<_>>()
    };
    match aim {
        Aim::CorgiMaster => role(Role::CorgiMaster),
        Aim::CorgiSlave => role(Role::CorgiSlave),
        Aim::Kind(kind) => {
            let of_kind = nodes.of_kind(*kind);
            of_kind.map(|node| (Side::One(Target::Node(node.id)), domain(&node.domain))).collect()
        }
        Aim::Everybody => vec![(Side::Everybody, Domains::These(BTreeSet::new()))],
        Aim::Named(name) => match (nodes.named(name), case.network.site_named(name)) {
            (Some(node), _) => vec![(Side::One(Target::Node(node.id)), domain(&node.domain))],
            (None, Some(site)) => vec![(Side::Site(site), Domains::All)],
            (None, None) => Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests;
