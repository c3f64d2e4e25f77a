//! Sinker against a Kubernetes API: the embedded one, or the cluster of `PROW_TEST_KUBECONFIG`.

mod cleanup;
mod cluster;
mod unreachable_clusters;
