//! The one place that deletes. Every deletion names the object's UID, so that nothing is
//! deleted but what was looked at.

use std::collections::BTreeMap;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::json;

use common::{kube::Clusters, prowjob::ProwJob};

use crate::{
    observe::FINALIZER,
    plan::{Deletion, Plan, PodRun, Reason, Run},
};

/// Requests under way at once.
const PARALLEL: usize = 16;

/// Where things are, and whether to touch them.
pub(crate) struct Target<'a> {
    pub(crate) clusters: &'a Clusters,
    pub(crate) prowjob_namespace: &'a str,
    pub(crate) pod_namespace: &'a str,
    pub(crate) dry_run: bool,
}

/// What became of a plan, by the `reason` labels of the metrics.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) pods: Tally,
    pub(crate) jobs: Tally,
    /// Something could not be done, or nobody knows whether it was.
    unsettled: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) removed: BTreeMap<&'static str, i64>,
    pub(crate) errors: BTreeMap<String, i64>,
}

impl Tally {
    fn add(&mut self, reason: Reason, result: &kube::Result<Done>) {
        match result {
            Ok(Done::Removed) => *self.removed.entry(reason.as_str()).or_default() += 1,
            Ok(Done::Left | Done::Conflict) => {}
            Err(error) => *self.errors.entry(kind(error)).or_default() += 1,
        }
    }
}

impl Outcome {
    /// Whether the same is to be tried again soon.
    pub(crate) fn failed(&self) -> bool {
        self.unsettled
    }

    fn settle(&mut self, result: &kube::Result<Done>) {
        self.unsettled |= !matches!(result, Ok(Done::Removed | Done::Left));
    }
}

/// What became of one deletion.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    Removed,
    /// It was gone, still wanted, or this is a dry run.
    Left,
    /// It has changed meanwhile, or is another of the same name.
    Conflict,
}

/// Deletes pods first, then jobs, so that no pod is left without the job that explains it.
pub(crate) async fn apply(target: &Target<'_>, plan: Plan) -> Outcome {
    let mut outcome = Outcome::default();
    let mut releases = futures::stream::iter(plan.release)
        .map(|pod| async move { release(target, &pod).await })
        .buffer_unordered(PARALLEL);
    while let Some(result) = releases.next().await {
        outcome.settle(&result);
    }
    let mut releases = futures::stream::iter(plan.abandoned)
        .map(|pod| async move { release_abandoned(target, &pod).await })
        .buffer_unordered(PARALLEL);
    while let Some(result) = releases.next().await {
        outcome.settle(&result);
    }

    let mut pods = futures::stream::iter(plan.pods)
        .map(|deletion| async move {
            let result = delete_pod(target, &deletion).await;
            (deletion, result)
        })
        .buffer_unordered(PARALLEL);
    while let Some((deletion, result)) = pods.next().await {
        let pod = &deletion.target;
        tell(
            "pod",
            &pod.name,
            &pod.prowjob,
            deletion.reason,
            target,
            &result,
        );
        outcome.settle(&result);
        outcome.pods.add(deletion.reason, &result);
    }
    let mut jobs = futures::stream::iter(plan.jobs)
        .map(|deletion| async move {
            let result = delete_job(target, &deletion.target).await;
            (deletion, result)
        })
        .buffer_unordered(PARALLEL);
    while let Some((deletion, result)) = jobs.next().await {
        let job = &deletion.target;
        tell(
            "ProwJob",
            &job.name,
            &job.name,
            deletion.reason,
            target,
            &result,
        );
        outcome.settle(&result);
        outcome.jobs.add(deletion.reason, &result);
    }
    outcome
}

fn tell(
    kind: &str,
    name: &str,
    prowjob: &str,
    reason: Reason,
    target: &Target<'_>,
    result: &kube::Result<Done>,
) {
    let reason = reason.as_str();
    match result {
        Ok(Done::Removed) => tracing::info!(kind, name, prowjob, reason, "deleted"),
        Ok(Done::Left) if target.dry_run => {
            tracing::info!(kind, name, prowjob, reason, "would be deleted (dry run)");
        }
        Ok(Done::Left | Done::Conflict) => {
            tracing::debug!(kind, name, prowjob, reason, "left alone");
        }
        Err(error) => tracing::error!(kind, name, prowjob, reason, %error, "cannot be deleted"),
    }
}

