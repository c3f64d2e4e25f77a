//! The containers that upload: initupload before the test, sidecar beside it.

use common::prowjob::DecorationConfig;
use podutils::{JobSpec, entrypoint::WrapperOptions, initupload, sidecar};
use serde_json::{Value, json};

use super::{
    Error,
    clone::CLONE_LOG,
    json::{Object, go_json, mount, objects, text, variable, variable_as_written},
    storage::BlobStorage,
    words::literal_for,
    wrap::{ARTIFACTS, image},
};

pub(super) fn initupload(
    config: &DecorationConfig,
    storage: &BlobStorage,
    cloned: bool,
    job_spec: &str,
) -> Result<Object, Error> {
    let options = initupload::Options {
        gcs: storage.options.clone(),
        log: if cloned {
            CLONE_LOG.into()
        } else {
            String::new()
        },
    };
    let mut mounts = Vec::new();
    if cloned {
        mounts.push(mount("logs", "/logs"));
    }
    mounts.extend(storage.mounts.clone());
    mounts.extend(storage.output_mount.clone());
    Ok(Object::from_iter([
        ("name".to_owned(), "initupload".into()),
        (
            "image".to_owned(),
            image(
                config,
                |images| &images.initupload,
                "utility_images.initupload",
            )?
            .into(),
        ),
        (
            "env".to_owned(),
            json!([
                variable(initupload::Options::ENV, &go_json(&options)),
                variable(JobSpec::ENV, job_spec),
            ]),
        ),
        ("volumeMounts".to_owned(), mounts.into()),
    ]))
}

pub(super) fn sidecar(
    config: &DecorationConfig,
    storage: &BlobStorage,
    entries: Vec<WrapperOptions>,
    secrets: Vec<Value>,
    job_spec: &str,
) -> Result<Object, Error> {
    let folder = |mount: &Value| mount["mountPath"].as_str().map(str::to_owned);
    let options = sidecar::Options {
        gcs_options: podutils::gcs::Options {
            items: vec![ARTIFACTS.into()],
            ..storage.options.clone()
        },
        entries,
        ignore_interrupts: config.upload_ignores_interrupts == Some(true),
        censoring_options: sidecar::CensoringOptions {
            secret_directories: secrets.iter().filter_map(folder).collect(),
            config: config.censoring_options.clone().unwrap_or_default(),
            ..sidecar::CensoringOptions::default()
        },
        ..sidecar::Options::default()
    };
    let mut mounts = vec![mount("logs", "/logs")];
    mounts.extend(storage.mounts.clone());
    mounts.extend(secrets);
    mounts.extend(storage.output_mount.clone());
    Ok(Object::from_iter([
        ("name".to_owned(), "sidecar".into()),
        (
            "image".to_owned(),
            image(config, |images| &images.sidecar, "utility_images.sidecar")?.into(),
        ),
        (
            "env".to_owned(),
            json!([
                variable(JobSpec::ENV, job_spec),
                // The job's words stand in it, which nobody reads.
                variable_as_written(
                    sidecar::Options::ENV,
                    &literal_for(&go_json(&options), &[JobSpec::ENV]),
                ),
            ]),
        ),
        ("volumeMounts".to_owned(), mounts.into()),
    ]))
}

/// The user's own mounts of plain secrets, for the sidecar to know what to hide.
///
/// The same mount in two containers counts once; upstream repeats it, and the API refuses the
/// pod. A secret whose path is taken gets one of its own.
pub(super) fn secret_mounts(spec: &mut Object, storage: &BlobStorage) -> Result<Vec<Value>, Error> {
    let logs = mount("logs", "/logs");
    let own = || {
        storage
            .mounts
            .iter()
            .chain(&storage.output_mount)
            .chain([&logs])
    };
    let secrets: Vec<String> = objects(spec, "volumes")?
        .into_iter()
        .filter(|volume| volume.get("secret").is_some_and(Value::is_object))
        .map(|volume| text(volume, "name").to_owned())
        .collect();
    let mut mounts: Vec<Value> = Vec::new();
    for container in objects(spec, "containers")? {
        let name = text(container, "name").to_owned();
        for mount in objects(container, "volumeMounts")? {
            let mut mount = Value::Object(mount.clone());
            let of_secret = mount["name"]
                .as_str()
                .is_some_and(|v| secrets.iter().any(|s| s == v));
            if !of_secret || mounts.contains(&mount) {
                continue;
            }
            let taken = own()
                .chain(&mounts)
                .any(|other| path(other) == path(&mount));
            if taken {
                mount["mountPath"] =
                    format!("/secrets/censor/{name}/{}", path(&mount).trim_matches('/')).into();
            }
            mounts.push(mount);
        }
    }
    Ok(mounts)
}

/// Where something is mounted; a slash at the end makes no other place of it.
fn path(mount: &Value) -> &str {
    let path = mount["mountPath"].as_str().unwrap_or_default();
    path.trim_end_matches('/')
}
