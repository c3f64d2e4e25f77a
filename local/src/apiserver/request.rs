//! What a request asks for: path, query and media types.

use std::collections::HashMap;
use std::str::FromStr;

use http::{HeaderMap, Uri, header};
use serde_json::Value;

use super::lifecycle::{DeleteOptions, PropagationPolicy};
use super::protobuf;
use super::selector::ObjectSelector;
use super::status::{StatusError, StatusResult};

/// The parts of a path below `/api/v1/…` or `/apis/GROUP/VERSION/…`. Absent parts are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RequestInfo {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) plural: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
}

impl RequestInfo {
    /// `None` for a path that names no resource.
    pub(crate) fn parse_path(path: &str) -> Option<Self> {
        let parts: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(decode_segment)
            .collect::<Option<_>>()?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        // `/namespaces/NAME/status` is about the namespace, `/namespaces/NAME/pods` about its
        // contents.
        let (namespace, rest) = match rest {
            ["namespaces", name, sub @ ("status" | "finalize")] => {
                ("", &["namespaces", *name, *sub][..])
            }
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            _ => ("", rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, "", String::new()),
            [plural, name] => (*plural, *name, String::new()),
            [plural, name, sub @ ..] => (*plural, *name, sub.join("/")),
            [] => return None,
        };
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            namespace: namespace.to_owned(),
            plural: plural.to_owned(),
            name: name.to_owned(),
            subresource,
        })
    }
}

