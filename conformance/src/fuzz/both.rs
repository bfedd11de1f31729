//! Plays what the model said against the real cluster and finds the first difference.

use super::realise::{Outcome, Said};
use super::undetermined::differs;
use crate::live::{Kafka, Live, LiveError, LivePlayer};
use serde_json::{Map, Value, json};
use std::time::Instant;

/// The first step that the real cluster answers otherwise.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The call and the field, without the step's number: what a shorter conversation must show as well.
    pub kind: String,
    /// Step, field and both values.
    pub text: String,
    /// The steps up to that one with the real cluster's answers.
    pub steps: Vec<Value>,
}

/// What came of a step in reality. What is no answer of the cluster's but trouble with it is the error.
fn outcome(result: Live<Option<Value>>) -> Live<Outcome> {
    match result {
        Ok(None) => Ok(Outcome::Nothing),
        Ok(Some(answer)) => Ok(Outcome::Answer(answer)),
        Err(LiveError::Never { last, .. }) => Ok(Outcome::Never(*last)),
        Err(error @ (LiveError::Io(_) | LiveError::Silent(_) | LiveError::Answered(..))) => {
            Ok(Outcome::Failed(error.to_string()))
        }
        Err(trouble) => Err(trouble),
    }
}

/// The step as a recording has it: with the real cluster's answer, and wanting what that answer has.
fn recorded(said: &Said, real: &Outcome) -> Value {
    let mut step = said.step.clone();
    match real {
        Outcome::Answer(answer) => step["answer"] = answer.clone(),
        Outcome::Never(last) => {
            let wanted = said.step["until"].as_object().into_iter().flatten();
            let had = wanted.filter_map(|(field, _)| Some((field.clone(), last.get(field)?.clone())));
            step["until"] = Value::Object(had.collect::<Map<_, _>>());
            step["answer"] = last.clone();
        }
        Outcome::Failed(_) => {
            step["no_answer"] = json!(true);
            step["answer"] = json!("no answer");
        }
        Outcome::Nothing => {}
    }
    step
}

fn kind(step: &Value, difference: &str) -> String {
    let named = ["call", "finish", "pending", "fault"].iter().find(|field| step[**field].is_string());
    let call = match named {
        Some(&"call") => step["call"].as_str().unwrap_or(""),
        Some(field) => field,
        None => "",
    };
    let field = difference.split(':').next().unwrap_or("");
    // The place in a list changes when moves are left out.
    let field: Vec<&str> = field.split('/').filter(|part| part.parse::<u32>().is_err()).collect();
    format!("{call} {}", field.join("/"))
}

/// Play the conversation against the real cluster, up to the first difference.
///
/// # Errors
/// Trouble with the cluster, which says nothing about the model.
pub fn play(kafka: &mut Kafka, header: &Value, said: &[Said], verbose: bool) -> Live<Option<Difference>> {
    let mut player = LivePlayer::open(kafka, header)?;
    let mut steps = Vec::new();
    for (place, said) in said.iter().enumerate() {
        let begun = Instant::now();
        let real = outcome(player.step(&said.step))?;
        if verbose {
            println!("  {place} {} ms {} -> {real:?}", begun.elapsed().as_millis(), said.step);
        }
        steps.push(recorded(said, &real));
        if let Some(difference) = differs(&real, &said.outcome) {
            let kind = kind(&said.step, &difference);
            let text = format!("step {place} {}: {difference}; model {:?}", said.step, said.outcome);
            player.close();
            return Ok(Some(Difference { kind, text, steps }));
        }
    }
    player.close();
    Ok(None)
}
