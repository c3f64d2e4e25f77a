//! `INITUPLOAD_OPTIONS`.

use serde::{Deserialize, Serialize};

use crate::gcs;
use crate::sidecar::SidecarCensoringOptions;

/// Where to upload, and which clone to report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InituploadOptions {
    /// Flattened into the object.
    #[serde(flatten)]
    pub gcs: gcs::GcsUploadOptions,
    /// The records of clonerefs; empty if nothing was cloned.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub log: String,
    /// What to mask in the output of clonerefs: its own secrets. `None` if no censoring was asked
    /// for. Not in Prow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub censoring_options: Option<SidecarCensoringOptions>,
}

impl InituploadOptions {
    /// The environment variable that holds the options as JSON.
    pub const ENV: &str = "INITUPLOAD_OPTIONS";
}

#[cfg(test)]
mod tests {
    use common::prowjob::PathStrategy;

    use super::*;

    #[test]
    fn json_as_plank_writes_it_survives_a_round_trip() {
        let json = r#"{"bucket":"my-bucket","path_strategy":"legacy","default_org":"kubernetes","default_repo":"kubernetes","mediaTypes":{"log":"text/plain"},"gcs_credentials_file":"/secrets/gcs/service-account.json","dry_run":false,"log":"/logs/clone.json"}"#;
        let options: InituploadOptions = serde_json::from_str(json).unwrap();
        assert_eq!(options.gcs.config.path_strategy, Some(PathStrategy::Legacy));
        assert_eq!(serde_json::to_string(&options).unwrap(), json);
    }

    #[test]
    fn the_token_for_decks_storage_has_a_name_of_its_own() {
        let json = r#"{"bucket":"http://deck/storage","storage_token_file":"/secrets/storage/token","dry_run":false}"#;
        let options: InituploadOptions = serde_json::from_str(json).unwrap();
        assert_eq!(
            options.gcs.storage_token_file.as_deref(),
            Some("/secrets/storage/token")
        );
        assert_eq!(serde_json::to_string(&options).unwrap(), json);
    }
}
