//! From a document to JSON, as the type wants it: keys under their own names, scalars as texts
//! where texts are wanted, merge keys and aliases followed, every mistake with its place.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use super::{
    go_types::{GoType, Target},
    quantity::is_quantity,
    scalar::Scalar,
    tree::{Id, Kind as Node, MAX_DEPTH, Tree},
};
use crate::config::{
    Path, Problem,
    problem::nearest,
    schema::{ANY, Kind, KindId, Shape},
};

/// What came of a document.
#[derive(Debug, Default)]
pub(super) struct Fitted {
    pub(super) value: Value,
    /// Values that do not fit.
    pub(super) problems: Vec<Problem>,
    /// Fields that nobody knows, and keys that are there twice.
    pub(super) remarks: Vec<Problem>,
}

/// At most `max_values` come out: aliases multiply what is written.
pub(super) fn fit(
    tree: &Tree<'_>,
    shape: &Shape,
    go_type: GoType,
    file: &str,
    max_values: usize,
) -> Fitted {
    let mut fit = Fit {
        tree,
        shape,
        file,
        left: max_values,
        depth: 0,
        fitted: Fitted::default(),
    };
    fit.fitted.value = fit.value(0, shape.root(), go_type.target(), &Path::Root);
    if fit.left == 0 {
        let message = format!("aliases make more than {max_values} values of this file");
        fit.fitted.problems = vec![Problem::in_file("yaml", file, message)];
    }
    fit.fitted
}

struct Fit<'a> {
    tree: &'a Tree<'a>,
    shape: &'a Shape,
    file: &'a str,
    /// How many values may still be made; the rest is left out.
    left: usize,
    depth: usize,
    fitted: Fitted,
}

