//! Batches the lines of a followed log for a page. If they come faster than a page can show, only
//! the last ones are sent.
//!
//! A batch keeps bytes, not lines: what it drops is counted and never rendered.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::excerpt::{skip_lines, skip_partial_character};
use super::markup::{self, LogMarkup};
use super::rows::{LogRows, RowBounds};
use super::window::count_newlines;
use crate::ansi::AnsiRenderer;

/// A batch is sent after this time without further lines, and after [`MAX_DELAY`] at the latest.
const QUIET_TIME: Duration = Duration::from_millis(80);
const MAX_DELAY: Duration = Duration::from_secs(1);
/// Bytes that are kept when a batch has become too large.
const MAX_KEPT: usize = 512 << 10;
/// Bytes that are kept of a single line that is longer than that.
const LINE_END: usize = 8 << 10;
const ROWS: RowBounds = RowBounds {
    lines: 2_000,
    bytes: 1 << 20,
};

#[derive(Debug)]
pub(crate) struct LogBatch {
    /// Lines that the page has already and that have not come again yet.
    to_skip: u64,
    /// Number of the last line that was sent.
    sent: u64,
    text: Vec<u8>,
    terminal: AnsiRenderer,
    /// Number of all line ends and bytes that came.
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    since: Option<Instant>,
    last: Instant,
}

impl LogBatch {
    /// A batch for a page that has the first `after` lines.
    pub(crate) fn new(after: u64) -> Self {
        Self {
            to_skip: after,
            sent: after,
            text: Vec::new(),
            terminal: AnsiRenderer::starting_at(after.saturating_add(1)),
            lines: 0,
            bytes: 0,
            since: None,
            last: Instant::now(),
        }
    }

    pub(crate) fn push_chunk(&mut self, chunk: &[u8]) {
        self.bytes += chunk.len() as u64;
        self.lines += count_newlines(chunk);
        let fresh = skip_lines(chunk, &mut self.to_skip);
        if fresh.is_empty() {
            return;
        }
        self.text.extend_from_slice(fresh);
        self.last = Instant::now();
        self.since.get_or_insert(self.last);
        if self.text.len() > 2 * MAX_KEPT {
            self.drop_beginning();
        }
    }

    fn drop_beginning(&mut self) {
        let at = self.text.len() - MAX_KEPT;
        let end = self.text[at..].iter().position(|byte| *byte == b'\n');
        let kept = match end {
            Some(end) => self.text.split_off(at + end + 1),
            None => skip_partial_character(&self.text[self.text.len() - LINE_END..]).to_vec(),
        };
        let first = self.lines - count_newlines(&kept) + 1;
        self.text = kept;
        self.terminal = AnsiRenderer::starting_at(first);
    }

    /// Waits until the batch is due; for ever if it is empty.
    pub(crate) async fn wait_until_due(&self) {
        match self.since {
            Some(since) => sleep_until((self.last + QUIET_TIME).min(since + MAX_DELAY)).await,
            None => std::future::pending().await,
        }
    }

    /// The lines of the batch as HTML; empty if no line has ended.
    pub(crate) fn take_html(&mut self, markup: &LogMarkup) -> String {
        let mut rows = LogRows::new(RowBounds::NOTHING, ROWS, self.sent);
        self.terminal.render_bytes(&self.text, &mut |number, line| {
            rows.push_row(number, markup::render_row(number, line));
        });
        self.text.clear();
        self.since = None;
        self.sent = self.sent.max(self.lines);
        rows.into_html(markup)
    }

    /// Ends the log: the remaining lines as HTML, with an unfinished last line.
    pub(crate) fn finish_html(&mut self, markup: &LogMarkup) -> String {
        let mut html = self.take_html(markup);
        let next = AnsiRenderer::starting_at(self.sent + 1);
        let terminal = std::mem::replace(&mut self.terminal, next);
        terminal.finish_log(&mut |number, line| {
            html.push_str(&markup::render_row(number, line));
            self.lines = self.lines.max(number);
        });
        html
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(html: &str) -> Vec<u64> {
        let rows = html.split("id=\"L").skip(1);
        rows.map(|row| row.split('"').next().unwrap().parse().unwrap())
            .collect()
    }

    #[test]
    fn lines_that_the_page_has_are_not_sent_again() {
        let markup = LogMarkup::default();
        let mut batch = LogBatch::new(2);
        batch.push_chunk(b"one\nt");
        assert!(batch.since.is_none());
        batch.push_chunk(b"wo\nthree\nfo");
        assert_eq!(numbers(&batch.take_html(&markup)), [3]);
        batch.push_chunk(b"ur\n");
        assert_eq!(numbers(&batch.take_html(&markup)), [4]);
        assert_eq!((batch.lines, batch.bytes), (4, 19));
        batch.push_chunk(b"five");
        assert_eq!(batch.take_html(&markup), "");
        let rest = batch.finish_html(&markup);
        assert!(rest.contains(">five</span>"), "{rest}");
        assert_eq!((numbers(&rest), batch.lines), (vec![5], 5));
    }

    #[test]
    fn of_a_flood_the_end_is_sent_with_its_numbers() {
        let markup = LogMarkup::default();
        let mut batch = LogBatch::new(10);
        let log: String = (1..=500_000).map(|n| format!("line {n}\n")).collect();
        for chunk in log.as_bytes().chunks(32 << 10) {
            batch.push_chunk(chunk);
            assert!(batch.text.len() <= 2 * MAX_KEPT);
        }
        let html = batch.take_html(&markup);
        assert!(html.contains("497990 lines are not shown here"));
        assert!(html.contains("id=\"L500000\""));
        assert!(html.contains(">line 500000</span>"));
        assert_eq!(numbers(&html).len(), ROWS.lines);
    }

    #[test]
    fn whatever_comes_what_is_sent_is_bounded() {
        for text in [
            "\n".repeat(5 << 20),
            "x".repeat(5 << 20),
            "\u{1b}[9999Cx\n".repeat(400_000),
            "\u{1b}[7mx\u{1b}[m".repeat(400_000),
        ] {
            let mut batch = LogBatch::new(0);
            for chunk in text.as_bytes().chunks(32 << 10) {
                batch.push_chunk(chunk);
            }
            let html = batch.finish_html(&LogMarkup::default());
            assert!(html.len() < 2 << 20, "{}", html.len());
            assert!(numbers(&html).len() <= ROWS.lines + 1);
        }
    }
}
