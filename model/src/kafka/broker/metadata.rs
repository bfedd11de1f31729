//! Metadata for clients: a broker's own picture of the cluster, which may be old.

use super::{Broker, Context};
use crate::kafka::cluster::PartitionState;
use crate::kafka::protocol::{BrokerId, ErrorCode, PartitionMetadata, Response};
use crate::kafka::wiring::is_internal;
use crate::machine::RequestId;
use crate::record::{NodeId, TopicId, TopicPartition};

impl Broker {
    /// Topics that are asked for by name, or all but the internal ones.
    pub(super) fn serve_metadata(
        &mut self,
        cx: &mut Context<'_>,
        from: NodeId,
        id: RequestId,
        topics: &[TopicId],
    ) {
        let image = &self.durable.image;
        let brokers = image
            .brokers
            .iter()
            .filter(|(_, state)| !state.fenced)
            .map(|(broker, state)| (*broker, state.node))
            .collect();
        let wanted: Vec<TopicId> = if topics.is_empty() {
            image.topics.keys().copied().filter(|topic| !is_internal(*topic)).collect()
        } else {
            topics.to_vec()
        };
        let unknown = wanted.iter().copied().filter(|topic| !image.topics.contains_key(topic)).collect();
        let partitions = wanted
            .iter()
            .flat_map(|topic| image.partitions_of(*topic))
            .map(|(at, state)| self.partition_metadata(at, state))
            .collect();
        cx.answer(from, id, Response::Metadata { brokers, unknown, partitions });
    }

    fn partition_metadata(&self, at: TopicPartition, state: &PartitionState) -> PartitionMetadata {
        let image = &self.durable.image;
        let leader = state.leader.filter(|leader| image.is_alive(*leader));
        let offline: Vec<BrokerId> =
            state.replicas.iter().copied().filter(|id| !image.is_alive(*id)).collect();
        PartitionMetadata {
            partition: at,
            error: if leader.is_some() { ErrorCode::None } else { ErrorCode::LeaderNotAvailable },
            leader,
            leader_epoch: state.leader_epoch,
            replicas: state.replicas.clone(),
            isr: self.settings.version.shown_isr(state),
            offline,
        }
    }
}
