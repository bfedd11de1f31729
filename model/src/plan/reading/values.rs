//! Values of a step that may be written in two ways, each told by its own shape.

use crate::plan::RewindTo;
use crate::switch::WriteTo;
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
        WriteTo::deserialize(StrDeserializer::new(word)).map(To::Queue)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<To, A::Error> {
        RewindTo::deserialize(MapAccessDeserializer::new(map)).map(To::Position)
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
