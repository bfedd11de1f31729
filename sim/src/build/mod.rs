//! From a case and a seed to a world that is ready to run: the nodes and how they know each other, the workload, the
//! faults, the clocks.

mod layout;
mod process;
mod strikes;
mod wire;

pub use layout::{Layout, REVERSE_MIRROR, SET_BROKERS};
pub use process::Process;

use crate::case::Case;
use crate::faults::{self, Fault, NodeKind, When};
use crate::random::{Stream, Streams};
use crate::run::ledger::Ledger;
use crate::workload::Workload;
use crate::world::{Latency, Moment, Network, Node, Rare, World};
use cutover_model::check::{Outline, Sending, Storing, Subject, SubjectGroup, SubjectTopic};
use cutover_model::client::kafka_producer_settings;
use cutover_model::hosts::Hosts;
use cutover_model::record::{NodeId, TopicId};
use cutover_model::units::Span;

/// A world that is ready to run, and what must be known beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The world; everything that runs from the beginning has been started.
    pub world: World<Process>,
    /// What the checkers may know.
    pub subject: Subject,
    /// What there is to do.
    pub ledger: Ledger,
}

/// The faults that a case draws for a seed.
pub fn faults(case: &Case, seed: u64) -> Vec<Fault> {
    faults::draw(case, &Layout::of(case).nodes, &mut Streams::new(seed).stream("faults"))
}

/// Build the world of a case for a seed, under these faults: a fault's number is its place.
pub fn build(case: &Case, seed: u64, faults: &[Fault]) -> Setup {
    let streams = Streams::new(seed);
    let layout = Layout::of(case);
    let workload = Workload::draw(case, streams);
    let records: Vec<usize> = workload.producers.iter().map(|sends| sends.len()).collect();
    let mut world = World::new(nodes(case, &layout, &workload, streams), network(case, &layout, streams));
    world.set_circles(layout.corgi.iter().map(|brokers| strikes::circle(brokers)).collect());
    if layout.redis.is_some() {
        let settings = case.hosts.unwrap_or_default();
        world.set_hosts(Hosts::new(settings, &layout.new_clients()), case.hosts.is_some());
    }
    for fault in faults {
        let ready = strikes::ready(fault, &layout, &case.network);
        match &fault.when {
            When::At(at) => world.add_fault(*at, ready),
            When::InPhase { phase, after } => world.add_fault_at(Moment::Phase(phase.clone()), *after, ready),
            When::AtStep { phase, step, after } => {
                world.add_fault_at(Moment::Step(phase.clone(), *step), *after, ready)
            }
        };
    }
    if let Some(rare) = &case.faults.rare {
        world.set_rare(Rare::draw(rare, streams.stream("rare")));
    }
    for node in wire::running_at_first(case, &layout) {
        world.start(node);
    }
    let ledger = Ledger::new(&records, &readers(case), !case.plan.phases.is_empty());
    Setup { world, subject: case.subject(), ledger }
}

/// The processes of a case before any of them is started, in the order of their nodes, and those that run from the
/// beginning: for whoever steps them without a world.
pub fn processes(case: &Case, seed: u64) -> (Vec<Process>, Vec<NodeId>) {
    let layout = Layout::of(case);
    let workload = Workload::draw(case, Streams::new(seed));
    let processes = wire::processes(case, &layout, &workload).into_iter().map(|(_, process)| process);
    (processes.collect(), wire::running_at_first(case, &layout))
}

fn nodes(case: &Case, layout: &Layout, workload: &Workload, streams: Streams) -> Vec<Node<Process>> {
    let reverse = case.reverse_mirror();
    let mut clocks = streams.stream("clocks");
    let processes = wire::processes(case, layout, workload);
    assert_eq!(processes.len(), layout.nodes.0.len(), "every node of the layout has its process");
    let nodes = processes.into_iter().zip(&layout.nodes.0).map(|((id, process), placed)| {
        assert_eq!(id, placed.id, "the processes come in the order of the nodes");
        let mut node = Node::new(process, streams.stream_of("node", u64::from(id.0)));
        node.skew_micros = skew(case.clocks.skew, &mut clocks);
        if placed.kind == NodeKind::Mirror {
            let reverse = reverse.as_ref().filter(|_| placed.part == layout::REVERSE_MIRROR);
            node.restart_after = reverse.map_or(case.mirror.restart_delay, |it| it.restart_delay);
        }
        node
    });
    nodes.collect()
}

