//! The rules of a Pod: what makes a new one invalid, and what may change afterwards.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::object::ensure_child_object;
use super::super::status::StatusCause;
use super::names;

/// Sets the defaults that pod runners and clients read, and the first status.
pub(super) fn set_pod_defaults(pod: &mut Value) {
    let spec = ensure_child_object(pod, "spec");
    for (field, value) in [
        ("restartPolicy", json!("Always")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("dnsPolicy", json!("ClusterFirst")),
        ("schedulerName", json!("default-scheduler")),
        ("securityContext", json!({})),
        ("enableServiceLinks", json!(true)),
    ] {
        spec.entry(field).or_insert(value);
    }
    for list in ["containers", "initContainers"] {
        for container in spec
            .get_mut(list)
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            set_container_defaults(container);
        }
    }
    pod["status"] = json!({"phase": "Pending", "qosClass": "BestEffort"});
}

fn set_container_defaults(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let tag = image.rsplit('/').next().unwrap_or_default();
    let latest = !image.contains('@') && (!tag.contains(':') || tag.ends_with(":latest"));
    let Some(container) = container.as_object_mut() else {
        return;
    };
    for (field, value) in [
        (
            "imagePullPolicy",
            json!(if latest { "Always" } else { "IfNotPresent" }),
        ),
        ("terminationMessagePath", json!("/dev/termination-log")),
        ("terminationMessagePolicy", json!("File")),
        ("resources", json!({})),
    ] {
        container.entry(field).or_insert(value);
    }
}

pub(super) fn validate_pod(pod: &Value) -> Vec<StatusCause> {
    let mut causes = Vec::new();
    let spec = &pod["spec"];
    let volumes = validate_volumes(spec, &mut causes);
    let mut taken = BTreeSet::new();
    if spec["containers"].as_array().is_none_or(Vec::is_empty) {
        causes.push(StatusCause::required_value("spec.containers", ""));
    }
    for list in ["initContainers", "containers"] {
        for (index, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            let path = format!("spec.{list}[{index}]");
            let name = container["name"].as_str().unwrap_or_default();
            if name.is_empty() {
                causes.push(StatusCause::required_value(format!("{path}.name"), ""));
            } else {
                causes.extend(check_name(&format!("{path}.name"), name, &mut taken));
            }
            validate_container(&path, container, &volumes, &mut causes);
        }
    }
    let policy = &spec["restartPolicy"];
    if !["Always", "OnFailure", "Never"]
        .iter()
        .any(|one| policy == one)
    {
        let allowed = ["\"Always\"", "\"OnFailure\"", "\"Never\""].map(str::to_owned);
        causes.push(StatusCause::unsupported_value(
            "spec.restartPolicy",
            policy,
            &allowed,
        ));
    }
    if spec["activeDeadlineSeconds"]
        .as_i64()
        .is_some_and(|seconds| seconds < 1)
    {
        let detail = "must be between 1 and 2147483647, inclusive";
        causes.push(StatusCause::invalid_value(
            "spec.activeDeadlineSeconds",
            &spec["activeDeadlineSeconds"],
            detail,
        ));
    }
    causes
}

fn validate_volumes<'a>(spec: &'a Value, causes: &mut Vec<StatusCause>) -> BTreeSet<&'a str> {
    let mut taken = BTreeSet::new();
    for (index, volume) in spec["volumes"].as_array().into_iter().flatten().enumerate() {
        let path = format!("spec.volumes[{index}].name");
        let name = volume["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            causes.push(StatusCause::required_value(path, ""));
        } else {
            causes.extend(check_name(&path, name, &mut taken));
        }
    }
    taken
}

/// Checks that the name is a DNS label and is not taken.
fn check_name<'a>(field: &str, name: &'a str, taken: &mut BTreeSet<&'a str>) -> Vec<StatusCause> {
    let value = json!(name);
    let mut wrong = StatusCause::invalid_values(field, &value, &names::check_dns_label(name));
    if wrong.is_empty() && !taken.insert(name) {
        wrong.push(StatusCause::duplicate_value(field, &value));
    }
    wrong
}

