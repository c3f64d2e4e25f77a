//! The HTML of log lines, the same for pages and live views.

use std::fmt::Write;

/// The page that the lines are for.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogMarkup {
    /// The page's query up to a line's number: that page shows the line with the lines around it.
    pub(crate) to_line: String,
}

impl LogMarkup {
    /// Appends a note instead of the lines from `first` up to, but without, `next`; nothing if
    /// there are no such lines.
    pub(crate) fn push_gap(&self, html: &mut String, first: u64, next: u64) {
        let says = match next.saturating_sub(first) {
            0 => return,
            1 => "1 line is not shown here".to_owned(),
            lines => format!("{lines} lines are not shown here"),
        };
        let _ = writeln!(
            html,
            "<div class=\"gap\" data-first=\"{first}\">{says}. <a href=\"{}{first}#L{first}\">Go on from line {first}</a></div>",
            self.to_line
        );
    }
}

/// The row of one line; `line` is HTML already.
pub(crate) fn render_row(number: u64, line: &str) -> String {
    format!(
        "<div class=\"ln\" id=\"L{number}\"><a href=\"#L{number}\" tabindex=\"-1\">{number}</a><span>{line}</span></div>\n"
    )
}

/// The row of a line whose number is not known yet.
pub(crate) fn render_uncounted_row(line: &str) -> String {
    format!("<div class=\"ln\"><a></a><span>{line}</span></div>\n")
}

/// Shown instead of lines that are still being counted.
pub(crate) const UNCOUNTED_GAP: &str =
    "<div class=\"gap\">The lines between are being counted; below is the end of the log.</div>\n";

/// Shown instead of the end of a log that is still being read.
pub(crate) const COMING_GAP: &str = "<div class=\"gap\">The rest of the log is being read. Load the page again in a moment, or take the raw log.</div>\n";

/// Shown before the end of a line that is too long to be shown.
pub(crate) fn render_cut(number: u64) -> String {
    format!(
        "<div class=\"gap\">Only the end of line {number} is shown here; the raw log has all of it.</div>\n"
    )
}
