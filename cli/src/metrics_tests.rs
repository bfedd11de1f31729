//! The text is held to the format by a parser of its own, which takes nothing that the format does not name.

use super::*;
use cutover_model::check::{SubjectGroup, SubjectTopic};
use cutover_model::record::{GroupId, TopicId};
use cutover_sim::monitor::{Processing, Production};
use std::collections::{BTreeMap, BTreeSet};

/// A sample: its name, its labels and its value.
type Sample = (String, BTreeMap<String, String>, f64);

/// Read a text, and panic where it breaks the format: a family's HELP and TYPE come once and before its samples, the
/// samples stand together, no series comes twice, names and escapes are legal, the last line ends.
fn parsed(text: &str) -> Vec<Sample> {
    assert!(text.ends_with('\n'), "the last line ends");
    let (mut families, mut series) = (BTreeSet::new(), BTreeSet::new());
    let mut family: Option<(String, String)> = None;
    let mut helped = String::new();
    let mut samples = Vec::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect("a help has a text");
            assert!(!text.is_empty() && families.insert(name.to_owned()), "{name} comes twice");
            helped = name.to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a type has a word");
            assert!(["counter", "gauge", "summary"].contains(&kind), "{line}");
            assert_eq!(name, helped, "help and type stand together");
            family = Some((name.to_owned(), kind.to_owned()));
        } else {
            let sample = sample(line);
            let (name, kind) = family.clone().expect("a type comes first");
            let of_summary = [format!("{name}_sum"), format!("{name}_count")].contains(&sample.0);
            assert!(sample.0 == name || kind == "summary" && of_summary, "{line} is none of {name}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            assert_eq!(kind == "summary" && sample.0 == name, sample.1.contains_key("quantile"), "{line}");
            assert!(series.insert((sample.0.clone(), sample.1.clone())), "{line} comes twice");
            samples.push(sample);
        }
    }
    samples
}

fn is_name(text: &str) -> bool {
    let legal = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.starts_with(|letter: char| letter.is_ascii_alphabetic()) && text.chars().all(legal)
}

fn sample(line: &str) -> Sample {
    let (name, rest) = line.split_once('{').expect("every sample has labels");
    assert!(is_name(name), "{line}");
    let mut labels = BTreeMap::new();
    let mut rest = rest;
    loop {
        let (label, value) = rest.split_once("=\"").expect("a label has a value in quotes");
        assert!(is_name(label), "{line}");
        let mut letters = value.char_indices();
        let mut text = String::new();
        let end = loop {
            match letters.next().expect("a label's value ends") {
                (place, '"') => break place,
                (_, '\\') => match letters.next().expect("something is escaped").1 {
                    'n' => text.push('\n'),
                    letter @ ('\\' | '"') => text.push(letter),
                    other => panic!("\\{other} is no escape: {line}"),
                },
                (_, letter) => text.push(letter),
            }
        };
        assert!(labels.insert(label.to_owned(), text).is_none(), "{label} comes twice: {line}");
        rest = &value[end + 1..];
        match rest.strip_prefix(',') {
            Some(next) => rest = next,
            None => break,
        }
    }
    let value = rest.strip_prefix("} ").expect("a value comes behind the labels");
    (name.to_owned(), labels, value.parse().expect("a value is a number"))
}

fn subject() -> Subject {
    let topic = |name: &str| SubjectTopic { name: name.to_owned(), partitions: 1 };
    let group = SubjectGroup {
        name: "billing".to_owned(),
        ordered: true,
        topics: vec![TopicId(0)],
        ..SubjectGroup::default()
    };
    Subject { topics: vec![topic("a \"b\" \\ c\nd")], groups: vec![group], ..Subject::default() }
}

