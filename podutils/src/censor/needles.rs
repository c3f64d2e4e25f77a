//! The byte strings to search for: sorted, and of bounded length.
//!
//! A filter over the first bytes rules out nearly every position of a text; a binary search decides
//! about the rest. So memory is little more than the strings themselves (an automaton takes forty
//! times that), and each position takes bounded time, whatever the text is.

mod heads;

use std::ops::Range;

use heads::NeedleHeads;

/// A string of more bytes is cut into pieces.
const LONGEST: usize = 128;
/// The length of a piece, in bytes. The starts of two pieces are no farther apart.
const PIECE: usize = 64;
/// The starts of two pieces are no closer than this many bytes, except for the last piece.
const STEP: usize = 32;
/// Bytes of all pieces together: enough for several megabytes of secrets in all variants.
const MOST: usize = 256 << 20;

/// The secrets are too large to be searched for; then nothing may be shown.
#[derive(Debug, thiserror::Error)]
#[error("the secrets cannot be searched for: in all their shapes they take more than {} MiB", MOST >> 20)]
pub struct SecretsTooLarge;

/// The byte strings to search for.
#[derive(Debug)]
pub(super) struct NeedleSet {
    /// All strings, sorted and concatenated.
    bytes: Vec<u8>,
    /// Where each string ends; it begins where the one before ends.
    ends: Vec<u32>,
    /// For each string, the longest other string that it begins with.
    shorter: Vec<Option<NeedleIndex>>,
    /// The length of the longest string.
    longest: usize,
    heads: NeedleHeads,
}

/// The position of a needle in the order, plus one, so that `Option` takes no extra memory.
type NeedleIndex = std::num::NonZeroU32;

