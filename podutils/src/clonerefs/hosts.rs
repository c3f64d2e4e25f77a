//! Which hosts a clone's token may be sent to: those of the configured GitHub.

use std::net::IpAddr;

use url::{Host, Url};

/// The origin of repositories if the API is GitHub's own or a proxy in front of it.
const GITHUB: &str = "https://github.com";

/// The origin (`scheme://host[:port]`) of a clone address, if it belongs to the GitHub whose API is
/// at one of `endpoints`. It has to use TLS, unless it is on this machine.
///
/// A repository's own configuration may name any other address, so no other address gets a token.
pub(super) fn origin_of_github(clone_uri: &str, endpoints: &[String]) -> Option<String> {
    let origin = safe_origin(&Url::parse(clone_uri).ok()?)?;
    let is_known = match endpoints {
        [] => origin == GITHUB,
        some => some.iter().any(|api| repository_origin(api) == origin),
    };
    is_known.then_some(origin)
}

/// The origin of the repositories behind an API: `HOST` for `api.HOST` and `HOST/api/v3`. Any other
/// API that is not on this machine is a proxy of GitHub.
fn repository_origin(endpoint: &str) -> String {
    let github = || GITHUB.to_owned();
    let Ok(url) = Url::parse(endpoint) else {
        return github();
    };
    if is_loopback(&url) {
        return url.origin().ascii_serialization();
    }
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map_or_else(String::new, |port| format!(":{port}"));
    if let Some(host) = host.strip_prefix("api.") {
        return format!("https://{host}{port}");
    }
    match url.path().trim_end_matches('/') {
        "/api/v3" => format!("https://{host}{port}"),
        _ => github(),
    }
}

fn safe_origin(url: &Url) -> Option<String> {
    let is_safe = match url.scheme() {
        "https" => true,
        "http" => is_loopback(url),
        _ => false,
    };
    is_safe.then(|| url.origin().ascii_serialization())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_the_configured_github_alone() {
        let github = &["https://api.github.com"][..];
        let own = &["https://ghe.example.com:8443/api/v3/"][..];
        for (uri, endpoints, expected) in [
            ("https://github.com/o/r", github, Some("https://github.com")),
            (
                "https://GitHub.com:443/o/r",
                github,
                Some("https://github.com"),
            ),
            (
                "https://x:y@github.com/o/r",
                github,
                Some("https://github.com"),
            ),
            ("https://github.com/o/r", &[], Some("https://github.com")),
            (
                "https://github.com/o/r",
                &["http://ghproxy"],
                Some("https://github.com"),
            ),
            (
                "https://github.com/o/r",
                &["http://ghproxy", "https://api.github.com"],
                Some("https://github.com"),
            ),
            (
                "https://acme.ghe.com/o/r",
                &["https://api.acme.ghe.com"],
                Some("https://acme.ghe.com"),
            ),
            (
                "https://ghe.example.com:8443/o/r",
                own,
                Some("https://ghe.example.com:8443"),
            ),
            (
                "http://127.0.0.1:80/o/r",
                &["http://127.0.0.1"],
                Some("http://127.0.0.1"),
            ),
            (
                "http://localhost:4000/o/r",
                &["http://localhost:4000/"],
                Some("http://localhost:4000"),
            ),
            ("http://github.com/o/r", github, None),
            ("https://github.com.evil.example/o/r", github, None),
            ("https://github.com@evil.example/o/r", github, None),
            ("https://evil.example/github.com", github, None),
            ("https://github.com:8443/o/r", github, None),
            ("https://github.com/o/r", own, None),
            ("https://ghe.example.com/o/r", own, None),
            ("https://ghproxy/o/r", &["http://ghproxy"], None),
            ("http://ghe.x/o/r", &["http://ghe.x/api/v3"], None),
            ("http://127.0.0.1:81/o/r", &["http://127.0.0.1"], None),
            ("http://[::1]/o/r", github, None),
            ("git@github.com:o/r.git", github, None),
            ("ssh://git@github.com/o/r", github, None),
            ("file:///srv/r", github, None),
        ] {
            let endpoints: Vec<String> = endpoints.iter().map(|it| (*it).to_owned()).collect();
            let origin = origin_of_github(uri, &endpoints);
            assert_eq!(origin.as_deref(), expected, "{uri} {endpoints:?}");
        }
    }
}
