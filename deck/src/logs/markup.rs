//! The HTML of log lines: one place, for pages and live views alike.

use std::fmt::Write;

/// One line; `line` is HTML already.
pub(crate) fn push_line(html: &mut String, number: u64, line: &str) {
    let _ = writeln!(
        html,
        "<div class=\"ln\" id=\"L{number}\"><a href=\"#L{number}\" tabindex=\"-1\">{number}</a><span>{line}</span></div>"
    );
}

/// In the place of `lines` that are not shown.
pub(crate) fn push_gap(html: &mut String, lines: u64) {
    let _ = writeln!(
        html,
        "<div class=\"gap\">{lines} lines are not shown here; the raw log has them.</div>"
    );
}
