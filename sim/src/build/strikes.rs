//! What a drawn fault does to the world, in the world's own terms.

use super::layout::Layout;
use crate::case::network::Network;
use crate::faults::{Fault, Kind, Link, NodeKind, Role, Side, Target};
use crate::world::{self, Impairment, NodeSet, ReadyFault, Staged, Strike, Struck};
use cutover_model::incident::{DiskLoss, Incident};
use cutover_model::record::NodeId;
use cutover_model::units::Span;

/// How far a duplicate or a late message comes behind.
const LATE_WITHIN: Span = Span::secs(2);

/// The fault, ready to strike.
pub fn ready(fault: &Fault, layout: &Layout, network: &Network) -> ReadyFault {
    let places = Places { layout, network };
    let (strikes, target) = strikes(fault, &places);
    ReadyFault {
        kind: fault.kind.to_string(),
        target,
        figure: fault.figures.in_words(fault.kind),
        duration: fault.duration,
        strikes,
        meant: meant(fault, layout),
        domains: fault.domains.clone(),
        tolerance: fault.tolerance.clone(),
    }
}

/// Whom a fault is meant for, where its strikes hit somebody else: the switch centre, or the on-call.
fn meant(fault: &Fault, layout: &Layout) -> Option<Struck> {
    match (fault.kind, fault.on.from) {
        (Kind::LostSwitches | Kind::LateSwitches, Side::One(Target::Node(node))) => Some(Struck::Node(node)),
        (Kind::FailOver, Side::One(target)) => Some(Struck::Leader(set_of(target, layout))),
        _ => None,
    }
}

/// The broker set of a target.
fn set_of(target: Target, layout: &Layout) -> u16 {
    match target {
        Target::Role(Role::CorgiMaster(set) | Role::CorgiSlave(set)) => set,
        Target::Node(node) => layout.nodes.0[node.0 as usize].part,
    }
}

fn strikes(fault: &Fault, places: &Places<'_>) -> (Vec<Staged>, String) {
    let (figures, lasting) = (&fault.figures, fault.duration);
    let node = |strike: &dyn Fn(Struck) -> Strike| places.node(fault, strike);
    let incident = |begins, ends| node(&|struck| Strike::Incident(struck, begins, ends));
    let links = |impairment| places.links(&fault.on, lasting, impairment);
    let clock = i64::try_from(figures.skew.0).unwrap_or(i64::MAX) * if figures.behind { -1 } else { 1 };
    let (latency, per_million) = (figures.latency, figures.per_million);
    match fault.kind {
        Kind::Crash => node(&|struck| Strike::Crash(struck, None)),
        Kind::HostCrash => node(&|struck| Strike::Crash(struck, Some(DiskLoss::UnsyncedTail))),
        Kind::DiskLoss => node(&|struck| Strike::Crash(struck, Some(DiskLoss::Everything))),
        Kind::Restart => node(&Strike::Restart),
        Kind::Pause => node(&Strike::Pause),
        Kind::SlowDisk => node(&|struck| Strike::SlowDisk(struck, latency)),
        Kind::FullDisk => incident(Incident::DiskFilled, Some(Incident::DiskFreed)),
        Kind::ClockSkew => node(&|struck| Strike::Skew(struck, clock)),
        Kind::ClockJump => node(&|struck| Strike::Jump(struck, clock)),
        Kind::Cut => links(Impairment::Cut),
        Kind::SlowLink => links(Impairment::Delay { least: Span(latency.0 / 2), most: latency }),
        Kind::LossyLink => links(Impairment::Lose { per_million }),
        Kind::DuplicatingLink => links(Impairment::Duplicate { per_million, within: LATE_WITHIN }),
        Kind::ReorderingLink => links(Impairment::Reorder { per_million, within: LATE_WITHIN }),
        Kind::IsrShrink => places.within_its_kind(fault, Impairment::Cut),
        Kind::LostSwitches => places.said_by_the_centre(fault, Impairment::Lose { per_million }),
        Kind::LateSwitches => {
            places.said_by_the_centre(fault, Impairment::Delay { least: Span::ZERO, most: latency })
        }
        Kind::StaleSwitches => incident(Incident::SwitchesStale, Some(Incident::SwitchesFresh)),
        Kind::StaleReports => incident(Incident::ReportsStale, Some(Incident::ReportsFresh)),
        Kind::FailOver => places.fail_over(fault),
        Kind::LeaderElection => incident(Incident::ElectLeaders { unclean: false }, None),
        Kind::UncleanElection => incident(Incident::ElectLeaders { unclean: true }, None),
        Kind::Quota => {
            let quota = |bytes| Incident::Quota { bytes_per_second: bytes };
            let (begins, ends) = (quota(Some(figures.bytes)), quota(None));
            places.part(fault, false, &|struck| Strike::Incident(struck, begins, Some(ends)))
        }
        Kind::Burst => {
            let ahead = figures.ahead;
            places.part(fault, false, &|struck| Strike::Incident(struck, Incident::Burst { ahead }, None))
        }
        Kind::OversizedRecord => incident(Incident::Oversized { bytes: figures.bytes }, None),
        Kind::RollingRestart => places.one_after_the_other(fault),
        Kind::ScaleDown => places.scaled_down(fault),
        // Those that stand by are started.
        Kind::ScaleUp => places.part(fault, true, &Strike::Start),
    }
}

