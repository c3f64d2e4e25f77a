//! Contract tests of `local::kubelet`.
