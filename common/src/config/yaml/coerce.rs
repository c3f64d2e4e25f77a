//! Converts a document to JSON for a type: keys under the fields' own names, scalars as strings
//! where strings are expected, merge keys and aliases resolved. Each diagnostic has a position.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use super::{
    go_types::{GoType, GoTypeRef},
    quantity::is_quantity,
    scalar::YamlScalar,
    tree::{MAX_DEPTH, NodeId, YamlNodeKind, YamlTree},
};
use crate::config::{
    ConfigPath, Diagnostic,
    diagnostic::nearest_name,
    schema::{ANY_KIND, DocumentSchema, SchemaKind, SchemaKindId},
};

/// The result for a document.
#[derive(Debug, Default)]
pub(super) struct CoercedDocument {
    pub(super) value: Value,
    /// Values that do not have the schema.
    pub(super) problems: Vec<Diagnostic>,
    /// Unknown fields and duplicate keys.
    pub(super) remarks: Vec<Diagnostic>,
}

/// Makes at most `max_values` values: aliases multiply what is in the text.
pub(super) fn coerce_document(
    tree: &YamlTree<'_>,
    shape: &DocumentSchema,
    go_type: GoType,
    file: &str,
    max_values: usize,
) -> CoercedDocument {
    let mut fit = Coercer {
        tree,
        shape,
        file,
        left: max_values,
        depth: 0,
        fitted: CoercedDocument::default(),
    };
    fit.fitted.value =
        fit.coerce_value(0, shape.root_kind(), go_type.root_type(), &ConfigPath::Root);
    if fit.left == 0 {
        let message = format!("aliases make more than {max_values} values of this file");
        fit.fitted.problems = vec![Diagnostic::in_file("yaml", file, message)];
    }
    fit.fitted
}

struct Coercer<'a> {
    tree: &'a YamlTree<'a>,
    shape: &'a DocumentSchema,
    file: &'a str,
    /// How many values may still be made; the rest is left out.
    left: usize,
    depth: usize,
    fitted: CoercedDocument,
}