fn validate_container(
    path: &str,
    container: &Value,
    volumes: &BTreeSet<&str>,
    causes: &mut Vec<StatusCause>,
) {
    if container["image"].as_str().is_none_or(str::is_empty) {
        causes.push(StatusCause::required_value(format!("{path}.image"), ""));
    }
    for (index, variable) in container["env"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        if variable["name"].as_str().is_none_or(str::is_empty) {
            causes.push(StatusCause::required_value(
                format!("{path}.env[{index}].name"),
                "",
            ));
        }
    }
    let mut mounted = BTreeSet::new();
    for (index, mount) in container["volumeMounts"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let path = format!("{path}.volumeMounts[{index}]");
        match mount["name"].as_str().unwrap_or_default() {
            "" => causes.push(StatusCause::required_value(format!("{path}.name"), "")),
            name if !volumes.contains(name) => causes.push(StatusCause::not_found(
                format!("{path}.name"),
                &mount["name"],
            )),
            _ => {}
        }
        match mount["mountPath"].as_str().unwrap_or_default() {
            "" => causes.push(StatusCause::required_value(format!("{path}.mountPath"), "")),
            at if !mounted.insert(at) => {
                let detail = "must be unique";
                causes.push(StatusCause::invalid_value(
                    format!("{path}.mountPath"),
                    &mount["mountPath"],
                    detail,
                ));
            }
            _ => {}
        }
    }
}

/// Refuses changes of a pod's spec, except those of a few fields.
pub(super) fn validate_pod_update(old: &Value, new: &Value) -> Vec<StatusCause> {
    if immutable_fields(&old["spec"]) == immutable_fields(&new["spec"]) {
        return Vec::new();
    }
    let detail = "pod updates may not change fields other than `spec.containers[*].image`, \
         `spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to existing \
         tolerations), `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
    vec![StatusCause::forbidden_field("spec", detail)]
}

fn immutable_fields(spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(map) = spec.as_object_mut() {
        map.remove("activeDeadlineSeconds");
        map.remove("tolerations");
        map.remove("terminationGracePeriodSeconds");
        for list in ["containers", "initContainers"] {
            for container in map
                .get_mut(list)
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                container["image"] = Value::Null;
            }
        }
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_new_pod_is_refused_for() {
        let container = |more: Value| {
            let mut container = json!({"name": "c", "image": "i"});
            for (name, value) in more.as_object().unwrap() {
                container[name] = value.clone();
            }
            container
        };
        let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path});
        let cases: &[(&str, Value, &[&str])] = &[
            ("fine", json!({"containers": [container(json!({}))]}), &[]),
            ("no containers", json!({}), &["spec.containers"]),
            (
                "no image",
                json!({"containers": [{"name": "c"}]}),
                &["spec.containers[0].image"],
            ),
            (
                "no name",
                json!({"containers": [{"image": "c"}]}),
                &["spec.containers[0].name"],
            ),
            (
                "bad name",
                json!({"containers": [container(json!({"name": "A b"}))]}),
                &["spec.containers[0].name"],
            ),
            (
                "one name twice",
                json!({"initContainers": [container(json!({}))], "containers": [container(json!({}))]}),
                &["spec.containers[0].name"],
            ),
            (
                "missing volume",
                json!({"containers": [container(json!({"volumeMounts": [mount("v", "/v")]}))]}),
                &["spec.containers[0].volumeMounts[0].name"],
            ),
            (
                "two mounts at one path",
                json!({
                    "volumes": [{"name": "v"}, {"name": "w"}],
                    "containers": [container(json!({"volumeMounts": [mount("v", "/v"), mount("w", "/v")]}))],
                }),
                &["spec.containers[0].volumeMounts[1].mountPath"],
            ),
            (
                "one volume twice",
                json!({"volumes": [{"name": "v"}, {"name": "v"}], "containers": [container(json!({}))]}),
                &["spec.volumes[1].name"],
            ),
            (
                "restart policy",
                json!({"restartPolicy": "Sometimes", "containers": [container(json!({}))]}),
                &["spec.restartPolicy"],
            ),
        ];
        for (name, spec, expected) in cases {
            let mut pod = json!({"spec": spec});
            set_pod_defaults(&mut pod);
            let fields: Vec<String> = validate_pod(&pod)
                .into_iter()
                .map(|cause| cause.field)
                .collect();
            assert_eq!(&fields, expected, "{name}");
        }
    }

    #[test]
    fn what_may_change() {
        let old = json!({"spec": {"containers": [{"name": "c", "image": "a"}]}});
        let mut new = old.clone();
        new["spec"]["containers"][0]["image"] = json!("b");
        assert!(validate_pod_update(&old, &new).is_empty());
        new["spec"]["nodeName"] = json!("elsewhere");
        assert_eq!(validate_pod_update(&old, &new)[0].field, "spec");
    }
}
