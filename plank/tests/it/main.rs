//! Plank and crier against the embedded API, the pod runner and the GitHub stand-in.

mod checks;
mod claims;
mod cluster;
mod comments;
mod fleet;
mod leases;
mod limits;
mod runner;
mod slack;
mod states;
mod statuses;
mod storage_reports;
mod world;
