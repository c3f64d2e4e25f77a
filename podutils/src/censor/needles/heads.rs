//! A fast filter for the positions of a text at which no needle begins.

/// Needles of at least this many bytes are filtered by their first eight bytes.
const WORD: usize = 8;
/// Shorter needles are filtered by this many bytes; still shorter ones by their first byte.
const HALF: usize = 4;
/// Bits of a filter for each entry. An entry sets two bits, so about one position in a thousand
/// is searched in vain.
const SPARSE: usize = 32;
/// The fewest bits of a filter.
const FEWEST: usize = 1 << 12;
/// The factor of the multiplicative hash: odd, its ones spread (2^64 over the golden ratio).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The first bytes of all needles.
#[derive(Debug)]
pub(super) struct NeedleHeads {
    words: BloomFilter,
    /// `None` if no needle is shorter than a word.
    short: Option<ShortHeads>,
}

#[derive(Debug)]
struct ShortHeads {
    halves: BloomFilter,
    /// The first bytes of the shortest needles.
    bytes: [bool; 256],
}

impl NeedleHeads {
    pub(super) fn new(needles: &[&[u8]]) -> Self {
        let heads = |from: usize, until: usize| {
            let heads = needles
                .iter()
                .filter(move |n| (from..until).contains(&n.len()));
            heads.map(move |needle| bytes_to_number(&needle[..from]))
        };
        let words = BloomFilter::new(heads(WORD, usize::MAX));
        let short = needles.iter().any(|needle| needle.len() < WORD).then(|| {
            let mut bytes = [false; 256];
            for needle in needles.iter().filter(|needle| needle.len() < HALF) {
                bytes[usize::from(needle[0])] = true;
            }
            let halves = BloomFilter::new(heads(HALF, WORD));
            ShortHeads { halves, bytes }
        });
        Self { words, short }
    }

    /// The next position before `until` where a needle may begin.
    pub(super) fn next_candidate(&self, text: &[u8], from: usize, until: usize) -> Option<usize> {
        // The last few bytes are no whole word, so each of them is a candidate.
        let whole = text.len().saturating_sub(WORD - 1).min(until);
        let mut next = from;
        if from < whole {
            let mut windows = text[from..whole + WORD - 1].windows(WORD);
            let found = match &self.short {
                None => windows.position(|bytes| self.words.may_contain(word_to_number(bytes))),
                Some(short) => windows.position(|bytes| {
                    let word = word_to_number(bytes);
                    self.words.may_contain(word)
                        || short.bytes[usize::from(bytes[0])]
                        || short.halves.may_contain(word & u64::from(u32::MAX))
                }),
            };
            match found {
                Some(found) => return Some(from + found),
                None => next = whole,
            }
        }
        (next < until).then_some(next)
    }

    #[cfg(test)]
    pub(super) fn heap_size(&self) -> usize {
        let short = self
            .short
            .as_ref()
            .map_or(0, |short| short.halves.bits.len());
        8 * (self.words.bits.len() + short)
    }
}

/// The bytes as a little-endian number.
fn bytes_to_number(bytes: &[u8]) -> u64 {
    let mut word = [0; WORD];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// The same for a whole word, without a copy.
fn word_to_number(bytes: &[u8]) -> u64 {
    bytes
        .first_chunk::<WORD>()
        .map_or(0, |word| u64::from_le_bytes(*word))
}

/// A set that contains every added entry, and now and then another.
#[derive(Debug)]
struct BloomFilter {
    bits: Vec<u64>,
    /// How far a hash is shifted, so that the rest is the index of a bit.
    shift: u32,
}

impl BloomFilter {
    fn new(entries: impl Iterator<Item = u64> + Clone) -> Self {
        let size = (entries.clone().count() * SPARSE)
            .next_power_of_two()
            .max(FEWEST);
        let mut filter = Self {
            bits: vec![0; size / 64],
            shift: 64 - size.trailing_zeros(),
        };
        for entry in entries {
            let hash = entry.wrapping_mul(SPREAD);
            for hash in [hash, second_hash(hash)] {
                let bit = hash >> filter.shift;
                filter.bits[bit as usize / 64] |= 1 << (bit % 64);
            }
        }
        filter
    }

    fn may_contain(&self, entry: u64) -> bool {
        let hash = entry.wrapping_mul(SPREAD);
        self.has_bit(hash) && self.has_bit(second_hash(hash))
    }

    fn has_bit(&self, hash: u64) -> bool {
        let bit = hash >> self.shift;
        self.bits[bit as usize / 64] >> (bit % 64) & 1 == 1
    }
}

fn second_hash(hash: u64) -> u64 {
    (hash ^ hash >> 32).wrapping_mul(SPREAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_beginning_is_missed() {
        let text = b"abcdefghijklmnop";
        for length in 1..=text.len() {
            for at in 0..=text.len() - length {
                let heads = NeedleHeads::new(&[&text[at..at + length]]);
                let found = heads.next_candidate(text, at, text.len());
                assert_eq!(found, Some(at), "{length}");
                assert_eq!(heads.next_candidate(text, at, at), None);
            }
        }
    }

    #[test]
    fn most_places_are_passed_by() {
        let needles: Vec<[u8; 8]> = (0..50_000u64)
            .map(|n| n.wrapping_mul(SPREAD).to_le_bytes())
            .collect();
        let needles: Vec<&[u8]> = needles.iter().map(<[u8; 8]>::as_slice).collect();
        let heads = NeedleHeads::new(&needles);
        let text: Vec<u8> = (0..200_000u32)
            .flat_map(|n| n.wrapping_mul(0x0101_0001).to_be_bytes())
            .collect();
        let (mut from, mut looks) = (0, 0);
        while let Some(at) = heads.next_candidate(&text, from, text.len()) {
            from = at + 1;
            looks += 1;
        }
        assert!(looks < text.len() / 100, "{looks}");
    }
}
