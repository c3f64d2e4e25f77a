//! Where a run's log comes from: the one decision, of values alone.

use common::prowjob::ProwJobState;

use crate::index::IndexedJob;

/// Who has the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogOrigin {
    /// Nobody: the run is in line, so there is no pod to ask.
    Nowhere,
    /// The container, raw, as in Prow.
    Pod,
    /// The run's folder, in pieces that its sidecar has masked.
    Sidecar,
    /// The run's folder, as the pod stored it.
    Storage,
    /// The same, and where nothing was stored the container.
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
    /// Of a run whose `ProwJob` exists; of another there is only what it stored.
    pub(crate) fn from_job(job: &IndexedJob) -> Self {
        decide_origin(RunFacts {
            state: job.state,
            complete: job.is_complete(),
            decorated: job.decorated,
            censors: job.censors,
        })
    }
}

/// What a sidecar has masked, or refused to store since it could not, is not to be had from the
/// pod; so of a run that censors there is, once it has finished, what it stored, and until then
/// what its sidecar lets out. Other runs are shown from the pod as Prow does it.
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
            // Its state is told before its end is.
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
