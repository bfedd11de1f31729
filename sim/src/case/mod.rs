//! A case: everything that one run needs beside its seed. A case is a file, and a file replays.
//!
//! Reading goes through a tree that remembers each value's line (`tree`), a merge with the files that it extends
//! (`merge`), a typed reading (`deserialize`) and the checks that need more than one value (`validate`).

mod deserialize;
mod error;
mod excerpt;
mod expect;
mod load;
mod merge;
pub mod network;
mod tree;
mod validate;

pub(crate) use error::Problem;
pub use error::{CaseError, Details};
pub use expect::Expect;
pub use load::{Loaded, Warning};
pub(crate) use merge::text_of;
pub use network::{Clocks, Latency, Network};
pub(crate) use validate::MOST_BYTES;

use crate::{faults, workload};
use cutover_model::check::Objectives;
use cutover_model::client::{
    corgi_consumer_settings, corgi_producer_settings, kafka_consumer_settings, kafka_producer_settings,
};
use cutover_model::plan::{Names, Plan, PlanProblem};
use cutover_model::record::{GroupId, TopicId};
use cutover_model::units::Span;
use cutover_model::{application, corgi, deployment, hosts, kafka, mirror, operator, redis, switch};
use serde::{Deserialize, Serialize};

/// A case, with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// What it is about, in a sentence or two.
    #[serde(default)]
    pub about: String,
    /// How long the workload and the faults may last; afterwards the run drains.
    #[serde(default = "default_duration")]
    pub duration: Span,
    /// How many events the world dispatches before it gives the run up.
    #[serde(default = "default_budget")]
    pub budget: u64,
    /// How many seeds a check runs where it is not told.
    #[serde(default = "default_seeds")]
    pub seeds: u64,
    /// The topics. A topic's id is its place.
    pub topics: Vec<Topic>,
    /// Corgi.
    #[serde(default)]
    pub corgi: corgi::Settings,
    /// Kafka.
    #[serde(default)]
    pub kafka: kafka::Settings,
    /// The mirror. Its group's id is the one behind the groups'.
    #[serde(default)]
    pub mirror: mirror::Settings,
    /// The reverse mirror: there is one where this is given, or where the plan starts it. Its group's id is the one behind the
    /// mirror's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverse_mirror: Option<mirror::ReverseSettings>,
    /// The switch centre.
    #[serde(default)]
    pub switch: switch::Settings,
    /// Redis: there is one where this is given, or where the plan has a rewind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redis: Option<redis::Settings>,
    /// The hosts that the NewClients' instances share: without it each has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hosts: Option<hosts::Settings>,
    /// The deployment.
    #[serde(default)]
    pub deployment: deployment::Settings,
    /// The operator.
    #[serde(default)]
    pub operator: operator::Settings,
    /// The producers.
    #[serde(default)]
    pub producers: Producers,
    /// The groups. A group's id is its place.
    pub groups: Vec<Group>,
    /// What is sent.
    #[serde(default)]
    pub workload: workload::Settings,
    /// The network.
    #[serde(default)]
    pub network: Network,
    /// The clocks.
    #[serde(default)]
    pub clocks: Clocks,
    /// The faults.
    #[serde(default)]
    pub faults: faults::Settings,
    /// What the case promises.
    #[serde(default)]
    pub objectives: Objectives,
    /// What a check is to find.
    #[serde(default)]
    pub expect: Expect,
    /// The plan; without phases nothing is migrated.
    #[serde(default)]
    pub plan: Plan,
}

fn default_duration() -> Span {
    Span::secs(600)
}

fn default_budget() -> u64 {
    5_000_000
}

fn default_seeds() -> u64 {
    100
}

/// A topic: `[[topics]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its partitions in Corgi.
    pub partitions: u16,
    /// Its partitions in Kafka; the same number where it is not given.
    #[serde(default)]
    pub target_partitions: Option<u16>,
}

