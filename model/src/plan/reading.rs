//! How a step is read from a file. Each line is first read as a flat table in which every key is optional, then the
//! step's word says which of them it needs: so a wrong line is told what is wrong with it, rather than that it
//! "did not match any variant".

use crate::deployment::RollOrder;
use crate::plan::lint::nearest;
use crate::plan::{Act, Confirm, Gate, PreparedFrom, Purpose, RewindTo, Site, Step, Tell, Wait};
use crate::record::Queue;
use crate::switch::WriteTo;
use crate::units::Span;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use strum::VariantNames;

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

/// Where something goes to: a queue by its word, or a position by a table.
#[derive(Clone, Copy, Debug)]
enum To {
    Queue(WriteTo),
    Position(RewindTo),
}

impl<'de> Deserialize<'de> for To {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<To, D::Error> {
        deserializer.deserialize_any(ToVisitor)
    }
}

struct ToVisitor;

impl<'de> Visitor<'de> for ToVisitor {
    type Value = To;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a queue such as \"kafka\", or a position such as { ago = \"60s\" }")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<To, E> {
        WriteTo::deserialize(StrDeserializer::new(word)).map(To::Queue)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<To, A::Error> {
        RewindTo::deserialize(MapAccessDeserializer::new(map)).map(To::Position)
    }
}

/// Partitions: their numbers, or how many there are to be.
#[derive(Clone, Debug)]
enum Partitions {
    Numbers(Vec<u16>),
    Count(u16),
}

impl<'de> Deserialize<'de> for Partitions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Partitions, D::Error> {
        deserializer.deserialize_any(PartitionsVisitor)
    }
}

struct PartitionsVisitor;

impl<'de> Visitor<'de> for PartitionsVisitor {
    type Value = Partitions;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("partitions' numbers such as [0, 1], or a count such as 12")
    }

    fn visit_i64<E: Error>(self, count: i64) -> Result<Partitions, E> {
        u16::deserialize(count.into_deserializer()).map(Partitions::Count)
    }

    fn visit_u64<E: Error>(self, count: u64) -> Result<Partitions, E> {
        u16::deserialize(count.into_deserializer()).map(Partitions::Count)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Partitions, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items)).map(Partitions::Numbers)
    }
}

/// An act as it stands in a file.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ActLine {
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

/// A gate as it stands in a file.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct GateLine {
    r#for: Option<String>,
    span: Option<Span>,
    at_most: Option<u64>,
    group: Option<String>,
    from: Option<Queue>,
    to: Option<WriteTo>,
}

impl TryFrom<StepLine> for Step {
    type Error = String;

