//! A case file as a tree in which each key and each value knows its file and its bytes, so that after files have been
//! merged an error still names the right line.

use super::error::Problem;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Some bytes of one of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The file's place among the files.
    pub file: usize,
    /// The first byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
}

impl Place {
    fn of(file: usize, bytes: Range<usize>) -> Place {
        Place { file, start: bytes.start, end: bytes.end }
    }
}

/// The files that were read for a case; the first is the case itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    files: Vec<(String, String)>,
}

impl Files {
    /// Add a file. Returns its place.
    pub fn add(&mut self, name: String, text: String) -> usize {
        self.files.push((name, text));
        self.files.len() - 1
    }

    /// A file's name.
    pub fn name(&self, file: usize) -> &str {
        self.files.get(file).map_or("case", |(name, _)| name.as_str())
    }

    /// The place of the file of that name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.files.iter().position(|(known, _)| known == name)
    }

    /// A file's text.
    pub fn text(&self, file: usize) -> &str {
        self.files.get(file).map_or("", |(_, text)| text.as_str())
    }

    /// All files' names: the case itself, and what it extends.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _)| name.as_str())
    }

    /// The line on which a place begins, from 1.
    pub fn line(&self, place: Place) -> usize {
        line_of(self.text(place.file), place.start)
    }
}

/// The line of a text in which a byte stands, from 1.
pub(crate) fn line_of(text: &str, byte: usize) -> usize {
    text.bytes().take(byte).filter(|byte| *byte == b'\n').count() + 1
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Where.
    pub place: Place,
    /// What.
    pub value: Value,
}

/// What a case file can hold.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A text in quotes.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a point.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// A date or a time, which no key of a case takes.
    Datetime(String),
    /// A list.
    Array(Vec<Node>),
    /// A table.
    Table(Table),
}

/// A table: its keys in the order in which they stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    /// The entries.
    pub entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// The key.
    pub key: String,
    /// Where it stands.
    pub place: Place,
    /// Its value.
    pub node: Node,
}

/// A step on the way from a node to one below it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way<'a> {
    /// To the value of that key.
    Key(&'a str),
    /// To that place of a list.
    At(usize),
}

impl<'a> From<&'a str> for Way<'a> {
    fn from(key: &'a str) -> Way<'a> {
        Way::Key(key)
    }
}

impl From<usize> for Way<'_> {
    fn from(place: usize) -> Self {
        Way::At(place)
    }
}

impl Node {
    /// This node as a table, if it is one.
    pub fn table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// This node as a list's nodes; nothing if it is none.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::Array(items) => items,
            _ => &[],
        }
    }

    /// This node as a text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value of that key, if this is a table that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.table()?.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// The node one step down, if there is one.
    fn below(&self, step: Way<'_>) -> Option<&Node> {
        match step {
            Way::Key(key) => self.get(key),
            Way::At(place) => self.items().get(place),
        }
    }

    /// The node that way down, if the file has it.
    pub fn at(&self, way: &[Way<'_>]) -> Option<&Node> {
        way.iter().try_fold(self, |node, step| node.below(*step))
    }

    /// The place of the node that way down, or of the last one on the way that the file has: a default that was not
    /// written stands where its table stands.
    pub fn place_of(&self, way: &[Way<'_>]) -> Place {
        let mut node = self;
        for step in way {
            match node.below(*step) {
                Some(next) => node = next,
                None => break,
            }
        }
        node.place
    }

    /// Every key and value below, this node's own first.
    pub fn walk(&self, visit: &mut impl FnMut(&Entry)) {
        match &self.value {
            Value::Table(table) => {
                for entry in &table.entries {
                    visit(entry);
                    entry.node.walk(visit);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| item.walk(visit)),
            _ => {}
        }
    }

    /// What kind of value it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "a text",
            Value::Integer(_) | Value::Float(_) => "a number",
            Value::Boolean(_) => "true or false",
            Value::Datetime(_) => "a date",
            Value::Array(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

impl Table {
    /// Take an entry out.
    pub fn take(&mut self, key: &str) -> Option<Entry> {
        let place = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(place))
    }

    /// Add an entry, or replace the one with its key.
    pub fn put(&mut self, entry: Entry) {
        match self.entries.iter_mut().find(|present| present.key == entry.key) {
            Some(present) => *present = entry,
            None => self.entries.push(entry),
        }
    }
}

/// Read a file's text.
pub(crate) fn parse(file: usize, text: &str) -> Result<Node, Problem> {
    let root = DeTable::parse(text).map_err(|error| {
        let bytes = error.span().unwrap_or(0..0);
        let message = error.message().trim().to_owned();
        let help = match bare_word(text, &bytes) {
            _ if message.contains("duplicate key") => {
                "each key is given once: remove one of the two. A list is written in one piece (`list = []`), or as tables \
                 (`[[faults.list]]`), not both"
                    .to_owned()
            }
            Some(word) => format!("a text needs quotes: write \"{word}\""),
            None => {
                "correct the line; https://toml.io shows how tables, lists and texts are written".to_owned()
            }
        };
        Problem::new(Place::of(file, bytes), format!("this is not TOML: {message}"), help)
    })?;
    Ok(Node { place: Place { file, start: 0, end: 0 }, value: Value::Table(table(file, root.get_ref())?) })
}

/// The word that stands there without quotes behind a `=`, if it is one: what a text is most often mistaken for.
fn bare_word<'a>(text: &'a str, bytes: &Range<usize>) -> Option<&'a str> {
    let of_word = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.');
    let (before, behind) = (text.get(..bytes.start)?, text.get(bytes.start..)?);
    let begin = before.trim_end_matches(of_word).len();
    let word_end = bytes.start + behind.find(|letter| !of_word(letter)).unwrap_or(behind.len());
    let word = text.get(begin..word_end)?;
    let before = text[..begin].trim_end_matches([' ', '\t']);
    // The brackets at the beginning of a line are those of a table's name.
    let line = before.rsplit('\n').next().unwrap_or_default();
    let is_value = before.ends_with(['=', '[', ',']) && !line.trim_start().starts_with('[');
    (is_value && !word.is_empty()).then_some(word)
}

fn table(file: usize, from: &DeTable<'_>) -> Result<Table, Problem> {
    let mut entries = Vec::with_capacity(from.len());
    for (key, value) in from {
        entries.push(Entry {
            key: key.get_ref().to_string(),
            place: Place::of(file, key.span()),
            node: node(file, value)?,
        });
    }
    // The parser sorts by name; people read from top to bottom, and so do error messages.
    entries.sort_by_key(|entry| entry.place.start);
    Ok(Table { entries })
}

fn node(file: usize, from: &Spanned<DeValue<'_>>) -> Result<Node, Problem> {
    let place = Place::of(file, from.span());
    let number =
        |text: &str| Problem::new(place, format!("`{text}` is too large a number"), "write a smaller one");
    let value = match from.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(integer) => Value::Integer(
            i64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| number(integer.as_str()))?,
        ),
        DeValue::Float(float) => Value::Float(float.as_str().parse().map_err(|_| number(float.as_str()))?),
        DeValue::Boolean(boolean) => Value::Boolean(*boolean),
        DeValue::Datetime(datetime) => Value::Datetime(datetime.to_string()),
        DeValue::Array(items) => {
            Value::Array(items.iter().map(|item| node(file, item)).collect::<Result<_, _>>()?)
        }
        DeValue::Table(inner) => Value::Table(table(file, inner)?),
    };
    Ok(Node { place, value })
}
