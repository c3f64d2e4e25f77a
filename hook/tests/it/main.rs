//! hook on a loopback port, between GitHub's stand-in and the embedded Kubernetes API.

mod deliveries;
mod ending;
mod in_repo;
mod late;
mod missed;
mod reload;
mod trigger;
mod unreadable;
mod webhook;
mod world;
