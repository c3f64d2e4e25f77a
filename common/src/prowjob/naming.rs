//! Making a `ProwJob`, and naming it so that doing it twice does it once.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use uuid::Uuid;

use super::{
    ProwJob, ProwJobSpec, ProwJobState, ProwJobStatus, ProwJobType, labels::labels_and_annotations,
    spec::StringMap,
};

/// A `ProwJob` ready to be created.
///
/// `state` is `triggered`, or `scheduling` where a scheduler chooses clusters. Times in
/// Kubernetes are whole seconds.
pub fn new_prowjob(
    name: String,
    namespace: &str,
    spec: ProwJobSpec,
    labels: &StringMap,
    annotations: &StringMap,
    state: ProwJobState,
    now: Timestamp,
) -> ProwJob {
    let (labels, annotations) = labels_and_annotations(&spec, labels, annotations);
    ProwJob {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(namespace.to_owned()),
            labels: Some(labels),
            annotations: Some(annotations),
            ..ObjectMeta::default()
        },
        spec,
        status: Some(ProwJobStatus {
            start_time: Some(Time(whole_second(now))),
            state,
            ..ProwJobStatus::default()
        }),
    }
}

fn whole_second(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// What makes two jobs of one event the same job.
#[derive(Clone, Copy, Debug)]
pub struct JobKey<'a> {
    /// Random, kept beside the `ProwJob` namespace: GitHub gives one delivery id to every
    /// webhook that hears an event.
    pub installation: Uuid,
    pub delivery: &'a str,
    pub job_type: ProwJobType,
    /// `org/repo`.
    pub repo: &'a str,
    /// As `Refs` displays them.
    pub refs: &'a str,
    pub job: &'a str,
}

/// The name of the `ProwJob` that an event makes of a job: a UUID (version 5) of [`JobKey`].
pub fn event_name(identity: &JobKey<'_>) -> String {
    let parts = [
        identity.delivery,
        identity.job_type.as_str(),
        identity.repo,
        identity.refs,
        identity.job,
    ];
    // A NUL cannot occur in any part, so that no two identities run together.
    Uuid::new_v5(&identity.installation, parts.join("\0").as_bytes()).to_string()
}

/// The name of a periodic's run: a UUID (version 5) of the job, the moment it was due and which
/// retry it is, so that making it twice makes it once.
///
/// `late` is when whoever makes it began to look, if that is after the slot: somebody may have
/// made a run of this slot before and somebody deleted it, and pods of that run may be there.
pub fn periodic_name(
    installation: Uuid,
    job: &str,
    slot: Timestamp,
    attempt: u32,
    late: Option<Timestamp>,
) -> String {
    let kind = ProwJobType::Periodic.as_str();
    let late = late.map(|began| format!("\0{began}")).unwrap_or_default();
    let parts = format!("{kind}\0{job}\0{slot}\0{attempt}{late}");
    Uuid::new_v5(&installation, parts.as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_periodics_name_depends_on_every_part() {
        let slot = Timestamp::UNIX_EPOCH;
        let name = periodic_name(Uuid::nil(), "nightly", slot, 0, None);
        assert_eq!(name, periodic_name(Uuid::nil(), "nightly", slot, 0, None));
        for other in [
            periodic_name(Uuid::max(), "nightly", slot, 0, None),
            periodic_name(Uuid::nil(), "weekly", slot, 0, None),
            periodic_name(Uuid::nil(), "nightly", Timestamp::MAX, 0, None),
            periodic_name(Uuid::nil(), "nightly", slot, 1, None),
            periodic_name(Uuid::nil(), "nightly", slot, 0, Some(slot)),
        ] {
            assert_ne!(name, other);
        }
    }

    #[test]
    fn a_name_depends_on_every_part() {
        let base = JobKey {
            installation: Uuid::nil(),
            delivery: "d",
            job_type: ProwJobType::Presubmit,
            repo: "o/r",
            refs: "main:1,2:3",
            job: "unit",
        };
        let name = event_name(&base);
        assert_eq!(name, event_name(&base.clone()));
        for other in [
            JobKey {
                installation: Uuid::max(),
                ..base
            },
            JobKey {
                delivery: "e",
                ..base
            },
            JobKey {
                job_type: ProwJobType::Postsubmit,
                ..base
            },
            JobKey {
                repo: "o/s",
                ..base
            },
            JobKey {
                refs: "main:1,2:4",
                ..base
            },
            JobKey {
                job: "lint",
                ..base
            },
        ] {
            assert_ne!(name, event_name(&other), "{other:?}");
        }
    }
}
