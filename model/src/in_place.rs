//! Putting things at the end of a vector where they stay. A thing that is built first and pushed then is written piece by piece
//! and copied in greater pieces at once, for which the processor has to wait until the first are written: of what a run is made of
//! by the hundred thousand, that was one twentieth of its time.

/// Build something at the end of a vector.
#[inline(always)]
pub fn put<T>(row: &mut Vec<T>, build: impl FnOnce() -> T) {
    // The vector makes room first and then lets the iterator write into it.
    row.extend(std::iter::once_with(build));
}