fn pods(target: &Target<'_>, pod: &PodRun) -> Option<Api<Pod>> {
    let client = target.clusters.build_client(&pod.cluster)?;
    Some(Api::namespaced(client, target.pod_namespace))
}

async fn delete_pod(target: &Target<'_>, deletion: &Deletion<PodRun>) -> kube::Result<Done> {
    let pod = &deletion.target;
    let Some(api) = pods(target, pod) else {
        return Ok(Done::Left);
    };
    if deletion.reason == Reason::Orphaned && job_exists(target, &pod.prowjob).await? {
        return Ok(Done::Left);
    }
    if target.dry_run {
        return Ok(Done::Left);
    }
    if deletion.reason == Reason::Orphaned && pod.held {
        // Nobody is left who would report it.
        release(target, pod).await?;
    }
    deleted(api.delete(&pod.name, &exactly(&pod.uid)).await)
}

async fn delete_job(target: &Target<'_>, job: &Run) -> kube::Result<Done> {
    if target.dry_run {
        return Ok(Done::Left);
    }
    let api = jobs(target);
    deleted(api.delete(&job.name, &exactly(&job.uid)).await)
}

fn jobs(target: &Target<'_>) -> Api<ProwJob> {
    Api::namespaced(target.clusters.infra().clone(), target.prowjob_namespace)
}

/// Asks the server itself: a watch may not have told of a new job yet.
async fn job_exists(target: &Target<'_>, name: &str) -> kube::Result<bool> {
    match jobs(target).get_metadata_opt(name).await {
        Ok(found) => Ok(found.is_some()),
        Err(error) => Err(error),
    }
}

/// The same for a pod that is on its way, unless the server, asked again, knows its job.
async fn release_abandoned(target: &Target<'_>, pod: &PodRun) -> kube::Result<Done> {
    match job_exists(target, &pod.prowjob).await {
        Ok(true) => Ok(Done::Left),
        Ok(false) => release(target, pod).await,
        Err(error) => {
            tracing::error!(pod = pod.name, prowjob = pod.prowjob, %error, "cannot be released");
            Err(error)
        }
    }
}

/// Takes the reporter's hold off a pod; a failure is tried again with the next look.
async fn release(target: &Target<'_>, pod: &PodRun) -> kube::Result<Done> {
    let Some(api) = pods(target, pod).filter(|_| !target.dry_run) else {
        return Ok(Done::Left);
    };
    let released = try_release(&api, pod).await;
    let (name, prowjob) = (&pod.name, &pod.prowjob);
    match &released {
        Ok(Done::Removed) => tracing::info!(pod = name, prowjob, "released: nobody holds it"),
        Ok(_) => {}
        Err(error) => tracing::error!(pod = name, prowjob, %error, "cannot be released"),
    }
    released
}

async fn try_release(api: &Api<Pod>, pod: &PodRun) -> kube::Result<Done> {
    let Some(found) = api.get_metadata_opt(&pod.name).await? else {
        return Ok(Done::Left);
    };
    if found.metadata.uid.as_ref() != Some(&pod.uid) {
        return Ok(Done::Left);
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
    deleted(
        api.patch_metadata(&pod.name, &params, &Patch::Merge(patch))
            .await,
    )
}

fn exactly(uid: &str) -> DeleteParams {
    DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..DeleteParams::background()
    }
}

/// Of the answer to a deletion, or to a release.
fn deleted<T>(result: kube::Result<T>) -> kube::Result<Done> {
    match result {
        Ok(_) => Ok(Done::Removed),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Done::Left),
        Err(kube::Error::Api(status)) if status.is_conflict() => Ok(Done::Conflict),
        Err(error) => Err(error),
    }
}

/// Kubernetes' own word for an error, for the metrics.
fn kind(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.reason.is_empty() => status.reason.clone(),
        kube::Error::Api(_) => "Unknown".to_owned(),
        _ => "ConnectionError".to_owned(),
    }
}
