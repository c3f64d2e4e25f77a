#![doc = include_str!("../README.md")]

mod archive;
pub mod censor;
pub mod clonerefs;
pub mod gcs;
pub mod initupload;
mod job_spec;
pub mod metadata;
mod process;
mod secrets;
pub mod sidecar;
mod upload;

pub use entrypoint;
pub use job_spec::JobSpec;
