//! From the tree to typed settings: a deserializer that knows the place of each key and value.

use super::error::{Problem, advice};
use super::tree::{Entry, Node, Place, Value};
use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
};
use serde::de::{VariantAccess, Visitor};
use std::fmt;

/// Read a typed value from a node.
pub(crate) fn read<T: de::DeserializeOwned>(node: &Node) -> Result<T, Problem> {
    T::deserialize(node).map_err(|problem| located(problem, node))
}

/// The problem with a place: a tagged table is read from a copy, which has lost its places, so the key or the value
/// that the message names is looked for by name.
fn located(problem: Problem, node: &Node) -> Problem {
    if problem.place.is_some() {
        return problem;
    }
    let words: Vec<&str> = match &problem.unknown {
        Some(unknown) => vec![unknown],
        // What stands between backquotes is at every odd place.
        None => problem.message.split('`').skip(1).step_by(2).collect(),
    };
    let found = words.into_iter().find_map(|word| named(node, word));
    problem.or_at(found.unwrap_or(node.place))
}

/// The place of the first key or text of that name.
fn named(node: &Node, word: &str) -> Option<Place> {
    let mut found = None;
    node.walk(&mut |entry: &Entry| {
        let text = (entry.node.text() == Some(word)).then_some(entry.node.place);
        found = found.or(text).or((entry.key == word).then_some(entry.place));
    });
    found
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Problem {
    /// A problem whose place its reader adds.
    pub(crate) fn unplaced(message: String, help: Option<String>) -> Problem {
        Problem { place: None, message, help, unknown: None }
    }
}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(message: T) -> Problem {
        let message = message.to_string();
        // The units' and the plan's errors say what is wrong, and behind a colon what to write.
        match message.split_once(": ") {
            Some((what, instead)) => Problem::unplaced(what.to_owned(), Some(instead.to_owned())),
            None => Problem::unplaced(message, None),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Problem {
        // A word that is the key of a table stands alone, such as `from = "ago"`.
        if found == Unexpected::UnitVariant {
            let help = "write a table of the word and its value, such as { ago = \"60s\" }";
            return Problem::unplaced("this word needs a value".to_owned(), Some(help.to_owned()));
        }
        let expected = plain(&expected.to_string());
        let help = match bare(found) {
            Some(bare) if expected == TEXT => format!(
                "write it in quotes, \"{bare}\"; durations have a unit, such as \"90s\", sizes too, such as \"4KiB\""
            ),
            _ => instead(&expected),
        };
        Problem::unplaced(format!("{} stands where {expected} is needed", shown(found)), Some(help))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Problem {
        let expected = plain(&expected.to_string());
        let found = if length == 1 { "a list of one".to_owned() } else { format!("a list of {length}") };
        Problem::unplaced(format!("{found} stands where {expected} is needed"), Some(instead(&expected)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Problem {
        let expected = plain(&expected.to_string());
        Problem::unplaced(format!("{} is not {expected}", shown(found)), Some(instead(&expected)))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Problem {
        let message = format!("`{variant}` is not a known word here");
        Problem::unplaced(message, Some(advice(variant, expected.iter().copied())))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Problem {
        // Whoever reads the file takes `extends` out of it before the others are read.
        let extends = expected.contains(&"topics").then_some("extends");
        let help = advice(field, expected.iter().copied().chain(extends));
        Problem {
            place: None,
            message: format!("unknown key `{field}`"),
            help: Some(help),
            unknown: Some(field.to_owned()),
        }
    }

    fn missing_field(field: &'static str) -> Problem {
        Problem::unplaced(
            format!("the key `{field}` is missing"),
            Some(format!("add `{field} = ...` to this table")),
        )
    }

    fn duplicate_field(field: &'static str) -> Problem {
        Problem::unplaced(format!("the key `{field}` is there twice"), Some("remove one of them".to_owned()))
    }
}

/// What stands in the file without quotes, if it is a single value.
fn bare(found: Unexpected<'_>) -> Option<String> {
    match found {
        Unexpected::Signed(number) => Some(number.to_string()),
        Unexpected::Unsigned(number) => Some(number.to_string()),
        Unexpected::Float(number) => Some(number.to_string()),
        Unexpected::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

fn shown(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(text) => format!("the text `{text}`"),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Map => "a table".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        other => other.to_string(),
    }
}

/// What a key takes that takes a text.
const TEXT: &str = "a text in quotes";

/// Rust's names of types in words that a reader of case files knows.
fn plain(expected: &str) -> String {
    match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0",
        "i16" | "i32" | "i64" => "a whole number",
        "a boolean" => "true or false",
        "a string" => TEXT,
        "a sequence" => "a list",
        "a map" => "a table",
        // No other list of a fixed length is in a case file.
        "an array of length 2" => "a range such as [\"1ms\", \"5ms\"]",
        other if other.starts_with("struct ") => "a table",
        other if other.contains("enum ") => "a word in quotes",
        other => other,
    }
    .to_owned()
}

fn instead(expected: &str) -> String {
    match expected {
        TEXT => "write a text in quotes; durations have a unit, such as \"90s\", sizes too, such as \"4KiB\""
            .to_owned(),
        other => format!("write {other}"),
    }
}

impl<'de> de::Deserializer<'de> for &'de Node {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let result = match &self.value {
            Value::Text(text) => visitor.visit_str(text),
            Value::Integer(number) if *number >= 0 => visitor.visit_u64(number.unsigned_abs()),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::Datetime(text) => Err(Problem::unplaced(
                format!("`{text}` is a date"),
                Some(format!("write \"{text}\" in quotes")),
            )),
            Value::Array(items) => all_of(items, visitor),
            Value::Table(table) => visitor.visit_map(Entries { entries: table.entries.iter(), value: None }),
        };
        result.map_err(|problem| located(problem, self))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.value {
            Value::Table(_) => self.deserialize_any(visitor),
            // Serde would take a list for a table, its values in the order of the keys, which nobody can read.
            _ => Err(Problem::new(
                self.place,
                format!("{} stands where a table is needed", self.kind()),
                "write a table: { key = value }",
            )),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let result = match &self.value {
            Value::Text(text) => {
                visitor.visit_enum(IntoDeserializer::<Problem>::into_deserializer(text.as_str()))
            }
            Value::Table(table) => match table.entries.as_slice() {
                [entry] => visitor.visit_enum(Variant { entry }),
                _ => Err(Problem::unplaced(
                    "a table with one key is needed here".to_owned(),
                    Some(format!("write one of: {}", variants.join(", "))),
                )),
            },
            value => Err(Problem::unplaced(
                format!("{} stands where a word in quotes is needed", self.kind()),
                Some(in_quotes(value, variants)),
            )),
        };
        result.map_err(|problem| located(problem, self))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map identifier ignored_any
    }
}

/// What to write for a value without quotes where a word is needed: this very value with them, if it is one of the words.
fn in_quotes(value: &Value, words: &[&str]) -> String {
    let bare = match value {
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(value) => Some(value.to_string()),
        _ => None,
    };
    let known = bare.as_deref().filter(|bare| words.contains(bare));
    match known {
        Some(word) => format!("it needs quotes: write \"{word}\""),
        None => {
            let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            format!("write one of: {}", quoted.join(", "))
        }
    }
}

/// A list, to its end: one of a fixed length would leave the rest unread.
fn all_of<'de, V: Visitor<'de>>(items: &'de [Node], visitor: V) -> Result<V::Value, Problem> {
    let mut items = Items { items: items.iter() };
    let value = visitor.visit_seq(&mut items)?;
    match items.items.next() {
        Some(left) => Err(Problem::new(left.place, "the list is longer than it may be", "leave this out")),
        None => Ok(value),
    }
}

struct Items<'de> {
    items: std::slice::Iter<'de, Node>,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        self.items
            .next()
            .map(|node| seed.deserialize(node).map_err(|problem| located(problem, node)))
            .transpose()
    }
}

struct Entries<'de> {
    entries: std::slice::Iter<'de, Entry>,
    value: Option<&'de Node>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        let Some(entry) = self.entries.next() else { return Ok(None) };
        self.value = Some(&entry.node);
        let key: StrDeserializer<'_, Problem> = entry.key.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|problem| problem.or_at(entry.place))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let node = self.value.take().expect("serde asks for a value after its key");
        seed.deserialize(node).map_err(|problem| located(problem, node))
    }
}

struct Variant<'de> {
    entry: &'de Entry,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Problem;
    type Variant = Content<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content<'de>), Problem> {
        let key: StrDeserializer<'_, Problem> = self.entry.key.as_str().into_deserializer();
        let variant = seed.deserialize(key).map_err(|problem| problem.or_at(self.entry.place))?;
        Ok((variant, Content { node: &self.entry.node }))
    }
}

