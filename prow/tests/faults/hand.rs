//! The fake kubelet, and what GitHub does to a job: quick, and without faults.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::prowjob::{ProwJob, labels};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, WatchEvent},
};
use serde_json::{Value, json};

use super::{jobs::Fate, record::Record};

#[derive(Clone)]
pub(crate) struct Hand {
    pub(crate) pods: Api<Pod>,
    pub(crate) fates: Arc<HashMap<String, Fate>>,
    pub(crate) record: Arc<Mutex<Record>>,
    /// About how long a pod runs.
    pub(crate) pace: Duration,
}

impl Hand {
    /// Records the pod, and runs it if it is new.
    pub(crate) fn see(&self, event: &WatchEvent<Pod>) {
        let (WatchEvent::Added(pod) | WatchEvent::Modified(pod)) = event else {
            return;
        };
        let job = pod.labels().get(labels::ID).cloned().unwrap_or_default();
        let (is_new, attempt) = {
            let mut record = self.record.lock().unwrap();
            (record.see_pod(pod), record.pods(&job))
        };
        let (hand, name) = (self.clone(), pod.name_any());
        if pod.metadata.deletion_timestamp.is_some() {
            let uid = pod.uid();
            tokio::spawn(async move { hand.let_go(&name, uid).await });
        } else if is_new && let Some(fate) = self.fates.get(&job).copied() {
            tokio::spawn(async move { hand.play(&name, fate, attempt).await });
        }
    }

    /// Removes a deleted pod that has ended, as kubelet does.
    async fn let_go(&self, name: &str, uid: Option<String>) {
        let mut now = DeleteParams::default().grace_period(0);
        now.preconditions = Some(kube::api::Preconditions {
            uid,
            resource_version: None,
        });
        // It may be gone already.
        let _ = self.pods.delete(name, &now).await;
    }

    async fn play(&self, name: &str, fate: Fate, attempt: usize) {
        self.set(name, json!({"phase": "Pending"})).await;
        tokio::time::sleep(self.pace / 4).await;
        let running = json!({"running": {"startedAt": "2026-08-01T00:00:00Z"}});
        self.set(
            name,
            json!({"phase": "Running", "containerStatuses": [container(&running)]}),
        )
        .await;
        tokio::time::sleep(self.pace).await;
        if fate.runs_for_ever() {
            return;
        }
        let (phase, reason, exit_code) = match fate {
            Fate::Evicted(pods) if attempt <= pods => ("Failed", Some("Evicted"), 137),
            Fate::Fails => ("Failed", None, 1),
            _ => ("Succeeded", None, 0),
        };
        let ended = json!({"terminated": {
            "exitCode": exit_code,
            "startedAt": "2026-08-01T00:00:00Z", "finishedAt": "2026-08-01T00:00:01Z",
        }});
        let status = json!({
            "phase": phase, "reason": reason, "containerStatuses": [container(&ended)],
        });
        self.set(name, status).await;
    }

    async fn set(&self, name: &str, status: Value) {
        let patch = Patch::Merge(json!({"status": status}));
        match self
            .pods
            .patch_status(name, &PatchParams::default(), &patch)
            .await
        {
            // It was deleted meanwhile.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            done => drop(done.unwrap()),
        }
    }
}

fn container(state: &Value) -> Value {
    json!({
        "name": "test", "image": "none.invalid/none", "imageID": "", "ready": false,
        "restartCount": 0, "state": state,
    })
}

/// Aborts a job, as hook does when its pull request is closed.
pub(crate) async fn abort(jobs: &Api<ProwJob>, name: &str) {
    let patch = Patch::Merge(json!({"status": {"state": "aborted"}}));
    jobs.patch(name, &PatchParams::default(), &patch)
        .await
        .unwrap();
}
