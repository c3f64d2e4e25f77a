//! Checks for what this runner does not support in a pod, and the messages about it.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use k8s_openapi::api::core::v1::{Container, PodSpec, Volume, VolumeProjection};

use super::PodRejection;
use crate::kubelet::{UtilityImage, env, volume};

pub(super) fn unsupported_pod_spec(what: &str) -> PodRejection {
    PodRejection {
        reason: "UnsupportedPodSpec",
        message: format!("the local runner does not support {what}"),
    }
}

pub(super) fn unsupported_restart_policy(of: &str, policy: &str) -> PodRejection {
    PodRejection {
        reason: "UnsupportedRestartPolicy",
        message: format!("the local runner does not know the restartPolicy {policy} of {of}"),
    }
}

pub(super) fn check_pod(spec: &PodSpec) -> Result<(), PodRejection> {
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
        Some((what, _)) => Err(unsupported_pod_spec(what)),
        None => Ok(()),
    }
}

pub(super) fn check_volume(volume: &Volume) -> Result<(), PodRejection> {
    check_name("volume", &volume.name)?;
    let of = |what: &str| unsupported_pod_spec(&format!("volume {}: {what}", volume.name));
    let known = volume.empty_dir.is_some()
        || volume.secret.is_some()
        || volume.config_map.is_some()
        || volume.projected.is_some();
    if !known {
        return Err(of("only emptyDir, secret, configMap and projected are"));
    }
    let projected = volume.projected.iter().flat_map(|all| &all.sources);
    let is_known = |it: &VolumeProjection| it.secret.is_some() || it.config_map.is_some();
    if !projected.flatten().all(is_known) {
        return Err(of("only secret and configMap are projected"));
    }
    let projections = volume::list_projections(volume);
    for item in projections.iter().flat_map(|it| it.items) {
        let is_folder = Path::new(&item.path).file_name().is_none();
        if !is_inside(&item.path) || is_folder {
            return Err(of(&format!("the item path {:?}", item.path)));
        }
    }
    Ok(())
}

pub(super) fn check_container(
    container: &Container,
    pod: &PodSpec,
    images: &BTreeMap<String, UtilityImage>,
) -> Result<(), PodRejection> {
    check_name("container", &container.name)?;
    let of = |what: &str| unsupported_pod_spec(&format!("container {}: {what}", container.name));
    let image = container.image.as_deref().unwrap_or_default();
    if !names_program(container) && !images.contains_key(image) {
        return Err(PodRejection {
            reason: "UnsupportedImage",
            message: format!(
                "container {}: images are not pulled by the local runner, so the entry point of {image:?} is not known; set `command` (kubectl run: --command -- PROGRAM ARGUMENT...)",
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
            .map(|field| env::is_downward_api_field(&field.field_path));
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

/// Whether it says what to run: by a command, or by arguments as an image without an entry point
/// takes them. Arguments that begin with a flag are meant for an entry point.
fn names_program(container: &Container) -> bool {
    let first = |words: &Option<Vec<String>>| words.as_ref()?.first().cloned();
    first(&container.command).is_some()
        || first(&container.args).is_some_and(|word| !word.starts_with('-'))
}

/// Names become folder names, so Kubernetes' rule for them is checked even if the API does not
/// check it.
fn check_name(kind: &str, name: &str) -> Result<(), PodRejection> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 63 || !name.bytes().all(allowed) {
        return Err(unsupported_pod_spec(&format!("the {kind} name {name:?}")));
    }
    Ok(())
}

/// Whether a relative path stays below its start.
fn is_inside(path: &str) -> bool {
    Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}
