//! Sends one request, retries it where that is safe, and tells a rate limit from a refusal.

mod rate_limit;
mod redirect;
#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use octocrab::Octocrab;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::{GithubError, GithubOptions, GithubResult};
use crate::service::flags::warn_unimplemented_flags;

/// Largest response that is read, in bytes; GitHub's own pages are far smaller.
const MAX_BODY: usize = 32 << 20;

/// The number of redirects that one request follows.
const MAX_REDIRECTS: usize = 5;

pub(super) struct GithubTransport {
    /// In order of preference.
    endpoints: Vec<GithubEndpoint>,
    timeout: Duration,
    max_retries: u32,
    max_404_retries: u32,
    longest_wait: Duration,
    first_delay: Duration,
}

/// One base URL of the API. Its client follows no redirect: that would turn a POST into a GET.
struct GithubEndpoint {
    base: Uri,
    client: Octocrab,
}

/// A request as the caller makes it.
pub(super) struct GithubRequest<'a> {
    pub(super) method: Method,
    /// Path and query below the API's base URL.
    pub(super) path: &'a str,
    pub(super) body: Option<&'a serde_json::Value>,
    /// The object is known to exist. A 404 is tried again, because GitHub's API may lag behind its
    /// webhook.
    pub(super) expects: bool,
    /// Redirects are followed. Otherwise a redirect is the response.
    pub(super) follows: bool,
}

impl<'a> GithubRequest<'a> {
    pub(super) fn new(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            body: None,
            expects: false,
            follows: true,
        }
    }

    /// Whether sending it twice has the effect of sending it once.
    fn is_repeatable(&self) -> bool {
        self.method != Method::POST
    }

    fn describe_request(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// A success, or a redirect of a request that follows none.
pub(super) struct GithubResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Bytes,
}

impl GithubResponse {
    pub(super) fn parse_json<T: DeserializeOwned>(&self) -> GithubResult<T> {
        Ok(serde_json::from_slice(&self.body)
            .context("GitHub's answer is not what was expected")?)
    }
}

/// A request without a response.
struct LostRequest {
    error: anyhow::Error,
    /// No connection was made, so nobody has received the request.
    unsent: bool,
}

impl From<anyhow::Error> for LostRequest {
    fn from(error: anyhow::Error) -> Self {
        Self {
            error,
            unsent: false,
        }
    }
}

impl GithubEndpoint {
    fn new(base: &str, agent: &str) -> anyhow::Result<Self> {
        let client = Octocrab::builder()
            .base_uri(base)
            .with_context(|| format!("--github-endpoint {base}"))?
            .set_connect_timeout(Some(Duration::from_secs(10)))
            .add_retry_config(octocrab::service::middleware::retry::RetryConfig::None)
            .add_header(header::USER_AGENT, agent.to_owned())
            .build()
            .context("GitHub client")?;
        Ok(Self {
            base: base.parse()?,
            client,
        })
    }
}

impl GithubTransport {
    pub(super) fn new(options: &GithubOptions, component: &str) -> anyhow::Result<Self> {
        options.validate_flags()?;
        warn_unimplemented_flags(options.unimplemented_flags());
        let agent = format!("{component}/{}", env!("CARGO_PKG_VERSION"));
        let endpoints = options.github_endpoint.iter();
        Ok(Self {
            endpoints: endpoints
                .map(|base| GithubEndpoint::new(base, &agent))
                .collect::<anyhow::Result<_>>()?,
            timeout: options.request_timeout.to_std(),
            max_retries: options.max_retries,
            max_404_retries: options.max_404_retries,
            longest_wait: options.backoff_timeout.to_std(),
            first_delay: options.initial_delay.to_std(),
        })
    }

    /// Sends `call` until there is a response that another try would not change.
    ///
    /// After a lost connection or a 5xx only a repeatable request is sent again: a POST may have
    /// taken effect before the response was lost. If no connection was made, or a rate limit
    /// refused the request, nothing has happened, and any request is sent again; the wait for a
    /// rate limit is at most `--github-client.backoff-timeout`.
    pub(super) async fn send_with_retries(
        &self,
        call: &GithubRequest<'_>,
        token: Option<&SecretString>,
    ) -> GithubResult<GithubResponse> {
        let mut delay = self.first_delay;
        let mut attempt = 0;
        loop {
            let (wait, error) = match self.try_endpoints(attempt, call, token).await {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) if answer.status.is_redirection() && !call.follows => {
                    return Ok(answer);
                }
                Ok(answer) => self.decide_retry(call, &answer, attempt)?,
                Err(lost) if lost.unsent || call.is_repeatable() => {
                    (delay, GithubError::Other(lost.error))
                }
                Err(lost) => return Err(GithubError::Other(lost.error)),
            };
            if attempt == self.max_retries {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            delay = (delay * 2).min(self.longest_wait);
            attempt += 1;
        }
    }

