//! `--metrics`: the measures in Prometheus' text exposition format, version 0.0.4.
//!
//! The text stands for runs that are over, so that its summaries and counters never move: it is made to be read once
//! (by node_exporter's textfile collector, by promtool), not to be scraped.

use crate::measured::topic_name;
use cutover_model::check::Subject;
use cutover_model::units::Span;
use cutover_sim::monitor::{Cost, Coverage, Distribution, Measures, PhaseMeasures, Processing};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The quantiles of a summary, in thousandths; the last is the maximum.
const QUANTILES: [(u16, &str); 4] = [(500, "0.5"), (900, "0.9"), (990, "0.99"), (1_000, "1")];

/// The metrics of one case.
#[derive(Debug)]
pub struct Source<'a> {
    /// The case's name.
    pub case: &'a str,
    /// Its names.
    pub subject: &'a Subject,
    /// What was measured.
    pub measures: &'a Measures,
    /// Which faults struck.
    pub coverage: &'a Coverage,
    /// How many runs reached each condition.
    pub conditions: Vec<(&'a str, u64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Summary,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Summary => "summary",
        }
    }
}

/// The text, family by family: the samples of a family stand together.
#[derive(Debug, Default)]
struct Exposition {
    text: String,
}

type Labels<'a> = [(&'static str, &'a str)];

impl Exposition {
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {}\n# TYPE {name} {}", escaped_help(help), kind.word());
    }

    fn sample(&mut self, name: &str, labels: &Labels<'_>, value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let _ = writeln!(self.text, "{name}{{{}}} {value}", labels.join(","));
    }

    fn summary(&mut self, name: &str, labels: &Labels<'_>, of: &Distribution) {
        for (per_mille, quantile) in QUANTILES {
            let span = if per_mille == 1_000 { of.longest() } else { of.quantile(per_mille) };
            let value = span.map_or_else(|| "NaN".to_owned(), seconds);
            self.sample(name, &[labels, &[("quantile", quantile)]].concat(), value);
        }
        self.sample(&format!("{name}_sum"), labels, seconds(of.sum()));
        self.sample(&format!("{name}_count"), labels, of.count());
    }
}

