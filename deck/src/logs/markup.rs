//! The HTML of log lines: one place, for pages and live views alike.

use std::fmt::Write;

/// One line; `line` is HTML already.
pub(crate) fn push_line(html: &mut String, number: u64, line: &str) {
    let _ = writeln!(
        html,
        "<div class=\"ln\" id=\"L{number}\"><a href=\"#L{number}\" tabindex=\"-1\">{number}</a><span>{line}</span></div>"
    );
}

/// In the place of `lines` that are not shown; nothing, where there are none.
pub(crate) fn push_gap(html: &mut String, lines: u64) {
    if lines == 0 {
        return;
    }
    let lines = match lines {
        1 => "1 line is".to_owned(),
        lines => format!("{lines} lines are"),
    };
    let _ = writeln!(
        html,
        "<div class=\"gap\">{lines} not shown here; the raw log has all.</div>"
    );
}

/// Before the end of a line that is too long to be shown.
pub(crate) fn push_cut(html: &mut String, number: u64) {
    let _ = writeln!(
        html,
        "<div class=\"gap\">Only the end of line {number} is shown here; the raw log has all of it.</div>"
    );
}
