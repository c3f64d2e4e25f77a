//! A folder of this machine. Objects are its files; attributes that a name does not tell are
//! JSON files of the same names below `.attributes/`.
//!
//! An object is written below `.staging/`, then its attributes become known, then it is renamed
//! into its place: a reader sees the old object with the old attributes or the new with the new,
//! wherever a writer is killed.

mod record;
mod staging;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use tokio::sync::Mutex;

use super::cloud::{self, Cloud};
use super::content_type::content_type;
use super::key::{RESERVED, STAGING};
use super::object::{Attributes, Body, Listing, Object};
use super::{Bucket, Error, ReadRange};
use record::{Record, Version};
use staging::Staged;

/// More is no attribute file of ours.
const ATTRIBUTES_LIMIT: usize = 256 << 10;
/// Keys share so many locks.
const LOCKS: usize = 64;

/// A folder; writes go to a staging file that is renamed into place.
#[derive(Debug)]
pub(super) struct Local {
    files: Cloud,
    folder: Arc<LocalFileSystem>,
    root: PathBuf,
    /// One writer at a time decides what an object's next version is.
    locks: [Mutex<()>; LOCKS],
    hasher: RandomState,
}

impl Local {
    pub(super) fn open(bucket: &Bucket) -> Result<Self, Error> {
        let bad = |why: String| Error::InvalidBucket(bucket.url().to_owned(), why);
        std::fs::create_dir_all(bucket.path()).map_err(|e| bad(e.to_string()))?;
        let root = PathBuf::from(bucket.path());
        staging::remove_leftovers(&root.join(STAGING));
        let folder = LocalFileSystem::new_with_prefix(bucket.path())
            .map_err(|e| bad(crate::causes::causes(&e)))?;
        let folder = Arc::new(folder);
        Ok(Self {
            files: Cloud::new(folder.clone(), ""),
            folder,
            root,
            locks: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        })
    }

    pub(super) async fn put(
        &self,
        key: &str,
        body: Body,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        self.write(key, body, attributes, true).await.map(drop)
    }

    pub(super) async fn put_if_absent(
        &self,
        key: &str,
        body: Bytes,
        attributes: &Attributes,
    ) -> Result<bool, Error> {
        let there = match self.version(key).await {
            Ok(_) => true,
            Err(Error::NotFound(_)) => false,
            Err(e) => return Err(e),
        };
        if there {
            return Ok(false);
        }
        self.write(key, Body::Bytes(body), attributes, false).await
    }

    /// Writes an object; `false` if one is there and must stay.
    async fn write(
        &self,
        key: &str,
        body: Body,
        attributes: &Attributes,
        replace: bool,
    ) -> Result<bool, Error> {
        let to = self.path(key)?;
        let staged_key = format!("{STAGING}/{}", uuid::Uuid::new_v4());
        let staged = Staged::new(self.path(&staged_key)?);
        self.files
            .put(&staged_key, body, &Attributes::default())
            .await?;

        let lock = usize::try_from(self.hasher.hash_one(key) % LOCKS as u64).unwrap_or(0);
        let _writing = self.locks[lock].lock().await;
        let current = match self.version(key).await {
            Ok(version) => Some(version),
            Err(Error::NotFound(_)) => None,
            Err(e) => return Err(e),
        };
        let (staged, next) = blocking(key, move || {
            let next = staged.sync(current.map(|current| time(current.modified)))?;
            Ok((staged, next))
        })
        .await?;
        let next = Version {
            modified: nanoseconds(next.0),
            size: next.1,
        };
        self.announce(key, current, next, attributes).await?;
        blocking(key, move || staged.publish(&to, replace)).await
    }

    /// Makes the attributes of the next version known, before it is there.
    async fn announce(
        &self,
        key: &str,
        current: Option<Version>,
        next: Version,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        let record = self.record(key).await?;
        let is_implied = *attributes == Attributes::default() || *attributes == implied(key);
        if record.is_none() && is_implied {
            return Ok(());
        }
        let of_current = |version| {
            let known = record
                .as_ref()
                .and_then(|record| record.of(version).or(record.newest()));
            (version, known.cloned().unwrap_or_else(|| implied(key)))
        };
        let current = current.map(of_current);
        let attributes = if is_implied {
            implied(key)
        } else {
            attributes.clone()
        };
        let record = Record::with(record, (next, attributes), current);
        let json = serde_json::to_vec(&record).map_err(Error::other)?;
        let staged_key = format!("{STAGING}/{}", uuid::Uuid::new_v4());
        let staged = Staged::new(self.path(&staged_key)?);
        self.files
            .put(
                &staged_key,
                Body::Bytes(json.into()),
                &Attributes::default(),
            )
            .await?;
        let to = self.path(&attributes_key(key))?;
        let publish = move || {
            staged.sync(None)?;
            staged.publish(&to, true)
        };
        blocking(key, publish).await.map(drop)
    }

