//! hook on a loopback port, between GitHub's stand-in and the embedded Kubernetes API.

mod deliveries;
mod in_repo;
mod reload;
mod trigger;
mod webhook;
mod world;
