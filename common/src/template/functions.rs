//! Functions of templates: those that templates call, and those that `rewrite` inserts.

use gotmpl::{Template, TemplateError, Value};

use super::MAX_VALUE;

/// `(line, column, receiver, name…)`: a field, and fields of it. No template can write this name.
pub(super) const FIELD: &str = ".field";
/// Refuses a text that is too long.
pub(super) const SHORT: &str = ".short";
/// Refuses to print a struct, of which Go would print the fields.
pub(super) const SHOW: &str = ".show";

/// The functions that a template may call: all of Go's but `call`, because no data is a function.
pub(super) const GO_FUNCTIONS: [&str; 18] = [
    "and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "index", "slice", "len", "print",
    "printf", "println", "html", "js", "urlquery",
];

type FunctionResult<T> = std::result::Result<T, TemplateError>;

pub(super) fn register_functions(template: Template) -> Template {
    template
        .func(FIELD, get_field)
        .func(SHORT, refuse_long_text)
        .func(SHOW, refuse_struct)
        .func("index", index_value)
}

fn get_field(arguments: &[Value]) -> FunctionResult<Value> {
    let [line, column, receiver, names @ ..] = arguments else {
        return Err(exec_error("a field needs a receiver"));
    };
    let place = (line.as_int(), column.as_int());
    let mut value = receiver.clone();
    for name in names {
        value = get_one_field(&value, name).map_err(|error| with_place(place, error))?;
    }
    Ok(value)
}

/// Structs are functions of a field's name, see [`super::values`].
fn get_one_field(receiver: &Value, name: &Value) -> FunctionResult<Value> {
    match (receiver, name.as_str()) {
        (Value::Function(fields), _) => fields(std::slice::from_ref(name)),
        (Value::Map(_), Some(key)) => Ok(receiver.field(key).cloned().unwrap_or(Value::Nil)),
        (Value::Nil, _) => Err(exec_error(&format!(
            "nothing has a field {name}: this job lacks it"
        ))),
        _ => Err(exec_error(&format!(
            "a {} has no field {name}",
            receiver.type_name()
        ))),
    }
}

/// As in Go, a missing key of a map of strings is the empty string.
fn index_value(arguments: &[Value]) -> FunctionResult<Value> {
    let [value, keys @ ..] = arguments else {
        return Err(exec_error("index needs a list or a map"));
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

fn refuse_long_text(arguments: &[Value]) -> FunctionResult<Value> {
    let value = arguments.first().cloned().unwrap_or(Value::Nil);
    match value.as_str() {
        Some(text) if text.len() > MAX_VALUE => Err(exec_error(&format!(
            "a text of {} bytes is longer than {MAX_VALUE}",
            text.len()
        ))),
        _ => Ok(value),
    }
}

fn refuse_struct(arguments: &[Value]) -> FunctionResult<Value> {
    match arguments.first() {
        Some(Value::Function(_)) => Err(exec_error("a struct cannot be printed, only its fields")),
        value => Ok(value.cloned().unwrap_or(Value::Nil)),
    }
}

fn exec_error(message: &str) -> TemplateError {
    TemplateError::Exec(message.to_owned())
}

fn with_place((line, column): (Option<i64>, Option<i64>), error: TemplateError) -> TemplateError {
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
