//! What administrators have the controller do: topics, partitions, settings, elections.

use super::Controller;
use super::elections::settled;
use crate::history::Event;
use crate::kafka::admin::{AdminRequest, Layout, Setting};
use crate::kafka::cluster::{MetadataRecord, PartitionState, TopicConfig, TopicState};
use crate::kafka::protocol::{BrokerId, ErrorCode};
use crate::kafka::wiring::is_of_the_case;
use crate::machine::Effects;
use crate::record::{Queue, TopicId, TopicPartition};
use std::sync::Arc;

type Done = Result<(), ErrorCode>;

impl Controller {
    pub(super) fn administer(&mut self, request: &AdminRequest, effects: &mut Effects) -> ErrorCode {
        let done = match request {
            AdminRequest::CreateTopic { topic, name, layout, config } => {
                self.create_topic(*topic, name, layout, config)
            }
            AdminRequest::DeleteTopic { topic } => self.delete_topic(*topic),
            AdminRequest::CreatePartitions { topic, count, replicas } => {
                self.create_partitions(*topic, *count, replicas.as_deref(), effects)
            }
            AdminRequest::AlterConfig { topic, config } => self.alter_config(*topic, config),
            AdminRequest::Reassign { partition, replicas } => {
                self.reassign(*partition, replicas.as_deref(), effects)
            }
            AdminRequest::ElectLeader { partition, unclean } => {
                self.elect_leader(*partition, *unclean, effects)
            }
            _ => Err(ErrorCode::InvalidRequest),
        };
        done.err().unwrap_or(ErrorCode::None)
    }

    fn create_topic(&mut self, topic: TopicId, name: &Arc<str>, layout: &Layout, config: &[Setting]) -> Done {
        if self.durable.image.topics.contains_key(&topic) {
            return Err(ErrorCode::TopicAlreadyExists);
        }
        self.check_name(name)?;
        let config = TopicConfig::read(config)?;
        let replicas = match layout {
            Layout::Chosen(replicas) => replicas.clone(),
            Layout::Spread { partitions, replication } => {
                let partitions = partitions.unwrap_or(1);
                let replication = replication.unwrap_or(self.settings.replication_factor as i32);
                if partitions < 1 {
                    return Err(ErrorCode::InvalidPartitions);
                }
                self.spread(partitions as u16, replication)?
            }
        };
        let states = self.placed(&replicas)?;
        let incarnation = self.topic_incarnation();
        let name = name.clone();
        let partitions = states.len() as u16;
        self.write(MetadataRecord::Topic(topic, TopicState { incarnation, name, partitions, config }));
        for (partition, state) in (0..).zip(states) {
            self.write(MetadataRecord::Partition(TopicPartition { topic, partition }, state));
        }
        Ok(())
    }

    /// Kafka takes letters, digits, dots, underscores and hyphens, and no two names that differ only in a dot against
    /// an underscore: its metrics cannot tell them apart. A topic of a case has no name here: nobody checks it.
    fn check_name(&self, name: &str) -> Done {
        let legal = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
        let is_legal = name.len() <= 249 && !matches!(name, "." | "..") && name.chars().all(legal);
        let plain = |name: &str| name.replace('.', "_");
        let collides = || self.durable.image.topics.values().any(|topic| plain(&topic.name) == plain(name));
        if is_legal && (name.is_empty() || !collides()) {
            Ok(())
        } else {
            Err(ErrorCode::InvalidTopicException)
        }
    }

    /// Brokers in turn for each partition; dead ones count as well, as long as one of the replicas lives.
    fn spread(&self, partitions: u16, replication: i32) -> Result<Vec<Vec<BrokerId>>, ErrorCode> {
        let brokers: Vec<BrokerId> = self.durable.image.brokers.keys().copied().collect();
        let count = usize::try_from(replication).ok().filter(|count| (1..=brokers.len()).contains(count));
        let count = count.ok_or(ErrorCode::InvalidReplicationFactor)?;
        let first = self.durable.image.topics.len();
        Ok((0..usize::from(partitions))
            .map(|partition| {
                (0..count).map(|next| brokers[(first + partition + next) % brokers.len()]).collect()
            })
            .collect())
    }

