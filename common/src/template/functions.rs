//! Functions of templates: those that templates name, and those that `rewrite` puts in.

use gotmpl::{Template, TemplateError, Value};

use super::MAX_VALUE;

/// `(line, column, receiver, name…)`: a field, and its fields. No template can write this name.
pub(super) const FIELD: &str = ".field";
/// Refuses a text that has grown too long.
pub(super) const SHORT: &str = ".short";
/// Refuses to print a struct, of which Go would show the insides.
pub(super) const SHOW: &str = ".show";

/// What a template may call: all of Go's, but `call`, for no data holds a function.
pub(super) const KNOWN: [&str; 18] = [
    "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "index", "slice", "len", "print",
    "printf", "println", "html", "js", "urlquery",
];

type Result<T> = std::result::Result<T, TemplateError>;

pub(super) fn install(template: Template) -> Template {
    template
        .func(FIELD, field)
        .func(SHORT, short)
        .func(SHOW, show)
        .func("index", index)
}

fn field(arguments: &[Value]) -> Result<Value> {
    let [line, column, receiver, names @ ..] = arguments else {
        return Err(fail("a field needs a receiver"));
    };
    let place = (line.as_int(), column.as_int());
    let mut value = receiver.clone();
    for name in names {
        value = one_field(&value, name).map_err(|error| at(place, error))?;
    }
    Ok(value)
}

/// Structs are functions of a field's name, see [`super::view`].
fn one_field(receiver: &Value, name: &Value) -> Result<Value> {
    match (receiver, name.as_str()) {
        (Value::Function(fields), _) => fields(std::slice::from_ref(name)),
        (Value::Map(_), Some(key)) => Ok(receiver.field(key).cloned().unwrap_or(Value::Nil)),
        (Value::Nil, _) => Err(fail(&format!(
            "nothing has a field {name}: this job lacks it"
        ))),
        _ => Err(fail(&format!(
            "a {} has no field {name}",
            receiver.type_name()
        ))),
    }
}

/// As Go's: a missing key of a map of texts is the empty text.
fn index(arguments: &[Value]) -> Result<Value> {
    let [value, keys @ ..] = arguments else {
        return Err(fail("index needs a list or a map"));
    };
    let mut value = value.clone();
    for key in keys {
        value = match (&value, key.as_str()) {
            (Value::Map(_), Some(name)) => {
                let found = value.field(name).cloned();
                found.unwrap_or_else(|| Value::String("".into()))
            }
            _ => value.index(key)?,
        };
    }
    Ok(value)
}

fn short(arguments: &[Value]) -> Result<Value> {
    let value = arguments.first().cloned().unwrap_or(Value::Nil);
    match value.as_str() {
        Some(text) if text.len() > MAX_VALUE => Err(fail(&format!(
            "a text of {} bytes is longer than {MAX_VALUE}",
            text.len()
        ))),
        _ => Ok(value),
    }
}

fn show(arguments: &[Value]) -> Result<Value> {
    match arguments.first() {
        Some(Value::Function(_)) => Err(fail("a struct cannot be printed, only its fields")),
        value => Ok(value.cloned().unwrap_or(Value::Nil)),
    }
}

fn fail(message: &str) -> TemplateError {
    TemplateError::Exec(message.to_owned())
}

fn at((line, column): (Option<i64>, Option<i64>), error: TemplateError) -> TemplateError {
    let number = |number: Option<i64>| usize::try_from(number.unwrap_or_default()).unwrap_or(0);
    let message = match error {
        TemplateError::Exec(message) => message,
        other => other.to_string(),
    };
    TemplateError::Parse {
        name: None,
        line: number(line),
        col: number(column),
        message,
    }
}
