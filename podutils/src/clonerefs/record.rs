//! `clone.json`: the records of what clonerefs did, for initupload to judge and people to read.

use common::prowjob::Refs;
use serde::{Deserialize, Serialize};

/// All commands for one reference, or to set up the environment (then `refs` is empty).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CloneRecord {
    pub refs: Refs,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<CommandRecord>,
    #[serde(skip_serializing_if = "is_false")]
    pub failed: bool,
    /// The commit that is checked out at the end; empty if it is unknown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub final_sha: String,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub duration: u64,
}

/// One command and how it went. Secrets in it are masked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CommandRecord {
    /// `PWD=<dir> <env…> git …`.
    pub command: String,
    /// Standard output and error.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub output: String,
    /// Empty if it succeeded.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub duration: u64,
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
fn is_zero(value: &u64) -> bool {
    *value == 0
}
