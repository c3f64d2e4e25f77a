//! The `ProwJob` object: what is stored in Kubernetes, under Prow's JSON names.
//!
//! `config` makes a spec, `new_prowjob` makes the object, plank moves its status on. No I/O.

mod crd;
mod decoration;
pub mod labels;
mod new;
mod pod_spec;
mod refs;
pub mod secrets;
mod spec;
mod status;
#[cfg(test)]
mod written_by_others;

pub use crd::crd;
pub use decoration::{
    CensoringOptions, DecorationConfig, GcsConfiguration, PathStrategy, RawObject, Resources,
    SchedulingOptions, SecretKey, UtilityImages,
};
pub use new::{Identity, event_name, new_prowjob, periodic_name};
pub use pod_spec::RawPodSpec;
pub use refs::{Pull, Refs};
pub use spec::{
    GithubTeamSlug, JenkinsSpec, ProwJob, ProwJobAgent, ProwJobDefault, ProwJobSpec, ProwJobType,
    ReporterConfig, RerunAuthConfig, ResultStoreConfig, SlackReporterConfig, StringMap,
    TektonPipelineRunSpec, null_default, null_defaults,
};
pub use status::{ProwJobState, ProwJobStatus, WAITING};

/// The build cluster of a job that names none.
pub const DEFAULT_CLUSTER: &str = "default";
