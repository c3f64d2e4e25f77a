//! Handles one pod, from when this node sees it until its object is gone.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Binding, ObjectReference, Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::apiserver::LogSource;

use super::events::EventType;
use super::launch::PodDir;
use super::plan::{PodRejection, plan_pod};
use super::running::RunningPod;
use super::status::{self, PodOutcome};
use super::{KubeletContext, NODE_NAME, volume};

/// How long to wait after an error of the API.
pub(crate) const RETRY_DELAY: Duration = Duration::from_secs(1);

pub(crate) struct PodWorker {
    pub(crate) node: Arc<KubeletContext>,
    pub(crate) api: Api<Pod>,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) uid: String,
    /// The latest state of the pod. Closed when the pod is gone.
    pub(crate) pods: watch::Receiver<Arc<Pod>>,
    pub(crate) shutdown: CancellationToken,
}

/// Why a worker stops early.
pub(crate) enum WorkerExit {
    /// The pod's object is gone.
    Gone,
    Shutdown,
}

impl PodWorker {
    pub(crate) fn new(
        node: Arc<KubeletContext>,
        mut pods: watch::Receiver<Arc<Pod>>,
        shutdown: CancellationToken,
    ) -> Self {
        let meta = pods.borrow_and_update().metadata.clone();
        let namespace = meta.namespace.unwrap_or_default();
        Self {
            api: Api::namespaced(node.client.clone(), &namespace),
            name: meta.name.unwrap_or_default(),
            uid: meta.uid.unwrap_or_default(),
            namespace,
            node,
            pods,
            shutdown,
        }
    }

    pub(crate) fn pod_dir(&self) -> PodDir {
        PodDir(self.node.pods_dir().join(&self.uid))
    }

    fn pod_logs_dir(&self) -> PathBuf {
        self.node.logs.join(&self.namespace).join(&self.uid)
    }

    pub(crate) fn container_log(&self, container: &str) -> LogSource {
        LogSource::new(&self.node.logs, &self.namespace, &self.uid, container)
    }

    /// Records an Event object about the pod, or about one of its containers.
    pub(crate) fn record_event(
        &self,
        path: Option<String>,
        kind: EventType,
        reason: &str,
        message: &str,
    ) {
        let about = ObjectReference {
            field_path: path,
            ..pod_reference(&self.namespace, &self.name, &self.uid)
        };
        self.node.events.record_event(about, kind, reason, message);
    }

    /// Handles the pod until the worker ends.
    pub(crate) async fn run_worker(mut self) {
        let left = match self.run_pod().await {
            Ok(()) => self.await_removal().await,
            Err(left) => left,
        };
        if let WorkerExit::Gone = left {
            let folders = [self.pod_dir().0, self.pod_logs_dir()];
            let removed = tokio::task::spawn_blocking(move || {
                folders
                    .iter()
                    .try_for_each(|folder| volume::remove_folder(folder))
            })
            .await;
            if let Ok(Err(error)) = removed {
                tracing::warn!(pod = self.name, namespace = self.namespace, %error, "the folders of a pod are left behind");
            }
        }
    }

    async fn run_pod(&mut self) -> Result<(), WorkerExit> {
        let pod = self.pods.borrow().clone();
        let before = pod.status.clone().unwrap_or_default();
        if status::is_terminal(&before) {
            return Ok(());
        }
        if self.node.lost.contains(&self.uid) || status::has_run(&before) {
            return self.report_lost_pod(before).await;
        }
        self.bind_pod(&pod).await?;
        match plan_pod(&pod, &self.node.images) {
            Err(refusal) => self.reject_pod(refusal).await,
            Ok(plan) => {
                let mut running = RunningPod::new(self, pod, plan);
                running.run_to_end().await
            }
        }
    }

