//! Rules of names, label keys and label values, in apimachinery's words (v0.36,
//! `pkg/api/validate/content`). Each function returns the broken rules, one text each.

const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character";
const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
     and must start and end with an alphanumeric character";
const KEY_RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
     alphanumeric character";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
     and must start and end with an alphanumeric character";

const LABEL_REGEX: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_REGEX: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const KEY_REGEX: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const VALUE_REGEX: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";

/// In bytes.
const MAX_LABEL: usize = 63;
const MAX_SUBDOMAIN: usize = 253;

/// Checks a name that must be a DNS label, such as a container's.
pub(super) fn check_dns_label(name: &str) -> Vec<String> {
    let mut errors = check_length(name, MAX_LABEL);
    if !is_label(name) {
        errors.push(if is_subdomain(name) {
            "must not contain dots".to_owned()
        } else {
            regex_error(LABEL_RULE, LABEL_REGEX, &["my-name", "123-abc"])
        });
    }
    errors
}

/// Checks a name that must be a DNS subdomain, such as most objects'.
pub(super) fn check_dns_subdomain(name: &str) -> Vec<String> {
    let mut errors = check_length(name, MAX_SUBDOMAIN);
    if !is_subdomain(name) {
        errors.push(regex_error(
            SUBDOMAIN_RULE,
            SUBDOMAIN_REGEX,
            &["example.com"],
        ));
    }
    errors
}

/// Checks an object's name that need only be a path segment, such as a role's.
pub(super) fn check_path_segment(name: &str) -> Vec<String> {
    if [".", ".."].contains(&name) {
        return vec![format!("may not be '{name}'")];
    }
    let illegal = ['/', '%'].into_iter().filter(|it| name.contains(*it));
    illegal
        .map(|it| format!("may not contain '{it}'"))
        .collect()
}

/// Checks the key of a label: `[prefix/]name`.
pub(super) fn check_label_key(key: &str) -> Vec<String> {
    let examples = ["MyName", "my.name", "123-abc"];
    let mut errors = Vec::new();
    let mut parts: Vec<&str> = key.split('/').collect();
    let name = parts.pop().unwrap_or_default();
    match parts.as_slice() {
        [] => {}
        [""] => errors.push("prefix part must be non-empty".to_owned()),
        [prefix] => {
            let wrong = check_dns_subdomain(prefix).into_iter();
            errors.extend(wrong.map(|it| format!("prefix part {it}")));
        }
        _ => {
            let rule = regex_error(KEY_RULE, KEY_REGEX, &examples);
            let prefix =
                "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {rule} {prefix}")];
        }
    }
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    }
    let long = check_length(name, MAX_LABEL).into_iter();
    errors.extend(long.map(|it| format!("name part {it}")));
    if !is_key_name(name) {
        let rule = regex_error(KEY_RULE, KEY_REGEX, &examples);
        errors.push(format!("name part {rule}"));
    }
    errors
}

/// Checks the value of a label.
pub(super) fn check_label_value(value: &str) -> Vec<String> {
    let mut errors = check_length(value, MAX_LABEL);
    if !value.is_empty() && !is_key_name(value) {
        let examples = ["MyValue", "my_value", "12345"];
        errors.push(regex_error(VALUE_RULE, VALUE_REGEX, &examples));
    }
    errors
}

fn check_length(text: &str, max: usize) -> Vec<String> {
    let is_long = text.len() > max;
    let error = is_long.then(|| format!("must be no more than {max} bytes"));
    error.into_iter().collect()
}

fn regex_error(rule: &str, regex: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|it| format!("'{it}', ")).collect();
    let examples = examples.join(" or ");
    format!("{rule} (e.g. {examples}regex used for validation is '{regex}')")
}

fn is_label(name: &str) -> bool {
    has_allowed_chars(name, |c| matches!(c, b'-' | b'a'..=b'z' | b'0'..=b'9'))
}

fn is_subdomain(name: &str) -> bool {
    name.split('.').all(is_label)
}

fn is_key_name(name: &str) -> bool {
    let allowed = |c: u8| matches!(c, b'-' | b'_' | b'.') || c.is_ascii_alphanumeric();
    has_allowed_chars(name, allowed)
}

/// Whether the text is not empty, has only `allowed` characters, and letters or digits at both
/// ends.
fn has_allowed_chars(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
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

    const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    const KEY: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

    #[test]
    fn names() {
        for (name, of_label, of_subdomain) in [
            ("a", &[][..], &[][..]),
            ("a-b.c1", &["must not contain dots"], &[]),
            ("", &[LABEL], &[SUBDOMAIN]),
            ("A", &[LABEL], &[SUBDOMAIN]),
            ("-a", &[LABEL], &[SUBDOMAIN]),
            ("a.", &[LABEL], &[SUBDOMAIN]),
            ("a_b", &[LABEL], &[SUBDOMAIN]),
            (&"a".repeat(64), &["must be no more than 63 bytes"], &[]),
            (
                &"A".repeat(254),
                &["must be no more than 63 bytes", LABEL],
                &["must be no more than 253 bytes", SUBDOMAIN],
            ),
        ] {
            assert_eq!(check_dns_label(name), of_label, "{name:?}");
            assert_eq!(check_dns_subdomain(name), of_subdomain, "{name:?}");
        }
        assert_eq!(check_path_segment("system:node"), [""; 0]);
        assert_eq!(check_path_segment(".."), ["may not be '..'"]);
        assert_eq!(
            check_path_segment("a%/b"),
            ["may not contain '/'", "may not contain '%'"]
        );
    }

    #[test]
    fn labels() {
        let name_part = format!("name part {KEY}");
        let too_many = format!(
            "a valid label key {KEY} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        );
        let empty = "name part must be non-empty";
        for (key, errors) in [
            ("a", &[][..]),
            ("prow.k8s.io/refs.org", &[]),
            ("a/b/c", &[&*too_many]),
            ("/a", &["prefix part must be non-empty"]),
            ("", &[empty, &name_part]),
            ("a/", &[empty, &name_part]),
            ("a b", &[&name_part]),
            ("A/b", &[&*format!("prefix part {SUBDOMAIN}")]),
            (
                &"a".repeat(64),
                &["name part must be no more than 63 bytes"],
            ),
        ] {
            assert_eq!(check_label_key(key), errors, "{key:?}");
        }
        for (value, errors) in [
            ("", &[][..]),
            ("A_b.c-1", &[]),
            ("a b", &[VALUE]),
            ("-a", &[VALUE]),
            (&"x".repeat(64), &["must be no more than 63 bytes"]),
            // Bytes, not characters.
            (&"ü".repeat(32), &["must be no more than 63 bytes", VALUE]),
        ] {
            assert_eq!(check_label_value(value), errors, "{value:?}");
        }
    }
}
