//! A folder of this machine. Objects are its files. Attributes that the name does not imply are
//! JSON files of the same names below `.attributes/`.
//!
//! An object is written below `.staging/`; then its attributes are stored; then it is renamed to
//! its key. So a reader sees the old object with the old attributes, or the new with the new, even
//! if a writer is killed at any moment.
//!
//! The first write creates the folder itself. Reading changes nothing on the disk: a missing folder
//! has no objects.

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

use super::cloud::{self, CloudBackend};
use super::content_type::content_type;
use super::key::{ATTRIBUTES_FOLDER, STAGING_FOLDER};
use super::object::{BucketObject, ObjectAttributes, ObjectBody, ObjectListing};
use super::{Bucket, ReadRange, StorageError};
use record::{AttributeRecord, FileVersion};
use staging::StagedFile;

/// The largest accepted attribute file.
const ATTRIBUTES_LIMIT: usize = 256 << 10;
/// The number of locks that all keys share.
const LOCKS: usize = 64;

/// A folder. A write goes to a staging file that is renamed to its key.
#[derive(Debug)]
pub(super) struct LocalBackend {
    root: PathBuf,
    /// Set once the folder exists.
    folder: OnceLock<LocalFolder>,
    /// Whether this process has written to it.
    is_written: OnceLock<()>,
    /// Serializes the writers of a key, which decide on the object's next version.
    locks: [Mutex<()>; LOCKS],
    hasher: RandomState,
}

/// The folder in the form of `object_store`.
#[derive(Debug)]
struct LocalFolder {
    files: CloudBackend,
    system: Arc<LocalFileSystem>,
}

impl LocalBackend {
    pub(super) fn open_bucket(bucket: &Bucket) -> Self {
        Self {
            root: PathBuf::from(bucket.path()),
            folder: OnceLock::new(),
            is_written: OnceLock::new(),
            locks: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
        }
    }

    /// The folder for reading; `None` if it does not exist.
    fn existing_folder(&self) -> Result<Option<&LocalFolder>, StorageError> {
        if let Some(folder) = self.folder.get() {
            return Ok(Some(folder));
        }
        if !self.root.is_dir() {
            return Ok(None);
        }
        let system = LocalFileSystem::new_with_prefix(&self.root).map_err(StorageError::other)?;
        let system = Arc::new(system);
        let files = CloudBackend::new(system.clone(), "");
        Ok(Some(
            self.folder.get_or_init(|| LocalFolder { files, system }),
        ))
    }

    /// The folder for writing; it is created if it does not exist.
    fn ensure_folder(&self) -> Result<&LocalFolder, StorageError> {
        let bad = |why: String| StorageError::InvalidBucket(self.root.display().to_string(), why);
        self.is_written.get_or_init(|| {
            staging::remove_leftovers(&self.root.join(STAGING_FOLDER));
        });
        std::fs::create_dir_all(&self.root).map_err(|e| bad(e.to_string()))?;
        let folder = self.existing_folder()?;
        folder.ok_or_else(|| bad("it is no folder".to_owned()))
    }

    pub(super) async fn put_object(
        &self,
        key: &str,
        body: ObjectBody,
        attributes: &ObjectAttributes,
    ) -> Result<(), StorageError> {
        self.write_object(key, body, attributes, true)
            .await
            .map(drop)
    }

    pub(super) async fn put_if_absent(
        &self,
        key: &str,
        body: Bytes,
        attributes: &ObjectAttributes,
    ) -> Result<bool, StorageError> {
        let there = match self.current_version(key).await {
            Ok(_) => true,
            Err(StorageError::NotFound(_)) => false,
            Err(e) => return Err(e),
        };
        if there {
            return Ok(false);
        }
        self.write_object(key, ObjectBody::Bytes(body), attributes, false)
            .await
    }

