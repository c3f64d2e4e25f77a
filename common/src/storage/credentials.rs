//! Credentials for buckets. Without them the machine's ambient identity is used.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::Deserialize;

use super::StorageError;

/// Credentials for every kind of bucket; each kind uses its own.
#[derive(Debug, Clone, Default)]
pub struct StorageCredentials {
    /// A Google service account key.
    pub gcs_credentials_file: Option<PathBuf>,
    /// Prow's JSON file for S3: see [`S3Credentials`].
    pub s3_credentials_file: Option<PathBuf>,
    /// The bearer token for Deck's storage.
    pub storage_token: Option<SecretString>,
}

/// The content of `s3_credentials_file`, as Prow reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct S3Credentials {
    pub(super) region: String,
    pub(super) endpoint: String,
    /// Use plain HTTP.
    pub(super) insecure: bool,
    pub(super) s3_force_path_style: bool,
    pub(super) access_key: String,
    pub(super) secret_key: String,
    pub(super) session_token: String,
}

impl S3Credentials {
    pub(super) fn read_file(path: &Path) -> Result<Self, StorageError> {
        let bad = |why: String| StorageError::InvalidBucket(path.display().to_string(), why);
        let json = std::fs::read(path).map_err(|e| bad(e.to_string()))?;
        // serde's own message is not used: it may quote the secret.
        serde_json::from_slice(&json).map_err(|e| {
            bad(format!(
                "not valid S3 credentials (line {}, column {})",
                e.line(),
                e.column()
            ))
        })
    }

    /// The endpoint with a scheme, if there is one.
    pub(super) fn endpoint_url(&self) -> Option<String> {
        match self.endpoint.as_str() {
            "" => None,
            e if e.contains("://") => Some(e.to_owned()),
            e if self.insecure => Some(format!("http://{e}")),
            e => Some(format!("https://{e}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_gets_its_scheme() {
        for (endpoint, insecure, expected) in [
            ("", true, None),
            ("minio:9000", true, Some("http://minio:9000")),
            ("minio:9000", false, Some("https://minio:9000")),
            ("http://minio:9000", false, Some("http://minio:9000")),
        ] {
            let credentials = S3Credentials {
                endpoint: endpoint.into(),
                insecure,
                ..S3Credentials::default()
            };
            assert_eq!(credentials.endpoint_url().as_deref(), expected);
        }
    }

    #[test]
    fn a_broken_file_is_told_without_its_content() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"access_key": "topsecret""#).unwrap();
        let message = S3Credentials::read_file(file.path())
            .unwrap_err()
            .to_string();
        assert!(!message.contains("topsecret"), "{message}");
    }
}
