//! Validates a value by a schema.

use serde_json::{Map, Value};

use super::super::status::StatusCause;
use super::{ListType, StructuralSchema, join_path};

impl StructuralSchema {
    /// Lists everything in `value` that breaks the schema.
    pub(crate) fn validate_value(&self, value: &Value) -> Vec<StatusCause> {
        let mut causes = Vec::new();
        self.validate_at("", value, &mut causes);
        causes
    }

    fn validate_at(&self, path: &str, value: &Value, causes: &mut Vec<StatusCause>) {
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
                path_or_nil(path),
                type_name(value)
            );
            causes.push(StatusCause {
                reason: "FieldValueTypeInvalid",
                ..StatusCause::invalid_value(path_or_nil(path), value, &detail)
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

    fn validate_choice(&self, path: &str, value: &Value, causes: &mut Vec<StatusCause>) {
        if let Some(allowed) = &self.allowed
            && !allowed.contains(value)
        {
            let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
            causes.push(StatusCause::unsupported_value(
                path_or_nil(path),
                value,
                &allowed,
            ));
        }
        let holds = |schema: &Self| {
            let mut found = Vec::new();
            schema.validate_at(path, value, &mut found);
            found.is_empty()
        };
        let mut broken = |detail: &str| {
            let detail = format!("{:?} must validate {detail}", path_or_nil(path));
            causes.push(StatusCause {
                message: format!("Invalid value: {detail}"),
                ..StatusCause::invalid_value(path_or_nil(path), value, "")
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

    fn validate_object(&self, path: &str, map: &Map<String, Value>, causes: &mut Vec<StatusCause>) {
        for name in self.required.iter().filter(|name| !map.contains_key(*name)) {
            causes.push(StatusCause::required_value(join_path(path, name), ""));
        }
        for (name, one) in map
            .iter()
            .filter(|(name, _)| !(path.is_empty() && *name == "metadata"))
        {
            if let Some(schema) = self.field_schema(name) {
                schema.validate_at(&join_path(path, name), one, causes);
            }
        }
    }

    fn validate_list(&self, path: &str, items: &[Value], causes: &mut Vec<StatusCause>) {
        let count = items.len() as u64;
        if self.bounds.min_items.is_some_and(|least| count < least) {
            let detail = format!(
                "{} in body should have at least {} items",
                path_or_nil(path),
                self.bounds.min_items.unwrap_or(0)
            );
            causes.push(StatusCause::invalid_value(
                path_or_nil(path),
                &Value::from(count),
                &detail,
            ));
        }
        if self.bounds.max_items.is_some_and(|most| count > most) {
            let detail = format!(
                "must have at most {} items",
                self.bounds.max_items.unwrap_or(0)
            );
            causes.push(StatusCause {
                reason: "FieldValueTooMany",
                ..StatusCause::invalid_value(path_or_nil(path), &Value::from(count), &detail)
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
                causes.push(StatusCause::duplicate_value(
                    format!("{path}[{index}]"),
                    one,
                ));
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

    fn validate_text(&self, path: &str, value: &Value, text: &str, causes: &mut Vec<StatusCause>) {
        let length = text.chars().count() as u64;
        let mut broken = |detail: String| {
            causes.push(StatusCause::invalid_value(
                path_or_nil(path),
                value,
                &format!("{} in body should {detail}", path_or_nil(path)),
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

    fn validate_number(
        &self,
        path: &str,
        value: &Value,
        number: f64,
        causes: &mut Vec<StatusCause>,
    ) {
        let mut broken = |detail: String| {
            causes.push(StatusCause::invalid_value(
                path_or_nil(path),
                value,
                &format!("{} in body should be {detail}", path_or_nil(path)),
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

fn path_or_nil(path: &str) -> String {
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
