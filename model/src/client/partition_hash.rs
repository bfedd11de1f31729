//! The hashes of a key's text that partitioners take: Kafka's murmur2, Java's `String.hashCode` and CRC-32.

use crate::record::Key;

/// The key with that text, and its hashes; `id` is its place in the workload's table of keys.
pub fn key(id: u32, text: &[u8]) -> Key {
    Key { id, murmur2: murmur2(text), java_hash: java_hash(text), crc32: crc32fast::hash(text) }
}

/// Kafka's murmur2 (`org.apache.kafka.common.utils.Utils.murmur2`): 32 bits, little-endian words, its own seed.
fn murmur2(text: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const MULTIPLIER: u32 = 0x5bd1_e995;
    // Java's length is an int as well: a key is far shorter than its limit.
    let mut hash = SEED ^ text.len() as u32;
    let mut words = text.chunks_exact(4);
    for word in &mut words {
        let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(MULTIPLIER);
        let word = (word ^ (word >> 24)).wrapping_mul(MULTIPLIER);
        hash = hash.wrapping_mul(MULTIPLIER) ^ word;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ word).wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(MULTIPLIER);
    (hash ^ (hash >> 15)).cast_signed()
}

/// Java's `String.hashCode` of the text: over its UTF-16 units.
fn java_hash(text: &[u8]) -> i32 {
    let text = String::from_utf8_lossy(text);
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Partitioner;

    /// What Java's client answered: the text in hexadecimal, its murmur2, its partition of 3, 8 and 12.
    const SEEN: &[(&str, i32, [u16; 3])] = &[
        ("", 275646681, [0, 1, 9]),
        ("61", -1563381124, [1, 4, 4]),
        ("6162", 316155434, [2, 2, 2]),
        ("616263", 479470107, [0, 3, 3]),
        ("3231", -973932308, [0, 4, 0]),
        ("666f6f626172", -790332482, [0, 6, 6]),
        ("6f726465722d31303234", -1781517017, [0, 7, 3]),
        ("612d6c6974746c652d6269742d6c6f6e672d737472696e67", -985981536, [2, 0, 8]),
        ("e794a8e688b72d3432", 1307661556, [1, 4, 4]),
        (
            "6c6b6a683233346c68396669756839307932336f697568736166756a6861646f66323239706872396831396838396838",
            -58897971,
            [2, 5, 5],
        ),
        ("000000000000002a", 506863552, [1, 0, 4]),
        ("ff807f", 968261134, [1, 6, 10]),
        ("183477a35a94c9bf390b770209d32a595d4a987d41f4b3e592471abe05194bb55dcab391", 1607538654, [0, 6, 6]),
        ("94aa2150847891d75da8dddd", -855362061, [2, 3, 11]),
        ("468cc00866e1c4", 2107805648, [2, 0, 8]),
        ("a495305d0eff286e855b432a7a2365ff83ddeab5886c0be323f9f6921c4720f3", 66902801, [2, 1, 5]),
        ("", 275646681, [0, 1, 9]),
        ("3dd094b92c3eda546b2e570da43677697e1bcb533b94938efaeeecc898a8e02d07e6", 1058949105, [0, 1, 9]),
        ("485cbb0edbb1011a9c37e9f5bd05b4f72a9a1e52175fe46aca23b90328", -2084636774, [0, 2, 6]),
        ("54961e23e6", 372875489, [2, 1, 5]),
        ("d332285ea3ea5a8a9bd1", -1172866523, [0, 5, 9]),
        ("f5e7ad57", 1321933029, [0, 5, 9]),
        ("ee9ef4472604de16bbbaab378ef318f7ed", -504965211, [2, 5, 5]),
        ("ef3c3214f33cf0570b744b72420086c82d", 717718948, [1, 4, 4]),
        ("37d0c04f276f510cc52b1945767b", -922247479, [1, 1, 1]),
        ("47f084d2", -1018183170, [2, 6, 2]),
        ("8a7811a036675fba13d74b16b92f2d34a7127f5043e1d3ce2c4527", 1993612378, [1, 2, 10]),
        ("f6", -676286529, [2, 7, 11]),
        ("ca366a43c86754e40cc7cffa0610298a597c0d99d07bb1621e", -751371047, [0, 1, 9]),
        ("3ac0b17025433933cf4a7edd2d002c5899ff49016d7f1d128c899158", 1510387299, [0, 3, 3]),
        (
            "66ca49935cd4f3c0010f9a719b5638182b29c46c34d3ca1e52792c89167f30720999042ed543",
            -1720828228,
            [1, 4, 4],
        ),
        ("06c3f4b884a3cc32b1b9f43065e623c0afb383f8a5d4e8", 379314550, [1, 6, 10]),
        ("8c1a2a565b72d33dd87c58c31accbb3e3df8e01c98b56dcd08", -879209380, [1, 4, 4]),
        ("1552a7d3af9ee6c6b5363335eace380cb87f216235f218ebb479d9eb140d759660", 731584428, [0, 4, 0]),
        ("61e80363ab", 1172356844, [2, 4, 8]),
        ("c2c87eea3460c1e893fa20e5363d8ca27eff41a4d62fb47620b15c50d08f2dcb566f29f7", 293165545, [1, 1, 1]),
        ("db420dd547", -2136494380, [1, 4, 4]),
        ("d4883fbaca55e777ee7f347b95a0e34834eeedd387203653fa80d9893806e67635fe", 2075059764, [0, 4, 0]),
        ("538ca2d3a5f34e74e764c1a43a34aa7e515ff48f043a11c1bc66", 1154586584, [2, 0, 8]),
        ("c5be00e3680e7a9ec0d9ea55edb1889433640c27adde2da547d70ff8f949595a1ab1cbbb", 1171333595, [2, 3, 11]),
        ("2cf0cc506434d7374ad53410cc26f310b8af1383ddaae27a", 754769894, [2, 6, 2]),
        ("faa465547cc8c44a48dd7d9e5b5d916e4d0f9c60", -1097795562, [2, 6, 2]),
        ("e208a6d74461194a6acd782d9f", 1408469818, [1, 2, 10]),
        ("544535", 68319011, [2, 3, 11]),
        ("e7bb44ec4a", -1835027990, [0, 2, 6]),
        ("ba094c8c3d7612e58566ddc0bd5092ba3c", 1653517187, [2, 3, 11]),
        ("318b1e2d0018", 37054425, [0, 1, 9]),
        ("7758693989e93be32abae68e10e9dae7379429f2", 799725005, [2, 5, 5]),
        ("96b686d044ee00ea8798afe8b17d", 433715578, [1, 2, 10]),
        ("aa01defb4e1e112d921b5ff2dd5287d0f03a5df0ca60bbfc9cd4", -164226063, [2, 1, 5]),
        ("6b7f0b63a1aaaa1b1144139b3c6a04a307d393eead7bf976d5e56eb0ea43a08254", -1845627468, [2, 4, 8]),
        ("d334197a8e320fc2c593", -1141356080, [0, 0, 0]),
        ("de24a886eef2197313714d8190b6bb4995b37cfa", -23942359, [1, 1, 1]),
        ("2b68a76e61a8d27dabb47cbe4a", -1520832822, [2, 2, 2]),
        ("c59ed5ee93601486", -368014504, [1, 0, 4]),
        ("609cfdf0494613f2a7c331f676", -1628972785, [1, 7, 7]),
        (
            "c133a3ef958de0b969b61e76734861d10a7f5c88e9b09d8c64905198bf4f97b91d762a75464f77",
            372970980,
            [0, 4, 0],
        ),
        (
            "4f91fa38c80c1d438452f8bb326bf0dc994bae4612a82721c0fd852f24aa3393510b03c083",
            -1601342705,
            [0, 7, 3],
        ),
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn murmur2_is_what_javas_client_computes() {
        for (hex, murmur2, partitions) in SEEN {
            let key = key(0, &bytes(hex));
            assert_eq!(key.murmur2, *murmur2, "{hex}");
            let chosen = [3, 8, 12].map(|count| Partitioner::Murmur2.partition(&key, count));
            assert_eq!(chosen, *partitions, "{hex}");
        }
    }

    #[test]
    fn the_others_are_what_java_and_zlib_compute() {
        let seen = key(3, b"hello");
        assert_eq!((seen.id, seen.java_hash, seen.crc32), (3, 99_162_322, 0x3610_a686));
        assert_eq!(key(0, "h\u{e9}llo \u{1f600}".as_bytes()).java_hash, java_hash_by_hand());
        assert_eq!(key(0, b"").java_hash, 0);
    }

    /// The same by the definition: the sum of each unit times 31 to the power of its distance from the end.
    fn java_hash_by_hand() -> i32 {
        let units = [0x68, 0xe9, 0x6c, 0x6c, 0x6f, 0x20, 0xd83d, 0xde00_i64];
        let sum =
            (0..).zip(units.iter().rev()).fold(0i64, |sum, (power, unit)| sum + unit * 31i64.pow(power));
        sum as u32 as i32
    }
}