/// Decodes one percent-encoded path segment. `None` if it is not valid UTF-8.
fn decode_segment(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = (*first == b'%')
            .then(|| tail.get(..2))
            .flatten()
            .and_then(|two| hex::decode(two).ok());
        match escaped {
            Some(byte) => {
                bytes.extend(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// The query of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueryParams(HashMap<String, String>);

impl QueryParams {
    pub(crate) fn parse_query(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self(
            url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        )
    }

    /// The parameter's text, or "".
    pub(crate) fn get_text(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// `None` when the parameter is missing.
    pub(crate) fn get_flag(&self, name: &str) -> StatusResult<Option<bool>> {
        match self.0.get(name).map(String::as_str) {
            None => Ok(None),
            Some("" | "true" | "True" | "1") => Ok(Some(true)),
            Some("false" | "False" | "0") => Ok(Some(false)),
            Some(other) => Err(StatusError::bad_request(format!(
                "{name}: {other:?} is not a boolean"
            ))),
        }
    }

    /// `None` when the parameter is missing or empty.
    pub(crate) fn get_number<N: FromStr>(&self, name: &str) -> StatusResult<Option<N>> {
        match self.get_text(name) {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| StatusError::bad_request(format!("{name}: {text:?} is not a number"))),
        }
    }

    pub(crate) fn parse_selector(&self) -> StatusResult<ObjectSelector> {
        ObjectSelector::parse_selectors(
            self.get_text("labelSelector"),
            self.get_text("fieldSelector"),
        )
    }

    pub(crate) fn dry_run(&self) -> StatusResult<bool> {
        match self.get_text("dryRun") {
            "" => Ok(false),
            "All" => Ok(true),
            other => Err(StatusError::bad_request(format!(
                "dryRun: {other:?} is not supported; only All is"
            ))),
        }
    }

    /// The deletion options of the query, overridden by those of the body, and whether it is a dry
    /// run.
    pub(crate) fn delete_options(&self, body: &Value) -> StatusResult<(DeleteOptions, bool)> {
        let grace = match body["gracePeriodSeconds"].as_i64() {
            Some(seconds) => Some(seconds),
            None => self.get_number("gracePeriodSeconds")?,
        };
        let orphan = body["orphanDependents"]
            .as_bool()
            .or(self.get_flag("orphanDependents")?);
        let propagation = match body["propagationPolicy"]
            .as_str()
            .unwrap_or(self.get_text("propagationPolicy"))
        {
            "Orphan" => PropagationPolicy::Orphan,
            "" if orphan == Some(true) => PropagationPolicy::Orphan,
            "" | "Background" => PropagationPolicy::Background,
            "Foreground" => PropagationPolicy::Foreground,
            other => {
                return Err(StatusError::bad_request(format!(
                    "propagationPolicy: {other:?} is not known"
                )));
            }
        };
        let precondition = |field: &str| body["preconditions"][field].as_str().map(str::to_owned);
        let dry_run = self.dry_run()?
            || body["dryRun"]
                .as_array()
                .is_some_and(|all| all.contains(&"All".into()));
        let options = DeleteOptions {
            grace,
            propagation,
            uid: precondition("uid"),
            version: precondition("resourceVersion"),
        };
        Ok((options, dry_run))
    }
}

/// The name of the writer: `fieldManager`, else the first word of the user agent.
pub(crate) fn field_manager_name(params: &QueryParams, headers: &HeaderMap) -> String {
    let named = params.get_text("fieldManager");
    if !named.is_empty() {
        return named.to_owned();
    }
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    match agent.split('/').next() {
        Some("") | None => "unknown".to_owned(),
        Some(name) => name.to_owned(),
    }
}

/// The media type of the body, without its parameters.
pub(crate) fn content_type(headers: &HeaderMap) -> &str {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// Parses a body that is JSON, or YAML or protobuf if `content_type` says so.
pub(crate) fn parse_body(content_type: &str, body: &[u8]) -> StatusResult<Value> {
    match content_type {
        "" | "application/json" => serde_json::from_slice(body)
            .map_err(|error| StatusError::bad_request(format!("the body is not JSON: {error}"))),
        "application/yaml" | "application/apply-patch+yaml" => parse_yaml(body),
        protobuf::MEDIA_TYPE => protobuf::decode_protobuf(body),
        _ => Err(StatusError::unsupported_media(
            "application/json, application/yaml",
        )),
    }
}

fn parse_yaml(body: &[u8]) -> StatusResult<Value> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    let text =
        std::str::from_utf8(body).map_err(|_| StatusError::bad_request("the body is not UTF-8"))?;
    serde_saphyr::from_str(text)
        .map_err(|error| StatusError::bad_request(format!("the body is not YAML: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let place = |group: &str,
                     version: &str,
                     namespace: &str,
                     plural: &str,
                     name: &str,
                     subresource: &str| {
            let own = str::to_owned;
            Some(RequestInfo {
                group: own(group),
                version: own(version),
                namespace: own(namespace),
                plural: own(plural),
                name: own(name),
                subresource: own(subresource),
            })
        };
        for (path, expected) in [
            ("/api/v1/pods", place("", "v1", "", "pods", "", "")),
            (
                "/api/v1/namespaces",
                place("", "v1", "", "namespaces", "", ""),
            ),
            (
                "/api/v1/namespaces/a",
                place("", "v1", "", "namespaces", "a", ""),
            ),
            (
                "/api/v1/namespaces/a/status",
                place("", "v1", "", "namespaces", "a", "status"),
            ),
            (
                "/api/v1/namespaces/a/pods",
                place("", "v1", "a", "pods", "", ""),
            ),
            (
                "/api/v1/namespaces/a/pods/b",
                place("", "v1", "a", "pods", "b", ""),
            ),
            (
                "/api/v1/namespaces/a/pods/b/log",
                place("", "v1", "a", "pods", "b", "log"),
            ),
            (
                "/apis/prow.k8s.io/v1/prowjobs",
                place("prow.k8s.io", "v1", "", "prowjobs", "", ""),
            ),
            (
                "/apis/g/v1/namespaces/a/xs/b/status/",
                place("g", "v1", "a", "xs", "b", "status"),
            ),
            (
                "/apis/rbac/v1/clusterroles/system%3Anode",
                place("rbac", "v1", "", "clusterroles", "system:node", ""),
            ),
            ("/api/v1", None),
            ("/apis/g", None),
            ("/healthz", None),
            ("/api/v1/pods/%ff", None),
        ] {
            assert_eq!(RequestInfo::parse_path(path), expected, "{path}");
        }
    }
}
