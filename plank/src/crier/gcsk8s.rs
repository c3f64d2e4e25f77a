//! The reporter `gcsk8sreporter`: what the cluster knows of a job's pod, in `podinfo.json`.
//!
//! A finalizer keeps the pod until that is written, but not for ever: see [`is_retention_over`].
//! The pod has no secret in it: tokens and keys are in Secrets that it mounts, and the messages of
//! its containers are left out.

mod redact;

use std::{sync::Arc, time::Duration};

use common::{
    prowjob::{ProwJob, ProwJobState},
    redact::strip_url_credentials,
    storage::paths,
};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde::Serialize;
use serde_json::json;

use super::{
    CrierContext,
    destination::{RunDestination, resolve_destination},
    gcs::log_giving_up,
    reporter::{ReportError, ReportResult, Reporter, SendLimiter},
    run_files,
    state_change::JobStateChange,
};
use crate::{
    pod_view::REPORT_FINALIZER,
    writer::{self, remove_finalizer},
};

/// The time limit of one job's pod.
const POD_REPORT_TIMEOUT: Duration = Duration::from_secs(30);
/// The time limit of its file, so that a storage that does not answer leaves time for the pod.
const POD_INFO_TIMEOUT: Duration = Duration::from_secs(20);
/// How long after its job's end a pod is kept for a storage that does not answer.
const MAX_POD_RETENTION: SignedDuration = SignedDuration::from_hours(1);
/// How long past its grace period a deleted pod may go on: a lost node never confirms.
const DELETION_MARGIN: SignedDuration = SignedDuration::from_secs(30);
/// Most events that are stored of one pod.
const MAX_EVENTS: u32 = 500;
/// How long after a job's end its cluster may still become known.
const UNKNOWN_CLUSTER_GRACE: SignedDuration = SignedDuration::from_mins(10);

pub(super) struct GcsK8sReporter {
    ctx: Arc<CrierContext>,
    workers: SendLimiter,
}

/// `podinfo.json`.
#[derive(Serialize)]
struct PodReport {
    pod: Pod,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<Node>,
}

impl GcsK8sReporter {
    pub(super) fn new(ctx: &Arc<CrierContext>) -> Self {
        let count = ctx.settings.kubernetes_blob_storage_workers;
        Self {
            ctx: Arc::clone(ctx),
            workers: ctx.new_limiter(count, POD_REPORT_TIMEOUT),
        }
    }

    async fn report_pod(&self, job: &ProwJob) -> Result<ReportResult, ReportError> {
        let config = Arc::clone(&self.ctx.config.borrow());
        // Another reporter logs why there is no destination.
        let to = resolve_destination(&config, job).unwrap_or_default();
        let alias = job.spec.cluster_alias();
        let Some(client) = self.ctx.clusters.build_client(alias) else {
            return Ok(report_unknown_cluster(job, alias, Timestamp::now()));
        };
        let namespace = &config.prow.pod_namespace;
        let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
        let pod = pods.get_opt(&job.name_any()).await?;
        let now = Timestamp::now();
        let aborted = job.state() == ProwJobState::Aborted;
        match pod {
            Some(pod) if job.is_complete() || (aborted && is_ending(&pod, now)) => {
                if let Some(to) = to {
                    self.store_pod_info(&client, job, &pod, to).await?;
                }
                release_pod(&pods, &pod).await
            }
            None if job.is_complete() => Ok(ReportResult::Done),
            // Without a destination for its file, a pod would keep the finalizer for nothing.
            _ if to.is_none() => Ok(ReportResult::Done),
            Some(pod) if !aborted => add_finalizer(&pods, &pod).await,
            // A pod is created right after the state is set, or is about to end.
            _ => Ok(ReportResult::NotYet),
        }
    }

