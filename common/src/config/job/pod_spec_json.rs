//! The pod of a complete job.

use std::sync::Arc;

use crate::prowjob::RawPodSpec;

/// A pod spec as JSON text: as a tree it takes ten times the room, and nobody looks at it before
/// the job runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSpecJson(Arc<str>);

impl PodSpecJson {
    /// The text of `spec`.
    pub fn new(spec: &RawPodSpec) -> Self {
        let text = serde_json::to_string(spec).expect("a tree of JSON can be written");
        Self(text.into())
    }

    /// The spec that was written.
    pub fn to_pod_spec(&self) -> RawPodSpec {
        serde_json::from_str(&self.0).expect("it was written from a spec")
    }
}
