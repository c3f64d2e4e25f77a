//! The log of a running test, as pieces in a folder next to the later log.
//!
//! The sidecar of a run with `censor_secrets: true` writes them, censored: numbered from 1, at most
//! one a second, none while the test writes nothing. In order they are the beginning of the log.
//! The sidecar removes them once the log is stored.

use super::paths::BUILD_LOG;

const FOLDER_END: &str = ".live";
const LOG_END: &str = ".txt";
const DIGITS: usize = 8;

/// The folder of the pieces of `log` (a name from [`super::paths::build_log`]), without a slash at
/// the end.
#[must_use]
pub fn piece_folder(log: &str) -> String {
    format!("{}{FOLDER_END}", log.strip_suffix(LOG_END).unwrap_or(log))
}

/// The name, below the run's folder, of the piece `number` of `log`. Names sort as their numbers do.
#[must_use]
pub fn piece_name(log: &str, number: u64) -> String {
    format!("{}/{number:0DIGITS$}{LOG_END}", piece_folder(log))
}

/// The number of the piece with this `name` below a run's folder; `None` if it is no piece.
#[must_use]
pub fn piece_number(name: &str) -> Option<u64> {
    let (folder, piece) = name.split_once('/')?;
    let log = folder.strip_suffix(FOLDER_END)?;
    let is_log = BUILD_LOG.strip_suffix(LOG_END).is_some_and(|end| {
        log.strip_suffix(end)
            .is_some_and(|container| container.is_empty() || container.ends_with('-'))
    });
    let digits = piece.strip_suffix(LOG_END)?;
    let is_number = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    let number = digits.parse().ok().filter(|number| *number > 0);
    number.filter(|_| is_log && is_number)
}

/// Whether `name`, below a run's folder, is a piece.
#[must_use]
pub fn is_piece(name: &str) -> bool {
    piece_number(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (log, number, expected) in [
            ("build-log.txt", 1, "build-log.live/00000001.txt"),
            (
                "test-build-log.txt",
                99_999_999,
                "test-build-log.live/99999999.txt",
            ),
        ] {
            let name = piece_name(log, number);
            assert_eq!(name, expected);
            assert_eq!(piece_number(&name), Some(number));
        }
    }

    #[test]
    fn nothing_else_is_a_piece() {
        for name in [
            "build-log.txt",
            "build-log.live",
            "build-log.live/",
            "build-log.live/1.txt",
            "build-log.live/00000000.txt",
            "build-log.live/00000001",
            "build-log.live/+0000001.txt",
            "build-log.live/x/00000001.txt",
            "artifacts/build-log.live/00000001.txt",
            "log.live/00000001.txt",
            "mybuild-log.live/00000001.txt",
            "build-log/00000001.txt",
        ] {
            assert!(!is_piece(name), "{name}");
        }
    }
}