impl<'a> Coercer<'a> {
    fn coerce_value(
        &mut self,
        node: NodeId,
        kind: SchemaKindId,
        target: GoTypeRef,
        path: &ConfigPath<'_>,
    ) -> Value {
        let resolved = self.tree.resolve_alias(node);
        if self.left == 0 {
            return Value::Null;
        }
        self.left -= 1;
        if self.depth >= MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            self.add_diagnostic("yaml", node, path, message, None);
            return Value::Null;
        }
        self.depth += 1;
        let tree = self.tree;
        let value = match tree.node_kind(resolved) {
            YamlNodeKind::Scalar { .. } => self.coerce_scalar(node, kind, target, path),
            YamlNodeKind::List(items) => self.coerce_list(node, items, kind, target, path),
            YamlNodeKind::Map(entries) => self.coerce_mapping(node, entries, kind, target, path),
            YamlNodeKind::Alias(_) => Value::Null,
        };
        self.depth -= 1;
        value
    }

    fn coerce_scalar(
        &mut self,
        node: NodeId,
        kind: SchemaKindId,
        target: GoTypeRef,
        path: &ConfigPath<'_>,
    ) -> Value {
        let (tree, kind) = (self.tree, self.shape.get_kind(kind));
        let scalar = match tree.scalar_value(node) {
            Some(Ok(scalar)) => scalar,
            Some(Err(expected)) => return self.report_mismatch(node, path, expected),
            None => return Value::Null,
        };
        match (kind, scalar) {
            (_, YamlScalar::Null) => Value::Null,
            (SchemaKind::Text | SchemaKind::Word(_), scalar)
                if !matches!(scalar, YamlScalar::Text(_)) && !target.is_text() =>
            {
                let message = format!("found {}, expected a text", tree.describe_node(node));
                let hint = Some("put it in quotes".to_owned());
                self.add_diagnostic("kind", node, path, message, hint);
                Value::Null
            }
            (SchemaKind::Text, scalar) => Value::String(scalar.into_text()),
            (SchemaKind::Any, scalar) if target.is_string() => Value::String(scalar.into_text()),
            (SchemaKind::Quantity, scalar) => self.coerce_quantity(node, scalar, path),
            (SchemaKind::Time, YamlScalar::Text(text)) if is_rfc3339(&text) => {
                Value::String(text.into_owned())
            }
            (SchemaKind::IntOrString, YamlScalar::Text(text)) => Value::String(text.into_owned()),
            (SchemaKind::Word(words), scalar) => {
                self.coerce_enum(node, words, scalar.into_text(), path)
            }
            (SchemaKind::Int32 | SchemaKind::IntOrString, scalar) => match scalar.into_int32() {
                Some(int) => int.into(),
                None => self.report_mismatch(node, path, describe_expected(kind)),
            },
            (SchemaKind::Unsigned, YamlScalar::Int(int)) if int >= 0 => int.into(),
            (SchemaKind::Unsigned, YamlScalar::Float(float)) if float < 0.0 => {
                self.report_mismatch(node, path, describe_expected(kind))
            }
            (SchemaKind::Any | SchemaKind::Integer | SchemaKind::Number, YamlScalar::Int(int)) => {
                int.into()
            }
            (
                SchemaKind::Any | SchemaKind::Unsigned | SchemaKind::Number,
                YamlScalar::Uint(int),
            ) => int.into(),
            (
                SchemaKind::Any | SchemaKind::Integer | SchemaKind::Unsigned | SchemaKind::Number,
                YamlScalar::Float(float),
            ) => match json_number(
                float,
                matches!(kind, SchemaKind::Integer | SchemaKind::Unsigned),
            ) {
                Some(number) => number,
                None => self.report_mismatch(node, path, describe_expected(kind)),
            },
            (SchemaKind::Any | SchemaKind::Bool, YamlScalar::Bool(flag)) => flag.into(),
            (SchemaKind::Any, YamlScalar::Text(text)) => Value::String(text.into_owned()),
            (kind, _) => self.report_mismatch(node, path, describe_expected(kind)),
        }
    }

    fn coerce_quantity(
        &mut self,
        node: NodeId,
        scalar: YamlScalar<'_>,
        path: &ConfigPath<'_>,
    ) -> Value {
        let text = match scalar {
            YamlScalar::Float(float) => json_number(float, false).map(|number| number.to_string()),
            YamlScalar::Bool(_) => None,
            scalar => Some(scalar.into_text()),
        };
        if let Some(text) = text.filter(|text| is_quantity(text)) {
            return Value::String(text);
        }
        let found = self.tree.describe_node(node);
        let message = format!("found {found}, expected an amount like 500m, 2 or 4Gi");
        self.add_diagnostic("quantity", node, path, message, None);
        Value::Null
    }

    /// In Prow, an unset word is the empty word.
    fn coerce_enum(
        &mut self,
        node: NodeId,
        words: &[String],
        word: String,
        path: &ConfigPath<'_>,
    ) -> Value {
        if words.contains(&word) {
            return Value::String(word);
        }
        if word.is_empty() {
            return Value::Null;
        }
        let found = self.tree.describe_node(node);
        let message = format!("found {found}, expected one of {}", words.join(", "));
        let hint = nearest_name(&word, words.iter().map(String::as_str)).map(did_you_mean);
        self.add_diagnostic("value", node, path, message, hint);
        Value::Null
    }

    fn coerce_list(
        &mut self,
        node: NodeId,
        items: &'a [NodeId],
        kind: SchemaKindId,
        target: GoTypeRef,
        path: &ConfigPath<'_>,
    ) -> Value {
        let element = match self.shape.get_kind(kind) {
            SchemaKind::List(element) => *element,
            SchemaKind::Any => ANY_KIND,
            other => return self.report_mismatch(node, path, describe_expected(other)),
        };
        let values = items.iter().enumerate().map(|(index, item)| {
            let value =
                self.coerce_value(*item, element, target.element_type(), &path.index(index));
            self.or_empty(value, element)
        });
        Value::Array(values.collect())
    }

    fn coerce_mapping(
        &mut self,
        node: NodeId,
        entries: &'a [(NodeId, NodeId)],
        kind: SchemaKindId,
        target: GoTypeRef,
        path: &ConfigPath<'_>,
    ) -> Value {
        match self.shape.get_kind(kind) {
            SchemaKind::Any | SchemaKind::Map(_) | SchemaKind::Fields(_) => {
                let mut map = Map::new();
                self.coerce_entries(entries, kind, target, path, &mut map);
                Value::Object(map)
            }
            other => self.report_mismatch(node, path, describe_expected(other)),
        }
    }

    /// In the order of the text: a merge key overrides the keys above it, as in Go.
    fn coerce_entries(
        &mut self,
        entries: &'a [(NodeId, NodeId)],
        kind: SchemaKindId,
        target: GoTypeRef,
        path: &ConfigPath<'_>,
        map: &mut Map<String, Value>,
    ) {
        let (tree, shape) = (self.tree, self.shape);
        for (index, (key, value)) in entries.iter().enumerate() {
            if tree.is_merge_key(*key) {
                self.apply_merge_key(*value, kind, target, path, map);
                continue;
            }
            let Some(name) = tree.key_name(*key) else {
                self.report_mismatch(*key, path, "a text as key");
                continue;
            };
            let (own_name, element) = match shape.get_kind(kind) {
                SchemaKind::Fields(fields) => match find_field(fields, &name) {
                    Some(found) => found,
                    None => {
                        self.report_unknown_field(*key, &name, fields, path);
                        // In Go the whole text becomes JSON, including what nothing reads.
                        self.coerce_value(
                            *value,
                            ANY_KIND,
                            target.value_type(&name),
                            &path.key(&name),
                        );
                        continue;
                    }
                },
                SchemaKind::Map(element) => (&*name, *element),
                _ => (&*name, ANY_KIND),
            };
            if map.contains_key(own_name) {
                let before = entries[..index].iter();
                let mut before =
                    before.filter(|(other, _)| tree.key_name(*other).as_ref() == Some(&name));
                if let Some((first, _)) = before.next() {
                    self.report_duplicate_key(*key, *first, &name, path);
                } else if own_name != name {
                    // The key occurs in two spellings: the exact one counts.
                    continue;
                }
            }
            let value = self.coerce_value(
                *value,
                element,
                target.value_type(&name),
                &path.key(own_name),
            );
            match shape.get_kind(kind) {
                SchemaKind::Fields(_) if value.is_null() => map.remove(own_name),
                SchemaKind::Fields(_) => map.insert(own_name.to_owned(), value),
                _ => map.insert(own_name.to_owned(), self.or_empty(value, element)),
            };
        }
    }

    fn apply_merge_key(
        &mut self,
        source: NodeId,
        kind: SchemaKindId,
        target: GoTypeRef,
        path: &ConfigPath<'_>,
        map: &mut Map<String, Value>,
    ) {
        if self.left == 0 || self.depth >= MAX_DEPTH {
            return;
        }
        self.left -= 1;
        self.depth += 1;
        let tree = self.tree;
        match tree.node_kind(tree.resolve_alias(source)) {
            YamlNodeKind::Map(entries) => self.coerce_entries(entries, kind, target, path, map),
            YamlNodeKind::List(items)
                if matches!(tree.node_kind(source), YamlNodeKind::List(_)) =>
            {
                // Earlier items override later ones.
                for item in items.iter().rev() {
                    match tree.node_kind(tree.resolve_alias(*item)) {
                        YamlNodeKind::Map(entries) => {
                            self.coerce_entries(entries, kind, target, path, map)
                        }
                        _ => drop(self.report_mismatch(*item, path, "a mapping to merge")),
                    }
                }
            }
            _ => drop(self.report_mismatch(
                source,
                path,
                "a mapping, or a list of mappings, to merge",
            )),
        }
        self.depth -= 1;
    }

    /// `null` in a list or a mapping becomes the zero value of its kind, as in Go.
    fn or_empty(&self, value: Value, kind: SchemaKindId) -> Value {
        if !value.is_null() {
            return value;
        }
        match self.shape.get_kind(kind) {
            SchemaKind::Any | SchemaKind::Word(_) | SchemaKind::Time => Value::Null,
            SchemaKind::Text => Value::String(String::new()),
            SchemaKind::Integer
            | SchemaKind::Unsigned
            | SchemaKind::Int32
            | SchemaKind::IntOrString
            | SchemaKind::Number => 0.into(),
            SchemaKind::Quantity => "0".into(),
            SchemaKind::Bool => false.into(),
            SchemaKind::List(_) => Value::Array(Vec::new()),
            SchemaKind::Map(_) | SchemaKind::Fields(_) => Value::Object(Map::new()),
        }
    }

    fn report_mismatch(&mut self, node: NodeId, path: &ConfigPath<'_>, expected: &str) -> Value {
        let message = format!(
            "found {}, expected {expected}",
            self.tree.describe_node(node)
        );
        self.add_diagnostic("kind", node, path, message, None);
        Value::Null
    }

    fn add_diagnostic(
        &mut self,
        rule: &'static str,
        node: NodeId,
        path: &ConfigPath<'_>,
        message: String,
        hint: Option<String>,
    ) {
        let problem = self.diagnostic_at(rule, node, path.to_string(), message, hint);
        self.fitted.problems.push(problem);
    }

    fn diagnostic_at(
        &self,
        rule: &'static str,
        node: NodeId,
        path: String,
        message: String,
        hint: Option<String>,
    ) -> Diagnostic {
        let (line, column) = self.tree.node_position(node);
        Diagnostic {
            line,
            column,
            path,
            hint,
            ..Diagnostic::in_file(rule, self.file, message)
        }
    }

    fn report_unknown_field(
        &mut self,
        key: NodeId,
        name: &str,
        known: &BTreeMap<String, SchemaKindId>,
        path: &ConfigPath<'_>,
    ) {
        let names = || known.keys().map(String::as_str);
        let hint = match nearest_name(name, names()) {
            Some(name) => did_you_mean(name),
            None => format!("known here: {}", names().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("unknown field {name:?}");
        let path = path.key(name).to_string();
        let remark = self.diagnostic_at("unknown-field", key, path, message, Some(hint));
        self.fitted.remarks.push(remark);
    }

    fn report_duplicate_key(
        &mut self,
        key: NodeId,
        first: NodeId,
        name: &str,
        path: &ConfigPath<'_>,
    ) {
        let (line, _) = self.tree.node_position(first);
        let message =
            format!("the key {name:?} stands in line {line} already; the last one counts");
        let path = path.key(name).to_string();
        let remark = self.diagnostic_at("duplicate-key", key, path, message, None);
        self.fitted.remarks.push(remark);
    }
}

/// The field that Go's `encoding/json` finds under a name: the exact one, or one that differs in
/// case only.
fn find_field<'f>(
    fields: &'f BTreeMap<String, SchemaKindId>,
    name: &str,
) -> Option<(&'f str, SchemaKindId)> {
    let exact = fields.get_key_value(name);
    exact
        .or_else(|| {
            fields
                .iter()
                .find(|(field, _)| field.eq_ignore_ascii_case(name))
        })
        .map(|(field, kind)| (field.as_str(), *kind))
}

