//! The schema of a custom kind: validates objects, drops unknown fields, fills in defaults.
//!
//! Supported: type, required, enum, anyOf/oneOf/allOf/not, bounds of numbers, strings and lists,
//! pattern, nullable, additionalProperties, default, and the `x-kubernetes-*` keys for preserving,
//! int-or-string, list and map types. Not supported: `x-kubernetes-validations`; a
//! `CustomResourceDefinition` with it is refused when it is created.

mod validate;

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

/// One level of a structural schema.
#[derive(Debug, Default)]
pub(crate) struct StructuralSchema {
    kind: Option<String>,
    properties: BTreeMap<String, StructuralSchema>,
    additional: Option<Box<StructuralSchema>>,
    items: Option<Box<StructuralSchema>>,
    required: Vec<String>,
    allowed: Option<Vec<Value>>,
    any_of: Vec<StructuralSchema>,
    one_of: Vec<StructuralSchema>,
    all_of: Vec<StructuralSchema>,
    not: Option<Box<StructuralSchema>>,
    bounds: SchemaBounds,
    pattern: Option<Regex>,
    date_time: bool,
    nullable: bool,
    default: Option<Value>,
    preserve: bool,
    int_or_string: bool,
    embedded: bool,
    pub(crate) list: ListType,
    pub(crate) atomic_map: bool,
}

/// How server-side apply merges a list.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) enum ListType {
    #[default]
    Atomic,
    Set,
    Map(Vec<String>),
}

#[derive(Debug, Default)]
struct SchemaBounds {
    minimum: Option<f64>,
    maximum: Option<f64>,
    min_length: Option<u64>,
    max_length: Option<u64>,
    min_items: Option<u64>,
    max_items: Option<u64>,
}

impl StructuralSchema {
    /// Parses `openAPIV3Schema`. Unsupported keys are ignored (see the module's documentation).
    pub(crate) fn parse_schema(value: &Value) -> Self {
        let sub = |field: &str| {
            value
                .get(field)
                .filter(|one| one.is_object())
                .map(|one| Box::new(Self::parse_schema(one)))
        };
        let many = |field: &str| -> Vec<Self> {
            value[field]
                .as_array()
                .into_iter()
                .flatten()
                .map(Self::parse_schema)
                .collect()
        };
        let yes = |field: &str| value[field] == true;
        let texts = |field: &str| -> Vec<String> {
            value[field]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|one| one.as_str().map(str::to_owned))
                .collect()
        };
        Self {
            kind: value["type"].as_str().map(str::to_owned),
            properties: value["properties"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, one)| (name.clone(), Self::parse_schema(one)))
                .collect(),
            additional: sub("additionalProperties"),
            items: sub("items"),
            required: texts("required"),
            allowed: value["enum"].as_array().cloned(),
            any_of: many("anyOf"),
            one_of: many("oneOf"),
            all_of: many("allOf"),
            not: sub("not"),
            bounds: SchemaBounds::parse_bounds(value),
            pattern: value["pattern"]
                .as_str()
                .and_then(|pattern| Regex::new(pattern).ok()),
            date_time: value["format"] == "date-time",
            nullable: yes("nullable"),
            default: value.get("default").cloned(),
            preserve: yes("x-kubernetes-preserve-unknown-fields") || yes("additionalProperties"),
            int_or_string: yes("x-kubernetes-int-or-string"),
            embedded: yes("x-kubernetes-embedded-resource"),
            list: match value["x-kubernetes-list-type"].as_str() {
                Some("set") => ListType::Set,
                Some("map") => ListType::Map(texts("x-kubernetes-list-map-keys")),
                _ => ListType::Atomic,
            },
            atomic_map: value["x-kubernetes-map-type"] == "atomic",
        }
    }

    /// The schema of the field `name` of an object.
    pub(crate) fn field_schema(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.additional.as_deref())
    }

    /// The schema of a list's elements.
    pub(crate) fn items(&self) -> Option<&Self> {
        self.items.as_deref()
    }

    /// Drops unknown fields of a whole object, but not its type and metadata. Returns their paths.
    pub(crate) fn prune_unknown_fields(&self, object: &mut Value) -> Vec<String> {
        let mut dropped = Vec::new();
        self.prune_at("", true, object, &mut dropped);
        dropped
    }

    fn prune_at(&self, path: &str, root: bool, value: &mut Value, dropped: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                let keep_meta = root || self.embedded;
                map.retain(|name, _| {
                    let meta =
                        keep_meta && matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
                    let keep = meta || self.preserve || self.field_schema(name).is_some();
                    if !keep {
                        dropped.push(join_path(path, name));
                    }
                    keep
                });
                for (name, one) in map
                    .iter_mut()
                    .filter(|(name, _)| !(root && *name == "metadata"))
                {
                    if let Some(schema) = self.field_schema(name) {
                        schema.prune_at(&join_path(path, name), false, one, dropped);
                    }
                }
            }
            Value::Array(items) => {
                if let Some(schema) = self.items() {
                    for (index, one) in items.iter_mut().enumerate() {
                        schema.prune_at(&format!("{path}[{index}]"), false, one, dropped);
                    }
                }
            }
            _ => {}
        }
    }

    /// Fills in defaults, and drops nulls of fields that are not nullable, as Kubernetes does
    /// before validation.
    pub(crate) fn fill_defaults(&self, value: &mut Value) {
        match value {
            Value::Object(map) => self.fill_object(map),
            Value::Array(items) => {
                if let Some(schema) = self.items() {
                    items.iter_mut().for_each(|one| schema.fill_defaults(one));
                }
            }
            _ => {}
        }
    }

    fn fill_object(&self, map: &mut Map<String, Value>) {
        map.retain(|name, one| {
            !one.is_null()
                || self
                    .properties
                    .get(name)
                    .is_none_or(|schema| schema.nullable || schema.default.is_none())
        });
        for (name, schema) in &self.properties {
            if let (Some(default), false) = (&schema.default, map.contains_key(name)) {
                map.insert(name.clone(), default.clone());
            }
        }
        for (name, one) in map.iter_mut() {
            if let Some(schema) = self.field_schema(name) {
                schema.fill_defaults(one);
            }
        }
    }
}

impl SchemaBounds {
    fn parse_bounds(value: &Value) -> Self {
        Self {
            minimum: value["minimum"].as_f64(),
            maximum: value["maximum"].as_f64(),
            min_length: value["minLength"].as_u64(),
            max_length: value["maxLength"].as_u64(),
            min_items: value["minItems"].as_u64(),
            max_items: value["maxItems"].as_u64(),
        }
    }
}

fn join_path(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests;
