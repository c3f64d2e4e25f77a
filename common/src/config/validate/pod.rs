//! Rules for a job's pod: its containers, their environment, volumes and mounts.

use std::collections::BTreeSet;

use serde_json::Value;

use super::did_you_mean;
use crate::{
    config::{ConfigPath, JobBase, diagnostics::Diagnostics},
    prowjob::{ProwJobType, RawPodSpec},
};

/// Containers that decoration adds.
const UTILITY_CONTAINERS: [&str; 4] = ["clonerefs", "initupload", "place-entrypoint", "sidecar"];
/// Volumes that decoration adds.
const RESERVED_VOLUMES: [&str; 5] = ["logs", "code", "tools", "gcs-credentials", "s3-credentials"];
/// Mounts that decoration adds.
const RESERVED_MOUNTS: [&str; 3] = ["logs", "code", "tools"];
const RESERVED_MOUNT_PATHS: [&str; 3] = ["/logs", "/home/prow/go", "/tools"];

const ENV_ALL: [&str; 7] = [
    "CI",
    "JOB_NAME",
    "JOB_SPEC",
    "JOB_TYPE",
    "PROW_JOB_ID",
    "BUILD_ID",
    "BUILD_NUMBER",
];
const ENV_REFS: [&str; 7] = [
    "REPO_OWNER",
    "REPO_NAME",
    "SRC_BASE",
    "SRC_HOST",
    "PULL_BASE_REF",
    "PULL_BASE_SHA",
    "PULL_REFS",
];
const ENV_PULL: [&str; 4] = [
    "PULL_NUMBER",
    "PULL_PULL_SHA",
    "PULL_HEAD_REF",
    "PULL_TITLE",
];

/// The containers of the pod spec.
pub(super) fn pod_containers(pod: &RawPodSpec) -> impl Iterator<Item = &Value> {
    pod_list(pod, "containers")
}

fn pod_list<'a>(pod: &'a RawPodSpec, key: &str) -> impl Iterator<Item = &'a Value> {
    pod.0
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn list_items<'a>(object: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    object[key].as_array().into_iter().flatten()
}

fn text_field<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

pub(super) fn validate_pod_spec(
    job: &JobBase,
    pod: &RawPodSpec,
    kind: ProwJobType,
    findings: &mut Diagnostics,
) {
    let root = ConfigPath::Below(&job.origin.path);
    let spec = root.key("spec");
    let file = &job.origin.file;
    let list = spec.key("initContainers");
    for (index, container) in pod_list(pod, "initContainers").enumerate() {
        let policy = text_field(container, "restartPolicy");
        if policy != "Always" {
            let found = match policy {
                "" => String::new(),
                policy => format!("found restartPolicy: {policy}; "),
            };
            let message = format!(
                "{found}an init container is only allowed as a sidecar, with restartPolicy: Always"
            );
            findings.add_diagnostic("init-container", file, &list.index(index), message);
        }
    }
    let list = spec.key("containers");
    match pod_containers(pod).count() {
        0 => findings.add_diagnostic("no-container", file, &list, "the pod needs a container"),
        1 => {}
        _ => validate_container_names(job, pod, &list, findings),
    }
    let volumes = validate_volumes(job, pod, &spec, findings);
    for (index, container) in pod_containers(pod).enumerate() {
        let path = list.index(index);
        validate_env(job, container, kind, &path, findings);
        validate_volume_mounts(job, container, &volumes, &path, findings);
    }
}

/// Several containers must have different names.
fn validate_container_names(
    job: &JobBase,
    pod: &RawPodSpec,
    list: &ConfigPath<'_>,
    findings: &mut Diagnostics,
) {
    let file = &job.origin.file;
    if job.utility.decoration_config.is_none() {
        findings.add_diagnostic(
            "several-containers",
            file,
            list,
            "only a decorated job may have several containers",
        );
    }
    let mut seen = BTreeSet::new();
    for (index, container) in pod_containers(pod).enumerate() {
        let path = list.index(index);
        let name = text_field(container, "name");
        if name.is_empty() {
            findings.add_diagnostic(
                "container-name",
                file,
                &path,
                "one of several containers needs a name",
            );
        } else if UTILITY_CONTAINERS.contains(&name) {
            let message = format!("the container name {name:?} is decoration's own");
            findings.add_diagnostic("reserved-container-name", file, &path.key("name"), message);
        } else if !seen.insert(name) {
            let message = format!("two containers are named {name:?}");
            findings.add_diagnostic("duplicate-container-name", file, &path.key("name"), message);
        }
    }
}

