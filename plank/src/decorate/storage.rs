//! How initupload and sidecar reach the bucket: options, volumes and mounts that no other
//! container gets.

use common::{
    prowjob::{DecorationConfig, ProwJobSpec},
    storage::{Bucket, Provider},
};
use podutils::gcs;
use serde_json::Value;

use super::{
    Error,
    json::{read_only, secret},
};

/// The key of a run's token in its Secret, and the name of its file.
pub const TOKEN_KEY: &str = "token";
const TOKEN_VOLUME: &str = "storage-token";
const TOKEN_FOLDER: &str = "/secrets/storage";
const KEY_FILE: &str = "service-account.json";

/// The Secret with the storage token of a pod: one a run, so that a pod that replaces another
/// never finds the other's token.
pub fn token_secret_name(pod: &str, build_id: &str) -> String {
    format!("{pod}-storage-{build_id}")
}

/// Whether the job's results go through Deck, so that its pod needs a token.
pub fn needs_token(spec: &ProwJobSpec) -> bool {
    let config = spec.decoration_config.as_ref();
    let bucket = config
        .and_then(|config| config.gcs_configuration.as_ref())
        .and_then(|storage| Bucket::parse(&storage.bucket).ok());
    bucket.is_some_and(|bucket| bucket.provider() == Provider::Storage)
}

pub(super) struct BlobStorage {
    pub(super) options: gcs::Options,
    pub(super) volumes: Vec<Value>,
    pub(super) mounts: Vec<Value>,
}

pub(super) fn storage(
    spec: &ProwJobSpec,
    config: &DecorationConfig,
    run: (&str, &str),
) -> Result<BlobStorage, Error> {
    let bucket = config.gcs_configuration.clone();
    let bucket = bucket.ok_or(Error::Decoration("gcs_configuration"))?;
    let mut all = BlobStorage {
        options: gcs::Options {
            config: bucket,
            ..gcs::Options::default()
        },
        volumes: Vec::new(),
        mounts: Vec::new(),
    };
    let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    if let Some(name) = named(&config.gcs_credentials_secret) {
        all.add("gcs-credentials", &name, "/secrets/gcs");
        all.options.gcs_credentials_file = Some(format!("/secrets/gcs/{KEY_FILE}"));
    }
    if let Some(name) = named(&config.s3_credentials_secret) {
        all.add("s3-credentials", &name, "/secrets/s3-storage");
        all.options.s3_credentials_file = Some(format!("/secrets/s3-storage/{KEY_FILE}"));
    }
    if needs_token(spec) {
        all.add(TOKEN_VOLUME, &token_secret_name(run.0, run.1), TOKEN_FOLDER);
        all.options.storage_token_file = Some(format!("{TOKEN_FOLDER}/{TOKEN_KEY}"));
    }
    Ok(all)
}

impl BlobStorage {
    fn add(&mut self, volume: &str, name: &str, folder: &str) {
        self.volumes.push(secret(volume, name));
        self.mounts.push(read_only(volume, folder));
    }
}
