//! As much of GitHub's Markdown as shows whether a text breaks out of its place: fenced blocks,
//! code spans, table cells, entities. Written from the specification, independently of the sinks.

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inline {
    Text(String),
    Code(String),
}

/// A fenced block, or the lines between two.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) is_code: bool,
    pub(super) text: String,
}

/// Maximum delimiter of a code span that GitHub's parser looks for.
const MAX_DELIMITER: usize = 80;
/// Maximum length of a fence that the parser remembers.
const MAX_FENCE: usize = 255;

/// The text and the code spans of one line; the leftmost delimiter that is closed wins.
pub(super) fn inlines(line: &str) -> Vec<Inline> {
    let mut all = Vec::new();
    let mut text = String::new();
    let mut rest = line;
    while let Some(character) = rest.chars().next() {
        let run = leading(rest, '`');
        if run == 0 {
            text.push(character);
            rest = &rest[character.len_utf8()..];
            continue;
        }
        let inside = &rest[run..];
        match closing(inside, run) {
            Some(end) => {
                if !text.is_empty() {
                    all.push(Inline::Text(std::mem::take(&mut text)));
                }
                all.push(Inline::Code(stripped(&inside[..end])));
                rest = &inside[end + run..];
            }
            None => {
                text.push_str(&rest[..run]);
                rest = inside;
            }
        }
    }
    if !text.is_empty() {
        all.push(Inline::Text(text));
    }
    all
}

fn leading(text: &str, character: char) -> usize {
    text.chars().take_while(|c| *c == character).count()
}

/// The position of a run of exactly `length` backticks.
fn closing(text: &str, length: usize) -> Option<usize> {
    if length > MAX_DELIMITER {
        return None;
    }
    let mut at = 0;
    while at < text.len() {
        let run = leading(&text[at..], '`');
        if run == length {
            return Some(at);
        }
        at += run.max(text[at..].chars().next().map_or(1, char::len_utf8));
    }
    None
}

/// A space at both ends is not part of the code, unless there is nothing else.
fn stripped(code: &str) -> String {
    let inner = code
        .strip_prefix(' ')
        .and_then(|code| code.strip_suffix(' '));
    match inner {
        Some(inner) if code.chars().any(|c| c != ' ') => inner.to_owned(),
        _ => code.to_owned(),
    }
}

/// The cells of a row; `\|` is a pipe within one.
pub(super) fn cells(row: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut characters = row.chars().peekable();
    while let Some(character) = characters.next() {
        let cell = cells.last_mut().expect("there is always one");
        match character {
            '\\' if characters.peek() == Some(&'|') => {
                cell.push('|');
                characters.next();
            }
            '|' => cells.push(String::new()),
            '\n' | '\r' => panic!("a row is one line: {row:?}"),
            other => cell.push(other),
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

/// The page's fenced blocks and the text between them, without blank lines there.
pub(super) fn blocks(page: &str) -> Vec<Block> {
    let mut all: Vec<Block> = Vec::new();
    let mut open: Option<(usize, char, usize)> = None;
    let page = page.replace("\r\n", "\n").replace('\r', "\n");
    for line in page.split_inclusive('\n') {
        let indent = leading(line, ' ');
        let rest = line.trim_start_matches(' ');
        let mark = rest.chars().next().unwrap_or('\n');
        let run = leading(rest, mark);
        match open {
            Some((length, character, margin)) => {
                let closes = indent < 4
                    && mark == character
                    && run >= length.min(MAX_FENCE)
                    && rest[run..].trim().is_empty();
                if closes {
                    open = None;
                } else {
                    let block = all.last_mut().expect("it was opened");
                    block.text.push_str(&line[indent.min(margin)..]);
                }
            }
            None if indent < 4
                && run >= 3
                && (mark == '~' || (mark == '`' && !rest[run..].contains('`'))) =>
            {
                open = Some((run, mark, indent));
                all.push(Block {
                    is_code: true,
                    text: String::new(),
                });
            }
            None if line.trim().is_empty() => {}
            None => match all.last_mut() {
                Some(block) if !block.is_code => block.text.push_str(line),
                _ => all.push(Block {
                    is_code: false,
                    text: line.to_owned(),
                }),
            },
        }
    }
    assert!(open.is_none(), "never closed: {page}");
    all
}

/// The text with its numeric entities decoded, and with them removed.
pub(super) fn decoded(text: &str) -> (String, String) {
    let (mut read, mut bare) = (String::new(), String::new());
    let mut rest = text;
    while let Some(at) = rest.find("&#") {
        let end = at + rest[at..].find(';').expect("an entity ends");
        let number: u32 = rest[at + 2..end].parse().expect("a number");
        for text in [&mut read, &mut bare] {
            text.push_str(&rest[..at]);
        }
        read.push(char::from_u32(number).expect("a character"));
        // A character that is no letter replaces it.
        bare.push('\u{fffc}');
        rest = &rest[end + 1..];
    }
    read.push_str(rest);
    bare.push_str(rest);
    (read, bare)
}
