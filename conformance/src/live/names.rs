//! What the names of a script stand for in the real cluster.
//!
//! Every conversation has a prefix of its own, so that one cluster serves many. A group's and a transaction's real
//! name ends so that Kafka's hash puts it on the partition that the model gives it: both then have the same broker as
//! coordinator, and a broker's fault hits the same in both.

use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many partitions each of the two internal topics has.
const INTERNAL_PARTITIONS: usize = 3;

#[derive(Clone, Default)]
pub struct Names {
    prefix: String,
    /// Wall clock at the first step.
    pub base_ms: i64,
    /// By client.
    pub producers: BTreeMap<String, (i64, i16)>,
    /// By client.
    pub members: BTreeMap<String, String>,
    /// By client: the last one that it learned.
    pub generations: BTreeMap<String, i32>,
    groups: Vec<(String, String)>,
    transactions: Vec<(String, String)>,
}

/// Java's hash of a text, made positive as Kafka does it.
fn java_hash(text: &str) -> usize {
    let hash =
        text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    if hash == i32::MIN { 0 } else { hash.unsigned_abs() as usize }
}

fn aligned(known: &mut Vec<(String, String)>, prefix: &str, name: &str) {
    if known.iter().any(|(seen, _)| seen == name) {
        return;
    }
    // The model numbers the names from 1, in the order of their first use.
    let wanted = (known.len() + 1) % INTERNAL_PARTITIONS;
    let endings = (0u32..).map(|ending| format!("{prefix}{name}~{ending}"));
    let real = endings.into_iter().find(|real| java_hash(real) % INTERNAL_PARTITIONS == wanted);
    known.push((name.to_owned(), real.unwrap_or_else(|| format!("{prefix}{name}"))));
}

fn found(known: &[(String, String)], name: &str) -> Option<String> {
    known.iter().find(|(seen, _)| seen == name).map(|(_, real)| real.clone())
}

impl Names {
    pub fn new(prefix: String, base_ms: i64) -> Names {
        Names { prefix, base_ms, ..Names::default() }
    }

    /// Give a group its number; a name that was used before keeps its own.
    pub fn use_group(&mut self, name: &str) {
        aligned(&mut self.groups, &self.prefix, name);
    }

    /// Give a transaction its number.
    pub fn use_transaction(&mut self, name: &str) {
        aligned(&mut self.transactions, &self.prefix, name);
    }

    pub fn group(&self, name: &str) -> String {
        found(&self.groups, name).unwrap_or_else(|| format!("{}{name}", self.prefix))
    }

    pub fn transaction(&self, name: &str) -> String {
        found(&self.transactions, name).unwrap_or_else(|| format!("{}{name}", self.prefix))
    }

    /// A topic's real name; the internal ones have theirs.
    pub fn topic(&self, name: &str) -> String {
        if name.starts_with("__") { name.to_owned() } else { format!("{}{name}", self.prefix) }
    }

    /// The name in the script of a real topic.
    pub fn seen(&self, real: &str) -> String {
        real.strip_prefix(&self.prefix).unwrap_or(real).to_owned()
    }

    pub fn producer_name(&self, id: i64) -> Value {
        if id < 0 {
            return Value::Null;
        }
        let found = self.producers.iter().find(|(_, (known, _))| *known == id);
        found.map_or_else(|| json!(format!("#{id}")), |(name, _)| json!(name))
    }

    pub fn member_name(&self, id: &str) -> Value {
        if id.is_empty() {
            return json!("");
        }
        let found = self.members.iter().find(|(_, known)| known.as_str() == id);
        found.map_or_else(|| json!(format!("#{id}")), |(name, _)| json!(name))
    }
}

#[cfg(test)]
mod tests {
    use super::{Names, java_hash};

    #[test]
    fn the_hash_is_javas() {
        assert_eq!(java_hash("abc"), 96_354);
        assert_eq!(java_hash("polygenelubricants"), 0);
        assert_eq!(java_hash("consumer-group"), (-1_738_392_088i32).unsigned_abs() as usize);
    }

    #[test]
    fn groups_get_partitions_in_the_order_of_their_first_use() {
        let mut names = Names::new("p-".to_owned(), 0);
        for name in ["b", "a", "b", "c"] {
            names.use_group(name);
        }
        let partitions: Vec<usize> =
            ["b", "a", "c"].iter().map(|name| java_hash(&names.group(name)) % 3).collect();
        assert_eq!(partitions, [1, 2, 0]);
    }
}
