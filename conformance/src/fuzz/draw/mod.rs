//! Draws a conversation from a seed, move by move, the model in the loop: what is drawn depends on what it holds.
//!
//! What the real cluster does not determine is not drawn (the list is in docs/fidelity.md):
//! - the placement of a topic's replicas by the controller: layouts are drawn, so that both have the same;
//! - reads and writes while something is on its way: after a produce that does not wait for the followers, the end of a
//!   transaction, a change of a topic or a fault, the move waits until the cluster shows what it will show in the end;
//! - time-outs that race with the conversation: sessions, rebalances and transactions that are not meant to time out
//!   have a quarter of an hour, and retention is in force only within the move that waits for it;
//! - subscriptions that are no consumer's, which Kafka takes for subscriptions to every topic where offsets are deleted;
//! - groups without an offset, which are forgotten at the next check once they are empty: each has one in topic `keep`;
//! - records with a time after the conversation's start, which would be among the markers';
//! - retention by size, which depends on the exact size of a segment, and elections of stale replicas by a setting, which
//!   one of two returning replicas wins (asking for one is drawn);
//! - freezes while a join or a sync waits: a coordinator that thaws answers it or refuses it, whichever comes first;
//! - limits of the record size below a marker's: Kafka then never ends a transaction;
//! - fetch limits between one batch and all, which depend on the exact size of a batch.

mod administration;
mod faults;
mod groups;
mod log;
mod transactions;

use super::dice::Dice;
use super::moves::{Draft, Move};
use super::realise::{Realiser, Said};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The topics that may be changed; `keep` is left alone.
const TOPICS: [&str; 2] = ["a", "b"];
const GROUPS: [&str; 2] = ["g", "h"];
const TRANSACTIONS: [&str; 2] = ["x", "y"];
/// What does not time out within a conversation.
const LONG_MS: u64 = 900_000;
/// The longest session that the real cluster allows is half an hour.
const SESSION_MS: u64 = 1_700_000;
/// The time for a fault to be noticed and worked off: a session is 2.5 s, and two elections may follow.
const FAULT_MS: u64 = 8_000;
const CHANGE_MS: u64 = 3_000;

/// A conversation from a seed.
pub struct Drawn {
    /// Topics, and what belongs to the whole conversation.
    pub header: Value,
    /// The moves.
    pub moves: Vec<Move>,
    /// What the model says to them.
    pub said: Vec<Said>,
}

/// The state of the drawing.
struct Drawing {
    dice: Dice,
    realiser: Realiser,
    moves: Vec<Move>,
    /// The batches that a client sent to a partition: first sequence and count.
    batches: BTreeMap<(String, String, i64), Vec<(i64, i64)>>,
    records: u32,
}

/// Three replicas mostly, so that a fault leaves enough.
fn replica_count(dice: &mut Dice) -> usize {
    dice.weighted(&[(6, 3), (3, 2), (1, 1)])
}

/// So many of the brokers, in any order.
fn replicas(dice: &mut Dice, count: usize) -> Value {
    let mut brokers = vec![1, 2, 3];
    for place in 0..3 {
        brokers.swap(place, dice.between(place as i64, 2) as usize);
    }
    brokers.truncate(count);
    json!(brokers)
}

/// The layout of a topic of one or two partitions: the controller wants as many replicas of each.
fn layout(dice: &mut Dice) -> Value {
    let (partitions, count) = (dice.between(1, 2), replica_count(dice));
    (0..partitions).map(|_| replicas(dice, count)).collect()
}

fn header(dice: &mut Dice) -> Value {
    let mut topics = Map::new();
    topics.insert("keep".to_owned(), json!({"replicas": [[1, 2, 3]]}));
    for name in TOPICS {
        let mut topic = json!({"replicas": layout(dice)});
        if dice.percent(10) {
            topic["config"] = json!({"message.timestamp.type": "LogAppendTime"});
        } else if dice.percent(20) {
            topic["config"] = json!({"min.insync.replicas": dice.between(1, 3)});
        }
        topics.insert(name.to_owned(), topic);
    }
    json!({"topics": topics, "groups": GROUPS, "transactions": TRANSACTIONS})
}

/// What kind of move is drawn.
#[derive(Clone, Copy)]
enum Kind {
    Log,
    Groups,
    Transactions,
    Administration,
    Faults,
}

impl Drawing {
    fn perform(&mut self, played: Move) {
        self.realiser.perform(&played);
        self.moves.push(played);
    }

