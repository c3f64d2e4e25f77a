//! The HTML of log lines: one place, for pages and live views alike.

use std::fmt::Write;

/// Where the page is that lines are for.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogMarkup {
    /// The page's query up to a line's number: there it is shown with what is around it.
    pub(crate) to_line: String,
}

impl LogMarkup {
    /// In the place of the lines from `first` to before `next`, that are not shown; nothing,
    /// where there are none.
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

/// One line; `line` is HTML already.
pub(crate) fn render_row(number: u64, line: &str) -> String {
    format!(
        "<div class=\"ln\" id=\"L{number}\"><a href=\"#L{number}\" tabindex=\"-1\">{number}</a><span>{line}</span></div>\n"
    )
}

/// The same of a line whose number is not known yet.
pub(crate) fn render_uncounted_row(line: &str) -> String {
    format!("<div class=\"ln\"><a></a><span>{line}</span></div>\n")
}

/// In the place of lines that are still being counted.
pub(crate) const UNCOUNTED_GAP: &str =
    "<div class=\"gap\">The lines between are being counted; below is the end of the log.</div>\n";

/// In the place of the end of a log that is still being read.
pub(crate) const COMING_GAP: &str = "<div class=\"gap\">The rest of the log is being read. Load the page again in a moment, or take the raw log.</div>\n";

/// Before the end of a line that is too long to be shown.
pub(crate) fn render_cut(number: u64) -> String {
    format!(
        "<div class=\"gap\">Only the end of line {number} is shown here; the raw log has all of it.</div>\n"
    )
}
