//! What Kubernetes and Prow accept as a name.

/// Letters, digits, `-`, `.` and `_`.
pub(super) fn is_job_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_job_byte)
}

/// As [`is_job_name`], with folders separated by `/`.
pub(super) fn is_jenkins_name(name: &str) -> bool {
    let inner = |byte: u8| is_job_byte(byte) || byte == b'/';
    match name.as_bytes() {
        [] => false,
        [only] => is_job_byte(*only),
        [first, middle @ .., last] => {
            is_job_byte(*first)
                && middle.iter().all(|byte| inner(*byte))
                && (last.is_ascii_alphanumeric() || matches!(last, b'-' | b'_'))
        }
    }
}

fn is_job_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// The key of a label or an annotation: an optional DNS name and a slash, then a short name.
pub(in crate::config) fn is_qualified_name(key: &str) -> bool {
    match key.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_short_name(name),
        None => is_short_name(key),
    }
}

fn is_short_name(name: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    name.len() <= 63
        && edge(name.as_bytes().first())
        && edge(name.as_bytes().last())
        && name.bytes().all(is_job_byte)
}

fn is_subdomain(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, job, jenkins) in [
            ("pull-unit_1.2", true, true),
            ("", false, false),
            ("with space", false, false),
            ("folder/job", false, true),
            ("folder/job.", false, false),
        ] {
            assert_eq!(is_job_name(name), job, "{name}");
            assert_eq!(is_jenkins_name(name), jenkins, "{name}");
        }
        for (key, valid) in [
            ("app", true),
            ("prow.k8s.io/type", true),
            ("Prow/x", false),
            ("/x", false),
            ("a/b/c", false),
            ("-x", false),
        ] {
            assert_eq!(is_qualified_name(key), valid, "{key}");
        }
    }
}
