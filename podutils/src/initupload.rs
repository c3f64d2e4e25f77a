//! initupload: `started.json` and the clone's log, before the test starts.

mod options;

pub use options::Options;
