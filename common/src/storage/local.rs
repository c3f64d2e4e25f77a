//! A folder of this machine. Objects are its files; attributes that a name does not tell are
//! JSON files of the same names below `.attributes/`.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::cloud::Cloud;
use super::content_type::content_type;
use super::key::RESERVED;
use super::object::{Attributes, Body, Listing, Object};
use super::{Bucket, Error, ReadRange};

/// More is no attribute file of ours.
const ATTRIBUTES_LIMIT: usize = 64 << 10;

/// A folder; writes go to a staging file that is renamed into place.
#[derive(Debug)]
pub(super) struct Local {
    files: Cloud,
}

impl Local {
    pub(super) fn open(bucket: &Bucket) -> Result<Self, Error> {
        let bad = |why: String| Error::InvalidBucket(bucket.url().to_owned(), why);
        std::fs::create_dir_all(bucket.path()).map_err(|e| bad(e.to_string()))?;
        // An object that was taken is still there after the power goes.
        let files = LocalFileSystem::new_with_prefix(bucket.path())
            .map_err(|e| bad(e.to_string()))?
            .with_fsync(true);
        Ok(Self {
            files: Cloud::new(Arc::new(files), ""),
        })
    }

    pub(super) async fn put(
        &self,
        key: &str,
        body: Body,
        attributes: &Attributes,
    ) -> Result<(), Error> {
        self.put_attributes(key, attributes).await?;
        self.files.put(key, body, &Attributes::default()).await
    }

    pub(super) async fn put_if_absent(
        &self,
        key: &str,
        body: Bytes,
        attributes: &Attributes,
    ) -> Result<bool, Error> {
        let written = self
            .files
            .put_if_absent(key, body, &Attributes::default())
            .await?;
        if written {
            self.put_attributes(key, attributes).await?;
        }
        Ok(written)
    }

    pub(super) async fn read(&self, key: &str, range: ReadRange) -> Result<Object, Error> {
        let mut object = self.files.read(key, range).await?;
        object.attributes = self.attributes(key).await?;
        Ok(object)
    }

    pub(super) async fn list(&self, prefix: &str, delimiter: bool) -> Result<Listing, Error> {
        let mut listing = self.files.list(prefix, delimiter).await?;
        listing.prefixes.retain(|prefix| prefix != RESERVED);
        listing
            .objects
            .retain(|object| object.key.split('/').next() != Some(RESERVED));
        Ok(listing)
    }

    async fn put_attributes(&self, key: &str, attributes: &Attributes) -> Result<(), Error> {
        let path = Path::parse(attributes_key(key)).map_err(Error::other)?;
        let result = if *attributes == Attributes::default() || *attributes == implied(key) {
            self.files.store.delete(&path).await
        } else {
            let json = serde_json::to_vec(attributes).map_err(Error::other)?;
            self.files
                .store
                .put(&path, PutPayload::from(json))
                .await
                .map(|_| ())
        };
        match result {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(Error::other(e)),
        }
    }

    async fn attributes(&self, key: &str) -> Result<Attributes, Error> {
        match self.files.read(&attributes_key(key), ReadRange::All).await {
            Ok(object) => {
                serde_json::from_slice(&object.bytes(ATTRIBUTES_LIMIT).await?).map_err(Error::other)
            }
            Err(Error::NotFound(_)) => Ok(implied(key)),
            Err(e) => Err(e),
        }
    }
}

fn attributes_key(key: &str) -> String {
    format!("{RESERVED}/{key}")
}