impl<'a> Fit<'a> {
    fn value(&mut self, node: Id, kind: KindId, target: Target, path: &Path<'_>) -> Value {
        let resolved = self.tree.resolve(node);
        if self.left == 0 {
            return Value::Null;
        }
        self.left -= 1;
        if self.depth >= MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            self.problem("yaml", node, path, message, None);
            return Value::Null;
        }
        self.depth += 1;
        let tree = self.tree;
        let value = match tree.kind(resolved) {
            Node::Scalar { .. } => self.scalar(node, kind, target, path),
            Node::List(items) => self.list(node, items, kind, target, path),
            Node::Map(entries) => self.mapping(node, entries, kind, target, path),
            Node::Alias(_) => Value::Null,
        };
        self.depth -= 1;
        value
    }

    fn scalar(&mut self, node: Id, kind: KindId, target: Target, path: &Path<'_>) -> Value {
        let (tree, kind) = (self.tree, self.shape.kind(kind));
        let scalar = match tree.scalar(node) {
            Some(Ok(scalar)) => scalar,
            Some(Err(expected)) => return self.mismatch(node, path, expected),
            None => return Value::Null,
        };
        match (kind, scalar) {
            (_, Scalar::Null) => Value::Null,
            (Kind::Text | Kind::Word(_), scalar)
                if !matches!(scalar, Scalar::Text(_)) && !target.is_text() =>
            {
                let message = format!("found {}, expected a text", tree.describe(node));
                let hint = Some("put it in quotes".to_owned());
                self.problem("kind", node, path, message, hint);
                Value::Null
            }
            (Kind::Text, scalar) => Value::String(scalar.into_text()),
            (Kind::Any, scalar) if target.is_string() => Value::String(scalar.into_text()),
            (Kind::Quantity, scalar) => self.quantity(node, scalar, path),
            (Kind::Time, Scalar::Text(text)) if is_time(&text) => Value::String(text.into_owned()),
            (Kind::IntOrString, Scalar::Text(text)) => Value::String(text.into_owned()),
            (Kind::Word(words), scalar) => self.word(node, words, scalar.into_text(), path),
            (Kind::Int32 | Kind::IntOrString, scalar) => match scalar.into_int32() {
                Some(int) => int.into(),
                None => self.mismatch(node, path, expected(kind)),
            },
            (Kind::Unsigned, Scalar::Int(int)) if int >= 0 => int.into(),
            (Kind::Unsigned, Scalar::Float(float)) if float < 0.0 => {
                self.mismatch(node, path, expected(kind))
            }
            (Kind::Any | Kind::Integer | Kind::Number, Scalar::Int(int)) => int.into(),
            (Kind::Any | Kind::Unsigned | Kind::Number, Scalar::Uint(int)) => int.into(),
            (Kind::Any | Kind::Integer | Kind::Unsigned | Kind::Number, Scalar::Float(float)) => {
                match number(float, matches!(kind, Kind::Integer | Kind::Unsigned)) {
                    Some(number) => number,
                    None => self.mismatch(node, path, expected(kind)),
                }
            }
            (Kind::Any | Kind::Bool, Scalar::Bool(flag)) => flag.into(),
            (Kind::Any, Scalar::Text(text)) => Value::String(text.into_owned()),
            (kind, _) => self.mismatch(node, path, expected(kind)),
        }
    }

    fn quantity(&mut self, node: Id, scalar: Scalar<'_>, path: &Path<'_>) -> Value {
        let text = match scalar {
            Scalar::Float(float) => number(float, false).map(|number| number.to_string()),
            Scalar::Bool(_) => None,
            scalar => Some(scalar.into_text()),
        };
        if let Some(text) = text.filter(|text| is_quantity(text)) {
            return Value::String(text);
        }
        let found = self.tree.describe(node);
        let message = format!("found {found}, expected an amount like 500m, 2 or 4Gi");
        self.problem("quantity", node, path, message, None);
        Value::Null
    }

    /// Prow's unset word is the empty one.
    fn word(&mut self, node: Id, words: &[String], word: String, path: &Path<'_>) -> Value {
        if words.contains(&word) {
            return Value::String(word);
        }
        if word.is_empty() {
            return Value::Null;
        }
        let found = self.tree.describe(node);
        let message = format!("found {found}, expected one of {}", words.join(", "));
        let hint = nearest(&word, words.iter().map(String::as_str)).map(did_you_mean);
        self.problem("value", node, path, message, hint);
        Value::Null
    }

    fn list(
        &mut self,
        node: Id,
        items: &'a [Id],
        kind: KindId,
        target: Target,
        path: &Path<'_>,
    ) -> Value {
        let element = match self.shape.kind(kind) {
            Kind::List(element) => *element,
            Kind::Any => ANY,
            other => return self.mismatch(node, path, expected(other)),
        };
        let values = items.iter().enumerate().map(|(index, item)| {
            let value = self.value(*item, element, target.element(), &path.index(index));
            self.or_empty(value, element)
        });
        Value::Array(values.collect())
    }

    fn mapping(
        &mut self,
        node: Id,
        entries: &'a [(Id, Id)],
        kind: KindId,
        target: Target,
        path: &Path<'_>,
    ) -> Value {
        match self.shape.kind(kind) {
            Kind::Any | Kind::Map(_) | Kind::Fields(_) => {
                let mut map = Map::new();
                self.entries(entries, kind, target, path, &mut map);
                Value::Object(map)
            }
            other => self.mismatch(node, path, expected(other)),
        }
    }

    /// In the order of the text: a merge key outdoes what stands above it, as in Go.
    fn entries(
        &mut self,
        entries: &'a [(Id, Id)],
        kind: KindId,
        target: Target,
        path: &Path<'_>,
        map: &mut Map<String, Value>,
    ) {
        let (tree, shape) = (self.tree, self.shape);
        for (index, (key, value)) in entries.iter().enumerate() {
            if tree.is_merge(*key) {
                self.merge(*value, kind, target, path, map);
                continue;
            }
            let Some(name) = tree.key(*key) else {
                self.mismatch(*key, path, "a text as key");
                continue;
            };
            let (own_name, element) = match shape.kind(kind) {
                Kind::Fields(fields) => match own_field(fields, &name) {
                    Some(found) => found,
                    None => {
                        self.unknown(*key, &name, fields, path);
                        // The whole text becomes JSON in Go, also what nobody reads.
                        self.value(*value, ANY, target.value(&name), &path.key(&name));
                        continue;
                    }
                },
                Kind::Map(element) => (&*name, *element),
                _ => (&*name, ANY),
            };
            if map.contains_key(own_name) {
                let before = entries[..index].iter();
                let mut before =
                    before.filter(|(other, _)| tree.key(*other).as_ref() == Some(&name));
                if let Some((first, _)) = before.next() {
                    self.duplicate(*key, *first, &name, path);
                } else if own_name != name {
                    // Written in two ways: the exact one counts.
                    continue;
                }
            }
            let value = self.value(*value, element, target.value(&name), &path.key(own_name));
            match shape.kind(kind) {
                Kind::Fields(_) if value.is_null() => map.remove(own_name),
                Kind::Fields(_) => map.insert(own_name.to_owned(), value),
                _ => map.insert(own_name.to_owned(), self.or_empty(value, element)),
            };
        }
    }

    fn merge(
        &mut self,
        source: Id,
        kind: KindId,
        target: Target,
        path: &Path<'_>,
        map: &mut Map<String, Value>,
    ) {
        if self.left == 0 || self.depth >= MAX_DEPTH {
            return;
        }
        self.left -= 1;
        self.depth += 1;
        let tree = self.tree;
        match tree.kind(tree.resolve(source)) {
            Node::Map(entries) => self.entries(entries, kind, target, path, map),
            Node::List(items) if matches!(tree.kind(source), Node::List(_)) => {
                // Earlier ones go before later ones.
                for item in items.iter().rev() {
                    match tree.kind(tree.resolve(*item)) {
                        Node::Map(entries) => self.entries(entries, kind, target, path, map),
                        _ => drop(self.mismatch(*item, path, "a mapping to merge")),
                    }
                }
            }
            _ => drop(self.mismatch(source, path, "a mapping, or a list of mappings, to merge")),
        }
        self.depth -= 1;
    }

    /// `null` in a list or a mapping is the empty value of its kind, as in Go.
    fn or_empty(&self, value: Value, kind: KindId) -> Value {
        if !value.is_null() {
            return value;
        }
        match self.shape.kind(kind) {
            Kind::Any | Kind::Word(_) | Kind::Time => Value::Null,
            Kind::Text => Value::String(String::new()),
            Kind::Integer | Kind::Unsigned | Kind::Int32 | Kind::IntOrString | Kind::Number => {
                0.into()
            }
            Kind::Quantity => "0".into(),
            Kind::Bool => false.into(),
            Kind::List(_) => Value::Array(Vec::new()),
            Kind::Map(_) | Kind::Fields(_) => Value::Object(Map::new()),
        }
    }

    fn mismatch(&mut self, node: Id, path: &Path<'_>, expected: &str) -> Value {
        let message = format!("found {}, expected {expected}", self.tree.describe(node));
        self.problem("kind", node, path, message, None);
        Value::Null
    }

    fn problem(
        &mut self,
        rule: &'static str,
        node: Id,
        path: &Path<'_>,
        message: String,
        hint: Option<String>,
    ) {
        let problem = self.at(rule, node, path.to_string(), message, hint);
        self.fitted.problems.push(problem);
    }

    fn at(
        &self,
        rule: &'static str,
        node: Id,
        path: String,
        message: String,
        hint: Option<String>,
    ) -> Problem {
        let (line, column) = self.tree.place(node);
        Problem {
            line,
            column,
            path,
            hint,
            ..Problem::in_file(rule, self.file, message)
        }
    }

    fn unknown(&mut self, key: Id, name: &str, known: &BTreeMap<String, KindId>, path: &Path<'_>) {
        let names = || known.keys().map(String::as_str);
        let hint = match nearest(name, names()) {
            Some(name) => did_you_mean(name),
            None => format!("known here: {}", names().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("unknown field {name:?}");
        let path = path.key(name).to_string();
        let remark = self.at("unknown-field", key, path, message, Some(hint));
        self.fitted.remarks.push(remark);
    }

    fn duplicate(&mut self, key: Id, first: Id, name: &str, path: &Path<'_>) {
        let (line, _) = self.tree.place(first);
        let message =
            format!("the key {name:?} stands in line {line} already; the last one counts");
        let path = path.key(name).to_string();
        let remark = self.at("duplicate-key", key, path, message, None);
        self.fitted.remarks.push(remark);
    }
}

/// The field that Go's `encoding/json` finds under a name: the exact one, or one that differs in
/// case only.
fn own_field<'f>(fields: &'f BTreeMap<String, KindId>, name: &str) -> Option<(&'f str, KindId)> {
    let exact = fields.get_key_value(name);
    exact
        .or_else(|| {
            fields
                .iter()
                .find(|(field, _)| field.eq_ignore_ascii_case(name))
        })
        .map(|(field, kind)| (field.as_str(), *kind))
}

