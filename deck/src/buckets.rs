//! Which bucket a path of Deck's is about, and the way into it.
//!
//! Only buckets of the configuration, or of a job that is known, are opened: Deck's credentials
//! are not for whoever can type a URL.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use common::storage::{Bucket, Credentials, Error, Provider, Storage, validate_key};

#[derive(Debug)]
pub(crate) struct Buckets {
    /// What `/storage` serves.
    own: Option<Storage>,
    credentials: Credentials,
    opened: Mutex<HashMap<String, Storage>>,
}

/// A folder or object in a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) storage: Storage,
    pub(crate) key: String,
    /// The bucket in Deck's paths, such as `gs/prow` or `storage`.
    pub(crate) bucket: String,
}

impl Buckets {
    pub(crate) fn new(own: Option<Storage>, credentials: Credentials) -> Self {
        Self {
            own,
            credentials,
            opened: Mutex::default(),
        }
    }

    pub(crate) fn own(&self) -> Option<&Storage> {
        self.own.as_ref()
    }

    /// What `<provider>/<bucket…>/<key>` names, if its bucket is among `known`.
    ///
    /// `gcs` is read as `gs`: old links say so.
    pub(crate) fn locate<'a>(
        &self,
        path: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Result<Option<Place>, Error> {
        let path = path.trim_matches('/');
        let path = path
            .strip_prefix("gcs/")
            .map_or_else(|| path.to_owned(), |rest| format!("gs/{rest}"));
        let key_in = |bucket: &str| {
            let key = path.strip_prefix(bucket)?.strip_prefix('/')?;
            validate_key(key).is_ok().then(|| key.to_owned())
        };
        if let (Some(own), Some(key)) = (&self.own, key_in(Provider::Storage.as_str())) {
            return Ok(Some(Place {
                storage: own.clone(),
                key,
                bucket: Provider::Storage.to_string(),
            }));
        }
        let candidates = known.filter_map(|url| {
            let bucket = Bucket::parse(url).ok()?;
            let view = bucket.view_path();
            Some((url, key_in(&view)?, view))
        });
        // The longest: a bucket's folder may be configured beside the bucket.
        match candidates.max_by_key(|(_, _, view)| view.len()) {
            Some((url, key, bucket)) => Ok(Some(Place {
                storage: self.open(url)?,
                key,
                bucket,
            })),
            None => Ok(None),
        }
    }

    /// The storage of a bucket's URL; Deck's own is not asked over the network.
    pub(crate) fn open(&self, url: &str) -> Result<Storage, Error> {
        let bucket = Bucket::parse(url)?;
        if let (Provider::Storage, Some(own)) = (bucket.provider(), &self.own) {
            return Ok(own.clone());
        }
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(storage) = opened.get(url) {
            return Ok(storage.clone());
        }
        let storage = Storage::open(url, &self.credentials)?;
        opened.insert(url.to_owned(), storage.clone());
        Ok(storage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_buckets_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let (own, other) = (folder.path().join("own"), folder.path().join("other"));
        let url = |path: &std::path::Path| format!("file://{}", path.display());
        let storage = Storage::open(&url(&own), &Credentials::default()).unwrap();
        let buckets = Buckets::new(Some(storage), Credentials::default());
        let (parent, inner) = (url(&other), url(&other.join("inner")));
        let known = ["http://deck/storage", &parent, &inner];
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
            ("gs/unknown/logs/j/1".to_owned(), None),
            ("storage/../x".to_owned(), None),
            ("storage".to_owned(), None),
            (String::new(), None),
        ] {
            let place = buckets.locate(&path, known.into_iter()).unwrap();
            let got = place
                .as_ref()
                .map(|place| (place.bucket.as_str(), place.key.as_str()));
            assert_eq!(got, expected, "{path}");
        }
    }
}
