//! YAML as Prow accepts it: YAML 1.1 words as Go understands them, merge keys, keys in any case,
//! numbers where a text is wanted as far as Go takes them, the first document only.
//!
//! text → [`tree::Tree`] → [`fit`] with the type's shape → the type. Not here: what the values
//! mean, and what a field that nobody knows is worth.

mod fit;
mod go_types;
mod quantity;
mod scalar;
mod tree;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(super) use go_types::GoType;
pub(super) use tree::{Broken, Tree};

use super::{Errors, Problem, Segment, problem::show, schema::Shape};

/// What a document may cost to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// A file of the installation's operator.
    Operator,
    /// A file of a stranger.
    Stranger,
}

impl Trust {
    /// The most keys and values, with those that aliases repeat.
    fn max_values(self) -> usize {
        match self {
            Self::Operator => 1_000_000,
            Self::Stranger => 100_000,
        }
    }
}

/// A typed document.
#[derive(Debug, Default)]
pub(super) struct Document<T> {
    pub(super) value: T,
    /// Fields that the type does not know, and keys that are there twice.
    pub(super) remarks: Vec<Problem>,
}

/// Reads an operator's file; an empty one is the default. Fields that the type does not know are
/// passed over, and of a key that is there twice the last one counts.
pub fn parse<T>(file: &str, text: &str) -> Result<T, Errors>
where
    T: DeserializeOwned + Default + JsonSchema + 'static,
{
    let tree = tree(file, text, Trust::Operator)?;
    Ok(typed(file, tree.as_ref(), GoType::Lenient, Trust::Operator)?.value)
}

/// The nodes of a text.
pub(super) fn tree<'a>(
    file: &str,
    text: &'a str,
    trust: Trust,
) -> Result<Option<Tree<'a>>, Errors> {
    Tree::parse(text, trust.max_values()).map_err(|broken| {
        let Broken {
            line,
            column,
            path,
            message,
        } = broken;
        let problem = Problem {
            line,
            column,
            path,
            ..Problem::in_file("yaml", file, message)
        };
        problem.into()
    })
}

/// The nodes as a type.
pub(super) fn typed<T>(
    file: &str,
    tree: Option<&Tree<'_>>,
    go_type: GoType,
    trust: Trust,
) -> Result<Document<T>, Errors>
where
    T: DeserializeOwned + Default + JsonSchema + 'static,
{
    let Document { value, remarks } = fitted::<T>(file, tree, go_type, trust)?;
    let value = match value {
        Value::Null => T::default(),
        value => match T::deserialize(value) {
            Ok(value) => value,
            // Keeping track of the place costs, so it is done for what turns out to be wrong.
            Err(_) => read(file, tree, fitted::<T>(file, tree, go_type, trust)?.value)?,
        },
    };
    Ok(Document { value, remarks })
}

/// The nodes as JSON that has the type's shape.
pub(super) fn fitted<T: JsonSchema + 'static>(
    file: &str,
    tree: Option<&Tree<'_>>,
    go_type: GoType,
    trust: Trust,
) -> Result<Document<Value>, Errors> {
    let Some(tree) = tree else {
        return Ok(Document::default());
    };
    let shape = Shape::of::<T>();
    let fitted = fit::fit(tree, shape, go_type, file, trust.max_values());
    if !fitted.problems.is_empty() {
        return Err(Errors(fitted.problems));
    }
    Ok(Document {
        value: fitted.value,
        remarks: fitted.remarks,
    })
}

/// The type that JSON of its shape says; `null` is the default.
pub(super) fn read<T>(file: &str, tree: Option<&Tree<'_>>, value: Value) -> Result<T, Errors>
where
    T: DeserializeOwned + Default,
{
    if value.is_null() {
        return Ok(T::default());
    }
    serde_path_to_error::deserialize(value).map_err(|error| refused(file, tree, &error).into())
}

/// A value of the right kind that the type does not take.
fn refused(
    file: &str,
    tree: Option<&Tree<'_>>,
    error: &serde_path_to_error::Error<serde_json::Error>,
) -> Problem {
    use serde_path_to_error::Segment as Step;
    let steps = error.path().iter().filter_map(|step| match step {
        Step::Seq { index } => Some(Segment::Index(*index)),
        Step::Map { key } => Some(Segment::Key(key.clone())),
        Step::Enum { .. } | Step::Unknown => None,
    });
    let path: Vec<_> = steps.collect();
    let (line, column) = tree.map_or((0, 0), |tree| tree.locate(&path));
    Problem {
        line,
        column,
        path: show(&path),
        ..Problem::in_file("value", file, error.inner().to_string())
    }
}

#[cfg(test)]
mod tests;
