//! Logs and artifacts in a bucket: one API for clouds, a folder, and Deck's own storage.
//!
//! An [`ObjectStorage`] is opened from a bucket's URL and reads and writes bytes by key. [`paths`]
//! says which key holds what, [`token`] who may write it through Deck. It is neither a cache nor a
//! file system: no rename, no append, no directories.

mod bucket;
mod cloud;
mod content_type;
mod credentials;
mod emulator;
mod gzip;
mod http;
mod key;
pub mod live;
mod local;
mod object;
mod page;
pub mod paths;
pub mod token;

use std::ops::Range;
use std::sync::Arc;

use secrecy::SecretString;

use crate::error_chain::format_error_chain;

pub use bucket::{Bucket, StorageProvider};
pub use content_type::content_type;
pub use credentials::StorageCredentials;
pub use key::validate_key;
pub use object::{
    BucketObject, ObjectAttributes, ObjectBody, ObjectInfo, ObjectListing, ObjectVersion,
};
pub use page::{ListingPage, PAGE_NAMES};

/// The errors that a caller can react to.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no such object.
    #[error("{0} not found")]
    NotFound(String),
    /// The credentials or the token do not allow this.
    #[error("not allowed: {0}")]
    Forbidden(String),
    /// The key is invalid in every bucket; trying again is of no use.
    #[error("{0:?} is no object name: {1}")]
    InvalidKey(String, &'static str),
    /// The bucket's URL or credentials are invalid.
    #[error("cannot open bucket {0:?}: {1}")]
    InvalidBucket(String, String),
    /// This kind of bucket does not support the call.
    #[error("{0} is not supported by {1}")]
    Unsupported(&'static str, StorageProvider),
    /// The service refuses this request for good, for example because it would exceed a limit;
    /// trying again is of no use.
    #[error("{0} was refused: {1}")]
    Refused(String, String),
    /// The storage's disk is full; trying again helps once there is room.
    #[error("{0} could not be stored: the storage's disk is full")]
    Full(String),
    /// Any other error of the network, the disk or the service, with all its causes.
    #[error("storage: {0}")]
    Other(String),
}

impl StorageError {
    fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let error: Box<dyn std::error::Error + Send + Sync> = error.into();
        Self::Other(format_error_chain(error.as_ref()))
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Other(_) | Self::Full(_))
    }
}

/// An open bucket, or a folder of one. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ObjectStorage {
    bucket: Bucket,
    backend: StorageBackend,
}

#[derive(Debug, Clone)]
enum StorageBackend {
    Cloud(cloud::CloudBackend),
    Emulator(Arc<emulator::EmulatorBackend>),
    Local(Arc<local::LocalBackend>),
    Http(Arc<http::HttpBackend>),
}

impl ObjectStorage {
    /// Opens `gs://b`, `s3://b`, `az://c`, `file:///dir`, `b` (which means `gs://b`), each with an
    /// optional path, or Deck's storage at `http(s)://host[:port]/storage`.
    ///
    /// `gs://` is the server that `STORAGE_EMULATOR_HOST` names, if it is set. Without credentials,
    /// only public objects can be read.
    ///
    /// It sends no request and creates no folder: the first write does.
    pub fn open_bucket(url: &str, credentials: &StorageCredentials) -> Result<Self, StorageError> {
        let bucket = Bucket::parse_url(url)?;
        let backend = match bucket.provider() {
            StorageProvider::Gs => match emulator::EmulatorBackend::from_env(&bucket)? {
                Some(emulator) => StorageBackend::Emulator(Arc::new(emulator)),
                None => {
                    StorageBackend::Cloud(cloud::CloudBackend::open_bucket(&bucket, credentials)?)
                }
            },
            StorageProvider::S3 | StorageProvider::Az => {
                StorageBackend::Cloud(cloud::CloudBackend::open_bucket(&bucket, credentials)?)
            }
            StorageProvider::File => {
                StorageBackend::Local(Arc::new(local::LocalBackend::open_bucket(&bucket)))
            }
            StorageProvider::Storage => StorageBackend::Http(Arc::new(
                http::HttpBackend::open_bucket(&bucket, credentials)?,
            )),
        };
        Ok(Self { bucket, backend })
    }

    /// The same bucket with another token for Deck's storage; other kinds ignore it.
    #[must_use]
    pub fn with_token(&self, token: SecretString) -> Self {
        let backend = match &self.backend {
            StorageBackend::Http(http) => StorageBackend::Http(Arc::new(http.with_token(token))),
            other => other.clone(),
        };
        Self {
            bucket: self.bucket.clone(),
            backend,
        }
    }

    /// The bucket that this was opened from.
    #[must_use]
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// Writes an object and replaces an existing one. Readers see the old or the new object.
    pub async fn put_object(
        &self,
        key: &str,
        body: impl Into<ObjectBody>,
        attributes: &ObjectAttributes,
    ) -> Result<(), StorageError> {
        key::validate_key(key)?;
        let body = body.into();
        match &self.backend {
            StorageBackend::Cloud(b) => b.put_object(key, body, attributes).await,
            StorageBackend::Emulator(b) => b.put_object(key, body, attributes).await,
            StorageBackend::Local(b) => b.put_object(key, body, attributes).await,
            StorageBackend::Http(b) => b.put_object(key, body, attributes).await,
        }
    }