/// Microseconds as seconds, exactly.
fn seconds(span: Span) -> String {
    format!("{}.{:06}", span.0 / 1_000_000, span.0 % 1_000_000)
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

fn escaped_help(text: &str) -> String {
    text.replace('\\', r"\\").replace('\n', r"\n")
}

/// Two cases of one name would give the same series twice, which is no valid text: the second is called `name#2`, or what
/// comes next and is no other case's name.
fn distinct(sources: &[Source<'_>]) -> Vec<String> {
    let mut taken: BTreeSet<String> = BTreeSet::new();
    let own: BTreeSet<&str> = sources.iter().map(|source| source.case).collect();
    let mut names = Vec::new();
    for source in sources {
        let others = (2_u32..).map(|times| format!("{}#{times}", source.case));
        let free = others.filter(|name| !own.contains(name.as_str()));
        let mut candidates = std::iter::once(source.case.to_owned()).chain(free);
        let name = candidates.find(|name| !taken.contains(name)).expect("there is always one more number");
        taken.insert(name.clone());
        names.push(name);
    }
    names
}

/// One phase of one case.
struct Place<'a> {
    case: &'a str,
    phase: String,
    subject: &'a Subject,
    measures: &'a PhaseMeasures,
}

/// The text for these cases.
pub fn text(sources: &[Source<'_>]) -> String {
    let names = distinct(sources);
    let mut places = Vec::new();
    for (source, case) in sources.iter().zip(&names) {
        for (measures, number) in source.measures.phases.iter().zip(0..) {
            let phase = source.subject.phase_key(number);
            places.push(Place { case, phase, subject: source.subject, measures });
        }
    }
    let mut out = Exposition::default();
    out.family("cutover_runs", Kind::Gauge, "Runs that came to their end, over which all else is counted.");
    for (source, case) in sources.iter().zip(&names) {
        out.sample("cutover_runs", &[("case", case)], source.measures.runs);
    }
    production(&mut out, &places);
    processing(&mut out, &places);
    cost(&mut out, &places);
    reached(&mut out, sources, &names);
    out.text
}

fn production(out: &mut Exposition, places: &[Place<'_>]) {
    let name = "cutover_production_latency_seconds";
    out.family(
        name,
        Kind::Summary,
        "From a record's first send to its first acknowledgement, by the phase of the send.",
    );
    for place in places {
        for of in &place.measures.production {
            let topic = topic_name(place.subject, of.topic);
            out.summary(
                name,
                &[("case", place.case), ("phase", &place.phase), ("topic", &topic)],
                &of.latency,
            );
        }
    }
    let name = "cutover_records_total";
    out.family(name, Kind::Counter, "Records that producers sent, by what they were told of them.");
    for place in places {
        for of in &place.measures.production {
            let topic = topic_name(place.subject, of.topic);
            let fates = [
                ("acknowledged", of.acknowledged),
                ("refused", of.refused),
                ("indeterminate", of.indeterminate),
                ("unanswered", of.unanswered()),
            ];
            for (fate, records) in fates {
                let labels =
                    [("case", place.case), ("phase", &place.phase), ("topic", &topic), ("fate", fate)];
                out.sample(name, &labels, records);
            }
        }
    }
}

fn processing(out: &mut Exposition, places: &[Place<'_>]) {
    let (time, left) = ("cutover_end_to_end_seconds", "cutover_records_unprocessed");
    out.family(
        time,
        Kind::Summary,
        "From a record's first send to its first processing by a group, by the phase of the send.",
    );
    each_processing(places, |labels, of| out.summary(time, labels, &of.end_to_end));
    out.family(
        left,
        Kind::Gauge,
        "Acknowledged records that a group had not processed by the end of their run.",
    );
    each_processing(places, |labels, of| out.sample(left, labels, of.unprocessed));
}

/// Show `sample` each phase's groups and topics, with their labels.
fn each_processing(places: &[Place<'_>], mut sample: impl FnMut(&Labels<'_>, &Processing)) {
    for place in places {
        for of in &place.measures.processing {
            let (topic, group) = (topic_name(place.subject, of.topic), place.subject.group_name(of.group));
            let labels =
                [("case", place.case), ("phase", &place.phase), ("topic", &topic), ("group", &group)];
            sample(&labels, of);
        }
    }
}

fn cost(out: &mut Exposition, places: &[Place<'_>]) {
    let name = "cutover_simulated_seconds_total";
    out.family(name, Kind::Counter, "Simulated time.");
    each_cost(places, |labels, cost| out.sample(name, labels, seconds(cost.simulated)));
    let name = "cutover_acknowledged_bytes_total";
    out.family(name, Kind::Counter, "Bytes of the records that were acknowledged for the first time.");
    each_cost(places, |labels, cost| out.sample(name, labels, cost.acknowledged_bytes));
    let name = "cutover_process_seconds_total";
    out.family(
        name,
        Kind::Counter,
        "Process time of a system's brokers, or of the mirror's workers, together.",
    );
    each_cost(places, |labels, cost| {
        let systems =
            [("corgi", cost.corgi.brokers_up), ("kafka", cost.kafka.brokers_up), ("mirror", cost.mirror_up)];
        for (system, span) in systems {
            out.sample(name, &[labels, &[("system", system)]].concat(), seconds(span));
        }
    });
    let name = "cutover_stored_bytes_total";
    out.family(name, Kind::Counter, "Bytes that a queue's brokers wrote, all replicas together.");
    each_cost(places, |labels, cost| {
        for (system, queue) in [("corgi", &cost.corgi), ("kafka", &cost.kafka)] {
            out.sample(name, &[labels, &[("system", system)]].concat(), queue.stored_bytes);
        }
    });
    let name = "cutover_sent_bytes_total";
    out.family(
        name,
        Kind::Counter,
        "Bytes that went over the network to, between and from a queue's brokers.",
    );
    each_cost(places, |labels, cost| {
        for (system, queue) in [("corgi", &cost.corgi), ("kafka", &cost.kafka)] {
            let ways = [
                ("produced", queue.produced_bytes),
                ("mirrored", queue.mirrored_bytes),
                ("replicated", queue.replicated_bytes),
                ("consumed", queue.consumed_bytes),
            ];
            for (way, bytes) in ways {
                out.sample(name, &[labels, &[("system", system), ("way", way)]].concat(), bytes);
            }
        }
    });
}

/// Show `sample` each phase's cost, with its labels.
fn each_cost(places: &[Place<'_>], mut sample: impl FnMut(&Labels<'_>, &Cost)) {
    for place in places {
        sample(&[("case", place.case), ("phase", &place.phase)], &place.measures.cost);
    }
}

fn reached(out: &mut Exposition, sources: &[Source<'_>], names: &[String]) {
    let name = "cutover_faults_total";
    out.family(name, Kind::Counter, "Faults that struck, by the kind of node that they struck.");
    for (source, case) in sources.iter().zip(names) {
        for cell in source.coverage.cells() {
            let labels = [
                ("case", case.as_str()),
                ("phase", cell.phase),
                ("fault", cell.fault),
                ("component", cell.component),
            ];
            out.sample(name, &labels, cell.times);
        }
    }
    let name = "cutover_condition_reached_runs";
    out.family(name, Kind::Gauge, "Runs that reached a condition which a sweep should reach.");
    for (source, case) in sources.iter().zip(names) {
        for (condition, runs) in &source.conditions {
            out.sample(name, &[("case", case), ("condition", condition)], runs);
        }
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
