//! Sinker against the embedded Kubernetes API.

mod cluster;
mod sinks;
