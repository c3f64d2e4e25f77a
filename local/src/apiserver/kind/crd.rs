//! The rules of a `CustomResourceDefinition`, and its status, which says that its kind is served.

use serde_json::{Value, json};

use super::super::object::metadata_field;
use super::super::status::{StatusCause, StatusError, StatusResult};

const APPROVAL_ANNOTATION: &str = "api-approved.kubernetes.io";

pub(super) fn validate_crd(crd: &Value) -> StatusResult<Vec<StatusCause>> {
    let spec = &crd["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut causes = Vec::new();
    let mut require = |value: &Value, field: &str| {
        if value.as_str().is_none_or(str::is_empty) {
            causes.push(StatusCause::required_value(field, ""));
        }
    };
    require(&spec["group"], "spec.group");
    require(&spec["names"]["plural"], "spec.names.plural");
    require(&spec["names"]["kind"], "spec.names.kind");
    let expected = format!(
        "{}.{}",
        text(&spec["names"]["plural"]),
        text(&spec["group"])
    );
    if is_protected(&text(&spec["group"]))
        && !is_approved(&crd["metadata"]["annotations"][APPROVAL_ANNOTATION])
    {
        let detail = "protected groups must have approval annotation \"api-approved.kubernetes.io\", \
             see https://github.com/kubernetes/enhancements/pull/1111";
        causes.push(StatusCause::required_value(
            format!("metadata.annotations[{APPROVAL_ANNOTATION}]"),
            detail,
        ));
    }
    if metadata_field(crd, "name") != expected {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        causes.push(StatusCause::invalid_value(
            "metadata.name",
            &crd["metadata"]["name"],
            detail,
        ));
    }
    if !["Namespaced", "Cluster"]
        .iter()
        .any(|scope| spec["scope"] == *scope)
    {
        let allowed = ["\"Cluster\"", "\"Namespaced\""].map(str::to_owned);
        causes.push(StatusCause::unsupported_value(
            "spec.scope",
            &spec["scope"],
            &allowed,
        ));
    }
    let versions = spec["versions"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    if versions
        .iter()
        .filter(|version| version["storage"] == true)
        .count()
        != 1
    {
        let detail = "must have exactly one version marked as storage version";
        causes.push(StatusCause::invalid_value(
            "spec.versions",
            &json!(versions.len()),
            detail,
        ));
    }
    for (index, version) in versions.iter().enumerate() {
        if !version["schema"]["openAPIV3Schema"].is_object() {
            let field = format!("spec.versions[{index}].schema.openAPIV3Schema");
            causes.push(StatusCause::required_value(field, "schemas are required"));
        }
        refuse_unsupported(version)?;
    }
    if spec["conversion"]["strategy"]
        .as_str()
        .is_some_and(|strategy| strategy != "None")
        || versions
            .iter()
            .filter(|version| version["served"] == true)
            .count()
            > 1
    {
        return Err(StatusError::not_built(
            "conversion between versions of a custom kind",
        ));
    }
    Ok(causes)
}

/// Whether the group's name is reserved for Kubernetes.
fn is_protected(group: &str) -> bool {
    ["k8s.io", "kubernetes.io"].iter().any(|suffix| {
        group
            .strip_suffix(suffix)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// Whether the annotation is the URL of the approval, or says that there is none.
fn is_approved(annotation: &Value) -> bool {
    annotation.as_str().is_some_and(|text| {
        text.starts_with("unapproved")
            || url::Url::parse(text).is_ok_and(|url| url.host_str().is_some())
    })
}

fn refuse_unsupported(version: &Value) -> StatusResult<()> {
    if names_key(&version["schema"], "x-kubernetes-validations") {
        return Err(StatusError::not_built(
            "x-kubernetes-validations (CEL rules)",
        ));
    }
    if version["subresources"]["scale"].is_object() {
        return Err(StatusError::not_built("the scale subresource"));
    }
    Ok(())
}

fn names_key(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(map) => map
            .iter()
            .any(|(name, one)| name == key || names_key(one, key)),
        Value::Array(all) => all.iter().any(|one| names_key(one, key)),
        _ => false,
    }
}

/// Sets the status. An accepted definition is served as soon as it is committed.
pub(super) fn set_crd_status(crd: &mut Value, now: &Value) {
    let spec = &crd["spec"];
    let mut names = spec["names"].clone();
    if names["singular"].as_str().is_none_or(str::is_empty) {
        names["singular"] = json!(names["kind"].as_str().unwrap_or_default().to_lowercase());
    }
    if names["listKind"].as_str().is_none_or(str::is_empty) {
        names["listKind"] = json!(format!(
            "{}List",
            names["kind"].as_str().unwrap_or_default()
        ));
    }
    let stored: Vec<Value> = spec["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
        .collect();
    let since = crd["status"]["conditions"][0]["lastTransitionTime"]
        .as_str()
        .map_or_else(|| now.clone(), |at| json!(at));
    let condition = |kind: &str, reason: &str, message: &str| json!({"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": since});
    crd["status"] = json!({
        "acceptedNames": names,
        "storedVersions": stored,
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
    });
    crd["spec"]["names"] = names;
    if crd["spec"]["conversion"]["strategy"].is_null() {
        crd["spec"]["conversion"] = json!({"strategy": "None"});
    }
}
