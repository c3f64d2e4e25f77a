//! How initupload and sidecar reach the bucket: options, volumes and mounts that no other
//! container gets.

use common::{
    prowjob::{DecorationConfig, ProwJobSpec},
    storage::{Bucket, StorageProvider},
};
use podutils::gcs;
use serde_json::{Value, json};

use super::{
    DecorateError,
    json::{secret_volume, volume_mount},
};

/// The key of a run's token in its Secret, and the name of its file.
pub const TOKEN_KEY: &str = "token";
pub(super) const TOKEN_VOLUME: &str = "storage-token";
const TOKEN_FOLDER: &str = "/secrets/storage";
const KEY_FILE: &str = "service-account.json";

/// The Secret with the storage token of a pod: one per run, so that a pod that replaces another
/// never finds the other's token.
pub fn token_secret_name(pod: &str, build_id: &str) -> String {
    format!("{pod}-storage-{build_id}")
}

/// Whether the job's results go through Deck, so that its pod needs a token.
pub fn needs_token(spec: &ProwJobSpec) -> bool {
    let config = spec.decoration_config.as_ref();
    let bucket = config
        .and_then(|config| config.gcs_configuration.as_ref())
        .and_then(|storage| Bucket::parse_url(&storage.bucket).ok());
    bucket.is_some_and(|bucket| bucket.provider() == StorageProvider::Storage)
}

/// Where results are copied instead of being uploaded, see [`super::build_pod_for_folder`].
const OUTPUT_VOLUME: &str = "output";
const OUTPUT_FOLDER: &str = "/output";

pub(super) struct BlobStorage {
    pub(super) options: gcs::GcsUploadOptions,
    pub(super) volumes: Vec<Value>,
    pub(super) mounts: Vec<Value>,
    /// The folder of the node that results are copied to, instead of a bucket.
    pub(super) output_mount: Option<Value>,
}

/// With `output`, a folder of the node, nothing is uploaded and no credentials are needed.
pub(super) fn build_blob_storage(
    spec: &ProwJobSpec,
    config: &DecorationConfig,
    run: (&str, &str),
    output: Option<&str>,
) -> Result<BlobStorage, DecorateError> {
    let bucket = config.gcs_configuration.clone();
    let bucket = bucket.ok_or(DecorateError::Decoration("gcs_configuration"))?;
    let mut all = BlobStorage {
        options: gcs::GcsUploadOptions {
            config: bucket,
            ..gcs::GcsUploadOptions::default()
        },
        volumes: Vec::new(),
        mounts: Vec::new(),
        output_mount: None,
    };
    if let Some(path) = output {
        all.options.config.local_output_dir = OUTPUT_FOLDER.into();
        all.volumes
            .push(json!({"name": OUTPUT_VOLUME, "hostPath": {"path": path}}));
        all.output_mount = Some(volume_mount(OUTPUT_VOLUME, OUTPUT_FOLDER));
        return Ok(all);
    }
    let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    if let Some(name) = named(&config.gcs_credentials_secret) {
        all.add_secret_mount("gcs-credentials", &name, "/secrets/gcs");
        all.options.gcs_credentials_file = Some(format!("/secrets/gcs/{KEY_FILE}"));
    }
    if let Some(name) = named(&config.s3_credentials_secret) {
        all.add_secret_mount("s3-credentials", &name, "/secrets/s3-storage");
        all.options.s3_credentials_file = Some(format!("/secrets/s3-storage/{KEY_FILE}"));
    }
    if needs_token(spec) {
        all.add_secret_mount(TOKEN_VOLUME, &token_secret_name(run.0, run.1), TOKEN_FOLDER);
        all.options.storage_token_file = Some(format!("{TOKEN_FOLDER}/{TOKEN_KEY}"));
    }
    Ok(all)
}

impl BlobStorage {
    fn add_secret_mount(&mut self, volume: &str, name: &str, folder: &str) {
        self.volumes.push(secret_volume(volume, name));
        self.mounts.push(volume_mount(volume, folder));
    }
}
