//! Strangers' text that GitHub acts on: a link's target and a login.

use std::fmt::Write as _;

/// The target of a Markdown link, also in a table's row: an `http` or `https` URL, or nothing. A
/// longer one is dropped and not cut, because half a URL is another URL.
#[must_use]
pub fn escape_link_target(url: &str, limit: usize) -> String {
    let is_web = url.starts_with("http://") || url.starts_with("https://");
    if !is_web || url.chars().nth(limit).is_some() {
        return String::new();
    }
    let mut written = String::with_capacity(url.len());
    for byte in url.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/?#%&=+$,;".contains(&byte) {
            written.push(char::from(byte));
        } else {
            let _ = write!(written, "%{byte:02X}");
        }
    }
    written
}

/// A login to follow an `@`, without characters that no login has.
#[must_use]
pub fn sanitize_login(text: &str, limit: usize) -> String {
    const BOT: &str = "[bot]";
    let name = text.strip_suffix(BOT);
    let is_part = |c: &char| c.is_ascii_alphanumeric() || "-_".contains(*c);
    let kept = name.unwrap_or(text).chars().filter(is_part);
    kept.take(limit)
        .chain(name.map_or("", |_| BOT).chars())
        .collect()
}
