//! The whole system, through the binary that people start.

mod demo;
mod manifests;
mod reload;
mod restart;
mod support;
