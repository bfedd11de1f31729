//! How long something took, over many times: an HDR histogram, and beside it what must be exact.

use cutover_model::units::Span;
use hdrhistogram::Histogram;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// How many decimal digits of a quantile are right: 1 % is finer than what one seed differs from the next by, and a
/// third digit would cost eight times the room.
const DIGITS: u8 = 2;

/// Spans of time, counted in an HDR histogram of microseconds. The longest and the sum are exact; a quantile is at most
/// 1 % above the true one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// None while there is nothing in it: most places of a run stay empty.
    histogram: Option<Histogram<u64>>,
    longest: u64,
    sum: u64,
}

impl Eq for Distribution {}

impl Distribution {
    /// Count a span.
    pub fn record(&mut self, span: Span) {
        let histogram = self.histogram.get_or_insert_with(empty);
        histogram.record(span.0).expect("a histogram that grows takes every span of a run");
        self.longest = self.longest.max(span.0);
        self.sum += span.0;
    }

    /// Count everything that another one has counted.
    pub fn add(&mut self, other: &Distribution) {
        let Some(theirs) = &other.histogram else { return };
        match &mut self.histogram {
            None => self.histogram = Some(theirs.clone()),
            Some(ours) => ours.add(theirs).expect("a histogram that grows takes every other one"),
        }
        self.longest = self.longest.max(other.longest);
        self.sum += other.sum;
    }

    /// How many spans were counted.
    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, Histogram::len)
    }

    /// The span that so many in a thousand do not exceed; none where nothing was counted.
    pub fn quantile(&self, per_mille: u16) -> Option<Span> {
        let histogram = self.histogram.as_ref()?;
        let quantile = f64::from(per_mille) / 1_000.0;
        // A bucket's upper end may lie above what was ever counted.
        Some(Span(histogram.value_at_quantile(quantile).min(self.longest)))
    }

    /// The longest span; none where nothing was counted.
    pub fn longest(&self) -> Option<Span> {
        self.histogram.is_some().then_some(Span(self.longest))
    }

    /// How many spans were counted in each bucket that has any: the bucket's upper end in microseconds, and the count. All
    /// histograms have the same buckets, so that they are merged by adding the counts of the same ends.
    pub fn buckets(&self) -> Vec<(u64, u64)> {
        let recorded = self.histogram.iter().flat_map(Histogram::iter_recorded);
        recorded.map(|bucket| (bucket.value_iterated_to(), bucket.count_since_last_iteration())).collect()
    }

    /// All spans together.
    pub fn sum(&self) -> Span {
        Span(self.sum)
    }
}

/// A histogram has room up to this span as soon as it counts one: it is not to move at every doubling.
const ROOM_AT_FIRST: Span = Span::secs(1);

fn empty() -> Histogram<u64> {
    let mut histogram =
        Histogram::new_with_max(ROOM_AT_FIRST.0, DIGITS).expect("a histogram may have two digits");
    histogram.auto(true);
    histogram
}

/// As its figures: `count`, and in microseconds `p50_us`, `p99_us`, `max_us` and `sum_us`; null where nothing was counted.
impl Serialize for Distribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let micros = |span: Option<Span>| span.map(|span| span.0);
        let mut fields = serializer.serialize_struct("Distribution", 5)?;
        fields.serialize_field("count", &self.count())?;
        fields.serialize_field("p50_us", &micros(self.quantile(500)))?;
        fields.serialize_field("p99_us", &micros(self.quantile(990)))?;
        fields.serialize_field("max_us", &micros(self.longest()))?;
        fields.serialize_field("sum_us", &self.sum)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(spans: impl IntoIterator<Item = u64>) -> Distribution {
        let mut distribution = Distribution::default();
        spans.into_iter().for_each(|span| distribution.record(Span(span)));
        distribution
    }

    #[test]
    fn quantiles_are_right_to_a_percent_and_the_ends_exactly() {
        let thousands = of((1..=1_000).map(|number| number * 1_000));
        for (per_mille, exact) in [(500, 500_000), (990, 990_000), (1_000, 1_000_000)] {
            let found = thousands.quantile(per_mille).expect("something was counted").0;
            assert!(found >= exact && found <= exact + exact / 100, "{per_mille}: {found}");
        }
        assert_eq!(thousands.longest(), Some(Span(1_000_000)));
        assert_eq!(thousands.sum(), Span(500_500_000));
        assert_eq!(thousands.count(), 1_000);
    }

    #[test]
    fn buckets_added_by_their_ends_are_those_of_all_spans_together() {
        let (short, long) = (vec![3, 700, 701, 80_000], vec![3, 80_001, 90_000_000]);
        let mut added = std::collections::BTreeMap::new();
        for (end, count) in of(short.clone()).buckets().into_iter().chain(of(long.clone()).buckets()) {
            *added.entry(end).or_insert(0) += count;
        }
        let all = of(short.into_iter().chain(long)).buckets();
        assert_eq!(all, added.into_iter().collect::<Vec<_>>());
        assert_eq!((all[0], all.iter().map(|(_, count)| count).sum::<u64>()), ((3, 2), 7));
        assert!(Distribution::default().buckets().is_empty());
    }

    #[test]
    fn no_quantile_lies_above_the_longest() {
        let one = of([123_457]);
        assert_eq!((one.quantile(500), one.quantile(990)), (Some(Span(123_457)), Some(Span(123_457))));
        assert_eq!(of([0]).quantile(500), Some(Span(0)));
    }

    #[test]
    fn nothing_has_no_quantile() {
        let nothing = Distribution::default();
        assert_eq!((nothing.count(), nothing.quantile(500), nothing.longest()), (0, None, None));
    }

    #[test]
    fn together_they_are_what_one_would_have_counted_in_either_order() {
        let (short, long) = (vec![3, 700, 701], vec![5, 90_000_000]);
        let all = of(short.iter().chain(&long).copied());
        let (mut one, mut other) = (of(short.clone()), of(long.clone()));
        one.add(&of(long));
        other.add(&of(short));
        assert_eq!((&one, &other), (&all, &all));
        one.add(&Distribution::default());
        assert_eq!(one, all);
        let mut nothing = Distribution::default();
        nothing.add(&all);
        assert_eq!(nothing, all);
        assert_ne!(one, of([3, 700]));
    }
}