    /// A partition of one of the topics, seldom one that there is not.
    fn partition(&mut self) -> (String, i64) {
        let topic = (*self.dice.pick(&TOPICS)).to_owned();
        let view = self.realiser.peek(&json!({"call": "metadata", "topic": topic}));
        let count = view.map_or(0, |view| view["partitions"].as_array().map_or(0, Vec::len)) as i64;
        let most = if self.dice.percent(3) { count } else { (count - 1).max(0) };
        (topic, self.dice.between(0, most))
    }

    /// What `list_offsets` says: 0 where it refuses.
    fn offset(&self, topic: &str, partition: i64, at: &str) -> i64 {
        let step = json!({"call": "list_offsets", "topic": topic, "partition": partition, "at": at});
        let answer = self.realiser.peek(&step);
        answer
            .filter(|answer| answer["error"] == "NONE")
            .map_or(0, |answer| answer["offset"].as_i64().unwrap_or(0))
    }

    fn leader_epoch(&self, topic: &str, partition: i64) -> i64 {
        let view = self.realiser.peek(&json!({"call": "metadata", "topic": topic}));
        view.map_or(0, |view| view["partitions"][partition as usize]["leader_epoch"].as_i64().unwrap_or(0))
    }

    /// One to three records, from before the conversation.
    fn records(&mut self, count: i64) -> Value {
        let records: Vec<String> = (0..count)
            .map(|_| {
                self.records += 1;
                let at_ms = -1_000 * self.dice.between(1, 100);
                let key =
                    if self.dice.percent(50) { format!("k{}=", self.dice.below(3)) } else { String::new() };
                format!("{key}r{}@{at_ms}", self.records)
            })
            .collect();
        json!(records)
    }

    /// Wait until the leader says what it will say in the end.
    fn settled(topic: &str, partition: i64) -> Draft {
        let step = json!({"call": "list_offsets", "topic": topic, "partition": partition, "at": "latest"});
        Draft::Settled(step, &["error", "offset"])
    }

    fn struck(&self) -> Vec<i64> {
        (1..=3).filter(|broker| self.realiser.player.is_struck(*broker as u32)).collect()
    }

    fn draw(&mut self) -> Move {
        let kind = self.dice.weighted(&[
            (38, Kind::Log),
            (30, Kind::Groups),
            (20, Kind::Transactions),
            (8, Kind::Administration),
            (4, Kind::Faults),
        ]);
        match kind {
            Kind::Log => self.log(),
            Kind::Groups => self.group(),
            Kind::Transactions => self.transaction(),
            Kind::Administration => self.administration(),
            Kind::Faults => self.fault(),
        }
    }
}

/// The conversation of a seed.
///
/// # Errors
/// Where the model cannot create the topics.
pub fn draw(seed: u64, moves: u16) -> Result<Drawn, String> {
    let mut dice = Dice::new(seed);
    let header = header(&mut dice);
    let realiser = Realiser::open(&header)?;
    let mut drawing = Drawing { dice, realiser, moves: Vec::new(), batches: BTreeMap::new(), records: 0 };
    for group in GROUPS {
        drawing.perform(groups::kept(group));
    }
    for _ in 0..moves {
        let drawn = drawing.draw();
        drawing.perform(drawn);
    }
    Ok(Drawn { header, moves: drawing.moves, said: drawing.realiser.said })
}

#[cfg(test)]
mod tests {
    use super::draw;
    use crate::fuzz::realise::{Outcome, realise};

    #[test]
    fn a_seed_makes_the_same_conversation() {
        let (first, second) = (draw(7, 30).expect("drawn"), draw(7, 30).expect("drawn"));
        assert_eq!(first.moves, second.moves);
        assert_eq!(first.said, second.said);
        assert_ne!(first.moves, draw(8, 30).expect("drawn").moves);
    }

    #[test]
    fn moves_played_again_say_the_same() {
        let drawn = draw(11, 30).expect("drawn");
        assert_eq!(realise(&drawn.header, &drawn.moves).expect("played"), drawn.said);
    }

    #[test]
    fn every_drawn_step_is_one_that_the_player_knows() {
        let kinds = ["call", "fault", "wait_ms", "pending", "finish"];
        for seed in 0..20 {
            for said in draw(seed, 40).expect("drawn").said {
                let known = kinds.iter().filter(|kind| said.step.get(**kind).is_some()).count();
                assert_eq!(known, 1, "{}", said.step);
                if let Outcome::Failed(error) = &said.outcome {
                    assert!(!error.contains("not in the model"), "{}: {error}", said.step);
                }
            }
        }
    }
}
