//! `/openapi`: what kubectl's validation needs to know, which is that the server validates by itself.
//!
//! Every kind is listed with the `fieldValidation` parameter and no schema: kubectl then asks the server to be strict
//! instead of judging alone. `kubectl explain` has nothing to show.

use serde_json::{Map, Value, json};

use super::resource::{Registry, Resource};

/// `/openapi/v2`
pub(crate) fn v2(registry: &Registry) -> Value {
    json!({"swagger": "2.0", "info": info(), "paths": paths(registry.all().map(AsRef::as_ref)), "definitions": {}})
}

/// The same with nothing in it, in protobuf (`openapi.v2.Document`): kubectl before 1.27 reads no JSON here, and
/// takes a kind without a schema as valid.
pub(crate) fn v2_protobuf() -> Vec<u8> {
    let field = |number: u8, content: &[u8]| -> Vec<u8> {
        let length = u8::try_from(content.len()).expect("short texts");
        [&[number << 3 | 2, length], content].concat()
    };
    let info = [field(1, b"Kubernetes"), field(2, b"embedded")].concat();
    [field(1, b"2.0"), field(2, &info)].concat()
}

/// `/openapi/v3`: where each group's document is.
pub(crate) fn v3(registry: &Registry) -> Value {
    let mut documents = Map::new();
    for resource in registry.all() {
        let path = root(resource);
        documents.insert(
            path.clone(),
            json!({"serverRelativeURL": format!("/openapi/v3/{path}")}),
        );
    }
    json!({"paths": documents})
}

/// `/openapi/v3/api/v1` and the like, unless nothing is served there.
pub(crate) fn v3_group(registry: &Registry, path: &str) -> Option<Value> {
    let paths = paths(
        registry
            .all()
            .map(AsRef::as_ref)
            .filter(|resource| root(resource) == path),
    );
    if paths.is_empty() {
        return None;
    }
    Some(json!({"openapi": "3.0.0", "info": info(), "paths": paths, "components": {"schemas": {}}}))
}

fn info() -> Value {
    json!({"title": "Kubernetes", "version": "embedded"})
}

fn root(resource: &Resource) -> String {
    if resource.group.is_empty() {
        format!("api/{}", resource.version)
    } else {
        format!("apis/{}/{}", resource.group, resource.version)
    }
}

fn paths<'a>(resources: impl Iterator<Item = &'a Resource>) -> Map<String, Value> {
    let mut paths = Map::new();
    for resource in resources {
        let scope = if resource.namespaced {
            "namespaces/{namespace}/"
        } else {
            ""
        };
        let path = format!("/{}/{scope}{}/{{name}}", root(resource), resource.plural);
        let patch = json!({
            "operationId": format!("patch{}", resource.kind),
            "parameters": [parameter("fieldValidation"), parameter("dryRun"), parameter("fieldManager")],
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind":
                {"group": resource.group, "version": resource.version, "kind": resource.kind},
        });
        paths.insert(path, json!({"patch": patch}));
    }
    paths
}

fn parameter(name: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}})
}