    /// Writes an object; `false` if one exists and `replace` is false.
    async fn write_object(
        &self,
        key: &str,
        body: ObjectBody,
        attributes: &ObjectAttributes,
        replace: bool,
    ) -> Result<bool, StorageError> {
        let folder = self.ensure_folder()?;
        let to = folder.file_path(key)?;
        let staged_key = format!("{STAGING_FOLDER}/{}", uuid::Uuid::new_v4());
        let staged = StagedFile::new(folder.file_path(&staged_key)?);
        folder
            .files
            .put_object(&staged_key, body, &ObjectAttributes::default())
            .await?;

        let lock = usize::try_from(self.hasher.hash_one(key) % LOCKS as u64).unwrap_or(0);
        let _writing = self.locks[lock].lock().await;
        let current = match self.current_version(key).await {
            Ok(version) => Some(version),
            Err(StorageError::NotFound(_)) => None,
            Err(e) => return Err(e),
        };
        let (staged, next) = run_blocking(key, move || {
            let next =
                staged.sync_file(current.map(|current| from_nanoseconds(current.modified)))?;
            Ok((staged, next))
        })
        .await?;
        let next = FileVersion {
            modified: to_nanoseconds(next.0),
            size: next.1,
        };
        self.write_attributes(key, current, next, attributes)
            .await?;
        run_blocking(key, move || staged.publish_file(&to, replace)).await
    }

    /// Stores the attributes of the next version before the rename of its object.
    async fn write_attributes(
        &self,
        key: &str,
        current: Option<FileVersion>,
        next: FileVersion,
        attributes: &ObjectAttributes,
    ) -> Result<(), StorageError> {
        let record = self.read_attribute_record(key).await?;
        let is_implied =
            *attributes == ObjectAttributes::default() || *attributes == implied_attributes(key);
        if record.is_none() && is_implied {
            return Ok(());
        }
        let of_current = |version| {
            let known = record
                .as_ref()
                .and_then(|record| record.attributes_of(version).or(record.newest_attributes()));
            (
                version,
                known.cloned().unwrap_or_else(|| implied_attributes(key)),
            )
        };
        let current = current.map(of_current);
        let attributes = if is_implied {
            implied_attributes(key)
        } else {
            attributes.clone()
        };
        let record = AttributeRecord::with_next_version(record, (next, attributes), current);
        let json = serde_json::to_vec(&record).map_err(StorageError::other)?;
        let folder = self.ensure_folder()?;
        let staged_key = format!("{STAGING_FOLDER}/{}", uuid::Uuid::new_v4());
        let staged = StagedFile::new(folder.file_path(&staged_key)?);
        folder
            .files
            .put_object(
                &staged_key,
                ObjectBody::Bytes(json.into()),
                &ObjectAttributes::default(),
            )
            .await?;
        let to = folder.file_path(&attributes_key(key))?;
        let publish = move || {
            staged.sync_file(None)?;
            staged.publish_file(&to, true)
        };
        run_blocking(key, publish).await.map(drop)
    }

