//! Record batches, as they are sent and as they are fetched.

use super::Call;
use crate::live::{Live, LiveError};
use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use serde_json::{Value, json};

/// Longer keys and values are written down by their length.
const SHOWN_BYTES: usize = 40;

/// Key, value and time of a record as a script writes it.
fn parts(record: &Value) -> (Option<String>, String, i64) {
    match record {
        Value::String(text) => {
            let (content, at) = text.split_once('@').unwrap_or((text, "0"));
            let (key, value) = content.split_once('=').unwrap_or(("", content));
            let key = (!key.is_empty()).then(|| key.to_owned());
            (key, value.to_owned(), at.parse().unwrap_or(0))
        }
        object => {
            let value = match object["bytes"].as_u64() {
                Some(count) => "x".repeat(count as usize),
                None => object["value"].as_str().unwrap_or("").to_owned(),
            };
            (object["key"].as_str().map(str::to_owned), value, object["at_ms"].as_i64().unwrap_or(0))
        }
    }
}

fn content(bytes: Option<&Bytes>) -> Value {
    match bytes.map(|bytes| String::from_utf8_lossy(bytes)) {
        None => Value::Null,
        Some(text) if text.len() > SHOWN_BYTES => json!({"bytes": text.len()}),
        Some(text) => json!(text),
    }
}

/// The length of the whole batches at the start: the last one may be cut off by the fetch's limit.
fn whole(batches: &Bytes) -> usize {
    let mut end = 0;
    while let Some(length) = batches.get(end + 8..end + 12) {
        let length = length.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte));
        if end + 12 + length > batches.len() {
            break;
        }
        end += 12 + length;
    }
    end
}

impl Call<'_> {
    /// The id and epoch that a batch carries, if it is a producer's with an id.
    fn stamp(&self) -> Live<(i64, i16)> {
        if self.step["as"].is_null() && self.step["sequence"].is_null() {
            return Ok((-1, -1));
        }
        let who = self.field("as", &self.client());
        match self.names.producers.get(&who) {
            Some(_) => Ok(self.producer()),
            None => Err(LiveError::Script(format!("no producer {who}"))),
        }
    }

    /// The step's records as one batch.
    pub fn encoded_records(&self) -> Live<Bytes> {
        let (id, epoch) = self.stamp()?;
        let first = self.number("sequence", -1) as i32;
        let list =
            self.step["records"].as_array().ok_or_else(|| LiveError::Script("no records".to_owned()))?;
        let records: Vec<Record> = list
            .iter()
            .enumerate()
            .map(|(place, record)| {
                let (key, value, at_ms) = parts(record);
                let place = place as i32;
                Record {
                    transactional: self.step["transaction"].is_string(),
                    control: false,
                    delete_horizon: false,
                    partition_leader_epoch: -1,
                    producer_id: id,
                    producer_epoch: epoch,
                    timestamp_type: TimestampType::Creation,
                    offset: i64::from(place),
                    sequence: if first < 0 { place - 1 } else { first.wrapping_add(place) },
                    timestamp: self.names.base_ms + at_ms,
                    key: key.map(Bytes::from),
                    value: Some(Bytes::from(value)),
                    headers: IndexMap::new(),
                }
            })
            .collect();
        let mut batch = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut batch, records.iter(), &options)
            .map_err(|error| LiveError::Wire(error.to_string()))?;
        Ok(batch.freeze())
    }

    /// The records of a fetch. Those of its first batch before the asked offset are left out, unless told.
    pub fn decoded_records(&self, batches: Option<&Bytes>) -> Live<Vec<Value>> {
        let Some(batches) = batches else { return Ok(Vec::new()) };
        let from = if self.step["whole_batches"] == true { 0 } else { self.number("offset", 0) };
        let mut batches = batches.slice(..whole(batches));
        let sets = RecordBatchDecoder::decode_all(&mut batches)
            .map_err(|error| LiveError::Wire(error.to_string()))?;
        let records = sets.into_iter().flat_map(|set| set.records).filter(|record| record.offset >= from);
        Ok(records.map(|record| self.shown_record(&record)).collect())
    }

    fn shown_record(&self, record: &Record) -> Value {
        let mut shown = json!({"offset": record.offset, "epoch": record.partition_leader_epoch});
        if record.control {
            let commits = record.key.as_ref().is_some_and(|key| key.get(3) == Some(&1));
            shown["control"] = json!(if commits { "commit" } else { "abort" });
        } else {
            shown["key"] = content(record.key.as_ref());
            shown["value"] = content(record.value.as_ref());
            if record.timestamp_type == TimestampType::Creation {
                shown["at_ms"] = json!(record.timestamp - self.names.base_ms);
            } else {
                shown["append_time"] = json!(true);
            }
        }
        if record.producer_id >= 0 {
            shown["producer"] = json!(record.producer_id);
            shown["producer_epoch"] = json!(record.producer_epoch);
            if !record.control {
                shown["sequence"] = json!(record.sequence);
            }
        }
        if record.transactional && !record.control {
            shown["transactional"] = json!(true);
        }
        shown
    }
}
