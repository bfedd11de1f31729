//! Writing and reading a partition's log.

use super::{Call, lacking, shown_error};
use crate::live::wire::tell;
use crate::live::{Live, LiveError};
use kafka_protocol::messages::{
    BrokerId, FetchRequest, ListOffsetsRequest, OffsetForLeaderEpochRequest, ProduceRequest, TransactionalId,
    fetch_request, fetch_response, list_offsets_request, offset_for_leader_epoch_request as epochs,
    produce_request,
};
use serde_json::{Value, json};

/// What asks is a client, not a broker.
const CLIENT: BrokerId = BrokerId(-1);

impl Call<'_> {
    fn acks(&self) -> Live<i16> {
        match &self.step["acks"] {
            Value::String(_) | Value::Null => Ok(-1),
            value => {
                let acks = value.as_i64().and_then(|acks| i16::try_from(acks).ok());
                acks.ok_or_else(|| LiveError::Script(format!("acks {value}")))
            }
        }
    }

    pub fn produce(&self) -> Live<Value> {
        let acks = self.acks()?;
        let partition = produce_request::PartitionProduceData::default()
            .with_index(self.partition())
            .with_records(Some(self.encoded_records()?));
        let topic = produce_request::TopicProduceData::default()
            .with_name(self.topic())
            .with_partition_data(vec![partition]);
        let transaction = self.step["transaction"].is_string().then(|| TransactionalId(self.transaction()));
        let request = ProduceRequest::default()
            .with_transactional_id(transaction)
            .with_acks(acks)
            .with_timeout_ms(self.number("timeout_ms", 10_000) as i32)
            .with_topic_data(vec![topic]);
        let version = if self.step["protocol"] == 2 { 12 } else { 9 };
        let port = self.leader()?;
        if acks == 0 {
            tell(port, version, &self.client(), &request)?;
            return Ok(json!("no answer, as asked"));
        }
        let answer = self.ask(port, version, &request)?;
        let partition = answer.responses.first().and_then(|topic| topic.partition_responses.first());
        let partition = partition.ok_or_else(|| lacking("partition"))?;
        Ok(json!({
            "error": shown_error(partition.error_code),
            "base_offset": partition.base_offset,
            "log_start": partition.log_start_offset,
        }))
    }

    pub fn fetch(&self) -> Live<Value> {
        let most = self.number("max_bytes", 1 << 20) as i32;
        let partition = fetch_request::FetchPartition::default()
            .with_partition(self.partition())
            .with_current_leader_epoch(self.number("leader_epoch", -1) as i32)
            .with_fetch_offset(self.number("offset", 0))
            .with_last_fetched_epoch(self.number("last_fetched_epoch", -1) as i32)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(most);
        let topic =
            fetch_request::FetchTopic::default().with_topic(self.topic()).with_partitions(vec![partition]);
        let request = FetchRequest::default()
            .with_replica_id(CLIENT)
            .with_max_wait_ms(self.number("max_wait_ms", 200) as i32)
            .with_min_bytes(self.number("min_bytes", 1) as i32)
            .with_max_bytes(most)
            .with_isolation_level(self.isolation())
            .with_session_id(0)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let answer = self.ask(self.leader()?, 12, &request)?;
        let partition = answer.responses.first().and_then(|topic| topic.partitions.first());
        self.fetched(partition.ok_or_else(|| lacking("partition"))?)
    }

    fn fetched(&self, partition: &fetch_response::PartitionData) -> Live<Value> {
        let mut shown = json!({
            "error": shown_error(partition.error_code),
            "high_watermark": partition.high_watermark,
            "last_stable": partition.last_stable_offset,
            "log_start": partition.log_start_offset,
            "records": self.decoded_records(partition.records.as_ref())?,
        });
        let aborted: Vec<Value> = partition
            .aborted_transactions
            .iter()
            .flatten()
            .map(|aborted| json!({"producer": aborted.producer_id.0, "first_offset": aborted.first_offset}))
            .collect();
        if !aborted.is_empty() {
            shown["aborted"] = json!(aborted);
        }
        let diverging = &partition.diverging_epoch;
        if diverging.epoch >= 0 {
            shown["diverging"] = json!({"epoch": diverging.epoch, "end_offset": diverging.end_offset});
        }
        Ok(shown)
    }

    pub fn list_offsets(&self) -> Live<Value> {
        let at = match &self.step["at"] {
            Value::String(word) => match word.as_str() {
                "earliest" => -2,
                "latest" => -1,
                "max_timestamp" => -3,
                other => return Err(LiveError::Script(format!("at {other}"))),
            },
            value => self.names.base_ms + value.as_i64().unwrap_or(0),
        };
        let partition = list_offsets_request::ListOffsetsPartition::default()
            .with_partition_index(self.partition())
            .with_current_leader_epoch(self.number("leader_epoch", -1) as i32)
            .with_timestamp(at);
        let topic = list_offsets_request::ListOffsetsTopic::default()
            .with_name(self.topic())
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(CLIENT)
            .with_isolation_level(self.isolation())
            .with_topics(vec![topic]);
        let answer = self.ask(self.leader()?, 7, &request)?;
        let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
        let partition = partition.ok_or_else(|| lacking("partition"))?;
        let mut shown = json!({
            "error": shown_error(partition.error_code),
            "offset": partition.offset,
            "leader_epoch": partition.leader_epoch,
        });
        if partition.timestamp >= 0 {
            shown["at_ms"] = json!(partition.timestamp - self.names.base_ms);
        }
        Ok(shown)
    }

    pub fn offset_for_leader_epoch(&self) -> Live<Value> {
        let partition = epochs::OffsetForLeaderPartition::default()
            .with_partition(self.partition())
            .with_current_leader_epoch(self.number("leader_epoch", -1) as i32)
            .with_leader_epoch(self.number("epoch", 0) as i32);
        let topic =
            epochs::OffsetForLeaderTopic::default().with_topic(self.topic()).with_partitions(vec![partition]);
        let request = OffsetForLeaderEpochRequest::default().with_replica_id(CLIENT).with_topics(vec![topic]);
        let answer = self.ask(self.leader()?, 4, &request)?;
        let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
        let partition = partition.ok_or_else(|| lacking("partition"))?;
        Ok(json!({
            "error": shown_error(partition.error_code),
            "epoch": partition.leader_epoch,
            "end_offset": partition.end_offset,
        }))
    }
}
