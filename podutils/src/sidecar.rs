//! sidecar: waits for the test containers, then censors and uploads what they left.

mod options;

pub use options::{CensoringOptions, Options};