    pub(super) async fn read(&self, key: &str, range: ReadRange) -> Result<Object, Error> {
        let mut before = None;
        loop {
            let (mut object, meta) = self.files.read_with_meta(key, range.clone()).await?;
            let record = self.record(key).await?;
            let version = version(&meta);
            let attributes = match &record {
                None => Some(implied(key)),
                Some(record) => match record.of(version) {
                    // Nobody has replaced it meanwhile, so it is older than its record.
                    None if before == Some(version) => {
                        Some(record.newest().cloned().unwrap_or_else(|| implied(key)))
                    }
                    known => known.cloned(),
                },
            };
            if let Some(attributes) = attributes {
                object.attributes = attributes;
                return Ok(object);
            }
            before = Some(version);
        }
    }

    pub(super) async fn list(&self, prefix: &str, delimiter: bool) -> Result<Listing, Error> {
        let is_ours = |name: &str| {
            let first = name.split('/').next();
            [Some(RESERVED), Some(STAGING)].contains(&first)
        };
        let mut listing = self.files.list(prefix, delimiter).await?;
        listing.prefixes.retain(|prefix| !is_ours(prefix));
        listing.objects.retain(|object| !is_ours(&object.key));
        Ok(listing)
    }

    async fn version(&self, key: &str) -> Result<Version, Error> {
        let head = ReadRange::Bounded(0..0);
        let (_, meta) = self.files.read_with_meta(key, head).await?;
        Ok(version(&meta))
    }

    async fn record(&self, key: &str) -> Result<Option<Record>, Error> {
        match self.files.read(&attributes_key(key), ReadRange::All).await {
            Ok(object) => {
                let json = object.bytes(ATTRIBUTES_LIMIT).await?;
                serde_json::from_slice(&json)
                    .map(Some)
                    .map_err(Error::other)
            }
            // Attributes of an object that is gone may stand where the folder would be.
            Err(Error::NotFound(_) | Error::InvalidKey(..)) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn path(&self, key: &str) -> Result<PathBuf, Error> {
        if is_like_a_drive(key) {
            let fault = "a folder cannot keep a name that ends with a letter and a colon or a bar";
            return Err(Error::InvalidKey(key.to_owned(), fault));
        }
        let path = Path::parse(key).map_err(Error::other)?;
        self.folder
            .path_to_filesystem(&path)
            .map_err(|e| cloud::error(key, e))
    }
}

impl Drop for Local {
    /// A folder that is looked at afterwards has what was stored and nothing else.
    fn drop(&mut self) {
        // It is not empty while somebody writes, and is made anew when somebody does.
        let _ = std::fs::remove_dir(self.root.join(STAGING));
    }
}

fn version(meta: &object_store::ObjectMeta) -> Version {
    Version {
        modified: meta.last_modified.timestamp_nanos_opt().unwrap_or(0),
        size: meta.size,
    }
}

fn nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(0))
}

fn time(nanoseconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}

/// Work on the file system, away from the runtime.
async fn blocking<T: Send + 'static>(
    key: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(Error::other)?
        .map_err(|e| cloud::io_error(key, e))
}

fn attributes_key(key: &str) -> String {
    format!("{RESERVED}/{key}")
}

/// `a:` and `a|`: `object_store` makes paths of URLs, where these are drives of Windows and get a
/// slash.
fn is_like_a_drive(key: &str) -> bool {
    let before = key.strip_suffix([':', '|']);
    before.is_some_and(|before| before.ends_with(|last: char| last.is_ascii_alphabetic()))
}

/// What the name alone says.
fn implied(key: &str) -> Attributes {
    Attributes {
        content_type: content_type(key, &BTreeMap::new()),
        ..Attributes::default()
    }
}

#[cfg(test)]
mod tests;
