//! Defaults that a decoration config has for the pod as a whole: memory, security context,
//! scheduling, grace, account.

use common::prowjob::DecorationConfig;
use serde_json::Value;

use super::{
    DecorateError,
    json::{SpecObject, object_mut, objects_mut, str_field},
};

/// Runs before the sidecar is added, so only the user's containers are meant.
pub(super) fn set_memory_defaults(
    spec: &mut SpecObject,
    config: &DecorationConfig,
) -> Result<(), DecorateError> {
    for container in objects_mut(spec, "containers")? {
        if let Some(default) = &config.default_memory_request {
            let requests = object_mut(object_mut(container, "resources")?, "requests")?;
            requests
                .entry("memory")
                .or_insert_with(|| default.clone().into());
        }
        if config.set_limit_equals_memory_request == Some(true) {
            let resources = object_mut(container, "resources")?;
            let request = resources
                .get("requests")
                .and_then(|requests| requests.get("memory"));
            if let Some(request) = request.cloned() {
                object_mut(resources, "limits")?.insert("memory".into(), request);
            }
        }
    }
    Ok(())
}

pub(super) fn set_security_context(
    spec: &mut SpecObject,
    config: &DecorationConfig,
) -> Result<(), DecorateError> {
    let context = object_mut(spec, "securityContext")?;
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

pub(super) fn set_scheduling(spec: &mut SpecObject, config: &DecorationConfig) {
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

/// A quarter more than the test's own grace period, so that the sidecar can still upload.
pub(super) fn set_grace_period(spec: &mut SpecObject, config: &DecorationConfig) {
    if let Some(grace) = config.grace_period {
        let seconds = grace.as_secs() * 5 / 4;
        spec.entry("terminationGracePeriodSeconds")
            .or_insert_with(|| seconds.into());
    }
}

pub(super) fn set_service_account(spec: &mut SpecObject, config: &DecorationConfig) {
    if let Some(account) = &config.default_service_account_name
        && str_field(spec, "serviceAccountName").is_empty()
    {
        spec.insert("serviceAccountName".into(), account.clone().into());
    }
}
