//! The API on a port: loopback, TLS and a token. No web page can reach it.
//!
//! Whoever reaches the API can run commands, so each start makes its own certificate and token.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use rand::RngCore;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::status::StatusError;

/// Time for open requests to end after a shutdown.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach a served API.
#[derive(Debug, Clone)]
pub struct ApiEndpoint {
    /// `https://127.0.0.1:PORT`
    pub url: String,
    /// The certificate authority to trust, PEM.
    pub ca_pem: String,
    /// The bearer token.
    pub token: String,
}

impl ApiEndpoint {
    /// Writes a kubeconfig that only its owner can read, replacing an older one.
    pub fn write_kubeconfig(&self, path: &Path) -> io::Result<()> {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "prow",
            "clusters": [{"name": "prow", "cluster": {
                "server": self.url,
                "certificate-authority-data": BASE64_STANDARD.encode(&self.ca_pem),
            }}],
            "users": [{"name": "prow", "user": {"token": self.token}}],
            "contexts": [{"name": "prow", "context": {"cluster": "prow", "user": "prow", "namespace": "default"}}],
        });
        // The file is written under another name and renamed. So the mode holds from the first byte
        // and no reader sees half of it.
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        let beside = Path::new(&beside);
        let _ = std::fs::remove_file(beside);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(beside)?;
        file.write_all(format!("{config:#}\n").as_bytes())?;
        std::fs::rename(beside, path)
    }
}

/// Serves `router` until `shutdown`; returns at once.
pub(super) fn serve_endpoint(
    router: axum::Router,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> anyhow::Result<ApiEndpoint> {
    let address = listener.local_addr().context("the API's listener")?;
    ensure!(
        address.ip().is_loopback(),
        "the embedded API is served on loopback only, not on {address}"
    );
    let mut secret = [0; 32];
    rand::rng().fill_bytes(&mut secret);
    let token = hex::encode(secret);
    let (ca_pem, tls) = make_tls().context("making the API's certificate")?;
    let guarded = router.layer(middleware::from_fn_with_state(
        Arc::new(token.clone()),
        guard_request,
    ));
    tokio::spawn(accept_connections(
        listener,
        TlsAcceptor::from(Arc::new(tls)),
        guarded,
        shutdown,
    ));
    Ok(ApiEndpoint {
        url: format!("https://{address}"),
        ca_pem,
        token,
    })
}

fn make_tls() -> anyhow::Result<(String, rustls::ServerConfig)> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority
        .distinguished_name
        .push(rcgen::DnType::CommonName, "prow embedded API");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let mut server = CertificateParams::new([
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
        "localhost".to_owned(),
    ])?;
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &authority)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )?;
    Ok((authority.pem(), config))
}

async fn accept_connections(
    listener: TcpListener,
    tls: TlsAcceptor,
    router: axum::Router,
    shutdown: CancellationToken,
) {
    loop {
        let connection = tokio::select! {
            () = shutdown.cancelled() => return,
            connection = listener.accept() => connection,
        };
        match connection {
            Ok((stream, _)) => {
                tokio::spawn(serve_connection(
                    stream,
                    tls.clone(),
                    router.clone(),
                    shutdown.clone(),
                ));
            }
            Err(error) => {
                // Out of file descriptors, most likely: wait until some are free.
                tracing::warn!(%error, "the embedded API cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    tls: TlsAcceptor,
    router: axum::Router,
    shutdown: CancellationToken,
) {
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await else {
        return;
    };
    let builder = Builder::new(TokioExecutor::new());
    let connection =
        builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    // How a connection ends does not matter here.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(SHUTDOWN_GRACE, connection).await;
        }
    }
}

/// Lets in clients that have the token and use a loopback name. A page in a browser has neither.
async fn guard_request(State(token): State<Arc<String>>, request: Request, next: Next) -> Response {
    match check_access(&token, request.headers(), request.uri().host()) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

fn check_access(
    token: &str,
    headers: &HeaderMap,
    uri_host: Option<&str>,
) -> Result<(), StatusError> {
    if headers.contains_key(header::ORIGIN) {
        return Err(StatusError::forbidden("requests of web pages are refused"));
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or(uri_host)
        .unwrap_or_default();
    if !is_loopback(host) {
        return Err(StatusError::forbidden(
            "this API answers to 127.0.0.1 and localhost only",
        ));
    }
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let given = given
        .and_then(|value| value.strip_prefix("Bearer "))
        .unwrap_or_default();
    if constant_time_eq(given.as_bytes(), token.as_bytes()) {
        Ok(())
    } else {
        Err(StatusError::unauthorized())
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost")
}

/// Compares in constant time, so that timing does not show where the difference is.
fn constant_time_eq(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .fold(0, |difference, (a, b)| difference | (a ^ b))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_let_in() {
        for (host, origin, authorization, expected) in [
            ("127.0.0.1:6443", None, Some("Bearer t"), None),
            ("localhost", None, Some("Bearer t"), None),
            ("LOCALHOST:1", None, Some("Bearer t"), None),
            ("127.0.0.1", None, None, Some(401)),
            ("127.0.0.1", None, Some("Bearer x"), Some(401)),
            ("127.0.0.1", None, Some("Basic t"), Some(401)),
            ("127.0.0.1", None, Some("Bearer "), Some(401)),
            ("127.0.0.1.evil.example", None, Some("Bearer t"), Some(403)),
            ("evil.example:6443", None, Some("Bearer t"), Some(403)),
            ("", None, Some("Bearer t"), Some(403)),
            (
                "127.0.0.1",
                Some("http://127.0.0.1"),
                Some("Bearer t"),
                Some(403),
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            origin.map(|origin: &str| headers.insert(header::ORIGIN, origin.parse().unwrap()));
            authorization
                .map(|value| headers.insert(header::AUTHORIZATION, value.parse().unwrap()));
            let code = check_access("t", &headers, None)
                .err()
                .map(|failure| failure.code.as_u16());
            assert_eq!(code, expected, "{host} {origin:?} {authorization:?}");
        }
    }
}
