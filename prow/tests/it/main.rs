//! The whole system, through the binary that people start.

mod demo;
mod manifests;
mod restart;
mod support;
