//! The hashes of a key's text that partitioners take.

use cutover_model::record::Key;

/// The key of that text.
pub(super) fn key(id: u32, text: &[u8]) -> Key {
    Key { id, murmur2: murmur2(text), java_hash: java_hash(text), crc32: crc32(text) }
}

/// Kafka's murmur2 with its seed.
fn murmur2(text: &[u8]) -> i32 {
    const MIX: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ text.len() as u32;
    let (words, rest) = text.as_chunks::<4>();
    for word in words {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(MIX);
        word ^= word >> 24;
        hash = hash.wrapping_mul(MIX) ^ word.wrapping_mul(MIX);
    }
    for (place, byte) in rest.iter().enumerate().rev() {
        hash ^= u32::from(*byte) << (8 * place);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(MIX);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MIX);
    (hash ^ (hash >> 15)) as i32
}

/// Java's `String.hashCode`, over UTF-16 units.
fn java_hash(text: &[u8]) -> i32 {
    let text = String::from_utf8_lossy(text);
    text.encode_utf16()
        .fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit as i16 as u16)))
}

/// CRC-32 (IEEE), bit by bit: keys are few and short.
fn crc32(text: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in text {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_are_the_published_ones() {
        // From Kafka's own UtilsTest, from Java, and the check value of CRC-32.
        assert_eq!(murmur2(b"21"), -973_932_308);
        assert_eq!(murmur2(b"foobar"), -790_332_482);
        assert_eq!(murmur2(b"a-little-bit-long-string"), -985_981_536);
        assert_eq!(java_hash(b"hello"), 99_162_322);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
