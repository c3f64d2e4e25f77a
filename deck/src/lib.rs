#![doc = include_str!("../README.md")]

mod access;
mod ansi;
mod app;
mod assets;
mod badge;
mod buckets;
mod door;
mod failure;
pub mod index;
mod logs;
mod metrics;
mod options;
mod range;
mod redact;
mod routes;
mod run;
mod runner;
mod settings;
mod storage_key;
mod stored_run;
mod upload;
mod view;
mod visibility;

pub use access::Viewer;
pub use metrics::Metrics;
pub use options::{
    CredentialOptions, KeyPlace, LaterOptions, Options, OwnStorage, StorageOptions, UnusedOptions,
    VisibilityOptions,
};
pub use routes::{Dress, Route, Visibility, routes};
pub use run::{Context, main, run};
