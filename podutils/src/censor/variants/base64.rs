//! A secret in base64, alone or with something before and after it.

use std::collections::BTreeSet;

use ::base64::Engine;
use ::base64::engine::GeneralPurpose;
use ::base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// Bits that a character encodes.
const BITS: usize = 6;
/// Three bytes are four characters, so only the position modulo three matters.
const PERIOD: usize = 3;
/// Fewer characters are not searched for: they are too common.
const SHORTEST: usize = 4;
/// The columns at which `base64` and `openssl` break lines.
const COLUMNS: [usize; 2] = [76, 64];

/// Collects the whole encoding, with and without padding, on one line and on several.
pub(super) fn collect_whole(value: &[u8], found: &mut BTreeSet<Vec<u8>>) {
    for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
        let encoded = engine.encode(value);
        // Without padding, a short encoding is an ordinary word.
        if encoded.len() < SHORTEST {
            continue;
        }
        for columns in COLUMNS {
            if encoded.len() > columns {
                found.insert(break_lines(&encoded, columns));
            }
        }
        found.insert(encoded.into_bytes());
    }
}

fn break_lines(encoded: &str, columns: usize) -> Vec<u8> {
    let lines: Vec<&[u8]> = encoded.as_bytes().chunks(columns).collect();
    lines.join(&b'\n')
}

/// Collects the characters that depend on the value alone, whatever stands before and after it,
/// such as in `user:secret`.
pub(super) fn collect_within(value: &[u8], found: &mut BTreeSet<Vec<u8>>) {
    for before in 0..PERIOD {
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let characters = decided_characters(value, before, &engine);
            if characters.len() >= SHORTEST {
                found.insert(characters);
            }
        }
    }
}

/// The characters that depend on the value alone if `before` bytes precede it.
fn decided_characters(value: &[u8], before: usize, engine: &GeneralPurpose) -> Vec<u8> {
    let encoded = engine.encode([&[0; PERIOD][..before], value].concat());
    let from = (8 * before).div_ceil(BITS);
    let until = 8 * (before + value.len()) / BITS;
    encoded.as_bytes()[from..until].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_any_name_the_characters_of_the_secret_are_the_same() {
        for user in ["", "u", "us", "usr", "user", "a longer name"] {
            for rest in ["", ":", "\n", "--"] {
                let encoded = STANDARD.encode(format!("{user}secret>?<{rest}"));
                let mut found = BTreeSet::new();
                collect_within(b"secret>?<", &mut found);
                let longest = found
                    .iter()
                    .filter(|f| encoded.contains(std::str::from_utf8(f).unwrap()))
                    .map(Vec::len)
                    .max();
                assert!(longest >= Some(10), "{encoded}: {found:?}");
            }
        }
    }

    #[test]
    fn lines_are_broken_where_programs_break_them() {
        let mut found = BTreeSet::new();
        collect_whole(&[b'k'; 100], &mut found);
        for columns in COLUMNS {
            assert!(
                found.iter().any(|f| f.get(columns) == Some(&b'\n')),
                "{columns}"
            );
        }
    }
}
