//! What a pod asks for, in the order it must run, or why this runner rejects it.
//!
//! Pure: Pod → [`PodPlan`] or [`PodRejection`]. What would change what the pod does is rejected,
//! never dropped silently. What only places or limits the pod (resources, tolerations, service
//! accounts) does not matter here.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, Volume};

use super::UtilityImage;
use super::restart::RestartPolicy;
use support::{
    check_container, check_pod, check_volume, unsupported_pod_spec, unsupported_restart_policy,
};

/// Kubernetes' own default for `terminationGracePeriodSeconds`.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// Why a pod is not run. Its phase becomes Failed, with this reason and message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PodRejection {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// When a container runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContainerRole {
    /// Runs alone and must succeed before the next one.
    Init,
    /// An init container with `restartPolicy: Always`: starts in its turn and is ended after the
    /// main ones.
    Sidecar,
    Main,
}

#[derive(Clone, Debug)]
pub(crate) struct ContainerPlan {
    pub(crate) role: ContainerRole,
    pub(crate) container: Container,
}

#[derive(Debug)]
pub(crate) struct PodPlan {
    /// Init containers and sidecars in their order, then the main containers.
    pub(crate) containers: Vec<ContainerPlan>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) grace: Duration,
    pub(crate) restart: RestartPolicy,
}

/// The plan of `pod`. `images` are those with a known entry point.
pub(crate) fn plan_pod(
    pod: &Pod,
    images: &BTreeMap<String, UtilityImage>,
) -> Result<PodPlan, PodRejection> {
    let spec = pod
        .spec
        .as_ref()
        .ok_or_else(|| unsupported_pod_spec("a pod without spec"))?;
    check_pod(spec)?;
    let policy = spec.restart_policy.as_deref();
    let restart = RestartPolicy::parse_policy(policy)
        .ok_or_else(|| unsupported_restart_policy("the pod", policy.unwrap_or_default()))?;
    for volume in spec.volumes.iter().flatten() {
        check_volume(volume)?;
    }
    let init = spec.init_containers.iter().flatten().map(|container| {
        let role = match container.restart_policy.as_deref() {
            None => Ok(ContainerRole::Init),
            Some("Always") => Ok(ContainerRole::Sidecar),
            Some(other) => Err(unsupported_restart_policy(
                &format!("init container {}", container.name),
                other,
            )),
        };
        role.map(|role| ContainerPlan {
            role,
            container: container.clone(),
        })
    });
    let main = spec.containers.iter().map(|container| {
        Ok(ContainerPlan {
            role: ContainerRole::Main,
            container: container.clone(),
        })
    });
    let containers = init.chain(main).collect::<Result<Vec<_>, PodRejection>>()?;
    for planned in &containers {
        check_container(&planned.container, spec, images)?;
    }
    Ok(PodPlan {
        containers,
        volumes: spec.volumes.clone().unwrap_or_default(),
        grace: spec
            .termination_grace_period_seconds
            .and_then(seconds_to_duration)
            .unwrap_or(DEFAULT_GRACE),
        restart,
    })
}

/// How long a pod may run.
pub(crate) fn active_deadline(spec: &PodSpec) -> Option<Duration> {
    spec.active_deadline_seconds.and_then(seconds_to_duration)
}

