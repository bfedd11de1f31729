//! The hosts on which the NewClients run: who listens at which port, so that somebody else may have the address that a
//! process had.
//!
//! The world keeps it, as it keeps the network: a process that starts is given a port of its host and has it until it
//! ends, and what is called by its address reaches whoever has it by then. Left out: a host that dies with all that
//! runs on it, an instance that comes back on another host, and ports that other programs take.

use crate::record::NodeId;
use crate::rewind::{Address, FIRST_PORT, HostId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The hosts, as a case file gives them: `[hosts]`. How consumers are placed and which ports they take is assumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// How many hosts the instances of all groups share: the first instance of each group runs on the first host, the
    /// second on the second, and in turn. Without it each instance has a host to itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Which port a process is given when it starts.
    pub ports: Ports,
}

impl Settings {
    /// Whether there is a host to run on.
    ///
    /// # Errors
    /// One sentence that names the setting.
    pub fn validate(&self) -> Result<(), String> {
        match self.count {
            Some(0) => Err("count is 0: instances need a host to run on".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Which port a host gives to a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ports {
    /// The lowest that is free: the next to start has the port of one that died.
    #[default]
    LowestFree,
    /// The one behind that it gave last: no process has the port of another.
    InTurn,
}

/// Who runs where, and listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hosts {
    ports: Ports,
    /// The host of each instance.
    homes: BTreeMap<NodeId, HostId>,
    /// Who listens now.
    listening: BTreeMap<Address, Listener>,
    /// Who listened last at each address.
    before: BTreeMap<Address, NodeId>,
    /// The port that each host gave last.
    last_given: BTreeMap<HostId, u16>,
}

/// A process that listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Listener {
    node: NodeId,
    /// Who has called it, and is connected with it.
    callers: BTreeSet<NodeId>,
}

/// What a process was given when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Given {
    /// Its address.
    pub address: Address,
    /// Who had it last, if somebody else did.
    pub before: Option<NodeId>,
}

impl Hosts {
    /// Hosts for these instances, by group; nobody listens yet.
    pub fn new(settings: Settings, groups: &[Vec<NodeId>]) -> Hosts {
        let place = |(number, node): (u32, &NodeId)| match settings.count {
            Some(count) => (*node, HostId(number % count.max(1))),
            None => (*node, HostId::own(*node)),
        };
        let homes = groups.iter().flat_map(|group| (0..).zip(group).map(place)).collect();
        Hosts { ports: settings.ports, homes, ..Hosts::default() }
    }

    /// A process starts. Returns what it is given; nothing where it does not listen at all.
    pub fn start(&mut self, node: NodeId) -> Option<Given> {
        let host = *self.homes.get(&node)?;
        let address = Address { host, port: self.next_port(host)? };
        self.last_given.insert(host, address.port);
        self.listening.insert(address, Listener { node, callers: BTreeSet::new() });
        let before = self.before.insert(address, node).filter(|before| *before != node);
        Some(Given { address, before })
    }

    fn next_port(&self, host: HostId) -> Option<u16> {
        let first = match self.ports {
            Ports::LowestFree => FIRST_PORT,
            Ports::InTurn => {
                self.last_given.get(&host).map_or(Some(FIRST_PORT), |last| last.checked_add(1))?
            }
        };
        (first..=u16::MAX).find(|port| !self.listening.contains_key(&Address { host, port: *port }))
    }

    /// A process has ended. Returns its address, and who was connected with it by that.
    pub fn end(&mut self, node: NodeId) -> Option<(Address, BTreeSet<NodeId>)> {
        let (address, _) = self.listening.iter().find(|(_, listener)| listener.node == node)?;
        let address = *address;
        self.listening.remove(&address).map(|listener| (address, listener.callers))
    }

    /// Who listens at that address.
    pub fn listener(&self, address: Address) -> Option<NodeId> {
        self.listening.get(&address).map(|listener| listener.node)
    }

    /// An instance of that host, by whose links it can be reached; none where nobody has ever been placed there.
    pub fn reached_by(&self, address: Address) -> Option<NodeId> {
        let of_host = || self.homes.iter().find(|(_, host)| **host == address.host).map(|(node, _)| *node);
        self.listener(address).or_else(of_host)
    }

    /// Somebody has called that address. Returns who answers there.
    pub fn call(&mut self, address: Address, caller: NodeId) -> Option<NodeId> {
        let listener = self.listening.get_mut(&address)?;
        listener.callers.insert(caller);
        Some(listener.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId(10);
    const B: NodeId = NodeId(11);
    const C: NodeId = NodeId(20);
    const CALLER: NodeId = NodeId(3);

    fn shared(count: u32, ports: Ports) -> Hosts {
        Hosts::new(Settings { count: Some(count), ports }, &[vec![A, B], vec![C]])
    }

    fn port(given: Option<Given>) -> (u32, u16, Option<NodeId>) {
        let given = given.expect("it listens");
        (given.address.host.0, given.address.port, given.before)
    }

    #[test]
    fn instances_are_placed_in_turn_and_the_next_to_start_has_the_lowest_free_port() {
        let mut hosts = shared(2, Ports::LowestFree);
        assert_eq!(port(hosts.start(A)), (0, 9_000, None));
        assert_eq!(port(hosts.start(B)), (1, 9_000, None));
        assert_eq!(port(hosts.start(C)), (0, 9_001, None));
        hosts.end(A);
        hosts.end(C);
        assert_eq!(port(hosts.start(C)), (0, 9_000, Some(A)));
        assert_eq!(port(hosts.start(A)), (0, 9_001, Some(C)));
        hosts.end(A);
        assert_eq!(port(hosts.start(A)), (0, 9_001, None));
    }

    #[test]
    fn ports_in_turn_are_nobody_elses() {
        let mut hosts = shared(1, Ports::InTurn);
        assert_eq!(port(hosts.start(A)).1, 9_000);
        hosts.end(A);
        assert_eq!(port(hosts.start(B)).1, 9_001);
        assert_eq!(port(hosts.start(A)), (0, 9_002, None));
    }

    #[test]
    fn an_instance_has_its_host_to_itself_where_nobody_shares_one() {
        let mut hosts = Hosts::new(Settings::default(), &[vec![A, B], vec![C]]);
        assert_eq!(hosts.start(A).map(|given| given.address), Some(Address::own(A)));
        assert_eq!(hosts.start(B).map(|given| given.address), Some(Address::own(B)));
        assert_eq!(hosts.start(CALLER), None);
    }

    #[test]
    fn a_call_reaches_whoever_has_the_address_and_is_told_of_its_end() {
        let mut hosts = shared(2, Ports::LowestFree);
        let address = hosts.start(A).expect("it listens").address;
        assert_eq!(hosts.call(address, CALLER), Some(A));
        assert_eq!(hosts.end(A), Some((address, [CALLER].into())));
        assert_eq!(hosts.call(address, CALLER), None);
        assert_eq!(hosts.reached_by(address), Some(A), "its host is there");
        hosts.start(C);
        assert_eq!(hosts.call(address, CALLER), Some(C));
        assert_eq!(hosts.end(B), None, "it never listened");
    }
}
