//! Brings an object into the shape of its kind before it is judged: types checked, unknown fields dropped, defaults in.

use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::object::child;
use super::resource::{Resource, Shape};
use super::status::{Failure, Result};

/// What to do about fields the kind does not have (`fieldValidation`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    Ignore,
    Warn,
    Strict,
}

impl Strictness {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        match text {
            "Ignore" => Ok(Self::Ignore),
            "" | "Warn" => Ok(Self::Warn),
            "Strict" => Ok(Self::Strict),
            other => Err(Failure::bad_request(format!(
                "fieldValidation: {other:?} is not known"
            ))),
        }
    }
}

/// Shapes the object; returns the warnings for the client.
pub(crate) fn shape(
    resource: &Resource,
    object: &mut Value,
    strictness: Strictness,
) -> Result<Vec<String>> {
    name_type(resource, object)?;
    let mut unknown = shape_meta(resource, object)?;
    match &resource.shape {
        Shape::Typed(of) => {
            let typed = (of.round_trip)(object.clone()).map_err(|error| {
                let (kind, version) = (&resource.kind, &resource.version);
                Failure::bad_request(format!(
                    "{kind} in version {version:?} cannot be handled as a {kind}: {error}"
                ))
            })?;
            lost("", object, &typed, &mut unknown);
            *object = typed;
        }
        Shape::Schema(schema, _) => {
            unknown.extend(schema.prune(object));
            schema.fill(object);
        }
    }
    encode_string_data(resource, object);
    let told: Vec<String> = unknown
        .iter()
        .map(|field| format!("unknown field {field:?}"))
        .collect();
    match strictness {
        Strictness::Ignore => Ok(Vec::new()),
        Strictness::Warn => Ok(told),
        Strictness::Strict if told.is_empty() => Ok(told),
        Strictness::Strict => {
            let (kind, version) = (&resource.kind, &resource.version);
            Err(Failure::bad_request(format!(
                "{kind} in version {version:?} cannot be handled as a {kind}: strict decoding error: {}",
                told.join(", ")
            )))
        }
    }
}

fn name_type(resource: &Resource, object: &mut Value) -> Result<()> {
    if !object.is_object() {
        return Err(Failure::bad_request("the body is not an object"));
    }
    for (field, expected) in [
        ("apiVersion", resource.api_version()),
        ("kind", resource.kind.clone()),
    ] {
        match object[field].as_str() {
            None | Some("") => object[field] = json!(expected),
            Some(given) if given == expected => {}
            Some(given) => {
                return Err(Failure::bad_request(format!(
                    "the {field} in the data ({given}) does not match the expected {field} ({expected})"
                )));
            }
        }
    }
    Ok(())
}

fn shape_meta(resource: &Resource, object: &mut Value) -> Result<Vec<String>> {
    let meta = Value::Object(std::mem::take(child(object, "metadata")));
    let read =
        |meta: &Value| serde_json::to_value(serde_json::from_value::<ObjectMeta>(meta.clone())?);
    let typed = read(&meta).map_err(|error: serde_json::Error| {
        Failure::bad_request(format!(
            "{}: metadata cannot be read: {error}",
            resource.kind
        ))
    })?;
    let mut unknown = Vec::new();
    lost("metadata", &meta, &typed, &mut unknown);
    object["metadata"] = typed;
    Ok(unknown)
}

/// The paths that are in `before` and not in `after`.
fn lost(path: &str, before: &Value, after: &Value, paths: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, one) in before.iter().filter(|(_, one)| !one.is_null()) {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                match after.get(name) {
                    Some(other) => lost(&path, one, other, paths),
                    None => paths.push(path),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            for (index, (one, other)) in before.iter().zip(after).enumerate() {
                lost(&format!("{path}[{index}]"), one, other, paths);
            }
        }
        _ => {}
    }
}

/// A Secret's `stringData` is for writing only.
pub(crate) fn encode_string_data(resource: &Resource, secret: &mut Value) {
    if &**resource.id() != "secrets" {
        return;
    }
    let Some(Value::Object(plain)) = secret
        .as_object_mut()
        .and_then(|secret| secret.remove("stringData"))
    else {
        return;
    };
    let data = child(secret, "data");
    for (name, text) in plain {
        let encoded = BASE64_STANDARD.encode(text.as_str().unwrap_or_default());
        data.insert(name, Value::String(encoded));
    }
}

#[cfg(test)]
mod tests {
    use super::super::resource::Registry;
    use super::*;

    #[test]
    fn unknown_fields_of_built_in_kinds() {
        let registry = Registry::new(std::iter::empty());
        let pods = registry.find("", "v1", "pods").unwrap();
        let pod = json!({"metadata": {"name": "a", "colour": "red"}, "spec": {"containers": [{"name": "c", "img": "x"}]}});
        let mut shaped = pod.clone();
        let warnings = shape(pods, &mut shaped, Strictness::Warn).unwrap();
        assert_eq!(
            warnings,
            [
                "unknown field \"metadata.colour\"",
                "unknown field \"spec.containers[0].img\""
            ]
        );
        assert_eq!(shaped["spec"]["containers"][0], json!({"name": "c"}));
        assert_eq!(shaped["kind"], "Pod");
        assert!(shape(pods, &mut pod.clone(), Strictness::Strict).is_err());
        let mut wrong = json!({"spec": {"containers": [{"name": 7}]}});
        assert!(shape(pods, &mut wrong, Strictness::Ignore).is_err());
        let mut other = json!({"kind": "Job"});
        assert!(shape(pods, &mut other, Strictness::Ignore).is_err());
    }

    #[test]
    fn string_data_becomes_data() {
        let registry = Registry::new(std::iter::empty());
        let secrets = registry.find("", "v1", "secrets").unwrap();
        let mut secret = json!({"stringData": {"hmac": "abc"}});
        shape(secrets, &mut secret, Strictness::Strict).unwrap();
        assert_eq!(secret["data"], json!({"hmac": "YWJj"}));
        assert!(secret.get("stringData").is_none());
    }
}
