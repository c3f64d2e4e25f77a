//! `github`: the base URL of links to GitHub; and what Prow accepts as a URL.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{ConfigPath, section_diagnostics::SectionDiagnostics};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GithubLinks {
    /// `https://github.com` unless set.
    #[serde(deserialize_with = "link_url")]
    pub link_url: String,
}

const GITHUB_URL: &str = "https://github.com";

impl Default for GithubLinks {
    fn default() -> Self {
        Self {
            link_url: GITHUB_URL.into(),
        }
    }
}

fn link_url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    super::non_empty(deserializer, GITHUB_URL)
}

impl GithubLinks {
    pub(super) fn check_links(&self, report: &mut SectionDiagnostics<'_>) {
        let path = ConfigPath::Root.key("github");
        check_url(
            "github-link-url",
            &path.key("link_url"),
            &self.link_url,
            report,
        );
    }
}

/// Refuses text that is no URL, see [`is_url`].
pub(super) fn check_url(
    rule: &'static str,
    path: &ConfigPath<'_>,
    text: &str,
    report: &mut SectionDiagnostics<'_>,
) {
    if !is_url(text) {
        report.add_diagnostic(rule, path, format!("found {text:?}, expected a URL"));
    }
}

/// Whether Go's `net/url` accepts the text. It accepts relative references, too.
pub(in crate::config) fn is_url(text: &str) -> bool {
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
    use crate::config::prow::tests::{loaded, refused};

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

    #[test]
    fn links_begin_with_a_url() {
        assert_eq!(
            refused("github: {link_url: 'a b://'}"),
            r#"config.yaml:1:10: github.link_url: found "a b://", expected a URL"#
        );
        let github = loaded("github: {link_url: ''}").github;
        assert_eq!(github.link_url, "https://github.com");
    }
}
