//! Puts a decorated pod together, in Prow's order of its parts.

use std::collections::BTreeSet;

use common::{
    duration::GoDuration,
    prowjob::{DecorationConfig, ProwJob, RawPodSpec, UtilityImages},
};
use podutils::{
    JobSpec,
    entrypoint::{DurationNanos, EntrypointOptions, WrapperOptions},
};
use serde_json::{Value, json};

use super::{
    DecorateError, clone,
    entrypoint_expansion::VariableScope,
    environment::{JobEnvironment, env_vars},
    json::{
        SpecObject, empty_dir_volume, list_mut, objects_mut, str_field, string_list, volume_mount,
    },
    resources, restricted, secrets, sidecar, storage,
};

pub(super) const ARTIFACTS: &str = "/logs/artifacts";
const ENTRYPOINT: &str = "/tools/entrypoint";

/// `run` is the pod's name and its build id, `output` as for [`storage::build_blob_storage`].
pub(super) fn decorate_spec(
    spec: &mut SpecObject,
    job: &ProwJob,
    run: (&str, &str),
    output: Option<&str>,
    config: &DecorationConfig,
    mut environment: JobEnvironment,
) -> Result<(), DecorateError> {
    if output.is_none()
        && storage::needs_token(&job.spec)
        && spec.get("shareProcessNamespace") == Some(&Value::Bool(true))
    {
        return Err(DecorateError::SharedProcesses);
    }
    forbid_token_mount(spec)?;
    environment.insert("ARTIFACTS", ARTIFACTS.into());
    environment.insert("GOPATH", clone::CODE_DIR.into());
    let job_spec = environment[JobSpec::ENV].clone();

    let storage = storage::build_blob_storage(&job.spec, config, run, output)?;
    let clone = clone::build_clonerefs(&job.spec, config)?;
    let volumes_of_clone = clone.iter().flat_map(|clone| &clone.volumes);
    let added: Vec<Value> = storage
        .volumes
        .iter()
        .chain(volumes_of_clone)
        .cloned()
        .collect();
    let censored = match config.censor_secrets {
        Some(true) => Some(secrets::mount_censored_secrets(spec, &added)?),
        _ => None,
    };

    let mut initupload = sidecar::build_initupload(config, &storage, clone.as_ref(), &job_spec)?;
    let mut place = place_entrypoint(config)?;
    let resources = config.resources.clone().unwrap_or_default();
    set_resources(&mut initupload, resources.initupload);
    set_resources(&mut place, resources.place_entrypoint);
    let init = list_mut(spec, "initContainers")?;
    if let Some(clone) = &clone {
        let mut container = clone.container.clone();
        set_resources(&mut container, resources.clonerefs);
        init.insert(0, container.into());
    }
    init.extend([initupload.into(), place.into()]);

    let working_dir = clone.as_ref().map(|clone| clone.working_dir.as_str());
    let entries = wrap_containers(spec, config, &environment, working_dir)?;
    let mut sidecar =
        sidecar::build_sidecar(config, &storage, entries, censored.as_ref(), &job_spec)?;
    set_resources(&mut sidecar, resources.sidecar);

    let volumes = list_mut(spec, "volumes")?;
    volumes.extend([empty_dir_volume("logs"), empty_dir_volume("tools")]);
    volumes.extend(added);
    volumes.extend(censored.into_iter().flat_map(|censored| censored.volumes));
    check_volume_names(spec)?;

    resources::set_memory_defaults(spec, config)?;
    resources::set_security_context(spec, config)?;
    resources::set_scheduling(spec, config);
    list_mut(spec, "containers")?.push(sidecar.into());
    restricted::restrict_utilities(spec)?;
    resources::set_grace_period(spec, config);
    resources::set_service_account(spec, config);
    Ok(())
}

/// The image of a pod utility. There is no default here: it was merged into the job before.
pub(super) fn utility_image(
    config: &DecorationConfig,
    which: impl Fn(&UtilityImages) -> &String,
    field: &'static str,
) -> Result<String, DecorateError> {
    config
        .utility_images
        .as_ref()
        .map(which)
        .filter(|image| !image.is_empty())
        .cloned()
        .ok_or(DecorateError::Decoration(field))
}

fn set_resources(container: &mut SpecObject, resources: Option<RawPodSpec>) {
    if let Some(resources) = resources {
        container.insert("resources".into(), resources.0.into());
    }
}

