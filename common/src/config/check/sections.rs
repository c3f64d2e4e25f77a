//! Warnings about single sections of `config.yaml`.

use serde_json::Value;

use super::Subject;
use crate::config::{Path, findings::Findings};

/// An organisation's webhook hears of all its repositories, so that one of a repository's hears
/// the same a second time.
pub(super) fn managed_webhooks(subject: &Subject<'_>, findings: &mut Findings) {
    let section = subject.config.prow.unused.get("managed_webhooks");
    let Some(hooks) = section.and_then(|section| section["org_repo_config"].as_object()) else {
        return;
    };
    let section = Path::Root.key("managed_webhooks");
    let section = section.key("org_repo_config");
    for repo in hooks.keys() {
        let Some((org, _)) = repo.split_once('/') else {
            continue;
        };
        if hooks.contains_key(org) {
            let message = format!("{repo} and {org} both have a webhook: events come twice");
            let path = section.key(repo);
            findings.add("managed-webhooks", &subject.config_file, &path, message);
        }
    }
}

/// Looked for beside `plugins.yaml` only, as in Prow.
pub(super) fn urls(subject: &Subject<'_>, findings: &mut Findings) {
    let link = subject.config.prow.unused.get("status_error_link");
    let link = link.and_then(Value::as_str).unwrap_or_default();
    if subject.plugins.is_some() && !is_url(link) {
        let path = Path::Root.key("status_error_link");
        let message = format!("found {link:?}, expected a URL");
        findings.add("validate-urls", &subject.config_file, &path, message);
    }
}

/// What Go's `net/url` takes: relative references, too.
fn is_url(text: &str) -> bool {
    let base = url::Url::parse("http://base.invalid/").expect("a URL");
    let control = text.chars().any(|c| c.is_ascii_control());
    let escapes = text.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes();
        digits.len() > 1 && digits[..2].iter().all(u8::is_ascii_hexdigit)
    });
    let first = text.split('/').next().unwrap_or_default();
    let scheme = first.split_once(':').is_none_or(|(scheme, _)| {
        let mut letters = scheme.chars();
        letters.next().is_some_and(|c| c.is_ascii_alphabetic())
            && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    });
    !control && escapes && scheme && base.join(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_what_go_takes() {
        for (text, expected) in [
            ("", true),
            ("https://go.k8s.io/bot-log", true),
            ("/relative?x=1", true),
            ("mailto:a@b", true),
            ("https://a b/", false),
            (":nothing", false),
            ("%zz", false),
            ("http://x/%4", false),
            ("a\nb", false),
        ] {
            assert_eq!(is_url(text), expected, "{text:?}");
        }
    }
}
