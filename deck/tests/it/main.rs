//! Deck over HTTP, on the embedded Kubernetes API.

mod access;
mod browser;
mod doors;
mod foreign;
mod gone;
mod harness;
mod job;
mod list;
mod live;
mod redaction;
mod reload;
mod schema;
mod storage;
mod storage_key;
mod tokens;
mod trouble;