    /// Binds the pod to this node, unless it has a node.
    async fn bind_pod(&mut self, pod: &Pod) -> Result<(), WorkerExit> {
        if pod
            .spec
            .as_ref()
            .and_then(|spec| spec.node_name.as_deref())
            .is_some_and(|node| !node.is_empty())
        {
            return Ok(());
        }
        let binding = Binding {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                uid: Some(self.uid.clone()),
                ..ObjectMeta::default()
            },
            target: ObjectReference {
                kind: Some("Node".to_owned()),
                name: Some(NODE_NAME.to_owned()),
                ..ObjectReference::default()
            },
        };
        loop {
            let bound = self
                .api
                .create_subresource::<_, serde_json::Value>(
                    "binding",
                    &self.name,
                    &PostParams::default(),
                    &binding,
                )
                .await;
            match bound {
                Ok(_) => {
                    let pod = format!("{}/{}", self.namespace, self.name);
                    let message = format!("Successfully assigned {pod} to {NODE_NAME}");
                    self.record_event(None, EventType::Normal, "Scheduled", &message);
                    return Ok(());
                }
                // Bound by an earlier try, or gone. The watch says which.
                Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => {
                    return Ok(());
                }
                Err(error) => self.pause_after_error(&error, "cannot bind a pod").await?,
            }
        }
    }

    async fn reject_pod(&mut self, refusal: PodRejection) -> Result<(), WorkerExit> {
        tracing::warn!(
            pod = self.name,
            namespace = self.namespace,
            reason = refusal.reason,
            "{}",
            refusal.message
        );
        self.record_event(None, EventType::Warning, refusal.reason, &refusal.message);
        let end = PodOutcome {
            succeeded: false,
            reason: Some(refusal.reason),
            message: Some(refusal.message),
        };
        let now = Timestamp::now();
        let mut status = status::compute_pod_status(&[], Some(&end), now, &[], now);
        // No container was looked at, so nothing can be said about them.
        status
            .conditions
            .iter_mut()
            .flatten()
            .filter(|condition| condition.type_ == "Initialized")
            .for_each(|condition| {
                condition.status = "False".to_owned();
            });
        self.publish_final_status(&status).await
    }

    /// Reports that the pod's processes were lost. Whether it is run again is for others to decide.
    async fn report_lost_pod(&mut self, before: PodStatus) -> Result<(), WorkerExit> {
        tracing::warn!(
            pod = self.name,
            namespace = self.namespace,
            "the runner was restarted while a pod ran; the pod is lost"
        );
        let status = status::lost_pod_status(before, Timestamp::now());
        if let (Some(reason), Some(message)) = (&status.reason, &status.message) {
            self.record_event(None, EventType::Warning, reason, message);
        }
        self.publish_final_status(&status).await
    }

    fn with_uid_precondition(&self, params: DeleteParams) -> DeleteParams {
        params.preconditions(Preconditions {
            uid: Some(self.uid.clone()),
            resource_version: None,
        })
    }

    /// Waits until the pod is deleted, and confirms that nothing of it runs any more.
    async fn await_removal(&mut self) -> WorkerExit {
        let mut confirmed = false;
        loop {
            let deleted = self
                .pods
                .borrow_and_update()
                .metadata
                .deletion_timestamp
                .is_some();
            let step = if deleted && !confirmed {
                match self
                    .api
                    .delete(
                        &self.name,
                        &self.with_uid_precondition(DeleteParams::default().grace_period(0)),
                    )
                    .await
                {
                    Err(error) if !is_gone(&error) => {
                        self.pause_after_error(&error, "cannot remove a pod that has ended")
                            .await
                    }
                    _ => {
                        confirmed = true;
                        Ok(())
                    }
                }
            } else {
                self.await_change().await
            };
            if let Err(left) = step {
                return left;
            }
        }
    }

    /// Tries once to write `status`.
    pub(crate) async fn publish_status(&self, status: &PodStatus) -> kube::Result<()> {
        // The UID makes the write fail if another pod has the name by now.
        let patch = json!({ "metadata": { "uid": self.uid }, "status": status });
        self.api
            .patch_status(&self.name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .map(drop)
    }

    /// Writes `status`, and retries until that succeeds.
    pub(crate) async fn publish_final_status(
        &mut self,
        status: &PodStatus,
    ) -> Result<(), WorkerExit> {
        loop {
            match self.publish_status(status).await {
                Err(error) if !is_gone(&error) => {
                    self.pause_after_error(&error, "cannot write the status of a pod")
                        .await?
                }
                _ => return Ok(()),
            }
        }
    }

    /// Waits until the pod changes.
    async fn await_change(&mut self) -> Result<(), WorkerExit> {
        tokio::select! {
            changed = self.pods.changed() => changed.map_err(|_| WorkerExit::Gone),
            () = self.shutdown.cancelled() => Err(WorkerExit::Shutdown),
        }
    }

    /// Logs what failed, and waits before the next try.
    async fn pause_after_error(
        &mut self,
        error: &kube::Error,
        what: &str,
    ) -> Result<(), WorkerExit> {
        tracing::warn!(pod = self.name, namespace = self.namespace, %error, "{what}");
        tokio::time::timeout(RETRY_DELAY, self.await_change())
            .await
            .unwrap_or(Ok(()))
    }
}

/// The object that an event about a pod refers to.
pub(crate) fn pod_reference(namespace: &str, name: &str, uid: &str) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(namespace.to_owned()),
        name: Some(name.to_owned()),
        uid: Some(uid.to_owned()),
        ..ObjectReference::default()
    }
}

/// Whether this pod is gone, or another one has its name.
pub(crate) fn is_gone(error: &kube::Error) -> bool {
    let kube::Error::Api(status) = error else {
        return false;
    };
    // The API takes another UID in a patch for a change of the UID.
    let other = |cause: &kube::core::response::StatusCause| cause.field == "metadata.uid";
    let causes = status.details.as_ref().map(|details| &details.causes);
    status.is_not_found()
        || status.is_conflict()
        || causes.is_some_and(|causes| causes.iter().any(other))
}
