//! Contract tests of `local::kubelet`: pods are created through the API, and the tests check what a
//! user of a cluster sees.

mod ending;
mod kubectl;
mod machine;
mod paths;
mod running;
mod waiting;
