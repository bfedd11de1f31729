//! Workloads from a real log: a CSV of `at,key,bytes` and perhaps `topic`.

use super::settings::Row;
use super::{KeyIds, Planned, dealt, window};
use crate::case::{Case, CaseError, MOST_BYTES, Problem, text_of};
use cutover_model::record::TopicId;
use cutover_model::units::Span;
use std::path::Path;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// The most rows that a trace may have.
const MOST_ROWS: usize = 1_000_000;

/// The columns of a trace, by their places in the file.
struct Columns {
    at: usize,
    key: usize,
    bytes: usize,
    topic: Option<usize>,
}

/// Read a trace. `named` makes an error at the place of the case that names the file.
pub(crate) fn read_trace(
    path: &Path,
    case: &Case,
    named: impl Fn(Problem) -> CaseError,
) -> Result<Arc<[Row]>, CaseError> {
    let shown = path.display().to_string();
    let text = text_of(path).map_err(|why| {
        named(Problem::unplaced(
            format!("the trace `{shown}` cannot be read: {why}"),
            Some("a trace's path is relative to the case file that names it".to_owned()),
        ))
    })?;
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let at_line = |byte: u64, message: String, help: &str| {
        let start = (byte as usize).min(text.len());
        // A record's place is where the reader looked for it: at the end of the line before, if lines end in CR LF.
        let start = start + text.as_bytes()[start..].iter().take_while(|byte| b"\r\n".contains(byte)).count();
        let end = text[start..].find('\n').map_or(text.len(), |length| start + length);
        let problem = Problem::unplaced(message, Some(help.to_owned()));
        CaseError::in_text(&shown, &text, start..end, problem)
    };
    let header = reader.headers().map_err(|error| at_line(0, error.to_string(), HEADER))?.clone();
    let columns = columns(&header).map_err(|message| at_line(0, message, HEADER))?;
    let mut reading = Reading::default();
    for record in reader.records() {
        let record = record.map_err(|error| {
            at_line(error.position().map_or(0, csv::Position::byte), error.to_string(), ROW)
        })?;
        let byte = record.position().map_or(0, csv::Position::byte);
        if reading.rows.len() == MOST_ROWS {
            return Err(at_line(byte, format!("a trace has at most {MOST_ROWS} rows"), "cut the file here"));
        }
        row(&header, &record, &columns, case)
            .and_then(|(moment, row)| reading.add(moment, row))
            .map_err(|(message, help)| at_line(byte, message, help))?;
    }
    if reading.rows.is_empty() {
        return Err(at_line(0, "the trace has no rows".to_owned(), ROW));
    }
    Ok(reading.rows.into())
}

const HEADER: &str = "the first line of a trace is: at,key,bytes (and perhaps topic)";
const ROW: &str = "write a row as in: 1997-01-01T09:00:00Z,00113,320";

/// The columns that a trace may have.
const KNOWN: [&str; 4] = ["at", "key", "bytes", "topic"];

fn columns(header: &csv::StringRecord) -> Result<Columns, String> {
    for (place, column) in header.iter().map(str::trim).enumerate() {
        if !KNOWN.contains(&column) {
            return Err(format!(
                "unknown column `{column}`; the columns of a trace are {}",
                KNOWN.join(", ")
            ));
        }
        if header.iter().take(place).any(|before| before.trim() == column) {
            return Err(format!("the column `{column}` is there twice"));
        }
    }
    let place = |name: &str| header.iter().position(|column| column.trim() == name);
    let needed = |name: &str| place(name).ok_or_else(|| format!("the column `{name}` is missing"));
    Ok(Columns { at: needed("at")?, key: needed("key")?, bytes: needed("bytes")?, topic: place("topic") })
}

