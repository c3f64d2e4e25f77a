//! Decodes an object by the schema of its kind before validation: checks types, drops unknown
//! fields, fills in defaults.

use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::object::ensure_child_object;
use super::resource::{ResourceSchema, ServedResource};
use super::status::{StatusError, StatusResult};

/// What happens to fields that the kind does not have (`fieldValidation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

impl FieldValidation {
    pub(crate) fn parse_param(text: &str) -> StatusResult<Self> {
        match text {
            "Ignore" => Ok(Self::Ignore),
            "" | "Warn" => Ok(Self::Warn),
            "Strict" => Ok(Self::Strict),
            other => Err(StatusError::bad_request(format!(
                "fieldValidation: {other:?} is not known"
            ))),
        }
    }
}

/// Decodes the object in place. Returns the warnings for the client.
pub(crate) fn decode_object(
    resource: &ServedResource,
    object: &mut Value,
    strictness: FieldValidation,
) -> StatusResult<Vec<String>> {
    complete_type_meta(resource, object)?;
    let mut unknown = decode_metadata(resource, object)?;
    match &resource.shape {
        ResourceSchema::Typed(of) => {
            let typed = (of.round_trip)(object.clone()).map_err(|error| {
                let (kind, version) = (&resource.kind, &resource.version);
                StatusError::bad_request(format!(
                    "{kind} in version {version:?} cannot be handled as a {kind}: {error}"
                ))
            })?;
            list_dropped_fields("", object, &typed, &mut unknown);
            *object = typed;
        }
        ResourceSchema::Schema(schema, _) => {
            unknown.extend(schema.prune_unknown_fields(object));
            schema.fill_defaults(object);
        }
    }
    encode_string_data(resource, object);
    let told: Vec<String> = unknown
        .iter()
        .map(|field| format!("unknown field {field:?}"))
        .collect();
    match strictness {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(told),
        FieldValidation::Strict if told.is_empty() => Ok(told),
        FieldValidation::Strict => {
            let (kind, version) = (&resource.kind, &resource.version);
            Err(StatusError::bad_request(format!(
                "{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {}",
                told.join(", ")
            )))
        }
    }
}

fn complete_type_meta(resource: &ServedResource, object: &mut Value) -> StatusResult<()> {
    if !object.is_object() {
        return Err(StatusError::bad_request("the body is not an object"));
    }
    for (field, expected) in [
        ("apiVersion", resource.api_version()),
        ("kind", resource.kind.clone()),
    ] {
        match object[field].as_str() {
            None | Some("") => object[field] = json!(expected),
            Some(given) if given == expected => {}
            Some(given) => {
                return Err(StatusError::bad_request(format!(
                    "the {field} in the data ({given}) does not match the expected {field} ({expected})"
                )));
            }
        }
    }
    Ok(())
}

fn decode_metadata(resource: &ServedResource, object: &mut Value) -> StatusResult<Vec<String>> {
    let meta = Value::Object(std::mem::take(ensure_child_object(object, "metadata")));
    let read =
        |meta: &Value| serde_json::to_value(serde_json::from_value::<ObjectMeta>(meta.clone())?);
    let typed = read(&meta).map_err(|error: serde_json::Error| {
        StatusError::bad_request(format!(
            "{}: metadata cannot be read: {error}",
            resource.kind
        ))
    })?;
    let mut unknown = Vec::new();
    list_dropped_fields("metadata", &meta, &typed, &mut unknown);
    object["metadata"] = typed;
    Ok(unknown)
}

/// Lists the paths that are in `before` and not in `after`.
fn list_dropped_fields(path: &str, before: &Value, after: &Value, paths: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, one) in before.iter().filter(|(_, one)| !one.is_null()) {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                match after.get(name) {
                    Some(other) => list_dropped_fields(&path, one, other, paths),
                    None => paths.push(path),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for (index, (one, other)) in before.iter().zip(after).enumerate() {
                list_dropped_fields(&format!("{path}[{index}]"), one, other, paths);
            }
        }
        _ => {}
    }
}

/// Moves a Secret's write-only `stringData` into `data`, as base64.
pub(crate) fn encode_string_data(resource: &ServedResource, secret: &mut Value) {
    if &**resource.id() != "secrets" {
        return;
    }
    let Some(Value::Object(plain)) = secret
        .as_object_mut()
        .and_then(|secret| secret.remove("stringData"))
    else {
        return;
    };
    let data = ensure_child_object(secret, "data");
    for (name, text) in plain {
        let encoded = BASE64_STANDARD.encode(text.as_str().unwrap_or_default());
        data.insert(name, Value::String(encoded));
    }
}

#[cfg(test)]
mod tests {
    use super::super::resource::ResourceRegistry;
    use super::*;

    #[test]
    fn unknown_fields_of_built_in_kinds() {
        let registry = ResourceRegistry::new(std::iter::empty());
        let pods = registry.find_resource("", "v1", "pods").unwrap();
        let pod = json!({"metadata": {"name": "a", "colour": "red"}, "spec": {"containers": [{"name": "c", "img": "x"}]}});
        let mut shaped = pod.clone();
        let warnings = decode_object(pods, &mut shaped, FieldValidation::Warn).unwrap();
        assert_eq!(
            warnings,
            [
                "unknown field \"metadata.colour\"",
                "unknown field \"spec.containers[0].img\""
            ]
        );
        assert_eq!(shaped["spec"]["containers"][0], json!({"name": "c"}));
        assert_eq!(shaped["kind"], "Pod");
        assert!(decode_object(pods, &mut pod.clone(), FieldValidation::Strict).is_err());
        let mut wrong = json!({"spec": {"containers": [{"name": 7}]}});
        assert!(decode_object(pods, &mut wrong, FieldValidation::Ignore).is_err());
        let mut other = json!({"kind": "Job"});
        assert!(decode_object(pods, &mut other, FieldValidation::Ignore).is_err());
    }

    #[test]
    fn string_data_becomes_data() {
        let registry = ResourceRegistry::new(std::iter::empty());
        let secrets = registry.find_resource("", "v1", "secrets").unwrap();
        let mut secret = json!({"stringData": {"hmac": "abc"}});
        decode_object(secrets, &mut secret, FieldValidation::Strict).unwrap();
        assert_eq!(secret["data"], json!({"hmac": "YWJj"}));
        assert!(secret.get("stringData").is_none());
    }
}
