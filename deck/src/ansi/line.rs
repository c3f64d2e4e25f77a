//! One line of a terminal: its cells, its cursor, and the HTML made of them.

use std::fmt::Write;

use super::style::TextStyle;

/// Columns of a line that are kept; characters beyond them are counted.
pub(super) const MAX_COLUMNS: usize = 10_000;
/// Width of the terminal: a sequence moves the cursor no further. Otherwise a few bytes of a log
/// could become thousands of blanks on a page.
pub(super) const TERMINAL_WIDTH: usize = 400;

#[derive(Debug, Default)]
pub(super) struct LineBuffer {
    cells: Vec<(char, TextStyle)>,
    cursor: usize,
    /// Characters written past [`MAX_COLUMNS`].
    dropped: usize,
    /// Number of cells at the beginning that are known to be blank.
    blank: usize,
}

impl LineBuffer {
    pub(super) fn put_char(&mut self, character: char, style: TextStyle) {
        if self.cursor >= MAX_COLUMNS {
            self.dropped += 1;
            return;
        }
        if self.cursor < self.cells.len() {
            self.cells[self.cursor] = (character, style);
        } else {
            self.cells.resize(self.cursor, (' ', TextStyle::default()));
            self.cells.push((character, style));
        }
        self.blank = self.blank.min(self.cursor);
        self.cursor += 1;
    }

    pub(super) fn carriage_return(&mut self) {
        self.cursor = 0;
    }

    pub(super) fn move_back(&mut self, columns: usize) {
        self.cursor = self.cursor.saturating_sub(columns);
    }

    pub(super) fn move_forward(&mut self, columns: usize) {
        self.move_to_column(self.cursor.saturating_add(columns));
    }

    pub(super) fn move_to_column(&mut self, column: usize) {
        // Beyond the width only text moves the cursor.
        self.cursor = column.min(TERMINAL_WIDTH.max(self.cursor));
    }

    /// Erases the line: 0 from the cursor on, 1 up to the cursor, 2 all of it.
    pub(super) fn erase_line(&mut self, what: usize) {
        let end = self.cells.len();
        match what {
            0 => self.cells.truncate(self.cursor),
            1 => {
                let to = end.min(self.cursor + 1);
                if let Some(written) = self.cells.get_mut(self.blank..to) {
                    written.fill((' ', TextStyle::default()));
                    self.blank = to;
                }
            }
            2 => self.cells.clear(),
            _ => {}
        }
    }

    /// Returns the line as HTML and empties the buffer.
    pub(super) fn take_html(&mut self) -> String {
        let mut html = String::with_capacity(self.cells.len() + 16);
        for run in self.cells.chunk_by(|left, right| left.1 == right.1) {
            let classes = run[0].1.css_classes();
            if !classes.is_empty() {
                let _ = write!(html, "<span class=\"{classes}\">");
            }
            for (character, _) in run {
                push_escaped(&mut html, *character);
            }
            if !classes.is_empty() {
                html.push_str("</span>");
            }
        }
        if self.dropped > 0 {
            let _ = write!(html, "<i>… {} more characters</i>", self.dropped);
        }
        *self = Self::default();
        html
    }
}

fn push_escaped(html: &mut String, character: char) {
    match character {
        '<' => html.push_str("&lt;"),
        '>' => html.push_str("&gt;"),
        '&' => html.push_str("&amp;"),
        '"' => html.push_str("&quot;"),
        other => html.push(other),
    }
}
