//! What is wrong with a case, where, and what to write instead.

use super::excerpt::{Excerpts, end_of_mark};
use super::tree::{Files, Place, line_of};
use miette::{Diagnostic, LabeledSpan, SourceSpan};
use std::fmt;

/// A case that cannot be used: one clear message with its place.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.0.text())]
pub struct CaseError(Box<Details>);

impl std::ops::Deref for CaseError {
    type Target = Details;
    fn deref(&self) -> &Details {
        &self.0
    }
}

impl Diagnostic for CaseError {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new("cutover::case"))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.0.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.0.source_text.as_ref().map(|text| text as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = |span| LabeledSpan::new_with_span(Some("here".to_owned()), span);
        self.0
            .span
            .map(|span| Box::new(std::iter::once(label(span))) as Box<dyn Iterator<Item = LabeledSpan>>)
    }
}

/// What a [`CaseError`] says.
#[derive(Debug)]
pub struct Details {
    /// The file, as it was named.
    pub file: String,
    /// The line in it, from 1; 0 where the file could not be read.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// The next thing to try.
    pub help: Option<String>,
    source_text: Option<Excerpts>,
    span: Option<SourceSpan>,
}

impl Details {
    fn text(&self) -> String {
        match self.line {
            0 => format!("{}: {}", self.file, self.message),
            line => format!("{}, line {line}: {}", self.file, self.message),
        }
    }
}

impl CaseError {
    /// A file that could not be read at all.
    pub(crate) fn unreadable(file: &str, message: impl Into<String>, help: impl Into<String>) -> CaseError {
        CaseError(Box::new(Details {
            file: file.to_owned(),
            line: 0,
            message: message.into(),
            help: Some(help.into()),
            source_text: None,
            span: None,
        }))
    }

    /// Something else that may be tried.
    pub(crate) fn add_help(&mut self, more: &str) {
        self.0.help = Some(match self.0.help.take() {
            Some(help) => format!("{help}; {more}"),
            None => more.to_owned(),
        });
    }

    /// A problem with its place in one of the files.
    pub(crate) fn at(files: &Files, problem: Problem) -> CaseError {
        let Some(place) = problem.place else {
            return CaseError::in_text(files.name(0), files.text(0), 0..0, problem);
        };
        CaseError::in_text(files.name(place.file), files.text(place.file), place.start..place.end, problem)
    }

    /// A problem at some bytes of a text.
    pub(crate) fn in_text(
        file: &str,
        text: &str,
        bytes: std::ops::Range<usize>,
        problem: Problem,
    ) -> CaseError {
        let start = bytes.start.min(text.len());
        let end = bytes.end.clamp(start, text.len());
        // A label over many lines hides what it should show: its first line is enough.
        let end = text[start..end].find('\n').map_or(end, |length| start + length);
        let end = end_of_mark(text, start, end);
        CaseError(Box::new(Details {
            file: file.to_owned(),
            line: line_of(text, start),
            message: problem.message,
            help: problem.help,
            source_text: Some(Excerpts::of(file, text)),
            span: Some((start..end).into()),
        }))
    }
}

/// A problem, before its file is known by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// The next thing to try.
    pub help: Option<String>,
    /// The key that is not known, where that is the problem: its place is looked for by name.
    pub unknown: Option<String>,
}

impl Problem {
    /// A problem at a place, and the next thing to try.
    pub fn new(place: Place, message: impl Into<String>, help: impl Into<String>) -> Problem {
        Problem { place: Some(place), message: message.into(), help: Some(help.into()), unknown: None }
    }

    /// The same problem, with a place if it had none.
    pub fn or_at(mut self, place: Place) -> Problem {
        self.place.get_or_insert(place);
        self
    }
}

/// The word among `known` that `word` was probably meant to be.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()) / 3 + 1)
        .min()
        .map(|(_, candidate)| candidate)
}

/// "write `x`", or the whole list where nothing is near.
pub(crate) fn advice<'a>(word: &str, known: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(word, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let mut known: Vec<&str> = known.into_iter().collect();
            known.sort_unstable();
            match known.is_empty() {
                true => "remove it: nothing is expected here".to_owned(),
                false => format!("write one of: {}", known.join(", ")),
            }
        }
    }
}

/// The least number of letters to insert, remove or replace to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut diagonal = above;
        row[0] = above + 1;
        for (column, candidate) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *candidate);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        assert_eq!(nearest("partition", ["partitions", "name"]), Some("partitions"));
        assert_eq!(nearest("durtion", ["budget", "duration"]), Some("duration"));
        assert_eq!(nearest("elephant", ["name", "about"]), None);
        assert_eq!(advice("elephant", ["name", "about"]), "write one of: about, name");
    }
}
