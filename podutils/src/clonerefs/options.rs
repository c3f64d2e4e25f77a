//! `CLONEREFS_OPTIONS`.

use common::prowjob::Refs;
use serde::{Deserialize, Serialize};

/// What to clone, where to, and with which credentials.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClonerefsOptions {
    /// Repositories are cloned into folders below `src/` in this one.
    pub src_root: String,
    /// Where the records are written as JSON.
    pub log: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub git_user_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub git_user_email: String,
    #[serde(rename = "refs")]
    pub git_refs: Vec<Refs>,
    /// SSH keys: files, or folders of files.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_files: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub oauth_token_file: String,
    /// Lines of an SSH `known_hosts` file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub host_fingerprints: Vec<String>,
    /// References cloned at once; 0 means all.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_parallel_workers: usize,
    /// Exit with 1 if a clone fails, instead of leaving that to initupload.
    #[serde(skip_serializing_if = "is_false")]
    pub fail: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cookie_path: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub github_api_endpoints: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub github_app_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub github_app_private_key_file: String,
}

impl ClonerefsOptions {
    /// The environment variable that holds the options as JSON.
    pub const ENV: &str = "CLONEREFS_OPTIONS";
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn is_false(value: &bool) -> bool {
    !value
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn is_zero(value: &usize) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_as_plank_writes_it_survives_a_round_trip() {
        let json = r#"{"src_root":"/home/prow/go","log":"/logs/clone.json","git_user_name":"ci-robot","git_user_email":"ci-robot@k8s.io","refs":[{"org":"org-name","repo":"repo-name","base_ref":"base-ref","base_sha":"base-sha","pulls":[{"number":1,"author":"author-name","sha":"pull-sha"}],"path_alias":"somewhere/else"}],"key_files":["/secrets/ssh/ssh-1"],"host_fingerprints":["hello","world"],"github_api_endpoints":["https://api.github.com"]}"#;
        let options: ClonerefsOptions = serde_json::from_str(json).unwrap();
        assert_eq!(options.git_refs[0].path_alias, "somewhere/else");
        assert_eq!(serde_json::to_string(&options).unwrap(), json);
    }
}
