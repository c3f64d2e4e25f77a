//! Translates regular expressions from Go's syntax to Rust's, under Go's rules.
//!
//! Errors are Go's messages. Only whether a text matches is preserved: groups do not capture and
//! every repetition is greedy. [`RegexpTranslator::translate_class`] translates brackets,
//! [`RegexpTranslator::translate_escape`] what follows a backslash.

mod class;
mod escape;
mod unicode;

/// A pattern in Rust's syntax.
#[derive(Debug)]
pub(super) struct TranslatedRegexp {
    pub(super) text: String,
    /// Roughly the states of the compiled automaton.
    pub(super) cost: usize,
}

/// Depth of groups. Go allows 1000 levels of its tree, the `regex` crate 250; a group has up to 4.
const MAX_DEPTH: usize = 50;
/// The largest number in `{n,m}`, and the largest product of nested ones.
const MAX_REPEAT: u32 = 1000;
const INVALID_PERL_SYNTAX: &str = "invalid or unsupported Perl syntax";

/// Translates `source`. The error says what is wrong, without naming the pattern.
pub(super) fn translate_regexp(source: &str) -> Result<TranslatedRegexp, String> {
    let mut reader = RegexpTranslator {
        rest: source,
        out: String::with_capacity(source.len() + 16),
        atom: None,
        groups: Vec::new(),
        size: RegexpCost::default(),
        last_repeat: None,
    };
    while !reader.rest.is_empty() {
        reader.translate_element()?;
    }
    if !reader.groups.is_empty() {
        return Err("missing closing )".into());
    }
    Ok(TranslatedRegexp {
        text: reader.out,
        cost: reader.size.cost,
    })
}

struct RegexpTranslator<'a> {
    rest: &'a str,
    out: String,
    /// What a repetition would apply to; `None` at the beginning of a group or an alternative.
    atom: Option<RegexpAtom>,
    groups: Vec<OpenGroup>,
    /// Cost of what was read in the innermost open group.
    size: RegexpCost,
    /// Directly after a repetition, the text from that repetition on.
    last_repeat: Option<&'a str>,
}

struct RegexpAtom {
    /// Its end in the output.
    end: usize,
    size: RegexpCost,
}

struct OpenGroup {
    /// Cost of what precedes the group in the group around it.
    before: RegexpCost,
}

#[derive(Clone, Copy)]
struct RegexpCost {
    cost: usize,
    /// The largest product of nested counted repetitions.
    repeats: u32,
}

impl Default for RegexpCost {
    fn default() -> Self {
        Self {
            cost: 0,
            repeats: 1,
        }
    }
}

impl RegexpCost {
    fn from_states(cost: usize) -> Self {
        Self { cost, repeats: 1 }
    }

    fn add_cost(&mut self, other: Self) {
        self.cost = self.cost.saturating_add(other.cost);
        self.repeats = self.repeats.max(other.repeats);
    }
}

/// `{min,max}`; without `max` there is no upper bound.
struct CountedRepeat<'a> {
    min: u32,
    max: Option<u32>,
    after: &'a str,
}

impl<'a> RegexpTranslator<'a> {
    /// Translates one element.
    fn translate_element(&mut self) -> Result<(), String> {
        let before = self.rest;
        let first = before.chars().next().expect("called before the end");
        let mut repeated = None;
        match first {
            '(' => self.translate_open()?,
            ')' => self.close_group()?,
            '|' => {
                self.skip_bytes(1);
                self.out.push('|');
                self.atom = None;
            }
            '^' | '$' => {
                self.skip_bytes(1);
                self.push_atom(first.encode_utf8(&mut [0; 4]), 1);
            }
            '.' => {
                self.skip_bytes(1);
                self.push_atom(".", 16);
            }
            '[' => self.translate_class()?,
            '\\' => self.translate_escape()?,
            '*' | '+' | '?' => {
                self.skip_bytes(1);
                self.apply_repeat(before, &before[..1], None)?;
                repeated = Some(before);
            }
            '{' => match parse_counted_repeat(before) {
                Some(count) => {
                    self.rest = count.after;
                    let operator = text_before(before, self.rest);
                    let CountedRepeat { min, max, .. } = count;
                    if min > MAX_REPEAT || max.is_some_and(|max| max > MAX_REPEAT || max < min) {
                        return Err(format!("invalid repeat count: `{operator}`"));
                    }
                    self.apply_repeat(before, operator, Some((min, max)))?;
                    repeated = Some(before);
                }
                None => {
                    self.skip_bytes(1);
                    self.push_literal('{');
                }
            },
            literal => {
                self.skip_bytes(literal.len_utf8());
                self.push_literal(literal);
            }
        }
        self.last_repeat = repeated;
        Ok(())
    }

