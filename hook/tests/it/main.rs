//! hook on a loopback port, between GitHub's stand-in and the embedded Kubernetes API.

mod deliveries;
mod ending;
mod in_repo;
mod missed;
mod reload;
mod trigger;
mod webhook;
mod world;
