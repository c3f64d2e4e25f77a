//! Converts errors of stores and file systems to [`StorageError`]s.

use crate::error_chain::format_error_chain;
use crate::storage::StorageError;

pub(in crate::storage) fn storage_error(key: &str, error: object_store::Error) -> StorageError {
    use object_store::Error as E;
    match error {
        E::NotFound { .. } => StorageError::NotFound(key.to_owned()),
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
            StorageError::Forbidden(format!("{key} ({})", format_error_chain(&error)))
        }
        E::NotSupported { .. } | E::NotImplemented { .. } => {
            StorageError::Refused(key.to_owned(), format_error_chain(&error))
        }
        E::InvalidPath { .. } => {
            StorageError::InvalidKey(key.to_owned(), "the store does not take it")
        }
        other => {
            let said = io_kind(&other).and_then(|kind| error_of_kind(key, kind));
            said.unwrap_or_else(|| StorageError::other(other))
        }
    }
}

pub(in crate::storage) fn io_error(key: &str, error: std::io::Error) -> StorageError {
    error_of_kind(key, error.kind()).unwrap_or_else(|| StorageError::other(error))
}

/// The kind of the file system error among the causes, if there is one.
fn io_kind(error: &(dyn std::error::Error + 'static)) -> Option<std::io::ErrorKind> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}

/// The error for a kind of file system error, if a caller can react to it.
fn error_of_kind(key: &str, kind: std::io::ErrorKind) -> Option<StorageError> {
    use std::io::ErrorKind as K;
    match kind {
        K::StorageFull | K::QuotaExceeded => Some(StorageError::Full(key.to_owned())),
        // A folder cannot hold both `a` and `a/b`.
        K::IsADirectory | K::NotADirectory => Some(StorageError::InvalidKey(
            key.to_owned(),
            "there is a folder of that name, or an object where its folder would be",
        )),
        K::InvalidFilename => Some(StorageError::InvalidKey(
            key.to_owned(),
            "a segment of it is too long for a file's name",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn generic(kind: io::ErrorKind) -> object_store::Error {
        object_store::Error::Generic {
            store: "test",
            source: Box::new(io::Error::from(kind)),
        }
    }

    #[test]
    fn a_full_disk_may_be_tried_again_and_a_bad_name_not() {
        use io::ErrorKind as K;
        for (kind, full, transient) in [
            (K::StorageFull, true, true),
            (K::QuotaExceeded, true, true),
            (K::NotADirectory, false, false),
            (K::InvalidFilename, false, false),
            (K::TimedOut, false, true),
        ] {
            for error in [
                storage_error("k", generic(kind)),
                io_error("k", io::Error::from(kind)),
            ] {
                assert_eq!(matches!(error, StorageError::Full(_)), full, "{error}");
                assert_eq!(error.is_transient(), transient, "{error}");
            }
        }
    }
}
