//! Responses of routes: JSON, or an error with GitHub's message.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

pub(crate) type RestResult = Result<Response, RestError>;

/// The errors that GitHub's clients get.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestError {
    #[error("Not Found")]
    NotFound,
    #[error("Bad credentials")]
    BadCredentials,
    #[error("Requires authentication")]
    AuthenticationRequired,
    /// 401 with GitHub's own message, for JWTs of an App.
    #[error("{0}")]
    Unauthorized(&'static str),
    #[error("Resource not accessible by integration")]
    NotByIntegration,
    #[error("{0}")]
    Forbidden(String),
    #[error("Problems parsing JSON")]
    NotJson,
    #[error("Validation Failed")]
    Invalid(Vec<Value>),
    /// 422 with its own message.
    #[error("{0}")]
    Unprocessable(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    NotMergeable(String),
    /// GitHub has it, the stand-in does not.
    #[error("{0} is not built in the GitHub stand-in")]
    Unbuilt(String),
    #[error("Server Error")]
    Internal(#[from] anyhow::Error),
}

impl From<sqlx::Error> for RestError {
    fn from(error: sqlx::Error) -> RestError {
        RestError::Internal(error.into())
    }
}

impl RestError {
    /// One entry of a 422: a field that is `missing`, `missing_field`, `invalid` or
    /// `already_exists`.
    pub(crate) fn field_error(resource: &str, field: &str, code: &str) -> RestError {
        RestError::Invalid(vec![
            json!({"resource": resource, "field": field, "code": code}),
        ])
    }

    /// One entry of a 422 with a message.
    pub(crate) fn custom_error(resource: &str, message: &str) -> RestError {
        RestError::Invalid(vec![
            json!({"resource": resource, "code": "custom", "message": message}),
        ])
    }

    fn status_code(&self) -> StatusCode {
        match self {
            RestError::NotFound => StatusCode::NOT_FOUND,
            RestError::BadCredentials
            | RestError::AuthenticationRequired
            | RestError::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            RestError::NotByIntegration | RestError::Forbidden(_) => StatusCode::FORBIDDEN,
            RestError::NotJson => StatusCode::BAD_REQUEST,
            RestError::Invalid(_) | RestError::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            RestError::Conflict(_) => StatusCode::CONFLICT,
            RestError::NotMergeable(_) => StatusCode::METHOD_NOT_ALLOWED,
            RestError::Unbuilt(_) => StatusCode::NOT_IMPLEMENTED,
            RestError::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Marks a response whose request `FakeGithub::list_unimplemented` must list.
#[derive(Clone)]
pub(crate) struct NotImplementedMarker;

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        if let RestError::Internal(error) = &self {
            tracing::error!(
                error = format!("{error:#}"),
                "a request to the GitHub stand-in failed"
            );
        }
        let status = self.status_code();
        let mut body = json!({
            "message": self.to_string(),
            "documentation_url": "https://docs.github.com/rest",
            "status": status.as_str(),
        });
        let unbuilt = matches!(self, RestError::Unbuilt(_));
        if let RestError::Invalid(errors) = self {
            body["errors"] = errors.into();
        }
        let mut response = (status, Json(body)).into_response();
        if unbuilt {
            response.extensions_mut().insert(NotImplementedMarker);
        }
        response
    }
}

pub(crate) fn reply_json(body: Value) -> RestResult {
    Ok(Json(body).into_response())
}

/// 201, with the URL of the new object in `Location` where GitHub sends one.
pub(crate) fn reply_created(body: Value) -> RestResult {
    let location = body["url"]
        .as_str()
        .and_then(|url| HeaderValue::from_str(url).ok());
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub(crate) fn reply_no_content() -> RestResult {
    Ok(StatusCode::NO_CONTENT.into_response())
}
