//! What stores and file systems say, as what a caller can react to.

use crate::causes::causes;
use crate::storage::Error;

pub(in crate::storage) fn error(key: &str, error: object_store::Error) -> Error {
    use object_store::Error as E;
    match error {
        E::NotFound { .. } => Error::NotFound(key.to_owned()),
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => {
            Error::Forbidden(format!("{key} ({})", causes(&error)))
        }
        E::NotSupported { .. } | E::NotImplemented { .. } => {
            Error::Refused(key.to_owned(), causes(&error))
        }
        E::InvalidPath { .. } => Error::InvalidKey(key.to_owned(), "the store does not take it"),
        other => {
            let said = io_kind(&other).and_then(|kind| of_kind(key, kind));
            said.unwrap_or_else(|| Error::other(other))
        }
    }
}

pub(in crate::storage) fn io_error(key: &str, error: std::io::Error) -> Error {
    of_kind(key, error.kind()).unwrap_or_else(|| Error::other(error))
}

/// The kind of the file system's error that led to this one, if one did.
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

/// What a caller can react to.
fn of_kind(key: &str, kind: std::io::ErrorKind) -> Option<Error> {
    use std::io::ErrorKind as K;
    match kind {
        K::StorageFull | K::QuotaExceeded => Some(Error::Full(key.to_owned())),
        // A folder cannot hold `a` and `a/b`.
        K::IsADirectory | K::NotADirectory => Some(Error::InvalidKey(
            key.to_owned(),
            "there is a folder of that name, or an object where its folder would be",
        )),
        K::InvalidFilename => Some(Error::InvalidKey(
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
                error("k", generic(kind)),
                io_error("k", io::Error::from(kind)),
            ] {
                assert_eq!(matches!(error, Error::Full(_)), full, "{error}");
                assert_eq!(error.is_transient(), transient, "{error}");
            }
        }
    }
}
