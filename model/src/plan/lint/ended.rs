//! What a plan had brought about and has brought to an end again: who waits for it behind that must wait before.

use super::bookkeeping::Place;
use crate::plan::Act;
use crate::record::Queue;
use crate::switch::WriteTo;
use std::collections::BTreeMap;

/// Something that is so from one act to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// The mirror runs.
    Mirror,
    /// The reverse mirror runs.
    ReverseMirror,
    /// Corgi runs.
    Corgi,
    /// That group runs the NewClient.
    RolledOut(String),
    /// That group's NewClients read from there.
    Reading(String, Queue),
    /// That group is paused.
    Paused(String),
    /// Producers write there.
    Writing(WriteTo),
    /// Something is held.
    Held,
}

/// The acts that ended what was so: of each state the last one, its place first.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended(BTreeMap<State, (Place, &'static str)>);

impl Ended {
    /// Take into the books that an act ended something.
    pub fn note(&mut self, state: State, act: &Act, place: Place) {
        self.0.insert(state, (place, act.word()));
    }

    /// Where it was ended, if it was.
    pub fn place(&self, state: &State) -> Option<Place> {
        self.0.get(state).map(|(place, _)| *place)
    }

    /// What to write where a wait comes too late: this wait before the act that ended what it waits for; `never` where nothing
    /// did.
    pub fn or_wait(&self, state: &State, never: &str) -> String {
        self.or(state, "Write this wait", never)
    }

    /// The same of something else that is done too late.
    pub fn or(&self, state: &State, what: &str, never: &str) -> String {
        match self.told(state) {
            Some(told) => format!("{what} before {told}"),
            None => never.to_owned(),
        }
    }

    /// What to write where an act undoes nothing: nothing, if another one undid it before.
    pub fn or_leave_out(&self, state: &State, begins: &str) -> String {
        match self.told(state) {
            Some(told) => format!("Leave it out: {told} did it before"),
            None => format!("Write `{begins}` before it, or leave it out"),
        }
    }

    fn told(&self, state: &State) -> Option<String> {
        let ((phase, step), act) = self.0.get(state)?;
        Some(match step {
            Some(step) => format!("`{act}` in phase {phase}, step {step}"),
            None => format!("`{act}` in phase {phase}"),
        })
    }
}
