//! Putting a decorated pod together: the order of its parts is Prow's.

use std::collections::BTreeSet;

use common::{
    duration::GoDuration,
    prowjob::{DecorationConfig, ProwJob, RawPodSpec, UtilityImages},
};
use podutils::{
    JobSpec,
    entrypoint::{Options as EntrypointOptions, Span, WrapperOptions},
};
use serde_json::{Value, json};

use super::{
    Error, clone,
    environment::{Environment, variables},
    json::{Object, empty_dir, list, mount, objects, text, texts},
    resources, restricted, secrets, sidecar, storage,
    words::Scope,
};

pub(super) const ARTIFACTS: &str = "/logs/artifacts";
const ENTRYPOINT: &str = "/tools/entrypoint";

/// `run` is the pod's name and its build id, `output` as for [`storage::storage`].
pub(super) fn decorate(
    spec: &mut Object,
    job: &ProwJob,
    run: (&str, &str),
    output: Option<&str>,
    config: &DecorationConfig,
    mut environment: Environment,
) -> Result<(), Error> {
    if output.is_none()
        && storage::needs_token(&job.spec)
        && spec.get("shareProcessNamespace") == Some(&Value::Bool(true))
    {
        return Err(Error::SharedProcesses);
    }
    no_mount_of_the_token(spec)?;
    environment.insert("ARTIFACTS", ARTIFACTS.into());
    environment.insert("GOPATH", clone::CODE.into());
    let job_spec = environment[JobSpec::ENV].clone();

    let storage = storage::storage(&job.spec, config, run, output)?;
    let clone = clone::clone(&job.spec, config)?;
    let volumes_of_clone = clone.iter().flat_map(|clone| &clone.volumes);
    let added: Vec<Value> = storage
        .volumes
        .iter()
        .chain(volumes_of_clone)
        .cloned()
        .collect();
    let censored = match config.censor_secrets {
        Some(true) => Some(secrets::censored(spec, &added)?),
        _ => None,
    };

    let mut initupload = sidecar::initupload(config, &storage, clone.as_ref(), &job_spec)?;
    let mut place = place_entrypoint(config)?;
    let resources = config.resources.clone().unwrap_or_default();
    set_resources(&mut initupload, resources.initupload);
    set_resources(&mut place, resources.place_entrypoint);
    let init = list(spec, "initContainers")?;
    if let Some(clone) = &clone {
        let mut container = clone.container.clone();
        set_resources(&mut container, resources.clonerefs);
        init.insert(0, container.into());
    }
    init.extend([initupload.into(), place.into()]);

    let working_dir = clone.as_ref().map(|clone| clone.working_dir.as_str());
    let entries = wrap_containers(spec, config, &environment, working_dir)?;
    let mut sidecar = sidecar::sidecar(config, &storage, entries, censored.as_ref(), &job_spec)?;
    set_resources(&mut sidecar, resources.sidecar);

    let volumes = list(spec, "volumes")?;
    volumes.extend([empty_dir("logs"), empty_dir("tools")]);
    volumes.extend(added);
    volumes.extend(censored.into_iter().flat_map(|censored| censored.volumes));
    each_volume_once(spec)?;

    resources::memory(spec, config)?;
    resources::security_context(spec, config)?;
    resources::scheduling(spec, config);
    list(spec, "containers")?.push(sidecar.into());
    restricted::restrict(spec)?;
    resources::grace(spec, config);
    resources::account(spec, config);
    Ok(())
}

/// The image of a pod utility, which has no default here: it comes merged into the job.
pub(super) fn image(
    config: &DecorationConfig,
    which: impl Fn(&UtilityImages) -> &String,
    field: &'static str,
) -> Result<String, Error> {
    config
        .utility_images
        .as_ref()
        .map(which)
        .filter(|image| !image.is_empty())
        .cloned()
        .ok_or(Error::Decoration(field))
}

fn set_resources(container: &mut Object, resources: Option<RawPodSpec>) {
    if let Some(resources) = resources {
        container.insert("resources".into(), resources.0.into());
    }
}

fn place_entrypoint(config: &DecorationConfig) -> Result<Object, Error> {
    let image = image(
        config,
        |images| &images.entrypoint,
        "utility_images.entrypoint",
    )?;
    Ok(Object::from_iter([
        ("name".to_owned(), "place-entrypoint".into()),
        ("image".to_owned(), image.into()),
        ("args".to_owned(), json!(["--copy-mode-only"])),
        ("volumeMounts".to_owned(), json!([mount("tools", "/tools")])),
    ]))
}

/// Runs every user container under the entrypoint; what sidecar has to know of each.
fn wrap_containers(
    spec: &mut Object,
    config: &DecorationConfig,
    environment: &Environment,
    working_dir: Option<&str>,
) -> Result<Vec<WrapperOptions>, Error> {
    let mut containers = objects(spec, "containers")?;
    let alone = containers.len() == 1;
    containers
        .iter_mut()
        .map(|container| {
            let wrapper = wrapper(container, alone)?;
            let options = EntrypointOptions {
                timeout: span(config.timeout),
                grace_period: span(config.grace_period),
                artifact_dir: ARTIFACTS.into(),
                wrapper: wrapper.clone(),
                ..EntrypointOptions::default()
            };
            container.insert("command".into(), json!([ENTRYPOINT]));
            container.remove("args");
            list(container, "env")?.extend(variables(environment));
            let options = Scope::of(container).variables(&options);
            list(container, "env")?.extend(options);
            let mounts = list(container, "volumeMounts")?;
            mounts.extend([mount("logs", "/logs"), mount("tools", "/tools")]);
            if let Some(folder) = working_dir {
                mounts.push(mount("code", clone::CODE));
                container.insert("workingDir".into(), folder.into());
            }
            Ok(wrapper)
        })
        .collect()
}

fn span(duration: Option<GoDuration>) -> Span {
    Span::from_nanos(duration.unwrap_or_default().nanos())
}

fn wrapper(container: &Object, alone: bool) -> Result<WrapperOptions, Error> {
    let name = text(container, "name").to_owned();
    let mut args = texts(container, "command")?;
    args.extend(texts(container, "args")?);
    if args.is_empty() {
        return Err(Error::NoCommand { container: name });
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

/// A job may mount the volumes that decoration adds, as in Prow, but not the one with the right
/// to write its results, which Prow does not have.
fn no_mount_of_the_token(spec: &mut Object) -> Result<(), Error> {
    let declared: BTreeSet<String> = objects(spec, "volumes")?
        .into_iter()
        .map(|volume| text(volume, "name").to_owned())
        .collect();
    for group in ["initContainers", "containers"] {
        for container in objects(spec, group)? {
            let name = text(container, "name").to_owned();
            for kind in ["volumeMounts", "volumeDevices"] {
                for mount in objects(container, kind)? {
                    let volume = text(mount, "name").to_owned();
                    if volume == storage::TOKEN_VOLUME && !declared.contains(&volume) {
                        return Err(Error::UndeclaredVolume {
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

fn each_volume_once(spec: &mut Object) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for volume in objects(spec, "volumes")? {
        let name = text(volume, "name").to_owned();
        if !seen.insert(name.clone()) {
            return Err(Error::VolumeTwice(name));
        }
    }
    Ok(())
}
