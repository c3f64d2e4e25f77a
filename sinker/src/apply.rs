//! The only module that deletes. Every deletion has the object's UID as a precondition, so that
//! only the observed object is deleted.

use std::collections::BTreeMap;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::json;

use common::{kube::ClusterClients, prowjob::ProwJob};

use crate::{
    observe::FINALIZER,
    plan::{CleanupPlan, Deletion, DeletionReason, ObservedPod, ObservedProwJob},
};

/// The largest number of simultaneous requests.
const MAX_CONCURRENT_REQUESTS: usize = 16;

/// The clusters and namespaces to clean up, and whether to delete.
pub(crate) struct CleanupScope<'a> {
    pub(crate) clusters: &'a ClusterClients,
    pub(crate) prowjob_namespace: &'a str,
    pub(crate) pod_namespace: &'a str,
    pub(crate) dry_run: bool,
}

/// The results of a plan, by the `reason` labels of the metrics.
#[derive(Debug, Default)]
pub(crate) struct CleanupOutcome {
    pub(crate) pods: DeletionTally,
    pub(crate) jobs: DeletionTally,
    /// An action failed, or its result is unknown.
    unsettled: bool,
}

#[derive(Debug, Default)]
pub(crate) struct DeletionTally {
    pub(crate) removed: BTreeMap<&'static str, i64>,
    pub(crate) errors: BTreeMap<String, i64>,
}

impl DeletionTally {
    fn count_result(&mut self, reason: DeletionReason, result: &kube::Result<DeletionResult>) {
        match result {
            Ok(DeletionResult::Removed) => *self.removed.entry(reason.as_str()).or_default() += 1,
            Ok(DeletionResult::Left | DeletionResult::Conflict) => {}
            Err(error) => *self.errors.entry(reason_for_error(error)).or_default() += 1,
        }
    }
}

impl CleanupOutcome {
    /// Whether the next cleanup should follow soon.
    pub(crate) fn has_failures(&self) -> bool {
        self.unsettled
    }

    fn record_result(&mut self, result: &kube::Result<DeletionResult>) {
        self.unsettled |= !matches!(result, Ok(DeletionResult::Removed | DeletionResult::Left));
    }
}

/// The result of one deletion.
#[derive(Debug, PartialEq, Eq)]
enum DeletionResult {
    Removed,
    /// It was already deleted, is still needed, or this is a dry run.
    Left,
    /// It has changed since, or is another object with the same name.
    Conflict,
}

/// Requests the deletion of pods before that of jobs, so that as a rule no pod is without its job.
pub(crate) async fn apply_plan(target: &CleanupScope<'_>, plan: CleanupPlan) -> CleanupOutcome {
    let mut outcome = CleanupOutcome::default();
    let mut releases = futures::stream::iter(plan.release)
        .map(|pod| async move { release_pod(target, &pod).await })
        .buffer_unordered(MAX_CONCURRENT_REQUESTS);
    while let Some(result) = releases.next().await {
        outcome.record_result(&result);
    }
    let mut releases = futures::stream::iter(plan.abandoned)
        .map(|pod| async move { release_abandoned_pod(target, &pod).await })
        .buffer_unordered(MAX_CONCURRENT_REQUESTS);
    while let Some(result) = releases.next().await {
        outcome.record_result(&result);
    }

    let mut pods = futures::stream::iter(plan.pods)
        .map(|deletion| async move {
            let result = delete_pod(target, &deletion).await;
            (deletion, result)
        })
        .buffer_unordered(MAX_CONCURRENT_REQUESTS);
    while let Some((deletion, result)) = pods.next().await {
        let pod = &deletion.target;
        log_deletion(
            "pod",
            &pod.name,
            &pod.prowjob,
            deletion.reason,
            target,
            &result,
        );
        outcome.record_result(&result);
        outcome.pods.count_result(deletion.reason, &result);
    }
    let mut jobs = futures::stream::iter(plan.jobs)
        .map(|deletion| async move {
            let result = delete_prowjob(target, &deletion.target).await;
            (deletion, result)
        })
        .buffer_unordered(MAX_CONCURRENT_REQUESTS);
    while let Some((deletion, result)) = jobs.next().await {
        let job = &deletion.target;
        log_deletion(
            "ProwJob",
            &job.name,
            &job.name,
            deletion.reason,
            target,
            &result,
        );
        outcome.record_result(&result);
        outcome.jobs.count_result(deletion.reason, &result);
    }
    outcome
}

fn log_deletion(
    kind: &str,
    name: &str,
    prowjob: &str,
    reason: DeletionReason,
    target: &CleanupScope<'_>,
    result: &kube::Result<DeletionResult>,
) {
    let reason = reason.as_str();
    match result {
        Ok(DeletionResult::Removed) => tracing::info!(kind, name, prowjob, reason, "deleted"),
        Ok(DeletionResult::Left) if target.dry_run => {
            tracing::info!(kind, name, prowjob, reason, "would be deleted (dry run)");
        }
        Ok(DeletionResult::Left | DeletionResult::Conflict) => {
            tracing::debug!(kind, name, prowjob, reason, "left alone");
        }
        Err(error) => tracing::error!(kind, name, prowjob, reason, %error, "cannot be deleted"),
    }
}

