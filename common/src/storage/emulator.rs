//! An emulator of Google's storage at `STORAGE_EMULATOR_HOST`, such as `fake-gcs-server`: the JSON
//! API, without credentials. Google's own clients read the same variable.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, RANGE};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::{Deserialize, Serialize};
use url::Url;

use super::http::{ProgressBody, check_response};
use super::object::{
    BucketObject, ObjectAttributes, ObjectBody, ObjectInfo, ObjectListing, ObjectVersion,
};
use super::{Bucket, ReadRange, StorageError};

const EMULATOR_HOST_VARIABLE: &str = "STORAGE_EMULATOR_HOST";
/// How long an upload may make no progress.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// The boundary of an upload's parts. The body must not contain it, so it is new each time.
const BOUNDARY: &str = "prow-";

/// A bucket of the emulator, and the folder in it that keys are relative to.
#[derive(Debug)]
pub(super) struct EmulatorBackend {
    host: Url,
    bucket: String,
    root: String,
    client: reqwest::Client,
}

/// An object in the API's answers, and a new object in a request.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GcsObjectResource {
    name: String,
    /// A number as a JSON string.
    #[serde(skip_serializing)]
    size: String,
    #[serde(skip_serializing)]
    updated: String,
    #[serde(flatten)]
    attributes: GcsObjectAttributes,
}

/// [`ObjectAttributes`] with the API's field names.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GcsObjectAttributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<std::collections::BTreeMap<String, String>>,
}

/// One page of a listing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GcsObjectsPage {
    items: Option<Vec<GcsObjectResource>>,
    prefixes: Option<Vec<String>>,
    next_page_token: String,
}

impl EmulatorBackend {
    /// The emulator that the environment variable names, if it is set.
    pub(super) fn from_env(bucket: &Bucket) -> Result<Option<Self>, StorageError> {
        match std::env::var(EMULATOR_HOST_VARIABLE) {
            Ok(host) if !host.is_empty() => Self::open_at_host(&host, bucket).map(Some),
            _ => Ok(None),
        }
    }

    fn open_at_host(host: &str, bucket: &Bucket) -> Result<Self, StorageError> {
        let bad = |why: String| StorageError::InvalidBucket(bucket.url().to_owned(), why);
        let url = match host.contains("://") {
            true => host.to_owned(),
            false => format!("http://{host}"),
        };
        let url = Url::parse(&url).ok().filter(Url::has_host);
        let url = url.ok_or_else(|| {
            bad(format!(
                "{EMULATOR_HOST_VARIABLE} is {host:?}, which is no address"
            ))
        })?;
        crate::service::install_crypto();
        Ok(Self {
            host: url,
            bucket: bucket.name().to_owned(),
            root: bucket.path().to_owned(),
            client: reqwest::Client::builder()
                .connect_timeout(Duration::from_secs(10))
                .build()
                .map_err(StorageError::other)?,
        })
    }

    /// Segments are escaped one by one: an object's name is one segment.
    fn object_url(&self, api: &[&str], object: Option<&str>) -> Url {
        let mut url = self.host.clone();
        url.set_path("");
        url.path_segments_mut()
            .expect("a URL with a host has segments")
            .extend(api)
            .extend(["storage", "v1", "b", &self.bucket, "o"])
            .extend(object);
        url
    }

    fn object_name(&self, key: &str) -> String {
        match self.root.as_str() {
            "" => key.to_owned(),
            root => format!("{root}/{key}"),
        }
    }

    fn object_key(&self, name: &str) -> String {
        let key = name.strip_prefix(&self.root).unwrap_or(name);
        key.trim_matches('/').to_owned()
    }

    async fn send_request(
        &self,
        key: &str,
        request: RequestBuilder,
    ) -> Result<Response, StorageError> {
        let response = request.send().await.map_err(StorageError::other)?;
        check_response(key, &self.host, response).await
    }

    pub(super) async fn put_object(
        &self,
        key: &str,
        body: ObjectBody,
        attributes: &ObjectAttributes,
    ) -> Result<(), StorageError> {
        self.upload_object(key, body, attributes, false)
            .await
            .map(drop)
    }

    pub(super) async fn put_if_absent(
        &self,
        key: &str,
        body: Bytes,
        attributes: &ObjectAttributes,
    ) -> Result<bool, StorageError> {
        // Not every emulator supports the condition.
        match self.get_resource(key).await {
            Ok(_) => return Ok(false),
            Err(StorageError::NotFound(_)) => {}
            Err(e) => return Err(e),
        }
        let body = ObjectBody::Bytes(body);
        let response = self.upload_object(key, body, attributes, true).await?;
        Ok(response.status() != StatusCode::PRECONDITION_FAILED)
    }

