//! Which nodes a case has, in which order, under which names.

use crate::case::Case;
use crate::faults::{Node, NodeKind, Nodes};
use cutover_model::record::NodeId;
use serde::Serialize;

/// The nodes of a case by what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Layout {
    /// By broker set: its brokers, the first master first. Those that stand by come last.
    pub corgi: Vec<Vec<NodeId>>,
    /// How many of the broker sets run from the beginning.
    pub standing_sets: usize,
    /// Corgi's name service.
    pub name_service: NodeId,
    /// The people who fail Corgi over.
    pub on_call: NodeId,
    /// Kafka's controller.
    pub controller: NodeId,
    /// Kafka's brokers.
    pub kafka: Vec<NodeId>,
    /// The switch centre.
    pub switch_centre: NodeId,
    /// The deployment.
    pub deployment: NodeId,
    /// The operator.
    pub operator: NodeId,
    /// The mirror's workers.
    pub mirror: Vec<NodeId>,
    /// The producers.
    pub producers: Vec<NodeId>,
    /// By group: the instances with the OldClient.
    pub old: Vec<Vec<NodeId>>,
    /// By group: the instances with the NewClient.
    pub new: Vec<Vec<NodeId>>,
    /// By group: the instances with the NewClient that stand by.
    pub spare: Vec<Vec<NodeId>>,
    /// Redis, where the case has one.
    pub redis: Option<NodeId>,
    /// The reverse mirror's workers, where the case has one.
    pub reverse_mirror: Vec<NodeId>,
    /// All of them, in the order of their ids.
    pub nodes: Nodes,
}

/// How many brokers a broker set has: a master and two slaves.
pub const SET_BROKERS: u16 = 3;

/// The part of the mirror's kind of node that the reverse mirror's workers are.
pub const REVERSE_MIRROR: u16 = 1;

impl Layout {
    /// The layout of a case.
    pub fn of(case: &Case) -> Layout {
        let mut layout = Layout::default();
        for set in 0..case.corgi.broker_sets {
            let brokers = (0..SET_BROKERS)
                .map(|index| layout.add(NodeKind::CorgiBroker, format!("corgi-{set}-{index}"), set));
            let brokers = brokers.collect();
            layout.corgi.push(brokers);
        }
        layout.standing_sets = layout.corgi.len();
        layout.name_service = layout.add(NodeKind::NameService, "name-service".to_owned(), 0);
        layout.on_call = layout.add(NodeKind::OnCall, "on-call".to_owned(), 0);
        layout.controller = layout.add(NodeKind::KafkaController, "kafka-controller".to_owned(), 0);
        layout.kafka = layout.add_all(NodeKind::KafkaBroker, "kafka", case.kafka.brokers, 0);
        layout.switch_centre = layout.add(NodeKind::SwitchCentre, "switch-centre".to_owned(), 0);
        layout.deployment = layout.add(NodeKind::Deployment, "deployment".to_owned(), 0);
        layout.operator = layout.add(NodeKind::Operator, "operator".to_owned(), 0);
        layout.mirror = layout.add_all(NodeKind::Mirror, "mirror", u32::from(case.mirror.workers), 0);
        layout.producers = layout.add_all(NodeKind::Producer, "producer", case.producers.count, 0);
        for (group, part) in case.groups.iter().zip(0..) {
            let old =
                layout.add_all(NodeKind::OldConsumer, &format!("{}-old", group.name), group.instances, part);
            layout.old.push(old);
        }
        for (group, part) in case.groups.iter().zip(0..) {
            let new =
                layout.add_all(NodeKind::NewConsumer, &format!("{}-new", group.name), group.instances, part);
            layout.new.push(new);
        }
        for (group, part) in case.groups.iter().zip(0..) {
            let spare = (0..group.spare_instances).map(|number| {
                let name = format!("{}-new-{}", group.name, group.instances + number);
                layout.add_spare(NodeKind::NewConsumer, name, part)
            });
            let spare = spare.collect();
            layout.spare.push(spare);
        }
        // Behind all others, so that a case has the same nodes with it and without it.
        if case.redis().is_some() {
            layout.redis = Some(layout.add(NodeKind::Redis, "redis".to_owned(), 0));
        }
        if let Some(reverse) = case.reverse_mirror() {
            let workers = u32::from(reverse.workers);
            layout.reverse_mirror =
                layout.add_all(NodeKind::Mirror, "reverse-mirror", workers, REVERSE_MIRROR);
        }
        for set in (case.corgi.broker_sets..).take(usize::from(case.corgi.standby_sets)) {
            let brokers = (0..SET_BROKERS)
                .map(|index| layout.add_spare(NodeKind::CorgiBroker, format!("corgi-{set}-{index}"), set));
            let brokers = brokers.collect();
            layout.corgi.push(brokers);
        }
        layout
    }

    /// By group: all instances with the NewClient, those that stand by behind the others.
    pub fn new_clients(&self) -> Vec<Vec<NodeId>> {
        self.new.iter().zip(&self.spare).map(|(new, spare)| [&new[..], spare].concat()).collect()
    }

    /// The broker sets that run from the beginning.
    pub fn standing(&self) -> &[Vec<NodeId>] {
        &self.corgi[..self.standing_sets]
    }

    /// The broker sets that stand by.
    pub fn standby(&self) -> &[Vec<NodeId>] {
        &self.corgi[self.standing_sets..]
    }

    fn add_all(&mut self, kind: NodeKind, name: &str, count: u32, part: u16) -> Vec<NodeId> {
        (0..count).map(|number| self.add(kind, format!("{name}-{number}"), part)).collect()
    }

    fn add_spare(&mut self, kind: NodeKind, name: String, part: u16) -> NodeId {
        let id = self.add(kind, name, part);
        self.nodes.0[id.0 as usize].spare = true;
        id
    }

    fn add(&mut self, kind: NodeKind, name: String, part: u16) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.0.len()).expect("a case has at most 2,000 nodes"));
        let domain = domain_of(kind, part, &name);
        self.nodes.0.push(Node { id, name, kind, part, domain, spare: false });
        id
    }
}

/// What tolerates one fault at a time. A broker set and those who fail it over stand and fall together; so do Kafka's
/// brokers and their controller, a group's instances, and what moves the plan along.
fn domain_of(kind: NodeKind, part: u16, name: &str) -> String {
    match kind {
        NodeKind::CorgiBroker | NodeKind::NameService | NodeKind::OnCall => "corgi".to_owned(),
        NodeKind::KafkaBroker | NodeKind::KafkaController => "kafka".to_owned(),
        NodeKind::Mirror if part == REVERSE_MIRROR => "reverse-mirror".to_owned(),
        NodeKind::Mirror => "mirror".to_owned(),
        NodeKind::OldConsumer | NodeKind::NewConsumer => format!("group-{part}"),
        NodeKind::SwitchCentre | NodeKind::Deployment | NodeKind::Operator => "control".to_owned(),
        NodeKind::Producer | NodeKind::Redis => name.to_owned(),
    }
}
