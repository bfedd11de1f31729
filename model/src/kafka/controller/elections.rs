//! Who leads: clean elections from the ISR, unclean ones where they are allowed.

use super::Controller;
use crate::kafka::cluster::PartitionState;
use crate::kafka::protocol::BrokerId;
use crate::machine::Effects;
use crate::record::TopicPartition;

/// A partition's next state when its ISR is to be `isr` and only acceptable brokers may lead. The ISR keeps its
/// last member, and the epoch counts only changes of the leader (recorded: "Producing", 15).
pub(super) fn settled(
    state: &PartitionState,
    isr: Vec<BrokerId>,
    unclean: bool,
    acceptable: impl Fn(BrokerId) -> bool,
) -> PartitionState {
    let mut next = state.clone();
    next.isr = if isr.is_empty() { state.isr.clone() } else { isr };
    let stays = state.leader.filter(|leader| acceptable(*leader) && next.isr.contains(leader));
    let clean = || state.replicas.iter().copied().find(|id| next.isr.contains(id) && acceptable(*id));
    next.leader = stays.or_else(clean);
    if next.leader.is_none() && unclean {
        next.leader = state.replicas.iter().copied().find(|id| acceptable(*id));
        if let Some(leader) = next.leader {
            next.isr = vec![leader];
        }
    }
    if next.leader != state.leader {
        next.leader_epoch += 1;
    }
    if next != *state {
        next.partition_epoch += 1;
    }
    next
}

impl Controller {
    pub(super) fn is_unclean_allowed(&self, at: TopicPartition) -> bool {
        let config = self.durable.image.topics.get(&at.topic).map(|topic| topic.config);
        config
            .and_then(|config| config.unclean_leader_election)
            .unwrap_or(self.settings.unclean_leader_election)
    }

    /// A broker goes: it leaves every ISR, and its leaderships go to others.
    pub(super) fn leave_isrs(&mut self, broker: BrokerId, effects: &mut Effects) {
        let concerned: Vec<TopicPartition> = self
            .durable
            .image
            .partitions
            .iter()
            .filter(|(_, state)| state.isr.contains(&broker))
            .map(|(at, _)| at)
            .collect();
        for at in concerned {
            let Some(state) = self.durable.image.partitions.get(at) else { continue };
            let isr = state.isr.iter().copied().filter(|id| *id != broker).collect();
            let unclean = self.is_unclean_allowed(at);
            let next = settled(state, isr, unclean, |id| id != broker && self.durable.image.is_active(id));
            if next != *state {
                self.write_partition(at, next, effects);
            }
        }
    }

    /// A broker came: partitions that nobody leads may have a leader now.
    pub(super) fn elect_where_none_leads(&mut self, effects: &mut Effects) {
        let concerned: Vec<TopicPartition> = self
            .durable
            .image
            .partitions
            .iter()
            .filter(|(_, state)| state.leader.is_none())
            .map(|(at, _)| at)
            .collect();
        for at in concerned {
            let Some(state) = self.durable.image.partitions.get(at) else { continue };
            let unclean = self.is_unclean_allowed(at);
            let next = settled(state, state.isr.clone(), unclean, |id| self.durable.image.is_active(id));
            if next != *state {
                self.write_partition(at, next, effects);
            }
        }
    }
}