/// As Go writes floats to JSON: whole ones without a point. None for what JSON has no number for.
#[expect(
    clippy::cast_possible_truncation,
    reason = "only what is exact is cast"
)]
fn number(float: f64, whole: bool) -> Option<Value> {
    if float.fract() == 0.0 && float.abs() < 1e15 {
        return Some((float as i64).into());
    }
    let number = Number::from_f64(float).filter(|_| !whole);
    number.map(Value::Number)
}

/// As Go reads RFC 3339.
fn is_time(text: &str) -> bool {
    text.as_bytes().get(10) == Some(&b'T') && text.parse::<Timestamp>().is_ok()
}

fn did_you_mean(name: &str) -> String {
    format!("did you mean {name:?}?")
}

fn expected(kind: &Kind) -> &'static str {
    match kind {
        Kind::Any => "any value that JSON can hold",
        Kind::Text | Kind::Word(_) => "a text",
        Kind::Integer => "a whole number",
        Kind::Unsigned => "a whole number that is not negative",
        Kind::Int32 => "a whole number of at most 32 bits",
        Kind::Quantity => "an amount like 500m, 2 or 4Gi",
        Kind::IntOrString => "a whole number of at most 32 bits, or a text",
        Kind::Number => "a number",
        Kind::Time => "a moment like 2026-01-31T12:00:00Z",
        Kind::Bool => "true or false",
        Kind::List(_) => "a list",
        Kind::Map(_) | Kind::Fields(_) => "a mapping",
    }
}
