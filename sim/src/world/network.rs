//! The network: per-link latency, first in first out, and the rules that faults lay over it (cuts, loss, delay,
//! duplication, reordering). Bandwidth is left out: records are small beside the links.

use crate::random::Stream;
use cutover_model::record::NodeId;
use cutover_model::units::{Span, Time};
use serde::Serialize;

/// Which nodes a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum NodeSet {
    /// Every node.
    All,
    /// These, in ascending order.
    Some(Vec<NodeId>),
}

impl NodeSet {
    /// The set of just that node.
    pub fn one(node: NodeId) -> NodeSet {
        NodeSet::Some(vec![node])
    }

    /// Whether a node is in the set.
    pub fn contains(&self, node: NodeId) -> bool {
        match self {
            NodeSet::All => true,
            NodeSet::Some(nodes) => nodes.binary_search(&node).is_ok(),
        }
    }
}

/// What a rule does to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Impairment {
    /// Nothing passes.
    Cut,
    /// So many of a million messages vanish.
    Lose {
        /// Of a million.
        per_million: u32,
    },
    /// Every message takes so much longer.
    Delay {
        /// At least.
        least: Span,
        /// At most.
        most: Span,
    },
    /// So many of a million messages come a second time, up to `within` later.
    Duplicate {
        /// Of a million.
        per_million: u32,
        /// How much later at most.
        within: Span,
    },
    /// So many of a million messages come up to `within` later, and what is sent after them may overtake them.
    Reorder {
        /// Of a million.
        per_million: u32,
        /// By how much at most.
        within: Span,
    },
}

/// A rule that a fault lays over the network, in one direction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// The fault that laid it.
    pub fault: u32,
    /// Who sends.
    pub from: NodeSet,
    /// Who receives.
    pub to: NodeSet,
    /// What happens.
    pub impairment: Impairment,
}

/// The latency between two sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// At least.
    pub least: Span,
    /// At most.
    pub most: Span,
}

/// When copies of a message arrive: none, one or two times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// The message itself.
    pub first: Option<Time>,
    /// Its duplicate.
    pub second: Option<Time>,
}

/// The network's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Network {
    sites: Vec<u8>,
    latencies: Vec<Vec<Latency>>,
    rules: Vec<Rule>,
    /// By sender and receiver, row after row: the latest arrival, so that a link stays first in first out.
    links: Vec<Time>,
    stream: Stream,
}

impl Network {
    /// A network of nodes that stand at these sites, with the latencies from site to site.
    pub fn new(sites: Vec<u8>, latencies: Vec<Vec<Latency>>, stream: Stream) -> Network {
        let links = vec![Time::ZERO; sites.len() * sites.len()];
        Network { sites, latencies, rules: Vec::new(), links, stream }
    }