fn pods_api(target: &CleanupScope<'_>, pod: &ObservedPod) -> Option<Api<Pod>> {
    let client = target.clusters.build_client(&pod.cluster)?;
    Some(Api::namespaced(client, target.pod_namespace))
}

async fn delete_pod(
    target: &CleanupScope<'_>,
    deletion: &Deletion<ObservedPod>,
) -> kube::Result<DeletionResult> {
    let pod = &deletion.target;
    let Some(api) = pods_api(target, pod) else {
        return Ok(DeletionResult::Left);
    };
    if deletion.reason == DeletionReason::Orphaned && prowjob_exists(target, &pod.prowjob).await? {
        return Ok(DeletionResult::Left);
    }
    if target.dry_run {
        return Ok(DeletionResult::Left);
    }
    if deletion.reason == DeletionReason::Orphaned && pod.held {
        // No reporter is left that would report it.
        release_pod(target, pod).await?;
    }
    deletion_result(api.delete(&pod.name, &delete_params(&pod.uid)).await)
}

async fn delete_prowjob(
    target: &CleanupScope<'_>,
    job: &ObservedProwJob,
) -> kube::Result<DeletionResult> {
    if target.dry_run {
        return Ok(DeletionResult::Left);
    }
    let api = prowjobs_api(target);
    deletion_result(api.delete(&job.name, &delete_params(&job.uid)).await)
}

fn prowjobs_api(target: &CleanupScope<'_>) -> Api<ProwJob> {
    Api::namespaced(target.clusters.infra().clone(), target.prowjob_namespace)
}

/// Asks the API server: the watch may not have delivered a new job yet.
async fn prowjob_exists(target: &CleanupScope<'_>, name: &str) -> kube::Result<bool> {
    match prowjobs_api(target).get_metadata_opt(name).await {
        Ok(found) => Ok(found.is_some()),
        Err(error) => Err(error),
    }
}

/// Releases a pod that is being deleted, unless the API server still knows its job.
async fn release_abandoned_pod(
    target: &CleanupScope<'_>,
    pod: &ObservedPod,
) -> kube::Result<DeletionResult> {
    match prowjob_exists(target, &pod.prowjob).await {
        Ok(true) => Ok(DeletionResult::Left),
        Ok(false) => release_pod(target, pod).await,
        Err(error) => {
            tracing::error!(pod = pod.name, prowjob = pod.prowjob, %error, "cannot be released");
            Err(error)
        }
    }
}

/// Removes the reporter's finalizer from a pod. A failure is tried again at the next cleanup.
async fn release_pod(target: &CleanupScope<'_>, pod: &ObservedPod) -> kube::Result<DeletionResult> {
    let Some(api) = pods_api(target, pod).filter(|_| !target.dry_run) else {
        return Ok(DeletionResult::Left);
    };
    let released = remove_finalizer(&api, pod).await;
    let (name, prowjob) = (&pod.name, &pod.prowjob);
    match &released {
        Ok(DeletionResult::Removed) => {
            tracing::info!(pod = name, prowjob, "released: nobody holds it")
        }
        Ok(_) => {}
        Err(error) => tracing::error!(pod = name, prowjob, %error, "cannot be released"),
    }
    released
}

async fn remove_finalizer(api: &Api<Pod>, pod: &ObservedPod) -> kube::Result<DeletionResult> {
    let Some(found) = api.get_metadata_opt(&pod.name).await? else {
        return Ok(DeletionResult::Left);
    };
    if found.metadata.uid.as_ref() != Some(&pod.uid) {
        return Ok(DeletionResult::Left);
    }
    let others: Vec<_> = found
        .metadata
        .finalizers
        .iter()
        .flatten()
        .filter(|name| *name != FINALIZER)
        .collect();
    let patch = json!({ "metadata": {
        "uid": pod.uid,
        "resourceVersion": found.metadata.resource_version,
        "finalizers": others,
    }});
    let params = PatchParams::default();
    deletion_result(
        api.patch_metadata(&pod.name, &params, &Patch::Merge(patch))
            .await,
    )
}

fn delete_params(uid: &str) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..DeleteParams::background()
    }
}

/// The result of the response to a deletion or a release.
fn deletion_result<T>(result: kube::Result<T>) -> kube::Result<DeletionResult> {
    match result {
        Ok(_) => Ok(DeletionResult::Removed),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(DeletionResult::Left),
        Err(kube::Error::Api(status)) if status.is_conflict() => Ok(DeletionResult::Conflict),
        Err(error) => Err(error),
    }
}

/// Kubernetes' own reason for an error, for the metrics.
fn reason_for_error(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.reason.is_empty() => status.reason.clone(),
        kube::Error::Api(_) => "Unknown".to_owned(),
        _ => "ConnectionError".to_owned(),
    }
}
