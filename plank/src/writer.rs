//! The only place where plank's controller changes anything in a cluster. crier and horologium have
//! writes of their own.

mod refusal;
mod result_storage;

use common::{
    build_id::{BuildIdGenerator, SNOWFLAKE_NODE},
    config::Config,
    kube::DeserializeGuard,
    prowjob::{ProwJob, ProwJobSpec, labels},
    storage::token::keys::{StorageKeyError, StorageKeyFile},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
    core::{Request, Status},
};
use serde_json::{Value, json};

use crate::{
    decorate::{self, PodTarget, TOKEN_KEY, token_secret_name},
    job_url::{build_job_url, storage_dir},
    patch::{ClaimedRun, merge_patch},
    pod_view::{self, MIN_ACTIVE_DEADLINE_SECONDS, PodView, REPORT_FINALIZER},
    pods::BuildCluster,
    tot::TotClient,
    transition::ProwJobChange,
};

/// Why a change did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterWriteError {
    /// The object has changed since the decision; a new decision follows.
    #[error("the object has changed meanwhile")]
    Stale,
    #[error("the API did not answer in time")]
    TimedOut,
    #[error("the pod is not taken now: {why}")]
    Delayed {
        why: String,
        /// The shortest wait that the API asked for.
        seconds: u32,
    },
    #[error("the pod is not deleted: {0}")]
    Undeleted(Box<ClusterWriteError>),
    #[error("a Secret of the storage token's name is there, perhaps of a pod that is gone")]
    SecretExists,
    #[error(transparent)]
    Key(#[from] StorageKeyError),
    #[error("no build id: {0:#}")]
    Tot(anyhow::Error),
    #[error(transparent)]
    Api(#[from] kube::Error),
}

/// The result of creating a pod.
pub(crate) enum PodCreation {
    Pod(Box<PodView>),
    /// There is a pod of that name.
    Exists,
    /// Neither this nor a later try can succeed.
    Refused(String),
    /// A later try may succeed: a quota is used up, or there are too many requests.
    Delayed {
        why: String,
        seconds: u32,
    },
}

pub(crate) struct ClusterWriter {
    infra: Client,
    build_ids: BuildIdGenerator,
    tot: Option<TotClient>,
    storage_key: Option<StorageKeyFile>,
}

impl ClusterWriter {
    pub(crate) fn new(
        infra: Client,
        tot: Option<TotClient>,
        storage_key: Option<StorageKeyFile>,
    ) -> Self {
        Self {
            infra,
            build_ids: BuildIdGenerator::new(SNOWFLAKE_NODE),
            tot,
            storage_key,
        }
    }

    async fn next_build_id(
        &self,
        job: &ProwJob,
        now: Timestamp,
    ) -> Result<String, ClusterWriteError> {
        match &self.tot {
            Some(tot) => tot
                .vend_build_id(&job.spec.job)
                .await
                .map_err(ClusterWriteError::Tot),
            None => Ok(self.build_ids.next_build_id(now)),
        }
    }

    /// The job as the API has it; `None` if it is gone.
    pub(crate) async fn read_job(
        &self,
        job: &ProwJob,
    ) -> Result<Option<ProwJob>, ClusterWriteError> {
        Ok(self.job_api(job).get_opt(&job.name_any()).await?)
    }

    /// Reads a job by name.
    pub(crate) async fn read_job_named(
        &self,
        name: &str,
        namespace: &str,
    ) -> Result<Option<ProwJob>, ClusterWriteError> {
        let jobs: Api<ProwJob> = Api::namespaced(self.infra.clone(), namespace);
        Ok(jobs.get_opt(name).await?)
    }

    /// Changes a `ProwJob`, under its resourceVersion.
    pub(crate) async fn patch_job(
        &self,
        job: &ProwJob,
        change: &ProwJobChange,
        config: &Config,
        now: Timestamp,
    ) -> Result<ProwJob, ClusterWriteError> {
        let build_id = match change {
            ProwJobChange::Claim {
                build_id: Some(adopted),
            } => adopted.clone(),
            ProwJobChange::Claim { build_id: None } | ProwJobChange::Revive => {
                self.next_build_id(job, now).await?
            }
            _ => String::new(),
        };
        let url = match change {
            ProwJobChange::Claim { .. } | ProwJobChange::Revive => {
                build_job_url(&config.prow.plank, job, &build_id)
            }
            _ => String::new(),
        };
        let patch = merge_patch(job, change, &ClaimedRun { build_id, url }, now);
        let params = PatchParams::default();
        match self
            .job_api(job)
            .patch(&job.name_any(), &params, &Patch::Merge(patch))
            .await
        {
            Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => {
                Err(ClusterWriteError::Stale)
            }
            done => Ok(done?),
        }
    }

    /// Why no token can be made now for a job that needs one.
    pub(crate) fn find_key_error(&self, spec: &ProwJobSpec) -> Option<StorageKeyError> {
        let key = self.storage_key.as_ref()?;
        let error = || key.read_keys().err();
        decorate::needs_token(spec).then(error)?
    }

    /// Creates the pod of a claimed job that has none yet.
    pub(crate) async fn create_pod(
        &self,
        cluster: &BuildCluster,
        job: &ProwJob,
        config: &Config,
    ) -> Result<PodCreation, ClusterWriteError> {
        let target = PodTarget {
            namespace: &cluster.namespace,
            version: env!("CARGO_PKG_VERSION"),
        };
        let build_id = job.status.as_ref().map_or("", |status| &status.build_id);
        let has_key = self.storage_key.is_some();
        if let Some(refusal) = result_storage::find_refusal(&job.spec, build_id, config, has_key) {
            return Ok(PodCreation::Refused(refusal));
        }
        let pod = match decorate::build_pod(job, build_id, &target) {
            Ok(mut pod) => {
                if let Value::Object(annotations) = &mut pod["metadata"]["annotations"] {
                    annotations.remove(labels::WAITING_FOR);
                    annotations.remove(labels::POD_REVIVAL_COUNT);
                }
                pod
            }
            Err(error) => return Ok(PodCreation::Refused(error.to_string())),
        };
        // Sent as JSON: a typed pod would lose the fields that its type does not know.
        let request = Request::new(Pod::url_path(&(), Some(&cluster.namespace)))
            .create(&PostParams::default(), pod.to_string().into_bytes())
            .map_err(kube::Error::BuildRequest)?;
        match cluster.client.request(request).await {
            Ok(DeserializeGuard::<pod_view::PrunedPod>(Ok(pod))) => {
                Ok(PodCreation::Pod(Box::new((&pod).into())))
            }
            // The API's answer does not parse as a pod; reading the pod tells more.
            Ok(DeserializeGuard(Err(_))) => Ok(PodCreation::Exists),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(PodCreation::Exists),
            Err(kube::Error::Api(status)) if is_delay(&status) => Ok(PodCreation::Delayed {
                seconds: status
                    .details
                    .as_ref()
                    .map_or(0, |it| it.retry_after_seconds),
                why: status.message.clone(),
            }),
            Err(kube::Error::Api(status)) if is_final_refusal(&status) => {
                Ok(PodCreation::Refused(refusal::describe_refusal(&status)))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes the pod with this UID; a pod that is gone, or another of its name, is fine.
    /// Finalizers such as crier's stay.
    pub(crate) async fn delete_pod(
        &self,
        cluster: &BuildCluster,
        name: &str,
        uid: &str,
    ) -> Result<(), ClusterWriteError> {
        let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        let params = DeleteParams::default().preconditions(Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        });
        ignore_gone(api.delete(name, &params).await)
    }

    /// Ends the containers of the pod with this UID, which stays; a pod that is gone, or another of
    /// its name, is fine.
    pub(crate) async fn stop_pod(
        &self,
        cluster: &BuildCluster,
        name: &str,
        uid: &str,
    ) -> Result<(), ClusterWriteError> {
        let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        let patch = json!({
            "metadata": {"uid": uid},
            "spec": {"activeDeadlineSeconds": MIN_ACTIVE_DEADLINE_SECONDS},
        });
        let params = PatchParams::default();
        let patch = Patch::Merge(patch);
        ignore_gone(api.patch_metadata(name, &params, &patch).await)
    }

    /// Removes crier's finalizer from a pod that is replaced, and deletes it if not yet done.
    pub(crate) async fn replace_pod(
        &self,
        cluster: &BuildCluster,
        name: &str,
        uid: &str,
        is_held: bool,
        is_ending: bool,
    ) -> Result<(), ClusterWriteError> {
        if is_held {
            let api: Api<Pod> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
            remove_finalizer(&api, name, uid).await?;
        }
        if is_ending {
            return Ok(());
        }
        self.delete_pod(cluster, name, uid).await
    }

    /// Creates the Secret that the pod `pod_uid` of `job` waits for. The pod owns it, so both are
    /// deleted together.
    pub(crate) async fn create_storage_secret(
        &self,
        cluster: &BuildCluster,
        job: &ProwJob,
        pod_uid: &str,
        config: &Config,
        now: Timestamp,
    ) -> Result<(), ClusterWriteError> {
        let build_id = job.status.as_ref().map_or("", |status| &status.build_id);
        let (Some(key), Some(dir)) = (&self.storage_key, storage_dir(&job.spec, build_id)) else {
            return Ok(());
        };
        let keys = key.read_keys()?;
        let expiry = now
            .saturating_add(result_storage::token_lifetime(job, config))
            .unwrap_or(Timestamp::MAX);
        let pod = job.name_any();
        let name = token_secret_name(&pod, build_id);
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {
                "name": name,
                "labels": {labels::CREATED_BY_PROW: "true"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": pod, "uid": pod_uid}],
            },
            "stringData": {TOKEN_KEY: keys.sign_token(&dir, expiry)},
        }))
        .expect("this is a Secret");
        let api: Api<Secret> = Api::namespaced(cluster.client.clone(), &cluster.namespace);
        match api.create(&PostParams::default(), &secret).await {
            // Made before a restart, or left of a deleted pod and about to go with it. To tell
            // these apart plank would need the right to read Secrets; a retry does not.
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                Err(ClusterWriteError::SecretExists)
            }
            done => Ok(done.map(drop)?),
        }
    }

    fn job_api(&self, job: &ProwJob) -> Api<ProwJob> {
        Api::namespaced(self.infra.clone(), &job.namespace().unwrap_or_default())
    }
}

