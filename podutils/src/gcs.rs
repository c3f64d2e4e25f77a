//! Where and how the pod utilities upload: the options that initupload and sidecar share.

mod flags;

use common::prowjob::GcsConfiguration;
use serde::{Deserialize, Serialize};

pub(crate) use flags::UploadFlags;

/// The sidecar's `gcs_options`; initupload has them flattened into its own options.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GcsUploadOptions {
    /// Files and folders to upload; a folder keeps its name (plank gives `artifacts`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
    /// A folder below the job's folder; everything is uploaded into it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sub_dir: String,
    /// Bucket and layout.
    #[serde(flatten)]
    pub config: GcsConfiguration,
    /// A service account key; without it the ambient credentials are used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gcs_credentials_file: Option<String>,
    /// `{region, endpoint, insecure, s3_force_path_style, access_key, secret_key, session_token}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_credentials_file: Option<String>,
    /// A file with the bearer token for Deck's own storage (`http(s)://…/storage`). Not in Prow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_token_file: Option<String>,
    /// Log what would be uploaded, and upload nothing.
    pub dry_run: bool,
}
