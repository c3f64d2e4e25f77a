//! Reads the build clusters that Prow's plank knows: it writes them to
//! `plank.build_cluster_status_file`, as JSON, with the state of each. Ours does not write it yet.

use std::{collections::BTreeMap, io::ErrorKind};

use anyhow::Context as _;
use common::storage::{ObjectStorage, StorageCredentials, StorageError};

/// The name of the warning.
pub(super) const RULE: &str = "validate-cluster-field";

/// Far more than any number of clusters needs.
const MAX_BYTES: usize = 1 << 20;

/// Reads the file at `location` (`gs://bucket/path`, `s3://…`, a path). `None` when there is none:
/// only Prow's plank writes it.
pub(super) async fn read_cluster_states(
    location: &str,
    credentials: &StorageCredentials,
) -> anyhow::Result<Option<BTreeMap<String, String>>> {
    let path = location.strip_prefix("file://").unwrap_or(location);
    let bytes = if path.contains("://") {
        let (bucket, key) = path.rsplit_once('/').context("names no file")?;
        match ObjectStorage::open_bucket(bucket, credentials)?
            .get_object(key)
            .await
        {
            Ok(object) => object.read_bytes(MAX_BYTES).await?.to_vec(),
            Err(StorageError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    } else {
        match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    };
    let states = serde_json::from_slice(&bytes).context("is no JSON object of texts")?;
    Ok(Some(states))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_may_be_missing_and_may_not_be_broken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        let location = format!("file://{}", path.display());
        let credentials = StorageCredentials::default();
        let read = || read_cluster_states(&location, &credentials);
        assert_eq!(read().await.unwrap(), None);
        std::fs::write(&path, r#"{"default": "Reachable"}"#).unwrap();
        let clusters = read().await.unwrap().unwrap();
        assert_eq!(clusters["default"], "Reachable");
        std::fs::write(&path, "[]").unwrap();
        assert!(read().await.is_err());
    }
}
