//! The synthetic workload: Zipf-distributed keys, arrivals that are as irregular as independent customers make them,
//! and bursts.

use super::{Planned, dealt, window};
use crate::case::Case;
use crate::random::Stream;
use cutover_model::record::TopicId;
use cutover_model::units::{Span, Time};

pub(super) fn planned(case: &Case, stream: &mut Stream) -> (Vec<String>, Vec<Planned>) {
    let settings = &case.workload;
    let texts: Vec<String> = (0..settings.keys).map(|place| format!("{place:05}")).collect();
    let cumulated = cumulated_weights(settings.keys, settings.zipf.0);
    let times = arrivals(case, stream);
    let width = settings.bytes.most.0.saturating_sub(settings.bytes.least.0) + 1;
    let planned = times
        .into_iter()
        .enumerate()
        .map(|(place, at)| {
            let key = drawn_key(&cumulated, stream);
            Planned {
                at,
                producer: dealt(settings.deal, &texts[key as usize], place, case.producers.count),
                topic: TopicId(stream.below(case.topics.len() as u64) as u16),
                key,
                bytes: (settings.bytes.least.0 + stream.below(width)) as u32,
                delay: Span::ZERO,
            }
        })
        .collect();
    (texts, planned)
}

/// The sums of the keys' weights up to each: the k-th weighs 1 / k^exponent, scaled to whole numbers.
fn cumulated_weights(keys: u64, exponent_thousandths: u32) -> Vec<u64> {
    // Of all functions of floating-point numbers only libm's gives the same bits on every machine.
    let exponent = f64::from(exponent_thousandths) / 1_000.0;
    let mut sum = 0;
    (1..=keys)
        .map(|rank| {
            let weight = libm::floor(4_294_967_296.0 / libm::pow(rank as f64, exponent));
            sum += (weight as u64).max(1);
            sum
        })
        .collect()
}

fn drawn_key(cumulated: &[u64], stream: &mut Stream) -> u32 {
    let total = cumulated.last().copied().unwrap_or(0);
    let drawn = stream.below(total);
    cumulated.partition_point(|sum| *sum <= drawn) as u32
}

/// The moments of arrival, in order. So many independent draws over the window, sorted, are just the arrivals of a
/// Poisson process of which one knows the count: the spans between them are exponential, and no logarithm is needed.
fn arrivals(case: &Case, stream: &mut Stream) -> Vec<Time> {
    let (start, length) = window(case);
    let stretches = stretches(case, length);
    let total: u64 = stretches.iter().map(|stretch| stretch.weight()).sum();
    let mut drawn: Vec<u64> = (0..case.workload.records).map(|_| stream.below(total)).collect();
    drawn.sort_unstable();
    let mut times = Vec::with_capacity(drawn.len());
    let mut stretches = stretches.into_iter();
    let mut current = stretches.next();
    let mut before = 0;
    for place in drawn {
        while let Some(stretch) = current
            && place >= before + stretch.weight()
        {
            before += stretch.weight();
            current = stretches.next();
        }
        if let Some(stretch) = current {
            times.push(start + stretch.from + Span((place - before) / stretch.factor));
        }
    }
    times
}

/// A part of the window in which so many times as much is sent.
#[derive(Clone, Copy)]
struct Stretch {
    from: Span,
    length: Span,
    factor: u64,
}

impl Stretch {
    fn weight(&self) -> u64 {
        self.length.0.saturating_mul(self.factor)
    }
}

/// The window cut into its quiet stretches and its bursts.
fn stretches(case: &Case, length: Span) -> Vec<Stretch> {
    let Some(bursts) = case.workload.bursts else {
        return vec![Stretch { from: Span::ZERO, length, factor: 1 }];
    };
    let mut stretches = Vec::new();
    let mut from = Span::ZERO;
    while from < length {
        let quiet = bursts.every.saturating_sub(bursts.length).min(length.saturating_sub(from));
        stretches.push(Stretch { from, length: quiet, factor: 1 });
        from = from + quiet;
        let burst = bursts.length.min(length.saturating_sub(from));
        stretches.push(Stretch { from, length: burst, factor: u64::from(bursts.factor) });
        from = from + burst;
    }
    stretches
}
