//! Patterns that need no automaton: branch names and path prefixes, which are most patterns of
//! real configurations. Compiling one takes a thousand times as long as comparing.

/// A pattern of letters, digits, `/`, `_`, `-`, escaped punctuation and dots, and anchors.
#[derive(Debug)]
pub(super) struct PlainPattern {
    at_start: bool,
    at_end: bool,
    /// `None` matches any character but a newline.
    chars: Vec<Option<char>>,
}

impl PlainPattern {
    /// `None` if `source` contains anything else.
    pub(super) fn parse_plain(source: &str) -> Option<Self> {
        let at_start = source.starts_with('^');
        let body = source.strip_prefix('^').unwrap_or(source);
        let at_end = body.ends_with('$') && !body.ends_with(r"\$");
        let body = if at_end {
            &body[..body.len() - 1]
        } else {
            body
        };
        let mut chars = Vec::with_capacity(body.len());
        let mut rest = body.chars();
        while let Some(c) = rest.next() {
            chars.push(match c {
                '.' => None,
                '\\' => Some(rest.next().filter(char::is_ascii_punctuation)?),
                '/' | '_' | '-' => Some(c),
                c if c.is_ascii_alphanumeric() => Some(c),
                _ => return None,
            });
        }
        Some(Self {
            at_start,
            at_end,
            chars,
        })
    }

    pub(super) fn is_match(&self, text: &str) -> bool {
        let ends = |rest: &str| !self.at_end || rest.is_empty();
        let here = |text: &str| self.strip_match(text).is_some_and(ends);
        if self.at_start {
            return here(text);
        }
        text.char_indices().any(|(start, _)| here(&text[start..])) || here("")
    }

    /// The rest of `text` after a match at its beginning.
    fn strip_match<'a>(&self, text: &'a str) -> Option<&'a str> {
        let mut rest = text.chars();
        for wanted in &self.chars {
            let found = rest.next()?;
            if wanted.map_or(found == '\n', |wanted| wanted != found) {
                return None;
            }
        }
        Some(rest.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_no_automaton_is_plain() {
        for (source, plain) in [
            ("main", true),
            ("^release-1.32$", true),
            (r"^docs/a\.b\$", true),
            ("", true),
            ("a+", false),
            ("a|b", false),
            (r"\d", false),
            ("[a]", false),
            ("é", false),
            ("a$b", false),
            (r"a\\$", false),
        ] {
            assert_eq!(
                PlainPattern::parse_plain(source).is_some(),
                plain,
                "{source}"
            );
        }
    }

    #[test]
    fn a_plain_pattern_is_searched_for() {
        for (source, text, found) in [
            ("main", "my-main-thing", true),
            ("^main", "my-main", false),
            ("main$", "my-main", true),
            ("^main$", "main", true),
            ("1.2", "x1é2", true),
            ("1.2", "1\n2", false),
            (r"1\.2", "1x2", false),
            ("", "", true),
            ("^$", "x", false),
            ("$", "x", true),
        ] {
            let plain = PlainPattern::parse_plain(source).unwrap();
            assert_eq!(plain.is_match(text), found, "{source} {text}");
        }
    }
}
