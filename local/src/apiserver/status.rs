//! Kubernetes' `Status`: the error response for clients.
//!
//! Not for failures of this program itself. Those are logged where they happen, and the client gets
//! a fixed "internal error".

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::resource::ServedResource;

pub(crate) type StatusResult<T> = std::result::Result<T, StatusError>;

/// A refused request: the HTTP status and the `Status` object that explains it.
#[derive(Debug, Clone)]
pub(crate) struct StatusError {
    pub(crate) code: StatusCode,
    reason: &'static str,
    message: String,
    details: Option<Value>,
}

/// One broken rule of an invalid object, as `Status.details.causes` lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StatusCause {
    pub(crate) reason: &'static str,
    pub(crate) field: String,
    pub(crate) message: String,
}

impl StatusCause {
    pub(crate) fn required_value(field: impl Into<String>, detail: &str) -> Self {
        let message = if detail.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {detail}")
        };
        Self {
            reason: "FieldValueRequired",
            field: field.into(),
            message,
        }
    }

    pub(crate) fn invalid_value(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        Self {
            reason: "FieldValueInvalid",
            field: field.into(),
            message: format!("Invalid value: {value}: {detail}"),
        }
    }

    /// One cause for each of the `details`.
    pub(crate) fn invalid_values(field: &str, value: &Value, details: &[String]) -> Vec<Self> {
        let cause = |detail: &String| Self::invalid_value(field, value, detail);
        details.iter().map(cause).collect()
    }

    pub(crate) fn duplicate_value(field: impl Into<String>, value: &Value) -> Self {
        Self {
            reason: "FieldValueDuplicate",
            field: field.into(),
            message: format!("Duplicate value: {value}"),
        }
    }

    pub(crate) fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self {
            reason: "FieldValueNotFound",
            field: field.into(),
            message: format!("Not found: {value}"),
        }
    }

    pub(crate) fn unsupported_value(
        field: impl Into<String>,
        value: &Value,
        allowed: &[String],
    ) -> Self {
        let message = format!(
            "Unsupported value: {value}: supported values: {}",
            allowed.join(", ")
        );
        Self {
            reason: "FieldValueNotSupported",
            field: field.into(),
            message,
        }
    }

    pub(crate) fn forbidden_field(field: impl Into<String>, detail: &str) -> Self {
        Self {
            reason: "FieldValueForbidden",
            field: field.into(),
            message: format!("Forbidden: {detail}"),
        }
    }
}

impl std::fmt::Display for StatusCause {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.field, self.message)
    }
}

