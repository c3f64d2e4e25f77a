//! Makes a `ProwJob`, with a name that is the same each time, so that making it twice makes one.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use uuid::Uuid;

use super::{
    ProwJob, ProwJobSpec, ProwJobState, ProwJobStatus, ProwJobType, labels::labels_and_annotations,
    spec::StringMap,
};

/// A `ProwJob` ready to be created.
///
/// The `state` is `triggered`, or `scheduling` where a scheduler chooses clusters. Kubernetes
/// stores times in whole seconds.
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

/// What identifies a job of an event.
#[derive(Clone, Copy, Debug)]
pub struct JobKey<'a> {
    /// A random id, stored with the `ProwJob` namespace: GitHub sends the same delivery id to every
    /// webhook that is subscribed to the event.
    pub installation: Uuid,
    pub delivery: &'a str,
    pub job_type: ProwJobType,
    /// `org/repo`.
    pub repo: &'a str,
    /// In the `Display` form of `Refs`.
    pub refs: &'a str,
    pub job: &'a str,
}

/// The name of the `ProwJob` that an event makes for a job: a UUID (version 5) of [`JobKey`].
pub fn event_name(identity: &JobKey<'_>) -> String {
    let parts = [
        identity.delivery,
        identity.job_type.as_str(),
        identity.repo,
        identity.refs,
        identity.job,
    ];
    // No part can contain a NUL, so two different keys never give the same text.
    Uuid::new_v5(&identity.installation, parts.join("\0").as_bytes()).to_string()
}

/// The name of a periodic's run: a UUID (version 5) of the job, its slot (when it was due) and the
/// number of the retry, so that making it twice makes one.
///
/// `late` is when the caller began to look, if that is after the slot: a run of this slot may have
/// been made and deleted before, and its pods may still exist.
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