fn seconds_to_duration(value: i64) -> Option<Duration> {
    u64::try_from(value).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refusal(spec: Value) -> Option<(&'static str, String)> {
        let pod: Pod =
            serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": spec})).unwrap();
        let images = BTreeMap::from([(
            "known".to_owned(),
            UtilityImage {
                binary: "/x".into(),
                argv0: "x".into(),
            },
        )]);
        plan_pod(&pod, &images)
            .err()
            .map(|refusal| (refusal.reason, refusal.message))
    }

    fn merged(mut base: Value, extra: Value) -> Value {
        let extra = extra.as_object().unwrap().clone();
        base.as_object_mut().unwrap().extend(extra);
        base
    }

    /// A pod with one container that has `extra`.
    fn with(extra: Value) -> Value {
        let container = merged(
            json!({"name": "c", "image": "i", "command": ["true"]}),
            extra,
        );
        json!({"restartPolicy": "Never", "volumes": [{"name": "v", "emptyDir": {}}], "containers": [container]})
    }

    fn pod(extra: Value) -> Value {
        merged(with(json!({})), extra)
    }

    #[test]
    fn what_changes_nothing_is_accepted() {
        let placed =
            json!({"serviceAccountName": "s", "hostNetwork": true, "tolerations": [{"key": "k"}]});
        let known = json!({"image": "known", "command": null});
        let args = json!({"command": null, "args": ["echo", "hi"]});
        let always = json!({"restartPolicy": null});
        for spec in [
            with(json!({})),
            with(known),
            with(args),
            pod(placed),
            pod(always),
        ] {
            assert_eq!(refusal(spec.clone()), None, "{spec}");
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        let mount = |mount: Value| with(json!({"volumeMounts": [mount]}));
        let field = json!({"fieldRef": {"fieldPath": "status.qosClass"}});
        let host = json!([{"name": "v", "hostPath": {"path": "/"}}]);
        let projected = |source: Value| {
            pod(json!({"volumes": [{"name": "v", "projected": {"sources": [source]}}]}))
        };
        let at = |path: &str| {
            projected(json!({"secret": {"name": "s", "items": [{"key": "k", "path": path}]}}))
        };
        for (spec, reason, part) in [
            (
                with(json!({"command": null})),
                "UnsupportedImage",
                "set `command`",
            ),
            (
                with(json!({"command": null, "args": ["--flag"]})),
                "UnsupportedImage",
                "set `command`",
            ),
            (
                pod(json!({"restartPolicy": "Sometimes"})),
                "UnsupportedRestartPolicy",
                "Sometimes",
            ),
            (
                pod(json!({"volumes": host})),
                "UnsupportedPodSpec",
                "volume v",
            ),
            (
                projected(json!({"serviceAccountToken": {"path": "token"}})),
                "UnsupportedPodSpec",
                "only secret and configMap are projected",
            ),
            (at("../x"), "UnsupportedPodSpec", "the item path"),
            (at("./."), "UnsupportedPodSpec", "the item path"),
            (at(""), "UnsupportedPodSpec", "the item path"),
            (
                pod(json!({"shareProcessNamespace": true})),
                "UnsupportedPodSpec",
                "shareProcess",
            ),
            (
                with(json!({"livenessProbe": {}})),
                "UnsupportedPodSpec",
                "livenessProbe",
            ),
            (
                with(json!({"lifecycle": {}})),
                "UnsupportedPodSpec",
                "lifecycle",
            ),
            (
                with(json!({"name": "../c"})),
                "UnsupportedPodSpec",
                "container name",
            ),
            (
                mount(json!({"name": "v", "mountPath": "/v", "subPath": "../x"})),
                "UnsupportedPodSpec",
                "mount of v",
            ),
            (
                mount(json!({"name": "w", "mountPath": "/v"})),
                "UnsupportedPodSpec",
                "no volume of the pod",
            ),
            (
                with(json!({"env": [{"name": "A", "valueFrom": field}]})),
                "UnsupportedPodSpec",
                "variable A",
            ),
        ] {
            let (found, message) = refusal(spec).unwrap();
            assert!(
                found == reason && message.contains(part),
                "{found}: {message}"
            );
        }
    }

    #[test]
    fn init_containers_come_first_and_sidecars_are_told_apart() {
        let pod: Pod = serde_json::from_value(json!({"metadata": {}, "spec": {
            "restartPolicy": "Never", "activeDeadlineSeconds": 7,
            "initContainers": [{"name": "a", "command": ["x"]}, {"name": "b", "command": ["x"], "restartPolicy": "Always"}],
            "containers": [{"name": "c", "command": ["x"]}],
        }}))
        .unwrap();
        let plan = plan_pod(&pod, &BTreeMap::new()).unwrap();
        let order: Vec<_> = plan
            .containers
            .iter()
            .map(|c| (c.container.name.as_str(), c.role))
            .collect();
        assert_eq!(
            order,
            [
                ("a", ContainerRole::Init),
                ("b", ContainerRole::Sidecar),
                ("c", ContainerRole::Main)
            ]
        );
        assert_eq!(
            (active_deadline(pod.spec.as_ref().unwrap()), plan.grace),
            (Some(Duration::from_secs(7)), Duration::from_secs(30))
        );
    }
}
