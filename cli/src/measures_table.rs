//! The measures as people read them: before, during and after the migration; with `--verbose` also by phase, topic and group.

use crate::measured::topic_name;
use crate::table::{dense, lines};
use cutover_model::check::Subject;
use cutover_model::units::Span;
use cutover_sim::monitor::{Cost, Distribution, Measures, Part, PhaseMeasures, QueueCost};
use strum::IntoEnumIterator;

/// What is there where nothing was measured.
const NOTHING: &str = "-";

/// Before, during and after the migration, over all topics and groups. Nothing where no run came to its end.
pub fn of_parts(measures: &Measures) -> String {
    // Without a plan there is nothing to compare.
    let parts: Vec<Part> = Part::iter().filter(|_| measures.phases.len() > 1).collect();
    let columns: Vec<PhaseMeasures> = match parts.is_empty() {
        true => measures.phases.clone(),
        false => parts.iter().map(|part| measures.part(*part)).collect(),
    };
    if measures.runs == 0 || columns.is_empty() {
        return String::new();
    }
    let mut header = vec!["records sent".to_owned()];
    if parts.is_empty() {
        header.push("without a migration".to_owned());
    }
    header.extend(parts.iter().map(|part| match part {
        Part::Before => "before the migration".to_owned(),
        Part::During => "during it".to_owned(),
        Part::After => "after it".to_owned(),
    }));
    let mut table = dense(&header.iter().map(String::as_str).collect::<Vec<_>>());
    let mut row = |name: &str, cell: &dyn Fn(&PhaseMeasures) -> String| {
        table.add_row(std::iter::once(name.to_owned()).chain(columns.iter().map(cell)));
    };
    row("production: p50, p99, max", &|of| spread(&of.all_production().latency));
    row("acknowledged", &|of| {
        let all = of.all_production();
        share(all.acknowledged, all.sent)
    });
    row("end to end: p50, p99, max", &|of| spread(&of.all_processing().end_to_end));
    row("running: corgi, kafka, mirror", &|of| running(&of.cost));
    row("stored a byte: corgi, kafka", &|of| by_queue(&of.cost, |queue| queue.stored_bytes));
    row("sent a byte: corgi, kafka", &|of| by_queue(&of.cost, QueueCost::sent_bytes));
    lines(&table) + "\n"
}

/// Every phase, topic and group.
pub fn of_phases(measures: &Measures, subject: &Subject) -> String {
    let mut table =
        dense(&["phase", "topic", "", "records", "p50", "p99", "max", "acknowledged, or unprocessed"]);
    for (phase, number) in measures.phases.iter().zip(0..) {
        let name = subject.phase_key(number);
        for of in &phase.production {
            let [p50, p99, longest] = figures(&of.latency);
            let topic = topic_name(subject, of.topic);
            let acknowledged = share(of.acknowledged, of.sent);
            let row =
                [&name, &topic, "production", &of.sent.to_string(), &p50, &p99, &longest, &acknowledged];
            table.add_row(row);
        }
        for of in &phase.processing {
            let [p50, p99, longest] = figures(&of.end_to_end);
            let (topic, group) = (topic_name(subject, of.topic), subject.group_name(of.group));
            let (count, left) = (of.end_to_end.count().to_string(), of.unprocessed.to_string());
            table.add_row([&name, &topic, &group, &count, &p50, &p99, &longest, &left]);
        }
    }
    lines(&table) + "\n"
}

fn figures(of: &Distribution) -> [String; 3] {
    [of.quantile(500), of.quantile(990), of.longest()]
        .map(|span| span.map_or_else(|| NOTHING.to_owned(), rounded))
}

fn spread(of: &Distribution) -> String {
    if of.count() == 0 { NOTHING.to_owned() } else { figures(of).join(", ") }
}

/// A span as a reader of latencies wants it: three digits and one unit.
fn rounded(span: Span) -> String {
    match span.0 {
        micros @ 0..1_000 => format!("{micros} us"),
        micros @ 1_000..100_000 => format!("{}.{} ms", micros / 1_000, micros / 100 % 10),
        micros @ 100_000..1_000_000 => format!("{} ms", micros / 1_000),
        micros => format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10),
    }
}

/// `99.87 % of 1200`, rounded down: 100 % is all of them.
fn share(of: u64, all: u64) -> String {
    if all == 0 {
        return NOTHING.to_owned();
    }
    let share = of * 10_000 / all;
    format!("{}.{:02} % of {all}", share / 100, share % 100)
}

/// `6.0`, rounded down.
fn quotient(of: u64, by: u64) -> String {
    if by == 0 {
        return NOTHING.to_owned();
    }
    let tenths = u128::from(of) * 10 / u128::from(by);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// How many processes ran on average.
fn running(cost: &Cost) -> String {
    [cost.corgi.brokers_up, cost.kafka.brokers_up, cost.mirror_up]
        .map(|up| quotient(up.0, cost.simulated.0))
        .join(", ")
}

fn by_queue(cost: &Cost, bytes: impl Fn(&QueueCost) -> u64) -> String {
    [&cost.corgi, &cost.kafka].map(|queue| quotient(bytes(queue), cost.acknowledged_bytes)).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_shares_are_rounded_down_and_never_to_more_than_there_is() {
        assert_eq!([999, 1_999, 99_999].map(|micros| rounded(Span(micros))), ["999 us", "1.9 ms", "99.9 ms"]);
        assert_eq!([999_999, 61_000_000].map(|micros| rounded(Span(micros))), ["999 ms", "61.0 s"]);
        assert_eq!((share(1_999, 2_000), share(2, 2)), ("99.95 % of 2000".into(), "100.00 % of 2".into()));
        assert_eq!((share(0, 0), quotient(0, 0)), ("-".into(), "-".into()));
        assert_eq!(quotient(599, 100), "5.9");
    }

    #[test]
    fn nothing_is_told_of_runs_that_broke_off() {
        assert_eq!(of_parts(&Measures::default()), "");
    }
}
