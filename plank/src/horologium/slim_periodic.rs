//! The few fields of a `ProwJob` that horologium reads, so that the watch is cheap.

use common::prowjob::{ProwJob, ProwJobState, ProwJobType, labels};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::ResourceExt as _;
use serde::Deserialize;

use super::history::PeriodicRun;

#[derive(Clone, Debug, Deserialize, kube::Resource)]
#[resource(inherit = "ProwJob")]
pub(super) struct SlimPeriodic {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: SlimPeriodicSpec,
    status: Option<SlimPeriodicStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SlimPeriodicSpec {
    #[serde(rename = "type")]
    job_type: ProwJobType,
    job: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SlimPeriodicStatus {
    state: ProwJobState,
    start_time: Option<Time>,
    completion_time: Option<Time>,
}

/// The job's name and the run of a periodic's `ProwJob`; `None` for others.
///
/// The spec decides, not the label: `ProwJob`s made by hand need not have it.
pub(super) fn parse_run(object: &SlimPeriodic) -> Option<(&str, PeriodicRun)> {
    if object.spec.job_type != ProwJobType::Periodic {
        return None;
    }
    let status = object.status.clone().unwrap_or_default();
    let started = status.start_time.or_else(|| object.creation_timestamp());
    let completed = status.completion_time.map(|time| time.0);
    // A label that is no number counts as so many retries that none follows.
    let attempt = object.labels().get(labels::RE_RUN);
    let run = PeriodicRun {
        started: started.map_or(Timestamp::UNIX_EPOCH, |time| time.0),
        completed,
        failed: completed.is_some() && status.state != ProwJobState::Success,
        attempt: attempt.map_or(0, |label| label.parse().unwrap_or(u32::MAX)),
    };
    Some((&object.spec.job, run))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(kind: &str, label: Value, status: Value) -> Option<PeriodicRun> {
        let object: SlimPeriodic = serde_json::from_value(json!({
            "metadata": {
                "name": "a", "creationTimestamp": "2026-08-01T12:00:00Z",
                "labels": {"prow.k8s.io/re-run": label},
            },
            "spec": {"type": kind, "job": "nightly", "pod_spec": {"containers": 7}},
            "status": status,
        }))
        .unwrap();
        parse_run(&object).map(|(_, run)| run)
    }

    #[test]
    fn a_run_is_read_from_few_fields() {
        let done = json!({"state": "aborted", "startTime": "2026-08-01T12:00:05Z",
            "completionTime": "2026-08-01T12:01:00Z"});
        let found = seen("periodic", json!("2"), done.clone()).unwrap();
        assert_eq!(found.started.to_string(), "2026-08-01T12:00:05Z");
        assert_eq!((found.failed, found.attempt), (true, 2));
        let found = seen("periodic", json!("x"), json!({"state": "triggered"})).unwrap();
        assert_eq!(found.started.to_string(), "2026-08-01T12:00:00Z");
        assert_eq!((found.failed, found.attempt), (false, u32::MAX));
        assert_eq!(seen("presubmit", json!("1"), done), None);
    }

    #[test]
    fn a_job_without_a_type_is_no_periodic() {
        for spec in [json!({}), json!({"job": "nightly"})] {
            let object = json!({"metadata": {"name": "a"}, "spec": spec});
            let object: SlimPeriodic = serde_json::from_value(object).unwrap();
            assert_eq!(parse_run(&object), None);
        }
    }
}
