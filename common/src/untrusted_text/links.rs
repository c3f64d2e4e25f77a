//! Strangers' text where GitHub is to act on it: a link's target and a login.

use std::fmt::Write as _;

/// The target of a Markdown link, also in a row of a table: an `http` or `https` address, or
/// nothing. A longer one is not cut but dropped: half an address is another one.
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

/// A login as it follows an `@`: nothing that is no part of one.
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