fn place_entrypoint(config: &DecorationConfig) -> Result<SpecObject, DecorateError> {
    let image = utility_image(
        config,
        |images| &images.entrypoint,
        "utility_images.entrypoint",
    )?;
    Ok(SpecObject::from_iter([
        ("name".to_owned(), "place-entrypoint".into()),
        ("image".to_owned(), image.into()),
        ("args".to_owned(), json!(["--copy-mode-only"])),
        (
            "volumeMounts".to_owned(),
            json!([volume_mount("tools", "/tools")]),
        ),
    ]))
}

/// Runs every user container under the entrypoint; returns what the sidecar must know of each.
fn wrap_containers(
    spec: &mut SpecObject,
    config: &DecorationConfig,
    environment: &JobEnvironment,
    working_dir: Option<&str>,
) -> Result<Vec<WrapperOptions>, DecorateError> {
    let mut containers = objects_mut(spec, "containers")?;
    let alone = containers.len() == 1;
    containers
        .iter_mut()
        .map(|container| {
            let wrapper = wrapper_options(container, alone)?;
            let options = EntrypointOptions {
                timeout: to_entrypoint_span(config.timeout),
                grace_period: to_entrypoint_span(config.grace_period),
                artifact_dir: ARTIFACTS.into(),
                wrapper: wrapper.clone(),
                ..EntrypointOptions::default()
            };
            container.insert("command".into(), json!([ENTRYPOINT]));
            container.remove("args");
            list_mut(container, "env")?.extend(env_vars(environment));
            let options = VariableScope::from_container(container).entrypoint_env_vars(&options);
            list_mut(container, "env")?.extend(options);
            let mounts = list_mut(container, "volumeMounts")?;
            mounts.extend([
                volume_mount("logs", "/logs"),
                volume_mount("tools", "/tools"),
            ]);
            if let Some(folder) = working_dir {
                mounts.push(volume_mount("code", clone::CODE_DIR));
                container.insert("workingDir".into(), folder.into());
            }
            Ok(wrapper)
        })
        .collect()
}

fn to_entrypoint_span(duration: Option<GoDuration>) -> DurationNanos {
    DurationNanos::from_nanos(duration.unwrap_or_default().as_nanos())
}

fn wrapper_options(container: &SpecObject, alone: bool) -> Result<WrapperOptions, DecorateError> {
    let name = str_field(container, "name").to_owned();
    let mut args = string_list(container, "command")?;
    args.extend(string_list(container, "args")?);
    if args.is_empty() {
        return Err(DecorateError::NoCommand { container: name });
    }
    let file = |folder: &str, single: &str, suffix: &str| match alone {
        true => format!("{folder}/{single}"),
        false => format!("{folder}/{name}-{suffix}"),
    };
    Ok(WrapperOptions {
        args,
        process_log: file("/logs", "process-log.txt", "log.txt"),
        marker_file: file("/logs", "marker-file.txt", "marker.txt"),
        metadata_file: file(ARTIFACTS, "metadata.json", "metadata.json"),
        container_name: name,
    })
}

/// A job may mount the volumes that decoration adds, as in Prow, except the one with the token to
/// write its results, which Prow does not have.
fn forbid_token_mount(spec: &mut SpecObject) -> Result<(), DecorateError> {
    let declared: BTreeSet<String> = objects_mut(spec, "volumes")?
        .into_iter()
        .map(|volume| str_field(volume, "name").to_owned())
        .collect();
    for group in ["initContainers", "containers"] {
        for container in objects_mut(spec, group)? {
            let name = str_field(container, "name").to_owned();
            for kind in ["volumeMounts", "volumeDevices"] {
                for mount in objects_mut(container, kind)? {
                    let volume = str_field(mount, "name").to_owned();
                    if volume == storage::TOKEN_VOLUME && !declared.contains(&volume) {
                        return Err(DecorateError::UndeclaredVolume {
                            container: name,
                            volume,
                        });
                    }
                }
            }
        }
    }
    Ok(())
}

fn check_volume_names(spec: &mut SpecObject) -> Result<(), DecorateError> {
    let mut seen = BTreeSet::new();
    for volume in objects_mut(spec, "volumes")? {
        let name = str_field(volume, "name").to_owned();
        if !seen.insert(name.clone()) {
            return Err(DecorateError::VolumeTwice(name));
        }
    }
    Ok(())
}
