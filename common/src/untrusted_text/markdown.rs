//! Strangers' text in GitHub's Markdown.
//!
//! In code nothing is parsed and nobody is notified. Two limits of GitHub's own parser matter: a
//! code span has at most 80 backticks at its ends, and of a fence only 255 are remembered.

use std::fmt::Write as _;

use super::hidden::{escape_plain, push_escaped, truncate_chars};

/// Maximum characters in a code span. They contain runs of backticks of at most 62 different
/// lengths, so that one length is free for a delimiter that GitHub's parser accepts.
const MAX_CODE: usize = 2_000;
/// Maximum run of backticks that a fenced block keeps as it is.
const MAX_RUN: usize = 100;
/// An invisible character that separates what is at both sides of it.
const GAP: char = '\u{200b}';

/// One code span, on one line. Contains at most the first 2,000 characters of the text.
#[must_use]
pub fn escape_code_span(text: &str, limit: usize) -> String {
    format_code_span(&break_html_comments(&escape_plain(
        text,
        limit.min(MAX_CODE),
    )))
}

/// One code span in a row of a table. A `|` would split the row, even in code.
#[must_use]
pub fn escape_code_cell(text: &str, limit: usize) -> String {
    // A backslash before the one that escapes a pipe would escape that one instead.
    let text = escape_plain(text, limit.min(MAX_CODE)).replace("\\|", "\\ |");
    format_code_span(&break_html_comments(&text)).replace('|', "\\|")
}

/// The text without HTML comments. Prow finds its own comments by such marks, and programs look
/// for them even in code.
fn break_html_comments(text: &str) -> String {
    text.replace("<!--", &format!("<{GAP}!--"))
}

fn format_code_span(text: &str) -> String {
    if text.is_empty() {
        return "` `".to_owned();
    }
    let runs: Vec<usize> = text.split(|c| c != '`').map(str::len).collect();
    let free = (1..).find(|length| !runs.contains(length));
    let delimiter = "`".repeat(free.expect("some number is in no list"));
    let is_blank = text.bytes().all(|byte| byte == b' ');
    let touches = |c: char| c == '`' || c == ' ';
    // A parser removes one space at both ends.
    let pad = if !is_blank && (text.starts_with(touches) || text.ends_with(touches)) {
        " "
    } else {
        ""
    };
    format!("{delimiter}{pad}{text}{pad}{delimiter}")
}

/// A fenced block that no line of it closes, including its last newline.
///
/// The block is indented by one space, which is not shown. So no line begins with what a stranger
/// wrote, and bots that read comments find no command there.
#[must_use]
pub fn escape_code_block(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit));
    for character in truncate_chars(&text.replace("\r\n", "\n").replace('\r', "\n"), limit) {
        match character {
            '\n' | '\t' => shown.push(character),
            character => push_escaped(&mut shown, character),
        }
    }
    let mut shown = break_html_comments(&shown);
    let longest = |text: &str| text.split(|c| c != '`').map(str::len).max();
    if longest(&shown).is_some_and(|run| run > MAX_RUN) {
        shown = shown.replace('`', "'");
    }
    let fence = "`".repeat((longest(&shown).unwrap_or_default() + 1).max(3));
    let mut block = format!(" {fence}\n");
    for line in shown.trim_end_matches('\n').split('\n') {
        let _ = writeln!(block, " {line}");
    }
    let _ = writeln!(block, " {fence}");
    block
}

/// Plain text on one line, anywhere in Markdown: in a paragraph, at the beginning of a line, in a
/// row of a table, in a link's text or target, in an attribute of HTML, in code.
///
/// What could be read as more than text is written as an entity, which no parser takes for
/// structure. What GitHub looks for in the text itself (`@name`, `#1`, URLs) is broken by an
/// invisible character. Names like `pull-unit_test.go` stay as they are, so that they can be
/// copied and, in a table, be read back.
#[must_use]
pub fn escape_markdown(text: &str, limit: usize) -> String {
    let line = escape_plain(text, limit);
    let mut written = String::with_capacity(line.len());
    let mut before: Option<char> = None;
    let mut characters = line.trim().chars().peekable();
    while let Some(character) = characters.next() {
        let after = characters.peek().copied();
        push_text(&mut written, before, character, after);
        before = Some(character);
    }
    written
}

/// Appends one character, depending on those before and after it.
fn push_text(written: &mut String, before: Option<char>, character: char, after: Option<char>) {
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let joins = is_word(before) && is_word(after);
    let is_mark = match character {
        '_' => !joins,
        // Only at a beginning, these make a list, a heading, or a command to a bot.
        '-' | '+' | '=' | '/' | '.' | ')' => before.is_none() || ends_number(before, after),
        ':' => before.is_none() || after == Some('/'),
        '(' | ',' | ';' | '?' | '%' | '^' | '{' | '}' => false,
        character => character.is_ascii_punctuation(),
    };
    if is_mark {
        let _ = write!(written, "&#{};", u32::from(character));
    } else {
        written.push(character);
    }
    let is_looked_for = match character {
        '@' | '#' => true,
        ':' => after == Some('/'),
        '.' => ends_with_word(written, ".www"),
        '-' => ends_with_word(written, "-hg"),
        _ => false,
    };
    if is_looked_for {
        written.push(GAP);
    }
}

/// Whether a `.` or `)` here may end the number of a list's item.
fn ends_number(before: Option<char>, after: Option<char>) -> bool {
    before.is_some_and(|c| c.is_ascii_digit()) && after.is_none_or(|c| c == ' ')
}

/// Whether the last word so far is `backwards`, read backwards.
fn ends_with_word(written: &str, backwards: &str) -> bool {
    let tail: String = written.chars().rev().take(backwards.len() + 1).collect();
    let tail = tail.to_ascii_lowercase();
    let before = tail.strip_prefix(backwards);
    before.is_some_and(|before| !before.starts_with(char::is_alphanumeric))
}

/// Text in HTML, and within the quotes of an attribute. Within Markdown it must be in a block of
/// HTML and in `<code>`, where nobody is notified.
#[must_use]
pub fn escape_html(text: &str, limit: usize) -> String {
    let mut written = String::with_capacity(text.len().min(limit));
    for character in escape_plain(text, limit).chars() {
        match character {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '"' => written.push_str("&quot;"),
            '\'' => written.push_str("&#39;"),
            character => written.push(character),
        }
    }
    written
}
