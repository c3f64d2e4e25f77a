//! `cat` and `goose`: keys of the services that pictures come from.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::prowjob::null_default;

/// A picture service's key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ImageKey {
    /// The file with the key.
    #[serde(deserialize_with = "null_default")]
    pub key_path: PathBuf,
}
