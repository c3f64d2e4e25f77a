//! URLs without their credentials.

/// The text without the `user:password@` of its URLs. A user alone, which may be a token, is
/// removed as well, but not for SSH, where it is a name like `git`.
#[must_use]
pub fn strip_url_credentials(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let credentials = measure_credentials(before.ends_with("ssh"), after);
        rest = &after[credentials..];
    }
    shown.push_str(rest);
    shown
}

/// How many bytes after `://` are credentials, including `@`.
fn measure_credentials(is_ssh: bool, after: &str) -> usize {
    let ends_word = |c: char| c == '\'' || c == '"' || c.is_whitespace();
    let word = &after[..after.find(ends_word).unwrap_or(after.len())];
    let authority = &word[..word.find('/').unwrap_or(word.len())];
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    // A password may contain an unescaped slash, if somebody pasted it.
    let is_cut = !authority.starts_with('[') && !port.bytes().all(|byte| byte.is_ascii_digit());
    let before_at = match authority.rfind('@') {
        None if is_cut => word.rfind('@'),
        found => found,
    };
    match before_at {
        Some(at) if !is_ssh || word[..at].contains(':') => at + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_all_but_its_credentials() {
        for (text, expected) in [
            ("https://user:hunter22@h/o/r", "https://h/o/r"),
            (
                "https://token@h/o/r says https://a@b:p@h no",
                "https://h/o/r says https://h no",
            ),
            ("ssh://git@h/o/r", "ssh://git@h/o/r"),
            ("git+ssh://u:hunter22@h/o/r", "git+ssh://h/o/r"),
            ("git@h:o/r", "git@h:o/r"),
            ("https://h/a@b", "https://h/a@b"),
            ("https://u:hunter/22@h/o/r x@y", "https://h/o/r x@y"),
            ("https://h:80/a@b", "https://h:80/a@b"),
            ("https://[::1]/a@b", "https://[::1]/a@b"),
            ("https://u:p@", "https://"),
            ("://@", "://"),
        ] {
            assert_eq!(strip_url_credentials(text), expected, "{text}");
        }
    }
}
