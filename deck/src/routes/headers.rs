//! The security headers of every response, by its route's [`SecurityPolicy`], at any status.
//!
//! A browser replaces its cached headers by those of a 304, and shows the body of an error like any
//! other. So no status is left out, and no handler decides.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::host::AllowedHosts;
use super::route_table::{SecurityPolicy, list_routes};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Extension of a response about a run's object: the path of the run's folder at this Deck,
/// encoded, with a slash at the end.
#[derive(Clone, Debug)]
pub(super) struct RunFolderPath(pub(super) String);

/// The policy of each route, and the hosts that the policies name.
#[derive(Debug)]
pub(super) struct RoutePolicies {
    by_path: HashMap<&'static str, SecurityPolicy>,
    hosts: Arc<AllowedHosts>,
}

impl RoutePolicies {
    pub(super) fn new(hosts: Arc<AllowedHosts>) -> Self {
        let by_path = list_routes()
            .map(|route| (route.path, route.dress))
            .collect();
        Self { by_path, hosts }
    }
}

pub(super) async fn set_security_headers(
    State(wardrobe): State<Arc<RoutePolicies>>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let dress = route
        .and_then(|route| wardrobe.by_path.get(route.as_str()))
        .map_or(SecurityPolicy::Page, |dress| *dress);
    let addresses = wardrobe
        .hosts
        .own_addresses(request.uri(), request.headers());
    let mut response = next.run(request).await;
    let run = response.extensions_mut().remove::<RunFolderPath>();
    let policy = content_security_policy(dress, &addresses, run.as_ref().map(|run| run.0.as_str()));
    let resource_policy = resource_policy(dress, response.status(), response.headers());
    let headers = response.headers_mut();
    let policy = HeaderValue::try_from(policy)
        .unwrap_or(HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static(resource_policy));
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The `Content-Security-Policy`. `addresses` are this Deck's; `run` is as in [`RunFolderPath`].
fn content_security_policy(
    dress: SecurityPolicy,
    addresses: &[String],
    run: Option<&str>,
) -> String {
    let files = |path: &str| {
        let at = |address| format!(" http://{address}{path}");
        addresses.iter().map(at).collect::<String>()
    };
    let never = "base-uri 'none'; frame-ancestors 'none'";
    match dress {
        SecurityPolicy::Page => {
            let own = files("/static/");
            let own = if own.is_empty() { " 'none'" } else { &own };
            format!(
                "default-src 'none'; script-src{own}; style-src{own}; img-src 'self'; \
                 connect-src 'self'; form-action 'self'; {never}"
            )
        }
        SecurityPolicy::Data => format!("sandbox; default-src 'none'; form-action 'none'; {never}"),
        SecurityPolicy::Picture => format!(
            "sandbox; default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; {never}"
        ),
        SecurityPolicy::Artifact => {
            let own = run.map_or(String::new(), |run| files(&run.replace(',', "%2C")));
            format!(
                "sandbox; default-src 'none'; img-src data:{own}; \
                 style-src 'unsafe-inline'{own}; font-src data:; form-action 'none'; {never}"
            )
        }
    }
}

/// Which sites may embed a response in their pages.
///
/// A report in its sandbox has no origin, so it is another site to its own styles and images.
fn resource_policy(dress: SecurityPolicy, status: StatusCode, headers: &HeaderMap) -> &'static str {
    let part_of_a_report = || {
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_ascii_lowercase();
        let shown = status.is_success() || status == StatusCode::NOT_MODIFIED;
        shown && (content_type.starts_with("image/") || content_type.starts_with("text/css"))
    };
    match dress {
        SecurityPolicy::Picture => "cross-origin",
        SecurityPolicy::Artifact if part_of_a_report() => "cross-origin",
        SecurityPolicy::Artifact | SecurityPolicy::Page | SecurityPolicy::Data => "same-origin",
    }
}

#[cfg(test)]
mod tests;
