//! Mounts the Secrets of a job's own containers into the sidecar, which hides their values. Only
//! with `censor_secrets`; else the pod is Prow's.

use std::collections::BTreeSet;

use common::prowjob::{
    RawPodSpec,
    secrets::{GivenSecret, list_secrets},
};
use serde_json::{Value, json};

use super::{
    DecorateError,
    json::{SpecObject, list_mut, objects_mut, read_only_mount, str_field},
};

/// Where the sidecar finds them: a folder for each Secret, a file for each key.
const FOLDER: &str = "/secrets/censor";

#[derive(Debug, Default)]
pub(super) struct CensoredSecrets {
    pub(super) volumes: Vec<Value>,
    /// The mounts of the sidecar.
    pub(super) mounts: Vec<Value>,
}

/// One projected volume for each Secret that reaches a container of `spec`, the job's own spec.
/// `added` are the volumes of decoration, which a job may mount too.
///
/// The job's own volumes cannot be used: of a Secret given by key only that key may be required,
/// and what is optional for the job must be optional here.
pub(super) fn mount_censored_secrets(
    spec: &SpecObject,
    added: &[Value],
) -> Result<CensoredSecrets, DecorateError> {
    let mut spec = spec.clone();
    list_mut(&mut spec, "volumes")?.extend_from_slice(added);
    let taken: BTreeSet<String> = objects_mut(&mut spec, "volumes")?
        .into_iter()
        .map(|volume| str_field(volume, "name").to_owned())
        .collect();
    let secrets = list_secrets(&RawPodSpec(spec));
    let secrets = secrets.map_err(|error| DecorateError::Unreadable(error.to_string()))?;

    let free = (0..).map(|number| format!("censor-{number}"));
    let names = free.filter(|name| !taken.contains(name));
    let mut all = CensoredSecrets::default();
    for ((secret, given), name) in secrets.iter().zip(names) {
        all.mounts
            .push(read_only_mount(&name, &format!("{FOLDER}/{secret}")));
        let sources = projected_sources(secret, given);
        all.volumes
            .push(json!({"name": name, "projected": {"sources": sources}}));
    }
    Ok(all)
}

/// Required and optional keys apart, since the kubelet takes `optional` for a whole source.
fn projected_sources(secret: &str, given: &GivenSecret) -> Vec<Value> {
    let keys = match given {
        GivenSecret::Whole { optional: false } => return vec![json!({"secret": {"name": secret}})],
        GivenSecret::Whole { optional: true } => {
            return vec![json!({"secret": {"name": secret, "optional": true}})];
        }
        GivenSecret::Keys(keys) => keys,
    };
    let items = |optional: bool| -> Vec<Value> {
        let wanted = keys.iter().filter(|(_, it)| **it == optional);
        wanted
            .map(|(key, _)| json!({"key": key, "path": key}))
            .collect()
    };
    let (needed, optional) = (items(false), items(true));
    let mut sources = Vec::new();
    if !needed.is_empty() {
        sources.push(json!({"secret": {"name": secret, "items": needed}}));
    }
    if !optional.is_empty() {
        sources.push(json!({"secret": {"name": secret, "items": optional, "optional": true}}));
    }
    sources
}
