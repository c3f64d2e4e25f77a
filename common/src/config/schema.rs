//! What a document may contain, taken from the types' own JSON Schemas: finds unknown fields and
//! values of the wrong kind with their path, and turns scalars into texts where Kubernetes wants
//! texts.

use std::{collections::BTreeMap, sync::LazyLock};

use k8s_openapi::api::core::v1::{PodSpec, ResourceRequirements};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use super::problem::{Path, nearest};

/// The kinds of values at a place.
#[derive(Debug)]
pub(super) enum Shape {
    Any,
    Text,
    Integer,
    Number,
    Bool,
    List(Box<Shape>),
    Map(Box<Shape>),
    /// Only these fields.
    Fields(BTreeMap<String, Shape>),
}

/// A pod's spec.
pub(super) static POD_SPEC: LazyLock<Shape> = LazyLock::new(Shape::of::<PodSpec>);
/// A container's resources.
pub(super) static RESOURCES: LazyLock<Shape> = LazyLock::new(Shape::of::<ResourceRequirements>);

/// What to do about a field that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Leaves it: Prow reads configuration that is newer than itself.
    Keep,
    Refuse,
}

/// A mistake at a path: message and hint.
pub(super) type Report<'r> = dyn FnMut(&Path<'_>, String, Option<String>) + 'r;

impl Shape {
    pub(super) fn of<T: JsonSchema>() -> Self {
        let settings = SchemaSettings::default().with(|settings| {
            settings.inline_subschemas = true;
        });
        let schema = settings.into_generator().into_root_schema_for::<T>();
        Self::from_schema("", &schema.to_value())
    }

    fn from_schema(name: &str, schema: &Value) -> Self {
        if schema.get("x-kubernetes-int-or-string").is_some() {
            // Two types share this mark. Ports are numbers or names; all others are quantities,
            // which are written as texts.
            return if name == "port" {
                Self::Any
            } else {
                Self::Text
            };
        }
        if let Some(only) = only_alternative(schema) {
            return Self::from_schema(name, only);
        }
        if let Some(fields) = schema.get("properties").and_then(Value::as_object) {
            let fields = fields
                .iter()
                .map(|(name, schema)| (name.clone(), Self::from_schema(name, schema)));
            return Self::Fields(fields.collect());
        }
        match kind(schema) {
            Some("array") => Self::List(Box::new(
                schema
                    .get("items")
                    .map_or(Self::Any, |items| Self::from_schema("", items)),
            )),
            Some("object") => match schema.get("additionalProperties") {
                Some(values @ Value::Object(_)) => {
                    Self::Map(Box::new(Self::from_schema("", values)))
                }
                _ => Self::Map(Box::new(Self::Any)),
            },
            Some("string") => Self::Text,
            Some("integer") => Self::Integer,
            Some("number") => Self::Number,
            Some("boolean") => Self::Bool,
            _ => Self::Any,
        }
    }

    /// Reports what does not fit and writes scalars as texts where texts are wanted. `null` fits
    /// everywhere.
    pub(super) fn fit(
        &self,
        value: &mut Value,
        path: &Path<'_>,
        unknown: Unknown,
        report: &mut Report<'_>,
    ) {
        match (self, &mut *value) {
            (Self::Any, _) | (_, Value::Null) | (Self::Text, Value::String(_)) => {}
            (Self::Bool, Value::Bool(_)) | (Self::Number, Value::Number(_)) => {}
            (Self::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => {}
            (Self::Bool, Value::String(word)) if yaml_bool(word).is_some() => {
                *value = Value::Bool(yaml_bool(word).unwrap_or_default());
            }
            (Self::Text, Value::Number(number)) => *value = Value::String(number.to_string()),
            (Self::Text, Value::Bool(flag)) => *value = Value::String(flag.to_string()),
            (Self::List(shape), Value::Array(items)) => {
                for (index, item) in items.iter_mut().enumerate() {
                    shape.fit(item, &path.index(index), unknown, report);
                }
            }
            (Self::Map(shape), Value::Object(entries)) => {
                for (key, value) in entries {
                    shape.fit(value, &path.key(key), unknown, report);
                }
            }
            (Self::Fields(shapes), Value::Object(entries)) => {
                for (key, value) in entries {
                    match shapes.get(key) {
                        Some(shape) => shape.fit(value, &path.key(key), unknown, report),
                        None if unknown == Unknown::Keep => {}
                        None => refuse(key, shapes, path, report),
                    }
                }
            }
            (_, found) => report(
                path,
                format!("found {}, expected {}", describe(found), self.expected()),
                None,
            ),
        }
    }

    fn expected(&self) -> &'static str {
        match self {
            Self::Any => "any value",
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Bool => "true or false",
            Self::List(_) => "a list",
            Self::Map(_) | Self::Fields(_) => "a mapping",
        }
    }
}