struct Places<'a> {
    layout: &'a Layout,
    network: &'a Network,
}

impl Places<'_> {
    fn struck(&self, target: Target) -> Struck {
        match target {
            Target::Node(node) => Struck::Node(node),
            Target::Role(Role::CorgiMaster(set)) => Struck::Leader(set),
            Target::Role(Role::CorgiSlave(set)) => Struck::Follower(set),
        }
    }

    fn name(&self, target: Target) -> String {
        match target {
            Target::Node(node) => self.layout.nodes.0[node.0 as usize].name.clone(),
            Target::Role(Role::CorgiMaster(set)) => format!("the master of corgi-{set}"),
            Target::Role(Role::CorgiSlave(set)) => format!("a slave of corgi-{set}"),
        }
    }

    /// One strike on the fault's node.
    fn node(&self, fault: &Fault, strike: &dyn Fn(Struck) -> Strike) -> (Vec<Staged>, String) {
        match fault.on.from {
            Side::One(target) => {
                (vec![Staged::whole(strike(self.struck(target)), fault.duration)], self.name(target))
            }
            _ => (Vec::new(), String::new()),
        }
    }

    /// The same strike on every node of the fault's part: those that stand by, or those that do not.
    fn part(&self, fault: &Fault, spare: bool, strike: &dyn Fn(Struck) -> Strike) -> (Vec<Staged>, String) {
        let strikes = self.nodes_of(fault, spare).into_iter().map(|node| strike(Struck::Node(node)));
        let staged = strikes.map(|strike| Staged::whole(strike, fault.duration)).collect();
        (staged, self.side_name(&fault.on.from))
    }

    /// The nodes of the fault's part, or its one node: those that stand by, or those that do not.
    fn nodes_of(&self, fault: &Fault, spare: bool) -> Vec<NodeId> {
        let nodes = &self.layout.nodes.0;
        let is_meant = |node: &crate::faults::Node| match fault.on.from {
            Side::Part(kind, part) => node.kind == kind && node.part == part,
            Side::One(Target::Node(id)) => node.id == id,
            _ => false,
        };
        nodes.iter().filter(|node| is_meant(node) && node.spare == spare).map(|node| node.id).collect()
    }

    /// Each node is stopped in its turn, and started again in the middle of it.
    fn one_after_the_other(&self, fault: &Fault) -> (Vec<Staged>, String) {
        let nodes = self.nodes_of(fault, false);
        let turn = Span(fault.duration.0 / nodes.len().max(1) as u64);
        let staged = (0u64..).zip(nodes).map(|(place, node)| Staged {
            after: turn * place,
            lasting: Span(turn.0 / 2),
            strike: Strike::Restart(Struck::Node(node)),
        });
        (staged.collect(), self.side_name(&fault.on.from))
    }

    /// Every second node is stopped at once; in the second half of the fault they come back one after the other.
    fn scaled_down(&self, fault: &Fault) -> (Vec<Staged>, String) {
        let nodes: Vec<NodeId> = self.nodes_of(fault, false).into_iter().step_by(2).collect();
        let half = Span(fault.duration.0 / 2);
        let turn = Span(half.0 / nodes.len().max(1) as u64);
        let staged = (1u64..).zip(nodes).map(|(place, node)| Staged {
            after: Span::ZERO,
            lasting: half + turn * place,
            strike: Strike::Restart(Struck::Node(node)),
        });
        (staged.collect(), self.side_name(&fault.on.from))
    }

    /// The on-call is told to fail the set of the fault's node over.
    fn fail_over(&self, fault: &Fault) -> (Vec<Staged>, String) {
        let Side::One(target) = fault.on.from else { return (Vec::new(), String::new()) };
        let set = set_of(target, self.layout);
        let struck = Struck::Node(self.layout.on_call);
        let strike = Strike::Incident(struck, Incident::FailOver { set }, None);
        (vec![Staged::whole(strike, fault.duration)], format!("corgi-{set}"))
    }

    /// The links between the fault's node and the others of its kind.
    fn within_its_kind(&self, fault: &Fault, impairment: Impairment) -> (Vec<Staged>, String) {
        let Side::One(Target::Node(node)) = fault.on.from else { return (Vec::new(), String::new()) };
        let to = Side::Kind(self.layout.nodes.0[node.0 as usize].kind);
        self.links(&Link { to, one_way: false, ..fault.on }, fault.duration, impairment)
    }

    /// What the switch centre says to the fault's node.
    fn said_by_the_centre(&self, fault: &Fault, impairment: Impairment) -> (Vec<Staged>, String) {
        let centre = Side::One(Target::Node(self.layout.switch_centre));
        self.links(&Link { from: centre, to: fault.on.from, one_way: true }, fault.duration, impairment)
    }

    fn links(&self, link: &Link, lasting: Span, impairment: Impairment) -> (Vec<Staged>, String) {
        let strike = |from: &Side, to: &Side| {
            Staged::whole(Strike::Network { from: self.side(from), to: self.side(to), impairment }, lasting)
        };
        let mut strikes = vec![strike(&link.from, &link.to)];
        let arrow = if link.one_way { "to" } else { "and" };
        if !link.one_way {
            strikes.push(strike(&link.to, &link.from));
        }
        let (from, to) = (self.side_name(&link.from), self.side_name(&link.to));
        let named = match (&link.from, &link.to) {
            (Side::Everybody, Side::Everybody) => "any two nodes".to_owned(),
            (Side::Kind(one), Side::Kind(other)) if one == other => format!("any two of kind {one}"),
            (Side::Site(one), Side::Site(other)) if one == other => format!("any two nodes of {from}"),
            _ => format!("{from} {arrow} {to}"),
        };
        (strikes, named)
    }

    fn side(&self, side: &Side) -> world::Side {
        let nodes_where = |wanted: &dyn Fn(NodeKind) -> bool| {
            let nodes = self.layout.nodes.0.iter().filter(|node| wanted(node.kind));
            world::Side::Nodes(NodeSet::Some(nodes.map(|node| node.id).collect()))
        };
        match side {
            Side::One(target) => world::Side::One(self.struck(*target)),
            Side::Kind(kind) => nodes_where(&|of| of == *kind),
            Side::Part(kind, part) => {
                let of_part = |node: &&crate::faults::Node| node.kind == *kind && node.part == *part;
                let nodes = self.layout.nodes.0.iter().filter(of_part).map(|node| node.id);
                world::Side::Nodes(NodeSet::Some(nodes.collect()))
            }
            Side::Site(site) => nodes_where(&|of| self.network.site_of(of) == *site),
            Side::Everybody => world::Side::Nodes(NodeSet::All),
        }
    }

    /// What its nodes have in common before their number: `fulfilment-new`.
    fn part_name(&self, kind: NodeKind, part: u16) -> String {
        let mut nodes = self.layout.nodes.0.iter();
        let first = nodes.find(|node| node.kind == kind && node.part == part);
        let prefix = first.and_then(|node| node.name.rsplit_once('-')).map(|(prefix, _)| prefix.to_owned());
        format!("every {}", prefix.unwrap_or_else(|| kind.to_string()))
    }

    fn side_name(&self, side: &Side) -> String {
        match side {
            Side::One(target) => self.name(*target),
            Side::Kind(kind) => format!("every {kind}"),
            Side::Part(kind, part) => self.part_name(*kind, *part),
            Side::Site(site) => match self.network.sites.keys().nth(usize::from(*site)) {
                Some(name) => format!("the site {name}"),
                None => format!("the site {site}"),
            },
            Side::Everybody => "everybody else".to_owned(),
        }
    }
}

/// The node ids of a broker set in ascending order, as a circle wants them.
pub fn circle(brokers: &[NodeId]) -> world::Circle {
    let mut members = brokers.to_vec();
    members.sort_unstable();
    world::Circle { members, leader: brokers[0] }
}