/// What the name alone says.
fn implied(key: &str) -> Attributes {
    Attributes {
        content_type: content_type(key, &BTreeMap::new()),
        ..Attributes::default()
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tempfile::TempDir;

    use crate::storage::{Credentials, ObjectInfo, Storage};

    use super::*;

    fn folder() -> (TempDir, Storage) {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("file://{}", dir.path().join("new/folder").display());
        let storage = Storage::open(&url, &Credentials::default()).unwrap();
        (dir, storage)
    }

    async fn text(object: Object) -> String {
        String::from_utf8(object.bytes(1 << 20).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn what_is_put_comes_back_with_its_attributes() {
        let (_dir, storage) = folder();
        let attributes = Attributes {
            content_type: Some("text/plain".into()),
            content_encoding: Some("gzip".into()),
            cache_control: None,
            metadata: BTreeMap::from([("link".into(), "gs://b/x".into())]),
        };
        storage
            .put("logs/j/1/x", "body", &attributes)
            .await
            .unwrap();
        let object = storage.get("logs/j/1/x").await.unwrap();
        assert_eq!((object.size, &object.attributes), (4, &attributes));
        assert!(object.modified.is_some());
        assert_eq!(text(object).await, "body");

        storage
            .put("logs/j/1/x", "again", &Attributes::default())
            .await
            .unwrap();
        let object = storage.get("logs/j/1/x").await.unwrap();
        assert_eq!(object.attributes, Attributes::default());
        assert_eq!(text(object).await, "again");
    }

    #[tokio::test]
    async fn a_name_tells_its_type_without_a_file() {
        let (dir, storage) = folder();
        storage
            .put(
                "a.txt",
                "",
                &Attributes::of_type("text/plain; charset=utf-8"),
            )
            .await
            .unwrap();
        assert_eq!(
            storage
                .head("a.txt")
                .await
                .unwrap()
                .attributes
                .content_type
                .unwrap(),
            "text/plain; charset=utf-8"
        );
        assert!(!dir.path().join("new/folder/.attributes").exists());
    }

    #[tokio::test]
    async fn parts_are_read_and_ends_are_no_error() {
        let (_dir, storage) = folder();
        storage
            .put("k", "0123456789", &Attributes::default())
            .await
            .unwrap();
        for (object, range, expected) in [
            (storage.get_range("k", 2..4).await, 2..4, "23"),
            (storage.get_range("k", 8..99).await, 8..10, "89"),
            (storage.get_range("k", 50..99).await, 10..10, ""),
            (storage.tail("k", 3).await, 7..10, "789"),
            (storage.tail("k", 30).await, 0..10, "0123456789"),
            (storage.head("k").await, 0..0, ""),
        ] {
            let object = object.unwrap();
            assert_eq!((object.size, object.range.clone()), (10, range));
            assert_eq!(text(object).await, expected);
        }
        assert!(matches!(
            storage.tail("none", 1).await,
            Err(Error::NotFound(_))
        ));
        assert!(storage.get("k").await.unwrap().bytes(9).await.is_err());
    }

    #[tokio::test]
    async fn a_large_stream_arrives_whole_and_a_broken_one_not_at_all() {
        let (_dir, storage) = folder();
        let chunk = Bytes::from(vec![b'x'; 1 << 20]);
        let chunks: Vec<std::io::Result<Bytes>> = (0..20).map(|_| Ok(chunk.clone())).collect();
        storage
            .put(
                "big",
                Body::stream(futures::stream::iter(chunks)),
                &Attributes::default(),
            )
            .await
            .unwrap();
        assert_eq!(storage.head("big").await.unwrap().size, 20 << 20);

        for good in [1, 20] {
            let chunks: Vec<std::io::Result<Bytes>> = (0..good)
                .map(|_| Ok(chunk.clone()))
                .chain([Err(std::io::Error::other("torn"))])
                .collect();
            let body = Body::stream(futures::stream::iter(chunks));
            assert!(
                storage
                    .put("torn", body, &Attributes::default())
                    .await
                    .is_err()
            );
            assert!(matches!(storage.get("torn").await, Err(Error::NotFound(_))));
        }
        storage
            .put(
                "empty",
                Body::stream(futures::stream::empty().boxed()),
                &Attributes::default(),
            )
            .await
            .unwrap();
        assert_eq!(storage.head("empty").await.unwrap().size, 0);
    }

    #[tokio::test]
    async fn the_first_of_two_stays() {
        let (_dir, storage) = folder();
        assert!(
            storage
                .put_if_absent("k", "one", &Attributes::default())
                .await
                .unwrap()
        );
        assert!(
            !storage
                .put_if_absent("k", "two", &Attributes::default())
                .await
                .unwrap()
        );
        assert_eq!(text(storage.get("k").await.unwrap()).await, "one");
    }

    #[tokio::test]
    async fn lists_folders_without_its_own_files() {
        let (_dir, storage) = folder();
        let attributes = Attributes::of_type("x/y");
        for key in ["logs/j/1/a", "logs/j/2/a", "logs/j/latest", "top"] {
            storage.put(key, "z", &attributes).await.unwrap();
        }
        let keys =
            |objects: &[ObjectInfo]| objects.iter().map(|o| o.key.clone()).collect::<Vec<_>>();
        let listing = storage.list("logs/j/", true).await.unwrap();
        assert_eq!(listing.prefixes, ["logs/j/1", "logs/j/2"]);
        assert_eq!(keys(&listing.objects), ["logs/j/latest"]);
        let listing = storage.list("", true).await.unwrap();
        assert_eq!(
            (listing.prefixes, keys(&listing.objects)),
            (vec!["logs".to_owned()], vec!["top".to_owned()])
        );
        assert_eq!(storage.list("", false).await.unwrap().objects.len(), 4);
        assert_eq!(
            storage.list("nothing/here", true).await.unwrap(),
            Listing::default()
        );
    }

    #[tokio::test]
    async fn nothing_leads_out_of_the_folder() {
        let (dir, storage) = folder();
        std::fs::write(dir.path().join("secret"), "s").unwrap();
        for key in [
            "../../secret",
            "/etc/passwd",
            "a/../../../secret",
            ".attributes/x",
        ] {
            assert!(
                matches!(storage.get(key).await, Err(Error::InvalidKey(..))),
                "{key}"
            );
            assert!(
                storage.put(key, "x", &Attributes::default()).await.is_err(),
                "{key}"
            );
        }
        assert!(matches!(
            storage.get("%2e%2e/%2e%2e/secret").await,
            Err(Error::NotFound(_))
        ));
    }
}
