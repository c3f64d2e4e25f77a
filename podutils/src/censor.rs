//! A streaming masker: every byte of every occurrence of a secret becomes `X`.
//!
//! It knows bytes and nothing of files, so it serves logs, artifacts and live views alike. The
//! length never changes. Where secrets overlap, all of what they cover is masked, so no tail of
//! a longer one is left beside a shorter one.

mod variants;

use std::sync::Arc;

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};

pub use variants::variants;

/// What takes the place of each masked byte.
pub const MASK: u8 = b'X';

/// The secrets, ready to be looked for. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Censor {
    /// `None` if there is nothing to hide.
    automaton: Option<Arc<NFA>>,
}

/// The secrets are too many or too large to be looked for; nothing may be shown then.
#[derive(Debug, thiserror::Error)]
#[error("the secrets cannot be searched for: {0}")]
pub struct TooLarge(#[from] aho_corasick::BuildError);

impl Censor {
    /// Hides exactly these byte strings; empty ones are skipped. See [`variants`] for the other
    /// shapes in which a secret shows up.
    pub fn new<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Result<Self, TooLarge> {
        let mut secrets: Vec<S> = secrets
            .into_iter()
            .filter(|s| !s.as_ref().is_empty())
            .collect();
        secrets.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
        secrets.dedup_by(|a, b| a.as_ref() == b.as_ref());
        if secrets.is_empty() {
            return Ok(Self::default());
        }
        let automaton = NFA::builder()
            .match_kind(MatchKind::Standard)
            .build(secrets)?;
        Ok(Self {
            automaton: Some(Arc::new(automaton)),
        })
    }

    /// Whether there is nothing to hide, so that a pass can be spared.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.automaton.is_none()
    }

    /// Begins a stream of bytes.
    #[must_use]
    pub fn stream(&self) -> Stream {
        let search = self.automaton.clone().map(|automaton| Search {
            state: automaton
                .start_state(Anchored::No)
                .expect("the automaton was built for unanchored search"),
            automaton,
        });
        Stream {
            search,
            held: Vec::new(),
            masked: false,
        }
    }

    /// Masks bytes that are all there.
    #[must_use]
    pub fn mask(&self, bytes: Vec<u8>) -> Vec<u8> {
        let mut stream = self.stream();
        let mut out = stream.push(bytes);
        out.append(&mut stream.finish());
        out
    }

    /// Masks a text. What is not ASCII may come out as a replacement character if it is masked.
    #[must_use]
    pub fn mask_text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.mask(text.as_bytes().to_vec())).into_owned()
    }
}

/// One pass over bytes that come in pieces, however they were cut.
#[derive(Debug)]
pub struct Stream {
    search: Option<Search>,
    /// What a secret that is still coming may begin in.
    held: Vec<u8>,
    masked: bool,
}

#[derive(Debug)]
struct Search {
    automaton: Arc<NFA>,
    state: StateID,
}

impl Stream {
    /// Takes the next bytes and returns those that are settled; the last few are held back
    /// (fewer than the longest secret has).
    #[must_use]
    pub fn push(&mut self, chunk: Vec<u8>) -> Vec<u8> {
        let Some(search) = &mut self.search else {
            return chunk;
        };
        let start = self.held.len();
        self.held.extend_from_slice(&chunk);
        for at in start..self.held.len() {
            if let Some(length) = search.step(chunk[at - start]) {
                // Never before the held part: that is as long as a secret can reach back.
                self.held[at + 1 - length..=at].fill(MASK);
                self.masked = true;
            }
        }
        let keep = search.automaton.max_pattern_len() - 1;
        let settled = self.held.len().saturating_sub(keep);
        self.held.drain(..settled).collect()
    }

    /// Ends the stream: what was held back.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// Whether anything was masked so far.
    #[must_use]
    pub fn has_masked(&self) -> bool {
        self.masked
    }
}

impl Search {
    /// The length of the longest secret that ends with this byte.
    fn step(&mut self, byte: u8) -> Option<usize> {
        self.state = self.automaton.next_state(Anchored::No, self.state, byte);
        if !self.automaton.is_match(self.state) {
            return None;
        }
        (0..self.automaton.match_len(self.state))
            .map(|index| {
                self.automaton
                    .pattern_len(self.automaton.match_pattern(self.state, index))
            })
            .max()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mask(secrets: &[&str], text: &str) -> String {
        Censor::new(secrets).unwrap().mask_text(text)
    }

    #[test]
    fn masks_what_is_secret_and_keeps_the_length() {
        for (secrets, text, expected) in [
            (&["secret"][..], "a secret b", "a XXXXXX b"),
            (&["secret"], "secretsecret", "XXXXXXXXXXXX"),
            (
                &["pass", "password"],
                "my password, my pass",
                "my XXXXXXXX, my XXXX",
            ),
            (&["abc", "bcd"], "zabcdz", "zXXXXz"),
            (&["aba"], "ababa", "XXXXX"),
            (&["a"], "banana", "bXnXnX"),
            (&["", "x"], "xy", "Xy"),
            (&[], "anything", "anything"),
        ] {
            assert_eq!(mask(secrets, text), expected, "{secrets:?}");
        }
    }

    #[test]
    fn holds_back_no_more_than_it_must() {
        let censor = Censor::new(["0123456789"]).unwrap();
        let mut stream = censor.stream();
        assert_eq!(stream.push(vec![b'.'; 100]).len(), 91);
        assert_eq!(stream.finish().len(), 9);
        assert!(!stream.has_masked());
        let mut stream = Censor::default().stream();
        assert_eq!(stream.push(b"all of it".to_vec()), b"all of it");
    }

    /// Every byte that any occurrence covers, found the slow way.
    fn reference(secrets: &[Vec<u8>], text: &[u8]) -> Vec<u8> {
        let mut out = text.to_vec();
        for secret in secrets.iter().filter(|s| !s.is_empty()) {
            for (at, window) in text.windows(secret.len()).enumerate() {
                if window == secret {
                    out[at..at + secret.len()].fill(MASK);
                }
            }
        }
        out
    }

    proptest! {
        /// A small alphabet makes overlaps and near misses common.
        #[test]
        fn any_cut_of_any_text_is_masked_like_the_whole(
            secrets in prop::collection::vec("[abc]{0,6}", 0..6),
            text in "[abcd]{0,200}",
            cuts in prop::collection::vec(0usize..40, 0..30),
        ) {
            let secrets: Vec<Vec<u8>> = secrets.into_iter().map(String::into_bytes).collect();
            let censor = Censor::new(&secrets).unwrap();
            let mut stream = censor.stream();
            let mut rest = text.as_bytes();
            let mut out = Vec::new();
            for cut in cuts {
                let (chunk, tail) = rest.split_at(cut.min(rest.len()));
                out.extend(stream.push(chunk.to_vec()));
                rest = tail;
            }
            out.extend(stream.push(rest.to_vec()));
            out.extend(stream.finish());

            prop_assert_eq!(out.len(), text.len());
            prop_assert_eq!(&out, &reference(&secrets, text.as_bytes()));
            for secret in secrets.iter().filter(|s| !s.is_empty()) {
                prop_assert!(!out.windows(secret.len()).any(|w| w == secret), "a secret survived");
            }
            prop_assert_eq!(stream.has_masked(), out != text.as_bytes());
        }

        #[test]
        fn without_secrets_nothing_changes(text in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Censor::default().mask(text.clone()), text);
        }
    }
}
