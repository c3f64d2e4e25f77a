//! Presubmits, postsubmits and periodics: their fields after defaults, and the questions that
//! are asked of them.

mod base;
mod brancher;
mod changes;
mod file;
mod pattern;
mod periodic;
mod pod_text;
mod postsubmit;
mod presubmit;

pub use base::{JobBase, Origin, UtilityConfig};
pub use brancher::Brancher;
pub use changes::{Changes, RegexpChangeMatcher};
pub(super) use file::{
    BaseFields, InRepoFile, JobFile, KeyedInRepoFile, PeriodicFields, PostsubmitFields,
    PresubmitFields,
};
pub use pattern::Pattern;
pub(super) use pattern::Patterns;
pub use periodic::{Periodic, Retry};
pub use pod_text::PodText;
pub use postsubmit::Postsubmit;
pub use presubmit::Presubmit;