    fn try_from(line: StepLine) -> Result<Step, String> {
        let act_keys = line.act_keys();
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
    fn act_keys(&self) -> Vec<&'static str> {
        present(&[
            ("group", self.group.is_some()),
            ("order", self.order.is_some()),
            ("from", self.from.is_some()),
            ("to", self.to.is_some()),
            ("topics", self.topics.is_some()),
            ("topic", self.topic.is_some()),
            ("partitions", self.partitions.is_some()),
            ("in", self.r#in.is_some()),
            ("on", self.on.is_some()),
            ("tell", self.tell.is_some()),
            ("set", self.set.is_some()),
            ("for", self.r#for.is_some()),
            ("instance", self.instance.is_some()),
            ("confirm", self.confirm.is_some()),
        ])
    }

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

impl TryFrom<ActLine> for Act {
    type Error = String;

    fn try_from(mut line: ActLine) -> Result<Act, String> {
        let word = line
            .r#do
            .take()
            .ok_or_else(|| "an act needs `do = \"..\"`, such as `{ do = \"start-mirror\" }`".to_owned())?;
        let act = match word.as_str() {
            "start-mirror" => Act::StartMirror,
            "stop-mirror" => Act::StopMirror,
            "start-reverse-mirror" => Act::StartReverseMirror,
            "stop-reverse-mirror" => Act::StopReverseMirror,
            "roll-out" => {
                Act::RollOut { group: line.group(&word)?, order: line.order.take().unwrap_or_default() }
            }
            "roll-back" => {
                Act::RollBack { group: line.group(&word)?, order: line.order.take().unwrap_or_default() }
            }
            "prepare-offsets" => {
                Act::PrepareOffsets { group: line.group(&word)?, from: line.prepared(&word)? }
            }
            "reset-offsets" => Act::ResetOffsets { group: line.group(&word)?, from: line.prepared(&word)? },
            "switch-read" => Act::SwitchRead { group: line.group(&word)?, to: line.queue(&word)? },
            "pause" => Act::Pause { group: line.group(&word)? },
            "resume" => Act::Resume { group: line.group(&word)? },
            "switch-write" => Act::SwitchWrite { to: line.write_to(&word)? },
            "hold" => Act::Hold {
                topics: line.topics.take().unwrap_or_default(),
                partitions: line.listed(&word)?.unwrap_or_default(),
            },
            "release" => Act::Release,
            "rewind" => line.rewind(&word)?,
            "stop-corgi" => Act::StopCorgi,
            "widen" => line.widen(&word)?,
            "narrow" => line.narrow(&word)?,
            "add-broker-set" => {
                Act::AddBrokerSet { set: needed(&word, "set", line.set.take(), "`set = 2`")? }
            }
            _ => return Err(unknown("act", &word, Act::VARIANTS)),
        };
        line.nothing_left(&word)?;
        Ok(act)
    }
}

impl ActLine {
    fn prepared(&mut self, word: &str) -> Result<PreparedFrom, String> {
        needed(word, "from", self.from.take(), "`from = { ago = \"60s\" }` or `from = \"earliest\"`")
    }

    fn write_to(&mut self, word: &str) -> Result<WriteTo, String> {
        match needed(word, "to", self.to.take(), "`to = \"kafka\"`")? {
            To::Queue(to) => Ok(to),
            To::Position(_) => Err(format!("`{word}` goes to a queue: write `to = \"kafka\"`")),
        }
    }

    fn rewind(&mut self, word: &str) -> Result<Act, String> {
        let group = self.group(word)?;
        let to = match needed(
            word,
            "to",
            self.to.take(),
            "`to = { ago = \"60s\" }` or `to = { offset = 12 }`",
        )? {
            To::Position(RewindTo::Offset(..0)) => {
                return Err("offsets begin at 0: write `to = { offset = 0 }` for the start".to_owned());
            }
            To::Position(to) => to,
            To::Queue(_) => {
                return Err(format!(
                    "`{word}` goes back to a position: write `to = {{ ago = \"60s\" }}` or `to = {{ offset = 12 }}`"
                ));
            }
        };
        let (topics, partitions) = (self.topics.take(), self.listed(word)?);
        let instance = self.instance.take();
        if instance.is_some() && (topics.is_some() || partitions.is_some()) {
            return Err(format!(
                "`{word}` goes by partitions or by an instance: leave `instance` out, or `topics` and `partitions`"
            ));
        }
        Ok(Act::Rewind {
            group,
            topics: topics.unwrap_or_default(),
            partitions: partitions.unwrap_or_default(),
            instance,
            to,
            confirm: self.confirm.take().unwrap_or_default(),
        })
    }

    fn widen(&mut self, word: &str) -> Result<Act, String> {
        let topic = needed(word, "topic", self.topic.take(), "`topic = \"payments\"`")?;
        match needed(word, "partitions", self.partitions.take(), "`partitions = 12`")? {
            Partitions::Count(partitions) => {
                let queue = self.r#in.take().unwrap_or_default();
                let in_kafka = [("on", self.on.is_some()), ("tell", self.tell.is_some())];
                if let (Queue::Kafka, Some(key)) = (queue, present(&in_kafka).first()) {
                    return Err(format!(
                        "`{word}` takes no `{key}` in Kafka, which places partitions itself: leave it out"
                    ));
                }
                let site = Site { queue, on: self.on.take(), tell: self.tell.take().unwrap_or_default() };
                Ok(Act::Widen { topic, partitions, site })
            }
            Partitions::Numbers(_) => {
                Err(format!("`{word}` takes how many there are to be: write `partitions = 12`"))
            }
        }
    }

    fn narrow(&mut self, word: &str) -> Result<Act, String> {
        let topic = needed(word, "topic", self.topic.take(), "`topic = \"payments\"`")?;
        let partitions = match needed(word, "partitions", self.partitions.take(), "`partitions = 4`")? {
            Partitions::Count(partitions) => partitions,
            Partitions::Numbers(_) => {
                return Err(format!("`{word}` takes how many there are to be: write `partitions = 4`"));
            }
        };
        let purpose = needed(
            word,
            "for",
            self.r#for.take(),
            "`for = \"writing\"`, and when all is read `for = \"reading\"`",
        )?;
        let purpose = match purpose.as_str() {
            "writing" => Purpose::Writing,
            "reading" => Purpose::Reading,
            other => {
                return Err(format!(
                    "a topic is narrowed `for = \"writing\"` or `for = \"reading\"`, not for `{other}`"
                ));
            }
        };
        Ok(Act::Narrow { topic, partitions, purpose })
    }

    /// The numbers of partitions.
    fn listed(&mut self, word: &str) -> Result<Option<Vec<u16>>, String> {
        match self.partitions.take() {
            None => Ok(None),
            Some(Partitions::Numbers(numbers)) => Ok(Some(numbers)),
            Some(Partitions::Count(number)) => {
                Err(format!("`{word}` takes the partitions' numbers: write `partitions = [{number}]`"))
            }
        }
    }

    fn group(&mut self, word: &str) -> Result<String, String> {
        needed(word, "group", self.group.take(), "`group = \"billing\"`")
    }

    fn queue(&mut self, word: &str) -> Result<Queue, String> {
        match self.write_to(word)? {
            WriteTo::Corgi => Ok(Queue::Corgi),
            WriteTo::Kafka => Ok(Queue::Kafka),
            WriteTo::Both => {
                Err(format!("`{word}` goes to one queue: write `to = \"corgi\"` or `to = \"kafka\"`"))
            }
        }
    }

    fn nothing_left(&self, word: &str) -> Result<(), String> {
        let left = present(&[
            ("group", self.group.is_some()),
            ("order", self.order.is_some()),
            ("from", self.from.is_some()),
            ("to", self.to.is_some()),
            ("topics", self.topics.is_some()),
            ("topic", self.topic.is_some()),
            ("partitions", self.partitions.is_some()),
            ("in", self.r#in.is_some()),
            ("on", self.on.is_some()),
            ("tell", self.tell.is_some()),
            ("set", self.set.is_some()),
            ("for", self.r#for.is_some()),
            ("instance", self.instance.is_some()),
            ("confirm", self.confirm.is_some()),
        ]);
        superfluous("act", word, &left)
    }
}

impl TryFrom<GateLine> for Gate {
    type Error = String;

    fn try_from(mut line: GateLine) -> Result<Gate, String> {
        let word = line.r#for.take().ok_or_else(|| {
            "a gate needs `for = \"..\"`, such as `wait = { for = \"mirror-ready\" }`".to_owned()
        })?;
        let gate = match word.as_str() {
            "elapsed" => Gate::Elapsed { span: needed(&word, "span", line.span.take(), "`span = \"5m\"`")? },
            "mirror-ready" => Gate::MirrorReady,
            "mirror-lag" => Gate::MirrorLag { at_most: line.at_most(&word)? },
            "mirror-drained" => Gate::MirrorDrained,
            "group-lag" => Gate::GroupLag { group: line.group(&word)?, at_most: line.at_most(&word)? },
            "upgraded" => Gate::Upgraded { group: line.group(&word)? },
            "old-stopped" => Gate::OldStopped { group: line.group(&word)? },
            "paused" => Gate::Paused { group: line.group(&word)? },
            "reading" => Gate::Reading {
                group: line.group(&word)?,
                from: needed(&word, "from", line.from.take(), "`from = \"kafka\"`")?,
            },
            "held" => Gate::Held,
            "writing" => Gate::Writing { to: needed(&word, "to", line.to.take(), "`to = \"kafka\"`")? },
            "only-mirror-reads" => Gate::OnlyMirrorReads,
            "nobody-reads" => Gate::NobodyReads,
            "no-delayed" => Gate::NoDelayed,
            "reverse-mirror-lag" => Gate::ReverseMirrorLag { at_most: line.at_most(&word)? },
            "reverse-mirror-drained" => Gate::ReverseMirrorDrained,
            _ => return Err(unknown("gate", &word, Gate::VARIANTS)),
        };
        line.nothing_left(&word)?;
        Ok(gate)
    }
}

impl GateLine {
    fn group(&mut self, word: &str) -> Result<String, String> {
        needed(word, "group", self.group.take(), "`group = \"billing\"`")
    }

    fn at_most(&mut self, word: &str) -> Result<u64, String> {
        needed(word, "at-most", self.at_most.take(), "`at-most = 100`")
    }

    fn nothing_left(&self, word: &str) -> Result<(), String> {
        let left = present(&[
            ("span", self.span.is_some()),
            ("at-most", self.at_most.is_some()),
            ("group", self.group.is_some()),
            ("from", self.from.is_some()),
            ("to", self.to.is_some()),
        ]);
        superfluous("gate", word, &left)
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
