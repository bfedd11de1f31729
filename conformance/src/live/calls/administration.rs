//! Topics, partitions, settings, leaders, and what the cluster tells about them.

use super::{Call, broker_ids, lacking, setting, shown_error};
use crate::live::Live;
use crate::live::wire::text;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest,
    DeleteTopicsRequest, DescribeProducersRequest, ElectLeadersRequest, IncrementalAlterConfigsRequest,
};
use kafka_protocol::messages::{
    BrokerId, alter_partition_reassignments_request as reassignments, create_partitions_request as widening,
    create_topics_request as creation, delete_records_request as deletion,
    describe_producers_request as producers, elect_leaders_request as election,
    incremental_alter_configs_request as alteration,
};
use serde_json::{Value, json};

const PATIENCE_MS: i32 = 10_000;

fn sorted(brokers: &[BrokerId]) -> Vec<i32> {
    let mut ids: Vec<i32> = brokers.iter().map(|broker| broker.0).collect();
    ids.sort_unstable();
    ids
}

impl Call<'_> {
    pub fn create_topic(&self) -> Live<Value> {
        let mut topic = creation::CreatableTopic::default()
            .with_name(self.topic())
            .with_num_partitions(self.number("partitions", -1) as i32)
            .with_replication_factor(self.number("replication", -1) as i16);
        if let Some(lists) = self.step["replicas"].as_array() {
            topic.num_partitions = -1;
            topic.replication_factor = -1;
            let assigned = |(place, list): (usize, &Value)| {
                creation::CreatableReplicaAssignment::default()
                    .with_partition_index(place as i32)
                    .with_broker_ids(broker_ids(list))
            };
            topic.assignments = lists.iter().enumerate().map(assigned).collect();
        }
        let configured = |(name, value): (&String, &Value)| {
            creation::CreatableTopicConfig::default().with_name(text(name)).with_value(Some(setting(value)))
        };
        topic.configs = self.step["config"].as_object().into_iter().flatten().map(configured).collect();
        let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(PATIENCE_MS);
        let answer = self.ask(self.any()?, 5, &request)?;
        let topic = answer.topics.first().ok_or_else(|| lacking("topic"))?;
        Ok(json!({"error": shown_error(topic.error_code)}))
    }

    pub fn delete_topic(&self) -> Live<Value> {
        let request =
            DeleteTopicsRequest::default().with_topic_names(vec![self.topic()]).with_timeout_ms(PATIENCE_MS);
        let answer = self.ask(self.any()?, 5, &request)?;
        let topic = answer.responses.first().ok_or_else(|| lacking("topic"))?;
        Ok(json!({"error": shown_error(topic.error_code)}))
    }

    pub fn create_partitions(&self) -> Live<Value> {
        let mut topic = widening::CreatePartitionsTopic::default()
            .with_name(self.topic())
            .with_count(self.number("count", 0) as i32);
        if let Some(lists) = self.step["replicas"].as_array() {
            let assigned =
                |list| widening::CreatePartitionsAssignment::default().with_broker_ids(broker_ids(list));
            topic.assignments = Some(lists.iter().map(assigned).collect());
        }
        let request =
            CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(PATIENCE_MS);
        let answer = self.ask(self.any()?, 3, &request)?;
        let topic = answer.results.first().ok_or_else(|| lacking("topic"))?;
        Ok(json!({"error": shown_error(topic.error_code)}))
    }

    pub fn alter_config(&self) -> Live<Value> {
        let altered = |(name, value): (&String, &Value)| {
            alteration::AlterableConfig::default()
                .with_name(text(name))
                .with_config_operation(0)
                .with_value(Some(setting(value)))
        };
        let resource = alteration::AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(self.topic().0)
            .with_configs(self.step["config"].as_object().into_iter().flatten().map(altered).collect());
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let answer = self.ask(self.any()?, 1, &request)?;
        let resource = answer.responses.first().ok_or_else(|| lacking("topic"))?;
        Ok(json!({"error": shown_error(resource.error_code)}))
    }

    pub fn elect_leader(&self) -> Live<Value> {
        let partition = election::TopicPartitions::default()
            .with_topic(self.topic())
            .with_partitions(vec![self.partition()]);
        let request = ElectLeadersRequest::default()
            .with_election_type(i8::from(self.field("election", "preferred") == "unclean"))
            .with_topic_partitions(Some(vec![partition]))
            .with_timeout_ms(PATIENCE_MS);
        let answer = self.ask(self.any()?, 2, &request)?;
        let topic = answer.replica_election_results.first();
        let partition = topic.and_then(|topic| topic.partition_result.first());
        let code = partition.map_or(answer.error_code, |partition| partition.error_code);
        Ok(json!({"error": shown_error(code)}))
    }

    pub fn reassign(&self) -> Live<Value> {
        let replicas = self.step["replicas"].is_array().then(|| broker_ids(&self.step["replicas"]));
        let partition = reassignments::ReassignablePartition::default()
            .with_partition_index(self.partition())
            .with_replicas(replicas);
        let topic = reassignments::ReassignableTopic::default()
            .with_name(self.topic())
            .with_partitions(vec![partition]);
        let request = AlterPartitionReassignmentsRequest::default()
            .with_timeout_ms(PATIENCE_MS)
            .with_topics(vec![topic]);
        let answer = self.ask(self.any()?, 0, &request)?;
        let partition = answer.responses.first().and_then(|topic| topic.partitions.first());
        let code = partition.map_or(answer.error_code, |partition| partition.error_code);
        Ok(json!({"error": shown_error(code)}))
    }

    pub fn delete_records(&self) -> Live<Value> {
        let partition = deletion::DeleteRecordsPartition::default()
            .with_partition_index(self.partition())
            .with_offset(self.number("before", -1));
        let topic =
            deletion::DeleteRecordsTopic::default().with_name(self.topic()).with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default().with_timeout_ms(PATIENCE_MS).with_topics(vec![topic]);
        let answer = self.ask(self.leader()?, 2, &request)?;
        let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
        let partition = partition.ok_or_else(|| lacking("partition"))?;
        Ok(json!({"error": shown_error(partition.error_code), "low_watermark": partition.low_watermark}))
    }

    pub fn metadata(&self) -> Live<Value> {
        let view = self.brokers.view(Some(&self.topic().0), self.step["to"].as_i64())?;
        let topic = view.topics.first().ok_or_else(|| lacking("topic"))?;
        let mut partitions: Vec<_> = topic.partitions.iter().collect();
        partitions.sort_by_key(|partition| partition.partition_index);
        let shown: Vec<Value> = partitions
            .into_iter()
            .map(|partition| {
                let mut shown = json!({
                    "partition": partition.partition_index,
                    "error": shown_error(partition.error_code),
                    "leader": partition.leader_id.0,
                    "leader_epoch": partition.leader_epoch,
                    "replicas": partition.replica_nodes.iter().map(|broker| broker.0).collect::<Vec<_>>(),
                    "isr": sorted(&partition.isr_nodes),
                    "offline": sorted(&partition.offline_replicas),
                });
                // An internal topic outlives a conversation: its epochs say nothing of it.
                if let (true, Some(fields)) = (self.topic().0.starts_with("__"), shown.as_object_mut()) {
                    fields.shift_remove("leader_epoch");
                }
                shown
            })
            .collect();
        Ok(
            json!({"error": shown_error(topic.error_code), "brokers": view.brokers.len(), "partitions": shown}),
        )
    }

    pub fn describe_producers(&self) -> Live<Value> {
        let topic = producers::TopicRequest::default()
            .with_name(self.topic())
            .with_partition_indexes(vec![self.partition()]);
        let request = DescribeProducersRequest::default().with_topics(vec![topic]);
        let answer = self.ask(self.leader()?, 0, &request)?;
        let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
        let partition = partition.ok_or_else(|| lacking("partition"))?;
        let mut active: Vec<_> = partition.active_producers.iter().collect();
        active.sort_by_key(|producer| producer.producer_id);
        let shown: Vec<Value> = active
            .into_iter()
            .map(|producer| {
                json!({
                    "producer": producer.producer_id.0,
                    "epoch": producer.producer_epoch,
                    "last_sequence": producer.last_sequence,
                    "transaction_start": producer.current_txn_start_offset,
                })
            })
            .collect();
        Ok(json!({"error": shown_error(partition.error_code), "producers": shown}))
    }
}