impl NeedleSet {
    /// Skips empty strings and cuts long ones.
    pub(super) fn new<S: AsRef<[u8]>>(
        secrets: impl IntoIterator<Item = S>,
    ) -> Result<Self, SecretsTooLarge> {
        let secrets: Vec<S> = secrets.into_iter().collect();
        let mut pieces: Vec<&[u8]> = secrets
            .iter()
            .flat_map(|s| cut_pieces(s.as_ref()))
            .collect();
        pieces.sort_unstable();
        pieces.dedup();
        let size: usize = pieces.iter().map(|piece| piece.len()).sum();
        if size > MOST {
            return Err(SecretsTooLarge);
        }
        let mut needles = Self {
            bytes: Vec::with_capacity(size),
            ends: Vec::with_capacity(pieces.len()),
            shorter: Vec::with_capacity(pieces.len()),
            longest: pieces.iter().map(|piece| piece.len()).max().unwrap_or(0),
            heads: NeedleHeads::new(&pieces),
        };
        for piece in pieces {
            // Its longest prefix is the string before it, or one of that string's own prefixes.
            let mut shorter = index_before(needles.ends.len());
            while let Some(at) = shorter
                && !piece.starts_with(needles.get(position_of(at)))
            {
                shorter = needles.shorter[position_of(at)];
            }
            needles.bytes.extend_from_slice(piece);
            needles
                .ends
                .push(u32::try_from(needles.bytes.len()).expect("no more than MOST"));
            needles.shorter.push(shorter);
        }
        Ok(needles)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The heap memory it uses, in bytes.
    #[cfg(test)]
    pub(super) fn heap_size(&self) -> usize {
        self.bytes.capacity()
            + 4 * (self.ends.capacity() + self.shorter.capacity())
            + self.heads.heap_size()
    }

    /// The length of the text's beginning in which no needle starts that could end after the text.
    pub(super) fn settled_length(&self, text: &[u8]) -> usize {
        let tail = text.len().saturating_sub(self.longest - 1);
        (tail..text.len())
            .find(|at| self.goes_on(&text[*at..]))
            .unwrap_or(text.len())
    }

    /// The ranges of needles that start before `within`, in order; adjacent ranges are merged.
    pub(super) fn find_ranges(&self, text: &[u8], within: usize) -> Vec<Range<usize>> {
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut from = 0;
        while let Some(at) = self.heads.next_candidate(text, from, within) {
            if let Some(length) = self.longest_at(&text[at..]) {
                let end = at + length;
                match found.last_mut() {
                    Some(last) if last.end >= at => last.end = last.end.max(end),
                    _ => found.push(at..end),
                }
            }
            from = at + 1;
        }
        found
    }

    /// The length of the longest needle that the text begins with.
    fn longest_at(&self, text: &[u8]) -> Option<usize> {
        let text = &text[..text.len().min(self.longest)];
        let mut before = index_before(self.index_after(text))?;
        let needle = self.get(position_of(before));
        let common = needle.iter().zip(text).take_while(|(a, b)| a == b).count();
        // Each needle that begins the text also begins this one, which lies between the two.
        loop {
            let length = self.get(position_of(before)).len();
            if length <= common {
                return Some(length);
            }
            before = self.shorter[position_of(before)]?;
        }
    }

    /// Whether a longer needle begins with the whole text.
    fn goes_on(&self, text: &[u8]) -> bool {
        let after = self.index_after(text);
        after < self.ends.len() && self.get(after).starts_with(text)
    }

    /// The position of the first needle that sorts after the text.
    fn index_after(&self, text: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle) <= text {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn get(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start as usize..self.ends[at] as usize]
    }
}

/// The needle before the position `after`.
fn index_before(after: usize) -> Option<NeedleIndex> {
    NeedleIndex::new(
        u32::try_from(after).expect("each has a byte, and there are no more than MOST"),
    )
}

fn position_of(index: NeedleIndex) -> usize {
    index.get() as usize - 1
}

/// Cuts a string into pieces that together cover it. So at most a piece has to be held back or
/// compared, however long the string is, and a part of it that is printed alone is masked, too.
fn cut_pieces(secret: &[u8]) -> Vec<&[u8]> {
    if secret.len() <= LONGEST {
        return if secret.is_empty() {
            vec![]
        } else {
            vec![secret]
        };
    }
    let mut pieces = vec![&secret[..PIECE]];
    let mut from = 0;
    while from + PIECE < secret.len() {
        // Avoids white space: it is so common in texts that the filter would rule out little.
        let next = from + PIECE;
        let start = (from + STEP..=next)
            .rev()
            .find(|at| !secret[*at].is_ascii_whitespace());
        from = start.unwrap_or(next).min(secret.len() - PIECE);
        pieces.push(&secret[from..from + PIECE]);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_covered_by_pieces() {
        for length in [1, 127, 128, 129, 191, 192, 193, 1000] {
            for blank in [0, 10, 40, 200] {
                let secret: Vec<u8> = (0..length)
                    .map(|n| {
                        if n >= 70 && n < 70 + blank {
                            b' '
                        } else {
                            b'a' + (n % 26) as u8
                        }
                    })
                    .collect();
                let base = secret.as_ptr().addr();
                let mut covered = 0;
                for piece in cut_pieces(&secret) {
                    let start = piece.as_ptr().addr() - base;
                    assert!(start <= covered, "{length} {blank}");
                    assert!(piece.len() <= LONGEST);
                    covered = start + piece.len();
                }
                assert_eq!(covered, length, "{blank}");
            }
        }
        assert!(cut_pieces(b"").is_empty());
    }

    #[test]
    fn the_longest_that_begins_here_is_found() {
        let needles = NeedleSet::new(["a", "abc", "abcde", "abd", "b"]).unwrap();
        for (text, expected) in [
            ("abcdx", Some(3)),
            ("abcdef", Some(5)),
            ("abx", Some(1)),
            ("abd", Some(3)),
            ("ab", Some(1)),
            ("c", None),
            ("", None),
            ("A", None),
        ] {
            assert_eq!(needles.longest_at(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn only_what_may_go_on_is_not_settled() {
        let needles = NeedleSet::new(["secret", "ete"]).unwrap();
        for (text, expected) in [
            ("", 0),
            ("a line\n", 7),
            ("progress", 7),
            ("secre", 0),
            ("xsecret", 5),
            ("xsecre", 1),
            ("e", 0),
            ("secret e", 7),
        ] {
            assert_eq!(needles.settled_length(text.as_bytes()), expected, "{text}");
        }
    }
}
