//! Choosing one of several from a stream.

use crate::random::Stream;

/// One of these, each as likely as the other, if there is one.
pub(super) fn pick<'a, T>(stream: &mut Stream, from: &'a [T]) -> Option<&'a T> {
    if from.is_empty() {
        return None;
    }
    from.get(stream.below(from.len() as u64) as usize)
}

/// The place of one of these weights, each as likely as it weighs; none where they weigh nothing together.
pub(super) fn weighted(stream: &mut Stream, weights: impl Iterator<Item = u64> + Clone) -> Option<usize> {
    let total: u64 = weights.clone().sum();
    if total == 0 {
        return None;
    }
    let mut left = stream.below(total);
    for (place, weight) in weights.enumerate() {
        if left < weight {
            return Some(place);
        }
        left -= weight;
    }
    None
}

/// The numbers below `count` in any order.
pub(super) fn shuffled(count: u64, stream: &mut Stream) -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..count).collect();
    for place in (1..numbers.len()).rev() {
        numbers.swap(place, stream.below(place as u64 + 1) as usize);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Streams;

    #[test]
    fn every_number_comes_once_and_in_another_order_for_another_stream() {
        let orders: Vec<Vec<u64>> =
            (0..4).map(|seed| shuffled(9, &mut Streams::new(seed).stream("test"))).collect();
        for order in &orders {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..9).collect::<Vec<u64>>());
        }
        assert!(orders.windows(2).any(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn nothing_is_chosen_from_nothing_and_never_what_weighs_nothing() {
        let mut stream = Streams::new(1).stream("test");
        assert_eq!(pick::<u8>(&mut stream, &[]), None);
        assert_eq!(weighted(&mut stream, [0, 0].into_iter()), None);
        assert!((0..100).all(|_| weighted(&mut stream, [0, 5, 0].into_iter()) == Some(1)));
    }
}