    fn skip_bytes(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    /// Writes one element that a repetition may follow.
    fn push_atom(&mut self, text: &str, cost: usize) {
        self.out.push_str(text);
        self.mark_atom(RegexpCost::from_states(cost));
    }

    fn mark_atom(&mut self, size: RegexpCost) {
        self.size.add_cost(size);
        self.atom = Some(RegexpAtom {
            end: self.out.len(),
            size,
        });
    }

    fn push_literal(&mut self, c: char) {
        let text = regex::escape(c.encode_utf8(&mut [0; 4]));
        self.push_atom(&text, if c.is_ascii() { 1 } else { 4 });
    }

    /// `before` is the text from the operator on; a lazy `?` after it makes no difference.
    fn apply_repeat(
        &mut self,
        before: &'a str,
        operator: &str,
        count: Option<(u32, Option<u32>)>,
    ) -> Result<(), String> {
        self.rest = self.rest.strip_prefix('?').unwrap_or(self.rest);
        if let Some(last) = self.last_repeat {
            let both = text_before(last, self.rest);
            return Err(format!("invalid nested repetition operator: `{both}`"));
        }
        let Some(atom) = &mut self.atom else {
            let what = text_before(before, self.rest);
            return Err(format!("missing argument to repetition operator: `{what}`"));
        };
        self.out.insert_str(atom.end, operator);
        atom.end += operator.len();
        let Some((min, max)) = count else {
            return Ok(());
        };
        let times = max.unwrap_or(min).max(1);
        atom.size.repeats = match max {
            Some(0) => 1,
            _ => atom.size.repeats.saturating_mul(times),
        };
        if atom.size.repeats > MAX_REPEAT {
            let what = text_before(before, self.rest);
            return Err(format!(
                "invalid repeat count: `{what}` makes more than {MAX_REPEAT} with those inside it"
            ));
        }
        let more = atom.size.cost.saturating_mul(times as usize);
        atom.size.cost = atom.size.cost.saturating_add(more);
        self.size.add_cost(RegexpCost {
            cost: more,
            ..atom.size
        });
        Ok(())
    }

    /// `(`, `(?P<name>`, `(?<name>`, `(?flags)` and `(?flags:`.
    fn translate_open(&mut self) -> Result<(), String> {
        if let Some(named) = ["(?P<", "(?<"]
            .iter()
            .find_map(|start| self.rest.strip_prefix(start))
        {
            return self.open_named(named);
        }
        if self.rest.starts_with("(?") {
            return self.translate_flags();
        }
        self.skip_bytes(1);
        self.open_group("(?:")
    }

    fn open_group(&mut self, text: &str) -> Result<(), String> {
        if self.groups.len() == MAX_DEPTH {
            return Err(format!(
                "expression nests too deeply: at most {MAX_DEPTH} groups in each other"
            ));
        }
        self.out.push_str(text);
        let before = std::mem::take(&mut self.size);
        self.groups.push(OpenGroup { before });
        self.atom = None;
        Ok(())
    }

    fn open_named(&mut self, named: &'a str) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("invalid named capture: `{what}`"));
        if self.rest.starts_with("(?<=") || self.rest.starts_with("(?<!") {
            return Err(lookaround_error("invalid named capture", &self.rest[..4]));
        }
        let Some((name, after)) = named.split_once('>') else {
            return wrong(self.rest);
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(plain) {
            return wrong(text_before(self.rest, after));
        }
        self.rest = after;
        self.open_group("(?:")
    }

    /// Rust refuses a repeated flag, Go does not; in both, the last setting of a flag counts.
    fn translate_flags(&mut self) -> Result<(), String> {
        let (mut on, mut off) = (String::new(), String::new());
        let mut negative = false;
        let mut seen = false;
        for (index, c) in self.rest.char_indices().skip(2) {
            let list = if negative { &mut off } else { &mut on };
            match c {
                'i' | 'm' | 's' | 'U' => {
                    seen = true;
                    if c != 'U' && !list.contains(c) {
                        list.push(c);
                    }
                }
                '-' if !negative => (negative, seen) = (true, false),
                ':' | ')' if seen || !negative => {
                    self.skip_bytes(index + 1);
                    on.retain(|flag| !off.contains(flag));
                    let minus = if off.is_empty() { "" } else { "-" };
                    let flags = format!("(?{on}{minus}{off}{c}");
                    return match c {
                        ':' => self.open_group(&flags),
                        _ if on.is_empty() && off.is_empty() => Ok(()),
                        _ => {
                            self.out.push_str(&flags);
                            Ok(())
                        }
                    };
                }
                '=' | '!' if index == 2 => {
                    return Err(lookaround_error(INVALID_PERL_SYNTAX, &self.rest[..3]));
                }
                other => {
                    let text = &self.rest[..index + other.len_utf8()];
                    return Err(format!("{INVALID_PERL_SYNTAX}: `{text}`"));
                }
            }
        }
        Err(format!("{INVALID_PERL_SYNTAX}: `{}`", self.rest))
    }

    fn close_group(&mut self) -> Result<(), String> {
        let Some(group) = self.groups.pop() else {
            return Err("unexpected )".into());
        };
        self.skip_bytes(1);
        self.out.push(')');
        let inner = std::mem::replace(&mut self.size, group.before);
        self.mark_atom(inner);
        Ok(())
    }
}

fn lookaround_error(kind: &str, text: &str) -> String {
    format!("{kind}: `{text}`: there is no looking ahead or behind")
}

/// The part of `text` before its end `rest`.
fn text_before<'a>(text: &'a str, rest: &str) -> &'a str {
    &text[..text.len() - rest.len()]
}

/// `{2}`, `{2,}` or `{2,3}`; anything else is no repetition.
fn parse_counted_repeat(text: &str) -> Option<CountedRepeat<'_>> {
    let (min, rest) = parse_number(text.strip_prefix('{')?)?;
    let (max, rest) = match rest.strip_prefix(',') {
        None => (Some(min), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => {
            let (max, rest) = parse_number(rest)?;
            (Some(max), rest)
        }
    };
    let after = rest.strip_prefix('}')?;
    Some(CountedRepeat { min, max, after })
}

/// A number without leading zeros; a number that is too large becomes [`u32::MAX`].
fn parse_number(text: &str) -> Option<(u32, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    (!digits.is_empty() && !leading_zero).then(|| (digits.parse().unwrap_or(u32::MAX), rest))
}
