//! Globs for job names, as in Go's `filepath.Match`, which Prow's badges use.

/// Maximum bytes of a pattern. A job's name has at most 63.
const MAX_PATTERN: usize = 256;

/// `*` for any characters, `?` for any one, `[a-z]` and `[^a-z]` for one of a class, `\` before a
/// character that is taken literally. A pattern matches whole names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPattern {
    text: String,
    /// `None`: the pattern is malformed, so it matches nothing, as in Prow.
    parts: Option<Vec<PatternPart>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PatternPart {
    One(char),
    Any,
    /// Never two in a row.
    Star,
    Class {
        but: bool,
        ranges: Vec<(char, char)>,
    },
}

impl JobPattern {
    /// Parses a pattern; an error says why it is refused.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_PATTERN {
            return Err(format!(
                "A job's name or pattern has at most {MAX_PATTERN} bytes."
            ));
        }
        Ok(Self {
            parts: parse_parts(text),
            text: text.to_owned(),
        })
    }

    /// The name, if the pattern can match only one.
    pub fn exact_name(&self) -> Option<&str> {
        (!self.text.contains(['*', '?', '[', '\\'])).then_some(&self.text)
    }

    /// Takes time linear in pattern and name for each `*`: only the last `*` is ever retried.
    pub fn matches_name(&self, name: &str) -> bool {
        let Some(parts) = &self.parts else {
            return false;
        };
        let (mut at, mut rest) = (0, name);
        let mut star: Option<(usize, &str)> = None;
        while let Some(next) = rest.chars().next() {
            match (parts.get(at), star) {
                (Some(PatternPart::Star), _) => {
                    at += 1;
                    star = Some((at, rest));
                }
                (Some(part), _) if part.matches_char(next) => {
                    at += 1;
                    rest = &rest[next.len_utf8()..];
                }
                (_, Some((after, from))) => {
                    let from = &from[from.chars().next().map_or(0, char::len_utf8)..];
                    star = Some((after, from));
                    (at, rest) = (after, from);
                }
                (_, None) => return false,
            }
        }
        parts[at..].iter().all(|part| *part == PatternPart::Star)
    }
}

impl PatternPart {
    /// Whether the part matches this one character.
    fn matches_char(&self, character: char) -> bool {
        match self {
            Self::One(own) => *own == character,
            Self::Any => true,
            Self::Star => false,
            Self::Class { but, ranges } => {
                let is_in = |(low, high): &(char, char)| (*low..=*high).contains(&character);
                ranges.iter().any(is_in) != *but
            }
        }
    }
}

/// `None`: a class or an escape is incomplete.
fn parse_parts(text: &str) -> Option<Vec<PatternPart>> {
    let mut rest = text.chars();
    let mut parts = Vec::new();
    while let Some(next) = rest.next() {
        let part = match next {
            '*' if parts.last() == Some(&PatternPart::Star) => continue,
            '*' => PatternPart::Star,
            '?' => PatternPart::Any,
            '[' => parse_class(&mut rest)?,
            '\\' => PatternPart::One(rest.next()?),
            other => PatternPart::One(other),
        };
        parts.push(part);
    }
    Some(parts)
}

/// Parses the rest of a class after its `[`: at least one character or range, then `]`.
fn parse_class(rest: &mut std::str::Chars<'_>) -> Option<PatternPart> {
    let but = rest.as_str().starts_with('^');
    if but {
        rest.next();
    }
    let mut ranges = Vec::new();
    while ranges.is_empty() || !rest.as_str().starts_with(']') {
        let low = parse_class_char(rest)?;
        let high = if rest.as_str().starts_with('-') {
            rest.next();
            parse_class_char(rest)?
        } else {
            low
        };
        ranges.push((low, high));
    }
    rest.next();
    Some(PatternPart::Class { but, ranges })
}

/// Parses a character of a class; `-` and `]` only after `\`.
fn parse_class_char(rest: &mut std::str::Chars<'_>) -> Option<char> {
    match rest.next()? {
        '-' | ']' => None,
        '\\' => rest.next(),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        JobPattern::parse(pattern).unwrap().matches_name(name)
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("unit", "unit", true),
            ("unit", "unit-2", false),
            ("pull-*-unit", "pull-kube-unit", true),
            ("pull-*-unit", "pull-kube-unit-2", false),
            ("*unit*", "x-unit-y", true),
            ("*", "", true),
            ("", "x", false),
            ("a*b*c", "a-b-b-c", true),
            ("v?", "v1", true),
            ("v?", "v", false),
            ("*ab", "aab", true),
            ("***u***t***", "unit", true),
            ("?", "ä", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn classes_are_those_of_prow() {
        for (pattern, name, expected) in [
            ("v[0-9]", "v1", true),
            ("v[0-9]", "va", false),
            ("v[^0-9]", "va", true),
            ("v[^0-9]", "v1", false),
            ("[ab]x", "bx", true),
            ("[a-cx-z]*", "yes", true),
            ("[a-cx-z]*", "no", false),
            ("[\\]a]", "]", true),
            ("[\\-]", "-", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("release-1.[2-3][0-9]-*", "release-1.31-e2e", true),
            // Patterns that Prow cannot parse match nothing.
            ("[", "[", false),
            ("[a", "a", false),
            ("[]a]", "a", false),
            ("[a-]", "a", false),
            ("[-x]", "x", false),
            ("a\\", "a", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn only_what_is_no_pattern_is_one_name() {
        for (pattern, expected) in [
            ("unit", Some("unit")),
            ("un*", None),
            ("un[i]t", None),
            ("un\\it", None),
        ] {
            assert_eq!(JobPattern::parse(pattern).unwrap().exact_name(), expected);
        }
    }

    #[test]
    fn stars_cost_nothing() {
        let stars = "*a".repeat(MAX_PATTERN / 2);
        let pattern = JobPattern::parse(&stars).unwrap();
        assert!(!pattern.matches_name(&"a".repeat(63)));
        assert_eq!(
            JobPattern::parse(&"*".repeat(MAX_PATTERN)).unwrap().parts,
            Some(vec![PatternPart::Star])
        );
        assert!(JobPattern::parse(&"*".repeat(MAX_PATTERN + 1)).is_err());
    }
}
