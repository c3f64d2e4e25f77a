//! Plank and crier against the embedded API, the pod runner and the GitHub stand-in.

mod claims;
mod cluster;
mod leases;
mod runner;
mod states;
mod statuses;
