//! How the nodes of a case know each other: the wiring of every model, and its settings from the case.

use super::layout::{Layout, SET_BROKERS};
use super::process::Process;
use crate::case::{Case, Group};
use crate::workload::Workload;
use cutover_model::application::{
    ConsumerApplication, ConsumerSetup, ProducerApplication, ProducerSetup, Registry, TopicShape,
};
use cutover_model::client::corgi_consumer::Membership;
use cutover_model::client::{CorgiConsumer, CorgiProducer, KafkaConsumer, KafkaProducer};
use cutover_model::deployment::Target;
use cutover_model::deployment::rolling::{Fleet, Rolling};
use cutover_model::kafka::protocol::BrokerId;
use cutover_model::operator::{GroupWiring, TopicWiring};
use cutover_model::record::{GroupId, NodeId, TopicId};
use cutover_model::{corgi, kafka, mirror, operator, redis, switch};
use std::sync::Arc;

/// The lane of a process's Corgi library.
const CORGI_LANE: u16 = 1;
/// The lane of a process's Kafka library.
const KAFKA_LANE: u16 = 2;

/// Every node's process, in the order of the nodes.
pub fn processes(case: &Case, layout: &Layout, workload: &Workload) -> Vec<(NodeId, Process)> {
    let builder = Builder { case, layout };
    let mut processes = builder.queues();
    let centre = switch::centre::SwitchCentre::new(case.switch.clone());
    processes.push((layout.switch_centre, Process::SwitchCentre(Box::new(centre))));
    let rolling = Rolling::new(case.deployment.clone(), builder.fleets());
    processes.push((layout.deployment, Process::Deployment(Box::new(rolling))));
    let operator =
        operator::Operator::new(case.operator.clone(), case.plan.clone(), builder.operator_wiring());
    processes.push((layout.operator, Process::Operator(Box::new(operator))));
    for (number, node) in (0..).zip(&layout.mirror) {
        processes.push((*node, Process::Mirror(Box::new(builder.mirror(*node, number)))));
    }
    for (number, node) in layout.producers.iter().enumerate() {
        processes.push((*node, Process::Producer(Box::new(builder.producer(workload, number)))));
    }
    let centre = Some(layout.switch_centre);
    for (switch_centre, instances) in [(None, &layout.old), (centre, &layout.new), (centre, &layout.spare)] {
        for (group, nodes) in (0..).zip(instances) {
            for node in nodes {
                let consumer = builder.consumer(*node, GroupId(group), switch_centre);
                processes.push((*node, Process::Consumer(Box::new(consumer))));
            }
        }
    }
    if let (Some(node), Some(settings)) = (layout.redis, case.redis()) {
        processes.push((node, Process::Redis(Box::new(redis::Redis::new(settings)))));
    }
    if let Some(settings) = case.reverse_mirror() {
        for (number, node) in (0..).zip(&layout.reverse_mirror) {
            let worker = builder.reverse_mirror(&settings, number);
            processes.push((*node, Process::ReverseMirror(Box::new(worker))));
        }
    }
    processes.extend(builder.corgi_brokers(layout.standing_sets, layout.standby()));
    processes
}

/// What runs before the plan begins, in the order in which it is started: everything but the mirrors and the NewClients. The name
/// service comes before the brokers, as RocketMQ's manual has it: a broker that does not find it tries again only at its next report.
pub fn running_at_first(case: &Case, layout: &Layout) -> Vec<NodeId> {
    let mut nodes = vec![layout.name_service];
    nodes.extend(layout.standing().iter().flatten());
    nodes.extend([layout.on_call, layout.controller]);
    nodes.extend(&layout.kafka);
    nodes.extend([layout.switch_centre, layout.deployment]);
    if !case.plan.phases.is_empty() {
        nodes.push(layout.operator);
    }
    nodes.extend(&layout.producers);
    nodes.extend(layout.old.iter().flatten());
    nodes.extend(layout.redis);
    nodes
}

struct Builder<'a> {
    case: &'a Case,
    layout: &'a Layout,
}