    /// Writes the file. A permanent failure is given up at once, another one in time.
    async fn store_pod_info(
        &self,
        client: &Client,
        job: &ProwJob,
        pod: &Pod,
        to: RunDestination,
    ) -> Result<(), ReportError> {
        let place = format!("{}/{}", to.bucket, to.dir);
        let mut events = list_pod_events(client, pod).await;
        let node = find_pod_node(client, pod).await;
        let mut pod = pod.clone();
        pod.managed_fields_mut().clear();
        redact::redact_messages(job, &mut pod, &mut events);
        let report = run_files::to_indented_json(&PodReport { pod, events, node });
        // The job's own text: its clone URL is in several variables.
        let report = strip_url_credentials(&String::from_utf8_lossy(&report)).into_bytes();
        let write = async {
            let folder = self.ctx.buckets.open_folder(to, Timestamp::now())?;
            folder.put_json(paths::POD_INFO, report).await
        };
        let written = match tokio::time::timeout(POD_INFO_TIMEOUT, write).await {
            Ok(written) => written.map_err(ReportError::from),
            Err(_) => Err(ReportError::TimedOut),
        };
        let Err(error) = written else {
            return Ok(());
        };
        let passing = !matches!(&error, ReportError::Storage(error) if !error.is_transient());
        if passing && !is_retention_over(job, Timestamp::now()) {
            return Err(error);
        }
        log_giving_up(job, &place, &error);
        Ok(())
    }
}

/// Removes the finalizer, if the pod has it.
async fn release_pod(pods: &Api<Pod>, pod: &Pod) -> Result<ReportResult, ReportError> {
    if !pod.finalizers().iter().any(|it| it == REPORT_FINALIZER) {
        return Ok(ReportResult::Done);
    }
    let uid = pod.uid().unwrap_or_default();
    match remove_finalizer(pods, &pod.name_any(), &uid).await {
        Ok(()) => Ok(ReportResult::Done),
        Err(writer::ClusterWriteError::Api(error)) => Err(error.into()),
        Err(_) => Ok(ReportResult::NotYet),
    }
}

/// Whether a pod is over except for finalizers: nothing in it changes any more.
fn is_ending(pod: &Pod, now: Timestamp) -> bool {
    let Some(by) = &pod.metadata.deletion_timestamp else {
        return false;
    };
    let status = pod.status.clone().unwrap_or_default();
    let ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    ended
        || by
            .0
            .saturating_add(DELETION_MARGIN)
            .is_ok_and(|by| now >= by)
}

/// Whether the job ended so long ago that its pod is released without `podinfo.json`.
fn is_retention_over(job: &ProwJob, now: Timestamp) -> bool {
    let status = job.status.as_ref();
    let completed = status.and_then(|status| status.completion_time.as_ref());
    completed.is_some_and(|completed| now.duration_since(completed.0) >= MAX_POD_RETENTION)
}

/// crier may learn of a cluster later than plank.
fn report_unknown_cluster(job: &ProwJob, alias: &str, now: Timestamp) -> ReportResult {
    let status = job.status.as_ref();
    let completed = status.and_then(|status| status.completion_time.as_ref());
    if completed.is_none_or(|time| now.duration_since(time.0) <= UNKNOWN_CLUSTER_GRACE) {
        return ReportResult::NotYet;
    }
    tracing::warn!(
        prowjob = job.name_any(),
        job = job.spec.job,
        cluster = alias,
        "nothing is known of a job's pod: there is no such cluster"
    );
    ReportResult::Done
}

async fn add_finalizer(pods: &Api<Pod>, pod: &Pod) -> Result<ReportResult, ReportError> {
    let mut finalizers = pod.finalizers().to_vec();
    let held = finalizers.iter().any(|it| it == REPORT_FINALIZER);
    if held || pod.metadata.deletion_timestamp.is_some() {
        return Ok(ReportResult::Done);
    }
    finalizers.push(REPORT_FINALIZER.into());
    let patch = Patch::Merge(json!({"metadata": {
        "uid": pod.uid(),
        "resourceVersion": pod.resource_version(),
        "finalizers": finalizers,
    }}));
    match pods
        .patch_metadata(&pod.name_any(), &PatchParams::default(), &patch)
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(ReportResult::NotYet),
        // It is gone, or being deleted: then no finalizer can be added.
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 422 => {
            Ok(ReportResult::Done)
        }
        done => Ok(done.map(|_| ReportResult::Done)?),
    }
}

/// Best effort: without the right to list events, none are stored.
async fn list_pod_events(client: &Client, pod: &Pod) -> Vec<Event> {
    let namespace = pod.namespace().unwrap_or_default();
    let uid = pod.uid().unwrap_or_default();
    let selector = format!("involvedObject.uid={uid},involvedObject.kind=Pod");
    let params = ListParams::default().fields(&selector).limit(MAX_EVENTS);
    let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
    match api.list(&params).await {
        Ok(events) => events.items,
        Err(error) => {
            tracing::info!(pod = pod.name_any(), "no events of a pod: {error}");
            Vec::new()
        }
    }
}

