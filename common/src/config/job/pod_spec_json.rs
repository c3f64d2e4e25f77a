//! The pod spec of a completed job.

use std::sync::Arc;

use crate::prowjob::RawPodSpec;

/// A pod spec as JSON text: as a tree it takes ten times the memory, and nothing reads it before
/// the job runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSpecJson(Arc<str>);

impl PodSpecJson {
    /// The JSON text of `spec`.
    pub fn new(spec: &RawPodSpec) -> Self {
        let text = serde_json::to_string(spec).expect("a tree of JSON can be written");
        Self(text.into())
    }

    /// The spec that the text was made from.
    pub fn to_pod_spec(&self) -> RawPodSpec {
        serde_json::from_str(&self.0).expect("it was written from a spec")
    }
}
