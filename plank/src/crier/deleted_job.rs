//! A job that was deleted while it ran: nobody else would report its end.

use common::prowjob::{ProwJob, ProwJobState};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// For people who wait for the job.
pub(super) const DELETED: &str =
    "The ProwJob was deleted before it had ended: its result is not known. Run it again.";

/// The last state to report of a deleted job; `None` if the job itself was complete.
pub(super) fn build_deleted_job(last: &ProwJob, now: Timestamp) -> Option<ProwJob> {
    if last.is_complete() {
        return None;
    }
    let mut job = last.clone();
    let status = job.status.get_or_insert_default();
    // An aborted job keeps its description: it may name the run that superseded it.
    if status.state != ProwJobState::Aborted || status.description.is_empty() {
        status.description = DELETED.into();
    }
    status.state = ProwJobState::Aborted;
    status.completion_time = Some(Time(now));
    Some(job)
}

#[cfg(test)]
mod tests {
    use common::prowjob::ProwJobStatus;

    use super::*;

    #[test]
    fn only_who_had_not_ended_gets_one() {
        let now: Timestamp = "2026-08-01T00:00:00Z".parse().unwrap();
        let job = |state, complete: bool, description: &str| {
            let mut job = ProwJob::new("pj", Default::default());
            job.status = Some(ProwJobStatus {
                state,
                description: description.into(),
                completion_time: complete.then_some(Time(now)),
                ..ProwJobStatus::default()
            });
            job
        };
        for (state, complete, description, expected) in [
            (
                ProwJobState::Triggered,
                false,
                "Job triggered.",
                Some(DELETED),
            ),
            (ProwJobState::Pending, false, "", Some(DELETED)),
            (
                ProwJobState::Aborted,
                false,
                "Aborted by #8.",
                Some("Aborted by #8."),
            ),
            (ProwJobState::Aborted, false, "", Some(DELETED)),
            (ProwJobState::Success, true, "Job succeeded.", None),
            (ProwJobState::Aborted, true, "", None),
        ] {
            let told = build_deleted_job(&job(state, complete, description), now);
            let status = told.as_ref().and_then(|job| job.status.as_ref());
            assert_eq!(status.map(|status| status.description.as_str()), expected);
            assert!(status.is_none_or(|status| status.state == ProwJobState::Aborted));
            assert!(told.is_none_or(|job| job.is_complete()));
        }
        let never_seen = build_deleted_job(&ProwJob::new("pj", Default::default()), now);
        assert!(never_seen.unwrap().is_complete());
    }
}
