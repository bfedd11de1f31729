//! The digest of a run: a 64-bit hash of everything that was dispatched and written, in order.
//!
//! std's hashers are not fixed between releases, so the mixing is spelt out here: it must stay the same on every
//! machine and in every build.

use serde::Serialize;
use std::hash::Hasher;

/// A running digest: a sum of products, each of a word and of the place at which it came. A product waits for no other, so
/// that a word costs the processor two steps and not a multiplication's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Digest {
    sum: u64,
    place: u64,
}

/// From place to place: odd, so that none comes twice.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

const MULTIPLIER: u64 = 0xd6e8_feb8_6659_fd93;

impl Default for Digest {
    fn default() -> Digest {
        Digest { sum: 0x243f_6a88_85a3_08d3, place: 0 }
    }
}

/// The product of two words, its halves laid over each other.
fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product >> 64) as u64 ^ product as u64
}

impl Digest {
    fn mix(&mut self, word: u64) {
        self.place = self.place.wrapping_add(STRIDE);
        self.sum = self.sum.rotate_left(7).wrapping_add(folded(word ^ self.place, MULTIPLIER));
    }
}

impl Hasher for Digest {
    fn finish(&self) -> u64 {
        folded(self.sum ^ self.place, STRIDE)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let word = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
            self.mix(word);
        }
    }

    // The integers are widened by value, so that neither byte order nor the size of `usize` shows.
    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }
    fn write_u16(&mut self, value: u16) {
        self.mix(u64::from(value));
    }
    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }
    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }
    fn write_usize(&mut self, value: usize) {
        self.mix(value as u64);
    }
    fn write_i16(&mut self, value: i16) {
        self.mix(value as u64);
    }
    fn write_i32(&mut self, value: i32) {
        self.mix(value as u64);
    }
    fn write_i64(&mut self, value: i64) {
        self.mix(value as u64);
    }
    fn write_isize(&mut self, value: isize) {
        self.mix(value as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_depends_on_every_word_and_on_their_order() {
        let digest = |words: &[u64]| {
            let mut digest = Digest::default();
            words.iter().for_each(|word| digest.write_u64(*word));
            digest.finish()
        };
        assert_ne!(digest(&[1, 2]), digest(&[2, 1]));
        assert_ne!(digest(&[0]), digest(&[0, 0]));
        let mut in_bytes = Digest::default();
        in_bytes.write(&[7, 0, 0, 0, 0, 0, 0, 1, 9, 2]);
        assert_eq!(in_bytes.finish(), digest(&[1 << 56 | 7, 2 << 8 | 9]));
        // A change of the mixing would make every saved digest worthless.
        assert_eq!(format!("{:016x}", digest(&[1, 2, 3])), "b91453480d96039f");
    }
}