    /// Whether a refused request is worth another try: how long to wait first, and the error if no
    /// retries are left.
    fn decide_retry(
        &self,
        call: &GithubRequest<'_>,
        answer: &GithubResponse,
        attempt: u32,
    ) -> GithubResult<(Duration, GithubError)> {
        let GithubResponse {
            status,
            headers,
            body,
        } = answer;
        let now = Timestamp::now();
        if let Some(reset) = rate_limit::rate_limit_reset(*status, headers, body, now) {
            let wait = Duration::try_from(reset.duration_since(now)).unwrap_or_default();
            let error = GithubError::RateLimited { reset };
            return if wait <= self.longest_wait {
                Ok((wait, error))
            } else {
                Err(error)
            };
        }
        if status.is_redirection() {
            return Err(GithubError::Other(redirect::redirect_error(
                &call.describe_request(),
                *status,
                headers,
            )));
        }
        let error = GithubError::from_response(&call.describe_request(), *status, body);
        let again = match *status {
            StatusCode::NOT_FOUND => call.expects && attempt < self.max_404_retries,
            status => status.is_server_error() && call.is_repeatable(),
        };
        let delay = self.first_delay * 2_u32.saturating_pow(attempt.min(16));
        if again {
            Ok((delay.min(self.longest_wait), error))
        } else {
            Err(error)
        }
    }

    /// One attempt: tries the endpoints in turn until one can be reached.
    async fn try_endpoints(
        &self,
        attempt: u32,
        call: &GithubRequest<'_>,
        token: Option<&SecretString>,
    ) -> std::result::Result<GithubResponse, LostRequest> {
        let mut unreached = None;
        for turn in 0..self.endpoints.len() {
            let endpoint = &self.endpoints[(attempt as usize + turn) % self.endpoints.len()];
            match self.follow_redirects(endpoint, call, token).await {
                Err(lost) if lost.unsent => unreached = Some(lost),
                done => return done,
            }
        }
        Err(unreached.unwrap_or_else(|| anyhow!("no --github-endpoint is given").into()))
    }

    /// Follows redirects that keep the request's method.
    async fn follow_redirects(
        &self,
        endpoint: &GithubEndpoint,
        call: &GithubRequest<'_>,
        token: Option<&SecretString>,
    ) -> std::result::Result<GithubResponse, LostRequest> {
        let mut answer = self.send_once(endpoint, call, call.path, token).await?;
        for _ in 0..MAX_REDIRECTS {
            let target = redirect::redirect_target(&endpoint.base, &call.method, &answer);
            let Some(path) = target.filter(|_| call.follows) else {
                break;
            };
            answer = self.send_once(endpoint, call, &path, token).await?;
        }
        Ok(answer)
    }

    async fn send_once(
        &self,
        endpoint: &GithubEndpoint,
        call: &GithubRequest<'_>,
        path: &str,
        token: Option<&SecretString>,
    ) -> std::result::Result<GithubResponse, LostRequest> {
        let request = build_request(call, path, token)?;
        let exchange = async {
            let response = endpoint.client.send(request.map(Into::into)).await;
            let response = response.map_err(lost_request)?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_BODY)
                .collect()
                .await
                .map_err(|error| anyhow!(error))?
                .to_bytes();
            Ok(GithubResponse {
                status: parts.status,
                headers: parts.headers,
                body,
            })
        };
        tokio::time::timeout(self.timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(anyhow!("no answer within {:?}", self.timeout).into()))
            .map_err(|LostRequest { error, unsent }| LostRequest {
                error: error.context(call.describe_request()),
                unsent,
            })
    }
}

fn build_request(
    call: &GithubRequest<'_>,
    path: &str,
    token: Option<&SecretString>,
) -> anyhow::Result<Request<String>> {
    let mut request = Request::builder()
        .method(&call.method)
        .uri(path)
        .header(header::ACCEPT, "application/vnd.github+json")
        .header("x-github-api-version", "2022-11-28");
    if let Some(token) = token {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    let body = match call.body {
        Some(json) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            json.to_string()
        }
        None => String::new(),
    };
    Ok(request.body(body)?)
}

/// octocrab's error has a backtrace in its `Display` form; its source has the text.
fn lost_request(error: octocrab::Error) -> LostRequest {
    let Some(source) = std::error::Error::source(&error) else {
        return anyhow!("GitHub client failed").into();
    };
    LostRequest {
        unsent: is_unsent(source),
        error: anyhow!("{source}"),
    }
}

/// Whether no connection was made: refused, unresolved, timed out, or without TLS.
fn is_unsent(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        error
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some_and(hyper_util::client::legacy::Error::is_connect)
    })
}
