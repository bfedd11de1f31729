//! The measures as machines get them: names instead of numbers, hours and bytes.

use cutover_model::check::Subject;
use cutover_model::record::TopicId;
use cutover_model::units::Span;
use cutover_sim::monitor::{
    Cost, Distribution, Measures, Part, PhaseMeasures, Processing, Production, QueueCost,
};
use serde::Serialize;
use strum::IntoEnumIterator;

/// The measures of a run, or of a sweep.
#[derive(Debug, Serialize)]
pub struct Measured {
    runs: u64,
    /// Before, during and after the migration, over all topics and groups.
    parts: Vec<PartMeasured>,
    phases: Vec<PhaseMeasured>,
}

#[derive(Debug, Serialize)]
struct PartMeasured {
    part: Part,
    production: ProductionMeasured,
    processing: ProcessingMeasured,
    cost: CostMeasured,
}

#[derive(Debug, Serialize)]
struct PhaseMeasured {
    phase: String,
    part: Part,
    production: Vec<ProductionMeasured>,
    processing: Vec<ProcessingMeasured>,
    cost: CostMeasured,
}

#[derive(Debug, Serialize)]
struct ProductionMeasured {
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    sent: u64,
    acknowledged: u64,
    refused: u64,
    indeterminate: u64,
    unanswered: u64,
    latency: Spans,
}

#[derive(Debug, Serialize)]
struct ProcessingMeasured {
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    unprocessed: u64,
    end_to_end: Spans,
}

/// A distribution: its figures, and where they are asked for its buckets.
#[derive(Debug, Serialize)]
struct Spans {
    #[serde(flatten)]
    figures: Distribution,
    #[serde(skip_serializing_if = "Option::is_none")]
    buckets_us: Option<Vec<(u64, u64)>>,
}

/// Whether distributions are told bucket by bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buckets {
    /// They are.
    Told,
    /// Their figures alone.
    Left,
}

#[derive(Debug, Serialize)]
struct CostMeasured {
    simulated_hours: f64,
    acknowledged_bytes: u64,
    corgi: QueueMeasured,
    kafka: QueueMeasured,
    mirror_worker_hours: f64,
}

#[derive(Debug, Serialize)]
struct QueueMeasured {
    broker_hours: f64,
    stored_bytes: u64,
    sent_bytes: u64,
    produced_bytes: u64,
    mirrored_bytes: u64,
    replicated_bytes: u64,
    consumed_bytes: u64,
}

/// A topic's name.
pub fn topic_name(subject: &Subject, topic: TopicId) -> String {
    subject
        .topics
        .get(usize::from(topic.0))
        .map_or_else(|| format!("topic {}", topic.0), |it| it.name.clone())
}

/// Hours, to a millionth of one.
fn hours(span: Span) -> f64 {
    // One division of two whole numbers, which every machine rounds alike.
    (span.0 / 3_600) as f64 / 1_000_000.0
}

fn spans(figures: Distribution, buckets: Buckets) -> Spans {
    Spans { buckets_us: (buckets == Buckets::Told).then(|| figures.buckets()), figures }
}

fn production(of: Production, topic: Option<String>, buckets: Buckets) -> ProductionMeasured {
    ProductionMeasured {
        topic,
        sent: of.sent,
        acknowledged: of.acknowledged,
        refused: of.refused,
        indeterminate: of.indeterminate,
        unanswered: of.unanswered(),
        latency: spans(of.latency, buckets),
    }
}

fn processing(
    of: Processing,
    (topic, group): (Option<String>, Option<String>),
    buckets: Buckets,
) -> ProcessingMeasured {
    let end_to_end = spans(of.end_to_end, buckets);
    ProcessingMeasured { topic, group, unprocessed: of.unprocessed, end_to_end }
}

fn queue(of: &QueueCost) -> QueueMeasured {
    QueueMeasured {
        broker_hours: hours(of.brokers_up),
        stored_bytes: of.stored_bytes,
        sent_bytes: of.sent_bytes(),
        produced_bytes: of.produced_bytes,
        mirrored_bytes: of.mirrored_bytes,
        replicated_bytes: of.replicated_bytes,
        consumed_bytes: of.consumed_bytes,
    }
}

fn cost(of: &Cost) -> CostMeasured {
    CostMeasured {
        simulated_hours: hours(of.simulated),
        acknowledged_bytes: of.acknowledged_bytes,
        corgi: queue(&of.corgi),
        kafka: queue(&of.kafka),
        mirror_worker_hours: hours(of.mirror_up),
    }
}

/// The measures, with the names of what they are of.
pub fn measured(measures: &Measures, subject: &Subject, buckets: Buckets) -> Measured {
    let part = |part| {
        let sum = measures.part(part);
        PartMeasured {
            part,
            production: production(sum.all_production(), None, buckets),
            processing: processing(sum.all_processing(), (None, None), buckets),
            cost: cost(&sum.cost),
        }
    };
    let phase = |(place, of): (usize, &PhaseMeasures)| PhaseMeasured {
        phase: subject.phase_key(place as u32),
        part: measures.part_of(place),
        production: of
            .production
            .iter()
            .map(|it| production(it.clone(), Some(topic_name(subject, it.topic)), buckets))
            .collect(),
        processing: of
            .processing
            .iter()
            .map(|it| {
                let group = subject.group_name(it.group);
                processing(it.clone(), (Some(topic_name(subject, it.topic)), Some(group)), buckets)
            })
            .collect(),
        cost: cost(&of.cost),
    };
    Measured {
        runs: measures.runs,
        parts: Part::iter().map(part).collect(),
        phases: measures.phases.iter().enumerate().map(phase).collect(),
    }
}
