//! Finds secrets within a text that people wrote: an argument, a shell command, a URL.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::secret_names::is_secret;

/// `scheme://user:password@`
static URL: LazyLock<Regex> =
    LazyLock::new(|| compile_pattern(r#"(?i)\b([a-z][a-z0-9+.-]*)://([^\s/?#"'<>]*)@"#));
/// `NAME=`, `--name=`, `?name=`
static ASSIGNED: LazyLock<Regex> = LazyLock::new(|| compile_pattern(r"([A-Za-z0-9_.-]+)="));
/// `--name `
static FLAG: LazyLock<Regex> =
    LazyLock::new(|| compile_pattern(r"(?:^|\s)(--?[A-Za-z][A-Za-z0-9_.-]*)[ \t]+"));
/// `Authorization: `
static HEADER: LazyLock<Regex> = LazyLock::new(|| {
    compile_pattern(
        r"(?i)\b(?:(?:proxy-)?authorization|(?:set-)?cookie|private-token|job-token|x-[a-z-]*(?:token|key))[ \t]*:[ \t]*",
    )
});
/// A reference that a shell or the kubelet replaces by a value.
static EXPANDED: LazyLock<Regex> =
    LazyLock::new(|| compile_pattern(r"^\$(?:\([A-Za-z_]\w*\)|\{[A-Za-z_]\w*\}|[A-Za-z_]\w*)$"));

fn compile_pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is a constant")
}

/// The ranges of the secrets in `text`, in order and without overlap.
pub(super) fn find_secrets(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    // Most texts do not contain the sign that a pattern needs.
    let among = |sign: &str| if text.contains(sign) { text } else { "" };
    for url in URL.captures_iter(among("://")) {
        let (Some(scheme), Some(user)) = (url.get(1), url.get(2)) else {
            continue;
        };
        let http = scheme.as_str().to_ascii_lowercase().starts_with("http");
        let colon = user.as_str().find(':').map(|at| user.start() + at);
        if let Some(colon) = colon {
            found.push(colon + 1..user.end());
        }
        // The user may be a token.
        if http {
            found.push(user.start()..colon.unwrap_or(user.end()));
        }
    }
    for name in ASSIGNED.captures_iter(among("=")) {
        if is_secret(&name[1]) {
            found.push(word_range(text, name.get_match().end()));
        }
    }
    for flag in FLAG.captures_iter(among("-")) {
        let value = word_range(text, flag.get_match().end());
        if is_secret_flag(&flag[1]) && !text[value.clone()].starts_with('-') {
            found.push(value);
        }
    }
    for header in HEADER.find_iter(among(":")) {
        found.push(line_range(text, header.end()));
    }
    found.retain(|range| !range.is_empty() && !is_expanded(&text[range.clone()]));
    merge_ranges(found)
}

/// The secret value of an argument that is exactly `--name=value` or `NAME=value`.
pub(super) fn find_assigned_secret(argument: &str) -> Option<Range<usize>> {
    let name = ASSIGNED.find(argument).filter(|name| name.start() == 0)?;
    let value = name.end()..argument.len();
    let secret = is_secret(name.as_str()) && !is_expanded(&argument[value.clone()]);
    // In a shell command, the text after the value stays.
    let whole = argument.starts_with('-') || !argument.contains(char::is_whitespace);
    (secret && whole && !value.is_empty()).then_some(value)
}

/// Whether the argument is a flag whose value is a secret.
pub(super) fn is_secret_flag(argument: &str) -> bool {
    let name = argument.trim_start_matches('-');
    name.len() > 1
        && name.len() < argument.len()
        && !name.contains(|c: char| c == '=' || c.is_whitespace())
        && is_secret(name)
}

/// Whether the value only refers to a variable.
pub(super) fn is_expanded(value: &str) -> bool {
    EXPANDED.is_match(value)
}

/// The word at `start`, without its quotes.
fn word_range(text: &str, start: usize) -> Range<usize> {
    let rest = &text[start..];
    for quote in ["\\\"", "\"", "'"] {
        if let Some(inner) = rest.strip_prefix(quote) {
            let start = start + quote.len();
            let length = inner.find(quote).unwrap_or(inner.len());
            return start..start + length;
        }
    }
    let ends = |c: char| c.is_whitespace() || "\"'&;|<>`".contains(c);
    start..start + rest.find(ends).unwrap_or(rest.len())
}

/// From `start` to the end of the line or of the quoted text.
fn line_range(text: &str, start: usize) -> Range<usize> {
    let rest = &text[start..];
    let length = rest.find(['"', '\'', '\n', '\r']).unwrap_or(rest.len());
    start..start + length
}

fn merge_ranges(mut found: Vec<Range<usize>>) -> Vec<Range<usize>> {
    found.sort_by_key(|range| range.start);
    let mut apart: Vec<Range<usize>> = Vec::new();
    for range in found {
        match apart.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => apart.push(range),
        }
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_text() {
        for (text, expected) in [
            ("nothing=here --path /x", &[][..]),
            ("git clone https://me:s3cret@host/r", &["me", "s3cret"]),
            ("https://ghp_abc@github.com/o/r", &["ghp_abc"]),
            ("postgres://user:p%40w@db/x", &["p%40w"]),
            ("ssh://git@github.com/o/r", &[]),
            ("img@sha256:abc https://x/@v1", &[]),
            (
                "curl --token=abc -H 'Authorization: Bearer x y' z",
                &["abc", "Bearer x y"],
            ),
            ("GH_PAT='a b' DB_PASS=\"c d\" make", &["a b", "c d"]),
            ("login --password hunter2 host", &["hunter2"]),
            ("login --password-stdin host", &[]),
            ("login --token --verbose", &[]),
            ("x --token=$TOKEN --key=${KEY} --pat=$(PAT)", &[]),
            ("https://x/?access_token=abc&page=1", &["abc"]),
            ("{\\\"api_key=\\\"k\\\"", &["k"]),
            ("--token-file=/etc/token", &[]),
            ("token=", &[]),
        ] {
            let found: Vec<&str> = find_secrets(text).into_iter().map(|r| &text[r]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn an_argument_is_a_secret_to_its_end() {
        for (argument, expected) in [
            ("--token=a b\"c", Some("a b\"c")),
            ("-token=x", Some("x")),
            ("PGPASSWORD=x;y", Some("x;y")),
            ("PGPASSWORD=x psql", None),
            ("--token=$(TOKEN)", None),
            ("--token=", None),
            ("--name=x", None),
            ("echo --token=x", None),
        ] {
            let found = find_assigned_secret(argument).map(|range| &argument[range]);
            assert_eq!(found, expected, "{argument}");
        }
    }
}
