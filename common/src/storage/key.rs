//! Object names that are valid in every kind of bucket, including a folder.

use super::StorageError;

/// The limit of Google and Amazon, in bytes.
const MAX_LENGTH: usize = 1024;

/// In a folder, the attributes of its objects are here; no object may be below it.
pub(super) const ATTRIBUTES_FOLDER: &str = ".attributes";
/// In a folder, objects are written here first; no object may be below it.
pub(super) const STAGING_FOLDER: &str = ".staging";

/// Accepts `a/b/c`: relative, no empty, `.` or `..` segment, no control characters, at most
/// 1024 bytes.
pub fn validate_key(key: &str) -> Result<(), StorageError> {
    match find_key_fault(key) {
        Some(fault) => Err(StorageError::InvalidKey(
            key.chars().take(200).collect(),
            fault,
        )),
        None => Ok(()),
    }
}

fn find_key_fault(key: &str) -> Option<&'static str> {
    if key.is_empty() {
        return Some("it is empty");
    }
    if key.len() > MAX_LENGTH {
        return Some("it is longer than 1024 bytes");
    }
    if key.chars().any(char::is_control) {
        return Some("it has a control character");
    }
    if [Some(ATTRIBUTES_FOLDER), Some(STAGING_FOLDER)].contains(&key.split('/').next()) {
        return Some("its first segment is reserved");
    }
    key.split('/').find_map(|segment| match segment {
        "" => Some("it has an empty segment"),
        "." | ".." => Some("it has a relative segment"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_pass() {
        let longest = "x".repeat(MAX_LENGTH);
        for key in [
            "a",
            "logs/job/1/build-log.txt",
            "a/..b/c...d",
            "ü/%23 x",
            "x/.attributes",
            &longest,
        ] {
            assert!(validate_key(key).is_ok(), "{key}");
        }
    }

    #[test]
    fn bad_names_do_not() {
        let too_long = "x".repeat(MAX_LENGTH + 1);
        for key in [
            "",
            "/a",
            "a/",
            "a//b",
            "..",
            "../a",
            "a/../b",
            "a/./b",
            "a\0b",
            "a\nb",
            ".attributes/x",
            ".staging/x",
            &too_long,
        ] {
            assert!(validate_key(key).is_err(), "{key:?}");
        }
    }
}
