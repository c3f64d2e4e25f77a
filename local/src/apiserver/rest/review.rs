//! `kubectl auth can-i`: whoever has the token may do everything. These reviews say so.

use axum::body::Bytes;
use axum::response::Response;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use super::super::request::{RequestInfo, content_type, parse_body};
use super::super::status::{StatusError, StatusResult};
use super::json_response;

/// Answers a review. `None` if the request is for something else.
pub(super) fn answer_review(
    method: &Method,
    place: &RequestInfo,
    headers: &HeaderMap,
    body: &Bytes,
) -> Option<StatusResult<Response>> {
    if (place.group.as_str(), place.version.as_str()) != ("authorization.k8s.io", "v1") {
        return None;
    }
    let status = match place.plural.as_str() {
        "selfsubjectaccessreviews" => json!({"allowed": true}),
        "selfsubjectrulesreviews" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        _ => return None,
    };
    if method != Method::POST {
        return Some(Err(StatusError::method_not_allowed()));
    }
    Some(parse_body(content_type(headers), body).and_then(|review| with_status(review, &status)))
}

fn with_status(mut review: Value, status: &Value) -> StatusResult<Response> {
    if !review.is_object() {
        return Err(StatusError::bad_request("the body is not an object"));
    }
    review["status"] = status.clone();
    Ok(json_response(
        StatusCode::CREATED,
        review.to_string().into(),
        &[],
    ))
}
