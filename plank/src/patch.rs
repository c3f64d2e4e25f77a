//! Changes of a `ProwJob` as merge patches: its status, and the labels, annotations or cluster that
//! go with it. Each carries the resourceVersion it was decided
//! on, so that a decision about an old state changes nothing.

use common::prowjob::{ProwJob, ProwJobState, labels};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use crate::{
    crier::GITHUB_REPORTER,
    transition::{ObservedObstacle, ProwJobChange, TRIGGERED_DESCRIPTION},
};

/// What a claim assigns to a run.
#[derive(Clone, Debug)]
pub struct ClaimedRun {
    pub build_id: String,
    pub url: String,
}

/// The patch that applies `change` to `job`. Only a claim or a revival uses `run`.
pub fn merge_patch(
    job: &ProwJob,
    change: &ProwJobChange,
    run: &ClaimedRun,
    now: Timestamp,
) -> Value {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let status = job.status.clone().unwrap_or_default();
    let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    let mut patch = json!({"metadata": {"resourceVersion": job.metadata.resource_version}});
    patch["status"] = match change {
        ProwJobChange::Claim { .. } | ProwJobChange::Revive => {
            // As in Prow, a value that is not valid as a label is left out.
            let fits = |text: &str| labels::is_label_value(text).then(|| text.to_owned());
            patch["metadata"]["labels"] =
                json!({labels::ID: fits(name), labels::BUILD_ID: fits(&run.build_id)});
            let mut claim = json!({
                "state": ProwJobState::Pending,
                "description": TRIGGERED_DESCRIPTION,
                "build_id": run.build_id,
                "url": run.url,
                "pod_name": name,
            });
            if status.pending_time.is_none() {
                claim["pendingTime"] = json!(now);
            }
            if *change == ProwJobChange::Revive {
                let count = job.pod_revival_count() + 1;
                claim["pod_revival_count"] = json!(count);
                patch["metadata"]["annotations"] =
                    json!({labels::POD_REVIVAL_COUNT: count.to_string()});
            }
            claim
        }
        ProwJobChange::Schedule { cluster } => {
            patch["spec"] = json!({"cluster": cluster});
            json!({"state": ProwJobState::Triggered})
        }
        ProwJobChange::Describe { text, sighting } => {
            let told = sighting.as_ref().map(|it| json!(it).to_string());
            if told.is_some() || ObservedObstacle::from_annotation(job).is_some() {
                patch["metadata"]["annotations"] = json!({labels::WAITING_FOR: told});
            }
            // Upstream's CRD takes no status without a state; a job made by others may lack one.
            json!({"description": text, "state": job.state()})
        }
        // Marked as reported: the newer run's status has the same context.
        ProwJobChange::Supersede { by } => {
            patch["metadata"]["annotations"] = json!({labels::SUPERSEDED_BY: by});
            json!({
                "state": ProwJobState::Aborted,
                "description": format!("Superseded by the newer run {by}."),
                "prev_report_states": {GITHUB_REPORTER: ProwJobState::Aborted},
            })
        }
        ProwJobChange::Complete { state, description } => {
            let mut end = json!({"state": state, "completionTime": now});
            if let Some(description) = description {
                end["description"] = json!(description);
            }
            end
        }
    };
    patch
}

#[cfg(test)]
mod tests {
    use common::prowjob::{ProwJobSpec, ProwJobStatus};

    use super::*;

    fn job(status: ProwJobStatus) -> ProwJob {
        let mut job = ProwJob::new("pj", ProwJobSpec::default());
        job.metadata.resource_version = Some("41".into());
        job.status = Some(status);
        job
    }

    fn patch(status: ProwJobStatus, change: &ProwJobChange) -> Value {
        let run = ClaimedRun {
            build_id: "7".into(),
            url: "http://deck/7".into(),
        };
        let now = "2026-08-01T12:00:00.9Z".parse().unwrap();
        merge_patch(&job(status), change, &run, now)
    }

    #[test]
    fn a_claim_names_the_one_pod_there_will_be() {
        assert_eq!(
            patch(
                ProwJobStatus::default(),
                &ProwJobChange::Claim { build_id: None }
            ),
            json!({
                "metadata": {
                    "resourceVersion": "41",
                    "labels": {"prow.k8s.io/id": "pj", "prow.k8s.io/build-id": "7"},
                },
                "status": {
                    "state": "pending", "description": "Job triggered.", "build_id": "7",
                    "url": "http://deck/7", "pod_name": "pj", "pendingTime": "2026-08-01T12:00:00Z",
                },
            })
        );
    }

    #[test]
    fn a_revival_is_counted_and_keeps_the_time_of_the_first_start() {
        let status = ProwJobStatus {
            pod_revival_count: 1,
            pending_time: Some(Time("2026-08-01T11:00:00Z".parse().unwrap())),
            ..ProwJobStatus::default()
        };
        let patch = patch(status, &ProwJobChange::Revive);
        assert_eq!(patch["status"]["pod_revival_count"], json!(2));
        assert_eq!(
            patch["metadata"]["annotations"][labels::POD_REVIVAL_COUNT],
            json!("2")
        );
        assert_eq!(patch["status"].get("pendingTime"), None);
    }

    #[test]
    fn whatever_is_written_has_a_state() {
        let change = ProwJobChange::Describe {
            text: "Waiting: for a slot.".into(),
            sighting: None,
        };
        assert_eq!(
            patch(ProwJobStatus::default(), &change)["status"],
            json!({"state": "triggered", "description": "Waiting: for a slot."})
        );
    }

    #[test]
    fn a_superseded_job_names_the_newer_and_is_not_reported_nor_yet_complete() {
        let patch = patch(
            ProwJobStatus::default(),
            &ProwJobChange::Supersede { by: "new".into() },
        );
        assert_eq!(
            patch["status"],
            json!({
                "state": "aborted",
                "description": "Superseded by the newer run new.",
                "prev_report_states": {"github-reporter": "aborted"},
            })
        );
        let annotations = &patch["metadata"]["annotations"];
        assert_eq!(annotations, &json!({"prow.k8s.io/superseded-by": "new"}));
    }

    #[test]
    fn a_scheduled_job_gets_its_cluster_and_is_triggered() {
        let change = ProwJobChange::Schedule {
            cluster: "b".into(),
        };
        assert_eq!(
            patch(ProwJobStatus::default(), &change),
            json!({
                "metadata": {"resourceVersion": "41"},
                "spec": {"cluster": "b"},
                "status": {"state": "triggered"},
            })
        );
    }

    #[test]
    fn an_end_sets_the_time_and_leaves_a_text_that_nobody_changes() {
        let change = ProwJobChange::Complete {
            state: ProwJobState::Aborted,
            description: None,
        };
        assert_eq!(
            patch(ProwJobStatus::default(), &change)["status"],
            json!({"state": "aborted", "completionTime": "2026-08-01T12:00:00Z"})
        );
    }
}
