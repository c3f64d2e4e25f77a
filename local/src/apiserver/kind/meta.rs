//! The rules for names, labels and annotations.

use serde_json::{Value, json};

use super::super::object::metadata_field;
use super::super::resource::ServedResource;
use super::super::status::StatusCause;
use super::names;

/// The size of all annotations of an object together.
const ANNOTATION_BYTES: usize = 256 << 10;

pub(super) fn validate_metadata(
    resource: &ServedResource,
    object: &Value,
    old: Option<&Value>,
) -> Vec<StatusCause> {
    let mut causes: Vec<StatusCause> = old
        .and_then(|old| check_new_finalizers(object, old))
        .into_iter()
        .collect();
    let name = metadata_field(object, "name");
    if name.is_empty() {
        causes.push(StatusCause::required_value(
            "metadata.name",
            "name or generateName is required",
        ));
    } else {
        let wrong = match (&*resource.group, &*resource.plural) {
            // Roles may be called `system:node`.
            ("rbac.authorization.k8s.io", _) => names::check_path_segment(name),
            ("", "namespaces" | "services") => names::check_dns_label(name),
            _ => names::check_dns_subdomain(name),
        };
        causes.extend(StatusCause::invalid_values(
            "metadata.name",
            &json!(name),
            &wrong,
        ));
    }
    for (key, value) in object["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let wrong = names::check_label_key(key);
        causes.extend(StatusCause::invalid_values(
            "metadata.labels",
            &json!(key),
            &wrong,
        ));
        let wrong = names::check_label_value(value.as_str().unwrap_or_default());
        causes.extend(StatusCause::invalid_values(
            "metadata.labels",
            value,
            &wrong,
        ));
    }
    let mut size = 0;
    for (key, value) in object["metadata"]["annotations"]
        .as_object()
        .into_iter()
        .flatten()
    {
        size += key.len() + value.as_str().map_or(0, str::len);
        let wrong = names::check_label_key(&key.to_lowercase());
        causes.extend(StatusCause::invalid_values(
            "metadata.annotations",
            &json!(key),
            &wrong,
        ));
    }
    if size > ANNOTATION_BYTES {
        causes.push(StatusCause {
            reason: "FieldValueTooLong",
            field: "metadata.annotations".to_owned(),
            message: format!("Too long: may not be more than {ANNOTATION_BYTES} bytes"),
        });
    }
    for (index, owner) in object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                causes.push(StatusCause::required_value(
                    format!("metadata.ownerReferences[{index}].{field}"),
                    "must not be empty",
                ));
            }
        }
    }
    causes
}

/// Refuses new finalizers on an object that is being deleted.
fn check_new_finalizers(object: &Value, old: &Value) -> Option<StatusCause> {
    if !old["metadata"]["deletionTimestamp"].is_string() {
        return None;
    }
    let finalizers = |object: &'_ Value| -> Vec<Value> {
        let all = object["metadata"]["finalizers"].as_array();
        all.cloned().unwrap_or_default()
    };
    let before = finalizers(old);
    let late: Vec<String> = finalizers(object)
        .iter()
        .filter(|one| !before.contains(one))
        .map(Value::to_string)
        .collect();
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        late.join(", ")
    );
    (!late.is_empty()).then(|| StatusCause::forbidden_field("metadata.finalizers", &detail))
}
