#![doc = include_str!("../README.md")]

mod access;
mod ansi;
mod app;
mod assets;
mod badge;
mod buckets;
mod byte_range;
mod embedded_clusters;
mod failure;
pub mod index;
mod logs;
mod metrics;
mod options;
mod redact;
mod routes;
mod run;
mod run_lookup;
mod settings;
mod storage_key;
mod stored_run;
mod upload;
mod view;
mod visibility;

pub use access::Viewer;
pub use metrics::DeckMetrics;
pub use options::{
    CredentialOptions, DeckOptions, DeckStorage, KeyLocation, StorageOptions, UnimplementedOptions,
    UnusedOptions, VisibilityOptions,
};
pub use routes::{Route, RouteVisibility, SecurityPolicy, list_routes};
pub use run::{DeckContext, main, run_deck};
