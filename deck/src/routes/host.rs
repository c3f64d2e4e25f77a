//! Which host names a Deck answers to.
//!
//! A Deck that listens on loopback only is for this machine alone. Still, any page in a browser of
//! this machine can let a name point to it (DNS rebinding) and then read it as its own site. Such a
//! page cannot choose the name that its requests carry.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::uri::Authority;
use http::{HeaderMap, StatusCode, Uri, header};

use super::text_response;
use crate::settings::CurrentSettings;

/// The host names of a Deck.
#[derive(Debug)]
pub(crate) struct AllowedHosts {
    /// Whether only this machine reaches the listener.
    pub(crate) loopback: bool,
    /// `--allowed-host`
    pub(crate) allowed: Vec<String>,
    /// The settings, which name the addresses in links to Deck.
    pub(crate) present: Arc<CurrentSettings>,
}

impl AllowedHosts {
    fn answers_to(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        if !self.loopback {
            return true;
        }
        let settings = self.present.get();
        let own = settings.addresses.iter().map(|address| strip_port(address));
        let names: Vec<&str> = own.chain(self.allowed.iter().map(String::as_str)).collect();
        answers_to(uri, headers, &names)
    }

    /// Deck's own addresses as a browser may see them: the one that this request was sent to, and
    /// those of links to Deck, in case a proxy has changed the first.
    pub(super) fn own_addresses(&self, uri: &Uri, headers: &HeaderMap) -> Vec<String> {
        let asked =
            request_authority(uri, headers).map(|authority| authority.as_str().to_lowercase());
        let mut all: Vec<String> = asked.into_iter().collect();
        for address in &self.present.get().addresses {
            if !all.contains(address) {
                all.push(address.clone());
            }
        }
        all
    }
}

/// A request for another host gets a fixed text and nothing else.
pub(super) async fn check_host(
    State(hosts): State<Arc<AllowedHosts>>,
    request: Request,
    next: Next,
) -> Response {
    if hosts.answers_to(request.uri(), request.headers()) {
        return next.run(request).await;
    }
    text_response(
        StatusCode::MISDIRECTED_REQUEST,
        "This Deck is not called that. Its flag --allowed-host takes further names.\n",
    )
    .into_response()
}

/// Whether all names that a request carries, in its target and in `Host`, are Deck's own, and at
/// least one is there.
fn answers_to(uri: &Uri, headers: &HeaderMap, names: &[&str]) -> bool {
    let target = uri.authority().map(|authority| Ok(authority.clone()));
    let hosts = headers
        .get_all(header::HOST)
        .iter()
        .map(|host| Authority::try_from(host.as_bytes()));
    let mut all = target.into_iter().chain(hosts).peekable();
    all.peek().is_some()
        && all.all(|authority| authority.is_ok_and(|authority| is_own_host(&authority, names)))
}

fn is_own_host(authority: &Authority, names: &[&str]) -> bool {
    let host = authority.host();
    let is_address = match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_ipv4()),
    };
    !authority.as_str().contains('@')
        && (is_address
            || host.eq_ignore_ascii_case("localhost")
            || names.iter().any(|name| host.eq_ignore_ascii_case(name)))
}

/// The host that the request was sent to: of its target, or else of `Host`.
fn request_authority(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let host = || Authority::try_from(headers.get(header::HOST)?.as_bytes()).ok();
    let authority = uri.authority().cloned().or_else(host)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    authority.as_str().bytes().all(plain).then_some(authority)
}

/// An address without its port.
fn strip_port(address: &str) -> &str {
    match address.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_answered(target: &str, hosts: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, host.parse().unwrap());
        }
        answers_to(&target.parse().unwrap(), &headers, &["prow.example.com"])
    }

    #[test]
    fn only_own_names_are_answered_to() {
        for (target, hosts, expected) in [
            ("/", &["localhost"][..], true),
            ("/", &["LocalHost:8080"], true),
            ("/", &["127.0.0.1:8080"], true),
            ("/", &["10.1.2.3"], true),
            ("/", &["[::1]:8080"], true),
            ("/", &["prow.example.com"], true),
            ("/", &["PROW.example.com:443"], true),
            ("/", &["evil.example"], false),
            ("/", &["evil.example:8080"], false),
            ("/", &["localhost.evil.example"], false),
            ("/", &["127.0.0.1.evil.example"], false),
            ("/", &["x.prow.example.com"], false),
            ("/", &["evil.example@localhost"], false),
            ("/", &["localhost@evil.example"], false),
            ("/", &["[evil.example]"], false),
            ("/", &[""], false),
            ("/", &[], false),
            ("/", &["localhost", "evil.example"], false),
            ("/", &["evil.example", "localhost"], false),
            ("http://evil.example/", &["localhost"], false),
            ("http://evil.example:80/", &[], false),
            ("http://localhost:8080/x", &["evil.example"], false),
            ("http://localhost:8080/x", &["localhost:8080"], true),
            ("http://localhost/x", &[], true),
        ] {
            assert_eq!(is_answered(target, hosts), expected, "{target} {hosts:?}");
        }
    }

    #[test]
    fn names_of_addresses() {
        for (address, expected) in [
            ("prow.example.com", "prow.example.com"),
            ("prow.example.com:8443", "prow.example.com"),
            ("[::1]:80", "[::1]"),
        ] {
            assert_eq!(strip_port(address), expected);
        }
    }
}
