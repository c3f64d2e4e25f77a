//! Google, Amazon and Azure through `object_store`, which has its own retries.

mod error;
mod google;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::path::Path;
use object_store::{
    Attribute, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, WriteMultipart,
};

use super::credentials::S3Credentials;
use super::object::{
    BucketObject, ObjectAttributes, ObjectBody, ObjectInfo, ObjectListing, ObjectVersion,
};
use super::{Bucket, ReadRange, StorageCredentials, StorageError, StorageProvider};
use crate::error_chain::format_error_chain;
pub(super) use error::{io_error, storage_error};

/// The size of a part of a multipart upload, and of what a stream buffers before the first part. S3
/// allows 10,000 parts, so an object may have 80 GB.
const PART_SIZE: usize = 8 << 20;
/// The number of parts that are uploaded at once.
const PARTS_AT_ONCE: usize = 2;
/// How often an object may be replaced while a part of it is requested.
const MAX_REPLACED_READS: usize = 5;

/// A bucket and the folder in it that keys are relative to.
#[derive(Debug, Clone)]
pub(super) struct CloudBackend {
    pub(super) store: Arc<dyn ObjectStore>,
    root: String,
}

impl CloudBackend {
    pub(super) fn open_bucket(
        bucket: &Bucket,
        credentials: &StorageCredentials,
    ) -> Result<Self, StorageError> {
        let bad = |e: object_store::Error| {
            StorageError::InvalidBucket(bucket.url().to_owned(), format_error_chain(&e))
        };
        let store: Arc<dyn ObjectStore> = match bucket.provider() {
            StorageProvider::S3 => Arc::new(s3_builder(bucket, credentials)?.build().map_err(bad)?),
            StorageProvider::Az => {
                let builder = MicrosoftAzureBuilder::from_env().with_container_name(bucket.name());
                Arc::new(builder.build().map_err(bad)?)
            }
            _ => Arc::new(google::open_google_bucket(bucket.name(), credentials).map_err(bad)?),
        };
        Ok(Self::new(store, bucket.path()))
    }

    pub(super) fn new(store: Arc<dyn ObjectStore>, root: &str) -> Self {
        Self {
            store,
            root: root.to_owned(),
        }
    }

    fn object_path(&self, key: &str) -> Result<Path, StorageError> {
        let full = if self.root.is_empty() {
            key.to_owned()
        } else {
            format!("{}/{key}", self.root)
        };
        Path::parse(&full).map_err(StorageError::other)
    }

    fn object_key(&self, path: &Path) -> String {
        let full = path.as_ref();
        let stripped = full.strip_prefix(self.root.as_str()).unwrap_or(full);
        stripped.trim_start_matches('/').to_owned()
    }

