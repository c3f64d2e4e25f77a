//! Discovery: the groups, versions and kinds that clients ask for first.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::resource::{ResourceRegistry, ServedResource};

/// `/version`. Clients choose their behaviour by it. It is the version of the built-in types.
pub(crate) fn version_info() -> Value {
    json!({
        "major": "1", "minor": "32", "gitVersion": "v1.32.0+embedded", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none", "compiler": "none", "platform": "linux/amd64",
    })
}

/// `/api`
pub(crate) fn core_versions() -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []})
}

/// `/apis`
pub(crate) fn list_api_groups(registry: &ResourceRegistry) -> Value {
    let names: BTreeSet<&str> = registry
        .list_resources()
        .map(|one| one.group.as_str())
        .filter(|group| !group.is_empty())
        .collect();
    let groups: Vec<Value> = names
        .into_iter()
        .filter_map(|name| find_api_group(registry, name))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`, unless there is no such group.
pub(crate) fn find_api_group(registry: &ResourceRegistry, name: &str) -> Option<Value> {
    let of_group = registry
        .list_resources()
        .filter(|one| one.group == name && !name.is_empty());
    let versions: BTreeSet<&str> = of_group.map(|one| one.version.as_str()).collect();
    let versions: Vec<Value> = versions
        .into_iter()
        .map(|version| json!({"groupVersion": format!("{name}/{version}"), "version": version}))
        .collect();
    let preferred = versions.last()?.clone();
    Some(json!({
        "kind": "APIGroup", "apiVersion": "v1", "name": name, "versions": versions, "preferredVersion": preferred,
    }))
}

/// `/api/v1` and `/apis/GROUP/VERSION`, unless nothing is served there.
pub(crate) fn list_api_resources(
    registry: &ResourceRegistry,
    group: &str,
    version: &str,
) -> Option<Value> {
    if (group, version) == ("authorization.k8s.io", "v1") {
        return Some(list_review_resources());
    }
    let mut listed = BTreeMap::new();
    for resource in registry
        .list_resources()
        .filter(|one| one.group == group && one.version == version)
    {
        add_api_resource(resource, &mut listed);
    }
    if listed.is_empty() {
        return None;
    }
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    let listed: Vec<Value> = listed.into_values().collect();
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed,
    }))
}

fn add_api_resource(resource: &ServedResource, listed: &mut BTreeMap<String, Value>) {
    let mut entry = json!({
        "name": resource.plural, "singularName": resource.singular, "kind": resource.kind,
        "namespaced": resource.namespaced,
        "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    });
    if !resource.short_names.is_empty() {
        entry["shortNames"] = json!(resource.short_names);
    }
    if !resource.categories.is_empty() {
        entry["categories"] = json!(resource.categories);
    }
    listed.insert(resource.plural.clone(), entry);
    let mut sub = |name: &str, kind: &str, verbs: &[&str]| {
        let name = format!("{}/{name}", resource.plural);
        let entry = json!({
            "name": name, "singularName": "", "kind": kind, "namespaced": resource.namespaced, "verbs": verbs,
        });
        listed.insert(name, entry);
    };
    if resource.status {
        sub("status", &resource.kind, &["get", "patch", "update"]);
    }
    if &**resource.id() == "pods" {
        sub("log", "Pod", &["get"]);
        sub("binding", "Binding", &["create"]);
    }
}

fn list_review_resources() -> Value {
    let review = |name: &str, kind: &str| json!({"name": name, "singularName": "", "kind": kind, "namespaced": false, "verbs": ["create"]});
    json!({
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "authorization.k8s.io/v1",
        "resources": [
            review("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
            review("selfsubjectrulesreviews", "SelfSubjectRulesReview"),
        ],
    })
}
