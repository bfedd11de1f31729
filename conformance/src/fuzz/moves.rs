//! What a conversation is made of before it is played: moves, each a few steps that belong together.
//!
//! A move does not say what the answers will be. Where the real cluster needs time until it says what it will say in
//! the end, the move says so, and the model's answer at rest becomes the step's `until`. So a move can be left out and
//! the rest is still a conversation that makes sense: that is how a difference is shrunk.

use serde_json::Value;

/// A few steps that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// In their order.
    pub drafts: Vec<Draft>,
    /// Whether the conversation is not determined without it.
    pub is_needed: bool,
}

/// A step, or a few, that are not yet written out.
#[derive(Clone, Debug, PartialEq)]
pub enum Draft {
    /// As it is.
    Step(Value),
    /// A call that is repeated until these fields are what the model says at rest.
    Settled(Value, &'static [&'static str]),
    /// A call that may wait for others: it is finished when the model has its answer.
    Waiting(Value),
    /// Nothing for so long in the model, and until the cluster shows the same in reality.
    Rest(u64),
}

impl Move {
    /// A move that may be left out.
    pub fn new(drafts: Vec<Draft>) -> Move {
        Move { drafts, is_needed: false }
    }

    /// A move of one step.
    pub fn step(step: Value) -> Move {
        Move::new(vec![Draft::Step(step)])
    }
}