/// Whether the API refuses the pod only for now.
fn is_delay(status: &Status) -> bool {
    let quota = status.code == 403 && status.message.contains("exceeded quota");
    quota || status.code == 429
}

/// Whether the API will never accept this pod. Conflicts pass; 401 is about plank, not the pod.
pub(crate) fn is_final_refusal(status: &Status) -> bool {
    (400..500).contains(&status.code)
        && !matches!(status.code, 401 | 408 | 409)
        && !is_delay(status)
}

/// The API's message, without what its client adds.
pub(crate) fn api_message(error: &ClusterWriteError) -> String {
    match error {
        ClusterWriteError::Api(kube::Error::Api(status)) => status.message.clone(),
        error => error.to_string(),
    }
}

/// Treats the change of an object that is gone or was replaced as done.
fn ignore_gone<T>(result: Result<T, kube::Error>) -> Result<(), ClusterWriteError> {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
        done => Ok(done.map(drop)?),
    }
}

/// Removes crier's finalizer, which keeps a pod until it is reported. A replaced pod is not
/// reported.
pub(crate) async fn remove_finalizer(
    api: &Api<Pod>,
    name: &str,
    uid: &str,
) -> Result<(), ClusterWriteError> {
    let Some(pod) = api.get_opt(name).await? else {
        return Ok(());
    };
    if pod.uid().as_deref() != Some(uid) {
        return Ok(());
    }
    let rest: Vec<_> = pod
        .finalizers()
        .iter()
        .filter(|f| *f != REPORT_FINALIZER)
        .collect();
    let patch = json!({
        "metadata": {"uid": uid, "resourceVersion": pod.resource_version(), "finalizers": rest},
    });
    match api
        .patch_metadata(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
    {
        Err(kube::Error::Api(status)) if status.code == 409 => Err(ClusterWriteError::Stale),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        done => Ok(done.map(drop)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_no_retry_can_mend_is_final() {
        let status = |code, message: &str| Status {
            code,
            message: message.into(),
            ..Status::default()
        };
        for (code, message, expected) in [
            (400, "", true),
            (403, "pods is forbidden", true),
            (403, "pods \"x\" is forbidden: exceeded quota: q", false),
            (404, "namespaces \"x\" not found", true),
            (422, "", true),
            (401, "", false),
            (409, "", false),
            (429, "", false),
            (500, "", false),
        ] {
            assert_eq!(
                is_final_refusal(&status(code, message)),
                expected,
                "{code} {message}"
            );
        }
    }
}
