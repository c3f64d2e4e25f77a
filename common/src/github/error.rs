//! The errors that a caller of the GitHub client can react to.

use http::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;

#[derive(Debug, thiserror::Error)]
pub enum GithubError {
    #[error("not found: {0}")]
    NotFound(String),
    /// The token has no permission for this; trying again changes nothing.
    #[error("forbidden: {0}")]
    Forbidden(String),
    #[error("unauthorized: {0}")]
    Unauthorized(String),
    /// The rate limit is exhausted. Try again at `reset`; this is not a failure.
    #[error("rate limited until {reset}")]
    RateLimited { reset: Timestamp },
    /// GitHub read the request and refused its content (422); trying again changes nothing.
    #[error("refused: {0}")]
    Invalid(String),
    /// No response, or an unintelligible one. Worth another try later.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

/// GitHub's error body.
#[derive(Default, Deserialize)]
struct GithubErrorBody {
    #[serde(default)]
    message: String,
    #[serde(default)]
    errors: Vec<serde_json::Value>,
}

impl GithubError {
    /// Parses an unsuccessful response. `what` describes the request for the error's text.
    pub(super) fn from_response(what: &str, status: StatusCode, body: &[u8]) -> Self {
        let GithubErrorBody { message, errors } = serde_json::from_slice(body).unwrap_or_default();
        let mut text = format!("{what}: {status} {message}");
        for error in errors {
            text.push_str(&format!("; {error}"));
        }
        match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => Self::NotFound(text),
            StatusCode::FORBIDDEN => Self::Forbidden(text),
            StatusCode::UNAUTHORIZED => Self::Unauthorized(text),
            StatusCode::UNPROCESSABLE_ENTITY => Self::Invalid(text),
            _ => Self::Other(anyhow::anyhow!(text)),
        }
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }
}
