//! An act as it stands in a file, and what its word needs of the keys.

use super::values::{POSITIONS, Partitions, To};
use super::{needed, present, superfluous, unknown};
use crate::deployment::RollOrder;
use crate::plan::{Act, Confirm, PreparedFrom, Purpose, RewindTo, Site, Tell};
use crate::record::Queue;
use crate::switch::WriteTo;
use strum::VariantNames;

/// An act as it stands in a file.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(in crate::plan) struct ActLine {
    pub(super) r#do: Option<String>,
    pub(super) group: Option<String>,
    pub(super) order: Option<RollOrder>,
    pub(super) from: Option<PreparedFrom>,
    pub(super) to: Option<To>,
    pub(super) topics: Option<Vec<String>>,
    pub(super) topic: Option<String>,
    pub(super) partitions: Option<Partitions>,
    pub(super) r#in: Option<Queue>,
    pub(super) on: Option<u16>,
    pub(super) tell: Option<Tell>,
    pub(super) set: Option<u16>,
    pub(super) r#for: Option<String>,
    pub(super) instance: Option<u32>,
    pub(super) confirm: Option<Confirm>,
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
                topics: line.topics(&word)?.unwrap_or_default(),
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
        let to = match needed(word, "to", self.to.take(), &format!("`to` with {POSITIONS}"))? {
            To::Position(RewindTo::Offset(..0)) => {
                return Err("offsets begin at 0: write `to = { offset = 0 }` for the start".to_owned());
            }
            To::Position(to) => to,
            To::Queue(_) => return Err(format!("`{word}` goes back to a position: write {POSITIONS}")),
        };
        let (topics, partitions) = (self.topics(word)?, self.listed(word)?);
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
                    "nobody narrows a topic for `{other}`: write `for = \"writing\"`, and when all is read `for = \"reading\"`"
                ));
            }
        };
        Ok(Act::Narrow { topic, partitions, purpose })
    }

    /// The names of topics. None at all would be taken for every one, which nobody who writes an empty list means.
    fn topics(&mut self, word: &str) -> Result<Option<Vec<String>>, String> {
        match self.topics.take() {
            Some(topics) if topics.is_empty() => Err(names_none(word, "topics", "topics = [\"payments\"]")),
            topics => Ok(topics),
        }
    }

    /// The numbers of partitions. None at all would be taken for every one, too.
    fn listed(&mut self, word: &str) -> Result<Option<Vec<u16>>, String> {
        match self.partitions.take() {
            None => Ok(None),
            Some(Partitions::Numbers(numbers)) if numbers.is_empty() => {
                Err(names_none(word, "partitions", "partitions = [0, 1]"))
            }
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

    /// The keys that are given, but for the word.
    pub(super) fn keys(&self) -> Vec<&'static str> {
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

    fn nothing_left(&self, word: &str) -> Result<(), String> {
        superfluous("act", word, &self.keys())
    }
}

fn names_none(word: &str, key: &str, example: &str) -> String {
    format!(
        "the `{key}` of `{word}` name none: leave `{key}` out for all of them, or write some, such as `{example}`"
    )
}
