//! YAML in flow style whose scalars are written as an input has them.

use std::fmt;

use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub(super) enum Node {
    /// As it stands in the text.
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Array(items) => Self::List(items.iter().map(Self::of).collect()),
            Value::Object(members) => {
                let members = members
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::of(value)));
                Self::Map(members.collect())
            }
            scalar => Self::Scalar(scalar.to_string()),
        }
    }

    /// Writes `text` at a place: `-` is a list's first element, `*` a map's first key. What is
    /// missing on the way is created, elements with what Kubernetes and Prow require of them.
    pub(super) fn put(&mut self, place: &[&str], text: &str) {
        self.put_below("", place, text);
    }

    fn put_below(&mut self, parent: &str, place: &[&str], text: &str) {
        let Some((step, rest)) = place.split_first() else {
            *self = Self::Scalar(text.to_owned());
            return;
        };
        if *step == "-" {
            if !matches!(self, Self::List(_)) {
                *self = Self::List(Vec::new());
            }
            let Self::List(items) = self else { return };
            if items.is_empty() {
                items.push(Self::of(&companion(parent)));
            }
            return items[0].put_below(step, rest, text);
        }
        if !matches!(self, Self::Map(_)) {
            *self = Self::Map(Vec::new());
        }
        let Self::Map(members) = self else { return };
        let key = match *step {
            "*" => members
                .first()
                .map_or("a", |(key, _)| key.as_str())
                .to_owned(),
            key => key.to_owned(),
        };
        let at = members.iter().position(|(other, _)| *other == key);
        let at = at.unwrap_or_else(|| {
            members.push((key.clone(), Self::Map(Vec::new())));
            members.len() - 1
        });
        members[at].1.put_below(&key, rest, text);
    }
}

/// What an element of a list needs besides the field in question.
fn companion(list: &str) -> Value {
    match list {
        "containers" => json!({"image": "i"}),
        "initContainers" => json!({"name": "c", "image": "i"}),
        "volumes" => json!({"name": "v"}),
        "env" => json!({"name": "E"}),
        "volumeMounts" => json!({"name": "v", "mountPath": "/m"}),
        "extra_refs" => json!({"org": "o", "repo": "x", "base_ref": "main"}),
        _ => json!({}),
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comma = |index: usize| if index == 0 { "" } else { ", " };
        match self {
            Self::Scalar(text) => f.write_str(text),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", comma(index))?;
                }
                f.write_str("]")
            }
            Self::Map(members) => {
                f.write_str("{")?;
                for (index, (key, value)) in members.iter().enumerate() {
                    write!(f, "{}{key:?}: {value}", comma(index))?;
                }
                f.write_str("}")
            }
        }
    }
}