    /// Lay a rule over the network.
    pub fn lay(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// Lift all rules of a fault.
    pub fn lift(&mut self, fault: u32) {
        self.rules.retain(|rule| rule.fault != fault);
    }

    /// Lift all rules.
    pub fn heal(&mut self) {
        self.rules.clear();
    }

    /// When a message that is sent now arrives.
    #[inline]
    pub fn carry(&mut self, now: Time, from: NodeId, to: NodeId) -> Arrivals {
        let latency =
            self.latencies[usize::from(self.sites[from.0 as usize])][usize::from(self.sites[to.0 as usize])];
        let at = now + self.stream.between(latency.least, latency.most);
        if self.rules.is_empty() {
            return Arrivals { first: Some(self.in_order(from, to, at)), second: None };
        }
        self.carry_by_the_rules(from, to, at)
    }

    /// The same where faults have laid rules over the network.
    #[inline(never)]
    fn carry_by_the_rules(&mut self, from: NodeId, to: NodeId, mut at: Time) -> Arrivals {
        let (mut is_late, mut second) = (false, None);
        for rule in &self.rules {
            if !rule.from.contains(from) || !rule.to.contains(to) {
                continue;
            }
            match rule.impairment {
                Impairment::Cut => return Arrivals::default(),
                Impairment::Lose { per_million } if self.stream.chance(per_million) => {
                    return Arrivals::default();
                }
                Impairment::Lose { .. } => {}
                Impairment::Delay { least, most } => at += self.stream.between(least, most),
                Impairment::Duplicate { per_million, within } => {
                    if self.stream.chance(per_million) {
                        second = Some(self.stream.between(Span::ZERO, within));
                    }
                }
                Impairment::Reorder { per_million, within } => {
                    if self.stream.chance(per_million) {
                        is_late = true;
                        at += self.stream.between(Span::ZERO, within);
                    }
                }
            }
        }
        let first = if is_late { at } else { self.in_order(from, to, at) };
        Arrivals { first: Some(first), second: second.map(|later| first + later) }
    }

    /// A connection is given up: what is sent from now on does not wait for what was sent before.
    pub fn reconnect(&mut self, one: NodeId, other: NodeId) {
        *self.link(one, other) = Time::ZERO;
        *self.link(other, one) = Time::ZERO;
    }

    fn link(&mut self, from: NodeId, to: NodeId) -> &mut Time {
        &mut self.links[from.0 as usize * self.sites.len() + to.0 as usize]
    }

    /// Not before what was sent on the link earlier.
    fn in_order(&mut self, from: NodeId, to: NodeId, at: Time) -> Time {
        let latest = self.link(from, to);
        *latest = at.max(*latest);
        *latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Streams;

    fn network() -> Network {
        let latency = Latency { least: Span::millis(1), most: Span::millis(9) };
        Network::new(vec![0; 3], vec![vec![latency]], Streams::new(7).stream("network"))
    }

    fn rule(impairment: Impairment) -> Rule {
        Rule { fault: 4, from: NodeSet::one(NodeId(0)), to: NodeSet::All, impairment }
    }

    #[test]
    fn a_link_is_first_in_first_out() {
        let mut network = network();
        let arrivals: Vec<_> =
            (0..200).map(|sent| network.carry(Time(sent * 10), NodeId(0), NodeId(1)).first).collect();
        assert!(arrivals.is_sorted());
    }

    #[test]
    fn a_new_connection_does_not_wait_for_what_is_late_on_the_old_one() {
        let mut network = network();
        let late = network.carry(Time(40_000_000), NodeId(0), NodeId(1)).first;
        assert!(network.carry(Time(1), NodeId(0), NodeId(1)).first >= late);
        network.reconnect(NodeId(1), NodeId(0));
        assert!(network.carry(Time(2), NodeId(0), NodeId(1)).first < late);
    }

    #[test]
    fn a_cut_goes_one_way_and_ends_with_its_fault() {
        let mut network = network();
        network.lay(rule(Impairment::Cut));
        assert_eq!(network.carry(Time(0), NodeId(0), NodeId(1)), Arrivals::default());
        assert!(network.carry(Time(0), NodeId(1), NodeId(0)).first.is_some());
        assert_eq!(network.carry(Time(0), NodeId(0), NodeId(2)), Arrivals::default());
        assert!(network.carry(Time(0), NodeId(2), NodeId(0)).first.is_some());
        network.lift(4);
        assert!(network.carry(Time(0), NodeId(0), NodeId(1)).first.is_some());
    }

    #[test]
    fn reordering_and_duplication_happen() {
        let mut network = network();
        network.lay(rule(Impairment::Reorder { per_million: 500_000, within: Span::secs(1) }));
        network.lay(rule(Impairment::Duplicate { per_million: 500_000, within: Span::secs(1) }));
        let arrivals: Vec<_> = (0..100).map(|sent| network.carry(Time(sent), NodeId(0), NodeId(1))).collect();
        assert!(!arrivals.iter().map(|arrival| arrival.first).is_sorted());
        let twice = arrivals.iter().filter(|arrival| arrival.second.is_some()).count();
        assert!((30..70).contains(&twice), "{twice}");
    }

    #[test]
    fn loss_takes_about_its_share() {
        let mut network = network();
        network.lay(rule(Impairment::Lose { per_million: 200_000 }));
        let lost =
            (0..1000).filter(|sent| network.carry(Time(*sent), NodeId(0), NodeId(1)).first.is_none()).count();
        assert!((150..250).contains(&lost), "{lost}");
    }
}
