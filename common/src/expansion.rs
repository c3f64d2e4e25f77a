//! Expands `$(NAME)` in a container's variables, command and args, as the kubelet does.
//!
//! A variable's value is expanded with the variables defined before it, command and args with
//! all of them. An unknown name stays as it is, and `$$` stands for one `$`. Source:
//! `third_party/forked/golang/expansion` of k8s.io/kubernetes.

use std::borrow::Cow;

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpansionPart<'a> {
    /// Literal text.
    Text(&'a str),
    /// `$$`.
    Dollar,
    /// `$(NAME)`.
    Reference(&'a str),
}

/// The parts of `text` in their order.
pub fn split_parts(text: &str) -> impl Iterator<Item = ExpansionPart<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (part, length) = take_first_part(rest)?;
        rest = &rest[length..];
        Some(part)
    })
}

/// The first part and its length in bytes.
fn take_first_part(text: &str) -> Option<(ExpansionPart<'_>, usize)> {
    let Some(tail) = text.strip_prefix('$') else {
        let length = text.find('$').unwrap_or(text.len());
        return (length > 0).then(|| (ExpansionPart::Text(&text[..length]), length));
    };
    if tail.starts_with('$') {
        return Some((ExpansionPart::Dollar, 2));
    }
    let name = tail.strip_prefix('(').and_then(|name| name.split_once(')'));
    match name {
        Some((name, _)) => Some((ExpansionPart::Reference(name), name.len() + 3)),
        None => Some((ExpansionPart::Text("$"), 1)),
    }
}

/// Replaces every name that `value_of` knows by its value, which is not expanded again.
pub fn expand_variables<V: AsRef<str>>(text: &str, value_of: impl Fn(&str) -> Option<V>) -> String {
    let mut out = String::with_capacity(text.len());
    for part in split_parts(text) {
        match part {
            ExpansionPart::Text(text) => out.push_str(text),
            ExpansionPart::Dollar => out.push('$'),
            ExpansionPart::Reference(name) => match value_of(name) {
                Some(value) => out.push_str(value.as_ref()),
                None => out.extend(["$(", name, ")"]),
            },
        }
    }
    out
}

/// The text that expands to `text`, whichever names are known.
#[must_use]
pub fn escape_literal(text: &str) -> Cow<'_, str> {
    escape_literal_among(text, |_| true)
}

/// As [`escape_literal`], if only names that `may_be_known` accepts can have a value.
#[must_use]
pub fn escape_literal_among(text: &str, may_be_known: impl Fn(&str) -> bool) -> Cow<'_, str> {
    let changes = split_parts(text).any(|part| match part {
        ExpansionPart::Text(_) => false,
        ExpansionPart::Dollar => true,
        ExpansionPart::Reference(name) => may_be_known(name),
    });
    if changes || splits_a_character(text) {
        Cow::Owned(text.replace('$', "$$"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether a `$` precedes a character of several bytes. The kubelet takes the next byte for a whole
/// character, which breaks such a character.
fn splits_a_character(text: &str) -> bool {
    text.as_bytes()
        .windows(2)
        .any(|pair| pair[0] == b'$' && !pair[1].is_ascii())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn known(name: &str) -> Option<&'static str> {
        match name {
            "A" => Some("1"),
            "B" => Some("$(A)"),
            _ => None,
        }
    }

    #[test]
    fn references_expand_as_in_kubernetes() {
        for (text, expected) in [
            ("plain", "plain"),
            ("$(A)-$(A)", "1-1"),
            (
                "a value is not expanded again: $(B)",
                "a value is not expanded again: $(A)",
            ),
            ("$(UNKNOWN) $(A", "$(UNKNOWN) $(A"),
            ("$(echo $(A))", "$(echo $(A))"),
            ("$$(A) $$ $A", "$(A) $ $A"),
            ("$$$(A)", "$1"),
            ("$", "$"),
            ("", ""),
        ] {
            assert_eq!(expand_variables(text, known), expected, "{text}");
        }
    }

    #[test]
    fn only_what_would_change_is_written_otherwise() {
        for (text, expected) in [
            ("costs $5, $HOME, $(A", "costs $5, $HOME, $(A"),
            ("$(A) $B", "$$(A) $$B"),
            ("a$$", "a$$$$"),
            ("$\u{20ac}", "$$\u{20ac}"),
        ] {
            assert_eq!(escape_literal(text), expected, "{text}");
        }
        assert_eq!(
            escape_literal_among("$(date)", |name| name == "A"),
            "$(date)"
        );
    }

    proptest! {
        #[test]
        fn a_literal_arrives_as_it_is(text in r"([$()A-C]|.){0,12}") {
            prop_assert_eq!(expand_variables(&escape_literal(&text), |_| Some("known")), text.clone());
            let among = escape_literal_among(&text, |name| known(name).is_some());
            prop_assert_eq!(expand_variables(&among, known), text);
        }
    }
}