impl Builder<'_> {
    fn topics(&self) -> impl Iterator<Item = (TopicId, &crate::case::Topic)> {
        (0..).map(TopicId).zip(&self.case.topics)
    }

    fn queues(&self) -> Vec<(NodeId, Process)> {
        let (case, layout) = (self.case, self.layout);
        let mut processes = self.corgi_brokers(0, layout.standing());
        let corgi = self.corgi_wiring();
        let name_service = corgi::name_service::NameService::new(case.corgi.clone(), corgi.clone());
        processes.push((layout.name_service, Process::NameService(Box::new(name_service))));
        let on_call = corgi::on_call::OnCall::new(case.corgi.clone(), corgi);
        processes.push((layout.on_call, Process::OnCall(Box::new(on_call))));
        let kafka = self.kafka_wiring();
        let controller = kafka::controller::Controller::new(case.kafka.clone(), kafka.clone());
        processes.push((layout.controller, Process::KafkaController(Box::new(controller))));
        for (id, node) in kafka.brokers.clone() {
            let broker = kafka::broker::Broker::new(case.kafka.clone(), kafka.clone(), id);
            processes.push((node, Process::KafkaBroker(Box::new(broker))));
        }
        processes
    }

    /// The brokers of these sets, of which the first has that number.
    fn corgi_brokers(&self, first: usize, sets: &[Vec<NodeId>]) -> Vec<(NodeId, Process)> {
        let mut processes = Vec::new();
        let wiring = self.corgi_wiring();
        let first = u16::try_from(first).expect("a case has at most 256 broker sets");
        for (set, brokers) in (first..).zip(sets) {
            for (index, node) in (0..SET_BROKERS).zip(brokers) {
                let broker = corgi::broker::Broker::new(self.case.corgi.clone(), wiring.clone(), set, index);
                processes.push((*node, Process::CorgiBroker(Box::new(broker))));
            }
        }
        processes
    }

    fn corgi_wiring(&self) -> corgi::Wiring {
        let sets = self.case.corgi.broker_sets;
        corgi::Wiring {
            name_service: self.layout.name_service,
            on_call: self.layout.on_call,
            sets: self.layout.corgi.clone(),
            standby_sets: self.case.corgi.standby_sets,
            topics: self
                .topics()
                .map(|(id, topic)| corgi::wiring::Topic::spread(id, topic.partitions, sets))
                .collect(),
        }
    }

    fn kafka_wiring(&self) -> kafka::Wiring {
        kafka::Wiring {
            controller: self.layout.controller,
            brokers: (1..).map(BrokerId).zip(self.layout.kafka.iter().copied()).collect(),
            topics: self
                .topics()
                .map(|(id, topic)| kafka::wiring::WiredTopic {
                    topic: id,
                    partitions: topic.target_partitions(),
                })
                .chain(self.positions_topics())
                .collect(),
        }
    }

    /// What an atomic mirror keeps its positions under, as wide as the source: made when the mirror is set up.
    fn positions_topics(&self) -> impl Iterator<Item = kafka::wiring::WiredTopic> {
        let is_atomic = self.case.mirror.commit == mirror::settings::Commit::Atomic;
        self.topics().filter(move |_| is_atomic).map(|(id, topic)| kafka::wiring::WiredTopic {
            topic: mirror::positions_topic(id),
            partitions: topic.partitions,
        })
    }

    fn fleets(&self) -> Vec<Fleet> {
        let layout = self.layout;
        let mut fleets: Vec<Fleet> = (0..)
            .zip(layout.old.iter().zip(&layout.new))
            .map(|(group, (old, new))| Fleet {
                target: Target::Group(GroupId(group)),
                old: old.clone(),
                new: new.clone(),
            })
            .collect();
        fleets.push(Fleet { target: Target::Mirror, old: Vec::new(), new: layout.mirror.clone() });
        let corgi = layout.standing().iter().flatten().copied().chain([layout.name_service, layout.on_call]);
        let standby = layout.standby().iter().flatten().copied().collect();
        fleets.push(Fleet { target: Target::Corgi, old: corgi.collect(), new: standby });
        for (set, brokers) in (self.case.corgi.broker_sets..).zip(layout.standby()) {
            fleets.push(Fleet { target: Target::BrokerSet(set), old: Vec::new(), new: brokers.clone() });
        }
        if !layout.reverse_mirror.is_empty() {
            let new = layout.reverse_mirror.clone();
            fleets.push(Fleet { target: Target::ReverseMirror, old: Vec::new(), new });
        }
        fleets
    }

    fn operator_wiring(&self) -> operator::Wiring {
        let (case, layout) = (self.case, self.layout);
        let topic = |topic: &crate::case::Topic| TopicWiring {
            name: topic.name.clone(),
            source_partitions: topic.partitions,
            target_partitions: topic.target_partitions(),
        };
        let group = |(group, new): (&Group, &Vec<NodeId>)| GroupWiring {
            name: group.name.clone(),
            topics: self.topics_of(group),
            new_clients: new.clone(),
        };
        operator::Wiring {
            topics: case.topics.iter().map(topic).collect(),
            groups: case.groups.iter().zip(&layout.new).map(group).collect(),
            mirror_group: case.mirror_group(),
            switch_centre: layout.switch_centre,
            deployment: layout.deployment,
            corgi_brokers: layout.standing().iter().flatten().copied().collect(),
            corgi_sets: case.corgi.broker_sets,
            standby: layout.standby().to_vec(),
            name_service: layout.name_service,
            kafka_brokers: layout.kafka.clone(),
            mirror_workers: layout.mirror.clone(),
            reverse_mirror_workers: layout.reverse_mirror.clone(),
            producers: layout.producers.clone(),
            redis: layout.redis,
        }
    }

    fn topics_of(&self, group: &Group) -> Vec<TopicId> {
        group.topics.iter().filter_map(|name| self.case.topic(name)).collect()
    }

    fn mirror(&self, node: NodeId, worker: u16) -> mirror::Worker<CorgiConsumer, KafkaProducer> {
        let case = self.case;
        let wiring = mirror::Wiring {
            worker,
            deployment: self.layout.deployment,
            brokers: self.layout.kafka.clone(),
            group: case.mirror_group(),
            topics: self
                .topics()
                .map(|(topic, given)| mirror::MirroredTopic {
                    topic,
                    target_partitions: given.target_partitions(),
                })
                .collect(),
            direction: mirror::Direction::IntoKafka,
            leaves_copies: case.reverse_mirror().is_some_and(|reverse| reverse.origin_header),
        };
        let membership = Membership {
            node,
            lane: CORGI_LANE,
            group: case.mirror_group(),
            topics: self.topics().map(|(topic, _)| topic).collect(),
            ordered: true,
        };
        let corgi = CorgiConsumer::new(case.mirror.corgi.clone(), self.layout.name_service, membership);
        let kafka = KafkaProducer::new(case.mirror.kafka.clone(), self.layout.kafka.clone(), KAFKA_LANE);
        mirror::Worker::new(case.mirror.clone(), wiring, corgi, kafka)
    }

    fn reverse_mirror(
        &self,
        settings: &mirror::ReverseSettings,
        worker: u16,
    ) -> mirror::Worker<KafkaConsumer, CorgiProducer> {
        let (case, layout) = (self.case, self.layout);
        let group = case.reverse_mirror_group();
        let topics = self.topics();
        let wiring = mirror::Wiring {
            worker,
            deployment: layout.deployment,
            brokers: layout.kafka.clone(),
            group,
            topics: topics
                .map(|(topic, given)| mirror::MirroredTopic { topic, target_partitions: given.partitions })
                .collect(),
            direction: mirror::Direction::BackIntoCorgi,
            leaves_copies: settings.origin_header,
        };
        let topics = self.topics().map(|(topic, _)| topic).collect();
        let kafka =
            KafkaConsumer::new(settings.kafka.clone(), group, topics, layout.kafka.clone(), KAFKA_LANE);
        let corgi = CorgiProducer::new(settings.corgi.clone(), CORGI_LANE, layout.name_service);
        mirror::Worker::new(settings.of_worker(), wiring, kafka, corgi)
    }

    fn producer(
        &self,
        workload: &Workload,
        number: usize,
    ) -> ProducerApplication<CorgiProducer, KafkaProducer> {
        let (case, layout) = (self.case, self.layout);
        let shape = |topic: &crate::case::Topic| TopicShape {
            corgi_partitions: topic.partitions,
            kafka_partitions: topic.target_partitions(),
        };
        let setup = ProducerSetup {
            schedule: workload.producers[number].clone(),
            topics: case.topics.iter().map(shape).collect::<Arc<[TopicShape]>>(),
            partitioner: case.workload.partitioner,
            mirror_map: case.mirror.partition_map,
            switch_centre: Some(layout.switch_centre),
        };
        let corgi = CorgiProducer::new(case.producers.corgi.clone(), CORGI_LANE, layout.name_service);
        let kafka = KafkaProducer::new(case.producers.kafka.clone(), layout.kafka.clone(), KAFKA_LANE);
        ProducerApplication::new(case.producers.application.clone(), setup, corgi, kafka)
    }

    fn consumer(
        &self,
        node: NodeId,
        id: GroupId,
        switch_centre: Option<NodeId>,
    ) -> ConsumerApplication<CorgiConsumer, KafkaConsumer> {
        let group = &self.case.groups[usize::from(id.0)];
        let setup = ConsumerSetup {
            group: id,
            ordered: group.ordered,
            switch_centre,
            deployment: self.layout.deployment,
            registry: switch_centre.and(self.layout.redis).map(|redis| Registry { redis, node }),
        };
        let topics = self.topics_of(group);
        let membership =
            Membership { node, lane: CORGI_LANE, group: id, topics: topics.clone(), ordered: group.ordered };
        let corgi = CorgiConsumer::new(group.corgi.clone(), self.layout.name_service, membership);
        let kafka =
            KafkaConsumer::new(group.kafka.clone(), id, topics, self.layout.kafka.clone(), KAFKA_LANE);
        ConsumerApplication::new(group.application.clone(), setup, corgi, kafka)
    }
}
