//! The warning about jobs whose pod owns its node, where pods of other jobs have tokens there.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{CheckconfigInput, jobs};
use crate::{
    config::{ConfigPath, JobBase, diagnostics::Diagnostics},
    storage::{Bucket, StorageProvider},
};

/// Capabilities over the node's kernel or over processes of other containers.
const NODE_CAPABILITIES: [&str; 5] = ["ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO"];

/// Adds one diagnostic for all such jobs: whoever has them knows why.
pub(super) fn check_node_ownership(subject: &CheckconfigInput<'_>, findings: &mut Diagnostics) {
    let with_token = jobs::all_jobs(subject.config).filter(|job| gets_storage_token(job));
    let clusters: BTreeSet<&str> = with_token.map(|job| job.cluster.as_str()).collect();
    let mut owners = jobs::all_jobs(subject.config)
        .filter(|job| clusters.contains(job.cluster.as_str()))
        .filter_map(|job| Some((job, find_node_ownership(job)?)));
    let Some((job, how)) = owners.next() else {
        return;
    };
    let name = &job.name;
    let who = match owners.count() {
        0 => format!("the pod of {name:?} owns its node"),
        1 => format!("the pods of {name:?} and one more job own their nodes"),
        more => format!("the pods of {name:?} and {more} more jobs own their nodes"),
    };
    let root = ConfigPath::Below(&job.origin.path);
    findings.add_with_hint(
        "storage-token-on-own-node",
        &job.origin.file,
        &root.key("spec"),
        format!("{who} ({how}), and with them the storage tokens of every pod there"),
        Some(
            "let such jobs run on nodes of their own, or store results in a bucket of a cloud"
                .into(),
        ),
    );
}

/// Whether the job's results go to Deck's storage, so that its pod gets a token.
fn gets_storage_token(job: &JobBase) -> bool {
    let decoration = job.utility.decoration_config.as_deref();
    let storage = decoration.and_then(|it| it.gcs_configuration.as_ref());
    let bucket = storage.and_then(|it| Bucket::parse_url(&it.bucket).ok());
    bucket.is_some_and(|it| it.provider() == StorageProvider::Storage)
}

/// The setting by which the pod owns its node; `None` if there is none.
fn find_node_ownership(job: &JobBase) -> Option<&'static str> {
    let spec = job.spec.as_ref()?.to_pod_spec().0;
    let is_set = |key: &str| spec.get(key) == Some(&Value::Bool(true));
    // On the node's network the pod sees what others send over plain HTTP.
    let shared = ["hostPID", "hostNetwork"]
        .into_iter()
        .find(|key| is_set(key));
    if shared.is_some() {
        return shared;
    }
    let list = |key: &str| {
        spec.get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
    };
    if list("volumes").any(|volume| !volume["hostPath"].is_null()) {
        return Some("hostPath");
    }
    let mut containers = list("initContainers").chain(list("containers"));
    containers.find_map(|container| {
        let context = &container["securityContext"];
        if context["privileged"] == Value::Bool(true) {
            return Some("privileged");
        }
        let mut added = context["capabilities"]["add"].as_array()?.iter();
        let is_strong = |name: &Value| {
            let name = name.as_str().unwrap_or_default().to_ascii_uppercase();
            NODE_CAPABILITIES.contains(&name.trim_start_matches("CAP_"))
        };
        added.any(is_strong).then_some("capabilities")
    })
}
