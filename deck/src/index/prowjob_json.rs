//! A `ProwJob`'s JSON, kept in pieces so that `/prowjobs.js` can omit some without parsing.
//!
//! Pod spec and decoration are the same text for every run of a job, so they are stored once.

use std::sync::Arc;

use serde_json::{Map, Value};

/// The pieces, with their braces; an absent one is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ProwJobJson {
    /// `metadata` without labels and annotations.
    metadata: Box<str>,
    labels: Box<str>,
    annotations: Box<str>,
    /// `spec` without pod spec and decoration.
    spec: Box<str>,
    pub(super) pod_spec: Arc<str>,
    pub(super) decoration: Arc<str>,
    status: Box<str>,
    containers: usize,
}

/// The fields that `omit` leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OmitFields {
    pub annotations: bool,
    pub labels: bool,
    pub decoration_config: bool,
    pub pod_spec: bool,
}

impl OmitFields {
    /// Parses Prow's comma-separated list; unknown names are ignored, as in Prow.
    pub fn parse_list(list: &str) -> Self {
        let has = |name| list.split(',').any(|item| item.trim() == name);
        Self {
            annotations: has("annotations"),
            labels: has("labels"),
            decoration_config: has("decoration_config"),
            pod_spec: has("pod_spec"),
        }
    }
}

impl ProwJobJson {
    /// Splits the JSON of an object without its secrets.
    pub(super) fn new(mut value: Value, mut intern: impl FnMut(&str) -> Arc<str>) -> Self {
        let mut section = |name: &str| match value.get_mut(name).map(Value::take) {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        };
        let (mut metadata, mut spec, status) =
            (section("metadata"), section("spec"), section("status"));
        metadata.remove("managedFields");
        let labels = metadata.remove("labels");
        let annotations = metadata.remove("annotations");
        let pod_spec = spec.remove("pod_spec");
        let decoration = spec.remove("decoration_config");
        let containers = pod_spec
            .as_ref()
            .and_then(|spec| spec["containers"].as_array())
            .map_or(0, Vec::len);
        Self {
            metadata: script_json(&Value::Object(metadata)).into(),
            labels: optional_json(labels.as_ref()).into(),
            annotations: optional_json(annotations.as_ref()).into(),
            spec: script_json(&Value::Object(spec)).into(),
            pod_spec: intern(&optional_json(pod_spec.as_ref())),
            decoration: intern(&optional_json(decoration.as_ref())),
            status: script_json(&Value::Object(status)).into(),
            containers,
        }
    }

    /// Appends the object as JSON, without what `omit` names.
    pub(super) fn write_json(&self, omit: OmitFields, out: &mut String) {
        let empty_containers = omit.pod_spec.then(|| {
            let all = vec![r#"{"name":"","resources":{}}"#; self.containers];
            format!(r#"{{"containers":[{}]}}"#, all.join(","))
        });
        let pod_spec: &str = match &empty_containers {
            Some(empty) if !self.pod_spec.is_empty() => empty,
            _ => &self.pod_spec,
        };
        out.push_str(r#"{"kind":"ProwJob","apiVersion":"prow.k8s.io/v1","metadata":"#);
        push_object(
            out,
            &self.metadata,
            &[
                ("labels", if omit.labels { "" } else { &self.labels }),
                (
                    "annotations",
                    if omit.annotations {
                        ""
                    } else {
                        &self.annotations
                    },
                ),
            ],
        );
        out.push_str(r#","spec":"#);
        let decoration = if omit.decoration_config {
            ""
        } else {
            &self.decoration
        };
        push_object(
            out,
            &self.spec,
            &[("pod_spec", pod_spec), ("decoration_config", decoration)],
        );
        out.push_str(r#","status":"#);
        out.push_str(&self.status);
        out.push('}');
    }
}

/// Appends the object `base` with further members; empty members are left out.
fn push_object(out: &mut String, base: &str, members: &[(&str, &str)]) {
    out.push_str(base.strip_suffix('}').unwrap_or("{"));
    for (name, value) in members.iter().filter(|(_, value)| !value.is_empty()) {
        if !out.ends_with('{') {
            out.push(',');
        }
        out.push('"');
        out.push_str(name);
        out.push_str("\":");
        out.push_str(value);
    }
    out.push('}');
}

fn optional_json(value: Option<&Value>) -> String {
    value
        .filter(|value| !value.is_null())
        .map_or_else(String::new, script_json)
}

/// JSON that may also be part of a script: no `<`, and no line separators of old JavaScript.
fn script_json(value: &Value) -> String {
    value
        .to_string()
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}
