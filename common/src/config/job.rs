//! Presubmits, postsubmits and periodics: their fields after defaults, and the methods that say
//! when they run.

mod base;
mod brancher;
mod changed_files;
mod file;
mod pattern;
mod periodic;
mod pod_spec_json;
mod postsubmit;
mod presubmit;

pub use base::{ConfigOrigin, JobBase, UtilityConfig};
pub use brancher::Brancher;
pub use changed_files::{ChangedFiles, RegexpChangeMatcher};
pub(super) use file::{
    BaseFields, InRepoFile, JobFile, KeyedInRepoFile, PeriodicFields, PostsubmitFields,
    PresubmitFields,
};
pub use pattern::GoRegexp;
pub(super) use pattern::GoRegexpCache;
pub use periodic::{Periodic, Retry};
pub use pod_spec_json::PodSpecJson;
pub use postsubmit::Postsubmit;
pub use presubmit::Presubmit;
