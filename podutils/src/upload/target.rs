//! Where a run's objects lie: bucket, folder, and the keys beside it.

use std::path::PathBuf;

use anyhow::Context;
use common::storage::{Credentials, Storage, paths};
use jiff::Timestamp;
use secrecy::SecretString;

use crate::JobSpec;
use crate::gcs::Options;

use super::{Failures, Upload, Uploader};

/// A run's place in its bucket.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) storage: Storage,
    /// Folder of the run; empty in a local output folder, which has nothing but the run.
    pub(crate) dir: String,
    /// Holds the folder's URL.
    alias: Option<(String, String)>,
    /// Hold the newest build id.
    latest: Vec<String>,
    build_id: String,
}

impl Target {
    pub(crate) fn new(options: &Options, spec: &JobSpec) -> anyhow::Result<Self> {
        if !options.config.local_output_dir.is_empty() {
            let url = format!("file://{}", options.config.local_output_dir);
            let storage =
                Storage::open(&url, &Credentials::default()).context("opening local_output_dir")?;
            return Ok(Self {
                storage,
                dir: String::new(),
                alias: None,
                latest: Vec::new(),
                build_id: spec.build_id.clone(),
            });
        }
        let storage = Storage::open(&options.config.bucket, &credentials(options)?)
            .with_context(|| format!("opening bucket {}", options.config.bucket))?;
        let job = paths::Job {
            job_type: spec.job_type,
            name: &spec.job,
            build_id: &spec.build_id,
            refs: spec.refs.as_ref(),
        };
        let sub_dir = options.sub_dir.trim_matches('/');
        let dir = paths::job_dir(&options.config, &job).context("finding the job's folder")?;
        let url = storage.bucket().url_of(&dir);
        Ok(Self {
            alias: paths::alias(&job).map(|key| (key, url)),
            latest: paths::latest_builds(&options.config, &job)?,
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
    pub(crate) fn key(&self, name: &str) -> String {
        if self.dir.is_empty() {
            name.to_owned()
        } else {
            format!("{}/{name}", self.dir)
        }
    }

    /// Writes the alias and the latest-build keys.
    pub(crate) async fn announce(&self, uploader: &Uploader, now: Timestamp) -> Failures {
        let mut failures = Failures::default();
        if let Some((key, url)) = &self.alias {
            let mut alias = Upload::text(key.clone(), url.clone());
            alias
                .attributes
                .metadata
                .insert("link".to_owned(), url.clone());
            failures.append(uploader.upload(vec![alias]).await);
        }
        if !uploader.dry_run {
            for key in &self.latest {
                let latest = uploader.upload_latest(key, &self.build_id, now);
                failures.append(latest.await);
            }
        }
        failures
    }
}

fn credentials(options: &Options) -> anyhow::Result<Credentials> {
    let storage_token = match &options.storage_token_file {
        Some(file) => {
            let token = std::fs::read_to_string(file)
                .with_context(|| format!("reading the storage token {file}"))?;
            Some(SecretString::from(token.trim().to_owned()))
        }
        None => None,
    };
    Ok(Credentials {
        gcs_credentials_file: path(options.gcs_credentials_file.as_deref()),
        s3_credentials_file: path(options.s3_credentials_file.as_deref()),
        storage_token,
    })
}

/// An empty path is none: the ambient credentials.
fn path(file: Option<&str>) -> Option<PathBuf> {
    file.filter(|file| !file.is_empty()).map(PathBuf::from)
}
