//! Contract tests of the stand-ins, with clients that are not ours.

mod apiserver;
mod conformance;
mod github;
mod kubelet;
mod served;
