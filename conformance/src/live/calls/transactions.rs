//! Producer ids and transactions.

use super::{Call, each, shown_error};
use crate::live::Live;
use crate::live::wire::text;
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, EndTxnRequest, GroupId, InitProducerIdRequest,
    ProducerId, TopicName, TransactionalId, TxnOffsetCommitRequest,
    add_partitions_to_txn_request as addition, txn_offset_commit_request as commit,
};
use serde_json::{Value, json};

impl Call<'_> {
    pub fn init_producer(&self) -> Live<Value> {
        let (id, epoch) = if self.step["resume"] == true { self.producer() } else { (-1, -1) };
        let is_transactional = self.step["transaction"].is_string();
        let port = if is_transactional { self.transaction_coordinator()? } else { self.any()? };
        let request = InitProducerIdRequest::default()
            .with_transactional_id(is_transactional.then(|| TransactionalId(self.transaction())))
            .with_transaction_timeout_ms(self.number("timeout_ms", 60_000) as i32)
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(epoch);
        let answer = self.ask(port, 4, &request)?;
        Ok(json!({
            "error": shown_error(answer.error_code),
            "id": answer.producer_id.0,
            "epoch": answer.producer_epoch,
        }))
    }

    pub fn add_partitions_to_txn(&self) -> Live<Value> {
        let (id, epoch) = self.producer();
        let topics = self
            .partitions()?
            .into_iter()
            .map(|(topic, partition)| {
                addition::AddPartitionsToTxnTopic::default()
                    .with_name(TopicName(text(&topic)))
                    .with_partitions(vec![partition])
            })
            .collect();
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(TransactionalId(self.transaction()))
            .with_v3_and_below_producer_id(ProducerId(id))
            .with_v3_and_below_producer_epoch(epoch)
            .with_v3_and_below_topics(topics);
        let answer = self.ask(self.transaction_coordinator()?, 3, &request)?;
        let list = answer.results_by_topic_v3_and_below.iter().flat_map(|topic| {
            let partitions = topic.results_by_partition.iter();
            partitions.map(|found| {
                (self.names.seen(&topic.name), found.partition_index, found.partition_error_code)
            })
        });
        Ok(json!({"partitions": each(list, shown_error)}))
    }

    pub fn add_offsets_to_txn(&self) -> Live<Value> {
        let (id, epoch) = self.producer();
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(TransactionalId(self.transaction()))
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(epoch)
            .with_group_id(GroupId(self.group()));
        let answer = self.ask(self.transaction_coordinator()?, 3, &request)?;
        Ok(json!({"error": shown_error(answer.error_code)}))
    }

    pub fn txn_offset_commit(&self) -> Live<Value> {
        let (id, epoch) = self.producer();
        let topics = self
            .offsets()?
            .into_iter()
            .map(|(topic, partition, offset)| {
                let partition = commit::TxnOffsetCommitRequestPartition::default()
                    .with_partition_index(partition)
                    .with_committed_offset(offset)
                    .with_committed_leader_epoch(-1);
                commit::TxnOffsetCommitRequestTopic::default()
                    .with_name(TopicName(text(&topic)))
                    .with_partitions(vec![partition])
            })
            .collect();
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(TransactionalId(self.transaction()))
            .with_group_id(GroupId(self.group()))
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(epoch)
            .with_generation_id(self.generation())
            .with_member_id(self.member())
            .with_group_instance_id(self.optional("instance"))
            .with_topics(topics);
        let answer = self.ask(self.group_coordinator()?, 3, &request)?;
        let list = answer.topics.iter().flat_map(|topic| {
            let partitions = topic.partitions.iter();
            partitions.map(|found| (self.names.seen(&topic.name), found.partition_index, found.error_code))
        });
        Ok(json!({"offsets": each(list, shown_error)}))
    }

    pub fn end_txn(&self) -> Live<Value> {
        let (id, epoch) = self.producer();
        let version = if self.step["protocol"] == 2 { 5 } else { 3 };
        let request = EndTxnRequest::default()
            .with_transactional_id(TransactionalId(self.transaction()))
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(epoch)
            .with_committed(self.step["commit"] == true);
        let answer = self.ask(self.transaction_coordinator()?, version, &request)?;
        let mut shown = json!({"error": shown_error(answer.error_code)});
        if version >= 5 {
            shown["new_id"] = json!(answer.producer_id.0);
            shown["new_epoch"] = json!(answer.producer_epoch);
        }
        Ok(shown)
    }
}
