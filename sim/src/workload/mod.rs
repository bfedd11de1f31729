//! The workload of a run: what each producer sends, and when. Drawn whole before the run begins, so that a producer is
//! a plain list and no machine needs a random number.

pub mod settings;
mod synthetic;
mod trace;

pub use settings::{DelayedShare, Row, Send, Settings};
pub(crate) use trace::read_trace;

use crate::case::Case;
use crate::random::{Stream, Streams};
use cutover_model::application::Scheduled;
use cutover_model::client::partition_hash;
use cutover_model::record::{Key, Record, RecordId, TopicId};
use cutover_model::units::{Bytes, Span, Time};
use serde::Serialize;
use settings::Deal;
use std::collections::BTreeMap;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// What all producers send.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Workload {
    /// The keys' texts and hashes; a key's id is its place.
    pub keys: Vec<(String, Key)>,
    /// What each producer sends, by the producer's number, in the order of time.
    pub producers: Vec<Arc<[Scheduled]>>,
}

/// A record before it has an identity.
struct Planned {
    at: Time,
    producer: u32,
    topic: TopicId,
    key: u32,
    bytes: u32,
    delay: Span,
}

impl Workload {
    /// Draw the workload of a run.
    pub fn draw(case: &Case, streams: Streams) -> Workload {
        let (texts, mut planned) = if let Some(sends) = &case.workload.sends {
            listed(case, sends)
        } else if case.workload.trace.is_some() {
            trace::planned(case)
        } else {
            synthetic::planned(case, &mut streams.stream("workload"))
        };
        // Stable: records of one moment keep the order in which they were listed.
        planned.sort_by_key(|record| record.at);
        if case.workload.sends.is_none()
            && let Some(delayed) = case.workload.delayed
        {
            keep_back(&mut planned, delayed, &mut streams.stream("delays"));
        }
        assemble(case, texts, &planned)
    }

    /// How many records there are.
    pub fn records(&self) -> u64 {
        self.producers.iter().map(|sends| sends.len() as u64).sum()
    }

    /// When the last record is sent.
    pub fn ends_at(&self) -> Time {
        let lasts = self.producers.iter().filter_map(|sends| sends.last());
        lasts.map(|scheduled| scheduled.at).max().unwrap_or(Time::ZERO)
    }

    /// The workload as a list of sends, for a case that is saved or shrunk.
    pub fn sends(&self, case: &Case) -> Arc<[Send]> {
        let mut all: Vec<&Scheduled> = self.producers.iter().flat_map(|sends| sends.iter()).collect();
        all.sort_by_key(|scheduled| (scheduled.at, scheduled.record.id));
        all.into_iter()
            .map(|Scheduled { at, record }| Send {
                at: at.since(Time::ZERO),
                producer: record.id.producer,
                topic: case.topics[usize::from(record.topic.0)].name.clone(),
                key: self.keys[record.key.id as usize].0.clone(),
                bytes: Bytes(u64::from(record.bytes)),
                delay: record.delay,
            })
            .collect()
    }
}

/// Draws which records Corgi is to keep back, and for how long.
fn keep_back(planned: &mut [Planned], delayed: settings::DelayedShare, stream: &mut Stream) {
    for record in planned {
        if stream.below(1_000_000) < u64::from(delayed.per_million) {
            record.delay = stream.between(delayed.least, delayed.most);
        }
    }
}

fn assemble(case: &Case, texts: Vec<String>, planned: &[Planned]) -> Workload {
    let keys: Vec<(String, Key)> = (0..)
        .zip(texts)
        .map(|(id, text)| {
            let key = partition_hash::key(id, text.as_bytes());
            (text, key)
        })
        .collect();
    let mut producers: Vec<Vec<Scheduled>> = vec![Vec::new(); case.producers.count as usize];
    for one in planned {
        let sends = &mut producers[one.producer as usize];
        let key = keys[one.key as usize].1;
        let record = Record {
            id: RecordId { producer: one.producer, sequence: sends.len() as u32 },
            topic: one.topic,
            source: case
                .workload
                .partitioner
                .partition(&key, case.topics[usize::from(one.topic.0)].partitions),
            key,
            bytes: one.bytes,
            created_at: one.at,
            copied_from: -1,
            delay: one.delay,
        };
        sends.push(Scheduled { at: one.at, record });
    }
    Workload { keys, producers: producers.into_iter().map(Arc::from).collect() }
}

/// A workload that is given record by record.
fn listed(case: &Case, sends: &[Send]) -> (Vec<String>, Vec<Planned>) {
    let mut keys = KeyIds::default();
    let planned = sends
        .iter()
        .map(|send| Planned {
            at: Time::ZERO + send.at,
            producer: send.producer,
            topic: case.topic(&send.topic).expect("the topics of sends are checked when a case is loaded"),
            key: keys.id(&send.key),
            bytes: send.bytes.0 as u32,
            delay: send.delay,
        })
        .collect();
    (keys.texts, planned)
}

/// Numbers keys in the order in which they come.
#[derive(Default)]
struct KeyIds {
    ids: BTreeMap<String, u32>,
    texts: Vec<String>,
}

impl KeyIds {
    fn id(&mut self, text: &str) -> u32 {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = self.texts.len() as u32;
        self.ids.insert(text.to_owned(), id);
        self.texts.push(text.to_owned());
        id
    }
}

/// Which producer sends the record at that place. By another hash than the partitioners': else all records of a source
/// partition would come from one producer.
fn dealt(deal: Deal, key: &str, place: usize, producers: u32) -> u32 {
    let producers = u64::from(producers.max(1));
    let turn = match deal {
        Deal::ByKey => xxh3_64(key.as_bytes()) >> 32,
        Deal::RoundRobin => place as u64,
    };
    (turn % producers) as u32
}

/// When the workload begins and how long it is.
fn window(case: &Case) -> (Time, Span) {
    (Time::ZERO + case.workload.start, case.workload_end().saturating_sub(case.workload.start))
}

#[cfg(test)]
mod tests;
