//! What an error shows of a file: the lines around the place, or a stretch of them where they are longer than anybody reads.

use miette::{MietteError, MietteSpanContents, NamedSource, SourceCode, SourceSpan, SpanContents};

/// An excerpt of more bytes is cut.
const LONGEST: usize = 1_000;

/// So many bytes are left before the place and behind it.
const AROUND: usize = 160;

/// A mark is at most so long: it names a place, and need not cover all that stands there.
const LONGEST_MARK: usize = 160;

/// A file's text, of which excerpts are shown.
#[derive(Debug)]
pub(super) struct Excerpts(NamedSource<String>);

impl Excerpts {
    /// Of the file of that name.
    pub fn of(file: &str, text: &str) -> Excerpts {
        Excerpts(NamedSource::new(file, text.to_owned()))
    }
}

impl SourceCode for Excerpts {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_behind: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let whole = self.0.read_span(span, lines_before, lines_behind)?;
        let (start, data) = (whole.span().offset(), whole.data());
        let text = match std::str::from_utf8(data) {
            Ok(text) if text.len() > LONGEST => text,
            _ => return Ok(whole),
        };
        let place = span.offset().saturating_sub(start);
        let from = boundary(text, place.saturating_sub(AROUND));
        let to = boundary(text, place + span.len() + AROUND);
        let before = text.get(..from).unwrap_or_default();
        let column = match before.rfind('\n') {
            Some(end) => from - end - 1,
            None => whole.column() + from,
        };
        Ok(Box::new(MietteSpanContents::new_named(
            self.0.name().to_owned(),
            data.get(from..to).unwrap_or_default(),
            (start + from, to - from).into(),
            whole.line() + before.matches('\n').count(),
            column,
            whole.line_count(),
        )))
    }
}

/// The end of a mark that is not longer than need be.
pub(super) fn end_of_mark(text: &str, start: usize, end: usize) -> usize {
    boundary(text, end.min(start + LONGEST_MARK)).max(start)
}

/// The nearest place at or before a byte at which no letter is cut in two.
fn boundary(text: &str, byte: usize) -> usize {
    (0..=byte.min(text.len())).rev().find(|byte| text.is_char_boundary(*byte)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, start: usize, length: usize) -> (String, usize, usize) {
        let excerpts = Excerpts::of("a.toml", text);
        let excerpt = excerpts.read_span(&(start, length).into(), 1, 1).expect("the span is in the text");
        (
            String::from_utf8(excerpt.data().to_vec()).expect("no letter is cut"),
            excerpt.line(),
            excerpt.column(),
        )
    }

    #[test]
    fn short_lines_are_shown_whole() {
        let text = "one = 1\ntwo = 2\nthree = 3\nfour = 4\n";
        assert_eq!(
            shown(text, text.find("three").unwrap(), 5),
            ("two = 2\nthree = 3\nfour = 4\n".to_owned(), 1, 0)
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_place() {
        let text = format!("first = 1\n{}here{}\nlast = 1", "é".repeat(30_000), "ü".repeat(30_000));
        let place = text.find("here").unwrap();
        let (excerpt, line, column) = shown(&text, place, 4);
        assert!(excerpt.len() <= 2 * AROUND + 6 && excerpt.contains("éhereü"), "{excerpt}");
        assert_eq!((line, column + excerpt.find("here").unwrap()), (1, place - "first = 1\n".len()));
        assert_eq!(end_of_mark(&text, place, text.len()), place + LONGEST_MARK);
    }
}
