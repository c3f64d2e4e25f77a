//! Parses YAML as Prow does: YAML 1.1 words as Go understands them, merge keys, keys in any case,
//! numbers where a string is expected as far as Go accepts them, the first document only.
//!
//! text → [`YamlTree`] → [`coerce`] with the type's schema → the type. Not here: what the values
//! mean, and whether an unknown field is an error.

mod coerce;
mod go_types;
mod quantity;
mod scalar;
mod tree;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(super) use go_types::GoType;
pub(super) use tree::{YamlSyntaxError, YamlTree};

use super::{
    ConfigErrors, Diagnostic, PathSegment, diagnostic::format_path, schema::DocumentSchema,
};

/// How much a document may cost to parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DocumentTrust {
    /// A file of the installation's operator.
    Operator,
    /// A file of a stranger.
    Stranger,
}

impl DocumentTrust {
    /// Maximum number of keys and values, counting those that aliases repeat.
    fn max_values(self) -> usize {
        match self {
            Self::Operator => 1_000_000,
            Self::Stranger => 100_000,
        }
    }
}

/// A document as a value of a type.
#[derive(Debug, Default)]
pub(super) struct YamlDocument<T> {
    pub(super) value: T,
    /// Unknown fields and duplicate keys.
    pub(super) remarks: Vec<Diagnostic>,
}

/// Parses an operator's file; an empty one is the default. Unknown fields are ignored, and the
/// last of duplicate keys counts.
pub fn parse_yaml<T>(file: &str, text: &str) -> Result<T, ConfigErrors>
where
    T: DeserializeOwned + Default + JsonSchema + 'static,
{
    let tree = parse_tree(file, text, DocumentTrust::Operator)?;
    Ok(deserialize_tree(
        file,
        tree.as_ref(),
        GoType::Lenient,
        DocumentTrust::Operator,
    )?
    .value)
}

/// Parses a text into nodes.
pub(super) fn parse_tree<'a>(
    file: &str,
    text: &'a str,
    trust: DocumentTrust,
) -> Result<Option<YamlTree<'a>>, ConfigErrors> {
    YamlTree::parse_document(text, trust.max_values()).map_err(|broken| {
        let YamlSyntaxError {
            line,
            column,
            path,
            message,
        } = broken;
        let problem = Diagnostic {
            line,
            column,
            path,
            ..Diagnostic::in_file("yaml", file, message)
        };
        problem.into()
    })
}

/// Converts nodes to a type.
pub(super) fn deserialize_tree<T>(
    file: &str,
    tree: Option<&YamlTree<'_>>,
    go_type: GoType,
    trust: DocumentTrust,
) -> Result<YamlDocument<T>, ConfigErrors>
where
    T: DeserializeOwned + Default + JsonSchema + 'static,
{
    let YamlDocument { value, remarks } = coerce_tree::<T>(file, tree, go_type, trust)?;
    let value = match value {
        Value::Null => T::default(),
        value => match T::deserialize(value) {
            Ok(value) => value,
            // Tracking the path takes time, so it is done only after an error.
            Err(_) => deserialize_value(
                file,
                tree,
                coerce_tree::<T>(file, tree, go_type, trust)?.value,
            )?,
        },
    };
    Ok(YamlDocument { value, remarks })
}

/// Converts nodes to JSON that has the type's schema.
pub(super) fn coerce_tree<T: JsonSchema + 'static>(
    file: &str,
    tree: Option<&YamlTree<'_>>,
    go_type: GoType,
    trust: DocumentTrust,
) -> Result<YamlDocument<Value>, ConfigErrors> {
    let Some(tree) = tree else {
        return Ok(YamlDocument::default());
    };
    let shape = DocumentSchema::schema_for::<T>();
    let fitted = coerce::coerce_document(tree, shape, go_type, file, trust.max_values());
    if !fitted.problems.is_empty() {
        return Err(ConfigErrors(fitted.problems));
    }
    Ok(YamlDocument {
        value: fitted.value,
        remarks: fitted.remarks,
    })
}

/// Converts JSON that has the type's schema to the type; `null` is the default.
pub(super) fn deserialize_value<T>(
    file: &str,
    tree: Option<&YamlTree<'_>>,
    value: Value,
) -> Result<T, ConfigErrors>
where
    T: DeserializeOwned + Default,
{
    if value.is_null() {
        return Ok(T::default());
    }
    serde_path_to_error::deserialize(value)
        .map_err(|error| describe_refusal(file, tree, &error).into())
}

/// The diagnostic for a value of the right kind that the type does not accept.
fn describe_refusal(
    file: &str,
    tree: Option<&YamlTree<'_>>,
    error: &serde_path_to_error::Error<serde_json::Error>,
) -> Diagnostic {
    use serde_path_to_error::Segment as Step;
    let steps = error.path().iter().filter_map(|step| match step {
        Step::Seq { index } => Some(PathSegment::Index(*index)),
        Step::Map { key } => Some(PathSegment::Key(key.clone())),
        Step::Enum { .. } | Step::Unknown => None,
    });
    let path: Vec<_> = steps.collect();
    let (line, column) = tree.map_or((0, 0), |tree| tree.locate_path(&path));
    Diagnostic {
        line,
        column,
        path: format_path(&path),
        ..Diagnostic::in_file("value", file, error.inner().to_string())
    }
}

#[cfg(test)]
mod tests;
