//! The containers that upload: initupload before the test, sidecar next to it.

use common::prowjob::DecorationConfig;
use podutils::{
    JobSpec,
    entrypoint::WrapperOptions,
    initupload,
    sidecar::{self, SidecarCensoringOptions},
};
use serde_json::{Value, json};

use super::{
    DecorateError,
    clone::{CLONE_LOG, CloneContainer},
    entrypoint_expansion::literal_for,
    json::{SpecObject, go_json, literal_env_var, raw_env_var, volume_mount},
    secrets::CensoredSecrets,
    storage::BlobStorage,
    wrap::{ARTIFACTS, utility_image},
};

pub(super) fn build_initupload(
    config: &DecorationConfig,
    storage: &BlobStorage,
    clone: Option<&CloneContainer>,
    job_spec: &str,
) -> Result<SpecObject, DecorateError> {
    let is_asked = config.censor_secrets == Some(true);
    let of_clone = clone.filter(|_| is_asked);
    let secrets = of_clone.map_or(&[][..], |clone| &clone.secret_mounts);
    let options = initupload::InituploadOptions {
        gcs: storage.options.clone(),
        log: clone.map_or_else(String::new, |_| CLONE_LOG.into()),
        censoring_options: is_asked.then(|| SidecarCensoringOptions {
            secret_directories: mount_paths(secrets.iter().chain(&storage.mounts)),
            config: config.censoring_options.clone().unwrap_or_default(),
            ..SidecarCensoringOptions::default()
        }),
    };
    let mut mounts = Vec::new();
    if clone.is_some() {
        mounts.push(volume_mount("logs", "/logs"));
    }
    mounts.extend(storage.mounts.clone());
    mounts.extend_from_slice(secrets);
    mounts.extend(storage.output_mount.clone());
    Ok(SpecObject::from_iter([
        ("name".to_owned(), "initupload".into()),
        (
            "image".to_owned(),
            utility_image(
                config,
                |images| &images.initupload,
                "utility_images.initupload",
            )?
            .into(),
        ),
        (
            "env".to_owned(),
            json!([
                literal_env_var(initupload::InituploadOptions::ENV, &go_json(&options)),
                literal_env_var(JobSpec::ENV, job_spec),
            ]),
        ),
        ("volumeMounts".to_owned(), mounts.into()),
    ]))
}

pub(super) fn build_sidecar(
    config: &DecorationConfig,
    storage: &BlobStorage,
    entries: Vec<WrapperOptions>,
    secrets: Option<&CensoredSecrets>,
    job_spec: &str,
) -> Result<SpecObject, DecorateError> {
    let secret_mounts = secrets.map_or(&[][..], |secrets| &secrets.mounts);
    let options = sidecar::SidecarOptions {
        gcs_options: podutils::gcs::GcsUploadOptions {
            items: vec![ARTIFACTS.into()],
            ..storage.options.clone()
        },
        entries,
        ignore_interrupts: config.upload_ignores_interrupts == Some(true),
        censoring_options: SidecarCensoringOptions {
            secret_directories: mount_paths(secret_mounts),
            every_secret: secrets.is_some(),
            config: config.censoring_options.clone().unwrap_or_default(),
            ..SidecarCensoringOptions::default()
        },
        ..sidecar::SidecarOptions::default()
    };
    let mut mounts = vec![volume_mount("logs", "/logs")];
    mounts.extend(storage.mounts.clone());
    mounts.extend_from_slice(secret_mounts);
    mounts.extend(storage.output_mount.clone());
    Ok(SpecObject::from_iter([
        ("name".to_owned(), "sidecar".into()),
        (
            "image".to_owned(),
            utility_image(config, |images| &images.sidecar, "utility_images.sidecar")?.into(),
        ),
        (
            "env".to_owned(),
            json!([
                literal_env_var(JobSpec::ENV, job_spec),
                // It contains the job's args, which the sidecar does not read.
                raw_env_var(
                    sidecar::SidecarOptions::ENV,
                    &literal_for(&go_json(&options), &[JobSpec::ENV]),
                ),
            ]),
        ),
        ("volumeMounts".to_owned(), mounts.into()),
    ]))
}

/// The paths of these mounts.
fn mount_paths<'a>(mounts: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    let path = |mount: &Value| mount["mountPath"].as_str().map(str::to_owned);
    mounts.into_iter().filter_map(path).collect()
}
