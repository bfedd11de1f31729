//! What a drawn fault does to the world, in the world's own terms.

use super::layout::Layout;
use crate::case::network::Network;
use crate::faults::{Fault, FaultKind, Link, NodeKind, Role, Side, Target};
use crate::world::{self, Impairment, NodeSet, ReadyFault, Strike, Struck};
use cutover_model::record::NodeId;
use cutover_model::units::Span;

/// How far a duplicate or a late message comes behind.
const LATE_WITHIN: Span = Span::secs(2);

/// The fault, ready to strike.
pub fn ready(fault: &Fault, layout: &Layout, network: &Network) -> ReadyFault {
    let places = Places { layout, network };
    let node = |target: &Target| (places.struck(*target), places.name(*target));
    let (strikes, target) = match &fault.kind {
        FaultKind::Crash { target } => one(node(target), Strike::Crash),
        FaultKind::Restart { target } => one(node(target), Strike::Restart),
        FaultKind::Pause { target } => one(node(target), Strike::Pause),
        FaultKind::ClockSkew { target, skew, behind } => {
            let micros = i64::try_from(skew.0).unwrap_or(i64::MAX);
            one(node(target), |struck| Strike::Skew(struck, if *behind { -micros } else { micros }))
        }
        FaultKind::Cut { link } => places.links(link, Impairment::Cut),
        FaultKind::SlowLink { link, added } => {
            places.links(link, Impairment::Delay { least: Span(added.0 / 2), most: *added })
        }
        FaultKind::LossyLink { link, per_million } => {
            places.links(link, Impairment::Lose { per_million: *per_million })
        }
        FaultKind::DuplicatingLink { link, per_million } => {
            places.links(link, Impairment::Duplicate { per_million: *per_million, within: LATE_WITHIN })
        }
        FaultKind::ReorderingLink { link, per_million } => {
            places.links(link, Impairment::Reorder { per_million: *per_million, within: LATE_WITHIN })
        }
    };
    ReadyFault { kind: fault.kind.to_string(), target, duration: fault.duration, strikes }
}

fn one((struck, name): (Struck, String), strike: impl Fn(Struck) -> Strike) -> (Vec<Strike>, String) {
    (vec![strike(struck)], name)
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

    fn links(&self, link: &Link, impairment: Impairment) -> (Vec<Strike>, String) {
        let strike =
            |from: &Side, to: &Side| Strike::Network { from: self.side(from), to: self.side(to), impairment };
        let mut strikes = vec![strike(&link.from, &link.to)];
        let arrow = if link.one_way { "to" } else { "and" };
        if !link.one_way {
            strikes.push(strike(&link.to, &link.from));
        }
        let (from, to) = (self.side_name(&link.from), self.side_name(&link.to));
        let named = match (&link.from, &link.to) {
            (Side::Everybody, Side::Everybody) => "any two nodes".to_owned(),
            (Side::Kind(one), Side::Kind(other)) if one == other => format!("any two of kind {one}"),
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
            Side::Site(site) => nodes_where(&|of| self.network.site_of(of) == *site),
            Side::Everybody => world::Side::Nodes(NodeSet::All),
        }
    }

    fn side_name(&self, side: &Side) -> String {
        match side {
            Side::One(target) => self.name(*target),
            Side::Kind(kind) => format!("every {kind}"),
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
