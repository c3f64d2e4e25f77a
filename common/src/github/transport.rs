//! Sends one request, again where that is safe, and tells a rate limit from a refusal.

use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use octocrab::Octocrab;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use super::{Error, Options, Result};

/// Largest answer that is read, in bytes; GitHub's own pages stay far below.
const MAX_BODY: usize = 32 << 20;

pub(super) struct Transport {
    /// The API's base URLs, in order of preference.
    endpoints: Vec<Octocrab>,
    timeout: Duration,
    max_retries: u32,
    max_404_retries: u32,
    longest_wait: Duration,
    first_delay: Duration,
}

/// A request as its caller sees it.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    /// Path and query below the API's base URL.
    pub(super) path: &'a str,
    pub(super) body: Option<&'a serde_json::Value>,
    /// The thing asked for is known to exist: a 404 may be GitHub lagging behind its own
    /// webhook, and is tried again.
    pub(super) expects: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            body: None,
            expects: false,
        }
    }
}

/// A success, or a redirect that means "no".
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        Ok(serde_json::from_slice(&self.body)
            .context("GitHub's answer is not what was expected")?)
    }
}

impl Transport {
    pub(super) fn new(options: &Options, component: &str) -> anyhow::Result<Self> {
        options.validate()?;
        let agent = format!("{component}/{}", env!("CARGO_PKG_VERSION"));
        let endpoints = options.github_endpoint.iter().map(|base| {
            Octocrab::builder()
                .base_uri(base.as_str())
                .with_context(|| format!("--github-endpoint {base}"))?
                .set_connect_timeout(Some(Duration::from_secs(10)))
                .add_retry_config(octocrab::service::middleware::retry::RetryConfig::None)
                .add_header(header::USER_AGENT, agent.clone())
                .build()
                .context("GitHub client")
        });
        Ok(Self {
            endpoints: endpoints.collect::<anyhow::Result<_>>()?,
            timeout: options.request_timeout.to_std(),
            max_retries: options.max_retries,
            max_404_retries: options.max_404_retries,
            longest_wait: options.backoff_timeout.to_std(),
            first_delay: options.initial_delay.to_std(),
        })
    }

    /// Sends `call` until there is an answer that another try would not change.
    ///
    /// Only what can be done twice is repeated after a lost connection or a 5xx: a POST may
    /// have done its work before the answer was lost. A rate limit did nothing, so that any
    /// request waits for it, up to `--github-client.backoff-timeout`.
    pub(super) async fn send(
        &self,
        call: &Call<'_>,
        token: Option<&SecretString>,
    ) -> Result<Answer> {
        let repeatable = call.method != Method::POST;
        let mut delay = self.first_delay;
        let mut attempt = 0;
        loop {
            let endpoint = &self.endpoints[attempt as usize % self.endpoints.len()];
            let (wait, error) = match self.once(endpoint, call, token).await {
                Ok(answer) if answer.status.is_success() || answer.status.is_redirection() => {
                    return Ok(answer);
                }
                Ok(answer) => self.judge(call, &answer, attempt, repeatable)?,
                Err(error) if repeatable => (delay, Error::Other(error)),
                Err(error) => return Err(Error::Other(error)),
            };
            if attempt == self.max_retries {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            delay = (delay * 2).min(self.longest_wait);
            attempt += 1;
        }
    }

    /// Whether a refusal is worth another try: how long to wait first, and what to say when
    /// there is none left.
    fn judge(
        &self,
        call: &Call<'_>,
        answer: &Answer,
        attempt: u32,
        repeatable: bool,
    ) -> Result<(Duration, Error)> {
        if let Some(reset) = rate_limit(answer.status, &answer.headers, Timestamp::now()) {
            let wait =
                Duration::try_from(reset.duration_since(Timestamp::now())).unwrap_or_default();
            let error = Error::RateLimited { reset };
            return if wait <= self.longest_wait {
                Ok((wait, error))
            } else {
                Err(error)
            };
        }
        let error = Error::from_response(
            &format!("{} {}", call.method, call.path),
            answer.status,
            &answer.body,
        );
        let again = match answer.status {
            StatusCode::NOT_FOUND => call.expects && attempt < self.max_404_retries,
            status => status.is_server_error() && repeatable,
        };
        let delay = self.first_delay * 2_u32.saturating_pow(attempt.min(16));
        if again {
            Ok((delay.min(self.longest_wait), error))
        } else {
            Err(error)
        }
    }

    async fn once(
        &self,
        octocrab: &Octocrab,
        call: &Call<'_>,
        token: Option<&SecretString>,
    ) -> anyhow::Result<Answer> {
        let mut request = Request::builder()
            .method(&call.method)
            .uri(call.path)
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
        let request = request.body(body)?;
        let exchange = async {
            // octocrab's error carries a backtrace in its Display; its source is the text.
            let response = octocrab
                .send(request.map(Into::into))
                .await
                .map_err(plain)?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_BODY)
                .collect()
                .await
                .map_err(|error| anyhow!(error))?
                .to_bytes();
            Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body,
            })
        };
        tokio::time::timeout(self.timeout, exchange)
            .await
            .unwrap_or_else(|_| Err(anyhow!("no answer within {:?}", self.timeout)))
            .with_context(|| format!("{} {}", call.method, call.path))
    }
}

fn plain(error: octocrab::Error) -> anyhow::Error {
    match std::error::Error::source(&error) {
        Some(source) => anyhow!("{source}"),
        None => anyhow!("GitHub client failed"),
    }
}

/// When the limit that caused this answer ends; `None` when it is no limit.
///
/// GitHub answers 403 or 429, with `retry-after`, or with an exhausted `x-ratelimit-remaining`
/// and the time of the reset.
fn rate_limit(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<Timestamp> {
    if status != StatusCode::FORBIDDEN && status != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<i64>().ok();
    let in_seconds =
        |seconds: i64| Timestamp::from_second(now.as_second().saturating_add(seconds)).ok();
    if let Some(seconds) = number("retry-after") {
        return in_seconds(seconds.saturating_add(1));
    }
    if number("x-ratelimit-remaining") == Some(0) {
        return Timestamp::from_second(number("x-ratelimit-reset")?.saturating_add(1)).ok();
    }
    (status == StatusCode::TOO_MANY_REQUESTS)
        .then(|| in_seconds(60))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_limit_from_a_refusal() {
        let now = Timestamp::from_second(1_000).unwrap();
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
                .collect()
        };
        let exhausted = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1100"),
        ];
        for (what, status, pairs, ends) in [
            ("a plain 403", 403, &[][..], None),
            (
                "quota left",
                403,
                &[
                    ("x-ratelimit-remaining", "10"),
                    ("x-ratelimit-reset", "1100"),
                ],
                None,
            ),
            ("quota gone", 403, &exhausted, Some(1101)),
            ("told when", 403, &[("retry-after", "30")], Some(1031)),
            ("a bare 429", 429, &[], Some(1060)),
            ("a success with an empty quota", 200, &exhausted, None),
            (
                "a value that is no number",
                429,
                &[("retry-after", "soon")],
                Some(1060),
            ),
        ] {
            let ends = ends.map(|second| Timestamp::from_second(second).unwrap());
            assert_eq!(
                rate_limit(StatusCode::from_u16(status).unwrap(), &headers(pairs), now),
                ends,
                "{what}"
            );
        }
    }
}
