//! Masks bytes that arrive in chunks.

use std::sync::Arc;

use super::MASK;
use super::needles::NeedleSet;

/// Masks one stream of bytes. The result does not depend on where the chunks were cut.
#[derive(Debug)]
pub struct CensorStream {
    /// `None` if there is nothing to mask.
    needles: Option<Arc<NeedleSet>>,
    /// Unmasked bytes that may turn out to be the beginning of a secret.
    held: Vec<u8>,
    /// How many of these bytes belong to a secret that began before them.
    covered: usize,
    masked: bool,
}

impl CensorStream {
    pub(super) fn new(needles: Option<Arc<NeedleSet>>) -> Self {
        Self {
            needles,
            held: Vec::new(),
            covered: 0,
            masked: false,
        }
    }

    /// Takes the next bytes and returns, masked, all that no later byte can turn into a secret.
    /// Only an end that some secret begins with is held back: at most 127 bytes.
    ///
    /// So a live view needs no flush: a line comes at once unless a secret begins like its end.
    #[must_use]
    pub fn push(&mut self, chunk: Vec<u8>) -> Vec<u8> {
        let Some(needles) = self.needles.clone() else {
            return chunk;
        };
        if self.held.is_empty() {
            self.held = chunk;
        } else {
            self.held.extend_from_slice(&chunk);
        }
        let settled = needles.settled_length(&self.held);
        self.release_settled(&needles, settled)
    }

    /// Ends the stream and returns what was held back, masked.
    #[must_use]
    pub fn finish(&mut self) -> Vec<u8> {
        match self.needles.clone() {
            Some(needles) => self.release_settled(&needles, self.held.len()),
            None => Vec::new(),
        }
    }

    /// Whether anything was masked so far.
    #[must_use]
    pub fn has_masked(&self) -> bool {
        self.masked
    }

    /// Returns the first bytes, masked. No secret that begins in them continues in later chunks.
    fn release_settled(&mut self, needles: &NeedleSet, settled: usize) -> Vec<u8> {
        let found = needles.find_ranges(&self.held, settled);
        self.masked |= !found.is_empty();
        let tail = self.held.split_off(settled);
        let mut out = std::mem::replace(&mut self.held, tail);
        let before = self.covered;
        let until = found.last().map_or(0, |last| last.end).max(before);
        for span in found.into_iter().chain(std::iter::once(0..before)) {
            let end = span.end.min(settled);
            out[span.start.min(end)..end].fill(MASK);
        }
        self.covered = until.saturating_sub(settled);
        out
    }
}
