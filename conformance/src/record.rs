//! Records what a real Kafka answers to scripts.

use crate::live::{Installation, Kafka, Live, LiveError, LivePlayer, kill_all_when_interrupted};
use crate::script;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What of a script is kept beside its steps.
const KEPT: [&str; 2] = ["note", "settings"];

/// The steps of one run, with the cluster's answers.
fn play_once(kafka: &mut Kafka, script: &Value) -> Live<Vec<Value>> {
    let mut player = LivePlayer::open(kafka, script)?;
    let mut done = Vec::new();
    for (place, step) in script["steps"].as_array().into_iter().flatten().enumerate() {
        let mut step = step.clone();
        if let Some(fields) = step.as_object_mut() {
            fields.shift_remove("answer");
        }
        let answer = player
            .step(&step)
            .map_err(|error| LiveError::Script(format!("step {place}: {step}: {error}")))?;
        if let Some(answer) = answer {
            step["answer"] = answer;
        }
        done.push(step);
    }
    player.close();
    Ok(done)
}

/// Take out of the first what the second has otherwise, and list it.
fn keep_common(first: &mut Value, second: &Value, path: &str, varies: &mut Vec<String>) {
    match (first, second) {
        (first, second) if first == second => {}
        (Value::Object(first), Value::Object(second)) => {
            let added = second.keys().filter(|name| !first.contains_key(*name));
            varies.extend(added.map(|name| format!("{path}/{name}")));
            for name in first.keys().cloned().collect::<Vec<_>>() {
                let at = format!("{path}/{name}");
                match (first.get_mut(&name), second.get(&name)) {
                    (Some(mine), Some(theirs)) if mine == theirs => {}
                    (Some(mine), Some(theirs)) if is_alike(mine, theirs) => {
                        keep_common(mine, theirs, &at, varies)
                    }
                    _ => {
                        first.shift_remove(&name);
                        varies.push(at);
                    }
                }
            }
        }
        (Value::Array(first), Value::Array(second)) if first.len() == second.len() => {
            for (place, (mine, theirs)) in first.iter_mut().zip(second).enumerate() {
                keep_common(mine, theirs, &format!("{path}/{place}"), varies);
            }
        }
        (first, _) => {
            varies.push(path.to_owned());
            *first = Value::Null;
        }
    }
}

fn is_alike(first: &Value, second: &Value) -> bool {
    match (first, second) {
        (Value::Array(first), Value::Array(second)) => first.len() == second.len(),
        (first, second) => first.is_object() && second.is_object(),
    }
}

/// The script as it is recorded: its answers are what all runs agree on.
fn recorded(script: &Value, name: &str, version: &str, mut runs: Vec<Vec<Value>>) -> Value {
    let mut steps = Value::Array(runs.remove(0));
    let mut varies = Vec::new();
    for other in runs {
        keep_common(&mut steps, &Value::Array(other), "", &mut varies);
    }
    varies.sort();
    varies.dedup();
    let mut fields = Map::new();
    fields.insert("name".to_owned(), json!(name));
    fields.insert("about".to_owned(), script["about"].clone());
    for kept in KEPT {
        if let Some(value) = script.get(kept) {
            fields.insert(kept.to_owned(), value.clone());
        }
    }
    fields.insert("kafka".to_owned(), json!(version));
    if let Some(topics) = script.get("topics") {
        fields.insert("topics".to_owned(), topics.clone());
    }
    fields.insert("steps".to_owned(), steps);
    if !varies.is_empty() {
        fields.insert("varies".to_owned(), json!(varies));
    }
    Value::Object(fields)
}

/// What to record, and how.
pub struct Recording {
    /// The scripts.
    pub scripts: Vec<PathBuf>,
    /// Kafka's version.
    pub version: String,
    /// The folder for what is recorded; none: to the output.
    pub out: Option<PathBuf>,
    /// How often each script is played; what differs between the runs is not written down.
    pub runs: usize,
}

impl Recording {
    fn record(&self, path: &Path, cluster: &mut Option<(Kafka, Value)>) -> Result<(), String> {
        let script = script::read(path)?;
        let name = script::name(path);
        let settings = script["settings"].clone();
        let mut runs = Vec::new();
        for _ in 0..self.runs {
            let (mut kafka, with) = match cluster.take() {
                Some((kafka, with)) if with == settings => (kafka, with),
                Some((kafka, _)) => {
                    (kafka.restart(&settings).map_err(|error| error.to_string())?, settings.clone())
                }
                None => (self.start(&settings).map_err(|error| error.to_string())?, settings.clone()),
            };
            let played = play_once(&mut kafka, &script);
            // A cluster that does not heal is given up: the next script starts another.
            if kafka.heal().is_ok() {
                *cluster = Some((kafka, with));
            }
            runs.push(played.map_err(|error| error.to_string())?);
        }
        let text = script::written(&recorded(&script, &name, &self.version, runs));
        match &self.out {
            None => {
                print!("{text}");
                Ok(())
            }
            Some(folder) => {
                let unwritable = |error: std::io::Error| format!("{}: {error}", folder.display());
                std::fs::create_dir_all(folder).map_err(unwritable)?;
                std::fs::write(folder.join(format!("{name}.json")), text).map_err(unwritable)
            }
        }
    }

    fn start(&self, settings: &Value) -> Live<Kafka> {
        Kafka::start(Installation::find(&self.version)?, settings)
    }

    /// Record all of them: a line a script.
    pub fn run(&self) -> ExitCode {
        if let Err(status) = kill_all_when_interrupted() {
            return status;
        }
        let mut cluster = None;
        let mut failed = 0;
        for path in &self.scripts {
            match self.record(path, &mut cluster) {
                Ok(()) => eprintln!("recorded {}", script::name(path)),
                Err(error) => {
                    failed += 1;
                    eprintln!("FAILED {}: {error}", script::name(path));
                }
            }
        }
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

#[cfg(test)]
mod tests {
    use super::keep_common;
    use serde_json::json;

    #[test]
    fn what_differs_between_runs_is_taken_out_and_listed() {
        let mut first = json!([{"answer": {"error": "NONE", "epoch": 1, "list": [1, 2], "all": [1]}}]);
        let second = json!([{"answer": {"error": "NONE", "epoch": 2, "list": [1, 3], "all": [1, 2]}}]);
        let mut varies = Vec::new();
        keep_common(&mut first, &second, "", &mut varies);
        assert_eq!(first, json!([{"answer": {"error": "NONE", "list": [1, null]}}]));
        assert_eq!(varies, ["/0/answer/epoch", "/0/answer/list/1", "/0/answer/all"]);
    }
}
