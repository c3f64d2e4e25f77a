//! The schema of a custom kind: refuses what breaks it, drops what it does not name, fills in defaults.
//!
//! Understood: type, required, enum, anyOf/oneOf/allOf/not, bounds of numbers, strings and lists, pattern, nullable,
//! additionalProperties, default, and the `x-kubernetes-*` keys for preserving, int-or-string, list and map types.
//! Not understood: `x-kubernetes-validations`; such a CustomResourceDefinition is refused when it is created.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

use super::status::Cause;

/// One level of a structural schema.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    kind: Option<String>,
    properties: BTreeMap<String, Schema>,
    additional: Option<Box<Schema>>,
    items: Option<Box<Schema>>,
    required: Vec<String>,
    allowed: Option<Vec<Value>>,
    any_of: Vec<Schema>,
    one_of: Vec<Schema>,
    all_of: Vec<Schema>,
    not: Option<Box<Schema>>,
    bounds: Bounds,
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
struct Bounds {
    minimum: Option<f64>,
    maximum: Option<f64>,
    min_length: Option<u64>,
    max_length: Option<u64>,
    min_items: Option<u64>,
    max_items: Option<u64>,
}

impl Schema {
    /// Reads `openAPIV3Schema`; what is not understood is passed over (see the module's text).
    pub(crate) fn parse(value: &Value) -> Self {
        let sub = |field: &str| {
            value
                .get(field)
                .filter(|one| one.is_object())
                .map(|one| Box::new(Self::parse(one)))
        };
        let many = |field: &str| -> Vec<Self> {
            value[field]
                .as_array()
                .into_iter()
                .flatten()
                .map(Self::parse)
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
                .map(|(name, one)| (name.clone(), Self::parse(one)))
                .collect(),
            additional: sub("additionalProperties"),
            items: sub("items"),
            required: texts("required"),
            allowed: value["enum"].as_array().cloned(),
            any_of: many("anyOf"),
            one_of: many("oneOf"),
            all_of: many("allOf"),
            not: sub("not"),
            bounds: Bounds::parse(value),
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
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        self.properties.get(name).or(self.additional.as_deref())
    }

    /// The schema of the elements of a list.
    pub(crate) fn items(&self) -> Option<&Self> {
        self.items.as_deref()
    }

    /// Drops unknown fields of a whole object (not its type and metadata); returns their paths.
    pub(crate) fn prune(&self, object: &mut Value) -> Vec<String> {
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
                    let keep = meta || self.preserve || self.field(name).is_some();
                    if !keep {
                        dropped.push(join(path, name));
                    }
                    keep
                });
                for (name, one) in map
                    .iter_mut()
                    .filter(|(name, _)| !(root && *name == "metadata"))
                {
                    if let Some(schema) = self.field(name) {
                        schema.prune_at(&join(path, name), false, one, dropped);
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

    /// Fills in what has a default, and drops nulls that may not be null, as Kubernetes does before validating.
    pub(crate) fn fill(&self, value: &mut Value) {
        match value {
            Value::Object(map) => self.fill_object(map),
            Value::Array(items) => {
                if let Some(schema) = self.items() {
                    items.iter_mut().for_each(|one| schema.fill(one));
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
            if let Some(schema) = self.field(name) {
                schema.fill(one);
            }
        }
    }

    /// Everything in `value` that breaks the schema.
    pub(crate) fn validate(&self, value: &Value) -> Vec<Cause> {
        let mut causes = Vec::new();
        self.validate_at("", value, &mut causes);
        causes
    }

    fn validate_at(&self, path: &str, value: &Value, causes: &mut Vec<Cause>) {
        if value.is_null() && self.nullable {
            return;
        }
        if !self.has_type(value) {
            let expected = if self.int_or_string {
                "integer,string"
            } else {
                self.kind.as_deref().unwrap_or("object")
            };
            let detail = format!(
                "{} in body must be of type {expected}: {:?}",
                here(path),
                type_name(value)
            );
            causes.push(Cause {
                reason: "FieldValueTypeInvalid",
                ..Cause::invalid(here(path), value, &detail)
            });
            return;
        }
        self.validate_choice(path, value, causes);
        match value {
            Value::Object(map) => self.validate_object(path, map, causes),
            Value::Array(items) => self.validate_list(path, items, causes),
            Value::String(text) => self.validate_text(path, value, text, causes),
            Value::Number(number) => {
                self.validate_number(path, value, number.as_f64().unwrap_or_default(), causes)
            }
            _ => {}
        }
    }

    fn has_type(&self, value: &Value) -> bool {
        if self.int_or_string {
            return value.is_string() || value.is_i64() || value.is_u64();
        }
        match self.kind.as_deref() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => {
                value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0)
            }
            Some("number") => value.is_number(),
            _ => true,
        }
    }

    fn validate_choice(&self, path: &str, value: &Value, causes: &mut Vec<Cause>) {
        if let Some(allowed) = &self.allowed
            && !allowed.contains(value)
        {
            let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
            causes.push(Cause::unsupported(here(path), value, &allowed));
        }
        let holds = |schema: &Self| {
            let mut found = Vec::new();
            schema.validate_at(path, value, &mut found);
            found.is_empty()
        };
        let mut broken = |detail: &str| {
            let detail = format!("{:?} must validate {detail}", here(path));
            causes.push(Cause {
                message: format!("Invalid value: {detail}"),
                ..Cause::invalid(here(path), value, "")
            });
        };
        if !self.any_of.is_empty() && !self.any_of.iter().any(holds) {
            broken("at least one schema (anyOf)");
        }
        if !self.one_of.is_empty() && self.one_of.iter().filter(|schema| holds(schema)).count() != 1
        {
            broken("one and only one schema (oneOf)");
        }
        if self.not.as_deref().is_some_and(holds) {
            broken("none of the schemas (not)");
        }
        for schema in &self.all_of {
            schema.validate_at(path, value, causes);
        }
    }

    fn validate_object(&self, path: &str, map: &Map<String, Value>, causes: &mut Vec<Cause>) {
        for name in self.required.iter().filter(|name| !map.contains_key(*name)) {
            causes.push(Cause::required(join(path, name), ""));
        }
        for (name, one) in map
            .iter()
            .filter(|(name, _)| !(path.is_empty() && *name == "metadata"))
        {
            if let Some(schema) = self.field(name) {
                schema.validate_at(&join(path, name), one, causes);
            }
        }
    }

    fn validate_list(&self, path: &str, items: &[Value], causes: &mut Vec<Cause>) {
        let count = items.len() as u64;
        if self.bounds.min_items.is_some_and(|least| count < least) {
            let detail = format!(
                "{} in body should have at least {} items",
                here(path),
                self.bounds.min_items.unwrap_or(0)
            );
            causes.push(Cause::invalid(here(path), &Value::from(count), &detail));
        }
        if self.bounds.max_items.is_some_and(|most| count > most) {
            let detail = format!(
                "must have at most {} items",
                self.bounds.max_items.unwrap_or(0)
            );
            causes.push(Cause {
                reason: "FieldValueTooMany",
                ..Cause::invalid(here(path), &Value::from(count), &detail)
            });
        }
        if let Some(schema) = self.items() {
            for (index, one) in items.iter().enumerate() {
                schema.validate_at(&format!("{path}[{index}]"), one, causes);
            }
        }
        for (index, one) in items.iter().enumerate() {
            if items[..index]
                .iter()
                .any(|earlier| self.same_element(earlier, one))
            {
                causes.push(Cause::duplicate(format!("{path}[{index}]"), one));
            }
        }
    }

    fn same_element(&self, one: &Value, other: &Value) -> bool {
        match &self.list {
            ListType::Atomic => false,
            ListType::Set => one == other,
            ListType::Map(keys) => keys.iter().all(|key| one[key] == other[key]),
        }
    }

    fn validate_text(&self, path: &str, value: &Value, text: &str, causes: &mut Vec<Cause>) {
        let length = text.chars().count() as u64;
        let mut broken = |detail: String| {
            causes.push(Cause::invalid(
                here(path),
                value,
                &format!("{} in body should {detail}", here(path)),
            ));
        };
        if let Some(least) = self.bounds.min_length.filter(|least| length < *least) {
            broken(format!("be at least {least} chars long"));
        }
        if let Some(most) = self.bounds.max_length.filter(|most| length > *most) {
            broken(format!("be at most {most} chars long"));
        }
        if let Some(pattern) = self
            .pattern
            .as_ref()
            .filter(|pattern| !pattern.is_match(text))
        {
            broken(format!("match '{pattern}'"));
        }
        if self.date_time && text.parse::<jiff::Timestamp>().is_err() {
            broken("be of type date-time".to_owned());
        }
    }

    fn validate_number(&self, path: &str, value: &Value, number: f64, causes: &mut Vec<Cause>) {
        let mut broken = |detail: String| {
            causes.push(Cause::invalid(
                here(path),
                value,
                &format!("{} in body should be {detail}", here(path)),
            ));
        };
        if let Some(least) = self.bounds.minimum.filter(|least| number < *least) {
            broken(format!("greater than or equal to {least}"));
        }
        if let Some(most) = self.bounds.maximum.filter(|most| number > *most) {
            broken(format!("less than or equal to {most}"));
        }
    }
}

impl Bounds {
    fn parse(value: &Value) -> Self {
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

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn here(path: &str) -> String {
    if path.is_empty() {
        "<nil>".to_owned()
    } else {
        path.to_owned()
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests;