    async fn upload_object(
        &self,
        key: &str,
        body: ObjectBody,
        attributes: &ObjectAttributes,
        only_if_absent: bool,
    ) -> Result<Response, StorageError> {
        let mut url = self.object_url(&["upload"], None);
        let name = self.object_name(key);
        url.query_pairs_mut()
            .append_pair("uploadType", "multipart")
            .append_pair("name", &name);
        if only_if_absent {
            url.query_pairs_mut().append_pair("ifGenerationMatch", "0");
        }
        let boundary = format!("{BOUNDARY}{}", uuid::Uuid::new_v4());
        let content_type = attributes.content_type.as_deref();
        let content_type = content_type.unwrap_or("application/octet-stream");
        let resource = GcsObjectResource {
            name,
            attributes: attributes.clone().into(),
            ..GcsObjectResource::default()
        };
        let resource = serde_json::to_string(&resource).map_err(StorageError::other)?;
        let head = format!(
            "--{boundary}\r\nContent-Type: application/json\r\n\r\n{resource}\r\n\
             --{boundary}\r\nContent-Type: {content_type}\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let part = |text: String| stream::once(async { Ok(Bytes::from(text)) });
        let content = match body {
            ObjectBody::Bytes(bytes) => stream::once(async { Ok(bytes) }).boxed(),
            ObjectBody::Stream(stream) => stream,
        };
        let body = ObjectBody::from_stream(part(head).chain(content).chain(part(tail)));
        let (body, progress) = ProgressBody::new(body);
        let request = self
            .client
            .post(url)
            .header(
                CONTENT_TYPE,
                format!("multipart/related; boundary={boundary}"),
            )
            .body(reqwest::Body::wrap(body));
        let sent = progress
            .await_unless_stalled(STALL_TIMEOUT, self.send_request(key, request))
            .await;
        sent.unwrap_or_else(|| Err(StorageError::other(format!("{} takes no byte", self.host))))
    }

    async fn get_resource(&self, key: &str) -> Result<GcsObjectResource, StorageError> {
        let url = self.object_url(&[], Some(&self.object_name(key)));
        let response = self.send_request(key, self.client.get(url)).await?;
        response.json().await.map_err(StorageError::other)
    }

    pub(super) async fn read_object(
        &self,
        key: &str,
        range: ReadRange,
    ) -> Result<BucketObject, StorageError> {
        let resource = self.get_resource(key).await?;
        let size = resource.size.parse().unwrap_or_default();
        let range = range.clamp_to_size(size);
        let body = if range.is_empty() {
            stream::empty().boxed()
        } else {
            let mut url = self.object_url(&[], Some(&self.object_name(key)));
            url.query_pairs_mut().append_pair("alt", "media");
            let request = self
                .client
                .get(url)
                // Requests the bytes as they are stored.
                .header(ACCEPT_ENCODING, "gzip")
                .header(RANGE, format!("bytes={}-{}", range.start, range.end - 1));
            let response = self.send_request(key, request).await?;
            response.bytes_stream().map_err(StorageError::other).boxed()
        };
        Ok(BucketObject {
            size,
            modified: resource.modified_time(),
            attributes: resource.attributes.into(),
            version: ObjectVersion::default(),
            range,
            body,
        })
    }

    pub(super) async fn delete_object(&self, key: &str) -> Result<(), StorageError> {
        let url = self.object_url(&[], Some(&self.object_name(key)));
        self.send_request(key, self.client.delete(url))
            .await
            .map(drop)
    }

    pub(super) async fn list_objects(
        &self,
        prefix: &str,
        delimiter: bool,
    ) -> Result<ObjectListing, StorageError> {
        let folder = match prefix {
            "" => self.root.clone(),
            prefix => self.object_name(prefix),
        };
        let mut url = self.object_url(&[], None);
        if !folder.is_empty() {
            url.query_pairs_mut()
                .append_pair("prefix", &format!("{folder}/"));
        }
        if delimiter {
            url.query_pairs_mut().append_pair("delimiter", "/");
        }
        let mut listing = ObjectListing::default();
        let mut token = String::new();
        loop {
            let mut url = url.clone();
            if !token.is_empty() {
                url.query_pairs_mut().append_pair("pageToken", &token);
            }
            let response = self.send_request(prefix, self.client.get(url)).await?;
            let page: GcsObjectsPage = response.json().await.map_err(StorageError::other)?;
            let items = page.items.unwrap_or_default().into_iter();
            listing.objects.extend(items.map(|item| ObjectInfo {
                key: self.object_key(&item.name),
                size: item.size.parse().unwrap_or_default(),
                modified: item.modified_time(),
            }));
            let prefixes = page.prefixes.unwrap_or_default().into_iter();
            listing
                .prefixes
                .extend(prefixes.map(|prefix| self.object_key(&prefix)));
            if page.next_page_token.is_empty() || page.next_page_token == token {
                break;
            }
            token = page.next_page_token;
        }
        listing.objects.sort_by(|a, b| a.key.cmp(&b.key));
        listing.prefixes.sort();
        Ok(listing)
    }
}

impl GcsObjectResource {
    fn modified_time(&self) -> Option<Timestamp> {
        self.updated.parse().ok()
    }
}

impl From<ObjectAttributes> for GcsObjectAttributes {
    fn from(attributes: ObjectAttributes) -> Self {
        let metadata = attributes.metadata;
        Self {
            content_type: attributes.content_type,
            content_encoding: attributes.content_encoding,
            cache_control: attributes.cache_control,
            metadata: (!metadata.is_empty()).then_some(metadata),
        }
    }
}

impl From<GcsObjectAttributes> for ObjectAttributes {
    fn from(attributes: GcsObjectAttributes) -> Self {
        let metadata = attributes.metadata.unwrap_or_default().into_iter();
        let lower = |(name, value): (String, String)| (name.to_ascii_lowercase(), value);
        Self {
            content_type: attributes.content_type,
            content_encoding: attributes.content_encoding,
            cache_control: attributes.cache_control,
            metadata: metadata.map(lower).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
