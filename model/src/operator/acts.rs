//! What each act means to whom it is told.

use crate::corgi::wiring::Topic;
use crate::deployment::{Order, RollOrder, Target};
use crate::operator::wiring::Wiring;
use crate::plan::{Act, Confirm, PreparedFrom, RewindTo, Tell};
use crate::record::{GroupId, NodeId, Queue, TopicId, TopicPartition};
use crate::switch::{Change, Hold};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// An act, addressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// For the deployment.
    Order(Target, Order),
    /// For the switch centre.
    Change(Change),
    /// For the operator's own Kafka tool.
    Prepare(GroupId, PreparedFrom),
    /// For the instances that Redis lists.
    Rewind(RewindErrand),
    /// For Corgi's brokers: the topic as it is to be, and which of them are told.
    Widen(Topic, Tell),
    /// For Kafka's controller: how many partitions the topic is to have.
    WidenTarget(TopicId, u16),
    /// For Corgi's masters.
    Reset(GroupId, PreparedFrom),
}

/// A rewind, with the names made out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RewindErrand {
    pub(super) group: GroupId,
    /// The topics whose partitions are meant.
    pub(super) topics: Vec<TopicId>,
    /// The partitions' numbers; all where there is none.
    pub(super) partitions: Vec<u16>,
    /// The node whose partitions alone are meant.
    pub(super) instance: Option<NodeId>,
    pub(super) to: RewindTo,
    pub(super) confirm: Confirm,
}

impl RewindErrand {
    /// Whether a partition is meant.
    pub(super) fn covers(&self, partition: TopicPartition) -> bool {
        self.topics.contains(&partition.topic)
            && (self.partitions.is_empty() || self.partitions.contains(&partition.partition))
    }
}

/// To whom an act goes, with the names made out.
pub(super) fn errand(act: &Act, wiring: &Wiring, notes: &Notes) -> Errand {
    let group = |name: &String| wiring.group(name).0;
    match act {
        Act::StartMirror => Errand::Order(Target::Mirror, Order::Roll(RollOrder::default())),
        Act::StopMirror => Errand::Order(Target::Mirror, Order::Stop),
        Act::StartReverseMirror => Errand::Order(Target::ReverseMirror, Order::Roll(RollOrder::default())),
        Act::StopReverseMirror => Errand::Order(Target::ReverseMirror, Order::Stop),
        Act::RollOut { group: name, order } => Errand::Order(Target::Group(group(name)), Order::Roll(*order)),
        Act::RollBack { group: name, order } => {
            Errand::Order(Target::Group(group(name)), Order::RollBack(*order))
        }
        Act::Narrow { topic, partitions, purpose } => {
            let named = wiring.topics(std::slice::from_ref(topic)).first().copied();
            let topic = named.expect("a plan that was accepted narrows topics of the case only");
            Errand::Widen(notes.shape(topic, wiring).narrowed(*partitions, *purpose), Tell::All)
        }
        Act::AddBrokerSet { set } => {
            Errand::Order(Target::BrokerSet(*set), Order::Roll(RollOrder::default()))
        }
        Act::StopCorgi => Errand::Order(Target::Corgi, Order::Stop),
        Act::PrepareOffsets { group: name, from } => Errand::Prepare(group(name), *from),
        Act::ResetOffsets { group: name, from } => Errand::Reset(group(name), *from),
        Act::SwitchRead { group: name, to } => Errand::Change(Change::Read(group(name), *to)),
        Act::Pause { group: name } => Errand::Change(Change::Pause(group(name))),
        Act::Resume { group: name } => Errand::Change(Change::Resume(group(name))),
        Act::SwitchWrite { to } => Errand::Change(Change::Write(*to)),
        Act::Hold { topics, partitions } => Errand::Change(Change::Hold(hold(topics, partitions, wiring))),
        Act::Release => Errand::Change(Change::Hold(Hold::Nothing)),
        Act::Widen { topic, partitions, site } => {
            let named = wiring.topics(std::slice::from_ref(topic)).first().copied();
            let topic = named.expect("a plan that was accepted widens topics of the case only");
            match site.queue {
                Queue::Corgi => {
                    let sets = site.on.map_or_else(|| notes.sets(wiring), |set| vec![set]);
                    Errand::Widen(notes.shape(topic, wiring).widened(*partitions, &sets), site.tell)
                }
                Queue::Kafka => Errand::WidenTarget(topic, *partitions),
            }
        }
        Act::Rewind { group: name, topics, partitions, instance, to, confirm } => {
            let (group, wired) = wiring.group(name);
            let of_group = wiring.topics(topics).into_iter().filter(|topic| wired.topics.contains(topic));
            Errand::Rewind(RewindErrand {
                group,
                topics: of_group.collect(),
                partitions: partitions.clone(),
                instance: instance.map(|place| {
                    let node = wired.new_clients.get(place as usize).copied();
                    node.expect("a plan that was accepted names instances of the case only")
                }),
                to: *to,
                confirm: *confirm,
            })
        }
    }
}

