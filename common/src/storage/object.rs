//! The objects that are written to and read from a bucket.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, Stream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StorageError;

/// What is stored with the bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ObjectAttributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `gzip` if the bytes are compressed and the name does not say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// Keys in lower case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl ObjectAttributes {
    /// Attributes with only a content type.
    #[must_use]
    pub fn of_type(content_type: &str) -> Self {
        Self {
            content_type: Some(content_type.to_owned()),
            ..Self::default()
        }
    }
}

/// Bytes to write: in memory, or a stream of any length that is never buffered as a whole.
pub enum ObjectBody {
    Bytes(Bytes),
    Stream(BoxStream<'static, io::Result<Bytes>>),
}

impl ObjectBody {
    /// A body of unknown length. It can be sent only once.
    pub fn from_stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self::Stream(stream.boxed())
    }
}

impl fmt::Debug for ObjectBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

impl From<Bytes> for ObjectBody {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for ObjectBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<String> for ObjectBody {
    fn from(text: String) -> Self {
        Self::Bytes(text.into())
    }
}

impl From<&'static str> for ObjectBody {
    fn from(text: &'static str) -> Self {
        Self::Bytes(Bytes::from_static(text.as_bytes()))
    }
}

/// The version of an object, if the bucket has versions.
#[derive(Debug, Clone, Default)]
pub struct ObjectVersion(pub(super) Option<object_store::UpdateVersion>);

/// An object, or a part of one, that is being read.
pub struct BucketObject {
    /// The size of the whole object, in bytes.
    pub size: u64,
    /// The part of it that the body contains.
    pub range: Range<u64>,
    pub modified: Option<Timestamp>,
    pub attributes: ObjectAttributes,
    pub version: ObjectVersion,
    pub(super) body: BoxStream<'static, Result<Bytes, StorageError>>,
}

impl fmt::Debug for BucketObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("size", &self.size)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

impl BucketObject {
    /// The bytes as they arrive.
    #[must_use]
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes, StorageError>> {
        self.body
    }

    /// All bytes; more than `limit` is an error, before they are in memory.
    pub async fn read_bytes(self, limit: usize) -> Result<Bytes, StorageError> {
        let mut body = self.body;
        let mut all = BytesMut::new();
        while let Some(chunk) = body.try_next().await? {
            if all.len() + chunk.len() > limit {
                return Err(StorageError::other(format!(
                    "the object is larger than {limit} bytes"
                )));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

/// The result of [`super::ObjectStorage::list_objects`], sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectListing {
    pub objects: Vec<ObjectInfo>,
    /// Folders, without a slash at the end.
    pub prefixes: Vec<String>,
}

/// An object in a [`ObjectListing`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectInfo {
    pub key: String,
    /// The stored size in bytes.
    pub size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
}
