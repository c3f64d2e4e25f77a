//! `/openapi`: what `kubectl explain` shows, and what kubectl's validation reads. Every kind is
//! listed with the `fieldValidation` parameter, which says that the server validates.
//!
//! Version 3 describes all kinds, Kubernetes' own from their types. Version 2 describes none.
//! kubectl uses version 2 only where there is no version 3, and takes a kind without a schema as
//! valid.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::resource::{ResourceRegistry, ResourceSchema, ServedResource};

/// `/openapi/v2`
pub(crate) fn v2_document(registry: &ResourceRegistry) -> Value {
    json!({"swagger": "2.0", "info": document_info(), "paths": build_paths(registry.list_resources().map(AsRef::as_ref)), "definitions": {}})
}

/// The same document, but empty, in protobuf (`openapi.v2.Document`). kubectl before 1.27 reads no
/// JSON here, and takes a kind without a schema as valid.
pub(crate) fn v2_protobuf() -> Vec<u8> {
    let field = |number: u8, content: &[u8]| -> Vec<u8> {
        let length = u8::try_from(content.len()).expect("short texts");
        [&[number << 3 | 2, length], content].concat()
    };
    let info = [field(1, b"Kubernetes"), field(2, b"embedded")].concat();
    [field(1, b"2.0"), field(2, &info)].concat()
}

/// `/openapi/v3`: the URL of each group's document.
pub(crate) fn v3_index(registry: &ResourceRegistry) -> Value {
    let mut documents = Map::new();
    for resource in registry.list_resources() {
        let path = group_version_path(resource);
        documents.insert(
            path.clone(),
            json!({"serverRelativeURL": format!("/openapi/v3/{path}")}),
        );
    }
    json!({"paths": documents})
}

/// `/openapi/v3/api/v1` and the like. `None` if nothing is served there.
pub(crate) fn v3_group_document(registry: &ResourceRegistry, path: &str) -> Option<Value> {
    let all = registry.list_resources().map(AsRef::as_ref);
    let resources: Vec<&ServedResource> = all
        .filter(|resource| group_version_path(resource) == path)
        .collect();
    if resources.is_empty() {
        return None;
    }
    let schemas = build_schemas(&resources);
    let paths = build_paths(resources.into_iter());
    Some(
        json!({"openapi": "3.0.0", "info": document_info(), "paths": paths, "components": {"schemas": schemas}}),
    )
}

/// The schemas of the kinds and of all types they contain, by name.
fn build_schemas(resources: &[&ServedResource]) -> Map<String, Value> {
    let mut generator = SchemaSettings::openapi3().into_generator();
    let mut custom = Vec::new();
    let mut kinds = Vec::new();
    for resource in resources {
        let name = match &resource.shape {
            ResourceSchema::Typed(of) => (of.describe)(&mut generator).into_owned(),
            ResourceSchema::Schema(_, schema) => {
                let meta = generator.subschema_for::<ObjectMeta>();
                let name = custom_name(resource);
                custom.push((name.clone(), with_object_fields(schema, meta.to_value())));
                name
            }
        };
        kinds.push((name, resource));
    }
    let mut schemas = generator.take_definitions(true);
    schemas.extend(custom);
    for (name, resource) in kinds {
        if let Some(schema) = schemas.get_mut(&name) {
            schema[KIND_OF] = json!([group_version_kind(resource)]);
        }
    }
    schemas
}

/// The name that a real server gives the schema: with the parts of the group reversed.
fn custom_name(resource: &ServedResource) -> String {
    let group: Vec<&str> = resource.group.rsplit('.').collect();
    format!("{}.{}.{}", group.join("."), resource.version, resource.kind)
}

/// The schema of a custom kind, with the fields that every object has.
fn with_object_fields(schema: &Value, meta: Value) -> Value {
    let mut schema = schema.clone();
    let text = |description: &str| json!({"type": "string", "description": description});
    schema["properties"]["apiVersion"] = text("The group and version of the kind.");
    schema["properties"]["kind"] = text("The kind of the object.");
    schema["properties"]["metadata"] = json!({
        "description": "What every object has: its name, labels, annotations, owners.", "allOf": [meta],
    });
    schema
}

/// The kind that a path or a schema is about.
const KIND_OF: &str = "x-kubernetes-group-version-kind";

fn group_version_kind(resource: &ServedResource) -> Value {
    json!({"group": resource.group, "version": resource.version, "kind": resource.kind})
}

fn document_info() -> Value {
    json!({"title": "Kubernetes", "version": "embedded"})
}

fn group_version_path(resource: &ServedResource) -> String {
    if resource.group.is_empty() {
        format!("api/{}", resource.version)
    } else {
        format!("apis/{}/{}", resource.group, resource.version)
    }
}

fn build_paths<'a>(resources: impl Iterator<Item = &'a ServedResource>) -> Map<String, Value> {
    let mut paths = Map::new();
    for resource in resources {
        let scope = if resource.namespaced {
            "namespaces/{namespace}/"
        } else {
            ""
        };
        let path = format!(
            "/{}/{scope}{}/{{name}}",
            group_version_path(resource),
            resource.plural
        );
        let patch = json!({
            "operationId": format!("patch{}", resource.kind),
            "parameters": [query_parameter("fieldValidation"), query_parameter("dryRun"), query_parameter("fieldManager")],
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": "patch",
            KIND_OF: group_version_kind(resource),
        });
        paths.insert(path, json!({"patch": patch}));
    }
    paths
}

fn query_parameter(name: &str) -> Value {
    json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}})
}