    /// New partitions on these brokers: the ISR holds the live ones, the first of them leads.
    fn placed(&self, replicas: &[Vec<BrokerId>]) -> Result<Vec<PartitionState>, ErrorCode> {
        let count = replicas.first().map_or(0, Vec::len);
        let image = &self.durable.image;
        let mut states = Vec::new();
        for chosen in replicas {
            let known = chosen.iter().all(|id| image.brokers.contains_key(id));
            let distinct = chosen.iter().enumerate().all(|(place, id)| !chosen[..place].contains(id));
            let isr: Vec<BrokerId> = chosen.iter().copied().filter(|id| image.is_active(*id)).collect();
            if chosen.is_empty() || chosen.len() != count || !known || !distinct || isr.is_empty() {
                return Err(ErrorCode::InvalidReplicaAssignment);
            }
            let leader = isr.first().copied();
            states.push(PartitionState { isr, leader, ..PartitionState::new(chosen.clone()) });
        }
        Ok(states)
    }

    fn delete_topic(&mut self, topic: TopicId) -> Done {
        if !self.durable.image.topics.contains_key(&topic) {
            return Err(ErrorCode::UnknownTopicOrPartition);
        }
        self.write(MetadataRecord::TopicGone(topic));
        Ok(())
    }

    /// Recorded: partitions-added.
    fn create_partitions(
        &mut self,
        topic: TopicId,
        count: u16,
        replicas: Option<&[Vec<BrokerId>]>,
        effects: &mut Effects,
    ) -> Done {
        let known = self.durable.image.topics.get(&topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let mut state = known.clone();
        if count <= state.partitions {
            return Err(ErrorCode::InvalidPartitions);
        }
        let added = count - state.partitions;
        let first = TopicPartition { topic, partition: 0 };
        let factor = self.durable.image.partitions.get(first).map_or(1, |state| state.replicas.len());
        let states = match replicas {
            Some(chosen) => {
                let fits =
                    chosen.len() == usize::from(added) && chosen.iter().all(|list| list.len() == factor);
                if !fits {
                    return Err(ErrorCode::InvalidReplicaAssignment);
                }
                self.placed(chosen)?
            }
            None => self.placed(&self.spread(added, factor as i32)?)?,
        };
        let partitions = state.partitions..;
        state.partitions = count;
        self.write(MetadataRecord::Topic(topic, state));
        for (partition, state) in partitions.zip(states) {
            self.write(MetadataRecord::Partition(TopicPartition { topic, partition }, state));
        }
        if is_of_the_case(topic) {
            effects.record(Event::Widened { queue: Queue::Kafka, topic, partitions: count });
        }
        Ok(())
    }

    fn alter_config(&mut self, topic: TopicId, config: &[Setting]) -> Done {
        let known = self.durable.image.topics.get(&topic).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let config = TopicConfig::read(config)?;
        let state = TopicState { config: known.config.merged(config), ..known.clone() };
        self.write(MetadataRecord::Topic(topic, state));
        Ok(())
    }

    /// Somebody has every partition's leader elected: the preferred one where it can lead, or any where there is none.
    pub(super) fn elect_everywhere(&mut self, unclean: bool, effects: &mut Effects) {
        let partitions: Vec<TopicPartition> = self.durable.image.partitions.keys().collect();
        for at in partitions {
            // What needs no election, or can have none, is left alone: the tool prints it.
            let _ = self.elect_leader(at, unclean, effects);
        }
    }

    /// Recorded: "Producing", 18.
    fn elect_leader(&mut self, at: TopicPartition, unclean: bool, effects: &mut Effects) -> Done {
        let state = self.durable.image.partitions.get(at).ok_or(ErrorCode::UnknownTopicOrPartition)?.clone();
        let image = &self.durable.image;
        let mut next = state.clone();
        if unclean {
            if state.leader.is_some() {
                return Err(ErrorCode::ElectionNotNeeded);
            }
            next = settled(&state, state.isr.clone(), true, |id| image.is_active(id));
            if next.leader.is_none() {
                return Err(ErrorCode::EligibleLeadersNotAvailable);
            }
        } else {
            let preferred = state.replicas.first().copied();
            if preferred == state.leader {
                return Err(ErrorCode::ElectionNotNeeded);
            }
            let can = preferred.is_some_and(|id| image.is_active(id) && state.isr.contains(&id));
            if !can {
                return Err(ErrorCode::PreferredLeaderNotAvailable);
            }
            next.leader = preferred;
            next.leader_epoch += 1;
            next.partition_epoch += 1;
        }
        self.write_partition(at, next, effects);
        Ok(())
    }

    /// Begin to move a partition, or stop moving it: while it moves it stands on the new brokers and on the old.
    fn reassign(&mut self, at: TopicPartition, replicas: Option<&[BrokerId]>, effects: &mut Effects) -> Done {
        let state = self.durable.image.partitions.get(at).ok_or(ErrorCode::UnknownTopicOrPartition)?.clone();
        let mut next = state.clone();
        let image = &self.durable.image;
        match replicas {
            None if state.moving_to.is_empty() => return Err(ErrorCode::NoReassignmentInProgress),
            None => {
                next.replicas = state.moving_from.clone();
                // Kafka keeps the order of the replicas while it moved: those it moved to come first.
                next.replicas =
                    state.replicas.iter().copied().filter(|id| next.replicas.contains(id)).collect();
                next.moving_from.clear();
                next.moving_to.clear();
                let isr = state.isr.iter().copied().filter(|id| next.replicas.contains(id)).collect();
                next = settled(&next, isr, self.is_unclean_allowed(at), |id| image.is_active(id));
                if next.leader_epoch == state.leader_epoch {
                    next.leader_epoch += 1;
                }
                next.partition_epoch = state.partition_epoch + 1;
            }
            Some(target) => {
                let distinct = target.iter().enumerate().all(|(place, id)| !target[..place].contains(id));
                let known = target.iter().all(|id| image.brokers.contains_key(id));
                if target.is_empty() || !distinct || !known {
                    return Err(ErrorCode::InvalidReplicaAssignment);
                }
                next = redirected(&state, target);
                next.partition_epoch += 1;
                next = self.moved(next);
            }
        }
        self.write_partition(at, next, effects);
        Ok(())
    }

    /// A partition whose new replicas are all in sync has arrived: the old ones go.
    pub(super) fn moved(&self, state: PartitionState) -> PartitionState {
        let arrived = !state.moving_to.is_empty() && state.moving_to.iter().all(|id| state.isr.contains(id));
        if !arrived {
            return state;
        }
        let mut next = state.clone();
        next.replicas = std::mem::take(&mut next.moving_to);
        next.moving_from.clear();
        let isr = state.isr.iter().copied().filter(|id| next.replicas.contains(id)).collect();
        let removed = state.replicas.len() > next.replicas.len();
        let mut next = settled(&next, isr, false, |id| self.durable.image.is_active(id));
        if removed && next.leader_epoch == state.leader_epoch {
            next.leader_epoch += 1;
        }
        next
    }
}

/// A partition that is to move there. It goes from all replicas that it has by now, those of an unfinished move among
/// them; and Kafka keeps what an unfinished move adds where the new one adds nothing, and what it removes likewise.
fn redirected(state: &PartitionState, target: &[BrokerId]) -> PartitionState {
    let without = |list: &[BrokerId], others: &[BrokerId]| -> Vec<BrokerId> {
        list.iter().copied().filter(|id| !others.contains(id)).collect()
    };
    let is_moving = !state.moving_to.is_empty();
    let mut adding = without(target, &state.replicas);
    let mut removing = without(&state.replicas, target);
    removing.sort_unstable();
    let mut next = state.clone();
    next.replicas = [target, &removing].concat();
    if is_moving && adding.is_empty() {
        adding = without(&state.replicas, &state.moving_from);
    }
    if is_moving && removing.is_empty() {
        removing = without(&state.replicas, &state.moving_to);
    }
    let moves = !adding.is_empty() || !removing.is_empty();
    next.moving_from = if moves { without(&next.replicas, &adding) } else { Vec::new() };
    next.moving_to = if moves { without(&next.replicas, &removing) } else { Vec::new() };
    next
}
