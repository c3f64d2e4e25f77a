//! Rules for `clone_uri`: without a user before an `@`, it must be a URL to Go.

use crate::config::{ConfigPath, JobBase, diagnostics::Diagnostics};
use crate::redact::strip_url_credentials;

/// Checks the job's own `clone_uri` and those of `extra_refs`.
pub(super) fn validate_clone_uris(job: &JobBase, findings: &mut Diagnostics) {
    let with_token = job
        .utility
        .decoration_config
        .as_ref()
        .is_some_and(|decoration| decoration.oauth_token_secret.is_some());
    let mut one = |uri: &str, place: &ConfigPath<'_>| {
        if let Some((rule, message)) = find_uri_mistake(uri, with_token) {
            findings.add_diagnostic(rule, &job.origin.file, place, message);
        }
    };
    let root = ConfigPath::Below(&job.origin.path);
    one(&job.utility.clone_uri, &root.key("clone_uri"));
    let list = root.key("extra_refs");
    for (index, refs) in job.utility.extra_refs.iter().enumerate() {
        one(&refs.clone_uri, &list.index(index).key("clone_uri"));
    }
}

fn find_uri_mistake(uri: &str, with_token: bool) -> Option<(&'static str, String)> {
    if uri.is_empty() {
        return None;
    }
    let shown = strip_url_credentials(uri);
    let bare = uri.split_once('@').map_or(uri, |(_, bare)| bare);
    if let Err(error) = validate_url(bare) {
        return Some(("clone-uri", format!("{shown:?} is no URL: {error}")));
    }
    let is_http = ["http://", "https://"]
        .iter()
        .any(|scheme| uri.to_ascii_lowercase().starts_with(scheme));
    (with_token && !is_http).then(|| {
        let message = format!(
            "{shown:?} cannot be cloned with oauth_token_secret: expected http:// or https://"
        );
        ("clone-uri-scheme", message)
    })
}

/// Go's rules for URLs, by which almost everything is a relative URL.
pub(super) fn validate_url(text: &str) -> Result<(), &'static str> {
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err("it has a control character");
    }
    let letters = text.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)));
    let (scheme, rest) = match letters.map(|end| text.split_at(end)) {
        Some(("", rest)) if rest.starts_with(':') => return Err("its scheme is missing"),
        Some((scheme, rest))
            if rest.starts_with(':') && scheme.starts_with(|c: char| c.is_ascii_alphabetic()) =>
        {
            (scheme, &rest[1..])
        }
        _ => ("", text),
    };
    let first = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if scheme.is_empty() && first.contains(':') {
        return Err("a ':' stands before the first '/'");
    }
    let (host, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
        None => ("", rest),
    };
    if host.contains([' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}']) {
        return Err("its host has a character that no host has");
    }
    let port = match host.strip_prefix('[') {
        Some(address) => match address.split_once(']') {
            Some((_, port)) => port.strip_prefix(':'),
            None => return Err("a ']' is missing in its host"),
        },
        None => host.split_once(':').map(|(_, port)| port),
    };
    if port.is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err("its port is no number");
    }
    let path = path.split('?').next().unwrap_or_default();
    let mut escapes = [host, path]
        .into_iter()
        .flat_map(|part| part.split('%').skip(1));
    let escaped = escapes.all(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if !escaped {
        return Err("a '%' is not followed by two hexadecimal digits");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_what_go_takes_for_one() {
        for (text, valid) in [
            ("https://github.com/org/repo.git", true),
            ("ssh://github.com:22/org/repo", true),
            ("github.com:org/repo.git", true),
            ("github.com/org/repo", true),
            ("../repo", true),
            ("file:///srv/git/repo", true),
            ("https://[::1]:8080/x", true),
            ("https://github.com:port/x", false),
            ("https://github.com:80:80/x", false),
            ("https://[::1/x", false),
            ("s3://%zz", false),
            ("https://git hub.com/x", false),
            (":org/repo", false),
            ("1host:org/repo", false),
            ("https://github.com/%zz", false),
            ("https://github.com/a\nb", false),
        ] {
            assert_eq!(validate_url(text).is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn a_mistake_is_told_without_credentials() {
        for (uri, with_token) in [
            ("https://user:hunter22@github.com/%zz", false),
            ("ssh://user:hunter22@github.com/o/r", true),
        ] {
            let (_, message) = find_uri_mistake(uri, with_token).unwrap();
            assert!(!message.contains("hunter22"), "{message}");
        }
    }

    #[test]
    fn a_token_is_sent_over_http_only() {
        for (uri, rule) in [
            ("https://github.com/o/r", None),
            ("https://user@github.com/o/r", None),
            ("git@github.com:o/r.git", Some("clone-uri-scheme")),
            ("", None),
        ] {
            assert_eq!(
                find_uri_mistake(uri, true).map(|(rule, _)| rule),
                rule,
                "{uri}"
            );
            assert_eq!(find_uri_mistake(uri, false), None, "{uri}");
        }
    }
}