/// A clock's error, up to `most` ahead or behind.
fn skew(most: Span, stream: &mut Stream) -> i64 {
    let drawn = stream.between(Span::ZERO, most + most);
    i64::try_from(drawn.0).unwrap_or(i64::MAX) - i64::try_from(most.0).unwrap_or(i64::MAX)
}

fn network(case: &Case, layout: &Layout, streams: Streams) -> Network {
    let sites: Vec<u8> = layout.nodes.0.iter().map(|node| case.network.site_of(node.kind) as u8).collect();
    let count = usize::from(sites.iter().copied().max().unwrap_or(0)) + 1;
    let latency = |within: bool| {
        let given = if within { case.network.within } else { case.network.between };
        Latency { least: given.least, most: given.most }
    };
    let latencies = (0..count).map(|from| (0..count).map(|to| latency(from == to)).collect()).collect();
    Network::new(sites, latencies, streams.stream("network"))
}

/// By topic: the groups that read it.
fn readers(case: &Case) -> Vec<Vec<u16>> {
    let reads = |group: &crate::case::Group, topic: &str| group.topics.iter().any(|name| name == topic);
    let of_topic = |topic: &crate::case::Topic| {
        (0u16..).zip(&case.groups).filter(|(_, group)| reads(group, &topic.name)).map(|(id, _)| id).collect()
    };
    case.topics.iter().map(of_topic).collect()
}

fn sending(settings: &kafka_producer_settings::Settings) -> Sending {
    Sending { acks: settings.acks, idempotent: settings.idempotent() }
}

impl Case {
    /// What the checkers and the stories may know of the case.
    pub fn subject(&self) -> Subject {
        let layout = Layout::of(self);
        let topic = |topic: &crate::case::Topic| SubjectTopic {
            name: topic.name.clone(),
            partitions: topic.partitions,
        };
        let group = |group: &crate::case::Group| SubjectGroup {
            name: group.name.clone(),
            ordered: group.ordered,
            harmed_by_duplicates: !group.application.idempotent,
            topics: group.topics.iter().filter_map(|name| self.topic(name)).collect::<Vec<TopicId>>(),
        };
        Subject {
            topics: self.topics.iter().map(topic).collect(),
            groups: self.groups.iter().map(group).collect(),
            nodes: layout.nodes.0.iter().map(|node| node.name.clone()).collect(),
            producers: layout.producers.clone(),
            phases: self.plan.phases.iter().map(|phase| phase.name.clone()).collect(),
            corgi_sets: layout.corgi.clone(),
            placed: self.placed(),
            producer: sending(&self.producers.kafka),
            mirror: sending(&self.mirror.kafka),
            corgi: self.storing(),
            switch_centre: Some(layout.switch_centre),
            objectives: self.objectives.clone(),
            rewinds: self.plan.rewinds(),
            widens: self.plan.widens(),
            waits_for_time: self.plan.waits_for_time(),
            outline: Some(Outline::of(&self.plan, self.mirror.commit)),
        }
    }

    fn storing(&self) -> Storing {
        Storing {
            replication: self.corgi.replication,
            accept: self.producers.corgi.accept,
            accept_back: self.reverse_mirror().map(|it| it.corgi.accept).unwrap_or_default(),
        }
    }

    /// By topic: the broker set of each source partition, as far as the plan places them by hand.
    fn placed(&self) -> Vec<Vec<u16>> {
        if self.corgi.standby_sets == 0 && !self.plan.widens() {
            return Vec::new();
        }
        let placed = |topic: &crate::case::Topic| {
            self.plan.placed(&topic.name, topic.partitions, self.corgi.broker_sets)
        };
        self.topics.iter().map(placed).collect()
    }

    /// The same case under faults beyond what the systems tolerate.
    pub fn beyond_tolerance(mut self) -> Case {
        self.faults.beyond = true;
        if let Some(draw) = &mut self.faults.draw {
            draw.beyond = true;
        }
        self
    }

    /// Whether its faults go beyond what the systems tolerate: what breaks then is not the plan's fault.
    pub fn is_beyond_tolerance(&self) -> bool {
        self.faults.goes_beyond()
    }

    /// The same case with nothing migrated: workload, faults, settings and nodes stay, the plan has no phases.
    pub fn without_migration(&self) -> Case {
        Case {
            plan: Default::default(),
            redis: self.redis(),
            reverse_mirror: self.reverse_mirror(),
            ..self.clone()
        }
    }
}
