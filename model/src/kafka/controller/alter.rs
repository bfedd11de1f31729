//! Leaders ask for another ISR (AlterPartition): granted where they still lead and know the latest state.

use super::Controller;
use crate::kafka::internal::IsrChange;
use crate::kafka::protocol::{BrokerId, ErrorCode};
use crate::machine::Effects;
use crate::record::TopicPartition;

impl Controller {
    pub(super) fn alter_partitions(
        &mut self,
        broker: BrokerId,
        epoch: u64,
        changes: &[IsrChange],
        effects: &mut Effects,
    ) -> Vec<(TopicPartition, ErrorCode)> {
        let known = self.durable.image.brokers.get(&broker).is_some_and(|known| known.epoch == epoch);
        changes
            .iter()
            .map(|change| {
                let error =
                    if known { self.alter(broker, change, effects) } else { ErrorCode::InvalidRequest };
                (change.partition, error)
            })
            .collect()
    }

    fn alter(&mut self, broker: BrokerId, change: &IsrChange, effects: &mut Effects) -> ErrorCode {
        let Some(state) = self.durable.image.partitions.get(change.partition) else {
            return ErrorCode::UnknownTopicOrPartition;
        };
        if change.leader_epoch < state.leader_epoch || state.leader != Some(broker) {
            return ErrorCode::FencedLeaderEpoch;
        }
        if change.partition_epoch != state.partition_epoch || change.leader_epoch > state.leader_epoch {
            return ErrorCode::InvalidRequest;
        }
        let image = &self.durable.image;
        let eligible = change.isr.iter().all(|(id, epoch)| {
            state.replicas.contains(id)
                && image.is_active(*id)
                && image.brokers.get(id).is_some_and(|known| known.epoch == *epoch)
        });
        if !eligible || change.isr.is_empty() {
            return ErrorCode::ReplicaNotAvailable;
        }
        let mut next = state.clone();
        next.isr = change.isr.iter().map(|(id, _)| *id).collect();
        if next.isr != state.isr {
            next.partition_epoch += 1;
            let next = self.moved(next);
            self.write_partition(change.partition, next, effects);
        }
        ErrorCode::None
    }
}