async fn find_pod_node(client: &Client, pod: &Pod) -> Option<Node> {
    let name = pod.spec.as_ref()?.node_name.as_deref()?;
    match Api::<Node>::all(client.clone()).get(name).await {
        Ok(node) => Some(node),
        Err(error) => {
            tracing::info!(
                pod = pod.name_any(),
                node = name,
                "no node of a pod: {error}"
            );
            None
        }
    }
}

impl Reporter for GcsK8sReporter {
    fn reporter_name(&self) -> &'static str {
        "gcsk8sreporter"
    }

    fn is_due(&self, job: &ProwJob) -> bool {
        let Some(status) = &job.status else {
            return false;
        };
        job.spec.agent.is_kubernetes()
            && status.pending_time.is_some()
            && !status.build_id.is_empty()
            // Plank completes an aborted job when its pod has ended, which crier keeps.
            && (matches!(status.state, ProwJobState::Pending | ProwJobState::Aborted)
                || job.is_complete())
            && is_in_fraction(
                &job.name_any(),
                self.ctx.settings.kubernetes_report_fraction,
            )
    }

    fn report_state_change<'a>(
        &'a self,
        news: &'a Arc<JobStateChange>,
    ) -> BoxFuture<'a, Result<ReportResult, ReportError>> {
        Box::pin(self.workers.run_limited(self.report_pod(&news.job)))
    }
}

/// Whether this job is among the `fraction` of all that is reported, as Prow chooses them.
fn is_in_fraction(name: &str, fraction: f64) -> bool {
    fraction >= 1.0 || f64::from(compute_crc32c(name.as_bytes())) <= f64::from(u32::MAX) * fraction
}

/// CRC-32C (Castagnoli), bit by bit: a name is short.
fn compute_crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (POLYNOMIAL & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    #[test]
    fn a_pod_that_is_over_but_for_us_is_let_go() {
        let now: Timestamp = "2026-08-01T00:10:00Z".parse().unwrap();
        let pod = |deleted: Option<&str>, phase: &str| -> Pod {
            serde_json::from_value(json!({
                "metadata": {"deletionTimestamp": deleted}, "status": {"phase": phase},
            }))
            .unwrap()
        };
        for (deleted, phase, expected) in [
            (None, "Failed", false),
            (Some("2026-08-01T00:09:45Z"), "Running", false),
            (Some("2026-08-01T00:09:45Z"), "Failed", true),
            (Some("2026-08-01T00:10:20Z"), "Succeeded", true),
            (Some("2026-08-01T00:09:30Z"), "Running", true),
        ] {
            assert_eq!(is_ending(&pod(deleted, phase), now), expected, "{phase}");
        }
    }

    #[test]
    fn a_storage_that_is_away_keeps_a_pod_for_an_hour() {
        let now: Timestamp = "2026-08-01T01:00:00Z".parse().unwrap();
        for (completed, expected) in [
            (None, false),
            (Some("2026-08-01T00:00:01Z"), false),
            (Some("2026-08-01T00:00:00Z"), true),
        ] {
            let mut job = ProwJob::new("pj", Default::default());
            job.status = Some(common::prowjob::ProwJobStatus {
                completion_time: completed.map(|time: &str| Time(time.parse().unwrap())),
                ..Default::default()
            });
            assert_eq!(is_retention_over(&job, now), expected);
        }
    }

    #[test]
    fn a_cluster_that_is_not_known_yet_is_waited_for_until_after_the_jobs_end() {
        let now: Timestamp = "2026-08-01T12:00:00Z".parse().unwrap();
        let mut job = ProwJob::new("pj", Default::default());
        assert_eq!(
            report_unknown_cluster(&job, "late", now),
            ReportResult::NotYet
        );
        for (minutes, told) in [(9, ReportResult::NotYet), (11, ReportResult::Done)] {
            let ended = now - SignedDuration::from_mins(minutes);
            let status = job.status.get_or_insert_default();
            status.completion_time = Some(Time(ended));
            assert_eq!(report_unknown_cluster(&job, "late", now), told, "{minutes}");
        }
    }

    #[test]
    fn the_same_jobs_are_chosen_as_by_prow() {
        assert_eq!(compute_crc32c(b"123456789"), 0xE306_9283);
        let name = "123456789";
        for (fraction, expected) in [(0.0, false), (0.5, false), (0.9, true), (1.0, true)] {
            assert_eq!(is_in_fraction(name, fraction), expected, "{fraction}");
        }
    }
}
