//! Plank and crier against a Kubernetes API (the embedded one, or the cluster of
//! `PROW_TEST_KUBECONFIG`), the pod runner and the GitHub stand-in.

mod checks;
mod claims;
mod cluster;
mod comments;
mod fleet;
mod foreign;
mod gate;
mod generated;
mod horologium;
mod leases;
mod limits;
mod reasons;
mod runner;
mod slack;
mod states;
mod statuses;
mod storage_places;
mod storage_reports;
mod ways_out;
mod world;
