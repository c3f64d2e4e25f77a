//! Which redirects are followed.
//!
//! GitHub sends 301, 302 and 307 for a renamed repository. Only 307 and 308 repeat a write at the
//! new URL: a client that follows the others sends a GET and gets a 200, although nothing was
//! written.

use anyhow::anyhow;
use http::{HeaderMap, Method, StatusCode, Uri, header};

use super::GithubResponse;

/// The path and query to which `answer` redirects a request of `method`; `None` if it is no
/// redirect or is not followed, such as one to another host, which would get the token.
pub(super) fn redirect_target(
    base: &Uri,
    method: &Method,
    answer: &GithubResponse,
) -> Option<String> {
    let keeps_method = matches!(
        answer.status,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
    );
    let for_reads = matches!(
        answer.status,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER
    );
    let may_follow = keeps_method || (for_reads && *method == Method::GET);
    if !may_follow {
        return None;
    }
    path_below_base(base, location_header(&answer.headers)?)
}

/// The error for a redirect that is not followed, with its reason and what to do.
pub(super) fn redirect_error(what: &str, status: StatusCode, headers: &HeaderMap) -> anyhow::Error {
    let to = location_header(headers).unwrap_or("nowhere");
    anyhow!(
        "{what}: GitHub answered {status} to {to:?}, where this request is not sent: if GitHub's \
         API moved, give its new address by --github-endpoint; if the repository moved, its new \
         name belongs into the configuration"
    )
}

fn location_header(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::LOCATION)?.to_str().ok()
}

/// The path and query of `location` if it is below `base`.
fn path_below_base(base: &Uri, location: &str) -> Option<String> {
    let uri: Uri = location.parse().ok()?;
    let same = match uri.authority() {
        Some(authority) => Some(authority) == base.authority() && uri.scheme() == base.scheme(),
        None => location.starts_with('/') && !location.starts_with("//"),
    };
    let path = uri.path_and_query()?.as_str();
    let folder = base.path().trim_end_matches('/');
    let inside = path.strip_prefix(folder)?.starts_with('/');
    (same && inside).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_the_endpoint_is_gone_after() {
        let github = "https://api.github.com";
        let enterprise = "https://ghe.example/api/v3/";
        for (base, location, path) in [
            (
                github,
                "https://api.github.com/repositories/1?page=2",
                Some("/repositories/1?page=2"),
            ),
            (github, "/repositories/1", Some("/repositories/1")),
            (github, "http://api.github.com/repositories/1", None),
            (github, "https://api.github.com:8443/repositories/1", None),
            (github, "https://evil.example/repositories/1", None),
            (github, "//evil.example/repositories/1", None),
            (github, "https://api.github.com@evil.example/", None),
            (github, "repositories/1", None),
            (github, "", None),
            (
                enterprise,
                "https://ghe.example/api/v3/repositories/1",
                Some("/api/v3/repositories/1"),
            ),
            (enterprise, "https://ghe.example/login", None),
            (enterprise, "https://ghe.example/api/v3evil", None),
        ] {
            let found = path_below_base(&base.parse().unwrap(), location);
            assert_eq!(found.as_deref(), path, "{location} of {base}");
        }
    }
}
