//! Where a job's files are, and the access to them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use common::{
    config::{Config, ProwConfig, buckets::AllowedBuckets},
    prowjob::{GcsConfiguration, ProwJob, ProwJobSpec},
    storage::{
        BucketObject, ObjectAttributes, ObjectInfo, ObjectStorage, StorageCredentials,
        StorageError, StorageProvider, paths, token::keys::StorageKeyFile,
    },
};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit};

/// For the files of one report.
const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_mins(10);
/// Runs whose logs are read at the same time: each takes some ten MiB.
const MAX_READERS: usize = 4;
/// Most buckets kept open. Where every bucket of a cloud may be opened, jobs can name new ones.
const MAX_OPENED: usize = 256;
/// Largest file of a run that is read.
const MAX_READ: usize = 1 << 20;

/// The folder of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RunDestination {
    pub(super) bucket: String,
    pub(super) dir: String,
}

/// The job's own bucket, else the one of decorated jobs of its repository and cluster; `None` where
/// there is none, or no path for such a job. Fails where the bucket may not be opened: whoever may
/// write a `ProwJob` may name any, and would get our credentials.
pub(super) fn resolve_destination(
    config: &Config,
    job: &ProwJob,
) -> Result<Option<RunDestination>, StorageError> {
    let Some(to) = named_destination(&config.prow, job) else {
        return Ok(None);
    };
    let bucket = AllowedBuckets::from_config(config).parse_allowed_bucket(&to.bucket)?;
    Ok(Some(RunDestination {
        bucket: bucket.url().to_owned(),
        ..to
    }))
}

fn named_destination(config: &ProwConfig, job: &ProwJob) -> Option<RunDestination> {
    let build_id = &job.status.as_ref()?.build_id;
    let storage = gcs_configuration(config, &job.spec)?;
    let run = paths::JobPathParts {
        job_type: job.spec.job_type,
        name: &job.spec.job,
        build_id,
        refs: job.spec.main_refs(),
    };
    let dir = paths::job_dir(&storage, &run).ok()?;
    (!storage.bucket.is_empty()).then_some(RunDestination {
        bucket: storage.bucket,
        dir,
    })
}

fn gcs_configuration(config: &ProwConfig, spec: &ProwJobSpec) -> Option<GcsConfiguration> {
    let own = spec.decoration_config.as_ref();
    if let Some(own) = own.and_then(|own| own.gcs_configuration.clone()) {
        return Some(own);
    }
    let repo = spec.main_refs().map(common::prowjob::Refs::org_repo);
    let defaults = config
        .plank
        .default_decorations(repo.as_deref(), spec.cluster_alias());
    let merged = defaults.fold(None, |all, (_, next)| match all {
        None => Some(next.clone()),
        Some(all) => Some(next.apply_default(&all)),
    });
    merged?.gcs_configuration
}

/// Opens each bucket once.
#[derive(Debug)]
pub struct BucketOpener {
    credentials: StorageCredentials,
    /// The key shared with Deck, for runs in Deck's storage.
    key: Option<StorageKeyFile>,
    opened: Mutex<HashMap<String, ObjectStorage>>,
    readers: Semaphore,
}

impl Default for BucketOpener {
    /// With the machine's own identity, and without access to Deck's storage.
    fn default() -> Self {
        Self::new(StorageCredentials::default(), None)
    }
}

impl BucketOpener {
    pub fn new(credentials: StorageCredentials, key: Option<StorageKeyFile>) -> Self {
        Self {
            credentials,
            key,
            opened: Mutex::default(),
            readers: Semaphore::new(MAX_READERS),
        }
    }

    /// Waits for a permit to read a run's logs. Dropping it lets others read.
    pub(super) async fn acquire_reader(&self) -> SemaphorePermit<'_> {
        let permit = self.readers.acquire().await;
        permit.expect("nobody closes the semaphore")
    }

    /// Opens the folder of one run.
    pub(super) fn open_folder(
        &self,
        destination: RunDestination,
        now: Timestamp,
    ) -> Result<RunFolder, StorageError> {
        let RunDestination { bucket, dir } = destination;
        let mut storage = self.open_bucket(&bucket)?;
        if storage.bucket().provider() == StorageProvider::Storage {
            let key = self.key.as_ref().ok_or_else(|| {
                let why = "Deck's storage needs --storage-key-file";
                StorageError::InvalidBucket(bucket, why.into())
            })?;
            let expiry = now.saturating_add(TOKEN_LIFETIME).unwrap_or(Timestamp::MAX);
            // Not a permanent error: Deck makes the key at its first start.
            let keys = key
                .read_keys()
                .map_err(|error| StorageError::Other(error.to_string()))?;
            storage = storage.with_token(keys.sign_token(&dir, expiry).into());
        }
        Ok(RunFolder { storage, dir })
    }

    fn open_bucket(&self, url: &str) -> Result<ObjectStorage, StorageError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(storage) = opened.get(url) {
            return Ok(storage.clone());
        }
        let storage = ObjectStorage::open_bucket(url, &self.credentials)?;
        if opened.len() >= MAX_OPENED {
            opened.clear();
        }
        opened.insert(url.to_owned(), storage.clone());
        Ok(storage)
    }
}

/// The files of one run.
pub(super) struct RunFolder {
    storage: ObjectStorage,
    dir: String,
}

