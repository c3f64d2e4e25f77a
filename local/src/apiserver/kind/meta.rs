//! The rules for names, labels and annotations.

use serde_json::{Value, json};

use super::super::object::meta;
use super::super::resource::Resource;
use super::super::status::Cause;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character, and have at most 63 characters";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
     and must start and end with an alphanumeric character, and have at most 63 characters";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
     an alphanumeric character, with an optional DNS subdomain prefix and '/'";
/// All annotations of an object together.
const ANNOTATION_BYTES: usize = 256 << 10;

pub(super) fn validate(resource: &Resource, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes: Vec<Cause> = old
        .and_then(|old| late_finalizers(object, old))
        .into_iter()
        .collect();
    let name = meta(object, "name");
    let wrong_name = match (&*resource.group, &*resource.plural) {
        // Roles may be called `system:node`.
        ("rbac.authorization.k8s.io", _) => {
            (name.is_empty() || name.contains(['/', '%'])).then_some("may not contain '/' or '%'")
        }
        ("", "namespaces" | "services") => (!is_label(name)).then_some(LABEL),
        _ => (!is_subdomain(name)).then_some(SUBDOMAIN),
    };
    if name.is_empty() {
        causes.push(Cause::required(
            "metadata.name",
            "name or generateName is required",
        ));
    } else if let Some(rule) = wrong_name {
        causes.push(Cause::invalid("metadata.name", &json!(name), rule));
    }
    for (key, value) in object["metadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten()
    {
        if !is_qualified(key) {
            causes.push(Cause::invalid("metadata.labels", &json!(key), QUALIFIED));
        }
        if !value.as_str().is_some_and(is_label_value) {
            causes.push(Cause::invalid("metadata.labels", value, LABEL_VALUE));
        }
    }
    let mut size = 0;
    for (key, value) in object["metadata"]["annotations"]
        .as_object()
        .into_iter()
        .flatten()
    {
        size += key.len() + value.as_str().map_or(0, str::len);
        if !is_qualified(&key.to_lowercase()) {
            causes.push(Cause::invalid(
                "metadata.annotations",
                &json!(key),
                QUALIFIED,
            ));
        }
    }
    if size > ANNOTATION_BYTES {
        causes.push(Cause {
            reason: "FieldValueTooLong",
            field: "metadata.annotations".to_owned(),
            message: format!("Too long: may not be more than {ANNOTATION_BYTES} bytes"),
        });
    }
    for (index, owner) in object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner[field].as_str().is_none_or(str::is_empty) {
                causes.push(Cause::required(
                    format!("metadata.ownerReferences[{index}].{field}"),
                    "must not be empty",
                ));
            }
        }
    }
    causes
}

/// What is going may only be held by those who held it before.
fn late_finalizers(object: &Value, old: &Value) -> Option<Cause> {
    if !old["metadata"]["deletionTimestamp"].is_string() {
        return None;
    }
    let finalizers = |object: &'_ Value| -> Vec<Value> {
        let all = object["metadata"]["finalizers"].as_array();
        all.cloned().unwrap_or_default()
    };
    let before = finalizers(old);
    let late: Vec<String> = finalizers(object)
        .iter()
        .filter(|one| !before.contains(one))
        .map(Value::to_string)
        .collect();
    let detail = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
        late.join(", ")
    );
    (!late.is_empty()).then(|| Cause::forbidden("metadata.finalizers", &detail))
}

pub(super) fn is_subdomain(name: &str) -> bool {
    name.len() <= 253
        && name
            .split('.')
            .all(|part| words(part, |c| matches!(c, b'-' | b'a'..=b'z' | b'0'..=b'9')))
}

pub(super) fn is_label(name: &str) -> bool {
    name.len() <= 63 && !name.contains('.') && is_subdomain(name)
}

fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_name_part(value)
}

fn is_name_part(value: &str) -> bool {
    value.len() <= 63
        && words(value, |c| {
            matches!(c, b'-' | b'_' | b'.') || c.is_ascii_alphanumeric()
        })
}

fn is_qualified(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_name_part(name),
        None => is_name_part(key),
    }
}

/// Not empty, of `allowed` characters, with letters or digits at both ends.
fn words(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    bytes.iter().all(|byte| allowed(*byte))
        && ends
            .iter()
            .all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, subdomain, label) in [
            ("a", true, true),
            ("a-b.c1", true, false),
            ("", false, false),
            ("A", false, false),
            ("-a", false, false),
            ("a.", false, false),
            ("a_b", false, false),
            (&"a".repeat(64), true, false),
            (&"a".repeat(254), false, false),
        ] {
            assert_eq!(
                (is_subdomain(name), is_label(name)),
                (subdomain, label),
                "{name:?}"
            );
        }
        for (key, good) in [
            ("a", true),
            ("prow.k8s.io/refs.org", true),
            ("a/b/c", false),
            ("/a", false),
            ("a b", false),
        ] {
            assert_eq!(is_qualified(key), good, "{key:?}");
        }
        for (value, good) in [
            ("", true),
            ("A_b.c-1", true),
            ("a b", false),
            ("-a", false),
            (&"x".repeat(64), false),
        ] {
            assert_eq!(is_label_value(value), good, "{value:?}");
        }
    }
}
