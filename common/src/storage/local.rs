//! A folder of this machine. Objects are its files; attributes that a name does not tell are
//! JSON files of the same names below `.attributes/`.
//!
//! An object is written below `.staging/`, then its attributes become known, then it is renamed
//! into its place: a reader sees the old object with the old attributes or the new with the new,
//! wherever a writer is killed.
//!
//! The folder itself is made by the first write. Reading changes nothing on the disk: where there
//! is no folder there are no objects.

mod record;
mod staging;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
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
    root: PathBuf,
    /// Once the folder is there.
    folder: OnceLock<Folder>,
    /// Whether it was written to.
    is_written: OnceLock<()>,
    /// One writer at a time decides what an object's next version is.
    locks: [Mutex<()>; LOCKS],
    hasher: RandomState,
}

/// The folder as `object_store` has it.
#[derive(Debug)]
struct Folder {
    files: Cloud,
    system: Arc<LocalFileSystem>,
}

impl Local {
    pub(super) fn open(bucket: &Bucket) -> Self {
        Self {
            root: PathBuf::from(bucket.path()),
            folder: OnceLock::new(),
            is_written: OnceLock::new(),
            locks: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// For reading; `None` where there is no folder.
    fn folder(&self) -> Result<Option<&Folder>, Error> {
        if let Some(folder) = self.folder.get() {
            return Ok(Some(folder));
        }
        if !self.root.is_dir() {
            return Ok(None);
        }
        let system = LocalFileSystem::new_with_prefix(&self.root).map_err(Error::other)?;
        let system = Arc::new(system);
        let files = Cloud::new(system.clone(), "");
        Ok(Some(self.folder.get_or_init(|| Folder { files, system })))
    }

    /// For writing: the folder is made if it does not exist.
    fn made_folder(&self) -> Result<&Folder, Error> {
        let bad = |why: String| Error::InvalidBucket(self.root.display().to_string(), why);
        self.is_written.get_or_init(|| {
            staging::remove_leftovers(&self.root.join(STAGING));
        });
        std::fs::create_dir_all(&self.root).map_err(|e| bad(e.to_string()))?;
        let folder = self.folder()?;
        folder.ok_or_else(|| bad("it is no folder".to_owned()))
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
        let folder = self.made_folder()?;
        let to = folder.path(key)?;
        let staged_key = format!("{STAGING}/{}", uuid::Uuid::new_v4());
        let staged = Staged::new(folder.path(&staged_key)?);
        folder
            .files
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
        let folder = self.made_folder()?;
        let staged_key = format!("{STAGING}/{}", uuid::Uuid::new_v4());
        let staged = Staged::new(folder.path(&staged_key)?);
        folder
            .files
            .put(
                &staged_key,
                Body::Bytes(json.into()),
                &Attributes::default(),
            )
            .await?;
        let to = folder.path(&attributes_key(key))?;
        let publish = move || {
            staged.sync(None)?;
            staged.publish(&to, true)
        };
        blocking(key, publish).await.map(drop)
    }

    pub(super) async fn read(&self, key: &str, range: ReadRange) -> Result<Object, Error> {
        let not_found = || Error::NotFound(key.to_owned());
        let folder = self.folder()?.ok_or_else(not_found)?;
        let mut before = None;
        loop {
            let (mut object, meta) = folder.files.read_with_meta(key, range.clone()).await?;
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

    /// A folder that has nothing left in it goes, too.
    pub(super) async fn delete(&self, key: &str) -> Result<(), Error> {
        let Some(folder) = self.folder()? else {
            return Ok(());
        };
        let paths = [folder.path(key)?, folder.path(&attributes_key(key))?];
        let root = self.root.clone();
        blocking(key, move || {
            for path in &paths {
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                if let Some(folder) = path.parent().filter(|folder| *folder != root) {
                    // Not if something is in it.
                    let _ = std::fs::remove_dir(folder);
                }
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn list(&self, prefix: &str, delimiter: bool) -> Result<Listing, Error> {
        let is_ours = |name: &str| {
            let first = name.split('/').next();
            [Some(RESERVED), Some(STAGING)].contains(&first)
        };
        let Some(folder) = self.folder()? else {
            return Ok(Listing::default());
        };
        let mut listing = folder.files.list(prefix, delimiter).await?;
        listing.prefixes.retain(|prefix| !is_ours(prefix));
        listing.objects.retain(|object| !is_ours(&object.key));
        Ok(listing)
    }

    async fn version(&self, key: &str) -> Result<Version, Error> {
        let head = ReadRange::Bounded(0..0);
        let not_found = || Error::NotFound(key.to_owned());
        let folder = self.folder()?.ok_or_else(not_found)?;
        let (_, meta) = folder.files.read_with_meta(key, head).await?;
        Ok(version(&meta))
    }

    async fn record(&self, key: &str) -> Result<Option<Record>, Error> {
        let Some(folder) = self.folder()? else {
            return Ok(None);
        };
        let attributes = attributes_key(key);
        match folder.files.read(&attributes, ReadRange::All).await {
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
}

impl Folder {
    fn path(&self, key: &str) -> Result<PathBuf, Error> {
        if is_like_a_drive(key) {
            let fault = "a folder cannot keep a name that ends with a letter and a colon or a bar";
            return Err(Error::InvalidKey(key.to_owned(), fault));
        }
        let path = Path::parse(key).map_err(Error::other)?;
        self.system
            .path_to_filesystem(&path)
            .map_err(|e| cloud::error(key, e))
    }
}

impl Drop for Local {
    /// A folder that is looked at afterwards has what was stored and nothing else.
    fn drop(&mut self) {
        if self.is_written.get().is_none() {
            return;
        }
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
