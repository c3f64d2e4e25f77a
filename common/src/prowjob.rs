//! The `ProwJob` object: what is stored in Kubernetes, under Prow's JSON names.
//!
//! `config` makes the spec, [`new_prowjob`] makes the object, plank writes its status. No I/O here.

mod crd;
mod decoration;
#[cfg(test)]
mod foreign_object_tests;
pub mod labels;
mod naming;
mod pod_spec;
mod refs;
pub mod secrets;
mod spec;
mod status;

pub use crd::build_prowjob_crd;
pub use decoration::{
    CensoringOptions, DecorationConfig, GcsConfiguration, PathStrategy, RawObject, Resources,
    SchedulingOptions, SecretKey, UtilityImages,
};
pub use naming::{JobKey, event_name, new_prowjob, periodic_name};
pub use pod_spec::RawPodSpec;
pub use refs::{Pull, Refs};
pub use spec::{
    GithubTeamSlug, JenkinsSpec, ProwJob, ProwJobAgent, ProwJobDefault, ProwJobSpec, ProwJobType,
    ReporterConfig, RerunAuthConfig, ResultStoreConfig, SlackReporterConfig, StringMap,
    TektonPipelineRunSpec, null_default, null_defaults,
};
pub use status::{ProwJobState, ProwJobStatus, WAITING_PREFIX};

/// The build cluster of a job that names none.
pub const DEFAULT_CLUSTER: &str = "default";