/// A float as Go writes it to JSON: whole ones without a point. `None` if JSON has no such number.
#[expect(
    clippy::cast_possible_truncation,
    reason = "only what is exact is cast"
)]
fn json_number(float: f64, whole: bool) -> Option<Value> {
    if float.fract() == 0.0 && float.abs() < 1e15 {
        return Some((float as i64).into());
    }
    let number = Number::from_f64(float).filter(|_| !whole);
    number.map(Value::Number)
}

/// Whether Go's parser of RFC 3339 accepts the text.
fn is_rfc3339(text: &str) -> bool {
    text.as_bytes().get(10) == Some(&b'T') && text.parse::<Timestamp>().is_ok()
}

fn did_you_mean(name: &str) -> String {
    format!("did you mean {name:?}?")
}

fn describe_expected(kind: &SchemaKind) -> &'static str {
    match kind {
        SchemaKind::Any => "any value that JSON can hold",
        SchemaKind::Text | SchemaKind::Word(_) => "a text",
        SchemaKind::Integer => "a whole number",
        SchemaKind::Unsigned => "a whole number that is not negative",
        SchemaKind::Int32 => "a whole number of at most 32 bits",
        SchemaKind::Quantity => "an amount like 500m, 2 or 4Gi",
        SchemaKind::IntOrString => "a whole number of at most 32 bits, or a text",
        SchemaKind::Number => "a number",
        SchemaKind::Time => "a moment like 2026-01-31T12:00:00Z",
        SchemaKind::Bool => "true or false",
        SchemaKind::List(_) => "a list",
        SchemaKind::Map(_) | SchemaKind::Fields(_) => "a mapping",
    }
}