fn refuse(key: &str, known: &BTreeMap<String, Shape>, path: &Path<'_>, report: &mut Report<'_>) {
    let hint = match nearest(key, known.keys().map(String::as_str)) {
        Some(name) => format!("did you mean {name:?}?"),
        None => {
            let names: Vec<_> = known.keys().map(String::as_str).collect();
            format!("known here: {}", names.join(", "))
        }
    };
    report(&path.key(key), format!("unknown field {key:?}"), Some(hint));
}

/// YAML 1.1 has more words for booleans than JSON.
fn yaml_bool(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "yes" | "y" | "on" | "true" => Some(true),
        "no" | "n" | "off" | "false" => Some(false),
        _ => None,
    }
}

/// The one alternative that is not `null`.
fn only_alternative(schema: &Value) -> Option<&Value> {
    let any = ["anyOf", "oneOf", "allOf"]
        .iter()
        .find_map(|key| schema.get(key)?.as_array())?;
    let mut real = any.iter().filter(|schema| kind(schema) != Some("null"));
    real.next().filter(|_| real.next().is_none())
}

/// The one type that is not `null`; none where several are allowed.
fn kind(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(kind) => Some(kind),
        Value::Array(kinds) => {
            let mut real = kinds
                .iter()
                .filter_map(Value::as_str)
                .filter(|kind| *kind != "null");
            real.next().filter(|_| real.next().is_none())
        }
        _ => None,
    }
}

/// A value in words for a message.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        Value::String(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fit(mut value: Value, unknown: Unknown) -> (Value, Vec<String>) {
        let mut told = Vec::new();
        POD_SPEC.fit(
            &mut value,
            &Path::Root,
            unknown,
            &mut |path, message, hint| {
                told.push(format!("{path}: {message}; {}", hint.unwrap_or_default()));
            },
        );
        (value, told)
    }

    #[test]
    fn scalars_become_texts_where_kubernetes_wants_texts() {
        let (value, told) = fit(
            json!({"containers": [{
                "env": [{"name": "A", "value": true}, {"name": "B", "value": 1.5}],
                "resources": {"limits": {"cpu": 7}},
                "livenessProbe": {"httpGet": {"port": 80}},
            }], "nodeSelector": {"x": 1}, "futureField": {"kept": 1}}),
            Unknown::Keep,
        );
        assert_eq!(told, Vec::<String>::new());
        assert_eq!(
            value,
            json!({"containers": [{
                "env": [{"name": "A", "value": "true"}, {"name": "B", "value": "1.5"}],
                "resources": {"limits": {"cpu": "7"}},
                "livenessProbe": {"httpGet": {"port": 80}},
            }], "nodeSelector": {"x": "1"}, "futureField": {"kept": 1}})
        );
    }

    #[test]
    fn unknown_fields_and_wrong_kinds_are_told_with_their_path() {
        let (_, told) = fit(
            json!({"container": [], "containers": [{"imag": "x", "args": "ls", "stdin": "maybe", "tty": "on"}]}),
            Unknown::Refuse,
        );
        assert_eq!(
            told,
            [
                r#"container: unknown field "container"; did you mean "containers"?"#,
                r#"containers[0].args: found "ls", expected a list; "#,
                r#"containers[0].imag: unknown field "imag"; did you mean "image"?"#,
                r#"containers[0].stdin: found "maybe", expected true or false; "#,
            ]
        );
    }
}