impl RunFolder {
    /// Writes or replaces a JSON file.
    pub(super) async fn put_json(&self, name: &str, json: Vec<u8>) -> Result<(), StorageError> {
        self.storage
            .put_object(&self.object_key(name), json, &json_attributes())
            .await
    }

    /// Writes a JSON file unless there is one.
    pub(super) async fn put_json_if_absent(
        &self,
        name: &str,
        json: Vec<u8>,
    ) -> Result<bool, StorageError> {
        let key = self.object_key(name);
        self.storage
            .put_if_absent(&key, json, &json_attributes())
            .await
    }

    /// A small file; `None` where there is none, or a large one.
    pub(super) async fn get_small(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        match self.storage.get_object(&self.object_key(name)).await {
            Ok(object) if object.size > MAX_READ as u64 => Ok(None),
            Ok(object) => Ok(Some(object.read_bytes(MAX_READ).await?.to_vec())),
            Err(StorageError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A file of any size; `None` where there is none.
    pub(super) async fn open_object(
        &self,
        name: &str,
    ) -> Result<Option<BucketObject>, StorageError> {
        match self.storage.get_object(&self.object_key(name)).await {
            Ok(object) => Ok(Some(object)),
            Err(StorageError::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The last bytes of a file.
    pub(super) async fn read_tail(
        &self,
        name: &str,
        length: u64,
    ) -> Result<BucketObject, StorageError> {
        self.storage.get_tail(&self.object_key(name), length).await
    }

    /// The artifacts of the test, by names below the folder; empty where they cannot be listed.
    pub(super) async fn list_artifacts(&self) -> Result<Vec<ObjectInfo>, StorageError> {
        let listing = match self
            .storage
            .list_objects(&self.object_key(paths::ARTIFACTS), false)
            .await
        {
            Ok(listing) => listing,
            Err(StorageError::Unsupported(..)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let below = format!("{}/", self.dir);
        let mut objects = listing.objects;
        for object in &mut objects {
            if let Some(name) = object.key.strip_prefix(&below) {
                object.key = name.to_owned();
            }
        }
        Ok(objects)
    }

    fn object_key(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }
}

fn json_attributes() -> ObjectAttributes {
    ObjectAttributes::of_type("application/json")
}

#[cfg(test)]
mod tests {
    use common::prowjob::{DecorationConfig, ProwJobStatus, ProwJobType};
    use serde_json::json;

    use super::*;

    fn config() -> Config {
        let prow = serde_json::from_value(json!({"plank": {
            "default_decoration_config_entries": [
                {"config": {"gcs_configuration": {"bucket": "all", "path_strategy": "explicit"}}},
                {"cluster": "build2", "config": {"gcs_configuration": {"bucket": "second"}}},
                {"cluster": "folder", "config": {"gcs_configuration": {"bucket": "file:///logs"}}},
            ],
        }}));
        Config {
            prow: prow.unwrap(),
            ..Config::default()
        }
    }

    fn job() -> ProwJob {
        let mut job = ProwJob::new("pj", Default::default());
        job.spec.job = "unit".into();
        job.spec.job_type = ProwJobType::Periodic;
        job.status = Some(ProwJobStatus {
            build_id: "7".into(),
            ..ProwJobStatus::default()
        });
        job
    }

    fn named(job: &mut ProwJob, bucket: &str) {
        job.spec.decoration_config = Some(DecorationConfig {
            gcs_configuration: Some(GcsConfiguration {
                bucket: bucket.into(),
                path_prefix: "p".into(),
                ..GcsConfiguration::default()
            }),
            ..DecorationConfig::default()
        });
    }

    #[test]
    fn a_job_without_a_bucket_gets_the_one_of_its_like() {
        let config = config();
        let mut job = job();
        let of = |job: &ProwJob| {
            let found = resolve_destination(&config, job).unwrap();
            found.map(|found| format!("{}/{}", found.bucket, found.dir))
        };
        assert_eq!(of(&job).as_deref(), Some("gs://all/logs/unit/7"));
        job.spec.cluster = "build2".into();
        assert_eq!(of(&job).as_deref(), Some("gs://second/logs/unit/7"));
        named(&mut job, "own");
        assert_eq!(of(&job).as_deref(), Some("gs://own/p/logs/unit/7"));
        job.spec.job = "a/b".into();
        assert_eq!(of(&job), None, "a name that is no key");
        job.spec.decoration_config = None;
        assert_eq!(resolve_destination(&Config::default(), &job).unwrap(), None);
        job.status = None;
        assert_eq!(of(&job), None, "no build id yet");
    }

    #[test]
    fn what_only_the_job_names_is_no_destination() {
        let mut strict = config();
        strict.prow.deck.skip_storage_path_validation = Some(false);
        for (bucket, unset, with_validation) in [
            ("all", true, true),
            ("file:///logs", true, true),
            ("own", true, false),
            ("file:///logs/x", false, false),
            ("file:///etc", false, false),
            ("http://169.254.169.254/storage", false, false),
            ("file:///logs/../etc", false, false),
        ] {
            let mut job = job();
            named(&mut job, bucket);
            let of = |config: &Config| resolve_destination(config, &job).is_ok();
            assert_eq!(of(&config()), unset, "{bucket}");
            assert_eq!(of(&strict), with_validation, "{bucket}, validated");
        }
    }
}
