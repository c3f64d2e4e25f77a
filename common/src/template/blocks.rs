//! Checks that the blocks of a template close. The parser accepts a block without its end, and an
//! end without its block, and would render the rest.

use super::GoTemplateError;

/// Maximum nesting of blocks.
const MAX_NESTING: usize = 50;
/// Maximum number of `else if` and `else with` of one block.
const MAX_CHAIN: usize = 100;

struct OpenBlock<'a> {
    word: &'a str,
    /// Byte offset of its action.
    at: usize,
    chain: usize,
    /// Whether an `else` without a condition has been seen.
    last: bool,
}

/// Checks the blocks. The parser reports an action that never closes.
pub(super) fn check_blocks(text: &str) -> Result<(), GoTemplateError> {
    let mut open: Vec<OpenBlock<'_>> = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..].find("{{").map(|found| from + found) {
        let Some(end) = action_end(text, start) else {
            return Ok(());
        };
        let action = text[start..end].trim_matches(['{', '}']);
        let action = action.strip_prefix("- ").unwrap_or(action).trim_start();
        track_action(&mut open, action, start).map_err(|message| error_at(text, start, message))?;
        from = end;
    }
    match open.last() {
        None => Ok(()),
        Some(block) => {
            let message = format!("{{{{{}}}}} has no {{{{end}}}}", block.word);
            Err(error_at(text, block.at, message))
        }
    }
}

fn track_action<'a>(
    open: &mut Vec<OpenBlock<'a>>,
    action: &'a str,
    at: usize,
) -> Result<(), String> {
    let word = first_word(action);
    match word {
        "if" | "range" | "with" | "block" | "define" => {
            if word == "define" && !open.is_empty() {
                return Err("{{define}} is inside another block".into());
            }
            if open.len() == MAX_NESTING {
                return Err(format!("blocks are nested deeper than {MAX_NESTING}"));
            }
            open.push(OpenBlock {
                word,
                at,
                chain: 0,
                last: false,
            });
        }
        "else" => {
            let block = open
                .last_mut()
                .filter(|block| matches!(block.word, "if" | "range" | "with") && !block.last)
                .ok_or("unexpected {{else}}")?;
            match first_word(action["else".len()..].trim_start()) {
                "if" | "with" => block.chain += 1,
                _ => block.last = true,
            }
            if block.chain > MAX_CHAIN {
                return Err(format!("a block has more than {MAX_CHAIN} conditions"));
            }
        }
        "end" => {
            open.pop().ok_or("unexpected {{end}}")?;
        }
        "break" | "continue" if !open.iter().any(|block| block.word == "range") => {
            return Err(format!("{{{{{word}}}}} is outside {{{{range}}}}"));
        }
        _ => {}
    }
    Ok(())
}

fn first_word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_'));
    &text[..end.unwrap_or(text.len())]
}

/// The end of the action that begins at `start`. It is not inside a literal or a comment.
fn action_end(text: &str, start: usize) -> Option<usize> {
    let body = start + 2;
    let comment = ["/*", "- /*"]
        .iter()
        .any(|opening| text[body..].starts_with(opening));
    if comment {
        let close = body + text[body..].find("*/")?;
        return Some(close + text[close..].find("}}")? + 2);
    }
    let mut quote = None;
    let mut escaped = false;
    for (offset, c) in text[body..].char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some('"' | '\'') if c == '\\' => escaped = true,
            Some(closing) if c == closing => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if text[body + offset..].starts_with("}}") => return Some(body + offset + 2),
            None => {}
        }
    }
    None
}

fn error_at(text: &str, offset: usize, message: String) -> GoTemplateError {
    let (line, column) = super::line_and_column(text, offset);
    GoTemplateError {
        line,
        column,
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_close() {
        let chain = "{{if a}}".to_owned() + &"{{else if a}}".repeat(101) + "{{end}}";
        for (text, message) in [
            ("{{if a}}x{{else if b}}y{{else}}z{{end}}", None),
            ("{{range a}}{{if b}}{{break}}{{end}}{{else}}{{end}}", None),
            (
                "{{/* {{if}} */}}{{- /* }} */ -}}{{\"{{if}}\"}}{{`\\`}}{{'\\''}}",
                None,
            ),
            ("{{iffy}}{{endless}}", None),
            ("{{- if a -}} x {{- end -}}", None),
            (
                "a\n{{if b}}",
                Some("line 2, column 1: {{if}} has no {{end}}"),
            ),
            (
                "{{if a}}{{with b}}{{end}}",
                Some("line 1, column 1: {{if}} has no {{end}}"),
            ),
            ("a{{end}}b", Some("line 1, column 2: unexpected {{end}}")),
            (
                "{{if a}}{{else}}{{else}}{{end}}",
                Some("line 1, column 17: unexpected {{else}}"),
            ),
            (
                "{{block \"a\" .}}{{else}}{{end}}",
                Some("line 1, column 16: unexpected {{else}}"),
            ),
            (
                "{{if a}}{{continue}}{{end}}",
                Some("line 1, column 9: {{continue}} is outside {{range}}"),
            ),
            (
                "{{if a}}{{define \"b\"}}{{end}}{{end}}",
                Some("line 1, column 9: {{define}} is inside another block"),
            ),
            (
                &"{{if a}}".repeat(51),
                Some("line 1, column 401: blocks are nested deeper than 50"),
            ),
            (
                &chain,
                Some("line 1, column 1309: a block has more than 100 conditions"),
            ),
        ] {
            let found = check_blocks(text).err().map(|error| error.to_string());
            assert_eq!(found.as_deref(), message, "{text}");
        }
    }
}