impl Topic {
    /// Its partitions in Kafka.
    pub fn target_partitions(&self) -> u16 {
        self.target_partitions.unwrap_or(self.partitions)
    }
}

/// The producers: `[producers]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Producers {
    /// How many applications there are.
    pub count: u32,
    /// The application around the client.
    pub application: application::ProducerSettings,
    /// Its Corgi producer.
    pub corgi: corgi_producer_settings::Settings,
    /// Its Kafka producer.
    pub kafka: kafka_producer_settings::Settings,
}

impl Default for Producers {
    fn default() -> Producers {
        Producers {
            count: 4,
            application: Default::default(),
            corgi: Default::default(),
            kafka: Default::default(),
        }
    }
}

/// A group: `[[groups]]`. What it leaves out is taken from `[consumers]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The topics that it reads, by name.
    pub topics: Vec<String>,
    /// Whether it needs order.
    #[serde(default)]
    pub ordered: bool,
    /// How many instances it has, of the OldClient before the migration and of the NewClient after it.
    pub instances: u32,
    /// How many instances of the NewClient stand by: only a fault that scales the group up starts them.
    #[serde(default)]
    pub spare_instances: u32,
    /// The application around the client.
    #[serde(default)]
    pub application: application::ConsumerSettings,
    /// Its Corgi consumer.
    #[serde(default)]
    pub corgi: corgi_consumer_settings::Settings,
    /// Its Kafka consumer.
    #[serde(default)]
    pub kafka: kafka_consumer_settings::Settings,
}

impl Case {
    /// The id of the topic of that name.
    pub fn topic(&self, name: &str) -> Option<TopicId> {
        self.topics.iter().position(|topic| topic.name == name).map(|place| TopicId(place as u16))
    }

    /// The id of the group of that name.
    pub fn group(&self, name: &str) -> Option<GroupId> {
        self.groups.iter().position(|group| group.name == name).map(|place| GroupId(place as u16))
    }

    /// The id of the mirror's own group: the one behind the groups'.
    pub fn mirror_group(&self) -> GroupId {
        GroupId(self.groups.len() as u16)
    }

    /// The id of the reverse mirror's own group.
    pub fn reverse_mirror_group(&self) -> GroupId {
        GroupId(self.groups.len() as u16 + 1)
    }

    /// The reverse mirror's settings, where the case has one: it is there if its table is, or if the plan starts it.
    pub fn reverse_mirror(&self) -> Option<mirror::ReverseSettings> {
        let planned = || self.plan.copies_back().then(mirror::ReverseSettings::default);
        self.reverse_mirror.clone().or_else(planned)
    }

    /// Redis's settings, where the case has one: it is there if its table is, or if the plan has a rewind.
    pub fn redis(&self) -> Option<redis::Settings> {
        self.redis.clone().or_else(|| self.plan.rewinds().then(redis::Settings::default))
    }

    /// What the plan's lint says of the plan, errors and warnings. A case with an error does not load.
    pub fn plan_problems(&self) -> Vec<PlanProblem> {
        let groups = self.groups.iter().map(|group| group.name.clone()).collect();
        let topics = self.topics.iter().map(|topic| (topic.name.clone(), topic.partitions)).collect();
        let targets =
            self.topics.iter().map(|topic| (topic.name.clone(), topic.target_partitions())).collect();
        let (broker_sets, standby_sets) = (self.corgi.broker_sets, self.corgi.standby_sets);
        let mirror_map = self.mirror.partition_map;
        let producer_map = self.producers.application.selector.map(mirror_map);
        self.plan.lint(&Names {
            groups,
            topics,
            targets,
            broker_sets,
            standby_sets,
            mirror_map,
            producer_map,
        })
    }

    /// When the workload ends at the latest.
    pub fn workload_end(&self) -> Span {
        self.workload.end.unwrap_or(Span(self.duration.0 / 5 * 4))
    }
}
