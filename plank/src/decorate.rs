//! Builds the pod of a job: the user's spec, and what brings the code in and the results out.
//!
//! Pure: a `ProwJob` and a build id in, a pod as JSON out. The user's spec is edited as JSON, so
//! that fields which our types do not know reach the pod, too.

mod clone;
mod entrypoint_expansion;
mod environment;
mod json;
mod resources;
mod restricted;
mod secrets;
mod sidecar;
mod storage;
#[cfg(test)]
mod tests;
mod wrap;

use common::prowjob::{ProwJob, labels};
use podutils::JobSpec;
use serde_json::{Map, Value, json};

use json::{list_mut, objects_mut, str_field};

pub(crate) use clone::CODE_DIR;
pub use storage::{TOKEN_KEY, needs_token, token_secret_name};

/// The name of a job's container if it has only one.
pub use common::storage::paths::TEST_CONTAINER;

const TERMINATION_MESSAGE_POLICY: &str = "terminationMessagePolicy";

/// Why a job can have no pod. Permanent: only another spec would change it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecorateError {
    #[error("the job has no pod_spec")]
    NoPodSpec,
    #[error("the job has no name")]
    NoName,
    #[error("a {0} job needs {1}")]
    Missing(&'static str, &'static str),
    #[error("pod_spec.{0} is not {1}")]
    Malformed(String, &'static str),
    #[error("the pod_spec cannot be read for its Secrets, which are to be censored: {0}")]
    Unreadable(String),
    #[error("decoration_config.{0} is required")]
    Decoration(&'static str),
    #[error("container {container} has no command or args, so there is nothing to run in it")]
    NoCommand { container: String },
    #[error("container {container} mounts volume {volume}, which the pod_spec does not declare")]
    UndeclaredVolume { container: String, volume: String },
    #[error("volume name {0} is taken twice")]
    VolumeTwice(String),
    #[error(
        "shareProcessNamespace is refused where results go to Deck's storage: the job could read the upload token"
    )]
    SharedProcesses,
}

/// What a pod depends on besides its job.
#[derive(Clone, Copy, Debug)]
pub struct PodTarget<'a> {
    pub namespace: &'a str,
    /// Label `prow.k8s.io/plank-version`.
    pub version: &'a str,
}

/// The pod for one run of `job`.
pub fn build_pod(
    job: &ProwJob,
    build_id: &str,
    target: &PodTarget<'_>,
) -> Result<Value, DecorateError> {
    build_pod_with_output(job, build_id, target, None)
}

/// Like [`build_pod`], for a try on a cluster at hand: a decorated job's results are copied to
/// `folder` of the node it runs on, and no credentials are needed.
pub fn build_pod_for_folder(
    job: &ProwJob,
    build_id: &str,
    target: &PodTarget<'_>,
    folder: &str,
) -> Result<Value, DecorateError> {
    build_pod_with_output(job, build_id, target, Some(folder))
}

fn build_pod_with_output(
    job: &ProwJob,
    build_id: &str,
    target: &PodTarget<'_>,
    output: Option<&str>,
) -> Result<Value, DecorateError> {
    let name = job.metadata.name.as_deref().filter(|name| !name.is_empty());
    let name = name.ok_or(DecorateError::NoName)?;
    let mut spec = job.spec.pod_spec.clone().ok_or(DecorateError::NoPodSpec)?.0;
    set_pod_defaults(&mut spec)?;

    let job_spec = JobSpec {
        job_type: job.spec.job_type,
        job: job.spec.job.clone(),
        build_id: build_id.to_owned(),
        prow_job_id: name.to_owned(),
        refs: job.spec.refs.clone(),
        extra_refs: job.spec.extra_refs.clone(),
        decoration_config: job.spec.decoration_config.clone(),
    };
    let environment = environment::env_for_spec(&job.spec, &job_spec)?;
    match &job.spec.decoration_config {
        Some(config) => {
            let run = (name, build_id);
            wrap::decorate_spec(&mut spec, job, run, output, config, environment)?;
        }
        None => {
            let environment = environment::env_vars(&environment);
            for container in objects_mut(&mut spec, "containers")? {
                list_mut(container, "env")?.extend(environment.clone());
            }
        }
    }
    for group in ["containers", "initContainers"] {
        for container in objects_mut(&mut spec, group)? {
            if str_field(container, TERMINATION_MESSAGE_POLICY).is_empty() {
                let policy = "FallbackToLogsOnError".into();
                container.insert(TERMINATION_MESSAGE_POLICY.into(), policy);
            }
            // Go writes an empty object where nothing is set.
            container.entry("resources").or_insert_with(|| json!({}));
        }
    }

    Ok(json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": pod_metadata(job, name, build_id, target),
        "spec": spec,
    }))
}

/// Sets what every pod gets, decorated or not.
fn set_pod_defaults(spec: &mut Map<String, Value>) -> Result<(), DecorateError> {
    spec.insert("restartPolicy".into(), "Never".into());
    let mut containers = objects_mut(spec, "containers")?;
    if let [only] = containers.as_mut_slice() {
        only.insert("name".into(), TEST_CONTAINER.into());
    }
    // Kubernetes mounts a token by default; a job gets one only by asking.
    let unset = |key: &str| match spec.get(key) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    if unset("automountServiceAccountToken") && unset("serviceAccountName") {
        spec.insert("automountServiceAccountToken".into(), false.into());
    }
    Ok(())
}

fn pod_metadata(job: &ProwJob, name: &str, build_id: &str, target: &PodTarget<'_>) -> Value {
    let own = |map: &Option<common::prowjob::StringMap>| map.clone().unwrap_or_default();
    let (mut labels, mut annotations) = labels::labels_and_annotations(
        &job.spec,
        &own(&job.metadata.labels),
        &own(&job.metadata.annotations),
    );
    // As in Prow, a value that is no valid label is left out: the pod's name says the same.
    for (label, value) in [(labels::ID, name), (labels::BUILD_ID, build_id)] {
        if labels::is_label_value(value) {
            labels.insert(label.into(), value.into());
        }
    }
    labels.insert(labels::PLANK_VERSION.into(), target.version.into());
    if let Some(uid) = &job.metadata.uid {
        annotations.insert(labels::JOB_UID.into(), uid.clone());
    }
    json!({
        "name": name,
        "namespace": target.namespace,
        "labels": labels,
        "annotations": annotations,
    })
}
