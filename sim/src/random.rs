//! Random numbers: one named stream a purpose, derived from the seed, so that a new draw in one leaves the others
//! alone. Integers only: what a stream yields is the same on every machine.

use cutover_model::units::Span;
use rand::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// All streams of a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Streams {
    seed: u64,
}

/// One stream of random numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stream(Xoshiro256PlusPlus);

impl Streams {
    /// The streams of that seed.
    pub fn new(seed: u64) -> Streams {
        Streams { seed }
    }

    /// The stream for that purpose.
    pub fn stream(&self, purpose: &str) -> Stream {
        self.stream_of(purpose, 0)
    }

    /// The stream for that purpose of the thing with that number: a node, a producer.
    pub fn stream_of(&self, purpose: &str, number: u64) -> Stream {
        let of_purpose = xxh3_64_with_seed(purpose.as_bytes(), self.seed);
        Stream(Xoshiro256PlusPlus::seed_from_u64(xxh3_64_with_seed(&number.to_le_bytes(), of_purpose)))
    }
}

impl Stream {
    /// A number below `bound`, each as likely.
    ///
    /// # Panics
    /// If `bound` is 0: there is no number below it.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "no number is below 0");
        // The bias of the multiplication is below 2^-32 for the bounds in use, and it needs no second draw.
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A span between the two, both included; `least` if `most` is not greater.
    pub fn between(&mut self, least: Span, most: Span) -> Span {
        let width = most.0.saturating_sub(least.0);
        if width == 0 { least } else { Span(least.0 + self.below(width + 1)) }
    }

    /// True so many times of a million.
    pub fn chance(&mut self, per_million: u32) -> bool {
        self.below(1_000_000) < u64::from(per_million)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_seed_purpose_and_number_alone() {
        let first =
            |seed, purpose: &str, number| Streams::new(seed).stream_of(purpose, number).below(u64::MAX);
        assert_eq!(first(1, "network", 0), first(1, "network", 0));
        assert_ne!(first(1, "network", 0), first(2, "network", 0));
        assert_ne!(first(1, "network", 0), first(1, "faults", 0));
        assert_ne!(first(1, "network", 0), first(1, "network", 1));
    }

    #[test]
    fn the_numbers_are_the_same_in_every_build() {
        let mut stream = Streams::new(42).stream("workload");
        let drawn: Vec<u64> = (0..4).map(|_| stream.below(1000)).collect();
        assert_eq!(drawn, [908, 15, 473, 753]);
    }

    #[test]
    fn a_span_lies_between_its_bounds() {
        let mut stream = Streams::new(3).stream("network");
        let spans: Vec<Span> = (0..100).map(|_| stream.between(Span(5), Span(7))).collect();
        assert!(spans.iter().all(|span| (5..=7).contains(&span.0)));
        assert!([5, 6, 7].iter().all(|wanted| spans.contains(&Span(*wanted))));
        assert_eq!(stream.between(Span(9), Span(3)), Span(9));
    }
}
