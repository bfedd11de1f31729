//! The network and the clocks of a case, as its file gives them.

use crate::faults::NodeKind;
use cutover_model::units::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `[network]`: how long messages take, and what stands where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Network {
    /// How long a message takes within a site, one way.
    pub within: Latency,
    /// How long a message takes between sites, one way.
    pub between: Latency,
    /// The sites by name, and the kinds of node that stand in each. Every kind stands in one.
    pub sites: BTreeMap<String, Vec<NodeKind>>,
}

impl Default for Network {
    fn default() -> Network {
        use NodeKind::*;
        let old = vec![
            CorgiBroker,
            NameService,
            OnCall,
            Producer,
            OldConsumer,
            NewConsumer,
            SwitchCentre,
            Deployment,
            Operator,
            Redis,
        ];
        let cloud = vec![KafkaBroker, KafkaController, Mirror];
        Network {
            within: Latency { least: Span::micros(200), most: Span::millis(1) },
            between: Latency { least: Span::millis(2), most: Span::millis(6) },
            sites: BTreeMap::from([("old".to_owned(), old), ("cloud".to_owned(), cloud)]),
        }
    }
}

impl Network {
    /// The site of a kind of node: its place in the sites' alphabetical order.
    pub fn site_of(&self, kind: NodeKind) -> u16 {
        let place = self.sites.values().position(|kinds| kinds.contains(&kind));
        place.unwrap_or(0) as u16
    }

    /// The site of that name.
    pub fn site_named(&self, name: &str) -> Option<u16> {
        self.sites.keys().position(|site| site == name).map(|place| place as u16)
    }
}

/// How long a message takes: each span between the two is as likely as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Latency {
    /// At least.
    pub least: Span,
    /// At most.
    pub most: Span,
}

/// `[clocks]`: how wrong the nodes' wall clocks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Clocks {
    /// Each node's clock is ahead or behind by up to this, drawn once a run.
    pub skew: Span,
}

impl Default for Clocks {
    fn default() -> Clocks {
        Clocks { skew: Span::millis(20) }
    }
}