    pub(super) async fn put_object(
        &self,
        key: &str,
        body: ObjectBody,
        attributes: &ObjectAttributes,
    ) -> Result<(), StorageError> {
        let path = self.object_path(key)?;
        let attributes = to_store_attributes(attributes);
        let mut stream = match body {
            ObjectBody::Bytes(bytes) => {
                return self
                    .put_small(&path, bytes, PutMode::Overwrite, attributes)
                    .await
                    .map_err(|e| storage_error(key, e));
            }
            ObjectBody::Stream(stream) => stream,
        };
        let mut first = BytesMut::new();
        while first.len() < PART_SIZE {
            match stream.try_next().await.map_err(StorageError::other)? {
                Some(chunk) => first.extend_from_slice(&chunk),
                None => {
                    let whole = self
                        .put_small(&path, first.freeze(), PutMode::Overwrite, attributes)
                        .await;
                    return whole.map_err(|e| storage_error(key, e));
                }
            }
        }
        let options = PutMultipartOptions {
            attributes,
            ..PutMultipartOptions::default()
        };
        let upload = self
            .store
            .put_multipart_opts(&path, options)
            .await
            .map_err(|e| storage_error(key, e))?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_SIZE);
        upload.put(first.freeze());
        if let Err(e) = write_parts(key, &mut upload, stream).await {
            // An incomplete upload must not become an object. Its cause is the error to return.
            // Parts that cannot be removed are left to the bucket's lifecycle rules.
            let _ = upload.abort().await;
            return Err(e);
        }
        upload
            .finish()
            .await
            .map(drop)
            .map_err(|e| storage_error(key, e))
    }

    pub(super) async fn put_if_absent(
        &self,
        key: &str,
        body: Bytes,
        attributes: &ObjectAttributes,
    ) -> Result<bool, StorageError> {
        match self
            .put_small(
                &self.object_path(key)?,
                body,
                PutMode::Create,
                to_store_attributes(attributes),
            )
            .await
        {
            Ok(()) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(e) => Err(storage_error(key, e)),
        }
    }

    /// Replaces that version; `false` means that another writer was faster.
    pub(super) async fn put_if_unchanged(
        &self,
        key: &str,
        body: Bytes,
        attributes: &ObjectAttributes,
        version: &ObjectVersion,
    ) -> Result<bool, StorageError> {
        let mode = |version: &object_store::UpdateVersion| PutMode::Update(version.clone());
        let mode = version.0.as_ref().map_or(PutMode::Overwrite, mode);
        let path = self.object_path(key)?;
        let put = |mode| self.put_small(&path, body.clone(), mode, to_store_attributes(attributes));
        match put(mode).await {
            Ok(()) => Ok(true),
            Err(object_store::Error::Precondition { .. }) => Ok(false),
            // Not every S3-compatible server supports the condition.
            Err(
                object_store::Error::NotImplemented { .. }
                | object_store::Error::NotSupported { .. },
            ) => {
                let put = put(PutMode::Overwrite).await;
                put.map(|()| true).map_err(|e| storage_error(key, e))
            }
            Err(e) => Err(storage_error(key, e)),
        }
    }

    async fn put_small(
        &self,
        path: &Path,
        body: Bytes,
        mode: PutMode,
        attributes: object_store::Attributes,
    ) -> Result<(), object_store::Error> {
        let options = PutOptions {
            mode,
            attributes,
            ..PutOptions::default()
        };
        self.store
            .put_opts(path, body.into(), options)
            .await
            .map(|_| ())
    }

    pub(super) async fn read_object(
        &self,
        key: &str,
        range: ReadRange,
    ) -> Result<BucketObject, StorageError> {
        self.read_with_meta(key, range)
            .await
            .map(|(object, _)| object)
    }

    /// The object, and its metadata in the store.
    pub(super) async fn read_with_meta(
        &self,
        key: &str,
        range: ReadRange,
    ) -> Result<(BucketObject, ObjectMeta), StorageError> {
        let path = self.object_path(key)?;
        let get = async |options| self.store.get_opts(&path, options).await;
        for _ in 0..MAX_REPLACED_READS {
            let mut options = GetOptions::default();
            // These services differ in their answers to a range outside the object or an empty
            // range. So the size is requested first, unless the whole object is wanted.
            if !matches!(range, ReadRange::All) {
                let head = get(GetOptions {
                    head: true,
                    ..GetOptions::default()
                });
                let head = head.await.map_err(|e| storage_error(key, e))?;
                let range = range.clamp_to_size(head.meta.size);
                let meta = head.meta.clone();
                if range.is_empty() {
                    return Ok((object_from_result(key, head, Some(range)), meta));
                }
                options.range = Some(GetRange::Bounded(range));
                options.if_match = meta.e_tag;
            }
            match get(options).await {
                Ok(result) => {
                    let meta = result.meta.clone();
                    return Ok((object_from_result(key, result, None), meta));
                }
                // The object was replaced after its size was requested.
                Err(object_store::Error::Precondition { .. }) => {}
                Err(e) => return Err(storage_error(key, e)),
            }
        }
        Err(StorageError::other(format!(
            "{key} is replaced again and again"
        )))
    }

    pub(super) async fn delete_object(&self, key: &str) -> Result<(), StorageError> {
        let path = self.object_path(key)?;
        self.store
            .delete(&path)
            .await
            .map_err(|e| storage_error(key, e))
    }

    pub(super) async fn list_objects(
        &self,
        prefix: &str,
        delimiter: bool,
    ) -> Result<ObjectListing, StorageError> {
        let folder = match (prefix, self.root.as_str()) {
            ("", "") => None,
            ("", root) => Some(Path::parse(root).map_err(StorageError::other)?),
            (prefix, _) => Some(self.object_path(prefix)?),
        };
        let (found, folders) = if delimiter {
            let result = self
                .store
                .list_with_delimiter(folder.as_ref())
                .await
                .map_err(|e| storage_error(prefix, e))?;
            (result.objects, result.common_prefixes)
        } else {
            let found = self
                .store
                .list(folder.as_ref())
                .try_collect()
                .await
                .map_err(|e| storage_error(prefix, e))?;
            (found, Vec::new())
        };
        let mut listing = ObjectListing {
            objects: found
                .into_iter()
                .map(|meta| ObjectInfo {
                    key: self.object_key(&meta.location),
                    size: meta.size,
                    modified: modified_time(&meta),
                })
                .collect(),
            prefixes: folders.iter().map(|path| self.object_key(path)).collect(),
        };
        listing.objects.sort_by(|a, b| a.key.cmp(&b.key));
        listing.prefixes.sort();
        Ok(listing)
    }
}

