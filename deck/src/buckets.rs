//! Opens the bucket that a path of Deck or a job names.
//!
//! Only buckets that the configuration allows are opened. Otherwise anybody who types a URL or
//! writes a `ProwJob` could use Deck's credentials.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use common::config::buckets::AllowedBuckets;
use common::storage::{
    Bucket, ObjectStorage, StorageCredentials, StorageError, StorageProvider, validate_key,
};

/// Prefix of Deck's own storage in its paths.
const STORAGE_PREFIX: &str = "storage";
/// Buckets that are kept open. Where every bucket is allowed, anybody can name new ones.
const MAX_OPENED: usize = 256;

#[derive(Debug)]
pub(crate) struct BucketCache {
    /// Deck's own storage, which `/storage` serves.
    own: Option<ObjectStorage>,
    credentials: StorageCredentials,
    opened: Mutex<HashMap<String, ObjectStorage>>,
}

/// A folder or object in a bucket.
#[derive(Clone, Debug)]
pub(crate) struct StorageLocation {
    pub(crate) storage: ObjectStorage,
    pub(crate) key: String,
    /// The bucket in Deck's paths, such as `gs/prow` or `storage`.
    pub(crate) bucket: String,
}

impl BucketCache {
    pub(crate) fn new(own: Option<ObjectStorage>, credentials: StorageCredentials) -> Self {
        Self {
            own,
            credentials,
            opened: Mutex::default(),
        }
    }

    pub(crate) fn own(&self) -> Option<&ObjectStorage> {
        self.own.as_ref()
    }

    /// Resolves `<provider>/<bucket…>/<key>`, if the bucket is Deck's own or an allowed one.
    pub(crate) fn resolve_storage_path(
        &self,
        path: &str,
        allowed: &AllowedBuckets,
    ) -> Result<Option<StorageLocation>, StorageError> {
        let path = path.trim_matches('/');
        if let Some(own) = &self.own
            && let Some((STORAGE_PREFIX, key)) = path.split_once('/')
        {
            let place = || StorageLocation {
                storage: own.clone(),
                key: key.to_owned(),
                bucket: STORAGE_PREFIX.to_owned(),
            };
            return Ok(validate_key(key).is_ok().then(place));
        }
        let Some((bucket, key)) = allowed.resolve_storage_path(path) else {
            return Ok(None);
        };
        Ok(Some(StorageLocation {
            storage: self.open_bucket(&bucket)?,
            key,
            bucket: bucket.view_path(),
        }))
    }

    /// Opens an allowed bucket. Deck's own storage is opened directly, not over the network.
    pub(crate) fn open_bucket(&self, bucket: &Bucket) -> Result<ObjectStorage, StorageError> {
        if let (StorageProvider::Storage, Some(own)) = (bucket.provider(), &self.own) {
            return Ok(own.clone());
        }
        let url = bucket.url();
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

#[cfg(test)]
mod tests {
    use common::config::Config;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_allowed_buckets_are_opened_and_none_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let (own, other) = (folder.path().join("own"), folder.path().join("other"));
        let url = |path: &std::path::Path| format!("file://{}", path.display());
        let storage =
            ObjectStorage::open_bucket(&url(&own), &StorageCredentials::default()).unwrap();
        let buckets = BucketCache::new(Some(storage), StorageCredentials::default());
        let mut config = Config::default();
        config.prow.deck = serde_json::from_value(json!({
            "skip_storage_path_validation": false,
            "additional_allowed_buckets":
                ["http://deck/storage", url(&other), url(&other.join("inner"))],
        }))
        .unwrap();
        let allowed = AllowedBuckets::from_config(&config);
        let view = format!("file{}", other.display());
        for (path, expected) in [
            ("storage/logs/j/1".to_owned(), Some(("storage", "logs/j/1"))),
            (
                format!("{view}/logs/j/1/"),
                Some((view.as_str(), "logs/j/1")),
            ),
            (
                format!("{view}/inner/logs/j/1"),
                Some((&*format!("{view}/inner"), "logs/j/1")),
            ),
            ("file/etc/passwd".to_owned(), None),
            (format!("{view}/../../etc/passwd"), None),
            ("gs/unknown/logs/j/1".to_owned(), None),
            ("storage/../x".to_owned(), None),
            ("storage".to_owned(), None),
            (String::new(), None),
        ] {
            let place = buckets.resolve_storage_path(&path, &allowed).unwrap();
            let got = place
                .as_ref()
                .map(|place| (place.bucket.as_str(), place.key.as_str()));
            assert_eq!(got, expected, "{path}");
        }
        assert!(!other.exists() && !own.exists());
    }
}
