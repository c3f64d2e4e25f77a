#![doc = include_str!("../README.md")]

pub mod clonerefs;
pub mod gcs;
pub mod initupload;
mod job_spec;
pub mod sidecar;

pub use entrypoint;
pub use job_spec::JobSpec;