fn measures() -> Measures {
    let mut latency = Distribution::default();
    [1_500, 2_500, 4_000_000].into_iter().for_each(|micros| latency.record(Span(micros)));
    let production =
        Production { topic: TopicId(0), sent: 5, acknowledged: 3, refused: 1, indeterminate: 1, latency };
    let processing = Processing {
        topic: TopicId(0),
        group: GroupId(0),
        unprocessed: 3,
        end_to_end: Distribution::default(),
    };
    let mut phase = PhaseMeasures {
        production: vec![production],
        processing: vec![processing],
        ..PhaseMeasures::default()
    };
    phase.cost.simulated = Span::millis(1_250);
    phase.cost.kafka.mirrored_bytes = 77;
    Measures { runs: 1, phases: vec![phase] }
}

fn source<'a>(subject: &'a Subject, measures: &'a Measures, coverage: &'a Coverage) -> Source<'a> {
    Source { case: "mine", subject, measures, coverage, conditions: vec![("order-was-tried", 0)] }
}

fn value(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let found = samples.iter().find(|(it, of, _)| {
        it == name && labels.iter().all(|(label, value)| of.get(*label).is_some_and(|it| it == value))
    });
    found.unwrap_or_else(|| panic!("no {name} {labels:?}")).2
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-9
}

#[test]
fn the_text_is_what_the_format_wants_and_says_what_was_measured() {
    let (subject, measures, coverage) = (subject(), measures(), Coverage::default());
    let samples = parsed(&text(&[source(&subject, &measures, &coverage)]));
    let topic = ("topic", "a \"b\" \\ c\nd");
    let of = |name, more: &[(&'static str, &'static str)]| value(&samples, name, more);
    let latency = "cutover_production_latency_seconds";
    let labels = [("case", "mine"), ("phase", "before-the-plan"), topic, ("quantile", "1")];
    assert!(near(of(latency, &labels), 4.0));
    assert!(near(of("cutover_production_latency_seconds_count", &[topic]), 3.0));
    assert!(near(of("cutover_production_latency_seconds_sum", &[topic]), 4.004));
    assert!(of("cutover_end_to_end_seconds", &[("group", "billing"), ("quantile", "0.5")]).is_nan());
    assert!(near(of("cutover_end_to_end_seconds_count", &[("group", "billing")]), 0.0));
    assert!(near(of("cutover_records_total", &[("fate", "refused")]), 1.0));
    assert!(near(of("cutover_records_unprocessed", &[("group", "billing")]), 3.0));
    assert!(near(of("cutover_simulated_seconds_total", &[]), 1.25));
    assert!(near(of("cutover_sent_bytes_total", &[("system", "kafka"), ("way", "mirrored")]), 77.0));
    assert!(near(of("cutover_condition_reached_runs", &[("condition", "order-was-tried")]), 0.0));
}

#[test]
fn cases_of_one_name_stay_apart() {
    let (subject, measures, coverage) = (subject(), measures(), Coverage::default());
    let one = || source(&subject, &measures, &coverage);
    let samples = parsed(&text(&[one(), one()]));
    for case in ["mine", "mine#2"] {
        assert!(near(value(&samples, "cutover_runs", &[("case", case)]), 1.0));
    }
}

/// A case may itself be called as the second of a name would be.
#[test]
fn the_name_of_a_second_case_is_no_other_cases() {
    let (subject, measures, coverage) = (subject(), measures(), Coverage::default());
    let called = |case| Source { case, ..source(&subject, &measures, &coverage) };
    for cases in [["mine", "mine", "mine#2"], ["mine#2", "mine", "mine"]] {
        let samples = parsed(&text(&cases.map(called)));
        for case in ["mine", "mine#2", "mine#3"] {
            assert!(near(value(&samples, "cutover_runs", &[("case", case)]), 1.0));
        }
    }
}

#[test]
fn a_sweep_in_which_nothing_came_to_its_end_is_a_text_too() {
    let (subject, measures, coverage) = (subject(), Measures::default(), Coverage::default());
    let samples = parsed(&text(&[source(&subject, &measures, &coverage)]));
    assert!(near(value(&samples, "cutover_runs", &[]), 0.0));
}
