//! Deck over HTTP, on the embedded Kubernetes API.

mod access;
mod browser;
mod doors;
mod foreign;
mod gone;
mod harness;
mod job;
mod large;
mod list;
mod live;
mod redaction;
mod reload;
mod schema;
mod starting;
mod storage;
mod storage_key;
mod tenants;
mod tokens;
mod trouble;
