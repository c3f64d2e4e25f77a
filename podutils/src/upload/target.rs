//! Where the objects of a run are stored: bucket, folder, alias and latest-build keys.

use std::path::PathBuf;

use anyhow::Context;
use common::storage::{ObjectStorage, StorageCredentials, paths};
use jiff::Timestamp;
use secrecy::SecretString;

use crate::JobSpec;
use crate::gcs::GcsUploadOptions;

use super::{ObjectUpload, UploadFailures, Uploader};

/// The location of a run in its bucket.
#[derive(Debug)]
pub(crate) struct UploadTarget {
    pub(crate) storage: ObjectStorage,
    /// The run's folder; empty in a local output folder, which has nothing but the run.
    pub(crate) dir: String,
    /// Key and content of the alias: the content is the folder's URL.
    alias: Option<(String, String)>,
    /// The keys of the objects that hold the newest build id.
    latest: Vec<String>,
    build_id: String,
}

impl UploadTarget {
    pub(crate) fn new(options: &GcsUploadOptions, spec: &JobSpec) -> anyhow::Result<Self> {
        if !options.config.local_output_dir.is_empty() {
            let url = format!("file://{}", options.config.local_output_dir);
            let storage = ObjectStorage::open_bucket(&url, &StorageCredentials::default())
                .context("opening local_output_dir")?;
            return Ok(Self {
                storage,
                dir: String::new(),
                alias: None,
                latest: Vec::new(),
                build_id: spec.build_id.clone(),
            });
        }
        let storage =
            ObjectStorage::open_bucket(&options.config.bucket, &read_credentials(options)?)
                .with_context(|| format!("opening bucket {}", options.config.bucket))?;
        let job = paths::JobPathParts {
            job_type: spec.job_type,
            name: &spec.job,
            build_id: &spec.build_id,
            refs: spec.refs.as_ref(),
        };
        let sub_dir = options.sub_dir.trim_matches('/');
        let dir = paths::job_dir(&options.config, &job).context("finding the job's folder")?;
        let url = storage.bucket().url_of(&dir);
        Ok(Self {
            alias: paths::alias_key(&job).map(|key| (key, url)),
            latest: paths::latest_build_keys(&options.config, &job)?,
            dir: if sub_dir.is_empty() {
                dir
            } else {
                format!("{dir}/{sub_dir}")
            },
            build_id: spec.build_id.clone(),
            storage,
        })
    }

    /// The key of one of the run's own objects.
    pub(crate) fn object_key(&self, name: &str) -> String {
        if self.dir.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.dir)
        }
    }

    /// Writes the alias and the latest-build keys.
    pub(crate) async fn upload_alias_and_latest(
        &self,
        uploader: &Uploader,
        now: Timestamp,
    ) -> UploadFailures {
        let mut failures = UploadFailures::default();
        if let Some((key, url)) = &self.alias {
            let mut alias = ObjectUpload::from_text(key.clone(), url.clone());
            alias
                .attributes
                .metadata
                .insert("link".to_owned(), url.clone());
            failures.append(uploader.upload_objects(vec![alias]).await);
        }
        if !uploader.dry_run {
            for key in &self.latest {
                let latest = uploader.upload_latest_build(key, &self.build_id, now);
                failures.append(latest.await);
            }
        }
        failures
    }
}

fn read_credentials(options: &GcsUploadOptions) -> anyhow::Result<StorageCredentials> {
    let storage_token = match &options.storage_token_file {
        Some(file) => {
            let token = std::fs::read_to_string(file)
                .with_context(|| format!("reading the storage token {file}"))?;
            Some(SecretString::from(token.trim().to_owned()))
        }
        None => None,
    };
    Ok(StorageCredentials {
        gcs_credentials_file: non_empty_path(options.gcs_credentials_file.as_deref()),
        s3_credentials_file: non_empty_path(options.s3_credentials_file.as_deref()),
        storage_token,
    })
}

/// An empty path means the ambient credentials.
fn non_empty_path(file: Option<&str>) -> Option<PathBuf> {
    file.filter(|file| !file.is_empty()).map(PathBuf::from)
}
