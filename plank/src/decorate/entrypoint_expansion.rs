//! Writes a job's command and args into `ENTRYPOINT_OPTIONS`, where the kubelet expands `$(NAME)`.
//!
//! In a pod without decoration the kubelet expands each argument by itself. Inside of JSON a value
//! with a quote breaks the whole, and an argument can end in the middle of a reference. So
//! upstream's text is written only where it arrives intact; else plank expands the values it can
//! see, and leaves the rest to variables that our entrypoint reads.

use std::collections::{BTreeMap, BTreeSet};

use common::expansion::escape_literal_among;
use podutils::entrypoint::{ARGUMENT_ENV, EntrypointOptions, OPTIONS_ENV, PLAIN_OPTIONS_ENV};
use serde_json::Value;

use super::json::{SpecObject, go_json, raw_env_var, str_field};

/// Enclose, in an expanded text, the name of a variable whose value only the kubelet knows:
/// Unicode's noncharacters, which no text has.
const MARKS: [char; 2] = ['\u{fdd0}', '\u{fdd1}'];

/// What a reference to a variable expands to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum VariableMeaning {
    /// A value that plank knows, with marks around the names of variables it does not know.
    Value(String),
    /// A value that only the kubelet knows, without characters that are special in JSON.
    Plain,
    /// A value that only the kubelet knows.
    Opaque,
}

/// The variables that the arguments of one container can refer to.
#[derive(Debug, Default)]
pub(super) struct VariableScope {
    variables: BTreeMap<String, VariableMeaning>,
    /// The prefixes of `envFrom`: whole Secrets and `ConfigMap`s.
    from: BTreeSet<String>,
}

impl VariableScope {
    /// The scope after all variables of `container`, defined in the kubelet's order.
    pub(super) fn from_container(container: &SpecObject) -> Self {
        let objects = |key: &str| {
            container
                .get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
        };
        let mut scope = Self {
            from: objects("envFrom")
                .map(|from| from["prefix"].as_str().unwrap_or_default().to_owned())
                .collect(),
            ..Self::default()
        };
        for variable in objects("env").filter_map(Value::as_object) {
            let meaning = match variable.get("valueFrom") {
                None | Some(Value::Null) => {
                    VariableMeaning::Value(scope.expand_text(str_field(variable, "value")))
                }
                Some(from) => meaning_of_source(from),
            };
            scope.define_variable(str_field(variable, "name"), meaning);
        }
        scope
    }

    /// Defines a variable. Values that refer to its earlier value become opaque: no reference can
    /// express that value any more.
    fn define_variable(&mut self, name: &str, meaning: VariableMeaning) {
        let marked = mark_name(name);
        self.variables.insert(name.to_owned(), meaning);
        for other in self.variables.values_mut() {
            if matches!(other, VariableMeaning::Value(value) if value.contains(&marked)) {
                *other = VariableMeaning::Opaque;
            }
        }
    }

    fn variable_meaning(&self, name: &str) -> Option<VariableMeaning> {
        if let Some(meaning) = self.variables.get(name) {
            return Some(meaning.clone());
        }
        let of_key = |prefix: &String| name.strip_prefix(prefix.as_str()).is_some_and(is_key);
        if self.from.iter().any(of_key) {
            return Some(VariableMeaning::Opaque);
        }
        is_service_variable(name).then_some(VariableMeaning::Plain)
    }

    /// Whether a value that only the kubelet knows could break the JSON around it.
    fn could_break_json(&self, text: &str) -> bool {
        let expanded = self.expand_text(text);
        let mut marked = expanded.split(MARKS[0]).skip(1);
        marked.any(|rest| {
            let name = rest.split(MARKS[1]).next().unwrap_or_default();
            self.variable_meaning(name) == Some(VariableMeaning::Opaque)
        })
    }

    /// Expands a text as the kubelet does, with marks for what only the kubelet knows.
    fn expand_text(&self, text: &str) -> String {
        common::expansion::expand_variables(text, |name| {
            self.variable_meaning(name).map(|meaning| match meaning {
                VariableMeaning::Value(value) => value,
                VariableMeaning::Plain | VariableMeaning::Opaque => mark_name(name),
            })
        })
    }

    /// The variables that give `options` to the entrypoint, with arguments as the job has them.
    pub(super) fn entrypoint_env_vars(&self, options: &EntrypointOptions) -> Vec<Value> {
        let words = &options.wrapper.args;
        let mut all: Vec<Value> = Vec::new();
        if words.iter().any(|word| self.could_break_json(word)) {
            let mut plain = options.clone();
            for (place, word) in words
                .iter()
                .enumerate()
                .filter(|(_, word)| self.could_break_json(word))
            {
                plain.wrapper.args[place].clear();
                all.push(raw_env_var(&format!("{ARGUMENT_ENV}{place}"), word));
            }
            all.push(raw_env_var(PLAIN_OPTIONS_ENV, &self.encode_options(&plain)));
        }
        all.push(raw_env_var(OPTIONS_ENV, &self.encode_options(options)));
        all
    }

    /// JSON that the kubelet expands to `options`, each argument as in a pod without decoration.
    fn encode_options(&self, options: &EntrypointOptions) -> String {
        let mut wanted = options.clone();
        for word in &mut wanted.wrapper.args {
            *word = self.expand_text(word);
        }
        let upstream = go_json(options);
        let arrives = serde_json::from_str::<EntrypointOptions>(&self.expand_text(&upstream));
        if arrives.is_ok_and(|arrives| arrives == wanted) {
            return upstream;
        }
        go_json(&wanted)
            .replace('$', "$$")
            .replace(MARKS[0], "$(")
            .replace(MARKS[1], ")")
    }
}

fn mark_name(name: &str) -> String {
    format!("{}{name}{}", MARKS[0], MARKS[1])
}

/// The meaning of `valueFrom`: fields of a pod, except labels and annotations, are names, ids,
/// addresses and numbers.
fn meaning_of_source(from: &Value) -> VariableMeaning {
    let field = from["fieldRef"]["fieldPath"].as_str();
    let named = field.is_some_and(|path| !path.contains('['));
    match named || from["resourceFieldRef"].is_object() {
        true => VariableMeaning::Plain,
        false => VariableMeaning::Opaque,
    }
}

/// Whether Secrets and `ConfigMap`s can have this key.
fn is_key(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

/// Whether the kubelet adds it for a Service of the namespace: addresses and ports.
fn is_service_variable(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let ends = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];
    name.bytes().all(allowed)
        && (ends.iter().any(|end| name.ends_with(end))
            || name.contains("_SERVICE_PORT_")
            || name.contains("_PORT_"))
}

/// Escapes `json` so that it arrives intact in a container with the variables `names`. Where
/// upstream's text arrives intact, it is kept.
pub(super) fn literal_for(json: &str, names: &[&str]) -> String {
    escape_literal_among(json, |name| {
        names.contains(&name) || is_service_variable(name)
    })
    .into_owned()
}

#[cfg(test)]
mod tests;
