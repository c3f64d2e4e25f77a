//! The containers that upload: initupload before the test, sidecar beside it.

use common::prowjob::DecorationConfig;
use podutils::{
    JobSpec,
    entrypoint::WrapperOptions,
    initupload,
    sidecar::{self, CensoringOptions},
};
use serde_json::{Value, json};

use super::{
    Error,
    clone::{CLONE_LOG, Clone},
    json::{Object, go_json, mount, variable, variable_as_written},
    secrets::Censored,
    storage::BlobStorage,
    words::literal_for,
    wrap::{ARTIFACTS, image},
};

pub(super) fn initupload(
    config: &DecorationConfig,
    storage: &BlobStorage,
    clone: Option<&Clone>,
    job_spec: &str,
) -> Result<Object, Error> {
    let is_asked = config.censor_secrets == Some(true);
    let of_clone = clone.filter(|_| is_asked);
    let secrets = of_clone.map_or(&[][..], |clone| &clone.secret_mounts);
    let options = initupload::Options {
        gcs: storage.options.clone(),
        log: clone.map_or_else(String::new, |_| CLONE_LOG.into()),
        censoring_options: is_asked.then(|| CensoringOptions {
            secret_directories: directories(secrets.iter().chain(&storage.mounts)),
            config: config.censoring_options.clone().unwrap_or_default(),
            ..CensoringOptions::default()
        }),
    };
    let mut mounts = Vec::new();
    if clone.is_some() {
        mounts.push(mount("logs", "/logs"));
    }
    mounts.extend(storage.mounts.clone());
    mounts.extend_from_slice(secrets);
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
    secrets: Option<&Censored>,
    job_spec: &str,
) -> Result<Object, Error> {
    let secret_mounts = secrets.map_or(&[][..], |secrets| &secrets.mounts);
    let options = sidecar::Options {
        gcs_options: podutils::gcs::Options {
            items: vec![ARTIFACTS.into()],
            ..storage.options.clone()
        },
        entries,
        ignore_interrupts: config.upload_ignores_interrupts == Some(true),
        censoring_options: CensoringOptions {
            secret_directories: directories(secret_mounts),
            every_secret: secrets.is_some(),
            config: config.censoring_options.clone().unwrap_or_default(),
            ..CensoringOptions::default()
        },
        ..sidecar::Options::default()
    };
    let mut mounts = vec![mount("logs", "/logs")];
    mounts.extend(storage.mounts.clone());
    mounts.extend_from_slice(secret_mounts);
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

/// Where these are mounted.
fn directories<'a>(mounts: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    let path = |mount: &Value| mount["mountPath"].as_str().map(str::to_owned);
    mounts.into_iter().filter_map(path).collect()
}
