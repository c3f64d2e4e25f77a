//! What a page shows of a log: its two ends, and the lines around one that was asked for.

use std::io::BufRead as _;

use futures::TryStreamExt;

use super::LogStream;
use super::markup::{self, LogMarkup};
use super::rows::{LogRows, RowBounds};
use super::window::{LogWindow, TAIL, count_newlines};
use crate::ansi::AnsiRenderer;

const HEAD_ROWS: RowBounds = RowBounds {
    lines: 1_000,
    bytes: 512 << 10,
};
const TAIL_ROWS: RowBounds = RowBounds {
    lines: 4_000,
    bytes: 2 << 20,
};
const MIDDLE_ROWS: RowBounds = RowBounds {
    lines: 1_000,
    bytes: 1 << 20,
};
/// Lines that are shown before a line that was asked for.
const LINES_BEFORE: u64 = 50;
/// Bytes shown of a last line that is longer than the tail; fewer than a line has columns.
const LINE_END: usize = 8 << 10;

#[derive(Debug, Default)]
pub(crate) struct LogExcerpt {
    /// The lines as HTML.
    pub(crate) html: String,
    /// Number of lines, shown or not; a last line without a line end counts if the log is complete.
    pub(crate) lines: u64,
    /// Bytes of the whole log.
    pub(crate) bytes: u64,
    /// The lines are not counted yet, so their numbers are not known.
    pub(crate) counting: bool,
    /// The rest of the log did not arrive in time.
    pub(crate) late: bool,
}

/// Both ends of the log as rows of the page.
pub(crate) struct ExcerptEnds {
    rows: LogRows,
    counted: bool,
}

/// Lines between the two ends.
pub(crate) struct ExcerptMiddle {
    first: u64,
    last: u64,
    html: String,
}

impl ExcerptEnds {
    /// A last line without a line end is shown only if the log is `complete`.
    pub(crate) fn from_window(window: &LogWindow, complete: bool) -> Self {
        let mut rows = LogRows::new(HEAD_ROWS, TAIL_ROWS, 0);
        let counted = window.counted;
        if window.is_whole() {
            let text = [window.head.as_slice(), &window.tail].concat();
            render_lines(&text, 1, complete, |number, line| {
                rows.push_row(number, markup::render_row(number, line));
            });
            return Self { rows, counted };
        }
        let head_end = window.head.iter().rposition(|byte| *byte == b'\n');
        let head = &window.head[..head_end.map_or(0, |at| at + 1)];
        render_lines(head, 1, false, |number, line| {
            rows.push_row(number, markup::render_row(number, line));
        });
        rows.end_head();
        let row = |number: u64, line: &str| {
            if counted {
                markup::render_row(number, line)
            } else {
                markup::render_uncounted_row(line)
            }
        };
        let tail = &window.tail[window.tail.len().saturating_sub(TAIL)..];
        let start = tail.iter().position(|byte| *byte == b'\n');
        let whole = &tail[start.map_or(tail.len(), |at| at + 1)..];
        if !whole.is_empty() {
            let first = (window.newlines + 1).saturating_sub(count_newlines(whole));
            render_lines(whole, first, complete, |number, line| {
                rows.push_row(number, row(number, line));
            });
            return Self { rows, counted };
        }
        // The last line alone is longer than the tail: show its end, which readers look for.
        let ended = tail.last() == Some(&b'\n');
        if ended || complete {
            let number = window.newlines + u64::from(!ended);
            let end = skip_partial_character(&tail[tail.len().saturating_sub(LINE_END)..]);
            render_lines(end, number, true, |number, line| {
                let cut = if counted {
                    markup::render_cut(number)
                } else {
                    String::new()
                };
                rows.push_row(number, cut + &row(number, line));
            });
        }
        Self { rows, counted }
    }

    /// The line at which to begin reading, so that `line` is shown with some lines before it.
    /// `None`: it is shown already, or does not exist.
    pub(crate) fn first_missing(&self, line: u64) -> Option<u64> {
        let (shown, next) = self.rows.gap_bounds();
        let is_between = self.counted && shown < line && next.is_some_and(|next| line < next);
        is_between.then(|| line.saturating_sub(LINES_BEFORE).max(shown + 1))
    }

