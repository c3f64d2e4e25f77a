//! What a pod asks for, in the order it must run, or why this runner will not run it.
//!
//! Pure: Pod → [`PodPlan`] or [`Refusal`]. Nothing a pod asks for is dropped silently: what would change what the
//! pod does is refused, what only places or limits it (resources, tolerations, service accounts) does not matter here.

use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, Volume};

use super::Utility;

/// Kubernetes' own default for `terminationGracePeriodSeconds`.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);

/// Why a pod is not run; it becomes phase Failed with these two fields.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// When a container has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs alone and must succeed before the next one.
    Init,
    /// An init container with `restartPolicy: Always`: is started in its turn and ended after the main ones.
    Sidecar,
    Main,
}

#[derive(Clone, Debug)]
pub(crate) struct ContainerPlan {
    pub(crate) role: Role,
    pub(crate) container: Container,
}

#[derive(Debug)]
pub(crate) struct PodPlan {
    /// Init containers and sidecars in their order, then the main containers.
    pub(crate) containers: Vec<ContainerPlan>,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) grace: Duration,
}

/// The plan of `pod`; `images` are those whose entry point is known here.
pub(crate) fn plan(pod: &Pod, images: &BTreeMap<String, Utility>) -> Result<PodPlan, Refusal> {
    let spec = pod
        .spec
        .as_ref()
        .ok_or_else(|| unsupported("a pod without spec"))?;
    check_pod(spec)?;
    for volume in spec.volumes.iter().flatten() {
        check_volume(volume)?;
    }
    let init = spec.init_containers.iter().flatten().map(|container| {
        let role = match container.restart_policy.as_deref() {
            None => Ok(Role::Init),
            Some("Always") => Ok(Role::Sidecar),
            Some(other) => Err(restart_policy(
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
            role: Role::Main,
            container: container.clone(),
        })
    });
    let containers = init.chain(main).collect::<Result<Vec<_>, Refusal>>()?;
    for planned in &containers {
        check_container(&planned.container, spec, images)?;
    }
    Ok(PodPlan {
        containers,
        volumes: spec.volumes.clone().unwrap_or_default(),
        deadline: spec.active_deadline_seconds.and_then(seconds),
        grace: spec
            .termination_grace_period_seconds
            .and_then(seconds)
            .unwrap_or(DEFAULT_GRACE),
    })
}

fn seconds(value: i64) -> Option<Duration> {
    u64::try_from(value).ok().map(Duration::from_secs)
}

fn unsupported(what: &str) -> Refusal {
    Refusal {
        reason: "UnsupportedPodSpec",
        message: format!("the local runner does not support {what}"),
    }
}

fn restart_policy(of: &str, policy: &str) -> Refusal {
    Refusal {
        reason: "UnsupportedRestartPolicy",
        message: format!(
            "the local runner does not restart containers: {of} has restartPolicy {policy}, expected Never"
        ),
    }
}

fn check_pod(spec: &PodSpec) -> Result<(), Refusal> {
    // Kubernetes reads an absent policy as Always.
    let policy = spec.restart_policy.as_deref().unwrap_or("Always");
    if policy != "Never" {
        return Err(restart_policy("the pod", policy));
    }
    let asked = [
        (
            "shareProcessNamespace",
            spec.share_process_namespace == Some(true),
        ),
        (
            "hostAliases",
            spec.host_aliases
                .as_ref()
                .is_some_and(|list| !list.is_empty()),
        ),
        (
            "ephemeralContainers",
            spec.ephemeral_containers
                .as_ref()
                .is_some_and(|list| !list.is_empty()),
        ),
        (
            "schedulingGates",
            spec.scheduling_gates
                .as_ref()
                .is_some_and(|list| !list.is_empty()),
        ),
        ("a pod without containers", spec.containers.is_empty()),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        Some((what, _)) => Err(unsupported(what)),
        None => Ok(()),
    }
}

fn check_volume(volume: &Volume) -> Result<(), Refusal> {
    check_name("volume", &volume.name)?;
    if volume.empty_dir.is_none() && volume.secret.is_none() && volume.config_map.is_none() {
        let what = format!(
            "volume {}: only emptyDir, secret and configMap are",
            volume.name
        );
        return Err(unsupported(&what));
    }
    let secret = volume
        .secret
        .iter()
        .filter_map(|secret| secret.items.as_ref());
    let config_map = volume
        .config_map
        .iter()
        .filter_map(|map| map.items.as_ref());
    for item in secret.chain(config_map).flatten() {
        if !is_inside(&item.path) {
            return Err(unsupported(&format!(
                "volume {}: the item path {:?}",
                volume.name, item.path
            )));
        }
    }
    Ok(())
}

fn check_container(
    container: &Container,
    pod: &PodSpec,
    images: &BTreeMap<String, Utility>,
) -> Result<(), Refusal> {
    check_name("container", &container.name)?;
    let of = |what: &str| unsupported(&format!("container {}: {what}", container.name));
    let image = container.image.as_deref().unwrap_or_default();
    if container.command.as_ref().is_none_or(Vec::is_empty) && !images.contains_key(image) {
        return Err(Refusal {
            reason: "UnsupportedImage",
            message: format!(
                "container {}: images are not pulled by the local runner, so the entry point of {image:?} is not known; set `command`",
                container.name
            ),
        });
    }
    let asked = [
        ("lifecycle hooks", container.lifecycle.is_some()),
        ("livenessProbe", container.liveness_probe.is_some()),
        ("readinessProbe", container.readiness_probe.is_some()),
        ("startupProbe", container.startup_probe.is_some()),
        ("tty", container.tty == Some(true)),
        (
            "volumeDevices",
            container
                .volume_devices
                .as_ref()
                .is_some_and(|list| !list.is_empty()),
        ),
    ];
    if let Some((what, _)) = asked.iter().find(|(_, asked)| *asked) {
        return Err(of(what));
    }
    for mount in container.volume_mounts.iter().flatten() {
        if mount.sub_path_expr.is_some() {
            return Err(of("subPathExpr"));
        }
        if mount
            .sub_path
            .as_deref()
            .is_some_and(|path| !is_inside(path))
            || mount.mount_path.split('/').any(|part| part == "..")
        {
            return Err(of(&format!("the path of the mount of {}", mount.name)));
        }
        if !pod
            .volumes
            .iter()
            .flatten()
            .any(|volume| volume.name == mount.name)
        {
            return Err(of(&format!(
                "the mount of {}, which is no volume of the pod",
                mount.name
            )));
        }
    }
    for variable in container.env.iter().flatten() {
        let Some(from) = &variable.value_from else {
            continue;
        };
        let known = from
            .field_ref
            .as_ref()
            .map(|field| super::env::is_field(&field.field_path));
        if known == Some(false)
            || (known.is_none()
                && from.secret_key_ref.is_none()
                && from.config_map_key_ref.is_none())
        {
            return Err(of(&format!("the source of the variable {}", variable.name)));
        }
    }
    Ok(())
}

/// Names become names of folders, so they are held to Kubernetes' rule for them even if the API let them pass.
fn check_name(kind: &str, name: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 63 || !name.bytes().all(allowed) {
        return Err(unsupported(&format!("the {kind} name {name:?}")));
    }
    Ok(())
}

/// A relative path that stays below where it starts.
fn is_inside(path: &str) -> bool {
    Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
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
            Utility {
                binary: "/x".into(),
                argv0: "x".into(),
            },
        )]);
        plan(&pod, &images)
            .err()
            .map(|refusal| (refusal.reason, refusal.message))
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        let with = |extra: Value| {
            let mut container = json!({"name": "c", "image": "i", "command": ["true"]});
            container
                .as_object_mut()
                .unwrap()
                .extend(extra.as_object().unwrap().clone());
            json!({"restartPolicy": "Never", "volumes": [{"name": "v", "emptyDir": {}}], "containers": [container]})
        };
        let pod = |extra: Value| {
            let mut spec = with(json!({}));
            spec.as_object_mut()
                .unwrap()
                .extend(extra.as_object().unwrap().clone());
            spec
        };
        let cases = [
            ("plain pod", with(json!({})), None),
            (
                "utility image needs no command",
                with(json!({"image": "known", "command": null})),
                None,
            ),
            (
                "limits and accounts do not matter",
                pod(json!({"serviceAccountName": "s", "hostNetwork": true})),
                None,
            ),
            (
                "no command",
                with(json!({"command": null})),
                Some(("UnsupportedImage", "set `command`")),
            ),
            (
                "default restart policy",
                pod(json!({"restartPolicy": null})),
                Some(("UnsupportedRestartPolicy", "Always")),
            ),
            (
                "OnFailure",
                pod(json!({"restartPolicy": "OnFailure"})),
                Some(("UnsupportedRestartPolicy", "OnFailure")),
            ),
            (
                "host path",
                pod(json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]})),
                Some(("UnsupportedPodSpec", "volume v")),
            ),
            (
                "probe",
                with(json!({"livenessProbe": {}})),
                Some(("UnsupportedPodSpec", "livenessProbe")),
            ),
            (
                "hook",
                with(json!({"lifecycle": {}})),
                Some(("UnsupportedPodSpec", "lifecycle")),
            ),
            (
                "shared processes",
                pod(json!({"shareProcessNamespace": true})),
                Some(("UnsupportedPodSpec", "shareProcessNamespace")),
            ),
            (
                "a sub path that climbs out",
                with(
                    json!({"volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "../x"}]}),
                ),
                Some(("UnsupportedPodSpec", "mount of v")),
            ),
            (
                "a mount of nothing",
                with(json!({"volumeMounts": [{"name": "w", "mountPath": "/v"}]})),
                Some(("UnsupportedPodSpec", "no volume of the pod")),
            ),
            (
                "an unknown field",
                with(
                    json!({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.qosClass"}}}]}),
                ),
                Some(("UnsupportedPodSpec", "variable A")),
            ),
            (
                "a name that is a path",
                with(json!({"name": "../c"})),
                Some(("UnsupportedPodSpec", "container name")),
            ),
        ];
        for (name, spec, expected) in cases {
            let got = refusal(spec);
            match (&got, expected) {
                (None, None) => {}
                (Some((reason, message)), Some((want, part))) => {
                    assert_eq!(
                        (*reason, message.contains(part)),
                        (want, true),
                        "{name}: {message}"
                    );
                }
                _ => panic!("{name}: {got:?}"),
            }
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
        let plan = plan(&pod, &BTreeMap::new()).unwrap();
        let order: Vec<_> = plan
            .containers
            .iter()
            .map(|c| (c.container.name.as_str(), c.role))
            .collect();
        assert_eq!(
            order,
            [("a", Role::Init), ("b", Role::Sidecar), ("c", Role::Main)]
        );
        assert_eq!(
            (plan.deadline, plan.grace),
            (Some(Duration::from_secs(7)), Duration::from_secs(30))
        );
    }
}