    /// Writes a small object unless it exists; `false` means that it does.
    pub async fn put_if_absent(
        &self,
        key: &str,
        body: impl Into<bytes::Bytes>,
        attributes: &ObjectAttributes,
    ) -> Result<bool, StorageError> {
        key::validate_key(key)?;
        let body = body.into();
        match &self.backend {
            StorageBackend::Cloud(b) => b.put_if_absent(key, body, attributes).await,
            StorageBackend::Emulator(b) => b.put_if_absent(key, body, attributes).await,
            StorageBackend::Local(b) => b.put_if_absent(key, body, attributes).await,
            StorageBackend::Http(b) => b.put_if_absent(key, body, attributes).await,
        }
    }

    /// Replaces that version by a small object; `false` means that another writer was faster. A
    /// bucket that cannot compare versions is always written.
    pub async fn put_if_unchanged(
        &self,
        key: &str,
        body: impl Into<bytes::Bytes>,
        attributes: &ObjectAttributes,
        version: &ObjectVersion,
    ) -> Result<bool, StorageError> {
        key::validate_key(key)?;
        let body = body.into();
        match &self.backend {
            StorageBackend::Cloud(b) => b.put_if_unchanged(key, body, attributes, version).await,
            StorageBackend::Emulator(_) | StorageBackend::Local(_) | StorageBackend::Http(_) => {
                self.put_object(key, body, attributes).await.map(|()| true)
            }
        }
    }

    /// The whole object. Its bytes are as stored: see [`ObjectAttributes::content_encoding`].
    pub async fn get_object(&self, key: &str) -> Result<BucketObject, StorageError> {
        self.read_object(key, ReadRange::All).await
    }

    /// A range of bytes; fewer or none if the object ends before.
    pub async fn get_range(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<BucketObject, StorageError> {
        self.read_object(key, ReadRange::Bounded(range)).await
    }

    /// The last `length` bytes, or all if there are fewer; [`BucketObject::range`] says which.
    pub async fn get_tail(&self, key: &str, length: u64) -> Result<BucketObject, StorageError> {
        self.read_object(key, ReadRange::Tail(length)).await
    }

    /// The size and the attributes, without the bytes.
    pub async fn head_object(&self, key: &str) -> Result<BucketObject, StorageError> {
        self.read_object(key, ReadRange::Bounded(0..0)).await
    }

    async fn read_object(&self, key: &str, range: ReadRange) -> Result<BucketObject, StorageError> {
        key::validate_key(key)?;
        match &self.backend {
            StorageBackend::Cloud(b) => b.read_object(key, range).await,
            StorageBackend::Emulator(b) => b.read_object(key, range).await,
            StorageBackend::Local(b) => b.read_object(key, range).await,
            StorageBackend::Http(b) => b.read_object(key, range).await,
        }
    }

    /// Removes an object. A missing object is no error.
    ///
    /// In Deck's storage, a token can remove only the pieces of a live log: see [`live`].
    pub async fn delete_object(&self, key: &str) -> Result<(), StorageError> {
        key::validate_key(key)?;
        let deleted = match &self.backend {
            StorageBackend::Cloud(b) => b.delete_object(key).await,
            StorageBackend::Emulator(b) => b.delete_object(key).await,
            StorageBackend::Local(b) => b.delete_object(key).await,
            StorageBackend::Http(b) => b.delete_object(key).await,
        };
        match deleted {
            Err(StorageError::NotFound(_)) => Ok(()),
            deleted => deleted,
        }
    }

    /// Lists the folder `prefix` (the bucket's root if empty): everything below it, or with
    /// `delimiter` its own objects and, as [`ObjectListing::prefixes`], its folders.
    ///
    /// Deck's storage lists only with a token, and only what the token allows.
    pub async fn list_objects(
        &self,
        prefix: &str,
        delimiter: bool,
    ) -> Result<ObjectListing, StorageError> {
        let prefix = prefix.trim_end_matches('/');
        if !prefix.is_empty() {
            key::validate_key(prefix)?;
        }
        match &self.backend {
            StorageBackend::Cloud(b) => b.list_objects(prefix, delimiter).await,
            StorageBackend::Emulator(b) => b.list_objects(prefix, delimiter).await,
            StorageBackend::Local(b) => b.list_objects(prefix, delimiter).await,
            StorageBackend::Http(b) => b.list_objects(prefix, delimiter).await,
        }
    }
}

/// The requested part of an object.
#[derive(Debug, Clone)]
enum ReadRange {
    All,
    Bounded(Range<u64>),
    Tail(u64),
}

impl ReadRange {
    /// The range of bytes in an object of that size.
    fn clamp_to_size(&self, size: u64) -> Range<u64> {
        match self {
            Self::All => 0..size,
            Self::Bounded(range) => {
                range.start.min(size)..range.end.clamp(range.start.min(size), size)
            }
            Self::Tail(length) => size.saturating_sub(*length)..size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_object() {
        for (range, size, expected) in [
            (ReadRange::All, 10, 0..10),
            (ReadRange::Bounded(2..5), 10, 2..5),
            (ReadRange::Bounded(2..50), 10, 2..10),
            (ReadRange::Bounded(20..50), 10, 10..10),
            (ReadRange::Bounded(0..0), 10, 0..0),
            (ReadRange::Tail(3), 10, 7..10),
            (ReadRange::Tail(30), 10, 0..10),
            (ReadRange::Tail(3), 0, 0..0),
        ] {
            assert_eq!(range.clamp_to_size(size), expected, "{range:?} of {size}");
        }
    }
}
