//! `SIDECAR_OPTIONS`.

use entrypoint::WrapperOptions;
use serde::{Deserialize, Deserializer, Serialize};

use crate::gcs;

/// Which containers to wait for, what to upload, what to censor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SidecarOptions {
    pub gcs_options: gcs::GcsUploadOptions,
    /// One for each test container.
    pub entries: Vec<WrapperOptions>,
    /// Exit with 1 if a test container failed, although that container's exit code says so, too.
    #[serde(skip_serializing_if = "is_false")]
    pub entry_error: bool,
    /// Do not upload early when the pod is told to stop.
    #[serde(skip_serializing_if = "is_false")]
    pub ignore_interrupts: bool,
    #[serde(deserialize_with = "null_default")]
    pub censoring_options: SidecarCensoringOptions,
}

/// What to censor, and where.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SidecarCensoringOptions {
    /// Every file below these is a secret.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secret_directories: Vec<String>,
    /// Whether these hold every Secret that reaches a container of the pod, so that `censored` may
    /// be true. Not in Prow.
    #[serde(skip_serializing_if = "is_false")]
    pub every_secret: bool,
    /// Not supported: a sidecar with any of these uploads nothing but the result.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ini_filenames: Vec<String>,
    /// The part that a decoration config sets.
    #[serde(flatten)]
    pub config: common::prowjob::CensoringOptions,
}

impl SidecarOptions {
    /// The environment variable that holds the options as JSON.
    pub const ENV: &str = "SIDECAR_OPTIONS";
}

/// Reads `null` as the default, as Go does.
fn null_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_as_plank_writes_it_survives_a_round_trip() {
        let json = r#"{"gcs_options":{"items":["/logs/artifacts"],"bucket":"my-bucket","path_strategy":"legacy","default_org":"kubernetes","default_repo":"kubernetes","dry_run":false},"entries":[{"args":["/bin/thing","some","args"],"container_name":"test","process_log":"/logs/process-log.txt","marker_file":"/logs/marker-file.txt","metadata_file":"/logs/artifacts/metadata.json"}],"ignore_interrupts":true,"censoring_options":{"secret_directories":["/secret"],"censoring_concurrency":5}}"#;
        let options: SidecarOptions = serde_json::from_str(json).unwrap();
        assert_eq!(options.entries[0].marker_file, "/logs/marker-file.txt");
        assert_eq!(
            options.censoring_options.config.censoring_concurrency,
            Some(5)
        );
        assert_eq!(serde_json::to_string(&options).unwrap(), json);
    }

    #[test]
    fn nothing_to_censor_is_an_empty_object() {
        let options: SidecarOptions = serde_json::from_str(
            r#"{"gcs_options":{"dry_run":false},"entries":[],"censoring_options":{}}"#,
        )
        .unwrap();
        assert_eq!(
            serde_json::to_string(&options).unwrap(),
            r#"{"gcs_options":{"dry_run":false},"entries":[],"censoring_options":{}}"#
        );
    }
}