/// A row that is wrong: what, and what to write instead.
type Wrong = (String, &'static str);

/// The rows that were read so far.
#[derive(Default)]
struct Reading {
    rows: Vec<Row>,
    /// The first row's moment, from which the others count, and the latest one's.
    first: Option<Moment>,
    latest: i64,
}

impl Reading {
    /// Add a row. All count their time alike, and none is earlier than the one before: out of order, a row's neighbours
    /// in the file would not be those of the run.
    fn add(&mut self, moment: Moment, row: Row) -> Result<(), Wrong> {
        let first = *self.first.get_or_insert(moment);
        if first.scale != moment.scale {
            let message = format!(
                "this time is {}, and those of the rows above are {}",
                moment.scale.words(),
                first.scale.words()
            );
            return Err((message, "write all times as RFC 3339, or all as seconds"));
        }
        if !self.rows.is_empty() && moment.micros < self.latest {
            let message = "this row is earlier than the one above it".to_owned();
            return Err((message, "sort the rows by `at`, the earliest first"));
        }
        self.latest = moment.micros;
        self.rows.push(Row { at: moment.micros.abs_diff(first.micros), ..row });
        Ok(())
    }
}

/// A row and its moment.
fn row(
    header: &csv::StringRecord,
    record: &csv::StringRecord,
    columns: &Columns,
    case: &Case,
) -> Result<(Moment, Row), Wrong> {
    if let Some(missing) = header.get(record.len()) {
        return Err((format!("the row has no `{}`", missing.trim()), ROW));
    }
    if record.len() > header.len() {
        let message = format!("the row has {} values for {} columns", record.len(), header.len());
        return Err((message, "remove what is too much; a value with a comma stands in quotes"));
    }
    let field = |place: usize| record.get(place).map(str::trim).unwrap_or_default();
    let at = moment(field(columns.at)).map_err(|message| (message, ROW))?;
    let text = field(columns.bytes);
    let bytes = match text.parse::<u32>() {
        Ok(bytes) if bytes <= MOST_BYTES => bytes,
        _ => return Err((format!("`{text}` is not a size in bytes"), ROW)),
    };
    let topic = columns.topic.map(|place| field(place).to_owned());
    if let Some(topic) = topic.as_deref()
        && case.topic(topic).is_none()
    {
        let help = "write a topic of the case, or add [[topics]] to it";
        return Err((format!("the case has no topic `{topic}`"), help));
    }
    Ok((at, Row { at: 0, key: field(columns.key).to_owned(), bytes, topic }))
}

/// A row's time, in microseconds since 1970 or since whatever its seconds count from.
#[derive(Clone, Copy)]
struct Moment {
    micros: i64,
    scale: Scale,
}

/// From where the times of a trace count.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scale {
    Calendar,
    Seconds,
}

impl Scale {
    fn words(self) -> &'static str {
        match self {
            Scale::Calendar => "in RFC 3339",
            Scale::Seconds => "in seconds",
        }
    }
}

/// A moment: RFC 3339, or seconds with or without a point.
fn moment(text: &str) -> Result<Moment, String> {
    let error = || format!("`{text}` is not a moment: neither RFC 3339 nor seconds");
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Ok(Moment { micros: timestamp.as_microsecond(), scale: Scale::Calendar });
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) {
        return Err(error());
    }
    let seconds: i64 = seconds.parse().map_err(|_| error())?;
    let fraction: i64 = format!("{fraction:0<6}")[..6].parse().map_err(|_| error())?;
    let micros = seconds.checked_mul(1_000_000).and_then(|micros| micros.checked_add(fraction));
    Ok(Moment { micros: micros.ok_or_else(error)?, scale: Scale::Seconds })
}

/// The trace's records, its time stretched or compressed into the workload's window.
pub(super) fn planned(case: &Case) -> (Vec<String>, Vec<Planned>) {
    let (start, length) = window(case);
    let rows = &case.workload.rows;
    let last = rows.last().map_or(0, |row| row.at).max(1);
    let mut keys = KeyIds::default();
    let planned = rows
        .iter()
        .enumerate()
        .map(|(place, row)| {
            let scaled = u128::from(row.at) * u128::from(length.0) / u128::from(last);
            Planned {
                at: start + Span(scaled as u64),
                producer: dealt(case.workload.deal, &row.key, place, case.producers.count),
                topic: topic(case, row),
                key: keys.id(&row.key),
                bytes: row.bytes,
                delay: Span::ZERO,
            }
        })
        .collect();
    (keys.texts, planned)
}

/// The row's topic; without that column each key has its topic by its hash.
fn topic(case: &Case, row: &Row) -> TopicId {
    let by_hash = || TopicId((xxh3_64(row.key.as_bytes()) % case.topics.len() as u64) as u16);
    row.topic.as_deref().and_then(|name| case.topic(name)).unwrap_or_else(by_hash)
}
