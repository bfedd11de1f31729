//! The workload of a case, as its file gives it.

use cutover_model::record::Partitioner;
use cutover_model::units::{Bytes, Span};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// `[workload]`: synthetic, unless `trace` or `sends` is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// How many records the producers send together.
    pub records: u64,
    /// The first record is not sent before.
    pub start: Span,
    /// The last record is sent by then; without it, four fifths of the case's duration.
    pub end: Option<Span>,
    /// How many keys there are.
    pub keys: u64,
    /// How much more often the first keys come than the last: the k-th comes 1 / k^zipf times as often as the first.
    /// 0 makes all keys equal.
    pub zipf: Thousandths,
    /// How large records are.
    pub bytes: BytesRange,
    /// Times at which more is sent.
    pub bursts: Option<Bursts>,
    /// Records that Corgi is to keep back for a while.
    pub delayed: Option<DelayedShare>,
    /// Which producer sends a record.
    pub deal: Deal,
    /// How a record's key decides its source partition in Corgi.
    pub partitioner: Partitioner,
    /// A trace file instead: a CSV with the columns `at,key,bytes` and perhaps `topic`, its times stretched or
    /// compressed into `start` to `end`. Relative to the case file that names it.
    pub trace: Option<String>,
    /// The records one by one instead: what a saved case has.
    pub sends: Option<Arc<[Send]>>,
    /// The rows of the trace, read when the case is loaded.
    #[serde(skip)]
    pub rows: Arc<[Row]>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            records: 2_000,
            start: Span::secs(5),
            end: None,
            keys: 200,
            zipf: Thousandths(900),
            bytes: BytesRange::default(),
            bursts: None,
            delayed: None,
            deal: Deal::ByKey,
            partitioner: Partitioner::JavaHash,
            trace: None,
            sends: None,
            rows: Arc::from([]),
        }
    }
}

/// Which producer sends a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, strum::Display)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Deal {
    /// All records of a key come from one producer.
    #[default]
    ByKey,
    /// Each producer in turn.
    RoundRobin,
}

/// Times at which more is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bursts {
    /// One in each such span, at its end.
    pub every: Span,
    /// How long it lasts.
    pub length: Span,
    /// How many times as much is sent in it.
    pub factor: u32,
}

/// Records that Corgi is to keep back: so many, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DelayedShare {
    /// So many of a million records.
    pub per_million: u32,
    /// At least so long.
    pub least: Span,
    /// At most so long.
    pub most: Span,
}

/// How large records are: each size between the two as likely as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct BytesRange {
    /// At least.
    pub least: Bytes,
    /// At most.
    pub most: Bytes,
}

impl Default for BytesRange {
    fn default() -> BytesRange {
        BytesRange { least: Bytes(200), most: Bytes(2_000) }
    }
}

/// One record of a workload that is given one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Send {
    /// When it is sent.
    pub at: Span,
    /// The producer's number, from 0.
    pub producer: u32,
    /// The topic's name.
    pub topic: String,
    /// The key.
    pub key: String,
    /// Its size.
    pub bytes: Bytes,
    /// How long Corgi is to keep it back.
    #[serde(default, skip_serializing_if = "Span::is_zero")]
    pub delay: Span,
}

/// One row of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// When, in microseconds since the first row.
    pub at: u64,
    /// The key.
    pub key: String,
    /// The size in bytes.
    pub bytes: u32,
    /// The topic's name, where the trace has that column.
    pub topic: Option<String>,
}

/// A number with up to three places behind the point, kept whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thousandths(pub u32);

impl<'de> Deserialize<'de> for Thousandths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Thousandths, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if !(0.0..=1_000.0).contains(&number) {
            return Err(serde::de::Error::custom(format!(
                "{number} is out of range: write a number from 0 to 1000"
            )));
        }
        Ok(Thousandths(libm::round(number * 1_000.0) as u32))
    }
}

impl Serialize for Thousandths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 1_000.0)
    }
}
