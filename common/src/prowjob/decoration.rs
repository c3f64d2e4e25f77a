//! `decoration_config`: how the pod utilities wrap a job. The job's fields are merged over the
//! defaults, field by field.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::IntoDeserializer as _};
use serde_json::Value;

use super::spec::{is_empty_list, null_default};
use crate::duration::GoDuration;

/// An omitted field takes the installation's default; if that is unset, too, the pod utility's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DecorationConfig {
    /// After this time the test gets SIGINT. The entrypoint's own default is 2 h.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<GoDuration>,
    /// Between SIGINT and SIGKILL. Entrypoint's own default is 15 s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_period: Option<GoDuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub utility_images: Option<UtilityImages>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gcs_configuration: Option<GcsConfiguration>,
    /// An empty string clears a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gcs_credentials_secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3_credentials_secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_service_account_name: Option<String>,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_default"
    )]
    pub ssh_key_secrets: Vec<String>,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_default"
    )]
    pub ssh_host_fingerprints: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blobless_fetch: Option<bool>,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_default"
    )]
    pub sparse_checkout_files: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_cloning: Option<bool>,
    /// `secret` or `secret/key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookiefile_secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth_token_secret: Option<SecretKey>,
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_default"
    )]
    pub github_api_endpoints: Vec<String>,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub github_app_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github_app_private_key_secret: Option<SecretKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub censor_secrets: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub censoring_options: Option<CensoringOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_ignores_interrupts: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_limit_equals_memory_request: Option<bool>,
    /// A Kubernetes quantity.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "deserialize_quantity"
    )]
    pub default_memory_request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduling_options: Option<SchedulingOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_pending_timeout: Option<GoDuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_running_timeout: Option<GoDuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_unscheduled_timeout: Option<GoDuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_as_user: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_as_group: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fs_group: Option<i64>,
}

/// Where the pod utilities come from. All four are required once defaults are merged in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct UtilityImages {
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub clonerefs: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub initupload: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub entrypoint: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub sidecar: String,
}

/// Kubernetes resource requirements of the utility containers, copied verbatim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Resources {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clonerefs: Option<RawObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initupload: Option<RawObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place_entrypoint: Option<RawObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<RawObject>,
}

/// A Kubernetes object kept as written.
pub type RawObject = super::RawPodSpec;

/// Where logs and artifacts go. The name is historical: any kind of bucket is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GcsConfiguration {
    /// `gs://b`, `s3://b`, `az://c`, `file:///dir`, a bare name (`gs`), or Deck's own
    /// `http(s)://host/storage`.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub bucket: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub path_prefix: String,
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "deserialize_path_strategy"
    )]
    pub path_strategy: Option<PathStrategy>,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub default_org: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub default_repo: String,
    /// File extension to media type.
    #[serde(
        rename = "mediaTypes",
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_default"
    )]
    pub media_types: BTreeMap<String, String>,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub job_url_prefix: String,
    /// Copies to this folder instead of uploading.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub local_output_dir: String,
    /// Extensions, or `*`.
    #[serde(skip_serializing_if = "is_empty_list")]
    pub compress_file_types: Option<Vec<String>>,
}

/// How a repository becomes a path segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PathStrategy {
    Explicit,
    Legacy,
    Single,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SecretKey {
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub name: String,
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_default"
    )]
    pub key: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CensoringOptions {
    /// Files at once; 10 when unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub censoring_concurrency: Option<i64>,
    /// Bytes; 10 MiB when unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub censoring_buffer_size: Option<i64>,
    #[serde(skip_serializing_if = "is_empty_list")]
    pub include_directories: Option<Vec<String>>,
    #[serde(skip_serializing_if = "is_empty_list")]
    pub exclude_directories: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_secret_length: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SchedulingOptions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<RawObject>,
    #[serde(skip_serializing_if = "is_empty_list")]
    pub tolerations: Option<Vec<RawObject>>,
}

impl DecorationConfig {
    /// This configuration, with the fields that it leaves unset taken from `default`.
    ///
    /// An empty list counts as unset, but for the four lists that are `Option`s. Maps and groups
    /// are merged key by key. Unlike upstream, a job's own `mediaTypes` entry wins over a
    /// default's.
    pub fn apply_default(&self, default: &Self) -> Self {
        let mine = serde_json::to_value(self).expect("a decoration config is JSON");
        let mut merged = serde_json::to_value(default).expect("a decoration config is JSON");
        overlay_fields(&mut merged, mine);
        let mut merged: Self =
            serde_json::from_value(merged).expect("merging keeps every field's type");
        merged.keep_empty_lists(self, default);
        merged
    }

