//! What goes into a bucket and comes out of it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, Stream, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Error;

/// What is kept beside the bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attributes {
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

impl Attributes {
    /// Only a content type.
    #[must_use]
    pub fn of_type(content_type: &str) -> Self {
        Self {
            content_type: Some(content_type.to_owned()),
            ..Self::default()
        }
    }
}

/// Bytes to be written: in memory, or a stream of any length that is never held as a whole.
pub enum Body {
    Bytes(Bytes),
    Stream(BoxStream<'static, io::Result<Bytes>>),
}

impl Body {
    /// A body of unknown length. To try again, make a new one.
    pub fn stream(stream: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self::Stream(stream.boxed())
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Self::Bytes(text.into())
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::Bytes(Bytes::from_static(text.as_bytes()))
    }
}

/// What tells an object from the one that replaces it, where the bucket can tell.
#[derive(Debug, Clone, Default)]
pub struct Version(pub(super) Option<object_store::UpdateVersion>);

/// An object, or a part of one, on its way out.
pub struct Object {
    /// Of the whole object, in bytes.
    pub size: u64,
    /// The part of it that follows.
    pub range: Range<u64>,
    pub modified: Option<Timestamp>,
    pub attributes: Attributes,
    pub version: Version,
    pub(super) body: BoxStream<'static, Result<Bytes, Error>>,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Object")
            .field("size", &self.size)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

impl Object {
    /// The bytes as they come.
    #[must_use]
    pub fn into_stream(self) -> BoxStream<'static, Result<Bytes, Error>> {
        self.body
    }

    /// The bytes at once; more than `limit` is an error, before they are in memory.
    pub async fn bytes(self, limit: usize) -> Result<Bytes, Error> {
        let mut body = self.body;
        let mut all = BytesMut::new();
        while let Some(chunk) = body.try_next().await? {
            if all.len() + chunk.len() > limit {
                return Err(Error::other(format!(
                    "the object is larger than {limit} bytes"
                )));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
}

/// What [`super::Storage::list`] found, each sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    pub objects: Vec<ObjectInfo>,
    /// Folders, without a slash at the end.
    pub prefixes: Vec<String>,
}

/// An object in a [`Listing`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectInfo {
    pub key: String,
    /// In bytes, as stored.
    pub size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified: Option<Timestamp>,
}
