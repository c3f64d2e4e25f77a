//! Translates what follows a backslash.

use super::{RegexpTranslator, text_before, unicode::is_known};

impl<'a> RegexpTranslator<'a> {
    /// Translates an escape outside of brackets.
    pub(super) fn translate_escape(&mut self) -> Result<(), String> {
        let assertion = match self.rest.chars().nth(1) {
            Some('A') => r"\A",
            Some('z') => r"\z",
            // In Go, words are ASCII words.
            Some('b') => r"(?-u:\b)",
            Some('B') => r"(?-u:\B)",
            Some('Q') => {
                self.translate_quoted();
                return Ok(());
            }
            _ => "",
        };
        if !assertion.is_empty() {
            self.skip_bytes(2);
            self.push_atom(assertion, 1);
            return Ok(());
        }
        if let Some((text, cost, rest)) = parse_class_escape(self.rest)? {
            self.rest = rest;
            self.push_atom(&text, cost);
            return Ok(());
        }
        let (code, rest) = parse_char_escape(self.rest)?;
        self.rest = rest;
        match char::from_u32(code) {
            Some(c) => self.push_literal(c),
            None => self.push_atom(MATCH_NOTHING, 1),
        }
        Ok(())
    }

    /// `\Q…\E`; without `\E` up to the end.
    fn translate_quoted(&mut self) {
        let inside = &self.rest[2..];
        let (literal, after) = inside.split_once(r"\E").unwrap_or((inside, ""));
        for c in literal.chars() {
            self.push_literal(c);
        }
        self.rest = after;
    }
}

/// Matches nothing: half of a surrogate pair occurs in no text.
pub(super) const MATCH_NOTHING: &str = r"[^\x{0}-\x{10FFFF}]";

/// A class like `\d` or `\p{Greek}`, its cost, and what follows it.
pub(super) fn parse_class_escape(text: &str) -> Result<Option<(String, usize, &str)>, String> {
    let Some(letter) = text.chars().nth(1) else {
        return Ok(None);
    };
    let inside = match letter.to_ascii_lowercase() {
        'd' => "0-9",
        's' => r"\t\n\f\r ",
        'w' => "0-9A-Za-z_",
        'p' => return parse_unicode_class(text).map(Some),
        _ => return Ok(None),
    };
    let (negation, cost) = if letter.is_ascii_uppercase() {
        ("^", 24)
    } else {
        ("", 4)
    };
    Ok(Some((format!("[{negation}{inside}]"), cost, &text[2..])))
}

/// `\pL`, `\p{Greek}`, `\p{^Greek}` and their negations with `\P`.
fn parse_unicode_class(text: &str) -> Result<(String, usize, &str), String> {
    let wrong = |what: &str| Err(format!("invalid character class range: `{what}`"));
    let after = &text[2..];
    let (name, rest) = match after.strip_prefix('{') {
        Some(inside) => match inside.split_once('}') {
            Some(split) => split,
            None => return wrong(text),
        },
        None => after.split_at(after.chars().next().map_or(0, char::len_utf8)),
    };
    let negated = text[1..].starts_with('P');
    let (name, negated) = match name.strip_prefix('^') {
        Some(name) => (name, !negated),
        None => (name, negated),
    };
    if !is_known(name) {
        return wrong(text_before(text, rest));
    }
    let letter = if negated { 'P' } else { 'p' };
    Ok((format!(r"\{letter}{{{name}}}"), 1000, rest))
}

/// An escape that stands for one character, and what follows it.
pub(super) fn parse_char_escape(text: &str) -> Result<(u32, &str), String> {
    let mut chars = text[1..].chars();
    let Some(c) = chars.next() else {
        return Err("trailing backslash at end of expression".into());
    };
    let rest = chars.as_str();
    let simple = match c {
        'a' => '\x07',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        'x' => return parse_hex_escape(text),
        '0'..='7' if c == '0' || rest.starts_with(|next| ('0'..='7').contains(&next)) => {
            let digits = rest
                .bytes()
                .take(2)
                .take_while(|b| (b'0'..=b'7').contains(b));
            let end = 2 + digits.count();
            let code = u32::from_str_radix(&text[1..end], 8).expect("octal digits");
            return Ok((code, &text[end..]));
        }
        '1'..='9' => {
            return Err(format!(
                "invalid escape sequence: `\\{c}`: there are no references to groups"
            ));
        }
        'Z' => return Err(r"invalid escape sequence: `\Z`: the end of the text is \z".into()),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => c,
        c => return Err(format!("invalid escape sequence: `\\{c}`")),
    };
    Ok((simple.into(), rest))
}

/// `\x7f` or `\x{10FFFF}`.
fn parse_hex_escape(text: &str) -> Result<(u32, &str), String> {
    let inside = &text[2..];
    let (digits, rest) = match inside.strip_prefix('{') {
        Some(braced) => braced.split_once('}').unwrap_or(("", "")),
        None => inside.split_at_checked(2).unwrap_or(("", "")),
    };
    let hexadecimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let significant = digits.trim_start_matches('0');
    match u32::from_str_radix(significant, 16) {
        Ok(code) if code <= u32::from(char::MAX) => Ok((code, rest)),
        _ if hexadecimal && significant.is_empty() => Ok((0, rest)),
        _ => {
            let shown: String = text.chars().take(4).collect();
            Err(format!(
                "invalid escape sequence: `{shown}`: expected \\x7f or \\x{{10FFFF}}"
            ))
        }
    }
}
