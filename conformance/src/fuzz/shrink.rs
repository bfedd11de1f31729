//! Shrinks a conversation: leaves out as many moves as it can while the difference stays.

use super::moves::Move;

/// The shortest conversation found that still shows the difference, in at most so many tries.
pub fn shrink(moves: &[Move], tries: usize, mut shows: impl FnMut(&[Move]) -> bool) -> Vec<Move> {
    let mut shortest = moves.to_vec();
    let mut left = tries;
    let mut width = shortest.len().div_ceil(2).max(1);
    loop {
        let mut is_shorter = false;
        let mut end = shortest.len();
        // From the end: what was said last matters least to what came before.
        while end > 0 && left > 0 {
            let first = end.saturating_sub(width);
            let kept = |(place, played): (usize, &Move)| {
                (played.is_needed || !(first..end).contains(&place)).then(|| played.clone())
            };
            let shorter: Vec<Move> = shortest.iter().enumerate().filter_map(kept).collect();
            if shorter.len() < shortest.len() {
                left -= 1;
                if shows(&shorter) {
                    shortest = shorter;
                    is_shorter = true;
                }
            }
            end = first;
        }
        if left == 0 || (width == 1 && !is_shorter) {
            return shortest;
        }
        width = (width / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::shrink;
    use crate::fuzz::moves::{Draft, Move};
    use serde_json::json;

    fn moves(count: u64) -> Vec<Move> {
        (0..count).map(|ms| Move::step(json!({"wait_ms": ms}))).collect()
    }

    fn has(moves: &[Move], ms: u64) -> bool {
        moves.iter().any(|played| played.drafts == [Draft::Step(json!({"wait_ms": ms}))])
    }

    #[test]
    fn what_the_difference_does_not_need_is_left_out() {
        let shrunk = shrink(&moves(40), 500, |moves| has(moves, 3) && has(moves, 29));
        assert_eq!(shrunk, [moves(40)[3].clone(), moves(40)[29].clone()]);
    }

    #[test]
    fn what_the_conversation_needs_stays() {
        let mut all = moves(10);
        all[0].is_needed = true;
        let shrunk = shrink(&all, 500, |moves| has(moves, 7));
        assert_eq!(shrunk, [all[0].clone(), all[7].clone()]);
    }

    #[test]
    fn it_ends_after_so_many_tries() {
        let mut count = 0;
        let shrunk = shrink(&moves(40), 5, |_| {
            count += 1;
            false
        });
        assert_eq!((count, shrunk.len()), (5, 40));
    }
}
