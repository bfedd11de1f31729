//! Putting things at the end of a vector where they stay. A thing that is built first and pushed then is written piece by piece
//! and at once copied in greater pieces, for which the processor has to wait until the small ones are written. A run makes messages,
//! timers and events by the hundred thousand, and there it shows; elsewhere `push` does as well.

/// Build something at the end of a vector.
#[inline(always)]
pub fn put<T>(row: &mut Vec<T>, build: impl FnOnce() -> T) {
    // The vector makes room first and then lets the iterator write into it.
    row.extend(std::iter::once_with(build));
}
