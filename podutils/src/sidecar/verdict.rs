//! What the exit codes of all test containers mean together.

use entrypoint::{ABORTED_CODE, PREVIOUS_FAILED_CODE};

use crate::metadata::Outcome;

use super::markers::End;

/// The result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    /// Containers that failed by themselves, not because an earlier one had.
    pub(super) failures: usize,
}

/// Passed if all are 0, aborted if any was. A marker without a code counts as a failure.
pub(super) fn judge(codes: &[End]) -> Verdict {
    let code = |c: &End| *c.as_ref().unwrap_or(&-1);
    let outcome = if codes.iter().any(|c| code(c) == ABORTED_CODE) {
        Outcome::Aborted
    } else if codes.iter().all(|c| code(c) == 0) {
        Outcome::Success
    } else {
        Outcome::Failure
    };
    let failures = codes
        .iter()
        .filter(|c| !matches!(code(c), 0 | PREVIOUS_FAILED_CODE))
        .count();
    Verdict { outcome, failures }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_together() {
        for (codes, outcome, failures) in [
            (vec![Ok(0)], Outcome::Success, 0),
            (vec![Ok(0), Ok(0)], Outcome::Success, 0),
            (vec![Ok(0), Ok(1)], Outcome::Failure, 1),
            (vec![Ok(1), Ok(1130)], Outcome::Failure, 1),
            (vec![Ok(127)], Outcome::Failure, 1),
            (vec![Ok(0), Ok(130)], Outcome::Aborted, 1),
            (vec![Err("garbled".to_owned())], Outcome::Failure, 1),
        ] {
            assert_eq!(judge(&codes), Verdict { outcome, failures }, "{codes:?}");
        }
    }
}
