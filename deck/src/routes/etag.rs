//! Whether a browser already has what it asks for.

use http::{HeaderMap, header};

/// Whether `If-None-Match` names `etag`. Weak tags match as well, as RFC 9110 says for reads.
pub(super) fn is_not_modified(headers: &HeaderMap, etag: &str) -> bool {
    let strong = |tag: &str| {
        let tag = tag.trim();
        tag.strip_prefix("W/").unwrap_or(tag).to_owned()
    };
    let own = strong(etag);
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|tag| tag.trim() == "*" || strong(tag) == own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_tags_count_for_reading() {
        for (sent, own, expected) in [
            (vec!["\"a\""], "\"a\"", true),
            (vec!["W/\"a\""], "\"a\"", true),
            (vec!["\"a\""], "W/\"a\"", true),
            (vec!["\"b\", W/\"a\""], "\"a\"", true),
            (vec!["\"b\"", "\"a\""], "\"a\"", true),
            (vec!["*"], "\"a\"", true),
            (vec!["\"b\""], "\"a\"", false),
            (vec!["a"], "\"a\"", false),
            (vec![], "\"a\"", false),
        ] {
            let mut headers = HeaderMap::new();
            for tag in &sent {
                headers.append(header::IF_NONE_MATCH, tag.parse().unwrap());
            }
            assert_eq!(is_not_modified(&headers, own), expected, "{sent:?} {own}");
        }
    }
}
