//! What a route answers: JSON, or an error in GitHub's words.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

/// A route's result.
pub(crate) type Reply = Result<Response, Error>;

/// The errors GitHub's clients can meet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("Not Found")]
    NotFound,
    #[error("Bad credentials")]
    BadCredentials,
    #[error("Requires authentication")]
    AuthenticationRequired,
    /// 401 with GitHub's own words, for assertions of an App.
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
    /// 422 with a sentence of its own.
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

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Error {
        Error::Internal(error.into())
    }
}

impl Error {
    /// One entry of a 422: a field that is `missing`, `missing_field`, `invalid` or `already_exists`.
    pub(crate) fn field(resource: &str, field: &str, code: &str) -> Error {
        Error::Invalid(vec![
            json!({"resource": resource, "field": field, "code": code}),
        ])
    }

    /// One entry of a 422 in words.
    pub(crate) fn custom(resource: &str, message: &str) -> Error {
        Error::Invalid(vec![
            json!({"resource": resource, "code": "custom", "message": message}),
        ])
    }

    fn status(&self) -> StatusCode {
        match self {
            Error::NotFound => StatusCode::NOT_FOUND,
            Error::BadCredentials | Error::AuthenticationRequired | Error::Unauthorized(_) => {
                StatusCode::UNAUTHORIZED
            }
            Error::NotByIntegration | Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::NotJson => StatusCode::BAD_REQUEST,
            Error::Invalid(_) | Error::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::NotMergeable(_) => StatusCode::METHOD_NOT_ALLOWED,
            Error::Unbuilt(_) => StatusCode::NOT_IMPLEMENTED,
            Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Marks an answer whose request has to be told of by `Github::unbuilt`.
#[derive(Clone)]
pub(crate) struct IsUnbuilt;

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if let Error::Internal(error) = &self {
            tracing::error!(
                error = format!("{error:#}"),
                "a request to the GitHub stand-in failed"
            );
        }
        let status = self.status();
        let mut body = json!({
            "message": self.to_string(),
            "documentation_url": "https://docs.github.com/rest",
            "status": status.as_str(),
        });
        let unbuilt = matches!(self, Error::Unbuilt(_));
        if let Error::Invalid(errors) = self {
            body["errors"] = errors.into();
        }
        let mut response = (status, Json(body)).into_response();
        if unbuilt {
            response.extensions_mut().insert(IsUnbuilt);
        }
        response
    }
}

pub(crate) fn ok(body: Value) -> Reply {
    Ok(Json(body).into_response())
}

/// 201, with the new thing's address where GitHub gives one.
pub(crate) fn created(body: Value) -> Reply {
    let location = body["url"]
        .as_str()
        .and_then(|url| HeaderValue::from_str(url).ok());
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub(crate) fn no_content() -> Reply {
    Ok(StatusCode::NO_CONTENT.into_response())
}
