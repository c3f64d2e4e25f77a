//! Tests hook on a loopback port, with GitHub's stand-in and a Kubernetes API: the embedded one, or
//! the cluster of `PROW_TEST_KUBECONFIG`.

mod deliveries;
mod ending;
mod in_repo;
mod late;
mod missed;
mod reload;
mod trigger;
mod unreadable;
mod webhook;
mod world;
