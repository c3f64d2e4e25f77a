//! Defaults that a decoration config has for the pod as a whole: memory, security context,
//! scheduling, grace, account.

use common::prowjob::DecorationConfig;
use serde_json::Value;

use super::{
    Error,
    json::{Object, object, objects, text},
};

/// Before the sidecar is there, so only the user's containers are meant.
pub(super) fn memory(spec: &mut Object, config: &DecorationConfig) -> Result<(), Error> {
    for container in objects(spec, "containers")? {
        if let Some(default) = &config.default_memory_request {
            let requests = object(object(container, "resources")?, "requests")?;
            requests
                .entry("memory")
                .or_insert_with(|| default.clone().into());
        }
        if config.set_limit_equals_memory_request == Some(true) {
            let resources = object(container, "resources")?;
            let request = resources
                .get("requests")
                .and_then(|requests| requests.get("memory"));
            if let Some(request) = request.cloned() {
                object(resources, "limits")?.insert("memory".into(), request);
            }
        }
    }
    Ok(())
}

pub(super) fn security_context(spec: &mut Object, config: &DecorationConfig) -> Result<(), Error> {
    let context = object(spec, "securityContext")?;
    for (key, value) in [
        ("runAsUser", config.run_as_user),
        ("runAsGroup", config.run_as_group),
        ("fsGroup", config.fs_group),
    ] {
        if let Some(value) = value {
            context.entry(key).or_insert_with(|| value.into());
        }
    }
    Ok(())
}

pub(super) fn scheduling(spec: &mut Object, config: &DecorationConfig) {
    let Some(options) = &config.scheduling_options else {
        return;
    };
    if let Some(affinity) = &options.affinity {
        spec.entry("affinity")
            .or_insert_with(|| Value::Object(affinity.0.clone()));
    }
    let own = spec.get("tolerations").and_then(Value::as_array);
    if own.is_none_or(Vec::is_empty)
        && let Some(tolerations) = options.tolerations.as_ref().filter(|it| !it.is_empty())
    {
        let tolerations = tolerations.iter();
        let tolerations = tolerations.map(|toleration| Value::Object(toleration.0.clone()));
        spec.insert("tolerations".into(), tolerations.collect());
    }
}

/// A quarter more than the test's own grace, so that the sidecar still gets to upload.
pub(super) fn grace(spec: &mut Object, config: &DecorationConfig) {
    if let Some(grace) = config.grace_period {
        let seconds = grace.secs() * 5 / 4;
        spec.entry("terminationGracePeriodSeconds")
            .or_insert_with(|| seconds.into());
    }
}

pub(super) fn account(spec: &mut Object, config: &DecorationConfig) {
    if let Some(account) = &config.default_service_account_name
        && text(spec, "serviceAccountName").is_empty()
    {
        spec.insert("serviceAccountName".into(), account.clone().into());
    }
}