fn validate_env(
    job: &JobBase,
    container: &Value,
    kind: ProwJobType,
    path: &ConfigPath<'_>,
    findings: &mut Diagnostics,
) {
    let mut seen = BTreeSet::new();
    let list = path.key("env");
    for (index, variable) in list_items(container, "env").enumerate() {
        let name = text_field(variable, "name");
        let place = list.index(index);
        if !seen.insert(name) {
            let message = format!("the variable {name:?} is set twice");
            findings.add_diagnostic("duplicate-env", &job.origin.file, &place, message);
        }
        if is_reserved_env(name, kind) {
            let message = format!("the variable {name} is set by Prow for every {kind}");
            findings.add_diagnostic("reserved-env", &job.origin.file, &place, message);
        }
    }
}

fn is_reserved_env(name: &str, kind: ProwJobType) -> bool {
    ENV_ALL.contains(&name)
        || kind != ProwJobType::Periodic && ENV_REFS.contains(&name)
        || kind == ProwJobType::Presubmit && ENV_PULL.contains(&name)
}

/// Volumes that decoration adds: the fixed ones and those of its secrets.
fn decoration_volumes(job: &JobBase) -> BTreeSet<&str> {
    let mut names = BTreeSet::from(RESERVED_VOLUMES);
    if let Some(decoration) = &job.utility.decoration_config {
        names.extend(decoration.ssh_key_secrets.iter().map(String::as_str));
        names.extend(
            decoration
                .oauth_token_secret
                .iter()
                .map(|secret| secret.name.as_str()),
        );
    }
    names
}

/// Checks the pod's own volumes and returns every name that can be mounted.
fn validate_volumes<'a>(
    job: &'a JobBase,
    pod: &'a RawPodSpec,
    spec: &ConfigPath<'_>,
    findings: &mut Diagnostics,
) -> BTreeSet<&'a str> {
    let mut names = decoration_volumes(job);
    let mut own = BTreeSet::new();
    let list = spec.key("volumes");
    for (index, volume) in pod_list(pod, "volumes").enumerate() {
        let name = text_field(volume, "name");
        let place = list.index(index);
        if !own.insert(name) {
            let message = format!("two volumes are named {name:?}");
            findings.add_diagnostic("duplicate-volume", &job.origin.file, &place, message);
        } else if names.contains(name) {
            let message = format!("the volume name {name:?} is decoration's own");
            findings.add_diagnostic("reserved-volume", &job.origin.file, &place, message);
        }
    }
    names.extend(own);
    names
}

fn validate_volume_mounts(
    job: &JobBase,
    container: &Value,
    volumes: &BTreeSet<&str>,
    path: &ConfigPath<'_>,
    findings: &mut Diagnostics,
) {
    let list = path.key("volumeMounts");
    for (index, mount) in list_items(container, "volumeMounts").enumerate() {
        let (name, mount_path) = (text_field(mount, "name"), text_field(mount, "mountPath"));
        let place = list.index(index);
        let file = &job.origin.file;
        if !volumes.contains(name) {
            findings.add_with_hint(
                "unknown-volume",
                file,
                &place,
                format!("no volume is named {name:?}"),
                did_you_mean(
                    name,
                    volumes
                        .difference(&BTreeSet::from(RESERVED_VOLUMES))
                        .copied(),
                ),
            );
        }
        if RESERVED_MOUNTS.contains(&name) {
            let message = format!("the volume {name:?} is decoration's own");
            findings.add_diagnostic("reserved-volume-mount", file, &place, message);
        }
        if RESERVED_MOUNT_PATHS.contains(&mount_path) {
            let message = format!("{mount_path} is decoration's own folder");
            findings.add_diagnostic("reserved-mount-path", file, &place, message);
        }
    }
}