    /// The first line of the tail; the largest number if no lines are left out.
    fn next_line(&self) -> u64 {
        self.rows.gap_bounds().1.unwrap_or(u64::MAX)
    }

    /// Joins the head, the middle and the tail, with a note for each gap.
    pub(crate) fn into_html(self, middle: Option<ExcerptMiddle>, markup: &LogMarkup) -> String {
        if !self.counted {
            let (mut html, last) = self.rows.into_parts();
            html.push_str(if last.is_empty() {
                markup::COMING_GAP
            } else {
                markup::UNCOUNTED_GAP
            });
            return html + &last;
        }
        let (shown, next) = self.rows.gap_bounds();
        let (Some(middle), Some(next)) = (middle, next) else {
            return self.rows.into_html(markup);
        };
        let (mut html, last) = self.rows.into_parts();
        markup.push_gap(&mut html, shown + 1, middle.first);
        html.push_str(&middle.html);
        markup.push_gap(&mut html, middle.last + 1, next);
        html + &last
    }
}

impl ExcerptMiddle {
    /// Reads the lines from `first` on, up to the tail that is shown. `before` is the number of
    /// lines that end before the first byte of `log`.
    pub(crate) async fn read_lines(
        mut log: LogStream,
        before: u64,
        first: u64,
        ends: &ExcerptEnds,
    ) -> anyhow::Result<Option<Self>> {
        let mut to_skip = first - 1 - before;
        let mut terminal = AnsiRenderer::starting_at(first);
        let mut rows = LogRows::new(MIDDLE_ROWS, RowBounds::NOTHING, first - 1);
        let mut is_full = false;
        while let Some(chunk) = log.try_next().await? {
            let rest = skip_lines(&chunk, &mut to_skip);
            terminal.render_bytes(rest, &mut |number, line| {
                is_full |= number >= ends.next_line();
                if !is_full {
                    rows.push_row(number, markup::render_row(number, line));
                    is_full = rows.gap_bounds().0 != number;
                }
            });
            if is_full {
                break;
            }
        }
        let (last, _) = rows.gap_bounds();
        let (html, _) = rows.into_parts();
        let middle = Self { first, last, html };
        Ok((last >= first).then_some(middle))
    }
}

impl LogExcerpt {
    pub(crate) fn from_window(window: &LogWindow, complete: bool, html: String) -> Self {
        let all = [window.head.as_slice(), &window.tail];
        let end = all.iter().rev().find_map(|part| part.last());
        let unended = complete && end.is_some_and(|last| *last != b'\n');
        Self {
            html,
            lines: window.newlines + u64::from(unended),
            bytes: window.bytes,
            counting: !window.counted,
            late: false,
        }
    }
}

/// The chunk without its first `to_skip` lines; reduces `to_skip` by the lines left out.
pub(super) fn skip_lines<'a>(chunk: &'a [u8], to_skip: &mut u64) -> &'a [u8] {
    let inside = count_newlines(chunk);
    if *to_skip > inside {
        *to_skip -= inside;
        return &[];
    }
    let mut rest = chunk;
    while *to_skip > 0 && matches!(rest.skip_until(b'\n'), Ok(1..)) {
        *to_skip -= 1;
    }
    rest
}

/// The text without the rest of a character that was cut.
pub(super) fn skip_partial_character(text: &[u8]) -> &[u8] {
    let rest = text.iter().take(3).take_while(|byte| **byte & 0xC0 == 0x80);
    &text[rest.count()..]
}

fn render_lines(text: &[u8], first: u64, complete: bool, mut sink: impl FnMut(u64, &str)) {
    let mut terminal = AnsiRenderer::starting_at(first);
    terminal.render_bytes(text, &mut sink);
    if complete {
        terminal.finish_log(&mut sink);
    }
}

#[cfg(test)]
mod tests;
