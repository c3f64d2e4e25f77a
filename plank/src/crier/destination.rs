//! Where a job's files are, and the way in.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use common::{
    config::{Config, ProwConfig, buckets::AllowedBuckets},
    prowjob::{GcsConfiguration, ProwJob, ProwJobSpec},
    storage::{
        Attributes, Credentials, Error, Object, ObjectInfo, Provider, Storage, paths,
        token::keys::KeyFile,
    },
};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Semaphore, SemaphorePermit};

/// For the files of one report.
const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_mins(10);
/// Runs whose logs are read at once: each takes some ten MiB.
const MAX_READERS: usize = 4;
/// Buckets that are kept open. Where every bucket of a cloud may be opened, jobs can name new ones.
const MAX_OPENED: usize = 256;
/// Largest file of a run that is read.
const MAX_READ: usize = 1 << 20;

/// The folder of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) bucket: String,
    pub(super) dir: String,
}

/// The job's own bucket, else the one that decorated jobs of its repository and cluster have;
/// `None` where there is none, or no key for such a job. An error where the bucket is not to be
/// opened: whoever may write a `ProwJob` may name any, and would get our credentials.
pub(super) fn destination(config: &Config, job: &ProwJob) -> Result<Option<Destination>, Error> {
    let Some(to) = named_destination(&config.prow, job) else {
        return Ok(None);
    };
    let bucket = AllowedBuckets::of(config).open_to(&to.bucket)?;
    Ok(Some(Destination {
        bucket: bucket.url().to_owned(),
        ..to
    }))
}

fn named_destination(config: &ProwConfig, job: &ProwJob) -> Option<Destination> {
    let build_id = &job.status.as_ref()?.build_id;
    let storage = gcs_configuration(config, &job.spec)?;
    let run = paths::Job {
        job_type: job.spec.job_type,
        name: &job.spec.job,
        build_id,
        refs: job.spec.main_refs(),
    };
    let dir = paths::job_dir(&storage, &run).ok()?;
    (!storage.bucket.is_empty()).then_some(Destination {
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
        Some(all) => Some(next.or(&all)),
    });
    merged?.gcs_configuration
}

/// Opens buckets, each once.
#[derive(Debug)]
pub struct Buckets {
    credentials: Credentials,
    /// The key shared with Deck, for runs in Deck's storage.
    key: Option<KeyFile>,
    opened: Mutex<HashMap<String, Storage>>,
    readers: Semaphore,
}

impl Default for Buckets {
    /// With the machine's own identity, and no way into Deck's storage.
    fn default() -> Self {
        Self::new(Credentials::default(), None)
    }
}

impl Buckets {
    pub fn new(credentials: Credentials, key: Option<KeyFile>) -> Self {
        Self {
            credentials,
            key,
            opened: Mutex::default(),
            readers: Semaphore::new(MAX_READERS),
        }
    }

    /// Waits for the turn to read a run's logs, which ends when this is dropped.
    pub(super) async fn turn(&self) -> SemaphorePermit<'_> {
        let permit = self.readers.acquire().await;
        permit.expect("nobody closes the semaphore")
    }

    /// The way to one run's files.
    pub(super) fn folder(&self, destination: Destination, now: Timestamp) -> Result<Folder, Error> {
        let Destination { bucket, dir } = destination;
        let mut storage = self.open(&bucket)?;
        if storage.bucket().provider() == Provider::Storage {
            let key = self.key.as_ref().ok_or_else(|| {
                let why = "Deck's storage needs --storage-key-file";
                Error::InvalidBucket(bucket, why.into())
            })?;
            let expiry = now.saturating_add(TOKEN_LIFETIME).unwrap_or(Timestamp::MAX);
            // Not for ever: Deck makes the key at its first start.
            let keys = key
                .read()
                .map_err(|error| Error::Other(error.to_string()))?;
            storage = storage.with_token(keys.sign(&dir, expiry).into());
        }
        Ok(Folder { storage, dir })
    }

    fn open(&self, url: &str) -> Result<Storage, Error> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(storage) = opened.get(url) {
            return Ok(storage.clone());
        }
        let storage = Storage::open(url, &self.credentials)?;
        if opened.len() >= MAX_OPENED {
            opened.clear();
        }
        opened.insert(url.to_owned(), storage.clone());
        Ok(storage)
    }
}

/// The files of one run.
pub(super) struct Folder {
    storage: Storage,
    dir: String,
}

impl Folder {
    /// Writes a JSON file anew.
    pub(super) async fn put(&self, name: &str, json: Vec<u8>) -> Result<(), Error> {
        self.storage.put(&self.key(name), json, &attributes()).await
    }

    /// Writes a JSON file unless there is one.
    pub(super) async fn put_if_absent(&self, name: &str, json: Vec<u8>) -> Result<bool, Error> {
        let key = self.key(name);
        self.storage.put_if_absent(&key, json, &attributes()).await
    }

    /// A small file; `None` where there is none, or a large one.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        match self.storage.get(&self.key(name)).await {
            Ok(object) if object.size > MAX_READ as u64 => Ok(None),
            Ok(object) => Ok(Some(object.bytes(MAX_READ).await?.to_vec())),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A file of any size; `None` where there is none.
    pub(super) async fn object(&self, name: &str) -> Result<Option<Object>, Error> {
        match self.storage.get(&self.key(name)).await {
            Ok(object) => Ok(Some(object)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The last bytes of a file.
    pub(super) async fn end(&self, name: &str, length: u64) -> Result<Object, Error> {
        self.storage.tail(&self.key(name), length).await
    }

    /// What the test left, by names below the folder; empty where that cannot be listed.
    pub(super) async fn artifacts(&self) -> Result<Vec<ObjectInfo>, Error> {
        let listing = match self.storage.list(&self.key(paths::ARTIFACTS), false).await {
            Ok(listing) => listing,
            Err(Error::Unsupported(..)) => return Ok(Vec::new()),
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

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }
}

fn attributes() -> Attributes {
    Attributes::of_type("application/json")
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
            let found = destination(&config, job).unwrap();
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
        assert_eq!(destination(&Config::default(), &job).unwrap(), None);
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
            let of = |config: &Config| destination(config, &job).is_ok();
            assert_eq!(of(&config()), unset, "{bucket}");
            assert_eq!(of(&strict), with_validation, "{bucket}, validated");
        }
    }
}
