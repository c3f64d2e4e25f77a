//! Tests of the whole system, through the binary that people start.

mod canary;
mod check;
mod contributor;
mod demo;
mod ends;
mod faults;
mod hook_log;
mod manifests;
mod mkpj;
#[path = "../support/reduced.rs"]
mod reduced;
mod reload;
mod restart;
mod support;
mod uploads;
mod usage;

#[path = "../faults/lib.rs"]
mod scenes;
