//! Contract tests of `local::kubelet`: pods go in through the API, what a user of a cluster would see comes out.

mod ending;
mod kubectl;
mod machine;
mod paths;
mod running;
mod waiting;