struct Content<'de> {
    node: &'de Node,
}

impl<'de> VariantAccess<'de> for Content<'de> {
    type Error = Problem;

    fn unit_variant(self) -> Result<(), Problem> {
        Err(Problem::new(self.node.place, "this word takes no value", "write the word alone, in quotes"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Problem> {
        seed.deserialize(self.node).map_err(|problem| located(problem, self.node))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Problem> {
        de::Deserializer::deserialize_any(self.node, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        de::Deserializer::deserialize_any(self.node, visitor)
    }
}

#[cfg(test)]
mod tests {
    use crate::case::Case;

    fn told(rest: &str) -> (String, String) {
        let standard = "name = 'a'\n[[topics]]\nname = 'a'\npartitions = 1\n[[groups]]\nname = 'b'\ntopics = ['a']\n\
                        instances = 1\n";
        let error = Case::from_text("a.toml", &format!("{standard}{rest}")).expect_err(rest);
        (error.message.clone(), error.help.clone().unwrap_or_default())
    }

    #[test]
    fn a_range_is_told_by_its_example() {
        let range = "a range such as [\"1ms\", \"5ms\"]";
        for (value, found) in
            [("'5ms'", "the text `5ms`"), ("[]", "a list of 0"), ("['5ms']", "a list of one")]
        {
            let message = format!("{found} stands where {range} is needed");
            let rest = format!("application = {{ processing = {value} }}");
            assert_eq!(told(&rest), (message, format!("write {range}")));
        }
    }

    #[test]
    fn a_word_without_its_value_is_told_where_that_goes() {
        let step = "{ do = 'prepare-offsets', group = 'b', from = 'ago' }";
        let (message, help) = told(&format!("[[plan.phases]]\nname = 'one'\nsteps = [{step}]"));
        assert_eq!(message, "this word needs a value");
        assert!(help.ends_with("such as { ago = \"60s\" }"), "{help}");
    }
}