async fn write_parts(
    key: &str,
    upload: &mut WriteMultipart,
    mut stream: BoxStream<'static, std::io::Result<Bytes>>,
) -> Result<(), StorageError> {
    while let Some(chunk) = stream.try_next().await.map_err(StorageError::other)? {
        upload
            .wait_for_capacity(PARTS_AT_ONCE)
            .await
            .map_err(|e| storage_error(key, e))?;
        upload.put(chunk);
    }
    Ok(())
}

fn s3_builder(
    bucket: &Bucket,
    credentials: &StorageCredentials,
) -> Result<AmazonS3Builder, StorageError> {
    let Some(file) = &credentials.s3_credentials_file else {
        return Ok(AmazonS3Builder::from_env().with_bucket_name(bucket.name()));
    };
    let file = S3Credentials::read_file(file)?;
    // Servers at their own endpoint expect path-style requests.
    let path_style = file.s3_force_path_style || !file.endpoint.is_empty();
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket.name())
        .with_allow_http(file.insecure)
        .with_virtual_hosted_style_request(!path_style);
    if !file.region.is_empty() {
        builder = builder.with_region(&file.region);
    }
    if let Some(endpoint) = file.endpoint_url() {
        builder = builder.with_endpoint(endpoint);
    }
    if !file.access_key.is_empty() {
        builder = builder
            .with_access_key_id(&file.access_key)
            .with_secret_access_key(&file.secret_key);
    }
    if !file.session_token.is_empty() {
        builder = builder.with_token(&file.session_token);
    }
    Ok(builder)
}

/// `range` overrides the store's range of the body, and the body is then empty.
fn object_from_result(
    key: &str,
    result: object_store::GetResult,
    range: Option<std::ops::Range<u64>>,
) -> BucketObject {
    let key = key.to_owned();
    BucketObject {
        size: result.meta.size,
        modified: modified_time(&result.meta),
        attributes: from_store_attributes(&result.attributes),
        version: ObjectVersion(Some(object_store::UpdateVersion {
            e_tag: result.meta.e_tag.clone(),
            version: result.meta.version.clone(),
        })),
        range: range.clone().unwrap_or_else(|| result.range.clone()),
        body: match range {
            Some(_) => futures::stream::empty().boxed(),
            None => result
                .into_stream()
                .map_err(move |e| storage_error(&key, e))
                .boxed(),
        },
    }
}

fn modified_time(meta: &object_store::ObjectMeta) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(meta.last_modified.timestamp_millis()).ok()
}

fn to_store_attributes(attributes: &ObjectAttributes) -> object_store::Attributes {
    let mut store = object_store::Attributes::new();
    for (name, value) in [
        (Attribute::ContentType, &attributes.content_type),
        (Attribute::ContentEncoding, &attributes.content_encoding),
        (Attribute::CacheControl, &attributes.cache_control),
    ] {
        if let Some(value) = value {
            store.insert(name, value.clone().into());
        }
    }
    for (name, value) in &attributes.metadata {
        store.insert(
            Attribute::Metadata(Cow::Owned(name.clone())),
            value.clone().into(),
        );
    }
    store
}

fn from_store_attributes(store: &object_store::Attributes) -> ObjectAttributes {
    let mut attributes = ObjectAttributes::default();
    for (name, value) in store {
        let value = value.as_ref().to_owned();
        match name {
            Attribute::ContentType => attributes.content_type = Some(value),
            Attribute::ContentEncoding => attributes.content_encoding = Some(value),
            Attribute::CacheControl => attributes.cache_control = Some(value),
            Attribute::Metadata(name) => {
                attributes.metadata.insert(name.to_ascii_lowercase(), value);
            }
            _ => {}
        }
    }
    attributes
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn of_two_who_replace_a_version_one_is_told() {
        let cloud = CloudBackend::new(Arc::new(InMemory::new()), "root");
        let attributes = ObjectAttributes::default();
        cloud
            .put_object("k", "1".into(), &attributes)
            .await
            .unwrap();
        let seen = cloud
            .read_object("k", ReadRange::All)
            .await
            .unwrap()
            .version;
        for (body, expected) in [("2", true), ("3", false)] {
            let put = cloud.put_if_unchanged("k", body.into(), &attributes, &seen);
            assert_eq!(put.await.unwrap(), expected, "{body}");
        }
        let object = cloud.read_object("k", ReadRange::All).await.unwrap();
        assert_eq!(object.read_bytes(9).await.unwrap(), "2");
    }

    #[tokio::test]
    async fn what_is_deleted_is_gone_and_the_rest_is_not() {
        let cloud = CloudBackend::new(Arc::new(InMemory::new()), "root");
        for key in ["a/1", "a/2"] {
            let attributes = ObjectAttributes::default();
            cloud
                .put_object(key, "x".into(), &attributes)
                .await
                .unwrap();
        }
        cloud.delete_object("a/1").await.unwrap();
        let left = cloud.list_objects("", false).await.unwrap().objects;
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].key, "a/2");
    }
}
