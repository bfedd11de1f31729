//! What a run tells people: the story of a finding, and the trace.

use super::{Keep, alone};
use crate::case::Case;
use crate::results::RunResult;
use crate::world::Dispatched;
use cutover_model::check::{self, Finding, StoryLine, Subject, describe};
use cutover_model::history::{Entry, Event};
use cutover_model::machine::Input;
use cutover_model::units::Time;

/// The shortest story of a finding, from a replay of its seed.
pub fn story(case: &Case, seed: u64, finding: &Finding, at_most: usize) -> Vec<StoryLine> {
    let result = alone(case, seed, Keep { history: true, messages: false });
    story_in(&result.history, case, finding, at_most)
}

/// The shortest story of a finding in a history.
pub fn story_in(history: &[Entry], case: &Case, finding: &Finding, at_most: usize) -> Vec<StoryLine> {
    check::story(history, &case.subject(), finding, at_most)
}

/// The run as readable lines: simulated time, phase, node, what. Messages and timers are among them where they were
/// kept.
pub fn trace(case: &Case, result: &RunResult) -> Vec<String> {
    let subject = case.subject();
    let mut lines = Vec::with_capacity(result.history.len() + result.messages.len());
    let mut messages = result.messages.iter().peekable();
    let mut phase = subject.phase_key(0);
    for entry in &result.history {
        while let Some(message) = messages.next_if(|message| message.at < entry.at) {
            lines.push(line(
                message.at,
                &phase,
                &subject.node_name(message.node),
                &dispatched(message, &subject),
            ));
        }
        match entry.event {
            Event::PhaseBegun { phase: begun, .. } => phase = subject.phase_key(begun),
            Event::PlanCompleted => phase = subject.phase_key(subject.after_the_plan()),
            _ => {}
        }
        lines.push(line(entry.at, &phase, &subject.node_name(entry.node), &describe(entry, &subject)));
    }
    lines
}

fn line(at: Time, phase: &str, node: &str, text: &str) -> String {
    format!("{at}  {phase:<10}  {node:<18}  {text}")
}

fn dispatched(dispatched: &Dispatched, subject: &Subject) -> String {
    match &dispatched.input {
        Input::Start { incarnation } => format!("- starts, incarnation {incarnation}"),
        Input::Message { from, message } => format!("< {} from {}", message.name(), subject.node_name(*from)),
        Input::Timer(timer) => format!("- timer {} {}", timer.name, timer.index),
        Input::Disconnected(gone) => format!("- loses its connection with {}", subject.node_name(*gone)),
        Input::Terminate => "- is asked to stop".to_owned(),
        Input::Incident(incident) => format!("- meets {incident}"),
        Input::Placed(address) => format!("- is given the address {address}"),
        Input::Unreachable(address) => format!("- hears that nobody is at {address}, or no more"),
    }
}
