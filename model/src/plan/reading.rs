//! How a step is read from a file. Each line is first read as a flat table in which every key is optional, then the
//! step's word says which of them it needs: so a wrong line is told what is wrong with it, rather than that it
//! "did not match any variant".

mod acts;
mod gates;
mod values;

pub(super) use acts::ActLine;
pub(super) use gates::GateLine;

use crate::deployment::RollOrder;
use crate::plan::lint::nearest;
use crate::plan::{Act, Confirm, Gate, PreparedFrom, Step, Tell, Wait};
use crate::record::Queue;
use crate::units::Span;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use values::{Partitions, To};

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Step, D::Error> {
        deserializer
            .deserialize_map(Through::<StepLine, Step>::new("a step such as { do = \"start-mirror\" }"))
    }
}

impl<'de> Deserialize<'de> for Act {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Act, D::Error> {
        deserializer.deserialize_map(Through::<ActLine, Act>::new("an act such as { do = \"release\" }"))
    }
}

impl<'de> Deserialize<'de> for Gate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Gate, D::Error> {
        deserializer
            .deserialize_map(Through::<GateLine, Gate>::new("a gate such as { for = \"mirror-ready\" }"))
    }
}

/// Reads a flat table and makes of it what its word says. This is done while the table is visited, and not behind it, so
/// that the file's reader puts the table's place to an error.
struct Through<Line, Thing> {
    expected: &'static str,
    types: PhantomData<(Line, Thing)>,
}

impl<Line, Thing> Through<Line, Thing> {
    fn new(expected: &'static str) -> Through<Line, Thing> {
        Through { expected, types: PhantomData }
    }
}

impl<'de, Line, Thing> Visitor<'de> for Through<Line, Thing>
where
    Line: Deserialize<'de>,
    Thing: TryFrom<Line, Error = String>,
{
    type Value = Thing;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expected)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Thing, A::Error> {
        let line = Line::deserialize(MapAccessDeserializer::new(map))?;
        Thing::try_from(line).map_err(A::Error::custom)
    }
}

/// A step as it stands in a file: the keys of an act, and those of a wait.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct StepLine {
    r#do: Option<String>,
    group: Option<String>,
    order: Option<RollOrder>,
    from: Option<PreparedFrom>,
    to: Option<To>,
    topics: Option<Vec<String>>,
    topic: Option<String>,
    partitions: Option<Partitions>,
    r#in: Option<Queue>,
    on: Option<u16>,
    tell: Option<Tell>,
    set: Option<u16>,
    r#for: Option<String>,
    instance: Option<u32>,
    confirm: Option<Confirm>,
    wait: Option<Gate>,
    max_age: Option<Span>,
    fresh: Option<bool>,
    timeout: Option<Span>,
    otherwise: Option<Vec<Act>>,
    retry_after: Option<Span>,
    back: Option<usize>,
}

impl TryFrom<StepLine> for Step {
    type Error = String;

    fn try_from(line: StepLine) -> Result<Step, String> {
        let act_keys = line.clone().into_act_line().keys();
        let wait_keys = line.wait_keys();
        match (&line.r#do, &line.wait) {
            (Some(word), Some(_)) => Err(format!(
                "a step is an act (`do = \"{word}\"`) or a wait (`wait = {{ .. }}`), not both: write two steps"
            )),
            (None, None) => Err("a step needs `do = \"..\"`, an act such as `{ do = \"start-mirror\" }`, \
                 or `wait = { for = \"..\" }`, a gate such as `{ wait = { for = \"mirror-ready\" } }`"
                .to_owned()),
            (Some(word), None) => match wait_keys.first() {
                Some(key) => Err(format!("the act `{word}` takes no `{key}`: that is for a `wait`")),
                None => Act::try_from(line.into_act_line()).map(Step::Act),
            },
            (None, Some(gate)) => match act_keys.first() {
                Some(key) => Err(format!(
                    "a wait takes no `{key}` of its own: write it within the gate, such as \
                     `wait = {{ for = \"{}\", {key} = .. }}`",
                    gate.word()
                )),
                None => {
                    let gate = gate.clone();
                    Ok(Step::Wait(line.into_wait(gate)))
                }
            },
        }
    }
}

impl StepLine {
    fn wait_keys(&self) -> Vec<&'static str> {
        present(&[
            ("max-age", self.max_age.is_some()),
            ("fresh", self.fresh.is_some()),
            ("timeout", self.timeout.is_some()),
            ("otherwise", self.otherwise.is_some()),
            ("retry-after", self.retry_after.is_some()),
            ("back", self.back.is_some()),
        ])
    }

    fn into_act_line(self) -> ActLine {
        ActLine {
            r#do: self.r#do,
            group: self.group,
            order: self.order,
            from: self.from,
            to: self.to,
            topics: self.topics,
            topic: self.topic,
            partitions: self.partitions,
            r#in: self.r#in,
            on: self.on,
            tell: self.tell,
            set: self.set,
            r#for: self.r#for,
            instance: self.instance,
            confirm: self.confirm,
        }
    }

    fn into_wait(self, gate: Gate) -> Wait {
        let plain = Wait::at(gate);
        Wait {
            max_age: self.max_age.unwrap_or(plain.max_age),
            fresh: self.fresh.unwrap_or(plain.fresh),
            timeout: self.timeout,
            otherwise: self.otherwise.unwrap_or_default(),
            retry_after: self.retry_after.unwrap_or_default(),
            back: self.back.unwrap_or_default(),
            ..plain
        }
    }
}

fn present(keys: &[(&'static str, bool)]) -> Vec<&'static str> {
    keys.iter().filter(|(_, present)| *present).map(|(key, _)| *key).collect()
}

fn needed<T>(word: &str, key: &str, value: Option<T>, example: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("`{word}` needs `{key}`: write {example}"))
}

fn superfluous(kind: &str, word: &str, left: &[&str]) -> Result<(), String> {
    match left.first() {
        Some(key) => Err(format!("the {kind} `{word}` takes no `{key}`: leave it out")),
        None => Ok(()),
    }
}

fn unknown(kind: &str, word: &str, known: &[&str]) -> String {
    let hint = match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? "),
        None => String::new(),
    };
    format!("there is no {kind} `{word}`: {hint}The {kind}s are {}", known.join(", "))
}

#[cfg(test)]
mod tests;
