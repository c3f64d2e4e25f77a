//! Deck over HTTP, on the embedded Kubernetes API.

mod access;
mod harness;
mod job;
mod list;
mod reload;
mod schema;
mod storage;
