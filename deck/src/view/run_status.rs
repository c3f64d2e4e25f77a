//! The status of a run in plain words. If nothing holds a run up, Prow describes it in the terms of
//! its services, so Deck writes its own text.

use common::prowjob::ProwJobState;
use jiff::Timestamp;

use super::{StateView, TimeView, format_clock};
use crate::index::IndexedJob;

/// The label of the state, and the text next to it.
#[derive(Debug)]
pub(crate) struct RunStatus {
    pub(crate) state: StateView,
    pub(crate) says: String,
    /// Since when the run is running, and that time of the day.
    pub(crate) since: Option<(TimeView, String)>,
}

impl RunStatus {
    pub(crate) fn from_job(job: &IndexedJob, now: Timestamp) -> Self {
        let state = StateView::from_state(job.state);
        let told = || Self {
            state,
            says: job.description.to_string(),
            since: None,
        };
        if job.is_complete() || is_informative(&job.description) {
            return told();
        }
        match job.state {
            // If something kept the pod from running, plank's description would say so.
            ProwJobState::Pending => Self {
                state: StateView {
                    label: "Running",
                    ..state
                },
                says: String::new(),
                since: job
                    .pending
                    .map(|time| (TimeView::from_time(time, now), format_clock(time, now))),
            },
            ProwJobState::Triggered => Self {
                says: "Its pod is not made yet.".into(),
                ..told()
            },
            ProwJobState::Scheduling => Self {
                says: "It is not decided yet which cluster it runs in.".into(),
                ..told()
            },
            _ => told(),
        }
    }
}

/// Whether a description says more than the state next to it.
pub(super) fn is_informative(description: &str) -> bool {
    let said = description.trim_end_matches('.').to_ascii_lowercase();
    let plain = [
        "",
        "job triggered",
        "job is running",
        "job scheduling",
        "job succeeded",
        "job failed",
        "job aborted",
    ];
    !plain.contains(&said.as_str())
}

#[cfg(test)]
mod tests {
    use common::prowjob::ProwJob;
    use serde_json::json;

    use super::*;

    fn standing(status: &serde_json::Value) -> (&'static str, String, Option<String>) {
        let object: ProwJob = serde_json::from_value(json!({
            "metadata": {"name": "1"},
            "spec": {"type": "periodic", "job": "unit"},
            "status": status,
        }))
        .unwrap();
        let now = "2026-01-01T12:00:00Z".parse().unwrap();
        let it = RunStatus::from_job(&IndexedJob::new(&object).unwrap(), now);
        (it.state.label, it.says, it.since.map(|(_, clock)| clock))
    }

    #[test]
    fn a_run_reads_as_a_person_would_say_it() {
        let pending = "2026-01-01T11:02:03Z";
        for (status, expected) in [
            (
                json!({"state": "pending", "description": "Job triggered.", "pendingTime": pending}),
                ("Running", "", Some("11:02 UTC")),
            ),
            (
                json!({"state": "pending", "pendingTime": "2025-12-30T11:02:03Z"}),
                ("Running", "", Some("2025-12-30 11:02 UTC")),
            ),
            (json!({"state": "pending"}), ("Running", "", None)),
            (
                json!({"state": "pending", "description": "No node takes it.", "pendingTime": pending}),
                ("Pending", "No node takes it.", None),
            ),
            (
                json!({"state": "triggered", "description": "Job triggered."}),
                ("Triggered", "Its pod is not made yet.", None),
            ),
            (
                json!({"state": "success", "description": "Job succeeded.", "pendingTime": pending,
                    "completionTime": pending}),
                ("Success", "Job succeeded.", None),
            ),
        ] {
            let (label, says, since) = standing(&status);
            assert_eq!((label, says.as_str(), since.as_deref()), expected);
        }
    }
}