    pub(super) async fn read_object(
        &self,
        key: &str,
        range: ReadRange,
    ) -> Result<BucketObject, StorageError> {
        let not_found = || StorageError::NotFound(key.to_owned());
        let folder = self.existing_folder()?.ok_or_else(not_found)?;
        let mut before = None;
        loop {
            let (mut object, meta) = folder.files.read_with_meta(key, range.clone()).await?;
            let record = self.read_attribute_record(key).await?;
            let version = version_of_meta(&meta);
            let attributes = match &record {
                None => Some(implied_attributes(key)),
                Some(record) => match record.attributes_of(version) {
                    // The object was not replaced since: its version is older than the record.
                    None if before == Some(version) => Some(
                        record
                            .newest_attributes()
                            .cloned()
                            .unwrap_or_else(|| implied_attributes(key)),
                    ),
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

    /// Removes an object, and its folder if that is empty.
    pub(super) async fn delete_object(&self, key: &str) -> Result<(), StorageError> {
        let Some(folder) = self.existing_folder()? else {
            return Ok(());
        };
        let paths = [
            folder.file_path(key)?,
            folder.file_path(&attributes_key(key))?,
        ];
        let root = self.root.clone();
        run_blocking(key, move || {
            for path in &paths {
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                if let Some(folder) = path.parent().filter(|folder| *folder != root) {
                    // This fails if the folder is not empty.
                    let _ = std::fs::remove_dir(folder);
                }
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn list_objects(
        &self,
        prefix: &str,
        delimiter: bool,
    ) -> Result<ObjectListing, StorageError> {
        let is_ours = |name: &str| {
            let first = name.split('/').next();
            [Some(ATTRIBUTES_FOLDER), Some(STAGING_FOLDER)].contains(&first)
        };
        let Some(folder) = self.existing_folder()? else {
            return Ok(ObjectListing::default());
        };
        let mut listing = folder.files.list_objects(prefix, delimiter).await?;
        listing.prefixes.retain(|prefix| !is_ours(prefix));
        listing.objects.retain(|object| !is_ours(&object.key));
        Ok(listing)
    }

    async fn current_version(&self, key: &str) -> Result<FileVersion, StorageError> {
        let head = ReadRange::Bounded(0..0);
        let not_found = || StorageError::NotFound(key.to_owned());
        let folder = self.existing_folder()?.ok_or_else(not_found)?;
        let (_, meta) = folder.files.read_with_meta(key, head).await?;
        Ok(version_of_meta(&meta))
    }

    async fn read_attribute_record(
        &self,
        key: &str,
    ) -> Result<Option<AttributeRecord>, StorageError> {
        let Some(folder) = self.existing_folder()? else {
            return Ok(None);
        };
        let attributes = attributes_key(key);
        match folder.files.read_object(&attributes, ReadRange::All).await {
            Ok(object) => {
                let json = object.read_bytes(ATTRIBUTES_LIMIT).await?;
                serde_json::from_slice(&json)
                    .map(Some)
                    .map_err(StorageError::other)
            }
            // The attribute file of a deleted object may be where the folder would be.
            Err(StorageError::NotFound(_) | StorageError::InvalidKey(..)) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl LocalFolder {
    fn file_path(&self, key: &str) -> Result<PathBuf, StorageError> {
        if is_like_a_drive(key) {
            let fault = "a folder cannot keep a name that ends with a letter and a colon or a bar";
            return Err(StorageError::InvalidKey(key.to_owned(), fault));
        }
        let path = Path::parse(key).map_err(StorageError::other)?;
        self.system
            .path_to_filesystem(&path)
            .map_err(|e| cloud::storage_error(key, e))
    }
}

impl Drop for LocalBackend {
    /// Removes the staging folder, so that the folder has nothing but stored objects.
    fn drop(&mut self) {
        if self.is_written.get().is_none() {
            return;
        }
        // This fails while another process writes, and the next write creates it again.
        let _ = std::fs::remove_dir(self.root.join(STAGING_FOLDER));
    }
}

fn version_of_meta(meta: &object_store::ObjectMeta) -> FileVersion {
    FileVersion {
        modified: meta.last_modified.timestamp_nanos_opt().unwrap_or(0),
        size: meta.size,
    }
}

fn to_nanoseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(0))
}

fn from_nanoseconds(nanoseconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}

/// Runs file system work on a blocking thread.
async fn run_blocking<T: Send + 'static>(
    key: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, StorageError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(StorageError::other)?
        .map_err(|e| cloud::io_error(key, e))
}

fn attributes_key(key: &str) -> String {
    format!("{ATTRIBUTES_FOLDER}/{key}")
}

/// Whether the key ends like `a:` or `a|`: `object_store` converts paths to URLs, which take these
/// for Windows drives and add a slash.
fn is_like_a_drive(key: &str) -> bool {
    let before = key.strip_suffix([':', '|']);
    before.is_some_and(|before| before.ends_with(|last: char| last.is_ascii_alphabetic()))
}

/// The attributes that the name implies.
fn implied_attributes(key: &str) -> ObjectAttributes {
    ObjectAttributes {
        content_type: content_type(key, &BTreeMap::new()),
        ..ObjectAttributes::default()
    }
}

#[cfg(test)]
mod tests;