fn hold(topics: &[String], partitions: &[u16], wiring: &Wiring) -> Hold {
    if topics.is_empty() && partitions.is_empty() {
        return Hold::Everything;
    }
    let topics = wiring.topics(topics);
    if partitions.is_empty() {
        return Hold::Topics(topics);
    }
    // A topic may have been widened since the address book was written: the numbers are taken as they are, and one that a
    // topic does not have holds nothing.
    let numbered =
        |topic: TopicId| partitions.iter().map(move |number| TopicPartition { topic, partition: *number });
    Hold::Partitions(topics.into_iter().flat_map(numbered).collect())
}

/// What the operator ordered, switched and had confirmed: where groups read, and what has become of the queues.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Notes {
    switched: BTreeMap<GroupId, Queue>,
    /// The groups that run the NewClient: the OldClient knows no switch and reads from Corgi.
    rolled_out: BTreeSet<GroupId>,
    /// The broker sets that were added to Corgi, in the order in which they were.
    added: Vec<u16>,
    /// The topics of Corgi that were widened.
    shapes: BTreeMap<TopicId, Topic>,
    /// How many partitions the topics have in Kafka that were widened there.
    pub(super) targets: BTreeMap<TopicId, u16>,
}

impl Notes {
    /// The broker sets of Corgi that run.
    pub(super) fn sets(&self, wiring: &Wiring) -> Vec<u16> {
        (0..wiring.corgi_sets).chain(self.added.iter().copied()).collect()
    }

    /// Every Corgi broker that is to run, masters and slaves.
    pub(super) fn corgi_brokers<'a>(&'a self, wiring: &'a Wiring) -> impl Iterator<Item = NodeId> + 'a {
        let added = self.added(wiring).flat_map(|(_, brokers)| brokers);
        wiring.corgi_brokers.iter().chain(added).copied()
    }

    /// A topic of Corgi, as wide as it was made.
    fn shape(&self, topic: TopicId, wiring: &Wiring) -> Topic {
        let at_first = || {
            let count = wiring.topics.get(usize::from(topic.0)).map_or(0, |topic| topic.source_partitions);
            Topic::spread(topic, count, wiring.corgi_sets)
        };
        self.shapes.get(&topic).cloned().unwrap_or_else(at_first)
    }

    /// Whether a partition of Corgi can be read, by what he has had narrowed.
    pub(super) fn reads(&self, partition: TopicPartition) -> bool {
        self.shapes.get(&partition.topic).is_none_or(|shape| shape.limits.reads(partition.partition))
    }

    /// The broker sets that were added, each with its brokers.
    pub(super) fn added<'a>(&'a self, wiring: &'a Wiring) -> impl Iterator<Item = (u16, &'a [NodeId])> + 'a {
        let brokers = |set: u16| wiring.standby.get(usize::from(set.saturating_sub(wiring.corgi_sets)));
        self.added.iter().map(move |set| (*set, brokers(*set).map_or(&[][..], Vec::as_slice)))
    }

    /// From which queue a group reads.
    pub(super) fn queue_of(&self, group: GroupId) -> Queue {
        let switched = self.switched.get(&group).copied().unwrap_or_default();
        if self.rolled_out.contains(&group) { switched } else { Queue::Corgi }
    }

    /// That errand has been confirmed.
    pub(super) fn note(&mut self, errand: &Errand) {
        match errand {
            Errand::Change(Change::Read(group, queue)) => {
                self.switched.insert(*group, *queue);
            }
            Errand::Order(Target::Group(group), Order::Roll(_)) => {
                self.rolled_out.insert(*group);
            }
            Errand::Order(Target::Group(group), Order::RollBack(_)) => {
                self.rolled_out.remove(group);
            }
            Errand::Order(Target::BrokerSet(set), Order::Roll(_)) if !self.added.contains(set) => {
                self.added.push(*set);
            }
            Errand::Widen(topic, _) => {
                self.shapes.insert(topic.topic, topic.clone());
            }
            Errand::WidenTarget(topic, count) => {
                self.targets.insert(*topic, *count);
            }
            Errand::Change(_) | Errand::Order(..) | Errand::Prepare(..) | Errand::Rewind(_) => {}
            Errand::Reset(..) => {}
        }
    }
}
