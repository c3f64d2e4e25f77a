//! The contracts of the stand-ins, tested by clients that are not ours.

mod apiserver;
mod conformance;
mod github;
mod kubelet;
mod served;
