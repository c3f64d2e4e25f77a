//! Plank and crier against the embedded API, the pod runner and the GitHub stand-in.

mod claims;
mod cluster;
mod runner;
mod states;
mod statuses;
