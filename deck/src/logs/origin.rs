//! Decides where a run's log comes from, by plain values alone.

use common::prowjob::ProwJobState;

use crate::index::IndexedJob;

/// Where the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogOrigin {
    /// Nowhere: the run is queued, so there is no pod to ask.
    Nowhere,
    /// In the container, uncensored, as in Prow.
    Pod,
    /// In the run's folder, in pieces that its sidecar has censored.
    Sidecar,
    /// In the run's folder, as the pod stored it.
    Storage,
    /// The same, or in the container if nothing was stored.
    StorageElsePod,
}

/// What the decision depends on.
#[derive(Clone, Copy, Debug)]
struct RunFacts {
    state: ProwJobState,
    complete: bool,
    decorated: bool,
    /// `censor_secrets: true`
    censors: bool,
}

impl LogOrigin {
    /// For a run whose `ProwJob` exists; of others there is only what they stored.
    pub(crate) fn from_job(job: &IndexedJob) -> Self {
        decide_origin(RunFacts {
            state: job.state,
            complete: job.is_complete(),
            decorated: job.decorated,
            censors: job.censors,
        })
    }
}

/// A log that a sidecar has censored, or has not stored since censoring failed, must not be read
/// from the pod. So of a run that censors Deck shows what it stored, once it has finished, and
/// until then what its sidecar uploads. Other runs are shown from the pod, as in Prow.
fn decide_origin(run: RunFacts) -> LogOrigin {
    let in_line = matches!(
        run.state,
        ProwJobState::Triggered | ProwJobState::Scheduling
    );
    match (run.complete, run.decorated) {
        (true, true) if run.censors => LogOrigin::Storage,
        (true, true) => LogOrigin::StorageElsePod,
        (true, false) => LogOrigin::Pod,
        (false, _) if in_line => LogOrigin::Nowhere,
        (false, true) if run.censors => LogOrigin::Sidecar,
        (false, _) => LogOrigin::Pod,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: RunFacts = RunFacts {
        state: ProwJobState::Pending,
        complete: false,
        decorated: false,
        censors: false,
    };
    const DECORATED: RunFacts = RunFacts {
        decorated: true,
        ..PLAIN
    };
    const CENSORED: RunFacts = RunFacts {
        censors: true,
        ..DECORATED
    };

    fn finished(run: RunFacts, state: ProwJobState) -> LogOrigin {
        decide_origin(RunFacts {
            state,
            complete: true,
            ..run
        })
    }

    #[test]
    fn a_finished_run_comes_from_its_pod_only_if_nothing_was_to_be_masked() {
        for state in ProwJobState::ALL {
            for (run, expected) in [
                (PLAIN, LogOrigin::Pod),
                (DECORATED, LogOrigin::StorageElsePod),
                (CENSORED, LogOrigin::Storage),
            ] {
                assert_eq!(finished(run, state), expected, "{run:?} {state:?}");
            }
        }
    }

    #[test]
    fn a_censored_run_never_comes_from_its_pod() {
        for state in ProwJobState::ALL {
            for complete in [false, true] {
                let run = RunFacts {
                    state,
                    complete,
                    ..CENSORED
                };
                let pods = [LogOrigin::Pod, LogOrigin::StorageElsePod];
                assert!(!pods.contains(&decide_origin(run)), "{run:?}");
            }
        }
    }

    #[test]
    fn a_running_one_comes_from_where_it_is_written() {
        for (run, state, expected) in [
            (PLAIN, ProwJobState::Triggered, LogOrigin::Nowhere),
            (CENSORED, ProwJobState::Triggered, LogOrigin::Nowhere),
            (DECORATED, ProwJobState::Scheduling, LogOrigin::Nowhere),
            (PLAIN, ProwJobState::Pending, LogOrigin::Pod),
            (DECORATED, ProwJobState::Pending, LogOrigin::Pod),
            (CENSORED, ProwJobState::Pending, LogOrigin::Sidecar),
            // The state changes before the completion time is set.
            (CENSORED, ProwJobState::Aborted, LogOrigin::Sidecar),
            (DECORATED, ProwJobState::Aborted, LogOrigin::Pod),
        ] {
            assert_eq!(
                decide_origin(RunFacts { state, ..run }),
                expected,
                "{run:?} {state:?}"
            );
        }
    }
}