impl StatusError {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: None,
        }
    }

    fn with_details(mut self, resource: &ServedResource, name: &str) -> Self {
        let mut details = json!({"name": name, "kind": resource.plural});
        if !resource.group.is_empty() {
            details["group"] = json!(resource.group);
        }
        self.details = Some(details);
        self
    }

    fn with_cause(mut self, reason: &str, field: Option<&str>, message: &str) -> Self {
        let mut cause = json!({"reason": reason, "message": message});
        if let Some(field) = field {
            cause["field"] = json!(field);
        }
        self.details.get_or_insert_with(|| json!({}))["causes"] = json!([cause]);
        self
    }

    pub(crate) fn no_route() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    pub(crate) fn not_found(resource: &ServedResource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.id());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).with_details(resource, name)
    }

    pub(crate) fn already_exists(resource: &ServedResource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.id());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).with_details(resource, name)
    }

    pub(crate) fn operation_conflict(resource: &ServedResource, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            resource.id()
        );
        Self::new(StatusCode::CONFLICT, "Conflict", message).with_details(resource, name)
    }

    /// A write based on an older version of the object.
    pub(crate) fn object_modified(resource: &ServedResource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::operation_conflict(resource, name, why)
    }

    /// Server-side apply would change fields of other managers: `(manager, field)` pairs.
    pub(crate) fn apply_conflict(conflicts: &[(String, String)]) -> Self {
        let told: Vec<String> = conflicts
            .iter()
            .map(|(manager, field)| format!("conflict with {manager:?}: {field}"))
            .collect();
        let count = if told.len() == 1 {
            "1 conflict".to_owned()
        } else {
            format!("{} conflicts", told.len())
        };
        let mut failure = Self::new(
            StatusCode::CONFLICT,
            "Conflict",
            format!("Apply failed with {count}: {}", told.join("\n")),
        );
        let causes: Vec<Value> = conflicts
            .iter()
            .map(|(manager, field)| {
                json!({"reason": "FieldManagerConflict", "message": format!("conflict with {manager:?}"), "field": field})
            })
            .collect();
        failure.details = Some(json!({"causes": causes}));
        failure
    }

    pub(crate) fn invalid_object(
        resource: &ServedResource,
        name: &str,
        causes: &[StatusCause],
    ) -> Self {
        let told: Vec<String> = causes.iter().map(StatusCause::to_string).collect();
        let all = if told.len() == 1 {
            told[0].clone()
        } else {
            format!("[{}]", told.join(", "))
        };
        let subject = if resource.group.is_empty() {
            resource.kind.clone()
        } else {
            format!("{}.{}", resource.kind, resource.group)
        };
        let message = format!("{subject} \"{name}\" is invalid: {all}");
        let mut failure = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
            .with_details(resource, name);
        let causes: Vec<Value> = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        if let Some(details) = &mut failure.details {
            details["kind"] = json!(resource.kind);
            details["causes"] = json!(causes);
        }
        failure
    }

    /// A request whose parameters contradict each other; not an object.
    pub(crate) fn invalid_options(kind: &str, field: &str, why: &str) -> Self {
        let message = format!("{kind}.meta.k8s.io \"\" is invalid: {field}: Forbidden: {why}");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).with_cause(
            "FieldValueForbidden",
            Some(field),
            why,
        )
    }

    /// Invalid parameters of a request, which are an object of their own kind.
    pub(crate) fn invalid_params(kind: &str, name: &str, causes: &[StatusCause]) -> Self {
        let told: Vec<String> = causes.iter().map(StatusCause::to_string).collect();
        let message = format!("{kind} {name:?} is invalid: {}", told.join(", "));
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// An object is created in a namespace that is being deleted.
    pub(crate) fn namespace_terminating(
        resource: &ServedResource,
        name: &str,
        namespace: &str,
    ) -> Self {
        let why = format!("namespace {namespace} is being terminated");
        let message = format!(
            "{} \"{name}\" is forbidden: unable to create new content in namespace {namespace} because it is being terminated",
            resource.id()
        );
        Self::forbidden(message)
            .with_details(resource, name)
            .with_cause("NamespaceTerminating", Some("metadata.namespace"), &why)
    }

    pub(crate) fn resource_expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// A client asks for a version that does not exist yet.
    pub(crate) fn too_large_resource_version(asked: u64, latest: u64) -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "Timeout",
            format!("Too large resource version: {asked}, current: {latest}"),
        )
        .with_cause(
            "ResourceVersionTooLarge",
            None,
            "Too large resource version",
        )
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub(crate) fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json, application/json;stream=watch";
        Self::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message)
    }

    pub(crate) fn unsupported_media(accepted: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {accepted}"
        );
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            message,
        )
    }

    pub(crate) fn request_too_large() -> Self {
        let message = "the request body is larger than 3 MiB";
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            message,
        )
    }

    /// A part of Kubernetes that the embedded API leaves out on purpose.
    pub(crate) fn not_built(what: &str) -> Self {
        Self::not_implemented(format!("{what} is not built in the embedded API"))
    }

    /// The same, with what to do instead.
    pub(crate) fn not_implemented(message: String) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    pub(crate) fn internal_error() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalError",
            "Internal error occurred",
        )
    }

    /// The `Status` object, as a response body or in an `ERROR` watch event.
    pub(crate) fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code.as_u16(),
        });
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }
}

impl std::fmt::Display for StatusError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl IntoResponse for StatusError {
    fn into_response(self) -> Response {
        (
            self.code,
            [(header::CONTENT_TYPE, "application/json")],
            self.to_status().to_string(),
        )
            .into_response()
    }
}
