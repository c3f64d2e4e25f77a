//! The lines of a log that a page has: a bounded part of the beginning and of the end.
//!
//! Bounded in lines and in bytes of HTML, whatever the log contains: an empty line is one byte of a
//! log and a hundred bytes of a page.

use std::collections::VecDeque;

use super::markup::LogMarkup;

/// Bounds of one of the two ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowBounds {
    pub(crate) lines: usize,
    pub(crate) bytes: usize,
}

impl RowBounds {
    pub(crate) const NOTHING: Self = Self { lines: 0, bytes: 0 };
}

#[derive(Debug)]
pub(crate) struct LogRows {
    head: RowBounds,
    tail: RowBounds,
    first: String,
    first_lines: usize,
    /// No more rows are added to the head.
    head_ended: bool,
    last: VecDeque<(u64, String)>,
    last_bytes: usize,
    /// Number of the last line of the head.
    shown: u64,
}

impl LogRows {
    /// `after` is the number of the last line that the page has already.
    pub(crate) fn new(head: RowBounds, tail: RowBounds, after: u64) -> Self {
        Self {
            head,
            tail,
            first: String::new(),
            first_lines: 0,
            head_ended: false,
            last: VecDeque::new(),
            last_bytes: 0,
            shown: after,
        }
    }

    /// Adds the next line; `row` is HTML.
    pub(crate) fn push_row(&mut self, number: u64, row: String) {
        let fits =
            self.first_lines < self.head.lines && self.first.len() + row.len() <= self.head.bytes;
        if fits && !self.head_ended {
            self.first.push_str(&row);
            self.first_lines += 1;
            self.shown = number;
            return;
        }
        self.head_ended = true;
        self.last_bytes += row.len();
        self.last.push_back((number, row));
        while self.last.len() > self.tail.lines
            || (self.last_bytes > self.tail.bytes && self.last.len() > 1)
        {
            let gone = self.last.pop_front();
            self.last_bytes -= gone.map_or(0, |(_, row)| row.len());
        }
    }

    /// The next rows belong to the tail.
    pub(crate) fn end_head(&mut self) {
        self.head_ended = true;
    }

    /// The numbers of the last line of the head and of the first line of the tail.
    pub(crate) fn gap_bounds(&self) -> (u64, Option<u64>) {
        (self.shown, self.last.front().map(|(number, _)| *number))
    }

    /// The HTML of the head and of the tail.
    pub(crate) fn into_parts(self) -> (String, String) {
        let last = self.last.into_iter().map(|(_, row)| row).collect();
        (self.first, last)
    }

    /// Both as one, with a note about the lines between them.
    pub(crate) fn into_html(self, markup: &LogMarkup) -> String {
        let (shown, next) = self.gap_bounds();
        let (mut html, last) = self.into_parts();
        if let Some(next) = next {
            markup.push_gap(&mut html, shown + 1, next);
        }
        html + &last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: RowBounds = RowBounds {
        lines: 2,
        bytes: 100,
    };

    fn html(head: RowBounds, tail: RowBounds, rows: &[&str]) -> String {
        let mut all = LogRows::new(head, tail, 0);
        for (number, row) in (1..).zip(rows) {
            all.push_row(number, format!("{row};"));
        }
        let markup = LogMarkup::default();
        all.into_html(&markup)
    }

    #[test]
    fn both_ends_are_bounded_in_lines() {
        let few = html(BOUNDS, BOUNDS, &["a", "b", "c", "d"]);
        assert_eq!(few, "a;b;c;d;");
        let many = html(BOUNDS, BOUNDS, &["a", "b", "c", "d", "e"]);
        assert!(many.starts_with("a;b;<div class=\"gap\""), "{many}");
        assert!(many.contains("1 line is not shown"), "{many}");
        assert!(many.ends_with("d;e;"), "{many}");
        let none = html(RowBounds::NOTHING, BOUNDS, &["a", "b", "c"]);
        assert!(none.contains("1 line is not shown") && none.ends_with("b;c;"));
    }

    #[test]
    fn and_in_bytes() {
        let wide = "x".repeat(60);
        let many = html(BOUNDS, BOUNDS, &[&wide, &wide, &wide, "end"]);
        assert!(many.contains("1 line is not shown"), "{many}");
        assert!(many.ends_with("end;"), "{many}");
        // Readers look for the end, however long it is.
        let only = "x".repeat(500);
        assert!(html(BOUNDS, BOUNDS, &["a", "b", "c", &only]).ends_with(&format!("{only};")));
    }
}
