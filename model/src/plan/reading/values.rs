//! Values of a step that may be written in two ways, each told by its own shape.

use crate::plan::RewindTo;
use crate::record::Offset;
use crate::switch::WriteTo;
use crate::units::Span;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Where something goes to: a queue by its word, or a position by a table.
#[derive(Clone, Copy, Debug)]
pub(super) enum To {
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
        // Which act this belongs to is not known here, so that the answer says what each of them takes.
        WriteTo::deserialize(StrDeserializer::new(word)).map(To::Queue).map_err(|_: E| {
            E::custom(format!(
                "`{word}` is no queue: write \"corgi\", \"kafka\" or \"both\", and in a `rewind` {POSITIONS}"
            ))
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<To, A::Error> {
        let line = PositionLine::deserialize(MapAccessDeserializer::new(map))?;
        RewindTo::try_from(line).map(To::Position).map_err(A::Error::custom)
    }
}

/// What a rewind goes back to, as people write it.
pub(super) const POSITIONS: &str = "{ ago = \"60s\" }, { at = \"7m\" } or { offset = 12 }";

/// A position as it stands in a file: every key is optional, and one is needed. Read as a word with its value, the keys behind
/// the first would go unread.
#[derive(Clone, Copy, Debug, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PositionLine {
    offset: Option<Offset>,
    at: Option<Span>,
    ago: Option<Span>,
}

impl TryFrom<PositionLine> for RewindTo {
    type Error = String;

    fn try_from(line: PositionLine) -> Result<RewindTo, String> {
        match (line.offset, line.at, line.ago) {
            (Some(offset), None, None) => Ok(RewindTo::Offset(offset)),
            (None, Some(at), None) => Ok(RewindTo::At(at)),
            (None, None, Some(ago)) => Ok(RewindTo::Ago(ago)),
            _ => Err(format!("a table with one key is needed in `to`: write {POSITIONS}")),
        }
    }
}

/// Partitions: their numbers, or how many there are to be.
#[derive(Clone, Debug)]
pub(super) enum Partitions {
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
