//! What the names of a script stand for: topics, groups, records' texts and the ids that the cluster hands out.

use cutover_model::kafka::protocol::{MemberId, ProducerId};
use cutover_model::kafka::wiring::{OFFSETS_TOPIC, TRANSACTIONS_TOPIC};
use cutover_model::record::TopicId;
use cutover_model::units::Time;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Texts by number, from 1.
#[derive(Clone, Default)]
pub struct Texts(Vec<String>);

impl Texts {
    pub fn number(&mut self, text: &str) -> usize {
        match self.0.iter().position(|known| known == text) {
            Some(place) => place + 1,
            None => {
                self.0.push(text.to_owned());
                self.0.len()
            }
        }
    }

    pub fn text(&self, number: usize) -> &str {
        number.checked_sub(1).and_then(|place| self.0.get(place)).map_or("", String::as_str)
    }
}

#[derive(Clone, Default)]
pub struct Names {
    pub base: Time,
    pub topics: Texts,
    pub groups: Texts,
    pub transactions: Texts,
    pub instances: Texts,
    pub protocols: Texts,
    /// Subscriptions and assignments.
    pub opaque: Texts,
    /// Keys and values of records, by the sequence in the model's record.
    pub records: Vec<(Value, Value)>,
    pub producers: BTreeMap<String, (ProducerId, i16)>,
    pub members: BTreeMap<String, MemberId>,
    pub generations: BTreeMap<String, i32>,
}

impl Names {
    pub fn topic(&mut self, name: &str) -> TopicId {
        match name {
            "__consumer_offsets" => OFFSETS_TOPIC,
            "__transaction_state" => TRANSACTIONS_TOPIC,
            name => TopicId(self.topics.number(name) as u16),
        }
    }

    pub fn topic_name(&self, topic: TopicId) -> String {
        self.topics.text(usize::from(topic.0)).to_owned()
    }

    pub fn group(&mut self, name: &str) -> u16 {
        self.groups.number(name) as u16
    }

    pub fn transaction(&mut self, name: &str) -> u32 {
        self.transactions.number(name) as u32
    }

    pub fn producer_name(&self, id: ProducerId) -> Value {
        let found = self.producers.iter().find(|(_, (known, _))| *known == id);
        found.map_or_else(|| json!(format!("#{}", id.0)), |(name, _)| json!(name))
    }

    pub fn member_name(&self, id: MemberId) -> Value {
        if id == MemberId::NONE {
            return json!("");
        }
        let found = self.members.iter().find(|(_, known)| **known == id);
        found.map_or_else(|| json!(format!("#{}", id.0)), |(name, _)| json!(name))
    }

    pub fn at_ms(&self, time: Time) -> i64 {
        time.as_millis() as i64 - self.base.as_millis() as i64
    }

    /// A text for an opaque number of the model; the empty text is 0.
    pub fn opaque_number(&mut self, text: &str) -> u64 {
        if text.is_empty() { 0 } else { self.opaque.number(text) as u64 }
    }
}
