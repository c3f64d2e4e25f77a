//! What the exit codes of all test containers mean together.

use entrypoint::{ABORTED_CODE, PREVIOUS_FAILED_CODE};

use crate::metadata::RunOutcome;

use super::markers::ContainerEnd;

/// The result of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunVerdict {
    pub(super) outcome: RunOutcome,
    /// Containers that failed by themselves, not because an earlier one had.
    pub(super) failures: usize,
}

/// Success if all codes are 0, aborted if any container was. A missing code is a failure.
pub(super) fn judge_codes(codes: &[ContainerEnd]) -> RunVerdict {
    let code = |c: &ContainerEnd| *c.as_ref().unwrap_or(&-1);
    let outcome = if codes.iter().any(|c| code(c) == ABORTED_CODE) {
        RunOutcome::Aborted
    } else if codes.iter().all(|c| code(c) == 0) {
        RunOutcome::Success
    } else {
        RunOutcome::Failure
    };
    let failures = codes
        .iter()
        .filter(|c| !matches!(code(c), 0 | PREVIOUS_FAILED_CODE))
        .count();
    RunVerdict { outcome, failures }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_together() {
        for (codes, outcome, failures) in [
            (vec![Ok(0)], RunOutcome::Success, 0),
            (vec![Ok(0), Ok(0)], RunOutcome::Success, 0),
            (vec![Ok(0), Ok(1)], RunOutcome::Failure, 1),
            (vec![Ok(1), Ok(1130)], RunOutcome::Failure, 1),
            (vec![Ok(127)], RunOutcome::Failure, 1),
            (vec![Ok(0), Ok(130)], RunOutcome::Aborted, 1),
            (vec![Err("garbled".to_owned())], RunOutcome::Failure, 1),
        ] {
            assert_eq!(
                judge_codes(&codes),
                RunVerdict { outcome, failures },
                "{codes:?}"
            );
        }
    }
}