    /// JSON leaves out an empty list, but an empty list clears the default's list.
    fn keep_empty_lists(&mut self, mine: &Self, default: &Self) {
        if let Some(merged) = &mut self.gcs_configuration {
            let list = |it: &Self| it.gcs_configuration.as_ref()?.compress_file_types.clone();
            merged.compress_file_types = list(mine).or_else(|| list(default));
        }
        if let Some(merged) = &mut self.censoring_options {
            let list = |it: &Self| it.censoring_options.as_ref()?.include_directories.clone();
            merged.include_directories = list(mine).or_else(|| list(default));
            let list = |it: &Self| it.censoring_options.as_ref()?.exclude_directories.clone();
            merged.exclude_directories = list(mine).or_else(|| list(default));
        }
        if let Some(merged) = &mut self.scheduling_options {
            let list = |it: &Self| it.scheduling_options.as_ref()?.tolerations.clone();
            merged.tolerations = list(mine).or_else(|| list(default));
        }
    }
}

/// A quantity is a string or a number.
fn deserialize_quantity<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum TextOrNumber {
        Text(String),
        Number(serde_json::Number),
    }
    Ok(
        Option::deserialize(deserializer)?.map(|quantity| match quantity {
            TextOrNumber::Text(text) => text,
            TextOrNumber::Number(number) => number.to_string(),
        }),
    )
}

/// An empty string means no strategy.
fn deserialize_path_strategy<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<PathStrategy>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| PathStrategy::deserialize(text.into_deserializer()))
        .transpose()
}

/// Groups that are merged field by field. Any other value of the job replaces the whole default.
const MERGED_GROUPS: [&str; 6] = [
    "utility_images",
    "resources",
    "gcs_configuration",
    "mediaTypes",
    "censoring_options",
    "scheduling_options",
];

fn overlay_fields(base: &mut Value, over: Value) {
    let (Value::Object(base), Value::Object(over)) = (base, over) else {
        return;
    };
    for (key, value) in over {
        match base.get_mut(&key) {
            Some(slot) if MERGED_GROUPS.contains(&key.as_str()) => overlay_fields(slot, value),
            _ => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: Value) -> DecorationConfig {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_job_wins_and_the_default_fills() {
        let default = config(serde_json::json!({
            "timeout": "2h", "grace_period": "15s", "gcs_credentials_secret": "creds",
            "ssh_key_secrets": ["a", "b"],
            "utility_images": {"clonerefs": "c:1", "sidecar": "s:1"},
            "gcs_configuration": {"bucket": "b", "path_strategy": "explicit", "mediaTypes": {"log": "text/plain", "x": "a/b"}},
        }));
        let job = config(serde_json::json!({
            "timeout": "5m", "gcs_credentials_secret": "", "ssh_key_secrets": ["c"],
            "utility_images": {"sidecar": "s:2"},
            "gcs_configuration": {"mediaTypes": {"x": "c/d"}},
        }));
        assert_eq!(
            job.apply_default(&default),
            config(serde_json::json!({
                "timeout": "5m", "grace_period": "15s", "gcs_credentials_secret": "",
                "ssh_key_secrets": ["c"],
                "utility_images": {"clonerefs": "c:1", "sidecar": "s:2"},
                "gcs_configuration": {"bucket": "b", "path_strategy": "explicit", "mediaTypes": {"log": "text/plain", "x": "c/d"}},
            }))
        );
    }

    #[test]
    fn an_empty_list_clears_a_default_where_it_does_upstream() {
        let filled = config(serde_json::json!({
            "ssh_key_secrets": ["a"],
            "gcs_configuration": {"bucket": "b", "compress_file_types": ["txt"]},
            "censoring_options": {"include_directories": ["a"], "exclude_directories": ["b"]},
            "scheduling_options": {"affinity": {}, "tolerations": [{"key": "ci"}]},
        }));
        let empty = config(serde_json::json!({
            "ssh_key_secrets": [],
            "gcs_configuration": {"compress_file_types": []},
            "censoring_options": {"include_directories": [], "exclude_directories": []},
            "scheduling_options": {"tolerations": []},
        }));
        let merged = serde_json::json!({
            "ssh_key_secrets": ["a"],
            "gcs_configuration": {"bucket": "b"},
            "censoring_options": {},
            "scheduling_options": {"affinity": {}},
        });
        // The result does not depend on the number of defaults.
        for job in [
            empty.apply_default(&filled),
            empty.apply_default(&filled).apply_default(&filled),
        ] {
            assert_eq!(serde_json::to_value(job).unwrap(), merged);
        }
        let open = config(serde_json::json!({"scheduling_options": {"tolerations": [{}]}}));
        let affinity = open
            .apply_default(&filled)
            .scheduling_options
            .unwrap()
            .affinity;
        assert!(affinity.is_some(), "the default's beside the job's own");
    }

    #[test]
    fn false_overrides_true() {
        let config = |flag| config(serde_json::json!({"set_limit_equals_memory_request": flag}));
        let merged = config(false).apply_default(&config(true));
        assert_eq!(merged.set_limit_equals_memory_request, Some(false));
    }
}
